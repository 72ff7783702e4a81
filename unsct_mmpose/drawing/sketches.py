"""The lines and arcs that show where each clinical measurement is read.

They are constructed in mm, where right angles are right, and returned in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unsct_mmpose.anatomy import NUM_CLASSES, SIDES, side_index
from unsct_mmpose.anatomy.parameters import (
    REFERENCE_LINES,
    REPORTED,
    Corner,
    Foot,
    Line,
    line_landmark,
)
from unsct_mmpose.functional.clinical_formulas import choose_reference_lines, pelvic_frame
from unsct_mmpose.functional.geometry import foot_of_point, to_mm, unit

Points = NDArray[np.float64]

REFERENCE = 'reference_line'
"""Name of the sketch of the pelvic frame's line."""

REFERENCE_COLOR = '#FFFFFF'

_OVERHANG_MM = 25.0
_RAY_MM = 60.0
_ARC_MM = 18.0
_PARALLEL = 0.05


@dataclass(frozen=True, eq=False)
class Sketch:
    """How one measurement looks in an image.

    Attributes:
        lines: ``(2, 2)`` ends of each, pixels: the measured length or the side of the angle first,
            then those that only carry it.
        arc: ``(33, 2)`` the measured angle between two lines; None for a length or a single line.
    """

    lines: tuple[Points, ...]
    arc: Points | None = None


def sketch_measurements(
    points_px: ArrayLike, present: ArrayLike, spacing_xy_mm: ArrayLike
) -> dict[str, Sketch]:
    """Sketch every measurement that has a drawing and its landmarks.

    Args:
        points_px: ``(24, 2)`` landmarks (x, y), pixels; not looked at where not present.
        present: ``(24,)`` bool.
        spacing_xy_mm: ``(2,)`` size of a pixel along x and y.

    Returns:
        By the name of the measurement, with its side; the reference line as :data:`REFERENCE`,
        where it is not an axis of the image.

    Raises:
        ValueError: the spacing is not positive and finite.

    Example:
        >>> points = np.zeros((24, 2))
        >>> points[[5, 2]] = [[300.0, 200.0], [320.0, 170.0]]
        >>> list(sketch_measurements(points, np.isin(np.arange(24), [5, 2]), (1.0, 1.0)))
        ['left_center_edge_angle_deg']
    """
    shown, spacing = np.asarray(present, bool), np.asarray(spacing_xy_mm, float)
    points = to_mm(np.where(shown[:, None], np.asarray(points_px, float), 0.0), spacing)
    chosen = choose_reference_lines(points[None], shown[None])
    ex, up = (axis[0] for axis in pelvic_frame(points[None], shown[None], chosen))
    sketches: dict[str, Sketch] = {}
    number = line_landmark(REFERENCE_LINES[chosen[0]])
    if number is not None:
        ends = [points[side_index(side, number)] for side in ('right', 'left')]
        sketches[REFERENCE] = Sketch((_line(ends[0], ends[1], 'both') / spacing,))
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        own = {k: points[side_index(side, k)] for k in range(1, NUM_CLASSES + 1)}
        axes = {'lateral': sign * ex, 'up': up}
        for row in REPORTED:
            if row.drawing and all(shown[side_index(side, k)] for k in row.landmarks):
                lines = tuple(_place_line(line, own, axes) for line in row.drawing.lines)
                arc = _arc(*lines) if row.unit == 'deg' and len(lines) == 2 else None
                if np.isfinite(lines).all():
                    sketches[f'{side}_{row.name}'] = Sketch(
                        tuple(ends / spacing for ends in lines),
                        None if arc is None else arc / spacing,
                    )
    return sketches


def _place_line(line: Line, own: Mapping[int, Points], axes: Mapping[str, Points]) -> Points:
    """Return the ends ``(2, 2)`` of a line of the table, mm."""
    start = _place(line.start, own, axes)
    if isinstance(line.end, str):
        return np.stack([start, start + _RAY_MM * axes[line.end]])
    return _line(start, _place(line.end, own, axes), line.reach)


def _place(
    where: int | Foot | Corner, own: Mapping[int, Points], axes: Mapping[str, Points]
) -> Points:
    if isinstance(where, Foot):
        return foot_of_point(own[where.of], *(own[k] for k in where.line))
    if isinstance(where, Corner):
        start, axis = own[where.start], axes[where.axis]
        return start + float((own[where.level_with] - start) @ axis) * axis
    return own[where]


def _line(start: Points, end: Points, reach: str) -> Points:
    along = unit(end - start)
    if reach == 'ray':
        return np.stack([start, start + _RAY_MM * along])
    before = _OVERHANG_MM * along if reach == 'both' else 0.0
    beyond = _OVERHANG_MM * along if reach in ('both', 'beyond') else 0.0
    return np.stack([start - before, end + beyond])


def _arc(first: Points, second: Points) -> Points:
    """Return ``(33, 2)`` the arc from one line to the other, the short way, around their corner.

    Lines with a common start enclose their angle there. Else it lies where they meet, between the
    first one's start and the second one's end; where they hardly meet, at the first one's end.
    """
    along, across = unit(first[1] - first[0]), unit(second[1] - second[0])
    if np.array_equal(first[0], second[0]):
        corner, start = first[0], along
    else:
        start = -along
        sine = along[0] * across[1] - along[1] * across[0]
        offset = second[0] - first[0]
        way = (offset[0] * across[1] - offset[1] * across[0]) / sine if sine else np.inf
        size = float(np.linalg.norm(first[1] - first[0]))
        far = abs(sine) < _PARALLEL or not 0 < way < 3 * size
        corner = first[1] - _OVERHANG_MM * along if far else first[0] + way * along
    begin = np.arctan2(start[1], start[0])
    turn = (np.arctan2(across[1], across[0]) - begin + np.pi) % (2 * np.pi) - np.pi
    angles = begin + turn * np.linspace(0, 1, 33)
    return corner + _ARC_MM * np.stack([np.cos(angles), np.sin(angles)], axis=1)
