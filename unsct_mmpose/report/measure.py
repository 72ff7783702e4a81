"""Measure the clinical parameters of landmark files; no model and no MMPose needed.

Three forms of the result:

- ``table``: for people, one block for each image.
- ``csv``: one row for each image and measurement with the columns ``image``, ``measurement``,
  ``side`` (empty for both), ``value``, ``unit``, ``standard_error``, ``reason``,
  ``reference_line``, ``plane``, ``magnification``, ``reference``, ``simulated``, ``notice`` and
  ``warnings``; an unknown number is empty.
- ``json``: an unknown number is null::

    {"notice": "...", "source": "landmarks.json", "simulated": false,
     "images": [{"image": "x.dcm", "plane": "bone", "magnification": 1.15,
                 "pixel_spacing": [0.143, 0.143], "reference_line": "8L-8R", "warnings": [],
                 "measurements": [{"name": "left_sharp_angle_deg", "side": "left", "unit": "deg",
                                   "value": 38.2, "standard_error": 1.1, "reason": null,
                                   "reference": "above usual range 33 to 38 deg (Sharp)"}]}]}

``plane`` is where lengths hold: ``'bone'`` (detector mm over the magnification) or ``'detector'``.
``magnification`` is the known one, used or not. ``reason`` says why there is no value.
``reference_line`` carries the pelvic frame. ``warnings`` says what was done with the sides and what
is odd about spacing and landmarks. The words of ``reference`` describe populations.
"""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unsct_mmpose.anatomy import FLIP_INDICES, Measurement, parameter, split_side
from unsct_mmpose.annotations import AnnotationError
from unsct_mmpose.annotations.landmark_checks import doubts, sides_problem
from unsct_mmpose.annotations.landmark_files import LandmarkRecord, read_landmarks
from unsct_mmpose.dicom.spacing import check_magnification, check_spacing, spacing_question
from unsct_mmpose.files import jsonable, replace_file
from unsct_mmpose.functional.clinical import Measurements, measure

from .prediction import DECIMALS

NOTICE = 'Research software: measurements of landmarks, not a diagnosis, not for clinical use.'

PLANES = ('detector', 'bone')

_SUFFIXES = {'.json': 'json', '.csv': 'csv', '.txt': 'table'}
_FIELDS = ('name', 'side', 'unit', 'value', 'standard_error', 'reason', 'reference')


@dataclass(frozen=True, eq=False)
class MeasuredImage:
    """What was measured in one image, and how.

    Attributes:
        image: name of the image file.
        measurements: the values.
        plane: where lengths hold, ``'detector'`` or ``'bone'``.
        magnification: size on the detector over size at the bone; None when unknown.
        spacing_xy_mm: width and height of a pixel at the detector.
        warnings: what was done with the sides, and what is odd, in words.
    """

    image: str
    measurements: Measurements
    plane: str
    magnification: float | None
    spacing_xy_mm: tuple[float, float]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class MeasuredFile:
    """What was measured in all images of a file.

    Attributes:
        source: name of the file, without its folder.
        simulated: whether the file says that its images are simulated.
        images: one for each image, in the order of the file.
    """

    source: str
    simulated: bool
    images: tuple[MeasuredImage, ...]


