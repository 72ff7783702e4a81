"""PNG, JPEG and TIFF pictures of radiographs: decoded, and written for other software."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .decode import DecodeError
from .framing import grey_levels

_SIGNATURES = {
    'PNG': (b'\x89PNG\r\n\x1a\n',),
    'JPEG': (b'\xff\xd8\xff',),
    'TIFF': (b'II*\x00', b'MM\x00*'),
}
PICTURE_SUFFIXES = {'png': '.png', 'png16': '.png', 'jpeg': '.jpg'}
"""Forms that :func:`encode_picture` writes, and what their files are called."""

_GREY_WEIGHTS_BGR = (114, 587, 299)
_TIFF_PHOTOMETRIC = 262


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        grey: ``(H, W)`` values as they are stored.
        transparent: ``(H, W)`` where nothing is to be seen; None when the picture is opaque.
        inverted: the lowest value is white.
    """

    grey: NDArray[Any]
    transparent: NDArray[np.bool_] | None
    inverted: bool


def picture_format(content: bytes) -> str | None:
    """Return ``'PNG'``, ``'JPEG'`` or ``'TIFF'`` by the first bytes of a file, or None."""
    for name, signatures in _SIGNATURES.items():
        if content.startswith(signatures):
            return name
    return None


def encode_picture(pixels: NDArray[np.floating], form: str, quality: int = 95) -> bytes:
    """Return a picture file of display values, without any metadata.

    ==========  =====================================================================
    ``png``     the 256 grey levels that a network is fed with, without loss
    ``png16``   65,536 levels; the upper byte is the grey level of ``png``, so that readers
                which keep 8 bits, OpenCV and MMPose among them, show the same
    ``jpeg``    the 256 grey levels, with JPEG's loss
    ==========  =====================================================================

    Args:
        pixels: ``(H, W)`` display values in [0, 1].
        form: one of :data:`PICTURE_SUFFIXES`.
        quality: of a JPEG file, 1 to 100.

    Raises:
        ValueError: the form is unknown, or the picture is too large for it.
    """
    if form not in PICTURE_SUFFIXES:
        raise ValueError(f'form {form!r} is unknown; choose from {", ".join(PICTURE_SUFFIXES)}')
    levels = fine_levels(pixels) if form == 'png16' else grey_levels(pixels)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if form == 'jpeg' else []
    try:
        done, content = cv2.imencode(PICTURE_SUFFIXES[form], levels, options)
    except cv2.error:
        done, content = False, None
    if not done or content is None:
        raise ValueError(f'{levels.shape[1]} x {levels.shape[0]} pixels cannot become {form}')
    return content.tobytes()


def fine_levels(pixels: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Return display values in [0, 1] as 16-bit levels; the upper byte is ``grey_levels``.

    The lower byte is 128 at the middle of a grey level: a value is ``(level - 128) / 65280``.

    Example:
        >>> fine_levels(np.array([0.0, 0.5, 1.0])).tolist()
        [128, 32768, 65408]
    """
    scaled = np.asarray(pixels, np.float64) * 255.0
    grey = grey_levels(pixels).astype(np.int64)
    part = np.clip(np.floor((scaled - grey + 0.5) * 256), 0, 255).astype(np.int64)
    return (grey * 256 + part).astype(np.uint16)


def decode_picture(content: bytes, frame: int | None = None) -> Picture:
    """Decode a picture as it is stored (an EXIF orientation is not applied).

    Args:
        content: the whole file.
        frame: page of a TIFF file, from 0; required when it holds several.

    Raises:
        DecodeError: it is damaged, cut off, or holds several pages and no choice.
    """
    name = picture_format(content)
    if name is None or _is_cut_off(content, name):
        raise DecodeError(f'the {name} file is cut off')
    try:
        done, pages = cv2.imdecodemulti(
            np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_UNCHANGED
        )
    except cv2.error:
        done, pages = False, ()
    if not done or not len(pages) or pages[0] is None or not pages[0].size:
        raise DecodeError(f'the {name} file is damaged or cut off')
    if len(pages) > 1 and frame is None:
        raise DecodeError(
            f'it holds {len(pages)} pages and a radiograph is one; '
            f'choose with frame=0 .. {len(pages) - 1}'
        )
    if not 0 <= (frame or 0) < len(pages):
        raise DecodeError(f'there is no frame {frame}: the file holds {len(pages)}, from 0')
    grey, transparent = split_channels(np.asarray(pages[frame or 0]))
    if not np.isfinite(grey).all():
        raise DecodeError('it holds pixel values that are not finite')
    # OpenCV inverts a TIFF whose lowest value is white if it has 8 bits, and else does not.
    inverted = name == 'TIFF' and grey.dtype != np.uint8 and _is_min_white(content)
    return Picture(grey, transparent, inverted)


def _is_cut_off(content: bytes, name: str) -> bool:
    """Look for the mark at the end: decoders fill what is missing with grey and say nothing."""
    if name == 'PNG':
        return b'IEND' not in content[-64:]
    return name == 'JPEG' and b'\xff\xd9' not in content[-4096:]


def _is_min_white(content: bytes) -> bool:
    """Read PhotometricInterpretation of the first page: 0 means that the lowest value is white."""
    order = '<' if content.startswith(b'II') else '>'
    (start,) = struct.unpack_from(f'{order}I', content, 4)
    (entries,) = struct.unpack_from(f'{order}H', content, start)
    for index in range(entries):
        tag, _, _, value = struct.unpack_from(f'{order}HHIH', content, start + 2 + 12 * index)
        if tag == _TIFF_PHOTOMETRIC:
            return bool(value == 0)
    return False


def split_channels(page: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Separate grey values from transparency.

    Args:
        page: ``(H, W)``, or ``(H, W, C)`` with C of 1 (grey), 2 (grey, opacity), 3 (BGR) or 4 (BGR,
            opacity). Colour becomes its luma (ITU-R BT.601).

    Returns:
        ``(H, W)`` grey values of the same type, and ``(H, W)`` where nothing is to be seen, None
        without a channel of opacity.
    """
    if page.ndim == 2:
        return page, None
    channels = page.shape[2]
    transparent = page[..., -1] == 0 if channels in (2, 4) else None
    if channels < 3:
        return page[..., 0], transparent
    colour = page[..., :3]
    if (colour == colour[..., :1]).all():
        return np.ascontiguousarray(colour[..., 0]), transparent
    weighted = colour.astype(np.float64) @ np.array(_GREY_WEIGHTS_BGR, dtype=np.float64)
    grey = weighted / sum(_GREY_WEIGHTS_BGR)
    return (np.rint(grey) if page.dtype.kind == 'u' else grey).astype(page.dtype), transparent
