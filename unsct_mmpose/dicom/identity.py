"""What a header says, without the pixels: whom or what an image shows, how large, how it lies."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread

from .decode import parse_dicom
from .header import code, every_text, number, quiet, values
from .pictures import picture_format, read_head, read_pages
from .pixel_format import DecodeError
from .placement import Orientation, given_orientation, read_orientation
from .radiograph import RadiographError

_WORDS = ('simulat', 'synthetic')
_FREE_TEXT = (
    'Manufacturer',
    'SeriesDescription',
    'StudyDescription',
    'DerivationDescription',
    'ImageComments',
)

_IDENTIFYING_VRS = ('PN', 'UI', 'DA', 'DT')
_IDENTIFYING = (
    'PatientID', 'OtherPatientIDs', 'AccessionNumber', 'StudyID', 'PatientAddress',
    'PatientTelephoneNumbers', 'InstitutionName', 'InstitutionAddress', 'StationName',
    'DeviceSerialNumber', 'MilitaryRank', 'Occupation', 'PatientComments', 'MedicalRecordLocator',
)  # fmt: skip
_LEAST_WORD = 4
_FIRST_VRS = (b'UL', b'OB', b'UI', b'CS', b'SH', b'LO', b'DA', b'TM', b'DT', b'SQ')
_LONGEST_FIRST = 256
_PATIENT_KEYS = (
    ('PatientID', 'IssuerOfPatientID'),
    ('PatientName', 'PatientBirthDate'),
    ('StudyInstanceUID',),
)


def simulation_mark(dataset: Dataset) -> str | None:
    """Return which element says that no patient was imaged; None when none does.

    SyntheticData (PS3.3, C.12.1.1.1) decides where it is set; older files say it in words.

    Example:
        >>> header = Dataset()
        >>> header.SeriesDescription = 'Simulated AP pelvis'
        >>> simulation_mark(header)
        'SeriesDescription'
    """
    declared = code(dataset, 'SyntheticData')
    if declared is not None:
        return 'SyntheticData' if declared == 'YES' else None
    for keyword in _FREE_TEXT:
        if any(word in _text(dataset, keyword).lower() for word in _WORDS):
            return keyword
    return None


@quiet()
def patient_identity(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return PatientID and PatientName of a DICOM file, for those who asked to keep them.

    Args:
        path: DICOM file; a picture has no identity.

    Returns:
        What the header holds of both; empty values are left out.

    Raises:
        RadiographError: the file cannot be read.
    """
    try:
        content = Path(path).read_bytes()
        if picture_format(content):
            return {}
        dataset = parse_dicom(content)
    except DecodeError as error:
        raise RadiographError(path, str(error)) from None
    except OSError as error:
        raise RadiographError(path, f'it cannot be read ({error.strerror})') from None
    texts = {keyword: _text(dataset, keyword) for keyword in ('PatientID', 'PatientName')}
    return {keyword: text for keyword, text in texts.items() if text}


def _text(dataset: Dataset, keyword: str) -> str:
    return ' '.join(map(str, values(dataset, keyword))).strip()


@quiet()
def patient_key(content: bytes) -> str | None:
    """Return what tells a file's patient from others; to be hashed, never to be shown.

    Returns:
        PatientID with its issuer; else PatientName with the date of birth; else the study. None
        for a picture, or where the header says nothing of these.
    """
    dataset = _header(content)
    for keywords in _PATIENT_KEYS if dataset is not None else ():
        texts = [_text(dataset, keyword) for keyword in keywords]
        if texts[0]:
            return '|'.join([keywords[0], *texts])
    return None


@quiet()
def identifying_words(content: bytes) -> frozenset[str]:
    """Return the words of a header that may tell who a patient is, in lower case.

    Names, numbers, dates and UIDs of all elements that the basic profile of PS3.15 removes or
    replaces and that hold text; words under four characters are left out.
    """
    dataset = _header(content)
    texts = [
        text
        for keyword, vr, text in (every_text(dataset) if dataset is not None else ())
        if vr in _IDENTIFYING_VRS or keyword in _IDENTIFYING
    ]
    words = {word.lower() for text in texts for word in re.split(r'[^\w.]+|\^', text)}
    return frozenset(word for word in words if len(word) >= _LEAST_WORD)


