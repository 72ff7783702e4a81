"""What a PNG, JPEG or TIFF file says of its pages, read before anything is decoded."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from .pixel_format import DecodeError
from .streams import StreamError, jpeg_segments, read_stream_header

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
    header = read_stream_header(content)
    return [PageHeader(header.columns, header.rows, _jpeg_orientation(content))]


def _jpeg_orientation(content: bytes) -> int:
    for marker, start, end in jpeg_segments(content):
        if marker == 0xE1 and content[start:end].startswith(_EXIF):
            return _exif_orientation(content[start + len(_EXIF) : end])
    return 1


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
