"""The golden hip of the domain page, its symmetries, what is missing, and how sure a value is."""

import dataclasses

import numpy as np
import pytest

from tests.golden_hip import GOLDEN_MM
from unsct_mmpose.anatomy import LANDMARK_NAMES, Measurement, side_index
from unsct_mmpose.anatomy.parameters import CLINICAL_PARAMETERS, reference_label, split_side
from unsct_mmpose.functional.clinical import (
    MEASUREMENT_NAMES,
    REFERENCE_LINES,
    interval,
    measure,
    measure_many,
    slopes_many,
)
from unsct_mmpose.functional.geometry import symmetric_root

# Right side, relative to (215, 200), 1 mm per pixel.
GOLDEN = {
    'skinner_height_mm': -9.601,
    'skinner_distance_mm': 57.884,
    'neck_shaft_angle_deg': 128.111,
    'femoral_offset_mm': 41.467,
    'acetabular_offset_mm': 29.5,
    'center_edge_angle_deg': 32.856,
    'acetabular_index_roof_deg': 5.356,
    'acetabular_index_hilgenreiner_deg': 21.801,
    'sharp_angle_deg': 43.025,
    'koehler_angle_deg': 8.276,
    'koehler_head_mm': 29.733,
    'koehler_teardrop_mm': 3.131,
    'hip_center_height_mm': 18.0,
    'global_offset_mm': 70.967,
    'shaft_abduction_deg': -5.0006,
}
# Written down once more: which landmarks of its side no value can do without.
NEEDS = {
    'skinner_height_mm': {5, 7, 11, 12},
    'skinner_distance_mm': {5, 7, 11, 12},
    'neck_shaft_angle_deg': {6, 10, 11, 12},
    'femoral_offset_mm': {6, 11, 12},
    'acetabular_offset_mm': {6, 8},
    'center_edge_angle_deg': {3, 6},
    'acetabular_index_roof_deg': {3, 4},
    'acetabular_index_hilgenreiner_deg': {2, 3},
    'sharp_angle_deg': {3, 8},
    'koehler_angle_deg': {1, 9},
    'koehler_head_mm': {1, 6, 9},
    'koehler_teardrop_mm': {1, 8, 9},
    'hip_center_height_mm': {6, 8},
    'global_offset_mm': {6, 8, 11, 12},
    'shaft_abduction_deg': {11, 12},
    'pelvic_obliquity_deg': {8},
    'gt_leg_length_difference_mm': {7, 8},
}
ALL = np.ones(24, bool)
ONE_MM = (1.0, 1.0)


def golden_points():
    return GOLDEN_MM.copy()


def uneven_points(seed=0):
    """A pelvis that no mirror, no turn and no accident leaves as it is."""
    rng = np.random.default_rng(seed)
    return turn(golden_points() + rng.normal(0, 4, (24, 2)), 3.0)


def turn(points, degrees, shift=(0.0, 0.0)):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (points - [215, 200]) @ np.array([[c, -s], [s, c]]).T + [215, 200] + shift


def covariances(seed=0, size=0.15):
    """Ellipses of any direction, px^2."""
    root = np.random.default_rng(seed).normal(0, size, (24, 2, 2))
    return root @ np.swapaxes(root, 1, 2) + size**2 * np.eye(2)


def without(*names):
    present = ALL.copy()
    present[[LANDMARK_NAMES.index(name) for name in names]] = False
    return present


def index(side, number):
    return side_index(side, number)


def values_but(found, *skipped):
    return {n: found[n].value for n in found if split_side(n)[1] not in skipped}


# The golden hip


def test_the_names_are_all_left_then_all_right_then_both():
    both = ('pelvic_obliquity_deg', 'gt_leg_length_difference_mm')
    sides = [f'{side}_{name}' for side in ('left', 'right') for name in GOLDEN]
    assert (*sides, *both) == MEASUREMENT_NAMES
    assert {row.name for row in CLINICAL_PARAMETERS} <= set(GOLDEN)


@pytest.mark.parametrize('side', ['left', 'right'])
@pytest.mark.parametrize('name, value', GOLDEN.items())
def test_the_golden_hip_on_both_sides(side, name, value):
    measurements = measure(golden_points(), ALL, ONE_MM)
    assert measurements[f'{side}_{name}'].value == pytest.approx(value, abs=1e-3)
    assert measurements[f'{side}_{name}'].reason is None
    assert measurements.reference_line == '8L-8R'


def test_an_even_pelvis_is_level_and_its_legs_are_of_one_length():
    measurements = measure(golden_points(), ALL, ONE_MM)
    assert measurements['pelvic_obliquity_deg'].value == 0
    assert measurements['gt_leg_length_difference_mm'].value == 0
    assert not np.signbit(measurements.values[-2:]).any()


