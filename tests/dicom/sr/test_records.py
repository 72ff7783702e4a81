import math
from dataclasses import replace

import pytest

from unsct_mmpose.anatomy import (
    LANDMARK_NAMES,
    MEASUREMENT_NAMES,
    LandmarkEstimate,
    Measurement,
)
from unsct_mmpose.dicom.sr.records import check_landmarks, check_measurements

LANDMARKS = [LandmarkEstimate(name, 1.0, 2.0) for name in LANDMARK_NAMES]
ANGLE = Measurement('left_sharp_angle_deg', 40.0, 37.0, 42.0, 1.2)


def test_every_measurement_of_the_package_may_be_reported():
    for name in MEASUREMENT_NAMES:
        one = Measurement(name, 1.0)
        check_measurements([one], LANDMARKS)
        needed = one.landmarks
        for missing in needed:
            rest = [other for other in LANDMARKS if other.name != missing]
            with pytest.raises(ValueError, match=f'{name}: it has a value, but {missing}'):
                check_measurements([one], rest)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(name='left_sharpness_deg'), 'unknown measurement'),
        (dict(name='left_pelvic_obliquity_deg'), 'unknown measurement'),
        (dict(name='sharp_angle_deg'), 'unknown measurement'),
        (dict(name='left_sharp_angle_mm'), 'unknown measurement'),
        (dict(value=None), 'give it a reason'),
        (dict(value=math.nan), 'give it a reason'),
        (dict(value=math.inf, reason='too far'), 'value is inf'),
        (dict(reason='absent'), 'a value and a reason'),
        (dict(low=41.0), 'must enclose'),
        (dict(high=39.0), 'must enclose'),
        (dict(high=None), 'must enclose'),
        (dict(high=math.nan), 'must enclose'),
        (dict(high=math.inf), 'must enclose'),
        (dict(standard_error=-1.0), 'standard_error'),
        (dict(standard_error=math.inf), 'standard_error'),
        (dict(reference_line='8L-9R'), 'reference_line'),
    ],
)
def test_a_measurement_that_cannot_be_true_is_refused(changes, message):
    check_measurements([ANGLE], LANDMARKS)
    with pytest.raises(ValueError, match=message):
        check_measurements([replace(ANGLE, **changes)], LANDMARKS)


def test_a_value_needs_the_ends_of_its_reference_line():
    given = replace(ANGLE, reference_line='9L-9R')
    rest = [landmark for landmark in LANDMARKS if landmark.name != 'right_ischium_bottom']
    check_measurements([ANGLE], rest)
    with pytest.raises(ValueError, match='right_ischium_bottom is not reported'):
        check_measurements([given], rest)


def test_a_name_is_given_once():
    with pytest.raises(ValueError, match='left_fovea is there twice'):
        check_landmarks([LandmarkEstimate('left_fovea', 1.0, 1.0)] * 2, (10, 10))
    with pytest.raises(ValueError, match='left_sharp_angle_deg is there twice'):
        check_measurements([ANGLE, ANGLE], LANDMARKS)


@pytest.mark.parametrize(
    ('landmark', 'message'),
    [
        (LandmarkEstimate('fovea', 1.0, 1.0), 'unknown landmark'),
        (LandmarkEstimate('left_fovea'), 'x is nan'),
        (LandmarkEstimate('left_fovea', -0.6, 0.0), 'x is -0.6, outside'),
        (LandmarkEstimate('left_fovea', 9.6, 0.0), 'x is 9.6, outside'),
        (LandmarkEstimate('left_fovea', 0.0, 5.6), 'y is 5.6, outside'),
        (LandmarkEstimate('left_fovea', 1.0, 1.0, presence=1.5), 'presence'),
        (LandmarkEstimate('left_fovea', 1.0, 1.0, presence=math.nan), 'presence'),
    ],
)
def test_a_landmark_that_cannot_be_true_is_refused(landmark, message):
    with pytest.raises(ValueError, match=message):
        check_landmarks([landmark], (10, 6))


def test_the_place_of_a_landmark_that_is_not_reported_is_not_looked_at():
    check_landmarks([LandmarkEstimate('left_fovea', -100.0, math.nan, reported=False)], (10, 6))