def measure_file(
    path: str | os.PathLike[str],
    *,
    plane: str | None = None,
    magnification: float | None = None,
    spacing_xy_mm: tuple[float, float] | None = None,
    mirrored: bool = False,
) -> MeasuredFile:
    """Measure every image of a landmark file.

    Args:
        path: COCO keypoint file of this project, or plain records; see
            :mod:`unsct_mmpose.annotations.landmark_files`.
        plane: where lengths are to hold; None is ``'bone'`` for images whose magnification is
            known, and ``'detector'`` for the others.
        magnification: that of all images; it wins over the file's.
        spacing_xy_mm: pixel at the detector of all images; it wins over the file's.
        mirrored: the landmarks of all images were named as if the image lay as usual, but it was
            mirrored: left becomes right, and right left.

    Raises:
        AnnotationError: the file is wrong, or lacks a spacing or a magnification that is needed;
            the message names image, field and cure.
        ValueError: the plane, magnification or spacing makes no sense.
    """
    if plane is not None and plane not in PLANES:
        raise ValueError(f'plane must be {" or ".join(PLANES)}, not {plane!r}')
    factor = None if magnification is None else check_magnification(magnification)
    spacing = None if spacing_xy_mm is None else check_spacing(spacing_xy_mm)
    file = read_landmarks(path)
    problems: list[str] = []
    images = []
    for record in file.records:
        own_factor = record.magnification if factor is None else factor
        own_spacing = record.spacing_xy_mm if spacing is None else spacing
        lacking = _lacking(own_factor, own_spacing, plane)
        problems += [f'image {record.image!r}: {text}' for text in lacking]
        if own_spacing is not None and not lacking:
            images.append(_measure_record(record, plane, own_factor, own_spacing, mirrored))
    if problems:
        raise AnnotationError(path, problems)
    return MeasuredFile(file.path.name, file.simulated, tuple(images))


def write_measurements(
    measured: MeasuredFile, path: str | os.PathLike[str], form: str | None = None
) -> None:
    """Write the result whole or not at all, in one of ``FORMS`` or that of the file's suffix.

    Raises:
        ValueError: the suffix does not tell the form, or there is no such form.
        OSError: the file cannot be written.
    """
    replace_file(path, render(measured, form or form_of(path)).encode())