def test_left_equals_right():
    measurements = measure(
        golden_points(), ALL, ONE_MM, covariances_px=np.tile(np.eye(2), (24, 1, 1))
    )
    for name in GOLDEN:
        left, right = measurements[f'left_{name}'], measurements[f'right_{name}']
        assert left.value == pytest.approx(right.value, abs=1e-9)
        assert left.standard_error == pytest.approx(right.standard_error, rel=1e-6)


def test_exchanging_the_sides_of_an_uneven_pelvis_exchanges_the_values():
    points = uneven_points()
    swapped = (np.roll(points, 12, axis=0) - [215, 0]) * [-1, 1] + [215, 0]
    first, second = measure(points, ALL, ONE_MM), measure(swapped, ALL, ONE_MM)
    for name in GOLDEN:
        assert second[f'left_{name}'].value == pytest.approx(first[f'right_{name}'].value)
        assert second[f'right_{name}'].value == pytest.approx(first[f'left_{name}'].value)
    for name in MEASUREMENT_NAMES[-2:]:
        assert second[name].value == pytest.approx(-first[name].value)


# Symmetries


@pytest.mark.parametrize('degrees', [7, -7, 90, 180])
@pytest.mark.parametrize('points', [golden_points(), uneven_points()], ids=['golden', 'uneven'])
def test_turning_and_shifting_the_image_changes_only_the_obliquity(points, degrees):
    before = measure(points, ALL, ONE_MM)
    after = measure(turn(points, degrees, shift=(31.0, -12.0)), ALL, ONE_MM)
    assert values_but(after, 'pelvic_obliquity_deg') == pytest.approx(
        values_but(before, 'pelvic_obliquity_deg'), abs=1e-9
    )
    if abs(degrees) == 7:
        change = after['pelvic_obliquity_deg'].value - before['pelvic_obliquity_deg'].value
        # Clockwise on the display lowers the image's right, the patient's left.
        assert change == pytest.approx(-degrees)


@pytest.mark.parametrize('points', [golden_points(), uneven_points()], ids=['golden', 'uneven'])
def test_a_mirrored_display_with_its_labels_kept_is_harmless(points):
    before = measure(points, ALL, ONE_MM)
    after = measure(points * [-1, 1] + [500, 0], ALL, ONE_MM)
    assert after.values == pytest.approx(before.values, abs=1e-9)


def test_pixels_that_are_not_square_change_nothing():
    before = measure(uneven_points(), ALL, ONE_MM)
    after = measure(uneven_points() / [0.143, 0.15], ALL, (0.143, 0.15))
    assert after.values == pytest.approx(before.values, abs=1e-9)


def test_covariances_are_brought_to_mm_along_each_axis_too():
    spacing, cov = np.array([0.143, 0.3]), covariances()
    before = measure(uneven_points(), ALL, ONE_MM, covariances_px=cov)
    in_px = cov / spacing[:, None] / spacing
    after = measure(uneven_points() / spacing, ALL, spacing, covariances_px=in_px)
    assert after.standard_errors == pytest.approx(before.standard_errors, rel=1e-6)


def test_treating_them_as_square_would():
    wrong = measure(golden_points() / [0.143, 0.15], ALL, (0.143, 0.143))
    assert wrong['left_center_edge_angle_deg'].value != pytest.approx(32.856, abs=0.5)


@pytest.mark.parametrize('factor', [0.8, 1.15, 1.21])
def test_magnification_divides_lengths_and_leaves_angles(factor):
    arguments = {'covariances_px': covariances()}
    at_detector = measure(uneven_points(), ALL, (0.7, 0.8), **arguments)
    at_bone = measure(uneven_points(), ALL, (0.7, 0.8), magnification=factor, **arguments)
    for name in MEASUREMENT_NAMES:
        divisor = factor if name.endswith('_mm') else 1.0
        assert at_bone[name].value == pytest.approx(at_detector[name].value / divisor)
        wide = at_detector[name].standard_error
        assert at_bone[name].standard_error == pytest.approx(wide / divisor, rel=1e-6)


def test_twice_the_spacing_gives_twice_the_lengths():
    once, twice = (measure(uneven_points(), ALL, (s, s)) for s in (0.5, 1.0))
    for name in MEASUREMENT_NAMES:
        factor = 2.0 if name.endswith('_mm') else 1.0
        assert twice[name].value == pytest.approx(factor * once[name].value)


