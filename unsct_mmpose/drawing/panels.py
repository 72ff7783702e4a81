"""Pictures of what the network sees: heatmaps, part affinity fields, certainty.

``image`` is an ``(H, W)`` or ``(H, W, C)`` radiograph of any depth, ``box`` the edges of the maps
in it (None: they cover it), ``long_side_px`` its longer side in the ``(H', W', 3)`` RGB picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from .canvas import (
    CERTAINTY,
    HEAT,
    Box,
    certainty_colors,
    color_bar,
    direction_colors,
    direction_wheel,
    heat_colors,
    radiograph_panel,
    show_map,
    title,
    to_picture,
    whole,
)

_FAINTEST = 0.3
_ARROWS = 30


def heatmap_panel(
    image: NDArray[np.generic],
    heatmaps: NDArray[np.floating],
    *,
    box: Box | None = None,
    long_side_px: int = 900,
) -> NDArray[np.uint8]:
    """Lay the strongest of ``(K, h, w)`` heatmaps, 1 at a sure landmark, over the radiograph."""
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
    """Lay the strongest of ``(2 L, h, w)`` fields over the radiograph: its hue is its direction.

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
    direction_wheel(strip)
    return to_picture(figure)


def certainty_panel(
    image: NDArray[np.generic],
    certainty: NDArray[np.floating],
    *,
    box: Box | None = None,
    long_side_px: int = 900,
) -> NDArray[np.uint8]:
    """Show ``(h, w)`` certainties of :func:`unsct_mmpose.maps.uncertainty.certainty_map`."""
    figure, axes, strip = radiograph_panel(image, long_side_px=long_side_px, brightness=0.3)
    show_map(axes, certainty_colors(certainty), box or whole(image))
    title(strip, 'Certainty: fitting its neighbours')
    color_bar(strip, CERTAINTY, 'none', 'certain')
    return to_picture(figure)


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


def _arrows(axes: Axes, vectors: NDArray[np.floating], box: Box) -> None:
    """Draw every few cells an arrow along the field."""
    height, width = vectors.shape[:2]
    step = max(round(max(height, width) / _ARROWS), 1)
    left, top, right, bottom = box
    cell_x, cell_y = (right - left) / width, (bottom - top) / height
    rows, columns = np.mgrid[step // 2 : height : step, step // 2 : width : step]
    chosen = vectors[rows, columns]
    visible = np.linalg.norm(chosen, axis=-1) > _FAINTEST
    axes.quiver(
        left + (columns[visible] + 0.5) * cell_x,
        top + (rows[visible] + 0.5) * cell_y,
        *(chosen[visible] * (step * cell_x, step * cell_y) * 1.25).T,
        angles='xy', scale_units='xy', scale=1, pivot='mid', color='white',
        width=0.0019, headwidth=4, headlength=4.5, headaxislength=4, minlength=0,
    )  # fmt: skip


def _maps(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    maps = np.nan_to_num(np.asarray(maps, float))
    if maps.ndim != 3:
        raise ValueError(f'maps are (channels, h, w), got {maps.shape}')
    return maps
