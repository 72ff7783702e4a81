"""Pictures of what the network sees: heatmaps, part affinity fields, certainty."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, hsv_to_rgb
from numpy.typing import NDArray

from unsct_mmpose.anatomy import NUM_CLASSES

from .canvas import FAINT, INK, Box, radiograph_panel, show_map, to_picture, whole

HEAT = LinearSegmentedColormap.from_list('heat', ['#7a1fa2', '#e8403a', '#ffb020', '#fff6b0'])
"""Colours of heatmap values above the radiograph, from weak to strong."""

CERTAINTY = matplotlib.colormaps['inferno']
"""Colours of certainty: black is none, bright is certain."""

_FAINTEST = 0.3
_ARROWS = 30


def heatmap_panel(
    image: NDArray[np.generic],
    heatmaps: NDArray[np.floating],
    *,
    box: Box | None = None,
    long_side_px: int = 900,
) -> NDArray[np.uint8]:
    """Lay the strongest heatmap of each cell over the radiograph.

    Args:
        image: ``(H, W)`` or ``(H, W, C)`` radiograph, any depth.
        heatmaps: ``(K, h, w)``, 1 at a sure landmark.
        box: edges of the maps in the image; None: they cover it.
        long_side_px: the radiograph's longer side in the picture.

    Returns:
        ``(H', W', 3)`` RGB picture.
    """
    heat = np.clip(_maps(heatmaps), 0, 1).max(axis=0)
    figure, axes, strip = radiograph_panel(image, long_side_px=long_side_px, brightness=0.8)
    show_map(axes, heat_colors(heat), box or whole(image))
    title(strip, f'Heatmaps: strongest of {len(heatmaps)} landmarks')
    color_bar(strip, HEAT, '0', '1')
    return to_picture(figure)


def paf_panel(
    image: NDArray[np.generic],
    pafs: NDArray[np.floating],
    relations: Sequence[tuple[int, int]],
    *,
    box: Box | None = None,
    long_side_px: int = 900,
) -> NDArray[np.uint8]:
    """Lay the strongest field of each cell over the radiograph: its hue is its direction.

    Args:
        image: ``(H, W)`` or ``(H, W, C)`` radiograph, any depth.
        pafs: ``(2 L, h, w)``, x and y of each relation in turn.
        relations: L pairs of tail and head.
        box: edges of the maps in the image; None: they cover it.
        long_side_px: the radiograph's longer side in the picture.

    Returns:
        ``(H', W', 3)`` RGB picture.

    Raises:
        ValueError: the number of channels is not twice that of the relations.
    """
    vectors = field_vectors(pafs, relations)
    strongest = strongest_vectors(vectors)
    edges = box or whole(image)
    figure, axes, strip = radiograph_panel(image, long_side_px=long_side_px, brightness=0.6)
    show_map(axes, direction_colors(strongest), edges)
    _arrows(axes, strongest, edges)
    title(strip, f'Part affinity fields: strongest of {len(relations)} relations')
    _wheel(strip)
    return to_picture(figure)


def certainty_panel(
    image: NDArray[np.generic],
    certainty: NDArray[np.floating],
    *,
    box: Box | None = None,
    long_side_px: int = 900,
) -> NDArray[np.uint8]:
    """Show where landmarks fit their neighbours: the paper's Figure 9, bright is certain.

    Args:
        image: ``(H, W)`` or ``(H, W, C)`` radiograph, any depth.
        certainty: ``(h, w)`` in [0, 1], such as ``functional.uncertainty.certainty_map`` gives.
        box: edges of the map in the image; None: it covers it.
        long_side_px: the radiograph's longer side in the picture.

    Returns:
        ``(H', W', 3)`` RGB picture.
    """
    figure, axes, strip = radiograph_panel(image, long_side_px=long_side_px, brightness=0.3)
    show_map(axes, certainty_colors(certainty), box or whole(image))
    title(strip, 'Certainty: landmarks that fit their neighbours')
    color_bar(strip, CERTAINTY, 'none', 'certain')
    return to_picture(figure)


def heat_colors(heat: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return ``(h, w, 4)`` colours of heatmap values ``(h, w)`` in [0, 1]; 0 is transparent."""
    rgba = HEAT(heat)
    rgba[..., 3] = np.clip(heat * 1.6, 0, 0.9)
    return rgba


