"""The size of an image file from its first bytes, without decoding it."""

from __future__ import annotations

import os
import warnings
from io import BytesIO
from pathlib import Path

from pydicom import dcmread

from .annotated import size_problem
from .annotations import AnnotationFile
from .header import number
from .picture_header import picture_format, read_pages
from .pixel_format import DecodeError

_HEAD_BYTES = 2**18
_MOST_PEEKS = 256


def peek_size_wh(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return width and height of an image in pixels of its file; None where that is not cheap.

    Of a picture the size is that after its EXIF orientation, which is how annotations see it.
    """
    try:
        with Path(path).open('rb') as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return None
    kind = picture_format(head)
    if kind in ('PNG', 'JPEG') and head[128:132] != b'DICM':
        try:
            (page,) = read_pages(head)
        except (DecodeError, ValueError):
            return None
        turned = page.orientation > 4
        return (page.height, page.width) if turned else (page.width, page.height)
    if head[128:132] != b'DICM':
        return None
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            header = dcmread(BytesIO(head), specific_tags=['Rows', 'Columns'])
        except Exception:  # whoever decodes it says what is wrong
            return None
        rows, columns = number(header, 'Rows'), number(header, 'Columns')
    return (int(columns), int(rows)) if rows and columns else None


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
