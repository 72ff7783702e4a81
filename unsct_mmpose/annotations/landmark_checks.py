"""Landmarks that cannot lie in their image as they are said to, and those that hardly can.

They are in pixels of the file; ``mirrored`` says that left and right are exchanged in these. The
spacing is that at the detector, the magnification size there over size at the bone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.anatomy import LandmarkSet, index_of

from .landmark_states import LandmarkStates

PLAUSIBLE_HEAD_MM = (35.0, 65.0)
"""Diameter of an adult's femoral head, with a margin; children's are smaller."""

_HEAD_OF_EDGES = 0.84
"""Head over socket: measured on 405 hips simulated from real bones, 40 to 53 mm (46.8 mean)."""

_LEAST_PAIRS = 3
NORMALISED_PX = 1.5
"""Landmarks no farther than this from the corner are in shares of the image's sides."""

_SHOWN = 4


def contradictions(states: LandmarkStates, size_wh: tuple[int, int] | None) -> list[str]:
    """Say what makes all landmarks of an image unusable; empty when nothing does."""
    points = states.points[states.present]
    if len(points) < 2:
        return []
    if (points == points[0]).all():
        x, y = points[0]
        return [
            f'all {len(points)} landmarks lie at ({x:g}, {y:g}); place them, or set v=0 where '
            'nobody looked'
        ]
    is_tiny = size_wh is not None and min(size_wh) <= 8 * NORMALISED_PX
    if (np.abs(points) <= NORMALISED_PX).all() and not is_tiny:
        by = 'by width and height' if size_wh is None else f'x by {size_wh[0]}, y by {size_wh[1]}'
        return [
            f'all landmarks lie within {np.abs(points).max():g} pixels of the corner: normalised '
            f'coordinates? multiply them ({by})'
        ]
    return []


def sides_problem(states: LandmarkStates, mirrored: bool = False) -> str | None:
    """Say that every left landmark lies where the right one should; None when not."""
    pairs, exchanged = _pairs(states, mirrored)
    if len(pairs) < _LEAST_PAIRS or len(exchanged) < len(pairs):
        return None
    return (
        'left and right are exchanged: every left landmark lies where the right one should '
        f'({_names(exchanged, states.landmarks)}); rename them, or say "mirrored": '
        f'{str(not mirrored).lower()} where the pixels are mirrored and the names are right'
    )


def doubts(
    states: LandmarkStates,
    spacing_xy_mm: Sequence[float] | None,
    magnification: float,
    mirrored: bool = False,
) -> list[str]:
    """Say what is unlikely about the landmarks of an image; empty when nothing is."""
    doubts = []
    at_corner = states.present & (states.points == 0).all(axis=1)
    if at_corner.any():
        names = ', '.join(states.landmarks.names[k] for k in np.flatnonzero(at_corner)[:_SHOWN])
        doubts.append(
            f'landmarks at (0, 0) count as placed: {names}; set v=0 if nobody placed them'
        )
    pairs, exchanged = _pairs(states, mirrored)
    if exchanged and len(exchanged) < len(pairs):
        doubts.append(f'left and right may be exchanged in {_names(exchanged, states.landmarks)}')
    if spacing_xy_mm is not None and states.landmarks.clinical:
        doubts += _head_doubts(states, np.asarray(spacing_xy_mm, float) / magnification)
    return doubts


def head_diameters_mm(
    points_mm: NDArray[np.float64], present: NDArray[np.bool_], side: str
) -> NDArray[np.float64]:
    """Estimate ``(...)`` diameters of femoral heads from their centres and the ends of their roofs.

    Of ``(..., K, 2)`` points at the bone, mm; NaN where a landmark is not there.
    """
    indices = [
        index_of(f'{side}_{name}')
        for name in ('femoral_head_center', 'acetabulum_upper_edge', 'acetabulum_lower_edge')
    ]
    centre, *edges = (points_mm[..., index, :] for index in indices)
    steps = [edge - centre for edge in edges]
    diameter = _HEAD_OF_EDGES * sum(np.hypot(step[..., 0], step[..., 1]) for step in steps)
    return np.where(present[..., indices].all(axis=-1), diameter, np.nan)


def _head_doubts(states: LandmarkStates, mm_per_px: NDArray[np.float64]) -> list[str]:
    low, high = PLAUSIBLE_HEAD_MM
    doubts = []
    for side in ('left', 'right'):
        diameter = float(head_diameters_mm(states.points * mm_per_px, states.present, side))
        if not low <= diameter <= high and not np.isnan(diameter):
            doubts.append(
                f'the {side} femoral head would have a diameter of about {diameter:.0f} mm ('
                f'{low:g} to {high:g} can be in adults): is the spacing right, or the landmarks?'
            )
    return doubts


def _pairs(states: LandmarkStates, mirrored: bool) -> tuple[list[int], list[int]]:
    """Return the left landmarks whose right one is there too, and those on the wrong side."""
    pairs, exchanged = [], []
    for k in states.landmarks.left_indices:
        other = states.landmarks.flip_indices[k]
        if states.present[k] and states.present[other]:
            pairs.append(k)
            step = states.points[k, 0] - states.points[other, 0]
            if step > 0 if mirrored else step < 0:
                exchanged.append(k)
    return pairs, exchanged


def _names(indices: Sequence[int], landmarks: LandmarkSet) -> str:
    names = [landmarks.names[k].removeprefix('left_') for k in indices]
    more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
    return ', '.join(names[:_SHOWN]) + more