def test_one_side_alone_is_measured_along_the_image_and_on_any_display():
    points, right = golden_points(), np.arange(24) >= 12
    standard = measure(points, right, ONE_MM)
    assert standard.reference_line == 'image axes'
    for name, value in GOLDEN.items():
        assert standard[f'right_{name}'].value == pytest.approx(value, abs=1e-3)
        assert standard[f'left_{name}'].value is None
    for moved in (points * [-1, 1] + [500, 0], turn(points, 180), points * [1, -1] + [0, 500]):
        again = measure(moved, right, ONE_MM)
        assert again.values == pytest.approx(standard.values, nan_ok=True, abs=1e-9)


# Signs


def moved(**shifts):
    points = golden_points()
    for name, shift in shifts.items():
        side, number = name.split('_')
        points[index(side, int(number))] += shift
    return measure(points, ALL, ONE_MM)


@pytest.mark.parametrize(
    'landmark, shift, name, sign',
    [  # the patient's left: lateral is +x, up is -y
        ('left_3', (5, 0), 'left_center_edge_angle_deg', 1),
        ('left_3', (0, -5), 'left_sharp_angle_deg', 1),
        ('left_3', (0, -5), 'left_acetabular_index_roof_deg', 1),
        ('left_6', (5, 0), 'left_acetabular_offset_mm', 1),
        ('left_6', (5, 0), 'left_koehler_head_mm', 1),
        ('left_8', (5, 0), 'left_koehler_teardrop_mm', 1),
        ('left_1', (5, 0), 'left_koehler_angle_deg', 1),
        ('left_6', (0, -5), 'left_hip_center_height_mm', 1),
        ('left_5', (0, -5), 'left_skinner_height_mm', 1),
        ('left_6', (-5, 0), 'left_femoral_offset_mm', 1),
        ('left_12', (5, 0), 'left_shaft_abduction_deg', 1),
        ('left_8', (0, -5), 'pelvic_obliquity_deg', 1),
        ('left_7', (0, -5), 'gt_leg_length_difference_mm', 1),
        ('right_7', (0, -5), 'gt_leg_length_difference_mm', -1),
        ('right_3', (-5, 0), 'right_center_edge_angle_deg', 1),
        ('right_12', (-5, 0), 'right_shaft_abduction_deg', 1),
    ],
)
def test_moving_a_landmark_moves_the_value_the_right_way(landmark, shift, name, sign):
    before = measure(golden_points(), ALL, ONE_MM)[name].value
    assert sign * (moved(**{landmark: shift})[name].value - before) > 1


def test_a_head_lateral_to_the_shaft_has_a_negative_offset():
    far = {'left_6': (100, 0)}
    assert moved(**far)['left_femoral_offset_mm'].value < -50
    assert moved(right_6=(-100, 0))['right_femoral_offset_mm'].value < -50


def test_a_trochanter_tip_that_lies_higher_by_4_mm_differs_by_4_mm():
    found = moved(left_7=(0, -4))['gt_leg_length_difference_mm']
    assert (found.value, found.side, found.unit) == (pytest.approx(4), None, 'mm')


def test_an_upright_shaft_is_measured_like_any_other():
    points = golden_points()
    points[index('right', 11)] = (95, 270)
    points[index('right', 12)] = (95, 350)
    measurements = measure(points, ALL, ONE_MM)
    assert measurements['right_shaft_abduction_deg'].value == pytest.approx(0)
    assert measurements['right_femoral_offset_mm'].value == pytest.approx(128.5 - 95)
    # P6-P10 = (23.5, -22) against straight down.
    expected = 180 - np.degrees(np.arctan2(23.5, 22))
    assert measurements['right_neck_shaft_angle_deg'].value == pytest.approx(expected)
    assert measurements['right_skinner_distance_mm'].value == pytest.approx(
        np.hypot(144 - 95, 198 - 193)
    )


# Absent landmarks


@pytest.mark.parametrize('name', LANDMARK_NAMES)
def test_an_absent_landmark_takes_away_exactly_what_needs_it(name):
    side, number = name.split('_')[0], LANDMARK_NAMES.index(name) % 12 + 1
    points = golden_points()
    points[LANDMARK_NAMES.index(name)] = np.inf  # must not be read
    whole = measure(golden_points(), ALL, ONE_MM)
    measurements = measure(points, without(name), ONE_MM)
    for measurement in MEASUREMENT_NAMES:
        own_side, output = split_side(measurement)
        if number in NEEDS[output] and own_side in (side, None):
            assert measurements[measurement].value is None
            assert measurements[measurement].reason == f'{name} is absent'
        else:  # every reference line of the golden hip is level: the next one changes nothing
            assert measurements[measurement].value == pytest.approx(whole[measurement].value)
            assert measurements[measurement].reason is None
    assert measurements.reference_line == ('9L-9R' if number == 8 else '8L-8R')


