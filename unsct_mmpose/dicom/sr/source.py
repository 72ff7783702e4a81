"""What a structured report takes over from its image: references, and identity if asked to."""

from __future__ import annotations

import math
import os
from pathlib import Path

from pydicom import Dataset
from pydicom.config import RAISE
from pydicom.uid import UID
from pydicom.valuerep import validate_value

from unsct_mmpose.dicom.decode import DecodeError, parse_dicom
from unsct_mmpose.dicom.header import code, codes, number, numbers, quiet, values
from unsct_mmpose.dicom.pictures import picture_format
from unsct_mmpose.dicom.radiograph import RadiographError

_CURES = {
    'StudyInstanceUID': 'it must be that of the image; a new one: dcmodify -gst FILE',
    'SeriesInstanceUID': 'it must be that of the image; a new one: dcmodify -gse FILE',
    'SOPInstanceUID': 'it must be that of the image; a new one: dcmodify -gin FILE',
    'SOPClassUID': 'it says what the image is; set it as dcmodify -i does',
}

# Attributes that type 2 demands: empty where unknown.
_EMPTY = (
    'PatientName',
    'PatientID',
    'PatientBirthDate',
    'PatientSex',
    'StudyDate',
    'StudyTime',
    'StudyID',
    'AccessionNumber',
    'ReferringPhysicianName',
)

# More of the patient and study modules that tie objects of one study together.
_IDENTITY = (
    *_EMPTY,
    'IssuerOfPatientID',
    'IssuerOfPatientIDQualifiersSequence',
    'OtherPatientIDsSequence',
    'PatientBirthTime',
    'PatientIdentityRemoved',
    'DeidentificationMethod',
    'DeidentificationMethodCodeSequence',
    'IssuerOfAccessionNumberSequence',
    'StudyDescription',
    'ProcedureCodeSequence',
    'PatientAge',
    'PatientSize',
    'PatientWeight',
)

# Value representations that highdicom parses: dates, times, ages and codes.
_STRICT = ('AS', 'CS', 'DA', 'TM')

_PROJECTION = ('CR', 'DX', 'IO', 'MG', 'PX', 'RF', 'RG', 'XA')
_SLICES = ('CT', 'MR', 'PT')


@quiet()
def read_source(path: str | os.PathLike[str], *, keep_identity: bool) -> Dataset:
    """Read from a DICOM image what its report needs, and nothing else.

    Args:
        path: the image.
        keep_identity: take over patient and study attributes; else they are empty.

    Returns:
        A header with the references (UIDs), the size, orientation and spacing of the image,
        ``SyntheticData`` where the image says so, and the patient and study attributes.

    Raises:
        RadiographError: it is no DICOM image, or lacks what a report refers to; the message says
            what and how to mend it.
    """
    header = _parse(path)
    source = Dataset()
    for keyword in _CURES:
        setattr(source, keyword, _uid(path, header, keyword))
    for keyword in ('Rows', 'Columns'):
        size = number(header, keyword)
        if size is None or size < 1:
            raise RadiographError(path, f'{keyword} is missing: a report needs an image')
        setattr(source, keyword, int(size))
    frames = number(header, 'NumberOfFrames')
    if frames is not None and frames > 1:
        source.NumberOfFrames = int(frames)
    if code(header, 'SyntheticData') == 'YES':
        source.SyntheticData = 'YES'
    _add_geometry(source, header)
    for keyword in _EMPTY:
        setattr(source, keyword, '')
    if keep_identity:
        _add_identity(path, source, header)
    else:
        source.PatientIdentityRemoved = 'YES'
        source.DeidentificationMethod = 'Patient and study attributes left out, UIDs kept'
    return source


def _parse(path: str | os.PathLike[str]) -> Dataset:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise RadiographError(path, f'it cannot be read ({error.strerror})') from None
    kind = picture_format(content)
    if kind and content[128:132] != b'DICM':
        raise RadiographError(
            path, f'it is {kind}; a structured report refers to a DICOM image: give the DICOM file'
        )
    try:
        return parse_dicom(content)
    except DecodeError as error:
        raise RadiographError(path, str(error)) from None


def _uid(path: str | os.PathLike[str], header: Dataset, keyword: str) -> UID:
    """Return a UID of the header; what the file meta information repeats may stand in."""
    uids = values(header, keyword) or values(header.file_meta, f'MediaStorage{keyword}')
    if not uids:
        raise RadiographError(path, f'{keyword} is missing; {_CURES[keyword]}')
    uid = UID(str(uids[0]))
    if not uid.is_valid:
        raise RadiographError(path, f'{keyword} is not a valid UID; {_CURES[keyword]}')
    return uid


def _add_geometry(source: Dataset, header: Dataset) -> None:
    """Add what the image library says of a projection; without it the modality counts as other."""
    modality = code(header, 'Modality') or 'OT'
    lies = [text for text in codes(header, 'PatientOrientation') if text]
    lengths = numbers(header, 'ImagerPixelSpacing')
    complete = len(lies) == len(lengths) == 2 and all(map(math.isfinite, lengths))
    if modality in _PROJECTION and complete:
        source.PatientOrientation = lies
        source.ImagerPixelSpacing = values(header, 'ImagerPixelSpacing')
    elif modality in _PROJECTION + _SLICES:
        modality = 'OT'
    source.Modality = modality


def _add_identity(path: str | os.PathLike[str], source: Dataset, header: Dataset) -> None:
    for keyword in _IDENTITY:
        if keyword not in header:
            continue
        try:
            element = header[keyword]
            if element.VR in _STRICT and not element.is_empty:
                validate_value(element.VR, str(element.value), RAISE)
            setattr(source, keyword, element.value)
        except Exception:  # pydicom's own message may quote the value
            raise RadiographError(
                path, f'{keyword} is malformed; correct it, or write without keep_identity'
            ) from None