def certainty_colors(certainty: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return ``(h, w, 4)`` colours of certainties ``(h, w)``; no certainty is transparent."""
    value = np.clip(np.asarray(certainty, float), 0, 1)
    rgba = CERTAINTY(value)
    rgba[..., 3] = np.clip(value * 3, 0, 1)
    return rgba


def direction_colors(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return colours of vectors ``(..., 2)``: the hue is the direction, opaque is long.

    Returns:
        ``(..., 4)`` in [0, 1].
    """
    hue = (np.arctan2(-vectors[..., 1], vectors[..., 0]) / (2 * np.pi)) % 1.0
    length = np.clip(np.linalg.norm(vectors, axis=-1), 0, 1)
    colors = hsv_to_rgb(np.stack([hue, np.full_like(hue, 0.75), np.ones_like(hue)], axis=-1))
    return np.concatenate([colors, length[..., None]], axis=-1)


def field_vectors(
    pafs: NDArray[np.floating], relations: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """Return fields ``(2 L, h, w)`` as ``(L, h, w, 2)`` vectors.

    Raises:
        ValueError: the number of channels is not twice that of the relations.
    """
    pafs = _maps(pafs)
    if len(pafs) != 2 * len(relations):
        raise ValueError(
            f'{len(relations)} relations have {2 * len(relations)} channels, got {len(pafs)}'
        )
    return np.moveaxis(pafs.reshape(len(relations), 2, *pafs.shape[1:]), 1, -1)


def strongest_vectors(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the longest vector of each cell: ``(L, h, w, 2)`` to ``(h, w, 2)``."""
    which = np.linalg.norm(vectors, axis=-1).argmax(axis=0)
    return np.take_along_axis(vectors, which[None, ..., None], axis=0)[0]


def landmark_word(index: int) -> str:
    """Name a landmark by its number of Table 1 and its side: 0 is ``'1L'``."""
    return f'{index % NUM_CLASSES + 1}{"LR"[index // NUM_CLASSES]}'


def title(strip: Axes, words: str) -> None:
    """Write what a picture shows at the left of its strip."""
    middle = sum(strip.get_ylim()) / 2
    strip.text(12, middle, words, color=INK, fontsize=10.5, va='center', ha='left')


def color_bar(strip: Axes, colors: Colormap, low: str, high: str) -> None:
    """Draw a colour bar with the words of both ends at the right of a strip."""
    width, height = strip.get_xlim()[1], strip.get_ylim()[1]
    left, right, middle = width - 200, width - 72, height / 2
    edges = (left, right, middle - 7, middle + 7)
    strip.imshow(np.linspace(0, 1, 256)[None], cmap=colors, extent=edges, aspect='auto')
    strip.set(xlim=(0, width), ylim=(0, height))
    strip.text(left - 8, middle, low, color=FAINT, fontsize=9.5, va='center', ha='right')
    strip.text(right + 8, middle, high, color=FAINT, fontsize=9.5, va='center', ha='left')


def _wheel(strip: Axes) -> None:
    """Draw the colours of all directions at the right of a strip."""
    width, height = strip.get_xlim()[1], strip.get_ylim()[1]
    radius = height / 2 - 3
    y, x = np.mgrid[1:-1:96j, -1:1:96j]
    rgba = direction_colors(np.stack([x, -y], axis=-1))
    distance = np.hypot(x, y)
    rgba[..., 3] = np.clip((1 - distance) * 48, 0, 1) * (distance > _FAINTEST)
    center = width - radius - 12
    edges = (center - radius, center + radius, height / 2 - radius, height / 2 + radius)
    strip.imshow(rgba, extent=edges, aspect='auto')
    strip.set(xlim=(0, width), ylim=(0, height))
    words = 'direction, tail to head'
    strip.text(edges[0] - 10, height / 2, words, color=FAINT, fontsize=9.5, va='center', ha='right')


def _arrows(axes: Axes, vectors: NDArray[np.floating], box: Box) -> None:
    """Draw every few cells an arrow along the field."""
    height, width = vectors.shape[:2]
    step = max(round(max(height, width) / _ARROWS), 1)
    left, top, right, bottom = box
    cell_x, cell_y = (right - left) / width, (bottom - top) / height
    rows, columns = np.mgrid[step // 2 : height : step, step // 2 : width : step]
    chosen = vectors[rows, columns]
    seen = np.linalg.norm(chosen, axis=-1) > _FAINTEST
    axes.quiver(
        left + (columns[seen] + 0.5) * cell_x,
        top + (rows[seen] + 0.5) * cell_y,
        *(chosen[seen] * (step * cell_x, step * cell_y) * 1.25).T,
        angles='xy', scale_units='xy', scale=1, pivot='mid', color='white',
        width=0.0019, headwidth=4, headlength=4.5, headaxislength=4, minlength=0,
    )  # fmt: skip


def _maps(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    maps = np.nan_to_num(np.asarray(maps, float))
    if maps.ndim != 3:
        raise ValueError(f'maps are (channels, h, w), got {maps.shape}')
    return maps