def test_all_absent_landmarks_are_named():
    measurements = measure(
        golden_points(), without('left_fovea', 'left_greater_trochanter_tip'), ONE_MM
    )
    assert measurements['left_skinner_height_mm'].reason == (
        'left_fovea and left_greater_trochanter_tip are absent'
    )
    gone = without('left_femoral_shaft_distal_midpoint', 'left_femoral_head_center',
                   'left_femoral_shaft_proximal_midpoint')  # fmt: skip
    assert measure(golden_points(), gone, ONE_MM)['left_femoral_offset_mm'].reason == (
        'left_femoral_head_center, left_femoral_shaft_proximal_midpoint and '
        'left_femoral_shaft_distal_midpoint are absent'
    )


def test_nothing_at_all_is_nan_with_reasons():
    measurements = measure(np.zeros((24, 2)), ~ALL, ONE_MM)
    assert np.isnan(measurements.values).all() and np.isnan(measurements.standard_errors).all()
    assert all('absent' in reason for reason in measurements.reasons)
    assert measurements.reference_line == 'image axes'


@pytest.mark.parametrize('rank', range(6))
def test_the_next_reference_line_is_used_and_named(rank):
    numbers = (8, 9, 6, 2, 1)
    present = ALL.copy()
    # Take each line away on one side only; the left head is needed for the angle itself.
    for number in numbers[:rank]:
        present[index('right', number)] = False
    points = golden_points()
    tilts = np.full(5, 0.0)
    for place, number in enumerate(numbers):  # each line has a slope of its own
        width = points[index('left', number), 0] - points[index('right', number), 0]
        tilts[place] = 2.0 + place
        points[index('right', number), 1] += width * np.tan(np.radians(tilts[place]))
    measurements = measure(points, present, ONE_MM)
    assert measurements.reference_line == REFERENCE_LINES[rank]
    # ex rises towards the left: its perpendicular leans medially, and the edge lies more lateral.
    expected = 32.856 + (tilts[rank] if rank < 5 else 0.0)
    assert measurements['left_center_edge_angle_deg'].value == pytest.approx(expected, abs=1e-3)


def test_teardrops_at_one_place_are_no_reference_line():
    points = golden_points()
    points[index('left', 8)] = points[index('right', 8)] + [0.0, 0.5]
    measurements = measure(points, ALL, ONE_MM)
    assert measurements.reference_line == '9L-9R'
    assert measurements['pelvic_obliquity_deg'].value is None
    assert measurements['pelvic_obliquity_deg'].reason == (
        'the vector between left_teardrop_lower_edge and right_teardrop_lower_edge is 0.50 mm '
        'long, shorter than 1 mm'
    )
    assert measurements['right_center_edge_angle_deg'].value == pytest.approx(32.856, abs=1e-3)


def test_the_acetabular_index_is_read_against_both_y_cartilages_or_else_the_frame():
    names = [f'left_acetabular_index_{kind}_deg' for kind in ('roof', 'hilgenreiner')]
    points = golden_points()
    points[index('right', 2), 1] += 124 * np.tan(np.radians(6))
    tilted = measure(points, ALL, ONE_MM)
    for name, level in zip(names, (5.356, 21.801), strict=True):
        assert tilted[name].value == pytest.approx(level - 6, abs=1e-3)
        alone = measure(points, without('right_y_cartilage_center'), ONE_MM)
        assert alone[name].value == pytest.approx(level, abs=1e-3)
    # The rest is read in the frame of the teardrops all the time.
    assert tilted['left_sharp_angle_deg'].value == pytest.approx(43.025, abs=1e-3)
    mirrored = measure(points * [-1, 1], ALL, ONE_MM)
    assert mirrored[names[0]].value == pytest.approx(tilted[names[0]].value)


# Vectors without a length


@pytest.mark.parametrize(
    'number, at, lost',
    [
        (3, 6, {'center_edge_angle_deg'}),
        (3, 8, {'sharp_angle_deg'}),
        (4, 3, {'acetabular_index_roof_deg'}),
        (2, 3, {'acetabular_index_hilgenreiner_deg'}),
        (10, 6, {'neck_shaft_angle_deg'}),
        (5, 7, {'skinner_height_mm'}),
        (6, 8, {'acetabular_offset_mm', 'hip_center_height_mm', 'global_offset_mm'}),
        (1, 9, {'koehler_angle_deg', 'koehler_head_mm', 'koehler_teardrop_mm'}),
        (7, 8, {'gt_leg_length_difference_mm'}),
        (11, 12, {'skinner_height_mm', 'skinner_distance_mm', 'neck_shaft_angle_deg',
                  'femoral_offset_mm', 'global_offset_mm', 'shaft_abduction_deg'}),
    ],
)  # fmt: skip
def test_landmarks_at_one_place_have_no_direction(number, at, lost):
    points = golden_points()
    points[index('right', number)] = points[index('right', at)]
    measurements = measure(points, ALL, ONE_MM, covariances_px=covariances())
    unmeasured = {name for name in measurements if measurements[name].value is None}
    assert {split_side(name)[1] for name in unmeasured} == lost
    assert all(split_side(name)[0] != 'left' for name in unmeasured)
    for name in unmeasured:
        assert LANDMARK_NAMES[index('right', number)] in measurements[name].reason
        assert LANDMARK_NAMES[index('right', at)] in measurements[name].reason
        assert 'shorter than 1 mm' in measurements[name].reason
        assert measurements[name].standard_error is None


