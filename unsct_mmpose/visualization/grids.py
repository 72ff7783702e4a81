"""Grids of single maps: every landmark's heatmap, every relation's field, named."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from unsct_mmpose.anatomy import LANDMARK_NAMES

from .canvas import (
    INK,
    SHEET,
    Box,
    new_figure,
    outlined,
    show_map,
    show_radiograph,
    to_gray,
    to_picture,
    whole,
)
from .legend import direction_colors, heat_colors
from .panels import field_vectors, landmark_word

_TITLE_PX = 22
_GAP_PX = 4
_WORDS = ('femoral_', 'greater_')


def heatmap_grid(
    image: NDArray[np.generic],
    heatmaps: NDArray[np.floating],
    *,
    box: Box | None = None,
    width_px: int = 1440,
    columns: int = 6,
) -> NDArray[np.uint8]:
    """Show the heatmap of each landmark by itself, with its name and its peak.

    Args:
        image: ``(H, W)`` or ``(H, W, C)`` radiograph, any depth.
        heatmaps: ``(24, h, w)``.
        box: edges of the maps in the image; None: they cover it.
        width_px: width of the picture.
        columns: small pictures in a row.

    Returns:
        ``(H', width_px, 3)`` RGB picture.

    Raises:
        ValueError: there are not 24 heatmaps.
    """
    if len(heatmaps) != len(LANDMARK_NAMES):
        raise ValueError(f'{len(LANDMARK_NAMES)} heatmaps have names, got {len(heatmaps)}')
    edges = box or whole(image)
    titles = [f'{landmark_word(index)} {_short(name)}' for index, name in enumerate(LANDMARK_NAMES)]

    def draw(axes: Axes, index: int) -> None:
        heat = np.clip(np.nan_to_num(heatmaps[index]), 0, 1)
        show_map(axes, heat_colors(heat), edges)
        _corner(axes, f'{heat.max():.2f}')

    return _grid(image, titles, draw, width_px, columns)


def paf_grid(
    image: NDArray[np.generic],
    pafs: NDArray[np.floating],
    relations: Sequence[tuple[int, int]],
    *,
    box: Box | None = None,
    width_px: int = 1440,
    columns: int = 8,
) -> NDArray[np.uint8]:
    """Show the field of each relation by itself, named by its tail and its head.

    Args:
        image: ``(H, W)`` or ``(H, W, C)`` radiograph, any depth.
        pafs: ``(2 L, h, w)``, x and y of each relation in turn.
        relations: L pairs of tail and head.
        box: edges of the maps in the image; None: they cover it.
        width_px: width of the picture.
        columns: small pictures in a row.

    Returns:
        ``(H', width_px, 3)`` RGB picture.

    Raises:
        ValueError: the number of channels is not twice that of the relations.
    """
    vectors = field_vectors(pafs, relations)
    edges = box or whole(image)
    titles = [f'{landmark_word(tail)} → {landmark_word(head)}' for tail, head in relations]

    def draw(axes: Axes, index: int) -> None:
        show_map(axes, direction_colors(vectors[index]), edges)
        _corner(axes, f'{np.linalg.norm(vectors[index], axis=-1).max():.2f}')

    return _grid(image, titles, draw, width_px, columns)


def _grid(
    image: NDArray[np.generic],
    titles: Sequence[str],
    draw: Callable[[Axes, int], None],
    width_px: int,
    columns: int,
) -> NDArray[np.uint8]:
    """Repeat a radiograph in a grid and let ``draw`` add to each."""
    gray = to_gray(image)
    cell_w = (width_px - _GAP_PX) // columns - _GAP_PX
    cell_h = max(round(cell_w * gray.shape[0] / gray.shape[1]), 1)
    rows = -(-len(titles) // columns)
    height_px = rows * (cell_h + _TITLE_PX + _GAP_PX) + _GAP_PX
    figure = new_figure(width_px, height_px)
    for index, words in enumerate(titles):
        row, column = divmod(index, columns)
        left = _GAP_PX + column * (cell_w + _GAP_PX)
        top = _GAP_PX + row * (cell_h + _TITLE_PX + _GAP_PX) + _TITLE_PX
        place = np.array((left, height_px - top - cell_h, cell_w, cell_h), float)
        axes = figure.add_axes(tuple(place / (width_px, height_px, width_px, height_px)))
        show_radiograph(axes, gray, (cell_h, cell_w), 0.65)
        draw(axes, index)
        axes.set_title(words, color=INK, fontsize=8.5, pad=4)
    return to_picture(figure)


def _corner(axes: Axes, words: str) -> None:
    """Write a number into the lower right corner."""
    axes.text(
        0.97, 0.04, words, transform=axes.transAxes, color=INK, fontsize=8.5, ha='right',
        path_effects=outlined(2.5, SHEET),
    )  # fmt: skip


def _short(name: str) -> str:
    """Shorten a landmark's name: without side, without what its number tells anyway."""
    words = name.split('_', 1)[1]
    for word in _WORDS:
        words = words.removeprefix(word)
    return words.replace('_', ' ')
