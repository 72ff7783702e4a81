"""All ways by which a file of a stranger comes in, and what each may answer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from unsct_mmpose.dicom import (
    RadiographError,
    looks_like_radiograph,
    patient_identity,
    radiograph_from_bytes,
)
from unsct_mmpose.dicom.identity import (
    dicom_size_wh,
    holds_dicom,
    identifying_words,
    patient_key,
    peek_orientation,
    peek_size_wh,
)
from unsct_mmpose.dicom.marker import find_markers
from unsct_mmpose.dicom.pictures import encode_picture
from unsct_mmpose.dicom.pixel_format import DecodeError
from unsct_mmpose.dicom.sr.read import read_structured_report
from unsct_mmpose.dicom.sr.source import read_source

_DRAWN_PIXELS = 2**20


def read_file(content: bytes, number: int, scratch: Path) -> tuple[str, str]:
    """Bring a file through the door of images, and through another one that the number chooses.

    ``survived``, ``refused`` or ``wrong`` comes back, and words, of the image.
    """
    outcome, words = read_image(content)
    look = _HEADERS[number % len(_HEADERS)]
    scratch.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught, suppress(RadiographError, DecodeError):
        warnings.simplefilter('always')
        look(content, scratch)
    if caught:
        said = f'{caught[0].message!s:.80}'
        return 'wrong', f'door {number % len(_HEADERS)} lets a warning out: {said}'
    return outcome, words


_HEADERS: tuple[Callable[[bytes, Path], object], ...] = (
    lambda content, path: dicom_size_wh(content),
    lambda content, path: holds_dicom(content),
    lambda content, path: identifying_words(content),
    lambda content, path: patient_key(content),
    lambda content, path: (looks_like_radiograph(path), peek_size_wh(path)),
    lambda content, path: peek_orientation(path),
    lambda content, path: patient_identity(path),
    lambda content, path: read_structured_report(path),
    lambda content, path: read_source(path, keep_identity=False),
    lambda content, path: read_source(path, keep_identity=True),
)
"""What else reads a file; each is given its bytes and its path."""


def read_image(content: bytes) -> tuple[str, str]:
    """Read an image; say whether it can be shown, or was refused in words that can be printed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            radiograph = radiograph_from_bytes(content, 'file')
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
