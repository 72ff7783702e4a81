"""What a report shows of a prediction: plain dictionaries for the template."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from unsct_mmpose.anatomy import LANDMARK_CLASSES, NUM_CLASSES
from unsct_mmpose.anatomy.landmarks import plain_name
from unsct_mmpose.anatomy.parameters import parameter_of_output
from unsct_mmpose.drawing.construction import REFERENCE, construction_lines
from unsct_mmpose.functional.clinical import split_side
from unsct_mmpose.functional.image_states import NOTHING_FOUND

from .certainty import LEVELS, REJECTED, UNKNOWN, certainty_of
from .prediction import MeasuredValue, PredictedLandmark, Prediction

View = dict[str, Any]

GROUPS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        'Acetabulum',
        (
            ('center_edge_angle_deg', 'Lateral centre-edge angle'),
            ('sharp_angle_deg', 'Sharp angle'),
            ('acetabular_index_roof_deg', 'Acetabular index (roof)'),
            ('acetabular_index_hilgenreiner_deg', 'Acetabular index (Hilgenreiner)'),
        ),
    ),
    (
        'Femur',
        (
            ('neck_shaft_angle_deg', 'Neck-shaft angle'),
            ('femoral_offset_mm', 'Femoral offset'),
            ('skinner_distance_mm', 'Skinner line: distance of the fovea'),
            ('skinner_height_mm', 'Skinner line: height of the fovea'),
            ('shaft_abduction_deg', 'Shaft abduction'),
        ),
    ),
    (
        'Hip centre',
        (
            ('acetabular_offset_mm', 'Acetabular offset'),
            ('global_offset_mm', 'Global offset'),
            ('hip_center_height_mm', 'Height over the teardrop'),
            ('koehler_head_mm', 'Distance from the Koehler line'),
            ('koehler_teardrop_mm', 'Teardrop from the Koehler line'),
            ('koehler_angle_deg', 'Angle of the Koehler line'),
        ),
    ),
    (
        'Both sides',
        (
            ('pelvic_obliquity_deg', 'Pelvic obliquity'),
            ('gt_leg_length_difference_mm', 'Leg-length difference (trochanters)'),
        ),
    ),
)
"""Every measurement once, in the order in which a reader looks for it."""

DRAWINGS: tuple[tuple[str, str, str, str, bool], ...] = (
    (REFERENCE, 'Reference line', '', '#FFFFFF', True),
    ('center_edge_angle_deg', 'Centre-edge', 'CE', '#5BE37D', True),
    ('sharp_angle_deg', 'Sharp', 'Sharp', '#C9A8FF', False),
    ('neck_shaft_angle_deg', 'Neck-shaft', 'NSA', '#FFB199', True),
    ('femoral_offset_mm', 'Femoral offset', 'FO', '#8EF0E4', False),
    ('acetabular_offset_mm', 'Acetabular offset', 'AO', '#B9E769', False),
    ('hip_center_height_mm', 'Hip-centre height', 'HCH', '#FFD6F2', False),
    ('koehler_angle_deg', 'Koehler', 'K', '#D9D3C7', False),
)
"""What can be drawn: name, words, short words, colour, whether it is shown at first."""

_DRAWING_KEYS = ('key', 'words', 'short', 'color', 'on')
_SYMBOLS = {'deg': '\N{DEGREE SIGN}', 'mm': ' mm'}
_UNUSUAL = {'below': '\N{BLACK DOWN-POINTING TRIANGLE}', 'above': '\N{BLACK UP-POINTING TRIANGLE}'}


def view_of(prediction: Prediction) -> View:
    """Return everything that the template shows but the pixels."""
    levels = {certainty_of(one) for one in prediction.landmarks}
    found = prediction.image_state != NOTHING_FOUND
    return dict(
        name=prediction.image.file_name,
        width=prediction.image.width,
        height=prediction.image.height,
        simulated=prediction.simulated,
        state=prediction.image_state,
        image_words=prediction.image_words,
        reported=sum(one.reported for one in prediction.landmarks),
        total=len(prediction.landmarks),
        warnings=[vars(one) for one in prediction.warnings],
        facts=_facts(prediction),
        groups=_groups(prediction),
        nothing=_nothing(prediction),
        interval=prediction.interval_promise or f'{100 * prediction.interval_level:g} %',
        region=prediction.region_promise or f'{100 * prediction.region_level:g} %',
        region_level=f'{100 * prediction.region_level:g} %',
        landmarks=[_landmark(prediction, k) for k in range(len(prediction.landmarks))],
        marks=[_mark(prediction, k) for k in range(len(prediction.landmarks))] if found else [],
        lines=_lines(prediction) if found else [],
        drawings=[dict(zip(_DRAWING_KEYS, one, strict=True)) for one in DRAWINGS],
        levels=[one for one in LEVELS if one in levels] if found else [],
        calibrated=prediction.calibrated,
    )  # fmt: skip


def number_words(value: float | None, unit: str) -> str:
    """Return a value with one decimal and its unit; a dash where there is none.

    Example:
        >>> number_words(32.86, 'deg'), number_words(-0.01, 'mm'), number_words(None, 'mm')
        ('32.9°', '0.0 mm', '–')
    """
    if value is None:
        return '\N{EN DASH}'
    return f'{round(value, 1) + 0.0:.1f}{_SYMBOLS[unit]}'.replace('-', '\N{MINUS SIGN}')


def _groups(prediction: Prediction) -> list[View]:
    by_name = {one.name: one for one in prediction.measurements}
    groups = []
    for title, outputs in GROUPS:
        rows = []
        for output, words in outputs:
            parameter = parameter_of_output(output)
            unit = output.rsplit('_', 1)[1]
            cells = [
                _cell(by_name[f'{side}_{output}']) for side in ('right', 'left')
            ] if parameter.sided else [_cell(by_name[output])]  # fmt: skip
            rows.append(
                dict(
                    output=output,
                    words=words,
                    definition=parameter.definition,
                    cells=cells,
                    usual=_usual(output, unit),
                )
            )
        groups.append(dict(title=title, rows=rows))
    return groups


def _nothing(prediction: Prediction) -> str | None:
    """Return the one reason why nothing at all was measured; None where something was."""
    reasons = {one.reason for one in prediction.measurements}
    return reasons.pop() if len(reasons) == 1 else None


def _cell(one: MeasuredValue) -> View:
    known = one.low is not None and one.high is not None
    symbol = _SYMBOLS[one.unit]
    ends = (number_words(end, one.unit).removesuffix(symbol) for end in (one.low, one.high))
    word, place = _place(one)
    return dict(
        value=number_words(one.value, one.unit),
        interval=' to '.join(ends) if known else None,
        shift=_shift(one) if known else None,
        reason=None if one.reason is None else plain_name(one.reason),
        mark=_UNUSUAL.get(word),
        place=place,
    )


def _shift(one: MeasuredValue) -> str | None:
    """Say that an interval is not centred on its value; None where it is."""
    if not one.systematic_error:
        return None
    direction = 'large' if one.systematic_error > 0 else 'small'
    size = number_words(abs(one.systematic_error), one.unit)
    return (
        f'interval about {number_words(one.value - one.systematic_error, one.unit)}: the model '
        f'measures {size} too {direction}'
    )


def _place(one: MeasuredValue) -> tuple[str, str | None]:
    """Return where a value lies to the usual range, and the words where that is outside."""
    word = one.reference.split(' ', 1)[0]
    if word not in _UNUSUAL or one.value is None:
        return '', None
    ranges = parameter_of_output(split_side(one.name)[1]).references_of(split_side(one.name)[1])
    (low, high), *_ = ((r.low, r.high) for r in ranges if r.is_usual)
    reaches = (
        one.low is not None
        and one.high is not None
        and (high is None or one.low <= high)
        and (low is None or one.high >= low)
    )
    return word, f'{word} usual range' + (', interval reaches it' if reaches else '')


def _usual(output: str, unit: str) -> list[str]:
    ranges = parameter_of_output(output).references_of(output)
    return [
        f'{one.low:g} to {one.high:g}{_SYMBOLS[unit]} ({one.source})'.replace('+-', '±')
        for one in ranges
        if one.is_usual
    ]


def _label(index: int) -> str:
    return f'{index % NUM_CLASSES + 1}{"L" if index < NUM_CLASSES else "R"}'


def _landmark(prediction: Prediction, index: int) -> View:
    one = prediction.landmarks[index]
    level = certainty_of(one)
    return dict(
        label=_label(index),
        words=LANDMARK_CLASSES[index % NUM_CLASSES].description,
        side='left' if index < NUM_CLASSES else 'right',
        x=f'{one.x:.1f}',
        y=f'{one.y:.1f}',
        presence='–' if one.presence is None else _percent(one.presence),
        size=_size(one),
        status='rejected' if level is REJECTED else 'reported',
    )


def _percent(share: float) -> str:
    return '> 99.9 %' if share > 0.999 else '< 0.1 %' if share < 0.001 else f'{100 * share:.1f} %'


def _size(one: PredictedLandmark) -> str:
    """Return the radius of the circle as large as the region, mm where known."""
    if one.region is None or not one.reported:
        return '–'
    radius = math.sqrt(one.region.semi_axes_px[0] * one.region.semi_axes_px[1])
    if one.covariance_mm2 is None:
        return f'{radius:.1f} px'
    share = np.linalg.det(one.covariance_mm2) / max(float(np.linalg.det(one.covariance_px2)), 1e-12)
    return f'{radius * share**0.25:.1f} mm'


def _mark(prediction: Prediction, index: int) -> View:
    one = prediction.landmarks[index]
    level = certainty_of(one)
    words = f'{_label(index)} {plain_name(one.name)}'
    if level not in (REJECTED, UNKNOWN) and one.presence is not None:
        words += f', P(shown) {_percent(one.presence)}'
    elif level is REJECTED:
        words += ', rejected: not shown by the image'
    return dict(
        x=round(one.x, 2),
        y=round(one.y, 2),
        label=_label(index),
        level=level.key,
        color=level.color,
        shape=level.shape,
        words=words,
        region=one.region if one.reported else None,
    )


def _lines(prediction: Prediction) -> list[View]:
    if prediction.scale.spacing_xy_mm is None:
        return []
    points = np.array([(one.x, one.y) for one in prediction.landmarks])
    kept = np.array([one.reported for one in prediction.landmarks])
    values = {one.name: one for one in prediction.measurements}
    styles = {key: (short, color) for key, _, short, color, _ in DRAWINGS}
    views = []
    for line in construction_lines(points, kept, prediction.scale.spacing_xy_mm):
        key = split_side(line.measurement)[1]
        value = values.get(line.measurement)
        if value is not None and value.value is None:
            continue
        short, color = styles[key]
        text = '' if value is None or line.auxiliary else number_words(value.value, value.unit)
        views.append(
            dict(
                key=key,
                name=line.measurement,
                ends=[round(v, 2) for v in (*line.start_px, *line.end_px)],
                auxiliary=line.auxiliary,
                color=color,
                text=f'{short} {text}' if text else '',
            )
        )
    return views


def _facts(prediction: Prediction) -> list[tuple[str, str]]:
    image, scale, model = prediction.image, prediction.scale, prediction.model
    spacing = 'unknown'
    if scale.spacing_xy_mm is not None:
        spacing = '{:.4g} x {:.4g} mm'.format(*scale.spacing_xy_mm) + f' ({scale.source})'
    factor = 'unknown'
    if scale.magnification is not None:
        factor = f'{scale.magnification:.4g} ({scale.magnification_source})'
    plane = {'bone': 'the bone', 'detector': 'the detector'}.get(scale.plane or '', 'nowhere')
    facts = [
        ('File', image.file_name),
        ('SHA-256', image.sha256),
        ('Size', f'{image.width} x {image.height} pixels'),
        ('Display', _display_words(image.provenance)),
        ('Pixel', spacing),
        ('Magnification', factor),
        ('Lengths hold at', plane),
        ('Reference line', reference_words(prediction.reference_line)),
        ('Model', f'{model.get("name", "unknown")} ({model.get("backend", "unknown")})'),
        ('Weights', str(model.get('weights_sha256') or 'unknown')),
        ('Calibration', _calibration_words(model)),
        ('Software', f'unsct_mmpose {model.get("unsct_mmpose", "")}'.strip()),
    ]
    return [(name, value) for name, value in facts if value]


def _display_words(provenance: Mapping[str, Any]) -> str:
    """Say how the pixels of the file became what is shown."""
    names = ('orientation', 'laid', 'processing', 'window')
    return '; '.join(str(provenance[name]) for name in names if provenance.get(name))


def reference_words(line: str | None) -> str:
    """Return a reference line for people.

    Example:
        >>> reference_words('8L-8R'), reference_words('image axes')
        ('lower edge of the teardrop, left and right (8L-8R)', 'the axes of the image')
    """
    if line is None:
        return 'none: nothing was measured'
    if not line[0].isdigit():
        return 'the axes of the image'
    words = LANDMARK_CLASSES[int(line.split('L')[0]) - 1].description
    return f'{words[0].lower()}{words[1:]}, left and right ({line})'


def _calibration_words(model: Mapping[str, Any]) -> str:
    found = model.get('calibration')
    if not found:
        return 'none'
    parts = [f'{found["images"]} images' if 'images' in found else 'fitted']
    if 'patients' in found:
        parts.append(f'of {found["patients"]} patients')
    if found.get('data'):
        parts.append(f'({found["data"]})')
    return ' '.join(parts)
