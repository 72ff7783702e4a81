"""Reading a structured report that ``write_structured_report`` wrote."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.sr.coding import Code

from unsct_mmpose.anatomy import (
    LANDMARK_NAMES,
    LandmarkEstimate,
    Measurement,
    index_of,
    side_index,
)
from unsct_mmpose.dicom.decode import DecodeError, parse_dicom
from unsct_mmpose.dicom.header import code, quiet, values
from unsct_mmpose.dicom.radiograph import RadiographError

from . import codes as sr_codes
from .records import PIXEL_CENTRE, Algorithm

_PARAMETERS = {code.value: name for name, code in sr_codes.MEASUREMENTS.items()}
_NUMBERS = {code.value: number for number, code in sr_codes.LANDMARKS.items()}
_PLANES = {code.value: plane for plane, code in sr_codes.PLANES.items()}


@dataclass(frozen=True)
class StructuredReport:
    """What a structured report says.

    Attributes:
        landmarks: in the order of ``LANDMARK_NAMES``.
        measurements: left, right, both.
        algorithm: what found the landmarks.
        lengths_at: where mm hold: ``'bone'``, ``'detector'``, or None without lengths.
        magnification: size on the detector over size at the bone; None when not said.
        interval_level: share of values that the intervals are meant to hold; None without any.
        simulated: it says that the image shows no person.
        verified: a person has verified it.
        statements: sentences at its top.
        study_uid: the study of report and image.
        image_uid: SOP Instance UID of the image.
    """

    landmarks: tuple[LandmarkEstimate, ...]
    measurements: tuple[Measurement, ...]
    algorithm: Algorithm
    lengths_at: str | None
    magnification: float | None
    interval_level: float | None
    simulated: bool
    verified: bool
    statements: tuple[str, ...]
    study_uid: str
    image_uid: str


@quiet()
def read_structured_report(path: str | os.PathLike[str]) -> StructuredReport:
    """Read landmarks and measurements from a structured report of this package.

    Args:
        path: what :func:`write_structured_report` wrote.

    Returns:
        What it says; places are in our pixels again, with 0 at the centre of the first pixel.

    Raises:
        RadiographError: it is no such report, or it is damaged.
    """
    try:
        report = parse_dicom(Path(path).read_bytes())
    except OSError as error:
        raise RadiographError(path, f'it cannot be read ({error.strerror})') from None
    except DecodeError as error:
        raise RadiographError(path, str(error)) from None
    schemes = [
        values(scheme, 'CodingSchemeDesignator')
        for scheme in values(report, 'CodingSchemeIdentificationSequence')
        if isinstance(scheme, Dataset)
    ]
    if code(report, 'Modality') != 'SR' or [sr_codes.SCHEME] not in schemes:
        raise RadiographError(
            path, f'it is no structured report of unsct_mmpose (no scheme {sr_codes.SCHEME})'
        )
    try:
        return _read(report)
    except Exception as error:  # pydicom converts values on access, and finds damage then
        kind = type(error).__name__
        raise RadiographError(path, f'its content is damaged ({kind})') from None


def _read(report: Dataset) -> StructuredReport:
    (root,) = _children(report, sr_codes.IMAGING_MEASUREMENTS)
    groups = list(_children(root, sr_codes.MEASUREMENT_GROUP))
    landmarks: list[LandmarkEstimate] = []
    measurements: list[Measurement] = []
    numbers: list[Dataset] = []
    for group in groups:
        (site,) = _children(group, sr_codes.FINDING_SITE)
        side = sr_codes.side_of(_coded(site, sr_codes.SITE_LATERALITY).CodeValue)
        landmarks += _read_landmarks(group, side)
        for item in group.ContentSequence:
            parameter = _PARAMETERS.get(_name(item)[0]) if _is_own(item) else None
            if parameter is not None:
                name = parameter if side is None else f'{side}_{parameter}'
                measurements.append(_read_measurement(item, name))
                numbers.append(item)
    statements = tuple(item.TextValue for item in _children(report, sr_codes.COMMENT))
    planes = {
        _PLANES[_coded(item, sr_codes.LENGTH_PLANE).CodeValue]
        for item in numbers
        if _has(item, sr_codes.LENGTH_PLANE)
    }
    level = _first(numbers, sr_codes.INTERVAL_LEVEL)
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    return StructuredReport(
        landmarks=tuple(sorted(landmarks, key=lambda landmark: index_of(landmark.name))),
        measurements=tuple(measurements),
        algorithm=_read_algorithm(groups[0]),
        lengths_at=next(iter(planes), None),
        magnification=_first(numbers, sr_codes.MAGNIFICATION),
        interval_level=None if level is None else level / 100,
        simulated=report.get('SyntheticData') == 'YES',
        verified=report.VerificationFlag == 'VERIFIED',
        statements=statements,
        study_uid=str(report.StudyInstanceUID),
        image_uid=str(evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID),
    )


def _read_landmarks(group: Dataset, side: str | None) -> Iterator[LandmarkEstimate]:
    """Yield the landmark that the group is about, or those that it says are not reported."""
    for region in _children(group, sr_codes.IMAGE_REGION):
        x, y = (float(value) - PIXEL_CENTRE for value in region.GraphicData)
        number = _NUMBERS[_coded(group, sr_codes.FINDING).CodeValue]
        name = LANDMARK_NAMES[side_index(str(side), number)]
        yield LandmarkEstimate(name, x, y, presence=_number(group, sr_codes.PRESENCE))
    for item in group.ContentSequence:
        number_of_item = _NUMBERS.get(_name(item)[0]) if _is_own(item) else None
        if number_of_item is not None:
            yield LandmarkEstimate(
                LANDMARK_NAMES[side_index(str(side), number_of_item)],
                reported=False,
                presence=_number(item, sr_codes.PRESENCE),
                reason=_text(item, sr_codes.COMMENT) or '',
            )


def _read_measurement(item: Dataset, name: str) -> Measurement:
    if item.ValueType == 'CODE':
        return Measurement(name, None, reason=_text(item, sr_codes.COMMENT))
    unit = item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue
    value = _value(item)
    above = _number(item, sr_codes.UPPER_RANGE)
    below = _number(item, sr_codes.LOWER_RANGE)
    line = None
    if _has(item, sr_codes.MEASUREMENT_METHOD):
        code = _coded(item, sr_codes.MEASUREMENT_METHOD).CodeValue
        line = sr_codes.reference_line_of(code)
    measurement = Measurement(
        name,
        value,
        low=None if below is None else value - below,
        high=None if above is None else value + above,
        standard_error=_number(item, sr_codes.STANDARD_ERROR),
        reference_line=line,
    )
    if unit != measurement.unit:
        raise ValueError(f'{name} in {unit}')
    return measurement


def _read_algorithm(group: Dataset) -> Algorithm:
    lines = [item.TextValue for item in _children(group, sr_codes.ALGORITHM_PARAMETERS)]
    hashes = dict.fromkeys(('model hash', 'calibration hash'), '')
    rest = []
    for line in lines:
        key, _, value = line.partition(': ')
        if key in hashes and not hashes[key]:
            hashes[key] = value
        else:
            rest.append(line)
    return Algorithm(
        name=_text(group, sr_codes.ALGORITHM_NAME) or '',
        version=_text(group, sr_codes.ALGORITHM_VERSION) or '',
        model_hash=hashes['model hash'],
        calibration_hash=hashes['calibration hash'],
        parameters=tuple(rest),
    )


def _name(item: Dataset) -> tuple[str, str]:
    concept = item.ConceptNameCodeSequence[0]
    return concept.CodeValue, concept.CodingSchemeDesignator


def _is_own(item: Dataset) -> bool:
    return 'ConceptNameCodeSequence' in item and _name(item)[1] == sr_codes.SCHEME


def _children(parent: Dataset, name: Code) -> Iterator[Dataset]:
    for item in parent.get('ContentSequence', ()):
        if 'ConceptNameCodeSequence' in item and _name(item) == (
            name.value,
            name.scheme_designator,
        ):
            yield item


def _has(parent: Dataset, name: Code) -> bool:
    return next(_children(parent, name), None) is not None


def _coded(parent: Dataset, name: Code) -> Dataset:
    coded: Dataset = next(_children(parent, name)).ConceptCodeSequence[0]
    return coded


def _text(parent: Dataset, name: Code) -> str | None:
    item = next(_children(parent, name), None)
    return None if item is None else str(item.TextValue)


def _value(item: Dataset) -> float:
    measured = item.MeasuredValueSequence[0]
    return float(measured.get('FloatingPointValue', measured.NumericValue))


def _number(parent: Dataset, name: Code) -> float | None:
    item = next(_children(parent, name), None)
    return None if item is None else _value(item)


def _first(items: list[Dataset], name: Code) -> float | None:
    ends = (_number(item, name) for item in items)
    return next((value for value in ends if value is not None), None)
