"""Reading a radiograph: DICOM, PNG, JPEG or TIFF in, display values with units out."""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from .decode import DecodeError, decode_frame, parse_dicom, transfer_syntax_name
from .display import Levels, apply_modality, apply_voi, find_levels, show_by_own_range
from .header import code, number, numbers, patient_orientation
from .identity import simulation_mark
from .pictures import decode_picture, picture_format
from .radiograph import Radiograph, RadiographError
from .spacing import Spacing, given_spacing, read_spacing
from .writer import write_radiograph

__all__ = [
    'Radiograph',
    'RadiographError',
    'radiograph_from_bytes',
    'read_radiograph',
    'write_radiograph',
]

_CODES = (
    'Modality',
    'BodyPartExamined',
    'PresentationIntentType',
    'ViewPosition',
    'PresentationLUTShape',
    'BurnedInAnnotation',
)

Provenance = dict[str, 'str | float | int']


def read_radiograph(
    path: str | os.PathLike[str],
    *,
    spacing_xy_mm: tuple[float, float] | None = None,
    magnification: float | None = None,
    window: tuple[float, float] | None = None,
    frame: int | None = None,
) -> Radiograph:
    """Read a radiograph as a display shows it, bone bright.

    Stored values pass the modality LUT, the VOI LUT or window (percentiles when the file has none
    that fits), and one inversion if the photometric interpretation is MONOCHROME1. That and
    PresentationLUTShape INVERSE are two ways to say the same (PS3.3, C.8.11.3.1.2), so a file with
    both is inverted once; where they contradict each other the photometric interpretation
    decides. Padding becomes black. Of pictures (PNG, JPEG, TIFF) those of 8 bits are taken as they
    are, others by the range of their own values (``provenance['window']`` says so).

    Args:
        path: DICOM file, or PNG, JPEG or TIFF picture.
        spacing_xy_mm: width and height of a pixel at the detector, mm; wins over the file's.
        magnification: size on the detector over size at the bone; wins over the file's.
        window: (centre, width) after the modality LUT; wins over the file's.
        frame: which frame of a file that holds several, from 0.

    Returns:
        The radiograph; its ``spacing_xy_mm`` is None when neither file nor caller know it.

    Raises:
        RadiographError: the file cannot be read; the message names it and the cause.
        ValueError: an argument is not positive and finite.
    """
    _check_window(window)
    given_spacing(spacing_xy_mm, magnification, '')  # refuses what is no spacing, unread
    return radiograph_from_bytes(
        _read_bytes(path),
        path,
        spacing_xy_mm=spacing_xy_mm,
        magnification=magnification,
        window=window,
        frame=frame,
    )


def radiograph_from_bytes(
    content: bytes,
    name: str | os.PathLike[str] = 'upload',
    *,
    spacing_xy_mm: tuple[float, float] | None = None,
    magnification: float | None = None,
    window: tuple[float, float] | None = None,
    frame: int | None = None,
) -> Radiograph:
    """Read a file that is in memory; nothing touches a disk.

    Args:
        content: the whole file.
        name: what messages call it.
        spacing_xy_mm: see :func:`read_radiograph`, as the next three.
        magnification: see there.
        window: see there.
        frame: see there.

    Raises:
        RadiographError: it cannot be read; the message says why.
        ValueError: an argument is not positive and finite.
    """
    _check_window(window)
    given = given_spacing(spacing_xy_mm, magnification, 'a picture file has no pixel spacing')
    if not content:
        raise RadiographError(name, 'the file is empty')
    provenance: Provenance = {'sha256': hashlib.sha256(content).hexdigest()}
    # Some messages of pydicom quote header values, which may identify a patient: count them only.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            if picture_format(content) and content[128:132] != b'DICM':
                pixels = _render_picture(content, window, frame, provenance)
                spacing, laterality = given, None
            else:
                dataset = parse_dicom(content)
                pixels = render_dicom(dataset, window, frame, provenance)
                spacing = read_spacing(dataset, spacing_xy_mm, magnification)
                laterality = code(dataset, 'ImageLaterality') or code(dataset, 'Laterality')
        except DecodeError as error:
            raise RadiographError(name, str(error)) from None
    provenance['warnings'] = len(caught)
    return assemble(pixels, spacing, laterality, provenance)


