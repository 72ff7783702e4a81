"""Radiographs that are in memory already: arrays and parsed DICOM files."""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from .decode import DecodeError, NoImageError, guess_transfer_syntax
from .dicom import Provenance, assemble, render_dicom
from .header import code, uid, values
from .placement import given_orientation
from .radiograph import NoRadiographError, Radiograph, RadiographError
from .spacing import given_spacing, read_spacing


def radiograph_from_array(
    pixels: NDArray[Any],
    *,
    spacing_xy_mm: tuple[float, float] | None = None,
    magnification: float | None = None,
    mirrored: bool | None = None,
    name: str = 'array',
) -> Radiograph:
    """Take display values as they are, bone bright.

    Args:
        pixels: ``(H, W)`` grey or ``(H, W, 3)`` with three equal channels: uint8, or uint16, whose
            white is the largest value of their type, or floats in [0, 1].
        spacing_xy_mm: width and height of a pixel at the detector, mm; None when unknown.
        magnification: size on the detector over size at the bone; None when unknown.
        mirrored: whether left and right are exchanged in the array; they are then put right.
        name: what messages call it.

    Raises:
        RadiographError: the array is no grey image; the message says what it is and what to do.
        ValueError: spacing or magnification is not positive and finite.
    """
    array = np.asarray(pixels)
    if array.ndim == 3 and array.shape[2] == 3:
        if (array != array[..., :1]).any():
            raise RadiographError(name, 'its channels differ: give one grey channel, (H, W)')
        array = array[..., 0]
    if array.ndim != 2 or not array.size:
        raise RadiographError(name, f'its shape is {np.shape(pixels)}, not (H, W) or (H, W, 3)')
    grey = _display_values(array, name)
    provenance: Provenance = {
        'sha256': hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest(),
        'sha256_of': 'array',
        'format': 'array',
        'warnings': 0,
    }
    spacing = given_spacing(spacing_xy_mm, magnification, 'an array has no pixel spacing')
    return assemble(name, grey, spacing, None, provenance, given_orientation(mirrored))


def radiograph_from_dataset(
    dataset: Dataset,
    *,
    spacing_xy_mm: tuple[float, float] | None = None,
    magnification: float | None = None,
    window: tuple[float, float] | None = None,
    frame: int | None = None,
    mirrored: bool | None = None,
    name: str = 'dataset',
) -> Radiograph:
    """Display a parsed DICOM file, as :func:`read_radiograph` does with one on disk.

    Args:
        dataset: from ``pydicom.dcmread``, with its pixel data; it is not changed except that a
            missing transfer syntax is filled in.
        spacing_xy_mm: see :func:`read_radiograph`, as the next four.
        magnification: see there.
        window: see there.
        frame: see there.
        mirrored: see there.
        name: what messages call it.

    Raises:
        RadiographError: it cannot be displayed; the message says why.
        ValueError: spacing or magnification is not positive and finite.
    """
    found = values(dataset, 'PixelData')[:1]
    stored = found[0] if found and isinstance(found[0], bytes) else b''
    provenance: Provenance = {
        'sha256': hashlib.sha256(stored).hexdigest(),
        'sha256_of': 'pixel data',
    }
    meta = getattr(dataset, 'file_meta', None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            if meta is None or uid(meta, 'TransferSyntaxUID') is None:
                guess_transfer_syntax(dataset)
            pixels, orientation = render_dicom(dataset, window, frame, provenance, mirrored)
        except NoImageError as error:
            raise NoRadiographError(name, str(error), error.kind) from None
        except DecodeError as error:
            raise RadiographError(name, str(error)) from None
        spacing = read_spacing(dataset, spacing_xy_mm, magnification)
        laterality = code(dataset, 'ImageLaterality') or code(dataset, 'Laterality')
    provenance['warnings'] = len(caught)
    return assemble(name, pixels, spacing, laterality, provenance, orientation)


def _display_values(array: NDArray[Any], name: str) -> NDArray[np.float32]:
    if array.dtype in (np.uint8, np.uint16):
        white = np.float32(np.iinfo(array.dtype).max)
        return array.astype(np.float32) / white
    if not np.issubdtype(array.dtype, np.floating):
        raise RadiographError(name, f'its type is {array.dtype}: give uint8, uint16 or floats')
    if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
        raise RadiographError(name, 'its floats do not all lie in [0, 1]: scale them, bone bright')
    return array.astype(np.float32)
