"""What a structured report must not say: landmarks and measurements are checked before."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from unsct_mmpose.anatomy import (
    LANDMARK_NAMES,
    MEASUREMENT_NAMES,
    SIDES,
    LandmarkEstimate,
    Measurement,
    side_index,
)
from unsct_mmpose.anatomy.parameters import REFERENCE_LINES, line_landmark

PIXEL_CENTRE = 0.5
"""DICOM counts from the corner of the first pixel, we from its centre (PS3.3, C.18.6)."""


@dataclass(frozen=True)
class Algorithm:
    """What found the landmarks.

    Attributes:
        name: of the model or program.
        version: of the program.
        model_hash: hash of the weights; empty when there are none.
        calibration_hash: hash of the calibration; empty when there is none.
        parameters: anything else, one sentence each.
    """

    name: str
    version: str
    model_hash: str = ''
    calibration_hash: str = ''
    parameters: tuple[str, ...] = ()


def check_landmarks(landmarks: Sequence[LandmarkEstimate], size_wh: tuple[int, int]) -> None:
    """Refuse landmarks that a report on an image of this width and height must not hold.

    Raises:
        ValueError: a name is unknown or twice there, a probability is none, or a reported landmark
            has no place in the image.
    """
    _check_names([landmark.name for landmark in landmarks], LANDMARK_NAMES, 'landmark')
    for landmark in landmarks:
        name, presence = landmark.name, landmark.presence
        if presence is not None and not 0 <= presence <= 1:
            raise ValueError(f'{name}: presence, a probability, must lie in [0, 1], not {presence}')
        if not landmark.reported:
            continue
        # PS3.3, C.18.6: coordinates from 0 to Columns and Rows; ours are half a pixel less.
        for axis, value, size in (('x', landmark.x, size_wh[0]), ('y', landmark.y, size_wh[1])):
            if not -0.5 <= value <= size - 0.5:
                raise ValueError(
                    f'{name}: {axis} is {value}, outside of the image (-0.5 to {size - 0.5}); '
                    'correct it or set reported=False'
                )


def check_measurements(
    measurements: Sequence[Measurement], landmarks: Sequence[LandmarkEstimate]
) -> None:
    """Refuse measurements that contradict themselves or the landmarks.

    Raises:
        ValueError: a name is unknown or twice there, there is neither a value nor a reason (or
            both), an interval does not hold its value, or a value rests on a landmark that is not
            reported.
    """
    names = [measurement.name for measurement in measurements]
    _check_names(names, MEASUREMENT_NAMES, 'measurement')
    reported = {landmark.name for landmark in landmarks if landmark.reported}
    for measurement in measurements:
        name, value, reason = measurement.name, measurement.value, measurement.reason
        line = measurement.reference_line
        if line is not None and line not in REFERENCE_LINES:
            raise ValueError(
                f'{name}: reference_line must be one of {REFERENCE_LINES}, not {line!r}'
            )
        if value is None:
            if not reason:
                raise ValueError(f'{name}: it has no value; give it a reason')
            continue
        if not math.isfinite(value):
            raise ValueError(f'{name}: value is {value}; give it a reason, and None')
        if reason:
            raise ValueError(f'{name}: it has a value and a reason for none; leave one out')
        _check_uncertainty(measurement, value)
        missing = [landmark for landmark in _rests_on(measurement) if landmark not in reported]
        if missing:
            raise ValueError(
                f'{name}: it has a value, but {", ".join(missing)} is not reported; '
                'give None with a reason, or report the landmark'
            )


def _check_names(names: Sequence[str], choices: Sequence[str], kind: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f'{name} is there twice; give each name once')
        if name not in choices:
            raise ValueError(f'unknown {kind} {name!r}; known: {", ".join(choices)}')


def _check_uncertainty(measurement: Measurement, value: float) -> None:
    error, low, high = measurement.standard_error, measurement.low, measurement.high
    if error is not None and not 0 <= error < math.inf:
        raise ValueError(f'{measurement.name}: standard_error must not be {error}')
    if low is None and high is None:
        return
    if low is None or high is None or not -math.inf < low <= value <= high < math.inf:
        raise ValueError(
            f'{measurement.name}: low {low} and high {high} must enclose the value {value}; '
            'give None for both where the interval is unknown'
        )


def _rests_on(measurement: Measurement) -> list[str]:
    """Return the landmarks of a measurement and of its reference line."""
    number = line_landmark(measurement.reference_line)
    ends = [] if number is None else [LANDMARK_NAMES[side_index(side, number)] for side in SIDES]
    return [*measurement.landmarks, *ends]