@pytest.mark.parametrize('size, known', [(0.99, False), (1.01, True)])
def test_the_limit_is_one_mm_in_the_patient(size, known):
    points = golden_points()
    points[index('left', 3)] = points[index('left', 6)] + [0, -size * 1.2]
    found = measure(points, ALL, ONE_MM, magnification=1.2)['left_center_edge_angle_deg']
    assert (found.value is not None) == known == (found.reason is None)


def test_a_fovea_on_the_foot_of_the_tip_has_no_distance():
    points = golden_points()
    shaft = points[index('left', 11)] - points[index('left', 12)]
    shaft /= np.hypot(*shaft)
    tip = points[index('left', 7)]
    foot = points[index('left', 12)] + (tip - points[index('left', 12)]) @ shaft * shaft
    points[index('left', 5)] = foot
    measurements = measure(points, ALL, ONE_MM)
    assert measurements['left_skinner_distance_mm'].value is None
    assert 'foot of left_greater_trochanter_tip' in measurements['left_skinner_distance_mm'].reason


def test_a_head_on_the_shaft_axis_has_an_offset_of_nothing_and_it_is_a_value():
    points = golden_points()
    points[index('left', 11)] = points[index('left', 6)] + [2, 70]
    points[index('left', 12)] = points[index('left', 6)] + [4, 140]
    found = measure(points, ALL, ONE_MM)['left_femoral_offset_mm']
    assert found.value == pytest.approx(0, abs=1e-9) and found.reason is None


# Standard errors


def sampled(points, present, spacing, cov, count=20_000, seed=1):
    """Measure many draws of the landmarks."""
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(cov)
    noise = np.einsum('kij,nkj->nki', root, rng.normal(size=(count, 24, 2)))
    return measure_many(points + noise, np.tile(present, (count, 1)), spacing)[0]


@pytest.mark.parametrize(
    'gone', [(), ('left_teardrop_lower_edge', 'right_y_cartilage_center')], ids=['all', 'fallback']
)
def test_standard_errors_agree_with_the_spread_of_many_draws(gone):
    spacing, present = (0.6, 0.9), without(*gone)
    points, cov = uneven_points() / spacing, covariances(size=0.4)
    measurements = measure(points, present, spacing, covariances_px=cov)
    values = sampled(points, present, spacing, cov)
    measured = np.isfinite(measurements.values)
    assert (np.isfinite(values) == measured).all()
    spread = values[:, measured].std(axis=0)
    assert measurements.standard_errors[measured] == pytest.approx(spread, rel=0.03)
    assert (spread > 0.05).all()
    assert values[:, measured].mean(axis=0) == pytest.approx(measurements.values[measured], abs=0.1)


@pytest.mark.parametrize('number, side', [(8, 'left'), (8, 'right')])
def test_the_ends_of_the_reference_line_count(number, side):
    only = np.zeros((24, 2, 2))
    only[index(side, number)] = np.diag([0.0, 1.0])  # 1 mm up and down
    measurements = measure(golden_points(), ALL, ONE_MM, covariances_px=only)
    turned = np.degrees(1 / 114)  # over the distance of the teardrops
    for name in ('left_center_edge_angle_deg', 'right_koehler_angle_deg', 'pelvic_obliquity_deg'):
        assert measurements[name].standard_error == pytest.approx(turned, rel=1e-4)
    assert measurements['left_neck_shaft_angle_deg'].standard_error == 0
    assert measurements['left_acetabular_index_roof_deg'].standard_error == pytest.approx(
        0, abs=1e-9
    )


def test_a_landmark_that_two_parts_share_is_counted_once_with_both():
    # The head centre moves both offsets against each other: along a level shaft normal they cancel.
    points = golden_points()
    points[index('left', 12)] = points[index('left', 11)] + [0, 80]
    only = np.zeros((24, 2, 2))
    only[index('left', 6)] = np.eye(2)
    measurements = measure(points, ALL, ONE_MM, covariances_px=only)
    assert measurements['left_femoral_offset_mm'].standard_error == pytest.approx(1)
    assert measurements['left_acetabular_offset_mm'].standard_error == pytest.approx(1)
    assert measurements['left_global_offset_mm'].standard_error == pytest.approx(0, abs=1e-6)


