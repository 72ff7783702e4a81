"""The lines and arcs that show where each clinical measurement is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unsct_mmpose.anatomy import NUM_CLASSES, SIDES, side_index
from unsct_mmpose.functional.clinical import REFERENCE_LINES, Measurements
from unsct_mmpose.functional.clinical_formulas import pelvic_frame
from unsct_mmpose.functional.geometry import foot_of_point, unit

Points = NDArray[np.float64]

_ARC_MM = 18.0
_BEYOND_MM = 12.0
_PARALLEL = 0.05


@dataclass(frozen=True, eq=False)
class Sketch:
    """How one measurement looks in an image.

    Attributes:
        name: full name of the measurement.
        value: ``(N, 2)`` line that is the measured length, or the arc of the measured angle.
        lines: the lines that it is read between, ``(2, 2)`` each.
    """

    name: str
    value: Points
    lines: tuple[Points, ...] = field(default=())


def sketch_measurements(
    found: Measurements,
    points_px: ArrayLike,
    present: ArrayLike,
    spacing_xy_mm: ArrayLike,
    magnification: float = 1.0,
) -> dict[str, Sketch]:
    """Place what :func:`unsct_mmpose.functional.clinical.measure` measured into the image.

    Args:
        found: the measurements of these landmarks.
        points_px: ``(24, 2)`` landmarks, image pixels.
        present: ``(24,)`` bool.
        spacing_xy_mm: ``(2,)`` size of a pixel.
        magnification: as for the measurements.

    Returns:
        By name: centre-edge, Sharp and neck-shaft angles, femoral and acetabular offsets of both
        sides, as far as they were measured. Points are image pixels.
    """
    scale = np.asarray(spacing_xy_mm, float) / magnification
    seen = np.asarray(present, bool)
    points = np.where(seen[:, None], np.asarray(points_px, float), 0.0) * scale
    line = np.array([REFERENCE_LINES.index(found.reference_line)])
    ex, up = (one[0] for one in pelvic_frame(points[None], seen[None], line))
    sketches: dict[str, Sketch] = {}
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        p = {number: points[side_index(side, number)] for number in range(1, NUM_CLASSES + 1)}
        for output, draw in _DRAWN.items():
            name = f'{side}_{output}'
            if np.isfinite(found[name].value):
                value, *lines = draw(p, sign * ex, up)
                sketches[name] = Sketch(name, value / scale, tuple(one / scale for one in lines))
    return sketches


def reference_ends(found: Measurements, points_px: ArrayLike) -> Points | None:
    """Return the ends ``(2, 2)`` of the pelvic reference line, or None for the image's axes."""
    if found.reference_line not in REFERENCE_LINES[:-1]:
        return None
    number = int(found.reference_line.split('L')[0])
    chosen = [side_index(side, number) for side in SIDES]
    return np.asarray(points_px, float)[chosen]


def shaft_axes(points_px: ArrayLike, present: ArrayLike) -> tuple[Points, ...]:
    """Return the shaft axis ``(2, 2)`` of each side whose ends are present, a third longer."""
    points, seen = np.asarray(points_px, float), np.asarray(present, bool)
    ends = [[side_index(side, 11), side_index(side, 12)] for side in SIDES]
    return tuple(_longer(points[pair], 1 / 3) for pair in ends if seen[pair].all())


def _center_edge(p: Mapping[int, Points], lat: Points, up: Points) -> list[Points]:
    reach = np.linalg.norm(p[3] - p[6]) + _BEYOND_MM
    vertical = np.stack([p[6], p[6] + up * reach])
    edge = np.stack([p[6], p[6] + unit(p[3] - p[6]) * reach])
    return [_arc(p[6], up, p[3] - p[6], 0.62 * reach), vertical, edge]


def _sharp(p: Mapping[int, Points], lat: Points, up: Points) -> list[Points]:
    reach = np.linalg.norm(p[3] - p[8])
    base = np.stack([p[8], p[8] + lat * 0.75 * reach])
    return [_arc(p[8], lat, p[3] - p[8], 0.55 * reach), base, np.stack([p[8], p[3]])]


def _neck_shaft(p: Mapping[int, Points], lat: Points, up: Points) -> list[Points]:
    """Draw the arc where the axes meet; where they hardly do, at the neck's distal midpoint."""
    neck, shaft = unit(p[6] - p[10]), unit(p[12] - p[11])
    across = neck[0] * shaft[1] - neck[1] * shaft[0]
    offset = p[11] - p[6]
    along = (offset[0] * shaft[1] - offset[1] * shaft[0]) / across if across else np.inf
    far = abs(across) < _PARALLEL or abs(along) > 4 * np.linalg.norm(p[6] - p[10]) + _BEYOND_MM
    corner = p[10] if far else p[6] + along * neck
    axis = np.stack([corner, p[12] if not far else corner + shaft * 2 * _ARC_MM])
    return [_arc(corner, neck, shaft, _ARC_MM), np.stack([p[6], corner]), axis]


def _femoral_offset(p: Mapping[int, Points], lat: Points, up: Points) -> list[Points]:
    foot = foot_of_point(p[6], p[11], p[12])
    return [np.stack([p[6], foot]), np.stack([foot, p[11]])]


def _acetabular_offset(p: Mapping[int, Points], lat: Points, up: Points) -> list[Points]:
    level = p[8] - up * _BEYOND_MM
    end = level + lat * float((p[6] - p[8]) @ lat)
    return [np.stack([level, end]), np.stack([p[8], level]), np.stack([p[6], end])]


_DRAWN = {
    'center_edge_angle_deg': _center_edge,
    'sharp_angle_deg': _sharp,
    'neck_shaft_angle_deg': _neck_shaft,
    'femoral_offset_mm': _femoral_offset,
    'acetabular_offset_mm': _acetabular_offset,
}


def _arc(center: Points, start: Points, end: Points, radius: float) -> Points:
    """Return ``(33, 2)`` the arc from one direction to another, the short way."""
    first = np.arctan2(start[1], start[0])
    turn = (np.arctan2(end[1], end[0]) - first + np.pi) % (2 * np.pi) - np.pi
    angles = first + turn * np.linspace(0, 1, 33)
    return center + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _longer(ends: Points, share: float) -> Points:
    """Return a segment that reaches further on both sides by a share of its length."""
    reach = (ends[1] - ends[0]) * share
    return np.stack([ends[0] - reach, ends[1] + reach])