def form_of(path: str | os.PathLike[str]) -> str:
    """Return the form that a file's suffix asks for.

    Raises:
        ValueError: it asks for none.

    Example:
        >>> form_of('values.CSV')
        'csv'
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        choices = ', '.join(_SUFFIXES)
        raise ValueError(f'{path}: the suffix {suffix!r} is none of {choices}; name the format')
    return _SUFFIXES[suffix]


def render(measured: MeasuredFile, form: str) -> str:
    """Return the result as text, in one of ``FORMS``.

    Raises:
        ValueError: there is no such form.
    """
    if form not in FORMS:
        raise ValueError(f'format must be one of {", ".join(FORMS)}, not {form!r}')
    return FORMS[form](measured)


def as_json(measured: MeasuredFile) -> str:
    """Return the result as json; its fields are described above."""
    document = {
        'notice': NOTICE,
        'source': measured.source,
        'simulated': measured.simulated,
        'images': [
            {
                'image': image.image,
                'plane': image.plane,
                'magnification': image.magnification,
                'pixel_spacing': list(image.spacing_xy_mm),
                'reference_line': image.measurements.reference_line,
                'warnings': list(image.warnings),
                'measurements': [_fields(image.measurements[name]) for name in image.measurements],
            }
            for image in measured.images
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + '\n'


def as_csv(measured: MeasuredFile) -> str:
    """Return the result as csv; its columns are described above."""
    columns = ('image', 'measurement', 'side', 'value', 'unit', 'standard_error', 'reason',
               'reference_line', 'plane', 'magnification', 'reference', 'simulated',
               'notice', 'warnings')  # fmt: skip
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator='\n')
    writer.writeheader()
    for image in measured.images:
        common = {
            'image': image.image,
            'reference_line': image.measurements.reference_line,
            'plane': image.plane,
            'magnification': image.magnification,
            'simulated': str(measured.simulated).lower(),
            'notice': NOTICE,
            'warnings': '; '.join(image.warnings),
        }
        for name in image.measurements:
            fields = _fields(image.measurements[name])
            writer.writerow({**common, 'measurement': fields.pop('name'), **fields})
    return text.getvalue()


def as_table(measured: MeasuredFile) -> str:
    """Return the result as text for people."""
    marked = 'marked as simulated' if measured.simulated else 'not marked as simulated'
    count = f'{len(measured.images)} image{"" if len(measured.images) == 1 else "s"}'
    blocks = [f'{NOTICE}\n{measured.source}: {count}, {marked}']
    blocks += ['\n'.join(_image_lines(image)) for image in measured.images]
    return '\n\n'.join(blocks) + '\n'


FORMS = {'table': as_table, 'json': as_json, 'csv': as_csv}


def _lacking(
    factor: float | None, spacing: tuple[float, float] | None, plane: str | None
) -> list[str]:
    problems = []
    if spacing is None:
        problems.append(
            "field 'pixel_spacing' is missing, and angles too need it; give [x, y] in mm at the "
            'detector there, or with --spacing'
        )
    if plane == 'bone' and factor is None:
        problems.append(
            "field 'magnification' is missing (in a COCO file 1.0 counts as unknown), and lengths "
            'at the bone need it; give it there or with --magnification, or use --plane detector'
        )
    return problems


def _measure_record(
    record: LandmarkRecord,
    plane: str | None,
    factor: float | None,
    spacing: tuple[float, float],
    mirrored: bool,
) -> MeasuredImage:
    chosen = plane or ('detector' if factor is None else 'bone')
    if mirrored:
        record = _exchange_sides(record)
    measured = measure(
        record.points_px,
        record.present,
        spacing,
        covariances_px=record.covariances_px,
        magnification=factor if chosen == 'bone' and factor is not None else 1.0,
    )
    warnings = ['left and right were exchanged, as the caller says (mirrored)'] if mirrored else []
    exchanged = sides_problem(record.states, record.mirrored)
    question = spacing_question(spacing)
    warnings += [] if exchanged is None else [exchanged]
    warnings += [] if question is None else [f'the pixel spacing is odd: {question}']
    warnings += doubts(record.states, spacing, factor or 1.0, record.mirrored)
    return MeasuredImage(record.image, measured, chosen, factor, spacing, tuple(warnings))


def _exchange_sides(record: LandmarkRecord) -> LandmarkRecord:
    """Return the landmarks of an image with left and right renamed into each other."""
    order = list(FLIP_INDICES)
    covariances = record.covariances_px
    return replace(
        record,
        points_px=record.points_px[order],
        present=record.present[order],
        covariances_px=None if covariances is None else covariances[order],
        mirrored=not record.mirrored,
    )


def _fields(measurement: Measurement) -> dict[str, Any]:
    return {name: jsonable(getattr(measurement, name), DECIMALS) for name in _FIELDS}


def _image_lines(image: MeasuredImage) -> list[str]:
    measured = image.measurements
    lines = [f'image {image.image}']
    lines += [f'  {_plane_text(image)}; reference line {measured.reference_line}']
    lines += [f'  warning: {text}' for text in image.warnings]
    cells: dict[str, dict[str | None, str]] = {}
    reasons: dict[str, list[str]] = {}
    for name in measured:
        measurement = measured[name]
        side, output = split_side(name)
        cells.setdefault(output, {})[side] = _value_text(measurement)
        if measurement.reason is not None:
            reasons.setdefault(measurement.reason, []).append(name)
    lines.append(_row('measurement', 'left', 'right', 'both', 'usual range (literature)'))
    for output, by_side in cells.items():
        shown = (by_side.get(side, '') for side in ('left', 'right', None))
        usual = '; '.join(ends.limits() for ends in parameter(output).usual_ranges)
        lines.append(_row(output, *shown, usual))
    lines += [f'  {why}; not measured: {", ".join(names)}' for why, names in reasons.items()]
    return lines


def _plane_text(image: MeasuredImage) -> str:
    if image.plane == 'bone':
        return f'lengths at the bone (magnification {image.magnification:g})'
    words = 'unknown' if image.magnification is None else f'{image.magnification:g}, not used'
    return f'lengths at the detector (magnification {words})'


def _value_text(measurement: Measurement) -> str:
    if measurement.value is None:
        return '-'
    unsure = '' if measurement.standard_error is None else f' +- {measurement.standard_error:.1f}'
    return f'{round(measurement.value, 1) + 0.0:.1f}{unsure}'  # no -0.0


def _row(first: str, *cells: str) -> str:
    *numbers, last = cells
    padded = [f'{first:34}', *(f'{cell:>14}' for cell in numbers), last]
    return '  ' + '  '.join(padded).rstrip()
