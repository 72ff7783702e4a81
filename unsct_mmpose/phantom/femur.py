"""The proximal femur: shapes and the landmarks that belong to it.

Frame of this file: origin in the head centre, x lateral, y along the shaft (distal), z dorsal,
mm; the neck lies in the plane z = 0, so that anteversion is part of the pose.
"""

from __future__ import annotations

import numpy as np

from .dimensions import Dimensions, SideDimensions
from .shapes import Ellipsoid, FloatArray, Limb, swept_tube
from .volume import Bone

SHAFT_END_MM = 225.0
_SHAFT_RADII = ((1.25, 1.12), (1.08, 1.04), (1.0, 1.0), (0.95, 0.97), (0.95, 1.0))


def femur_points(side: SideDimensions) -> dict[str, FloatArray]:
    """Return landmarks 5, 6, 10, 11, 12 and helpers in the femoral frame.

    Returns:
        Points, mm: ``head``, ``fovea``, ``neck_base``, ``shaft_proximal``, ``shaft_distal``,
        ``tip`` (of the trochanter, nominal), ``lesser``, ``axis`` (neck axis meets shaft axis).
    """
    offset = side.femoral_offset_mm
    drop = offset / np.tan(np.radians(180.0 - side.neck_shaft_deg))
    axis = np.array([offset, drop, 0.0])
    rise = np.radians(side.fovea_rise_deg)
    # Seen from the front the fovea lies at 0.70 of the radius; the rest of its way is dorsal.
    toward = np.array([-0.70 * np.cos(rise), -0.70 * np.sin(rise), np.sqrt(1 - 0.70**2)])
    level = side.lesser_trochanter_mm
    return {
        'head': np.zeros(3),
        'fovea': (side.head_radius_mm - 1.6) * toward,
        'fovea_direction': toward,
        'neck_base': side.neck_base_share * axis,
        'shaft_proximal': np.array([offset, level + 20.0, 0.0]),
        'shaft_distal': np.array([offset, level + 62.0, 0.0]),
        'tip': np.array([offset - 4.0, -side.tip_height_mm, 9.0]),
        'lesser': np.array([offset - 0.95 * side.shaft_radius_mm - 1.5, level - 2.0, 11.0]),
        'axis': axis,
    }


def femur(size: Dimensions, side: SideDimensions) -> Bone:
    """Build one proximal femur, with its landmarks in ``points``."""
    points = femur_points(side)
    quality = size.bone_quality
    radius, shaft = side.head_radius_mm, side.shaft_radius_mm
    scale = radius / 23.4
    start = np.array([side.femoral_offset_mm, side.lesser_trochanter_mm - 12.0, 0.0])
    bone = Bone(
        'femur',
        cortex_mm=1.3 * quality**0.5,
        trabecular=0.24 * quality,
        shaft=(start, np.array([0.0, 1.0, 0.0]), side.shaft_wall_mm * quality**0.5),
        points=points,
    )
    axis, base = points['axis'], points['neck_base']
    add = bone.solids.extend
    add([(Ellipsoid.ball(np.zeros(3), radius), 0.0)])
    square = np.array([axis[1], -axis[0], 0.0])
    waist = 0.5 * base + 0.08 * axis
    add([(Limb(0.1 * axis, waist, square, (16.5 * scale, 14.5 * scale),
               (14.3 * scale, 11.8 * scale)), 6.0),
         (Limb(waist, base + 0.12 * axis, square, (14.3 * scale, 11.8 * scale),
               (18.0 * scale, 13.5 * scale)), 4.0)])  # fmt: skip
    add(_trochanters(points, side, scale))
    x, level = side.femoral_offset_mm, side.lesser_trochanter_mm
    column = [[x - 3, 0.45 * axis[1] + 10, 1.0], [x - 1.5, level - 16, 0.0], [x, level + 4, 0.0],
              [x, level + 20, 0.0], [x, level + 62, 0.0], [x, SHAFT_END_MM, 0.0]]  # fmt: skip
    widths = [(16.5 * scale, 14.0 * scale)]
    widths += [(a * shaft, b * shaft) for a, b in _SHAFT_RADII]
    limbs = swept_tube(column, widths, pieces=2)
    add([(limb, 8.0 if i == 0 else 2.0) for i, limb in enumerate(limbs)])
    dent = points['fovea_direction'] * (radius + 4.4)
    bone.cuts.append((Ellipsoid.ball(dent, 6.0), 1.0))
    bone.bumps.append((np.array([x - shaft, level - 14.0, 2.0]), 16.0, 2.2))
    bone.bumps.append((0.5 * (waist + base) + 0.6 * square / 3, 14.0, 1.0))
    return bone


def _trochanters(
    points: dict[str, FloatArray], side: SideDimensions, scale: float
) -> list[tuple[Ellipsoid | Limb, float]]:
    tip, lesser, x = points['tip'], points['lesser'], side.femoral_offset_mm
    lateral = np.array([1.0, 0.0, 0.0])
    crown = tip + [0.0, 6.5 * scale, 0.0]
    bulge = np.array([x + 9.0 * scale, tip[1] + 24 * scale, 4.0])
    low = np.array([x + 1.5 * scale, side.lesser_trochanter_mm - 6.0, 1.0])
    middle = 0.5 * (crown + bulge) + [2.0 * scale, -1.0, 0.0]
    return [
        (Ellipsoid.at(crown, [7.5 * scale, 8.5 * scale, 6.5 * scale], axis=[0, 1, 0]), 4.0),
        (Limb(crown + [1, 2, 0], middle, lateral, (6.5 * scale, 8.0 * scale),
              (10.0 * scale, 11.0 * scale)), 5.0),
        (Limb(middle, bulge, lateral, (10.0 * scale, 11.0 * scale),
              (12.5 * scale, 13.0 * scale)), 5.0),
        (Limb(bulge, low, lateral, (12.5 * scale, 13.0 * scale),
              (12.5 * scale, 12.5 * scale)), 6.0),
        (Ellipsoid.at(lesser, [6.8 * scale, 7.5 * scale, 10.5 * scale], axis=[0.25, 1, 0]), 8.0),
        (Limb(lesser - [-2, 2, 1], lesser + [6, -22, 0], lateral, (6.0 * scale, 6.0 * scale),
              (6.0 * scale, 6.0 * scale)), 6.0),
    ]  # fmt: skip
