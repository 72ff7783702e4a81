"""PNG, JPEG and TIFF pictures of radiographs: their headers, decoded, and written for others."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.functional.crop import fine_levels, grey_levels

from .isolation import DecoderError, DecoderRefusal, current_limits, decode
from .pixel_format import DecodeError, choose_frame, luma, too_many_pixels
from .placement import Turn
from .streams import StreamError, jpeg_segments, read_stream_header

PICTURE_SUFFIXES = {'png': '.png', 'png16': '.png', 'jpeg': '.jpg'}
"""Forms that :func:`encode_picture` writes, and what their files are called."""

_ORDINARY_PIXELS = 2**24
_ORDINARY_PACKING = 200
"""Pixels for each byte of the file; a blank picture has more, and so has a bomb."""


_SIGNATURES = {
    'PNG': (b'\x89PNG\r\n\x1a\n',),
    'JPEG': (b'\xff\xd8\xff',),
    'TIFF': (b'II*\x00', b'MM\x00*'),
}
_WIDTH, _HEIGHT, _PHOTOMETRIC, _ORIENTATION = 256, 257, 262, 274
_MOST_PAGES = 10_000
_EXIF = b'Exif\0\0'


@dataclass(frozen=True)
class PageHeader:
    """One page of a picture.

    Attributes:
        width: pixels, as stored.
        height: pixels, as stored.
        orientation: 1 to 8, how to lay it on a display (EXIF and TIFF count alike).
        min_is_white: the lowest value is white.
        orientation_at: where in the file a TIFF holds the orientation; None elsewhere.
    """

    width: int
    height: int
    orientation: int = 1
    min_is_white: bool = False
    orientation_at: int | None = None


def picture_format(content: bytes) -> str | None:
    """Return ``'PNG'``, ``'JPEG'`` or ``'TIFF'`` by the first bytes of a file, or None."""
    for name, signatures in _SIGNATURES.items():
        if content.startswith(signatures):
            return name
    return None


def read_head(path: str | os.PathLike[str], length: int) -> bytes | None:
    """Return the first bytes of a file; None where they cannot be read."""
    try:
        with Path(path).open('rb') as file:
            return file.read(length)
    except OSError:
        return None


def read_pages(content: bytes) -> list[PageHeader]:
    """Read the headers of all pages of a picture.

    Raises:
        DecodeError: the file is cut off or damaged.
    """
    name = picture_format(content)
    readers = {'PNG': _read_png, 'JPEG': _read_jpeg, 'TIFF': _read_tiff}
    if name is None:
        raise DecodeError('it is no PNG, JPEG or TIFF picture')
    try:
        pages = readers[name](content)
    except (struct.error, StreamError):
        raise DecodeError(f'the {name} file is damaged or cut off') from None
    if not pages or any(not (page.width and page.height) for page in pages):
        raise DecodeError(f'the {name} file is damaged: a page has no size')
    return pages


def _read_png(content: bytes) -> list[PageHeader]:
    width, height = struct.unpack_from('>II', content, 16)
    position, orientation = 8, 1
    while position + 8 <= len(content):
        length, kind = struct.unpack_from('>I4s', content, position)
        if kind == b'eXIf':
            orientation = _exif_orientation(content[position + 8 : position + 8 + length])
        position += 12 + length
    return [PageHeader(width, height, orientation)]


def _read_jpeg(content: bytes) -> list[PageHeader]:
    header, orientation = read_stream_header(content), 1
    for marker, start, end in jpeg_segments(content):
        if marker == 0xE1 and content[start:end].startswith(_EXIF):
            orientation = _exif_orientation(content[start + len(_EXIF) : end])
            break
    return [PageHeader(header.columns, header.rows, orientation)]


def _exif_orientation(block: bytes) -> int:
    """Return the orientation of an EXIF block, which is a small TIFF file; 1 where it has none."""
    if not block.startswith(_SIGNATURES['TIFF']):
        return 1
    try:
        order = '<' if block.startswith(b'II') else '>'
        (start,) = struct.unpack_from(f'{order}I', block, 4)
        tags, _ = _read_directory(block, order, start)
    except struct.error:
        return 1
    return _orientation(tags)


def _read_tiff(content: bytes) -> list[PageHeader]:
    order = '<' if content.startswith(b'II') else '>'
    (start,) = struct.unpack_from(f'{order}I', content, 4)
    pages: list[PageHeader] = []
    starts = set()
    while start:
        if start in starts or len(pages) >= _MOST_PAGES:
            raise DecodeError('the TIFF file is damaged: its pages run in a circle')
        starts.add(start)
        tags, start = _read_directory(content, order, start)
        pages.append(
            PageHeader(
                tags.get(_WIDTH, (0, 0))[0],
                tags.get(_HEIGHT, (0, 0))[0],
                _orientation(tags),
                tags.get(_PHOTOMETRIC, (1, 0))[0] == 0,
                tags[_ORIENTATION][1] if _ORIENTATION in tags else None,
            )
        )
    return pages


def _orientation(tags: dict[int, tuple[int, int]]) -> int:
    value = tags.get(_ORIENTATION, (1, 0))[0]
    return value if 1 <= value <= 8 else 1


def _read_directory(
    content: bytes, order: str, start: int
) -> tuple[dict[int, tuple[int, int]], int]:
    """Return the whole numbers of a directory with their places, and where the next one is."""
    (entries,) = struct.unpack_from(f'{order}H', content, start)
    tags = {}
    for index in range(entries):
        place = start + 2 + 12 * index
        tag, kind, count = struct.unpack_from(f'{order}HHI', content, place)
        if kind in (3, 4) and count == 1:
            form = 'H' if kind == 3 else 'I'
            (value,) = struct.unpack_from(f'{order}{form}', content, place + 8)
            tags[tag] = (value, place + 8 + (2 if kind == 4 and order == '>' else 0))
    (following,) = struct.unpack_from(f'{order}I', content, start + 2 + 12 * entries)
    return tags, following


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
    """Decode a picture, or one page of a TIFF, and lay it as its EXIF or TIFF orientation says.

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