def test_turning_everything_keeps_the_standard_errors():
    c, s = np.cos(np.radians(7)), np.sin(np.radians(7))
    rotation = np.array([[c, -s], [s, c]])
    points, cov = uneven_points(), covariances()
    before = measure(points, ALL, ONE_MM, covariances_px=cov)
    after = measure(turn(points, 7), ALL, ONE_MM, covariances_px=rotation @ cov @ rotation.T)
    assert after.standard_errors == pytest.approx(before.standard_errors, rel=1e-5)


def test_an_angle_at_the_seam_has_an_ordinary_standard_error():
    points = golden_points()
    points[index('left', 3)] = points[index('left', 6)] + [1e-7, 30]  # straight below: 180 deg
    only = np.zeros((24, 2, 2))
    only[index('left', 3)] = np.eye(2)
    found = measure(points, ALL, ONE_MM, covariances_px=only)['left_center_edge_angle_deg']
    assert abs(found.value) == pytest.approx(180, abs=1e-5)
    assert found.standard_error == pytest.approx(np.degrees(1 / 30), rel=1e-4)


def test_a_straight_neck_is_not_certain():
    points = golden_points()
    shaft = points[index('left', 11)] - points[index('left', 12)]
    points[index('left', 6)] = points[index('left', 10)] + 0.4 * shaft
    only = np.zeros((24, 2, 2))
    only[index('left', 6)] = np.eye(2)
    found = measure(points, ALL, ONE_MM, covariances_px=only)['left_neck_shaft_angle_deg']
    assert found.value == pytest.approx(180)
    assert found.standard_error == pytest.approx(np.degrees(1 / (0.4 * np.hypot(*shaft))), rel=1e-4)


@pytest.mark.parametrize('side, sign', [('left', 1), ('right', -1)])
def test_the_neck_shaft_angle_is_never_negative(side, sign):
    for points in (golden_points(), golden_points() * [-1, 1], turn(golden_points(), 180)):
        assert measure(points, ALL, ONE_MM)[f'{side}_neck_shaft_angle_deg'].value > 0


def test_without_covariances_no_standard_error_is_claimed():
    assert np.isnan(measure(golden_points(), ALL, ONE_MM).standard_errors).all()


def test_an_unknown_covariance_hides_only_what_it_touches():
    cov = covariances()
    known = measure(uneven_points(), ALL, ONE_MM, covariances_px=cov)
    cov[index('left', 5)] = np.nan
    measurements = measure(uneven_points(), ALL, ONE_MM, covariances_px=cov)
    for name in MEASUREMENT_NAMES:
        if name.startswith('left_skinner'):
            assert (
                measurements[name].standard_error is None and measurements[name].value is not None
            )
        else:
            assert measurements[name].standard_error == known[name].standard_error
    cov[index('left', 8)] = np.nan  # carries the frame
    measurements = measure(uneven_points(), ALL, ONE_MM, covariances_px=cov)
    assert measurements['right_center_edge_angle_deg'].standard_error is None
    assert measurements['right_neck_shaft_angle_deg'].standard_error > 0


def test_the_covariance_of_an_absent_landmark_is_not_read():
    cov = covariances()
    cov[index('left', 5)] = np.inf
    measurements = measure(uneven_points(), without('left_fovea'), ONE_MM, covariances_px=cov)
    assert np.isfinite(measurements.standard_errors).sum() == len(MEASUREMENT_NAMES) - 2


# Many images


def test_many_images_are_measured_like_each_of_them():
    rng = np.random.default_rng(2)
    count = 140  # more than one chunk
    points = np.stack([uneven_points(seed) for seed in range(count)]) / 0.7
    present = rng.random((count, 24)) < 0.93
    spacing, factor = rng.uniform(0.5, 0.9, (count, 2)), rng.uniform(1, 1.2, count)
    cov = np.stack([covariances(seed) for seed in range(count)])
    values, errors = measure_many(points, present, spacing, cov, factor)
    assert values.shape == errors.shape == (count, len(MEASUREMENT_NAMES))
    for i in (0, 1, 60, 127, 128, 139):
        measurements = measure(
            points[i], present[i], spacing[i], covariances_px=cov[i], magnification=factor[i]
        )
        assert values[i] == pytest.approx(measurements.values, nan_ok=True, abs=1e-9)
        assert errors[i] == pytest.approx(measurements.standard_errors, nan_ok=True, abs=1e-7)
        assert [reason is not None for reason in measurements.reasons] == np.isnan(
            values[i]
        ).tolist()


