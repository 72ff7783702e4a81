"""The size of an image file, and how it lies, from its first bytes, without decoding it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread

from .annotated import size_problem
from .annotations import AnnotationFile
from .header import number
from .picture_header import picture_format, read_pages
from .pixel_format import DecodeError
from .placement import given_orientation, read_orientation

_HEAD_BYTES = 2**18
_MOST_PEEKS = 256
_LIES = (
    'PatientOrientation', 'FieldOfViewHorizontalFlip', 'FieldOfViewRotation', 'ViewPosition',
)  # fmt: skip


def peek_size_wh(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return width and height of an image in pixels of its file; None where that is not cheap.

    Of a picture the size is that after its EXIF orientation, which is how annotations see it.
    """
    head = _head(path)
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


def _peek_header(head: bytes, keywords: Sequence[str]) -> Dataset | None:
    """Return some elements from the first bytes of a DICOM file; None where that is none."""
    if head[128:132] != b'DICM':
        return None
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            return dcmread(BytesIO(head), specific_tags=list(keywords))
        except Exception:  # whoever decodes it says what is wrong
            return None


def _head(path: str | os.PathLike[str]) -> bytes:
    try:
        with Path(path).open('rb') as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b''


def turned_problems(annotations: AnnotationFile, image_root: str | os.PathLike[str]) -> list[str]:
    """Say which images a reader turns to the standard display, for one that leaves points behind.

    Args:
        annotations: what was read.
        image_root: folder that its file names start from.
    """
    problems = []
    for case in annotations.cases:
        header = _peek_header(_head(Path(image_root) / case.file_name), _LIES)
        try:
            found = (
                given_orientation(case.read_mirrored)
                if header is None
                else read_orientation(header, case.read_mirrored)
            )
        except DecodeError as error:
            problems.append(f'image {case.image_id} ({case.file_name}): {error}')
            continue
        if found is not None and found.turn:
            problems.append(f'image {case.image_id} ({case.file_name}): it is {found.words()}')
    return problems


def size_problems(annotations: AnnotationFile, image_root: str | os.PathLike[str]) -> list[str]:
    """Say which records contradict the size of their image, for a sample of at most 256 images.

    The others are compared when they are decoded.

    Args:
        annotations: what was read.
        image_root: folder that its file names start from.
    """
    cases = annotations.cases
    step = max(1, -(-len(cases) // _MOST_PEEKS))
    sizes = ((case, peek_size_wh(Path(image_root) / case.file_name)) for case in cases[::step])
    return [
        f'image {case.image_id} ({case.file_name}): {size_problem(size, case.size_wh)}'
        for case, size in sizes
        if size is not None and size != tuple(case.size_wh)
    ]
