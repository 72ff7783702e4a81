"""The size of an image file, and how it lies, from its first bytes, without decoding it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import BytesIO

from pydicom import Dataset, dcmread

from .header import number, quiet
from .pictures import picture_format, read_head, read_pages
from .pixel_format import DecodeError
from .placement import Orientation, given_orientation, read_orientation

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
    """Return how an image lies, by the first bytes of its file.

    Args:
        path: a DICOM file or a picture.
        mirrored: what is said by hand.

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
