"""The formulas of ``clinical``: the pelvic frame, what is read in it, and what each value needs.

Points are ``(N, 24, 2)`` in mm, ``present`` is ``(N, 24)``; M measurements stand in the order of
``MEASUREMENT_NAMES``. Values here are raw: where something is absent or too short they mean
nothing, and :func:`measurable` says so.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.anatomy import LANDMARK_NAMES, NUM_CLASSES, NUM_LANDMARKS, SIDES, side_index
from unsct_mmpose.anatomy.landmarks import (
    FOVEA,
    HEAD,
    ILIUM,
    ISCHIUM,
    LOWER_EDGE,
    NECK,
    SHAFT_END,
    SHAFT_TOP,
    TEARDROP,
    TROCHANTER,
    UPPER_EDGE,
    Y_CARTILAGE,
)
from unsct_mmpose.anatomy.parameters import (
    MEASUREMENT_NAMES,
    REFERENCE_LINES,
    line_landmark,
    parameter,
    split_side,
)

from .geometry import (
    angle_deg,
    distance,
    dot,
    foot_of_point,
    length,
    perpendicular_towards,
    signed_angle_deg,
    unit,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]

SHORTEST_VECTOR_MM = 1.0
"""A shorter vector between two landmarks has no direction worth measuring."""

POSITION = {name: index for index, name in enumerate(MEASUREMENT_NAMES)}
IS_ANGLE = np.array([name.endswith('_deg') for name in MEASUREMENT_NAMES])

IS_UNSIGNED = np.array([name.endswith('neck_shaft_angle_deg') for name in MEASUREMENT_NAMES])
"""An angle between lines: :func:`evaluate` leaves it a sign, so that it has a slope at 180 too."""

_REFERENCE_NUMBERS = tuple(filter(None, map(line_landmark, REFERENCE_LINES)))
_IMAGE_AXES = len(_REFERENCE_NUMBERS)
_FOOT_DISTANCE = 'skinner_distance_mm'
_LATERAL = (TROCHANTER, NECK, SHAFT_TOP, SHAFT_END)
_MEDIAL = (ILIUM, Y_CARTILAGE, TEARDROP, ISCHIUM)


def choose_reference_lines(points: Floats, present: Bools) -> Ints:
    """Choose for each image the first reference line with both ends and a length: ``(N,)``."""
    usable = [_spans(points, present, number) for number in _REFERENCE_NUMBERS]
    return np.argmax(np.stack([*usable, np.ones(len(points), bool)], axis=1), axis=1)


def _spans(points: Floats, present: Bools, number: int) -> Bools:
    """Return ``(N,)`` whether a landmark is present on both sides, and not at the same place."""
    left, right = (side_index(side, number) for side in SIDES)
    apart = length(_across(points, number)) >= SHORTEST_VECTOR_MM
    return present[:, left] & present[:, right] & apart


def _across(points: Floats, number: int) -> Floats:
    """Return the vectors ``(N, 2)`` from the right one of a pair to the left one."""
    return points[:, side_index('left', number)] - points[:, side_index('right', number)]


def pelvic_frame(points: Floats, present: Bools, lines: Ints) -> tuple[Floats, Floats]:
    """Return the directions ``ex`` (towards the patient's left) and ``up``, ``(N, 2)`` each."""
    spans = np.stack([_across(points, number) for number in _REFERENCE_NUMBERS], axis=1)
    axes = np.zeros((len(points), 1, 2))
    axes[:, 0, 0] = np.where(lines == _IMAGE_AXES, _display_sense(points, present), 1.0)
    ex = unit(np.concatenate((spans, axes), axis=1)[np.arange(len(points)), lines])
    upwards = np.zeros((len(points), 2))
    for side in SIDES:
        ilium, ischium = side_index(side, ILIUM), side_index(side, ISCHIUM)
        both = present[:, ilium] & present[:, ischium]
        upwards += np.where(both[:, None], points[:, ilium] - points[:, ischium], 0.0)
    upwards[~upwards.any(axis=1)] = (0.0, -1.0)
    return ex, perpendicular_towards(ex, upwards)


def _display_sense(points: Floats, present: Bools) -> Floats:
    """Return ``(N,)`` 1 where the patient's left is on the image's right, -1 where mirrored.

    Without a pair of landmarks only one side is known well: there the shaft and the trochanter lie
    lateral to the pelvis's medial points. Without those the display counts as a standard one.
    """
    vote = np.zeros(len(points))
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        middle = []
        for numbers in (_LATERAL, _MEDIAL):
            own = [side_index(side, number) for number in numbers]
            shown = present[:, own]
            count = shown.sum(axis=1)
            total = np.where(shown, points[:, own, 0], 0.0).sum(axis=1)
            middle.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
        vote += sign * np.nan_to_num(middle[0] - middle[1])
    return np.where(vote < 0, -1.0, 1.0)


def evaluate(points: Floats, present: Bools, lines: Ints) -> Floats:
    """Compute all values ``(N, M)`` in a given frame; meaningless where not measurable."""
    ex, up = pelvic_frame(points, present, lines)
    roof_ex = np.where(
        _spans(points, present, Y_CARTILAGE)[:, None],
        unit(_across(points, Y_CARTILAGE)),
        ex,
    )
    results: dict[str, Floats] = {}
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        own = points[:, SIDES.index(side) * NUM_CLASSES :][:, :NUM_CLASSES]
        p = {number: own[:, number - 1] for number in range(1, NUM_CLASSES + 1)}
        values = _femur(p, sign * ex) | _pelvis(p, sign * ex, up, sign * roof_ex)
        values['global_offset_mm'] = values['femoral_offset_mm'] + values['acetabular_offset_mm']
        results |= {f'{side}_{output}': value for output, value in values.items()}
    results |= _both_sides(points, up)
    return np.stack([results[name] for name in MEASUREMENT_NAMES], axis=1) + 0.0  # no -0.0


def _femur(p: Mapping[int, Floats], lat: Floats) -> dict[str, Floats]:
    """Measure one femur; ``lat`` only decides the sign of the offset."""
    shaft = unit(p[SHAFT_TOP] - p[SHAFT_END])
    foot_of_tip = foot_of_point(p[TROCHANTER], p[SHAFT_TOP], p[SHAFT_END])
    foot_of_head = foot_of_point(p[HEAD], p[SHAFT_TOP], p[SHAFT_END])
    return {
        'skinner_height_mm': dot(p[FOVEA] - p[TROCHANTER], shaft),
        'skinner_distance_mm': length(p[FOVEA] - foot_of_tip),
        'neck_shaft_angle_deg': signed_angle_deg(p[HEAD] - p[NECK], p[SHAFT_END] - p[SHAFT_TOP]),
        'femoral_offset_mm': dot(foot_of_head - p[HEAD], perpendicular_towards(shaft, lat)),
    }


def _pelvis(
    p: Mapping[int, Floats], lat: Floats, up: Floats, roof_lat: Floats
) -> dict[str, Floats]:
    """Measure one side in the pelvic frame, and the acetabular index in that of both P2."""
    edge, sharp = p[UPPER_EDGE] - p[HEAD], p[UPPER_EDGE] - p[TEARDROP]
    roof, hilgenreiner = p[UPPER_EDGE] - p[LOWER_EDGE], p[UPPER_EDGE] - p[Y_CARTILAGE]
    wall = p[ILIUM] - p[ISCHIUM]
    roof_up = perpendicular_towards(roof_lat, up)
    lateral = perpendicular_towards(unit(wall), lat)
    shaft = p[SHAFT_END] - p[SHAFT_TOP]
    return {
        'acetabular_offset_mm': dot(p[HEAD] - p[TEARDROP], lat),
        'center_edge_angle_deg': angle_deg(dot(edge, lat), dot(edge, up)),
        'acetabular_index_roof_deg': angle_deg(dot(roof, roof_up), dot(roof, roof_lat)),
        'acetabular_index_hilgenreiner_deg': angle_deg(
            dot(hilgenreiner, roof_up), dot(hilgenreiner, roof_lat)
        ),
        'sharp_angle_deg': angle_deg(dot(sharp, up), dot(sharp, lat)),
        'koehler_angle_deg': angle_deg(dot(wall, lat), dot(wall, up)),
        'koehler_head_mm': dot(p[HEAD] - p[ISCHIUM], lateral),
        'koehler_teardrop_mm': dot(p[TEARDROP] - p[ISCHIUM], lateral),
        'hip_center_height_mm': dot(p[HEAD] - p[TEARDROP], up),
        'shaft_abduction_deg': angle_deg(dot(shaft, lat), -dot(shaft, up)),
    }


def _both_sides(points: Floats, up: Floats) -> dict[str, Floats]:
    """Measure what needs both sides."""
    teardrops = _across(points, TEARDROP)
    tip_heights = [
        dot(points[:, side_index(side, TROCHANTER)] - points[:, side_index(side, TEARDROP)], up)
        for side in SIDES
    ]
    return {
        'pelvic_obliquity_deg': angle_deg(-teardrops[:, 1], np.abs(teardrops[:, 0])),
        'gt_leg_length_difference_mm': tip_heights[0] - tip_heights[1],
    }


def measurable(points: Floats, present: Bools, values: Floats) -> Bools:
    """Return ``(N, M)`` whether every landmark is present and every vector long enough."""
    ends = np.array(_PAIRS)
    short = distance(points[:, ends[:, 0]], points[:, ends[:, 1]]) < SHORTEST_VECTOR_MM
    valid = ~((~present).astype(float) @ _NEEDS.T > 0)
    valid &= ~(short.astype(float) @ _PAIR_USED > 0)
    valid[:, _FEET] &= values[:, _FEET] >= SHORTEST_VECTOR_MM
    return valid


def reasons_for(points: Floats, present: Bools, values: Floats) -> tuple[str | None, ...]:
    """Say in words why each NaN is one: ``(24, 2)`` mm, ``(24,)`` and ``(M,)`` of one image."""
    reasons: list[str | None] = []
    for index, value in enumerate(values):
        reasons.append(_reason(points, present, index) if np.isnan(value) else None)
    return tuple(reasons)


def _reason(points: Floats, present: Bools, index: int) -> str:
    absent = [LANDMARK_NAMES[k] for k in np.flatnonzero(_NEEDS[index]) if not present[k]]
    if absent:
        names = ' and '.join(filter(None, (', '.join(absent[:-1]), absent[-1])))
        return f'{names} {"is" if len(absent) == 1 else "are"} absent'
    limit = f'shorter than {SHORTEST_VECTOR_MM:g} mm'
    for pair, used in zip(_PAIRS, _PAIR_USED[:, index], strict=True):
        if used and (size := float(distance(*points[list(pair)]))) < SHORTEST_VECTOR_MM:
            start, end = (LANDMARK_NAMES[k] for k in pair)
            return f'the vector between {start} and {end} is {size:.2f} mm long, {limit}'
    side = split_side(MEASUREMENT_NAMES[index])[0]
    return (
        f'the vector from {side}_fovea to the foot of {side}_greater_trochanter_tip on the shaft '
        f'axis is {limit}'
    )


def _needs() -> NDArray[np.float64]:
    """Return ``(M, 24)`` 1 where a measurement cannot do without a landmark."""
    table = np.zeros((len(MEASUREMENT_NAMES), NUM_LANDMARKS))
    for row, name in enumerate(MEASUREMENT_NAMES):
        for number in parameter(name).landmarks:
            for side in _sides(name):
                table[row, side_index(side, number)] = 1.0
    return table


def _pairs(name: str) -> list[tuple[int, int]]:
    """Return the pairs of landmarks whose vectors a measurement needs."""
    return [
        (side_index('left' if a == b else side, a), side_index('right' if a == b else side, b))
        for side in _sides(name)
        for a, b in parameter(name).vectors
    ]


def _sides(name: str) -> tuple[str, ...]:
    side = split_side(name)[0]
    return SIDES if side is None else (side,)


_NEEDS = _needs()
_PAIRS = sorted({pair for name in MEASUREMENT_NAMES for pair in _pairs(name)})
_PAIR_USED = np.array(
    [[float(pair in _pairs(name)) for name in MEASUREMENT_NAMES] for pair in _PAIRS]
)
_FEET = np.array([name.endswith(_FOOT_DISTANCE) for name in MEASUREMENT_NAMES])
