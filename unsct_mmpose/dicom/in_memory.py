"""Radiographs that are in memory already, as arrays."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .display import show_by_own_range
from .pictures import split_channels
from .placement import given_orientation
from .radiograph import Radiograph, RadiographError
from .read import Provenance, assemble
from .spacing import given_spacing


def radiograph_from_array(
    pixels: NDArray[Any],
    *,
    spacing_xy_mm: tuple[float, float] | None = None,
    magnification: float | None = None,
    mirrored: bool | None = None,
    name: str = 'array',
) -> Radiograph:
    """Take a picture with bone bright out of an array.

    Args:
        pixels: ``(H, W)`` or ``(H, W, 1)`` grey, or ``(H, W, 3)`` with three equal channels, or
            one of these with a last channel of opacity, 0 where nothing is to be seen. uint8 and
            floats in [0, 1] are display values. Other integers and floats have no fixed white: the
            range of their own values is shown, as of a 16-bit picture file, and
            ``provenance['window']`` says so.
        spacing_xy_mm: width and height of a pixel at the detector, mm; None when unknown.
        magnification: size on the detector over size at the bone; None when unknown.
        mirrored: whether left and right are exchanged in the array; they are then put right.
        name: what messages call it.

    Raises:
        RadiographError: the array is no grey image; the message says what it is and what to do.
        ValueError: spacing or magnification is not positive and finite.
    """
    array = np.asarray(pixels)
    grey, hidden = grey_channel(array, name)
    if array.ndim == 3 and array.shape[2] >= 3 and (array[..., :3] != array[..., :1]).any():
        raise RadiographError(name, 'its channels differ: give one grey channel, (H, W)')
    shown, window = display_values(grey, hidden, name)
    provenance: Provenance = {
        'sha256': hashlib.sha256(np.ascontiguousarray(grey).tobytes()).hexdigest(),
        'sha256_of': 'array',
        'format': 'array',
        'window': window,
        'warnings': 0,
    }
    spacing = given_spacing(spacing_xy_mm, magnification, 'an array has no pixel spacing')
    return assemble(name, shown, spacing, None, provenance, given_orientation(mirrored))


def grey_channel(
    array: NDArray[Any], name: str = 'array'
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Separate the grey values of an array from its opacity.

    Args:
        array: ``(H, W)`` or ``(H, W, C)``, see
            :func:`unsct_mmpose.dicom.pictures.split_channels`.
        name: what messages call it.

    Raises:
        RadiographError: the array has another shape, or nothing in it.
    """
    grey_like = array.ndim == 2 or (array.ndim == 3 and 1 <= array.shape[2] <= 4)
    if not grey_like or not array.size:
        raise RadiographError(
            name, f'its shape is {array.shape}, not (H, W) or (H, W, C) with 1 to 4 channels'
        )
    return split_channels(array)


def display_values(
    grey: NDArray[Any], hidden: NDArray[np.bool_] | None = None, name: str = 'array'
) -> tuple[NDArray[np.float32], str]:
    """Turn grey values of any type into display values.

    Args:
        grey: ``(H, W)`` values, bone bright.
        hidden: ``(H, W)`` pixels that become black; None for none.
        name: what messages call it.

    Returns:
        ``(H, W)`` display values in [0, 1], and in words where the mapping comes from.

    Raises:
        RadiographError: they are no numbers, or not finite.
    """
    if grey.dtype.kind not in 'uif':
        raise RadiographError(name, f'its type is {grey.dtype}: give integers or floats')
    if not np.isfinite(grey).all():
        raise RadiographError(name, 'it holds pixel values that are not finite')
    if grey.dtype == np.uint8:
        pixels, words = grey.astype(np.float32) / np.float32(255), 'as stored: 0 to 255'
    elif grey.dtype.kind == 'f' and grey.min() >= 0 and grey.max() <= 1:
        pixels, words = grey.astype(np.float32), 'as stored: 0 to 1'
    else:
        pixels, words = show_by_own_range(grey, hidden)
    if hidden is not None:
        pixels[hidden] = 0
    return pixels, words
