"""A structured report as a whole object: its content and the modules around it.

Importing this module needs highdicom, which the extra ``report`` installs.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import ComprehensiveSR, ImageLibrary, MeasurementReport
from pydicom import Dataset
from pydicom.uid import generate_uid

from unsct_mmpose.anatomy import LandmarkEstimate, Measurement

from .codes import SCHEME
from .content import Content, Context

_SERIES_NUMBER = 9900
_LONGEST_LO = 64


class DocumentError(Exception):
    """The cause, in words and without header values, why there is no report on an image."""


def encode_report(
    header: Dataset,
    landmarks: Sequence[LandmarkEstimate],
    measurements: Sequence[Measurement],
    context: Context,
) -> tuple[str, bytes]:
    """Return the SOP Instance UID of a report, on a header of ``read_source``, and its bytes.

    Raises:
        DocumentError: highdicom refuses the header.
    """
    try:
        ImageLibrary([header])
    except Exception as error:
        raise DocumentError(
            f'its SOPClassUID is none of an image that a report can refer to ({_kind(error)})'
        ) from None
    tree = Content(header, landmarks, context).report(measurements)
    try:
        report = _document(header, tree, context)
        buffer = BytesIO()
        report.save_as(buffer, enforce_file_format=True)
    except (TypeError, ValueError, UnicodeError) as error:  # the message may quote the header
        raise DocumentError(
            f'a patient or study attribute of it is malformed ({_kind(error)}); correct it, or '
            'write without keep_identity'
        ) from None
    return str(report.SOPInstanceUID), buffer.getvalue()


def _document(header: Dataset, tree: MeasurementReport, context: Context) -> Dataset:
    """Return the object; it takes study and patient from the header."""
    report: Dataset = ComprehensiveSR(
        evidence=[header],
        content=tree[0],
        series_instance_uid=generate_uid(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer='unsct_mmpose',
        manufacturer_model_name=_line(context.algorithm.name),
        software_versions=_line(context.algorithm.version),
        series_description=('SIMULATED ' if context.simulated else '') + 'research, no diagnosis',
        content_qualification='RESEARCH',
        specific_character_set='ISO_IR 192',
        coding_schemes=[CodingSchemeIdentificationItem(SCHEME, name='Codes of unsct_mmpose')],
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    for keyword in ('PatientIdentityRemoved', 'DeidentificationMethod'):
        if keyword in header:
            setattr(report, keyword, header[keyword].value)
    if context.simulated:
        report.SyntheticData = 'YES'
    return report


def _kind(error: Exception) -> str:
    return type(error).__name__


def _line(text: str) -> str:
    """Return text as the value representation LO holds it."""
    return text.replace('\\', '/').strip()[:_LONGEST_LO]
