"""PNG, JPEG and TIFF pictures of radiographs: decoded, and written for other software."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.functional.crop import fine_levels, grey_levels

from .isolation import DecoderError, DecoderRefusal, decode
from .limits import current_limits
from .picture_header import PageHeader, picture_format, read_pages
from .pixel_format import DecodeError, choose_frame, luma, too_many_pixels
from .placement import Turn

PICTURE_SUFFIXES = {'png': '.png', 'png16': '.png', 'jpeg': '.jpg'}
"""Forms that :func:`encode_picture` writes, and what their files are called."""

_ORDINARY_PIXELS = 2**24
_ORDINARY_PACKING = 200
"""Pixels for each byte of the file; a blank picture has more, and so has a bomb."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        grey: ``(H, W)`` values, as they are to be laid on a display.
        transparent: ``(H, W)`` where nothing is to be seen; None when the picture is opaque.
        inverted: the lowest value is white.
        turn: what the file's orientation (EXIF, TIFF) asked for, and was done.
    """

    grey: NDArray[Any]
    transparent: NDArray[np.bool_] | None
    inverted: bool
    turn: Turn


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


def decode_picture(content: bytes, frame: int | None = None) -> Picture:
    """Decode a picture and lay it as its EXIF or TIFF orientation says.

    Args:
        content: the whole file.
        frame: page of a TIFF file, from 0; required when it holds several.

    Raises:
        DecodeError: it is damaged, cut off, too large, or holds several pages and no choice.
    """
    name = picture_format(content)
    if name is None or _is_cut_off(content, name):
        raise DecodeError(f'the {name} file is cut off')
    pages = read_pages(content)
    page = choose_frame(len(pages), frame, 'pages')
    raw = _decode_page(content, page, pages[page], name)
    grey, transparent = split_channels(raw)
    if not np.isfinite(grey).all():
        raise DecodeError('it holds pixel values that are not finite')
    # OpenCV inverts a TIFF whose lowest value is white if it has 8 bits, and else does not.
    inverted = name == 'TIFF' and grey.dtype != np.uint8 and pages[page].min_is_white
    turn = Turn.of_exif(pages[page].orientation)
    return Picture(
        turn.apply(grey), None if transparent is None else turn.apply(transparent), inverted, turn
    )


def _decode_page(content: bytes, page: int, header: PageHeader, name: str) -> NDArray[Any]:
    """Decode a page as it is stored, in the worker where it promises much."""
    limits = current_limits()
    pixels = header.width * header.height
    if pixels > limits.pixels:
        raise DecodeError(too_many_pixels(header.width, header.height, limits))
    if header.orientation_at is not None:
        content = _upright(content, header)
    ordinary = pixels <= min(_ORDINARY_PIXELS, _ORDINARY_PACKING * len(content))
    try:
        raw = decode('page', content, dict(page=page), limits, pixels, here=ordinary)
    except DecoderRefusal:
        raise DecodeError(f'the {name} file is damaged or cut off') from None
    except DecoderError as error:
        raise DecodeError(f'the {name} file is refused: {error}') from None
    if raw.shape[:2] != (header.height, header.width):
        raise DecodeError(
            f'the {name} file is damaged: it decodes to {raw.shape[1]} x {raw.shape[0]} pixels, '
            f'not {header.width} x {header.height}'
        )
    return raw


def _upright(content: bytes, header: PageHeader) -> bytes:
    """Say in the bytes of a TIFF file that nothing need be turned: some decoders would do it."""
    assert header.orientation_at is not None
    order = 'little' if content.startswith(b'II') else 'big'
    changed = bytearray(content)
    place = header.orientation_at
    changed[place : place + 2] = (1).to_bytes(2, order)  # type: ignore[arg-type]
    return bytes(changed)


def _is_cut_off(content: bytes, name: str) -> bool:
    """Look for the mark at the end: decoders fill what is missing with grey and say nothing."""
    if name == 'PNG':
        return b'IEND' not in content[-64:]
    return name == 'JPEG' and b'\xff\xd9' not in content[-4096:]


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
    grey = luma(colour, bgr=True)
    return (np.rint(grey) if page.dtype.kind == 'u' else grey).astype(page.dtype), transparent