def test_no_image_gives_empty_arrays():
    nothing = (np.zeros((0, 24, 2)), np.zeros((0, 24), bool), np.ones((0, 2)))
    for cov in (None, np.zeros((0, 24, 2, 2))):
        values, errors = measure_many(*nothing, cov)
        assert values.shape == errors.shape == (0, len(MEASUREMENT_NAMES))


def test_nothing_is_changed_that_was_given():
    arrays = (uneven_points(), without('left_fovea'), np.array([0.7, 0.8]), covariances())
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    measure(*arrays[:3], covariances_px=arrays[3], magnification=1.1)
    measure_many(*(array[None] for array in arrays), np.array([1.1]))
    assert all((a == b).all() for a, b in zip(arrays, before, strict=True))


def test_the_result_cannot_be_changed():
    measurements = measure(golden_points(), ALL, ONE_MM)
    with pytest.raises(ValueError, match='read-only'):
        measurements.values[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        measurements.reference_line = 'image axes'


def test_the_result_is_read_by_name():
    measurements = measure(golden_points(), ALL, ONE_MM, covariances_px=covariances())
    assert list(measurements) == list(MEASUREMENT_NAMES) and len(measurements) == 32
    angle = measurements['right_sharp_angle_deg']
    place = MEASUREMENT_NAMES.index('right_sharp_angle_deg')
    assert angle == Measurement('right_sharp_angle_deg', measurements.values[place],
                              standard_error=measurements.standard_errors[place])  # fmt: skip
    assert (angle.side, angle.unit) == ('right', 'deg')
    assert measurements['pelvic_obliquity_deg'].side is None
    with pytest.raises(KeyError, match=r"'alpha_angle_deg'.*left_skinner_height_mm"):
        measurements['alpha_angle_deg']


# Wrong arguments


@pytest.mark.parametrize(
    'change, words',
    [
        ({'points_px': np.zeros((23, 2))}, r'\(24, 2\) landmarks, got \(23, 2\)'),
        ({'present': np.ones(23, bool)}, r'24 for each image, got bool \(23,\)'),
        ({'present': np.ones(24)}, 'must be boolean'),
        ({'spacing_xy_mm': (0.1, 0.0)}, 'spacing_xy_mm must be positive'),
        ({'spacing_xy_mm': (0.1,)}, 'two numbers'),
        ({'magnification': 0.0}, 'magnification must be positive'),
        ({'magnification': (1.0, 1.1)}, 'one number'),
        ({'covariances_px': np.zeros((24, 2))}, r'must be \(24, 2, 2\)'),
    ],
)
def test_wrong_arguments_are_refused(change, words):
    right = {'points_px': golden_points(), 'present': ALL, 'spacing_xy_mm': ONE_MM}
    arguments = right | change
    with pytest.raises(ValueError, match=words):
        measure(arguments.pop('points_px'), arguments.pop('present'),
                arguments.pop('spacing_xy_mm'), **arguments)  # fmt: skip


def test_a_present_landmark_must_be_somewhere():
    points = golden_points()
    points[4, 1] = np.nan
    with pytest.raises(ValueError, match=r'left_fovea of image 0 is present at .*mark it absent'):
        measure(points, ALL, ONE_MM)


@pytest.mark.parametrize(
    'wrong',
    [[[-1, 0], [0, 1]], [[1, 0.5], [0.4, 1]], [[1, 2], [2, 1]], [[np.inf, 0], [0, 1]]],
    ids=['negative', 'lopsided', 'no ellipse', 'infinite'],
)
def test_a_covariance_must_be_one(wrong):
    cov = covariances()
    cov[4] = wrong
    with pytest.raises(ValueError, match='left_fovea of image 0 has the covariance'):
        measure(golden_points(), ALL, ONE_MM, covariances_px=cov)


# Intervals and words


def test_an_interval_reaches_equally_far_to_both_sides():
    low, high = interval([10.0, 20.0], [1.0, np.nan], 2.0)
    assert low[0] == 8 and high[0] == 12 and np.isnan([low[1], high[1]]).all()
    assert interval(3.0, 1.0)[1] == pytest.approx(4.96)
    with pytest.raises(ValueError, match='scale'):
        interval(1.0, 1.0, -1.0)
    with pytest.raises(ValueError, match='standard error'):
        interval(1.0, -1.0)


@pytest.mark.parametrize(
    'name, value, words',
    [
        ('center_edge_angle_deg', 25.0, 'within usual range 25 to 39 deg (Toennis & Heinecke); '
                                        '20 to 25 deg (Wiberg)'),
        ('left_center_edge_angle_deg', 45.0, 'above usual range 25 to 39 deg (Toennis & Heinecke); '
                                             'above 44 deg (Toennis & Heinecke)'),
        ('right_sharp_angle_deg', 40.0, 'above usual range 33 to 38 deg (Sharp)'),
        ('skinner_distance_mm', 39.0, 'below usual range 40 to 50 mm (Skinner)'),
        ('skinner_height_mm', 3.0, 'no reference range'),
        ('left_acetabular_index_hilgenreiner_deg', 21.8, 'no reference range'),
        ('left_acetabular_index_roof_deg', 11.0, 'within usual range 3 to 13 deg (Toennis & '
                                                 'Heinecke); above 10 deg (Toennis & Heinecke)'),
        ('femoral_offset_mm', float('nan'), 'not measured'),
        ('femoral_offset_mm', None, 'not measured'),
    ],
)  # fmt: skip
def test_a_value_is_placed_in_neutral_words(name, value, words):
    assert reference_label(name, value) == words


@pytest.mark.parametrize('name', MEASUREMENT_NAMES)
def test_no_label_names_a_disease(name):
    for value in np.arange(-30.0, 200.0, 0.5):
        label = reference_label(name, value)
        assert label.startswith(('within usual', 'below usual', 'above usual', 'no reference'))
        for word in ('dysplasia', 'coxa', 'protrusio', 'borderline', 'steep', 'normal', 'fracture'):
            assert word not in label.lower()


def test_an_unknown_name_has_no_label():
    with pytest.raises(KeyError, match=r"'left_alpha_angle_deg'; known"):
        reference_label('left_alpha_angle_deg', 1.0)


def test_correlated_errors_are_propagated_as_drawn_ones_spread():
    rng = np.random.default_rng(40)
    points, cov = uneven_points(), covariances(seed=3)
    loose = rng.normal(size=(48, 48))
    together = loose @ loose.T + 8 * np.eye(48)
    size = np.sqrt(np.diag(together))
    together = together / size[:, None] / size
    measurements = measure(points, ALL, ONE_MM, covariances_px=cov, error_correlation=together)
    drawn = (np.linalg.cholesky(together) @ rng.normal(size=(48, 20_000))).T.reshape(-1, 24, 2)
    moved = points + (symmetric_root(cov) @ drawn[..., None])[..., 0]
    values, _ = measure_many(moved, np.tile(ALL, (len(moved), 1)), ONE_MM)
    np.testing.assert_allclose(measurements.standard_errors, values.std(axis=0), rtol=0.06)
    alone = measure(points, ALL, ONE_MM, covariances_px=cov)
    assert np.abs(measurements.standard_errors / alone.standard_errors - 1).max() > 0.1


def test_errors_without_correlation_are_independent():
    cov = covariances(seed=4)
    plain = measure(uneven_points(), ALL, ONE_MM, covariances_px=cov)
    unit = measure(uneven_points(), ALL, ONE_MM, covariances_px=cov, error_correlation=np.eye(48))
    np.testing.assert_allclose(unit.standard_errors, plain.standard_errors, rtol=1e-9)


def test_a_common_shift_of_all_landmarks_moves_no_distance():
    cov = np.tile(np.eye(2), (24, 1, 1))
    shift = np.kron(np.ones((24, 24)), np.eye(2))
    measurements = measure(
        uneven_points(), ALL, ONE_MM, covariances_px=cov, error_correlation=shift
    )
    assert np.abs(measurements.standard_errors).max() < 1e-3


def test_a_correlation_of_another_size_is_refused():
    with pytest.raises(ValueError, match='error_correlation'):
        measure(golden_points(), ALL, ONE_MM, error_correlation=np.eye(24))


def test_slopes_propagate_what_measuring_does():
    rng = np.random.default_rng(41)
    points = uneven_points() + rng.normal(0, 1, (3, 24, 2))
    present = rng.random((3, 24)) < 0.9
    spacing, magnification = np.array([[0.5, 0.6], [0.7, 0.5], [1.0, 1.0]]), np.array([1.1, 1.2, 1])
    cov = np.stack([covariances(seed=seed) for seed in (5, 6, 7)])
    loose = rng.normal(size=(48, 48))
    together = loose @ loose.T
    together /= np.sqrt(np.outer(np.diag(together), np.diag(together)))
    slopes = slopes_many(points, present, spacing, magnification)
    for correlation in (None, together):
        values, errors = measure_many(points, present, spacing, cov, magnification, correlation)
        np.testing.assert_array_equal(slopes.values, values)
        found = slopes.standard_errors(cov, correlation)
        np.testing.assert_allclose(found, errors, rtol=1e-9, atol=1e-12)
    assert slopes_many(points[:0], present[:0], spacing[:0]).values.shape == (0, values.shape[1])