def assemble(
    pixels: NDArray[np.float32],
    spacing: Spacing,
    laterality: str | None,
    provenance: Provenance,
) -> Radiograph:
    """Put together what was read; the pixels become read-only."""
    pixels.flags.writeable = False
    return Radiograph(
        pixels=pixels,
        spacing_xy_mm=spacing.spacing_xy_mm,
        spacing_source=spacing.source,
        spacing_problem=spacing.problem,
        magnification=spacing.magnification,
        magnification_source=spacing.magnification_source,
        laterality=laterality,
        provenance=provenance,
    )


def _check_window(window: tuple[float, float] | None) -> None:
    if window is not None:
        centre, width = window
        if not (math.isfinite(centre) and math.isfinite(width) and width > 0):
            raise ValueError(f'window must be a finite centre and a positive width, not {window!r}')


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise RadiographError(path, 'there is no such file') from None
    except IsADirectoryError:
        raise RadiographError(path, 'it is a folder, not a file') from None
    except OSError as error:
        raise RadiographError(path, f'it cannot be read ({error.strerror})') from None


def render_dicom(
    dataset: Dataset, window: tuple[float, float] | None, frame: int | None, provenance: Provenance
) -> NDArray[np.float32]:
    """Decode a DICOM image, display it and note how."""
    stored, white = decode_frame(dataset, frame)
    provenance['format'] = 'DICOM'
    provenance['transfer_syntax'] = transfer_syntax_name(dataset)
    photometric = code(dataset, 'PhotometricInterpretation') or ''
    provenance['photometric'] = photometric
    provenance['bits_stored'] = int(number(dataset, 'BitsStored') or 0)
    for keyword in _CODES:
        if found := code(dataset, keyword):
            provenance[keyword] = found
    if directions := patient_orientation(dataset):
        provenance['orientation'] = directions
    if mark := simulation_mark(dataset):
        provenance['simulated'] = mark
    if white is not None:
        return _render_ready(stored, white, window, provenance)
    levels = find_levels(stored)
    padding = _padding(levels, dataset)
    counts = np.where(padding, 0, levels.counts)
    try:
        values = apply_modality(levels.values, dataset)
        shown, provenance['window'] = apply_voi(values, counts, dataset, window)
    except Exception as error:
        kind = type(error).__name__
        raise DecodeError(f'a lookup table of its header is malformed ({kind})') from None
    table = shown.astype(np.float32)
    if photometric == 'MONOCHROME1':
        table = 1 - table
    table[padding] = 0
    pixels: NDArray[np.float32] = table[levels.index]
    return pixels


def _render_picture(
    content: bytes, window: tuple[float, float] | None, frame: int | None, provenance: Provenance
) -> NDArray[np.float32]:
    """Decode a picture, display it and note how."""
    picture = decode_picture(content, frame)
    grey, transparent = picture.grey, picture.transparent
    provenance['format'] = picture_format(content) or ''
    provenance['transfer_syntax'] = provenance['format']
    provenance['photometric'] = 'MONOCHROME1' if picture.inverted else 'MONOCHROME2'
    provenance['bits_stored'] = grey.dtype.itemsize * 8
    if grey.dtype == np.uint8:
        pixels = _render_ready(grey, 255.0, window, provenance)
    else:
        pixels, provenance['window'] = show_by_own_range(grey, transparent, window)
    if picture.inverted:
        pixels = 1 - pixels
    if transparent is not None:
        pixels[transparent] = 0
    return pixels


def _render_ready(
    grey: NDArray[Any], white: float, window: tuple[float, float] | None, provenance: Provenance
) -> NDArray[np.float32]:
    """Display values that are display values already, such as colour."""
    if window is None:
        provenance['window'] = f'as stored: 0 to {white:g}'
        return (grey / white).astype(np.float32)
    pixels, provenance['window'] = show_by_own_range(grey, None, window)
    return pixels


def _padding(levels: Levels, dataset: Dataset) -> NDArray[np.bool_]:
    """Return which levels are padding (PS3.3, C.7.5.1.1.2); none when all would be."""
    ends = numbers(dataset, 'PixelPaddingValue')[:1]
    ends += numbers(dataset, 'PixelPaddingRangeLimit')[:1] if ends else []
    if not ends or not np.isfinite(ends).all():
        return np.zeros(len(levels.values), dtype=bool)
    padding = (levels.values >= min(ends)) & (levels.values <= max(ends))
    if not levels.counts[~padding].any():
        return np.zeros(len(levels.values), dtype=bool)
    return padding
