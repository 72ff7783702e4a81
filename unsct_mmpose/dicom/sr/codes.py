"""The codes of a structured report.

Public codes are those of DICOM's own context groups, as pydicom lists them. What they do not hold
has a code of the private scheme ``99UNSCT``, with its meaning in words; none is made up in a
public scheme. DCM 121224 *Acetabular angle* is not used: its definition does not say which one.
"""

from __future__ import annotations

from pydicom.sr.coding import Code

from unsct_mmpose.anatomy import LANDMARK_CLASSES, SIDES
from unsct_mmpose.anatomy.parameters import IMAGE_AXES, PARAMETERS

SCHEME = '99UNSCT'


def _own(value: str, meaning: str) -> Code:
    return Code(value, SCHEME, meaning)


LATERALITY: dict[str | None, Code] = {
    'left': Code('7771000', 'SCT', 'Left'),
    'right': Code('24028007', 'SCT', 'Right'),
    None: Code('51440002', 'SCT', 'Right and left'),
}
"""Context group 244."""

HIP_JOINT = Code('24136001', 'SCT', 'Hip joint')
PELVIS = Code('816092008', 'SCT', 'Pelvis')
ANATOMICAL_STRUCTURE = Code('91723000', 'SCT', 'Anatomical Structure')

_ILIUM = Code('22356005', 'SCT', 'Ilium')
_ISCHIUM = Code('85710004', 'SCT', 'Ischium')
_ACETABULUM = Code('37783008', 'SCT', 'Acetabulum')
_FEMUR = Code('71341001', 'SCT', 'Femur')
_FEMORAL_HEAD = Code('2812003', 'SCT', 'Head of Femur')

_BONES = (_ILIUM, *[_ACETABULUM] * 3, *[_FEMORAL_HEAD] * 2, _FEMUR, PELVIS, _ISCHIUM, *[_FEMUR] * 3)
LANDMARK_SITES: dict[int, Code] = dict(enumerate(_BONES, 1))
"""The bone that each landmark of Table 1 lies on."""

LANDMARKS: dict[int, Code] = {
    landmark.number: _own(f'P{landmark.number:02d}', landmark.description)
    for landmark in LANDMARK_CLASSES
}

MEASUREMENTS: dict[str, Code] = {name: _own(*row.code) for name, row in PARAMETERS.items()}
"""By the name of the parameter."""

UNITS: dict[str, Code] = {
    'deg': Code('deg', 'UCUM', 'Degree'),
    'mm': Code('mm', 'UCUM', 'mm'),
    '1': Code('1', 'UCUM', 'no units'),
    '%': Code('%', 'UCUM', 'Percent'),
}

PROCEDURE = Code('43468-8', 'LN', 'XR unspecified body region')
"""Context group 100 holds no narrower one."""

UPPER_RANGE = Code('371886008', 'SCT', '+, range of upper measurement uncertainty')
LOWER_RANGE = Code('371885007', 'SCT', '-, range of lower measurement uncertainty')
"""Context group 225: how far the interval reaches above and below the value."""

INTERVAL_LEVEL = _own('INTERVAL-LEVEL', 'Level of the uncertainty interval')
STANDARD_ERROR = _own('STANDARD-ERROR', 'Standard error of the measurement')
PRESENCE = _own('PRESENCE-PROB', 'Probability that the image shows the landmark')
MAGNIFICATION = _own('MAGNIFICATION', 'Size on the detector over size at the bone')
LENGTH_PLANE = _own('LENGTH-PLANE', 'Plane in which lengths hold')
PLANES: dict[str, Code] = {
    'bone': _own('PLANE-BONE', 'At the bone, magnification taken out'),
    'detector': _own('PLANE-DETECTOR', 'At the detector, magnification not taken out'),
}

NOT_REPORTED = _own('NOT-REPORTED', 'Not reported: held to be not shown')
MEASUREMENT_FAILURE = Code('114006', 'DCM', 'Measurement failure')
COMMENT = Code('121106', 'DCM', 'Comment')
MEASUREMENT_METHOD = Code('370129005', 'SCT', 'Measurement Method')
SOURCE_OF_MEASUREMENT = Code('121112', 'DCM', 'Source of Measurement')

MEASUREMENT_GROUP = Code('125007', 'DCM', 'Measurement Group')
IMAGING_MEASUREMENTS = Code('126010', 'DCM', 'Imaging Measurements')
IMAGE_REGION = Code('111030', 'DCM', 'Image Region')
FINDING = Code('121071', 'DCM', 'Finding')
FINDING_SITE = Code('363698007', 'SCT', 'Finding Site')
SITE_LATERALITY = Code('272741003', 'SCT', 'Laterality')
ALGORITHM_NAME = Code('111001', 'DCM', 'Algorithm Name')
ALGORITHM_VERSION = Code('111003', 'DCM', 'Algorithm Version')
ALGORITHM_PARAMETERS = Code('111002', 'DCM', 'Algorithm Parameters')


def reference_line_code(line: str) -> Code:
    """Return the code of a reference line.

    Example:
        >>> reference_line_code('8L-8R').value
        'LINE-8L-8R'
    """
    if line == IMAGE_AXES:
        return _own('LINE-IMAGE-AXES', 'Read against the axes of the image')
    return _own(f'LINE-{line}', f'Read against the line {line}')


def reference_line_of(value: str) -> str:
    """Return the reference line that a code value stands for.

    Example:
        >>> reference_line_of('LINE-IMAGE-AXES'), reference_line_of('LINE-8L-8R')
        ('image axes', '8L-8R')
    """
    line = value.removeprefix('LINE-')
    return IMAGE_AXES if line == 'IMAGE-AXES' else line


def side_of(laterality: str) -> str | None:
    """Return the side that a code of ``LATERALITY`` stands for.

    Raises:
        KeyError: it stands for none.

    Example:
        >>> side_of('7771000')
        'left'
    """
    return {LATERALITY[side].value: side for side in (*SIDES, None)}[laterality]
