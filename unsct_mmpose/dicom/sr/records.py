"""What a report says about one radiograph, before it becomes DICOM and after it was."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unsct_mmpose.anatomy import LANDMARK_NAMES, SIDES, side_index
from unsct_mmpose.anatomy.parameters import parameter_of_output

UNITS = ('deg', 'mm')
IMAGE_AXES = 'image axes'

_LINE = re.compile(r'(\d+)L-\1R')


@dataclass(frozen=True)
class ReportLandmark:
    """A landmark and whether it is reported.

    Attributes:
        name: one of ``LANDMARK_NAMES``.
        x_px: column, pixels; 0 is the centre of the left-most column. Never written, and NaN
            when read back, where the landmark is not reported.
        y_px: row, pixels; 0 is the centre of the topmost row.
        reported: False when the model holds that the image does not show it.
        probability: that the image shows it, in [0, 1]; None when unknown.
        reason: why it is not reported, in words; empty when it is.
    """

    name: str
    x_px: float = math.nan
    y_px: float = math.nan
    reported: bool = True
    probability: float | None = None
    reason: str = ''


@dataclass(frozen=True)
class ReportMeasurement:
    """A value with its uncertainty, or why there is none.

    Attributes:
        name: one of ``functional.clinical.MEASUREMENT_NAMES``, such as
            ``'left_center_edge_angle_deg'``.
        side: ``'left'`` or ``'right'`` of the patient; None for a value of both sides.
        value: in the unit; NaN when it was not measured.
        unit: ``'deg'`` or ``'mm'``.
        low: lower end of the interval; NaN when unknown.
        high: upper end of the interval; NaN when unknown.
        standard_error: in the unit; NaN when unknown.
        reason: why there is no value, in words; None when there is one.
        reference_line: the line that the value was read against, such as ``'8L-8R'`` or
            ``'image axes'``; None when it needs none.
    """

    name: str
    side: str | None
    value: float
    unit: str
    low: float = math.nan
    high: float = math.nan
    standard_error: float = math.nan
    reason: str | None = None
    reference_line: str | None = None

    @property
    def output(self) -> str:
        """The name without its side."""
        return self.name.removeprefix(f'{self.side}_')

    @property
    def measured(self) -> bool:
        """Whether there is a value."""
        return math.isfinite(self.value)

    def landmarks(self) -> tuple[str, ...]:
        """Return the names of the landmarks without which there is no such value.

        Raises:
            KeyError: there is no such measurement.

        Example:
            >>> ReportMeasurement('left_sharp_angle_deg', 'left', 40.0, 'deg').landmarks()
            ('left_acetabulum_upper_edge', 'left_teardrop_lower_edge')
        """
        numbers = parameter_of_output(self.output).needs(self.output)
        sides = SIDES if self.side is None else (self.side,)
        return tuple(LANDMARK_NAMES[side_index(side, one)] for side in sides for one in numbers)


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


def check_landmarks(landmarks: Sequence[ReportLandmark], size_wh: tuple[int, int]) -> None:
    """Refuse landmarks that a report must not hold.

    Args:
        landmarks: at most one for each name.
        size_wh: width and height of the image in pixels.

    Raises:
        ValueError: a name is unknown or twice there, a probability is none, or a reported landmark
            has no place in the image.
    """
    _check_names(landmark.name for landmark in landmarks)
    for one in landmarks:
        if one.name not in LANDMARK_NAMES:
            raise ValueError(f'unknown landmark {one.name!r}; known: {", ".join(LANDMARK_NAMES)}')
        if one.probability is not None and not 0 <= one.probability <= 1:
            raise ValueError(f'{one.name}: probability must lie in [0, 1], not {one.probability}')
        if not one.reported:
            continue
        # PS3.3, C.18.6: coordinates from 0 to Columns and Rows; ours are half a pixel less.
        for axis, value, size in (('x_px', one.x_px, size_wh[0]), ('y_px', one.y_px, size_wh[1])):
            if not -0.5 <= value <= size - 0.5:
                raise ValueError(
                    f'{one.name}: {axis} is {value}, outside of the image (-0.5 to {size - 0.5}); '
                    'correct it or set reported=False'
                )


def check_measurements(
    measurements: Sequence[ReportMeasurement], landmarks: Sequence[ReportLandmark]
) -> None:
    """Refuse measurements that contradict themselves or the landmarks.

    Raises:
        ValueError: a name, side or unit is wrong, there is neither a value nor a reason (or both),
            an interval does not hold its value, or a value rests on a landmark that is not
            reported.
    """
    _check_names(measurement.name for measurement in measurements)
    reported = {landmark.name for landmark in landmarks if landmark.reported}
    for one in measurements:
        _check_name(one)
        if not one.measured:
            if math.isinf(one.value) or not one.reason:
                raise ValueError(f'{one.name}: value is {one.value}; give it a reason, and NaN')
            continue
        if one.reason:
            raise ValueError(f'{one.name}: it has a value and a reason for none; leave one out')
        _check_uncertainty(one)
        missing = [name for name in _rests_on(one) if name not in reported]
        if missing:
            raise ValueError(
                f'{one.name}: it has a value, but {", ".join(missing)} is not reported; '
                'give NaN with a reason, or report the landmark'
            )


def _check_names(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f'{name} is there twice; give each name once')
        seen.add(name)


def _check_name(one: ReportMeasurement) -> None:
    """Refuse a name that is unknown, or that does not go with side and unit."""
    try:
        sided = parameter_of_output(one.output).sided
    except KeyError as error:
        raise ValueError(f'{one.name} on side {one.side!r}: {error.args[0]}') from None
    expected = f'{one.side}_{one.output}' if sided else one.output
    if one.name != expected or (one.side in SIDES) != sided:
        raise ValueError(f'{one.name}: side {one.side!r} does not go with this name')
    if one.unit not in UNITS or not one.name.endswith(f'_{one.unit}'):
        raise ValueError(f'{one.name}: unit {one.unit!r} does not go with this name')
    line = one.reference_line
    if line is not None and line != IMAGE_AXES and not _LINE.fullmatch(line):
        raise ValueError(
            f"{one.name}: reference_line must be like '8L-8R' or '{IMAGE_AXES}', not {line!r}"
        )


def _check_uncertainty(one: ReportMeasurement) -> None:
    if not (math.isnan(one.standard_error) or 0 <= one.standard_error < math.inf):
        raise ValueError(f'{one.name}: standard_error must not be {one.standard_error}')
    if math.isnan(one.low) and math.isnan(one.high):
        return
    if not -math.inf < one.low <= one.value <= one.high < math.inf:
        raise ValueError(
            f'{one.name}: low {one.low} and high {one.high} must enclose the value {one.value}; '
            'give NaN for both where the interval is unknown'
        )


def _rests_on(one: ReportMeasurement) -> list[str]:
    """Return the landmarks of a measurement and of its reference line."""
    names = list(one.landmarks())
    match = _LINE.fullmatch(one.reference_line or '')
    if match:
        names += [LANDMARK_NAMES[side_index(side, int(match[1]))] for side in SIDES]
    return names
