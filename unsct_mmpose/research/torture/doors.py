"""All ways by which a file of a stranger comes in, and what each may answer."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np

from unsct_mmpose.dicom import (
    RadiographError,
    looks_like_radiograph,
    patient_identity,
    radiograph_from_bytes,
)
from unsct_mmpose.dicom.identity import dicom_size_wh, holds_dicom, identifying_words, patient_key
from unsct_mmpose.dicom.marker import find_markers
from unsct_mmpose.dicom.peek import peek_orientation, peek_size_wh
from unsct_mmpose.dicom.pictures import encode_picture
from unsct_mmpose.dicom.pixel_format import DecodeError
from unsct_mmpose.dicom.sr.read import read_structured_report
from unsct_mmpose.dicom.sr.source import read_source

_DRAWN_PIXELS = 2**20


def read_file(content: bytes, scratch: Path) -> tuple[str, str]:
    """Bring a file through every door; return what came of it as an image, and in which words.

    Args:
        content: the file.
        scratch: where it is laid for those that read paths.

    Returns:
        ``survived``, ``refused`` or ``wrong``, and words.
    """
    outcome, words = read_image(content)
    for look in (dicom_size_wh, holds_dicom, identifying_words, patient_key):
        look(content)
    scratch.write_bytes(content)
    looks_like_radiograph(scratch)
    peek_size_wh(scratch)
    for read in (patient_identity, read_structured_report, _sources):
        with suppress(RadiographError):
            read(scratch)
    with suppress(DecodeError):
        peek_orientation(scratch)
    return outcome, words


def read_image(content: bytes, frame: int | None = None) -> tuple[str, str]:
    """Read an image; say whether it can be shown, or was refused in words that can be printed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            radiograph = radiograph_from_bytes(content, 'file', frame=frame)
        except RadiographError as error:
            if error.cause and str(error).isprintable() and len(str(error)) < 1000:
                return ('wrong', 'a warning is shown') if caught else ('refused', error.cause)
            return 'wrong', f'refused in the words {error!s:.200}'
    pixels = radiograph.pixels
    if pixels.ndim != 2 or not pixels.size or pixels.dtype != np.float32:
        return 'wrong', f'pixels of {pixels.dtype} and shape {pixels.shape}'
    if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
        return 'wrong', 'values outside [0, 1]'
    spacing = radiograph.spacing_xy_mm
    if spacing is not None and not all(0.02 <= length <= 5 for length in spacing):
        return 'wrong', f'spacing {spacing}'
    if not 1 <= radiograph.magnification <= 2:
        return 'wrong', f'magnification {radiograph.magnification}'
    told = [str(value) for value in radiograph.provenance.values()]
    told += [radiograph.spacing_source, radiograph.spacing_problem or '']
    if not all(text.isprintable() for text in told):
        return 'wrong', 'control characters in what is told of it'
    if pixels.size <= _DRAWN_PIXELS:
        find_markers(pixels)
        encode_picture(pixels, 'png')
    return 'survived', ''


def _sources(path: str | os.PathLike[str]) -> None:
    for keep_identity in (False, True):
        with suppress(RadiographError):
            read_source(path, keep_identity=keep_identity)
