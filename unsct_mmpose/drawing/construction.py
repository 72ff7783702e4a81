"""The lines that a measurement is read from, for drawing them on the image.

They are constructed in mm, where right angles are right, and returned in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unsct_mmpose.anatomy import NUM_CLASSES, SIDES, side_index
from unsct_mmpose.functional.clinical_formulas import (
    REFERENCE_LINES,
    choose_reference_lines,
    pelvic_frame,
)
from unsct_mmpose.functional.geometry import foot_of_point, to_mm, unit

Floats = NDArray[np.float64]
Points = Mapping[int, Floats]
Segment = tuple[Floats, Floats]

REFERENCE = 'reference_line'
"""Name of the drawing of the pelvic frame's line."""

_OVERHANG_MM = 25.0
_RAY_MM = 60.0


@dataclass(frozen=True)
class ConstructionLine:
    """A straight line of the drawing of one measurement.

    Attributes:
        measurement: name of the measurement, with its side, or :data:`REFERENCE`.
        start_px: (x, y) of one end.
        end_px: (x, y) of the other.
        auxiliary: whether it only carries another line, such as the perpendicular of an angle.
    """

    measurement: str
    start_px: tuple[float, float]
    end_px: tuple[float, float]
    auxiliary: bool


def construction_lines(
    points_px: ArrayLike, present: ArrayLike, spacing_xy_mm: ArrayLike
) -> tuple[ConstructionLine, ...]:
    """Return the lines of every drawing whose landmarks are present.

    Args:
        points_px: ``(24, 2)`` landmarks (x, y), pixels; not read where not present.
        present: ``(24,)`` bool.
        spacing_xy_mm: ``(2,)`` size of a pixel along x and y.

    Raises:
        ValueError: the spacing is not positive and finite.

    Example:
        >>> points = np.zeros((24, 2))
        >>> points[[5, 2]] = [[300.0, 200.0], [320.0, 170.0]]
        >>> lines = construction_lines(points, np.isin(np.arange(24), [5, 2]), (1.0, 1.0))
        >>> [line.measurement for line in lines if not line.auxiliary]
        ['left_center_edge_angle_deg']
    """
    seen = np.asarray(present, bool)
    spacing = np.asarray(spacing_xy_mm, float)
    points = to_mm(np.where(seen[:, None], np.asarray(points_px, float), 0.0), spacing)
    chosen = choose_reference_lines(points[None], seen[None])
    ex, up = (one[0] for one in pelvic_frame(points[None], seen[None], chosen))
    drawings = _reference(points, REFERENCE_LINES[chosen[0]])
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        own = {n: points[side_index(side, n)] for n in range(1, NUM_CLASSES + 1)}
        known = {n for n in own if seen[side_index(side, n)]}
        for output, (needs, draw) in _DRAWINGS.items():
            if needs <= known:
                drawings[f'{side}_{output}'] = draw(own, sign * ex, up)
    return tuple(
        ConstructionLine(name, _pair(a / spacing), _pair(b / spacing), rank > 0)
        for name, segments in drawings.items()
        for rank, (a, b) in enumerate(segments)
        if np.isfinite((a, b)).all()
    )


def _pair(point: Floats) -> tuple[float, float]:
    return float(point[0]), float(point[1])


def _reference(points: Floats, name: str) -> dict[str, list[Segment]]:
    """Return the reference line with an overhang; nothing where it is the image's axes."""
    if name not in REFERENCE_LINES[:-1]:
        return {}
    number = int(name.split('L')[0])
    ends = points[side_index('right', number)], points[side_index('left', number)]
    return {REFERENCE: [_stretched(*ends)]}


def _stretched(a: Floats, b: Floats) -> Segment:
    along = _OVERHANG_MM * unit(b - a)
    return a - along, b + along


def _center_edge(p: Points, lat: Floats, up: Floats) -> list[Segment]:
    return [(p[6], p[6] + _RAY_MM * unit(p[3] - p[6])), (p[6], p[6] + _RAY_MM * up)]


def _sharp(p: Points, lat: Floats, up: Floats) -> list[Segment]:
    return [(p[8], p[3]), (p[8], p[8] + _RAY_MM * lat)]


def _neck_shaft(p: Points, lat: Floats, up: Floats) -> list[Segment]:
    beyond = p[10] + _OVERHANG_MM * unit(p[10] - p[6])
    return [(p[6], beyond), _stretched(p[11], p[12])]


def _femoral_offset(p: Points, lat: Floats, up: Floats) -> list[Segment]:
    foot = foot_of_point(p[6], p[11], p[12])
    return [(p[6], foot), (foot, p[12])]


def _acetabular_offset(p: Points, lat: Floats, up: Floats) -> list[Segment]:
    level = p[8] + float((p[6] - p[8]) @ lat) * lat
    return [(p[8], level), (level, p[6])]


def _hip_center_height(p: Points, lat: Floats, up: Floats) -> list[Segment]:
    level = p[6] - float((p[6] - p[8]) @ up) * up
    return [(p[6], level), (level, p[8])]


def _koehler(p: Points, lat: Floats, up: Floats) -> list[Segment]:
    return [_stretched(p[9], p[1])]


Drawing = tuple[set[int], Callable[[Points, Floats, Floats], list[Segment]]]
_DRAWINGS: dict[str, Drawing] = {
    'center_edge_angle_deg': ({3, 6}, _center_edge),
    'sharp_angle_deg': ({3, 8}, _sharp),
    'neck_shaft_angle_deg': ({6, 10, 11, 12}, _neck_shaft),
    'femoral_offset_mm': ({6, 11, 12}, _femoral_offset),
    'acetabular_offset_mm': ({6, 8}, _acetabular_offset),
    'hip_center_height_mm': ({6, 8}, _hip_center_height),
    'koehler_angle_deg': ({1, 9}, _koehler),
}
