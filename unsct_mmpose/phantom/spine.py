"""The sacrum, the coccyx and the two lowest lumbar vertebrae, in the pelvic frame."""

from __future__ import annotations

import numpy as np

from .dimensions import Dimensions
from .shapes import (
    Block,
    Ellipsoid,
    FloatArray,
    HalfSpace,
    Limb,
    Shape,
    frame_about,
    swept_tube,
    unit,
)
from .volume import Bone

LATERAL = np.array([1.0, 0.0, 0.0])


def spine(size: Dimensions) -> Bone:
    """Build sacrum, coccyx, L5 and L4 as one bone in the pelvic frame, x to the left."""
    quality = size.bone_quality
    bone = Bone('spine', cortex_mm=0.9 * quality**0.5, trabecular=0.14 * quality)
    slope = np.radians(size.sacral_slope_deg)
    down = np.array([0.0, np.cos(slope), np.sin(slope)])
    top = np.array([0.0, -98.0, 36.0])
    centers = _sacral_curve(top, down)
    _sacrum(bone, centers)
    up, front = -down, top
    for level, (height, turn) in enumerate(((30.0, 0.42), (31.0, 0.30))):
        front = front + up * (height / 2 + 5.0)
        _vertebra(bone, front, up, level)
        front = front + up * (height / 2 + 4.0)
        angle = np.arctan2(up[2], -up[1]) + turn
        up = np.array([0.0, -np.cos(angle), np.sin(angle)])
    return bone


def _sacral_curve(top: FloatArray, down: FloatArray) -> list[FloatArray]:
    """Return the middles of S1 to S5 and two points of the coccyx."""
    angle = np.arctan2(down[2], down[1])
    centers, place = [], top + 3.0 * down
    for length, turn in ((12, 0.0), (24, 0.12), (21, -0.1), (19, -0.3), (17, -0.35),
                         (17, -0.45), (16, -0.35)):  # fmt: skip
        angle += turn
        place = place + length * np.array([0.0, np.cos(angle), np.sin(angle)])
        centers.append(place)
    return centers


def _both(shape: Shape) -> list[Shape]:
    return [shape, shape.moved(np.diag([-1.0, 1.0, 1.0]), np.zeros(3))]


def _sacrum(bone: Bone, centers: list[FloatArray]) -> None:
    s1, s2, s3, s4, s5, c1, c2 = centers
    body = swept_tube(
        [*(s1 - [0, 8, 4], s1, s2, s3, s4, s5, c1, c2)],
        [(26, 15), (25, 14), (21, 10), (18, 8), (16, 6.5), (12, 5), (7, 4), (4, 3)],
        pieces=2,
    )
    bone.solids.extend((limb, 3.0) for limb in body)
    wing = swept_tube(
        [s1 + [18, -5, 2], s1 + [36, 3, 8], s2 + [39, 2, 4], s3 + [31, 0, 1], s4 + [21, 0, 0],
         s5 + [11, 2, 0]],
        [(12, 12), (13, 13), (12, 13), (10, 9), (8, 6), (6, 5)],
    )  # fmt: skip
    for limb in wing:
        bone.solids.extend((shape, 6.0) for shape in _both(limb))
    crest = [c + [0, 0, 15] for c in (s1, s2, s3, s4)]
    for limb in swept_tube(crest, [(3, 7), (3, 7), (2.5, 6), (2, 5)]):
        bone.solids.append((limb, 8.0))
    for index, (upper, lower) in enumerate(((s1, s2), (s2, s3), (s3, s4), (s4, s5))):
        place = 0.5 * (upper + lower) + np.array([(19.0, 17.5, 16.0, 14.0)[index], 0.0, 0.0])
        along = lower - upper
        through = unit([0.25, -along[2], along[1]])
        wide = (5.2, 4.8, 4.2, 3.4)[index]
        hole = Ellipsoid.at(place - 4.0 * through, [0.8 * wide, 0.8 * wide, 8.0], axis=through)
        bone.cuts.extend((shape, 2.0) for shape in _both(hole))
    face = HalfSpace(np.array([51.0, -70.0, 52.0]), -unit([0.88, 0.16, 0.42]), 70.0)
    bone.cuts.extend((shape, 1.5) for shape in _both(face))


def _vertebra(bone: Bone, center: FloatArray, up: FloatArray, level: int) -> None:
    """Add a vertebral body with pedicles, transverse and spinous processes."""
    axes = frame_about(up, [1.0, 0.0, 0.0])
    back = np.cross(LATERAL, -up)
    back = back if back[2] > 0 else -back
    wide = 26.0 - 1.5 * level
    bone.solids.append((Block(center, np.array([wide, 17.5, 14.5]), axes, 3.0), 0.0))
    pedicle = center + back * 20.0 + up * 4.0 + LATERAL * 16.5
    process = center + back * 24.0 + LATERAL * 24.0 + up * 3.0
    tip = process + LATERAL * (15.0 - 2 * level) + up * 5.0
    joint = pedicle + back * 14.0 + LATERAL * 2.0
    for shape in (
        Ellipsoid.at(pedicle, [5.0, 9.0, 7.5], axis=up),
        Limb(process - LATERAL * 8, tip, back, (3.6, 4.5), (2.2, 2.8)),
        Limb(joint + up * (13 - 10 * level), joint - up * 15, LATERAL, (5.0, 5.5), (5.5, 5.5)),
        Limb(joint, center + back * 40.0 - up * 4, up, (7.0, 4.0), (8.0, 3.0)),
    ):
        bone.solids.extend((both, 3.0) for both in _both(shape))
    bone.solids.append(
        (Limb(center + back * 40.0 - up * 4, center + back * 58.0 - up * 11, LATERAL, (3.2, 10.0),
              (3.8, 9.0)), 3.0)
    )  # fmt: skip