def _header(content: bytes) -> Dataset | None:
    if picture_format(content) and content[128:132] != b'DICM':
        return None
    try:
        return parse_dicom(content)
    except DecodeError:
        return None


def looks_like_radiograph(path: str | os.PathLike[str]) -> bool:
    """Tell by its first bytes whether a file may be a DICOM file or a picture.

    Cheap: 132 bytes are read. What it lets through may still be refused by a reader.
    """
    head = read_head(path, 132)
    return head is not None and (picture_format(head) is not None or _is_dicom(path, head))


def looks_like_dicom(path: str | os.PathLike[str]) -> bool:
    """Tell by its first bytes, or else its suffix, whether a file may be a DICOM file."""
    head = read_head(path, 132)
    return head is not None and _is_dicom(path, head)


def _is_dicom(path: str | os.PathLike[str], head: bytes) -> bool:
    if head[128:132] == b'DICM' or _starts_without_preamble(head):
        return True
    suffix = Path(path).suffix.lower()
    return picture_format(head) is None and suffix in ('.dcm', '.dicom', '.ima')


def _starts_without_preamble(head: bytes) -> bool:
    """Tell whether a first element of group 2 or 8 stands where a preamble is missing."""
    for order in ('little', 'big'):
        group, element = (int.from_bytes(head[at : at + 2], order) for at in (0, 2))
        length = int.from_bytes(head[4:8], order)
        kept = (group == 2 and element <= 0x0102) or (group == 8 and element <= 0x0070)
        if len(head) >= 8 and kept and (head[4:6] in _FIRST_VRS or length <= _LONGEST_FIRST):
            return True
    return False


def holds_dicom(content: bytes) -> bool:
    """Tell whether a file in memory is a DICOM file, damaged or not.

    One without preamble is known by a header that can be parsed and has the size of an image.
    """
    if content[128:132] == b'DICM':
        return True
    first_groups = (b'\x02\x00', b'\x08\x00', b'\x00\x02', b'\x00\x08')  # either byte order
    return content[:2] in first_groups and dicom_size_wh(content) is not None


@quiet()
def dicom_size_wh(content: bytes) -> tuple[int, int] | None:
    """Return width and height of a DICOM image in memory, as it is displayed, by its header.

    None where the header has none. An image that cannot be displayed has the size of its file.
    """
    try:
        dataset = parse_dicom(content)
    except DecodeError:
        return None
    width, height = (int(number(dataset, keyword) or 0) for keyword in ('Columns', 'Rows'))
    if not width or not height:
        return None
    try:
        lies = read_orientation(dataset).turn.transpose
    except DecodeError:
        lies = False
    return (height, width) if lies else (width, height)


_HEAD_BYTES = 2**18
_LIES = (
    'PatientOrientation', 'FieldOfViewHorizontalFlip', 'FieldOfViewRotation', 'ViewPosition',
)  # fmt: skip


@quiet()
def peek_size_wh(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return width and height of an image in pixels of its file; None where that is not cheap.

    Of a picture the size is that after its EXIF orientation, which is how annotations see it.
    """
    head = read_head(path, _HEAD_BYTES) or b''
    kind = picture_format(head)
    if kind in ('PNG', 'JPEG') and head[128:132] != b'DICM':
        try:
            (page,) = read_pages(head)
        except (DecodeError, ValueError):
            return None
        turned = page.orientation > 4
        return (page.height, page.width) if turned else (page.width, page.height)
    header = _peek_header(head, ('Rows', 'Columns'))
    if header is None:
        return None
    rows, columns = number(header, 'Rows'), number(header, 'Columns')
    return (int(columns), int(rows)) if rows and columns else None


@quiet()
def peek_orientation(
    path: str | os.PathLike[str], mirrored: bool | None = None
) -> Orientation | None:
    """Return how an image lies, by the first bytes of its file or by hand.

    Raises:
        DecodeError: its header contradicts itself.
    """
    header = _peek_header(read_head(path, _HEAD_BYTES) or b'', _LIES)
    return given_orientation(mirrored) if header is None else read_orientation(header, mirrored)


def _peek_header(head: bytes, keywords: Sequence[str]) -> Dataset | None:
    """Return some elements from the first bytes of a DICOM file; None where that is none."""
    if head[128:132] != b'DICM':
        return None
    try:
        return dcmread(BytesIO(head), specific_tags=list(keywords))
    except Exception:  # whoever decodes it says what is wrong
        return None
