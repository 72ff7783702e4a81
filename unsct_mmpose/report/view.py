"""What a report shows of a prediction: plain dictionaries for the template."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from unsct_mmpose.anatomy import (
    LANDMARK_CLASSES,
    LandmarkEstimate,
    Measurement,
    parameter,
    split_side,
)
from unsct_mmpose.anatomy.landmarks import plain_name
from unsct_mmpose.anatomy.parameters import GROUPS, REPORTED, line_landmark
from unsct_mmpose.anatomy.records import NOTHING_FOUND
from unsct_mmpose.drawing.sketches import REFERENCE, REFERENCE_COLOR, sketch_measurements
from unsct_mmpose.drawing.strokes import LEVELS, REJECTED, UNKNOWN, certainty_of

from .prediction import Prediction

View = dict[str, Any]

DRAWINGS: tuple[View, ...] = (
    dict(key=REFERENCE, words='Reference line', short='', color=REFERENCE_COLOR, on=True),
    *(
        dict(
            key=row.name,
            words=row.drawing.title,
            short=row.drawing.short,
            color=row.drawing.color,
            on=row.drawing.shown,
        )
        for row in REPORTED
        if row.drawing
    ),
)
"""What can be drawn, and whether it is shown at first."""

_NO_PARAMETERS = 'no clinical parameter is defined on these landmarks'

_SYMBOLS = {'deg': '\N{DEGREE SIGN}', 'mm': ' mm'}
_UNUSUAL = {'below': '\N{BLACK DOWN-POINTING TRIANGLE}', 'above': '\N{BLACK UP-POINTING TRIANGLE}'}


def view_of(prediction: Prediction) -> View:
    """Return everything that the template shows but the pixels."""
    levels = {certainty_of(landmark) for landmark in prediction.landmarks}
    pelvis = prediction.image_state != NOTHING_FOUND
    anatomy = prediction.landmark_set
    return dict(
        name=prediction.image.path or prediction.image.file_name,
        sha256=prediction.image.sha256,
        width=prediction.image.width,
        height=prediction.image.height,
        simulated=prediction.simulated,
        state=prediction.image_state,
        image_words=prediction.image_words,
        reported=sum(landmark.reported for landmark in prediction.landmarks),
        total=len(prediction.landmarks),
        sided=any(map(anatomy.side_of, range(len(anatomy)))),
        warnings=[vars(warning) for warning in prediction.warnings],
        facts=_facts(prediction),
        groups=_groups(prediction),
        nothing=_nothing(prediction),
        interval=prediction.interval_promise or f'{100 * prediction.interval_level:g} %',
        region=prediction.region_promise or f'{100 * prediction.region_level:g} %',
        region_level=f'{100 * prediction.region_level:g} %',
        landmarks=[_landmark(prediction, k) for k in range(len(prediction.landmarks))],
        marks=[_mark(prediction, k) for k in range(len(prediction.landmarks))] if pelvis else [],
        lines=_lines(prediction) if pelvis else [],
        drawings=DRAWINGS if anatomy.clinical else (),
        levels=[level for level in LEVELS if level in levels] if pelvis else [],
        calibrated=prediction.calibrated,
    )  # fmt: skip


def number_text(value: float | None, unit: str) -> str:
    """Return a value with one decimal and its unit; a dash where there is none.

    Example:
        >>> number_text(32.86, 'deg'), number_text(-0.01, 'mm'), number_text(None, 'mm')
        ('32.9°', '0.0 mm', '–')
    """
    if value is None:
        return '\N{EN DASH}'
    return f'{round(value, 1) + 0.0:.1f}{_SYMBOLS[unit]}'.replace('-', '\N{MINUS SIGN}')


def _groups(prediction: Prediction) -> list[View]:
    measured = {measurement.name: measurement for measurement in prediction.measurements}
    groups: dict[str, list[View]] = {title: [] for title in GROUPS}
    for row in REPORTED:
        names = [f'{side}_{row.name}' for side in ('right', 'left')] if row.sided else [row.name]
        if measured.keys() >= set(names):
            usual = [ends.limits(_SYMBOLS[row.unit]) for ends in row.usual_ranges]
            groups[row.group].append(
                dict(
                    output=row.name,
                    words=row.title,
                    definition=row.definition,
                    cells=[_cell(measured[name]) for name in names],
                    usual=[text.replace('+-', '±') for text in usual],
                )
            )
    return [dict(title=title, rows=rows) for title, rows in groups.items() if rows]


def _nothing(prediction: Prediction) -> str | None:
    """Return the one reason why nothing at all was measured; None where something was."""
    if not prediction.measurements:
        return _NO_PARAMETERS
    reasons = {measurement.reason for measurement in prediction.measurements}
    return reasons.pop() if len(reasons) == 1 else None


def _cell(measurement: Measurement) -> View:
    has_ends = measurement.low is not None and measurement.high is not None
    symbol = _SYMBOLS[measurement.unit]
    ends = (
        number_text(end, measurement.unit).removesuffix(symbol)
        for end in (measurement.low, measurement.high)
    )
    direction, place = _place(measurement)
    return dict(
        value=number_text(measurement.value, measurement.unit),
        interval=' to '.join(ends) if has_ends else None,
        shift=_shift(measurement) if has_ends else None,
        reason=None if measurement.reason is None else plain_name(measurement.reason),
        mark=_UNUSUAL.get(direction),
        place=place,
    )


def _shift(measurement: Measurement) -> str | None:
    """Say that an interval is not centred on its value; None where it is."""
    if not measurement.systematic_error or measurement.value is None:
        return None
    error, unit = measurement.systematic_error, measurement.unit
    direction = 'large' if error > 0 else 'small'
    return (
        f'interval about {number_text(measurement.value - error, unit)}: the model measures '
        f'{number_text(abs(error), unit)} too {direction}'
    )


def _place(measurement: Measurement) -> tuple[str, str | None]:
    """Return where a value lies to the usual range, and the words where that is outside."""
    direction = measurement.reference.split(' ', 1)[0]
    if direction not in _UNUSUAL or measurement.value is None:
        return '', None
    usual = parameter(measurement.name).usual_ranges[0]
    reaches = (
        measurement.low is not None
        and measurement.high is not None
        and (usual.high is None or measurement.low <= usual.high)
        and (usual.low is None or measurement.high >= usual.low)
    )
    return direction, f'{direction} usual range' + (', interval reaches it' if reaches else '')


def _landmark(prediction: Prediction, index: int) -> View:
    landmark, anatomy = prediction.landmarks[index], prediction.landmark_set
    side = anatomy.side_of(index)
    return dict(
        label=anatomy.labels[index],
        words=anatomy.descriptions[index] + (f', {side}' if side else ''),
        x=f'{landmark.x:.1f}',
        y=f'{landmark.y:.1f}',
        presence='–' if landmark.presence is None else _percent(landmark.presence),
        size=_size(landmark),
        status='reported' if landmark.reported else 'rejected',
    )


def _percent(share: float) -> str:
    return '> 99.9 %' if share > 0.999 else '< 0.1 %' if share < 0.001 else f'{100 * share:.1f} %'


def _size(measurement: LandmarkEstimate) -> str:
    """Return the radius of the circle as large as the region, mm where known."""
    if measurement.region is None or not measurement.reported:
        return '–'
    radius = math.sqrt(measurement.region.semi_axes_px[0] * measurement.region.semi_axes_px[1])
    if measurement.covariance_mm2 is None:
        return f'{radius:.1f} px'
    share = np.linalg.det(measurement.covariance_mm2) / max(
        float(np.linalg.det(measurement.covariance_px2)), 1e-12
    )
    return f'{radius * share**0.25:.1f} mm'


def _mark(prediction: Prediction, index: int) -> View:
    landmark = prediction.landmarks[index]
    label = prediction.landmark_set.labels[index]
    level = certainty_of(landmark)
    text = f'{label} {plain_name(landmark.name)}'
    if level not in (REJECTED, UNKNOWN) and landmark.presence is not None:
        text += f', P(shown) {_percent(landmark.presence)}'
    elif level is REJECTED:
        text += ', rejected: not shown by the image'
    return dict(
        x=round(landmark.x, 2),
        y=round(landmark.y, 2),
        label=label,
        level=level.key,
        color=level.color,
        shape=level.shape,
        words=text,
        region=landmark.region if landmark.reported else None,
    )


def _lines(prediction: Prediction) -> list[View]:
    spacing = prediction.spacing.spacing_xy_mm
    if spacing is None or not prediction.landmark_set.clinical:
        return []
    points = np.array([(landmark.x, landmark.y) for landmark in prediction.landmarks])
    reported = np.array([landmark.reported for landmark in prediction.landmarks])
    measured = {measurement.name: measurement for measurement in prediction.measurements}
    styles = {drawing['key']: drawing for drawing in DRAWINGS}
    views = []
    for name, sketch in sketch_measurements(points, reported, spacing).items():
        measurement = measured.get(name)
        if measurement is not None and measurement.value is None:
            continue
        style = styles[split_side(name)[1]]
        text = ''
        if measurement is not None:
            text = f'{style["short"]} {number_text(measurement.value, measurement.unit)}'
        for rank, ends in enumerate(sketch.lines):
            views.append(
                dict(
                    key=style['key'],
                    name=name,
                    ends=[round(v, 2) for v in ends.ravel().tolist()],
                    auxiliary=rank > 0,
                    color=style['color'],
                    text='' if rank else text,
                )
            )
    return views


def _facts(prediction: Prediction) -> list[tuple[str, str]]:
    image, spacing, model = prediction.image, prediction.spacing, prediction.model
    pixel = factor = 'unknown'
    clinical = prediction.landmark_set.clinical
    if spacing.spacing_xy_mm is not None:
        pixel = '{:.4g} x {:.4g} mm'.format(*spacing.spacing_xy_mm) + f' ({spacing.source})'
    if spacing.known_magnification is not None:
        factor = f'{spacing.known_magnification:.4g} ({spacing.magnification_source})'
    plane = f'the {spacing.plane}' if spacing.plane else 'nowhere'
    displayed = map(image.provenance.get, ('orientation', 'laid', 'processing', 'window'))
    facts = [
        ('File', image.path or image.file_name),
        ('SHA-256', image.sha256),
        ('Size', f'{image.width} x {image.height} pixels'),
        ('Display', '; '.join(str(text) for text in displayed if text)),
        ('Pixel', pixel),
        ('Magnification', factor),
        ('Lengths hold at', plane),
        ('Reference line', _reference_line_text(prediction.reference_line) if clinical else ''),
        ('Model', f'{model.get("name", "unknown")} ({model.get("backend", "unknown")})'),
        ('Weights', str(model.get('weights_sha256') or 'unknown')),
        ('Calibration', _calibration_text(model)),
        ('Software', f'unsct_mmpose {model.get("unsct_mmpose", "")}'.strip()),
    ]
    return [(name, value) for name, value in facts if value]


def _reference_line_text(line: str | None) -> str:
    """Return a reference line for people.

    Example:
        >>> _reference_line_text('8L-8R'), _reference_line_text('image axes')
        ('lower edge of the teardrop, left and right (8L-8R)', 'the axes of the image')
    """
    if line is None:
        return 'none: nothing was measured'
    number = line_landmark(line)
    if number is None:
        return 'the axes of the image'
    words = LANDMARK_CLASSES[number - 1].description
    return f'{words[0].lower()}{words[1:]}, left and right ({line})'


def _calibration_text(model: Mapping[str, Any]) -> str:
    fitted = model.get('calibration')
    if not fitted:
        return 'none'
    parts = [f'{fitted["images"]} images' if 'images' in fitted else 'fitted']
    if 'patients' in fitted:
        parts.append(f'of {fitted["patients"]} patients')
    if fitted.get('data'):
        parts.append(f'({fitted["data"]})')
    return ' '.join(parts)
