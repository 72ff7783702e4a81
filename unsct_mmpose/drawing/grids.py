"""Grids of single maps: every landmark's heatmap, every relation's field, named.

``image`` and ``box`` are those of :mod:`unsct_mmpose.drawing.panels`; a picture is ``width_px``
wide and has ``columns`` small ones in a row.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unsct_mmpose.anatomy import HIP, LandmarkSet
from unsct_mmpose.anatomy.landmarks import plain_name

from .canvas import (
    INK,
    SHEET,
    Box,
    direction_colors,
    heat_colors,
    new_figure,
    outlined,
    to_picture,
    whole,
)
from .panels import field_vectors
from .strokes import to_gray

_TITLE_PX = 22
_GAP_PX = 4
_DIM = 0.65
_PREFIXES = ('left_', 'right_', 'femoral_', 'greater_')


def heatmap_grid(
    image: NDArray[np.generic],
    heatmaps: NDArray[np.floating],
    landmarks: LandmarkSet = HIP,
    *,
    box: Box | None = None,
    width_px: int = 1440,
    columns: int = 6,
) -> NDArray[np.uint8]:
    """Show each of ``(K, h, w)`` heatmaps by itself, with its landmark's name and its peak.

    Raises:
        ValueError: there is not a heatmap for each landmark.
    """
    if len(heatmaps) != len(landmarks):
        raise ValueError(f'{len(landmarks)} heatmaps have names, got {len(heatmaps)}')
    pairs = zip(landmarks.labels, landmarks.names, strict=True)
    titles = [f'{label} {_short(name)}' for label, name in pairs]
    heat = np.clip(np.nan_to_num(heatmaps), 0, 1)
    maps = [(heat_colors(values), float(values.max())) for values in heat]
    return _grid(image, box, titles, maps, width_px, columns)


def paf_grid(
    image: NDArray[np.generic],
    pafs: NDArray[np.floating],
    relations: Sequence[tuple[int, int]],
    landmarks: LandmarkSet = HIP,
    *,
    box: Box | None = None,
    width_px: int = 1440,
    columns: int = 8,
) -> NDArray[np.uint8]:
    """Show the field of each relation, of ``(2 L, h, w)``, named by its tail and its head.

    Raises:
        ValueError: the number of channels is not twice that of the relations.
    """
    vectors = field_vectors(pafs, relations)
    titles = [f'{landmarks.labels[tail]} → {landmarks.labels[head]}' for tail, head in relations]
    peaks = np.linalg.norm(vectors, axis=-1).max(axis=(1, 2)).tolist()
    maps = list(zip(map(direction_colors, vectors), peaks, strict=True))
    return _grid(image, box, titles, maps, width_px, columns)


def _grid(
    image: NDArray[np.generic],
    box: Box | None,
    titles: Sequence[str],
    maps: Sequence[tuple[NDArray[np.floating], float]],
    width_px: int,
    columns: int,
) -> NDArray[np.uint8]:
    """Lay maps ``(h, w, 4)``, each with its peak, over the radiograph, in a grid."""
    gray = to_gray(image)
    cell_w = (width_px - _GAP_PX) // columns - _GAP_PX
    scale = cell_w / gray.shape[1]
    cell_h = max(round(gray.shape[0] * scale), 1)
    behind = cv2.resize(gray, (cell_w, cell_h), interpolation=cv2.INTER_AREA) * (_DIM / 255)
    rows = -(-len(titles) // columns)
    height_px = rows * (cell_h + _TITLE_PX + _GAP_PX) + _GAP_PX
    figure = new_figure(width_px, height_px)
    sheet = np.tile(np.array(to_rgb(SHEET)), (height_px, width_px, 1))
    for index, (words, (rgba, peak)) in enumerate(zip(titles, maps, strict=True)):
        row, column = divmod(index, columns)
        left = _GAP_PX + column * (cell_w + _GAP_PX)
        top = _GAP_PX + row * (cell_h + _TITLE_PX + _GAP_PX) + _TITLE_PX
        shown = _blend(behind, rgba, box or whole(gray), scale)
        sheet[top : top + cell_h, left : left + cell_w] = shown
        _write(figure, left + cell_w / 2, height_px - top + 6, words, 'center')
        _write(figure, left + cell_w - 6, height_px - top - cell_h + 7, f'{peak:.2f}', 'right')
    figure.figimage(np.rint(sheet * 255).astype(np.uint8))
    return to_picture(figure)


def _blend(
    behind: NDArray[np.floating], rgba: NDArray[np.floating], box: Box, scale: float
) -> NDArray[np.floating]:
    """Lay a map over a grey picture ``(H, W)`` in [0, 1] that shows the image at a scale."""
    cell = np.array([box[2] - box[0], box[3] - box[1]]) / rgba.shape[1::-1] * scale
    start = (np.array(box[:2]) + 0.5) * scale + cell / 2 - 0.5  # centre of the first cell
    matrix = np.array([[cell[0], 0, start[0]], [0, cell[1], start[1]]])
    placed = cv2.warpAffine(rgba.astype(np.float32), matrix, behind.shape[::-1])
    opaque = placed[..., 3:]
    return behind[..., None] * (1 - opaque) + placed[..., :3] * opaque


def _write(figure: Figure, x: float, y: float, words: str, align: str) -> None:
    """Write at a place in pixels from the figure's lower left corner."""
    figure.text(
        x, y, words, color=INK, fontsize=8.5, ha=align, transform=None,
        path_effects=outlined(2.5, SHEET),
    )  # fmt: skip


def _short(name: str) -> str:
    """Shorten a landmark's name: without side, without what its number tells anyway."""
    return plain_name(functools.reduce(str.removeprefix, _PREFIXES, name))
