"""Compressed streams: what each says of itself, read before a decoder allocates anything; decoders.

Each of :data:`CALLS` is pure and gets plain values, so that it runs here or in another process.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import UID

_NOT_FRAMES = (0xC4, 0xC8, 0xCC)
_LOSSLESS = (0xC3, 0xC7, 0xCB, 0xCF)
_SEQUENTIAL = (0xC0, 0xC1)
_JPEG_LS = 0xF7
_HIERARCHICAL = 0xDE
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = 0xD9
_END = b'\xff\xd9'
_LEAST_BLOCK_BITS = 2
"""Of a block of 8 x 8 pixels in a sequential stream: one for its mean, one for its end."""

_JP2_SIGNATURE = b'\x00\x00\x00\x0cjP  '
_J2K_START = b'\xff\x4f\xff\x51'


class StreamError(ValueError):
    """A stream has no readable header; the message says why, in words."""


@dataclass(frozen=True)
class StreamHeader:
    """The image that a stream promises.

    Attributes:
        kind: name of the encoding, for people.
        rows: height, pixels.
        columns: width, pixels.
        samples: values for each pixel.
        precision: bits of each value.
        signed: whether values are signed; None where the encoding does not say.
    """

    kind: str
    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool | None = None


def read_stream_header(stream: bytes) -> StreamHeader:
    r"""Read the header of a JPEG, JPEG-LS or JPEG 2000 stream (of the latter also in JP2 boxes).

    Args:
        stream: one frame, from its first byte.

    Raises:
        StreamError: it is none of these, is cut off, or leaves its size open.

    Example:
        >>> frame = 'ffd8 ffc0 000b 08 0030 0040 01 01 11 00 ffda 0008 01 01 00 003f00'
        >>> read_stream_header(bytes.fromhex(frame) + bytes(20) + b'\xff\xd9')
        StreamHeader(kind='JPEG', rows=48, columns=64, samples=1, precision=8, signed=None)
    """
    if stream.startswith(_JP2_SIGNATURE):
        return _read_j2k(stream, _find_codestream(stream))
    if stream.startswith(_J2K_START):
        return _read_j2k(stream, 0)
    if stream.startswith(b'\xff\xd8'):
        return _read_jpeg(stream)
    raise StreamError('it starts like no JPEG, JPEG-LS or JPEG 2000 stream')


def _rle_segments(frame: bytes) -> list[bytes]:
    """Return the segments of an RLE frame (PS3.5, annex G)."""
    if len(frame) < 64:
        raise StreamError('its RLE header is cut off')
    count, *offsets = struct.unpack_from('<16I', frame)
    if not 1 <= count <= 15:
        raise StreamError(f'its RLE header names {count} segments; 1 to 15 can be')
    starts = offsets[:count]
    ends = [*starts[1:], len(frame)]
    if starts[0] != 64 or any(
        not start < end <= len(frame) for start, end in zip(starts, ends, strict=True)
    ):
        raise StreamError('its RLE header names segments that are not there')
    return [frame[start:end] for start, end in zip(starts, ends, strict=True)]


def _unpack_bits(segment: bytes, length: int) -> bytes:
    r"""Decode one RLE segment to exactly so many bytes; nothing grows beyond them.

    Example:
        >>> _unpack_bits(bytes([2, 7, 8, 9, 254, 5]), 6)
        b'\x07\x08\t\x05\x05\x05'
    """
    decoded = bytearray()
    position, end = 0, len(segment)
    while position < end and len(decoded) <= length:
        control = segment[position]
        if control < 128:
            decoded += segment[position + 1 : position + 2 + control]
            position += control + 2
        elif control > 128:
            decoded += segment[position + 1 : position + 2] * (257 - control)
            position += 2
        else:
            position += 1
    if len(decoded) < length:
        raise StreamError(f'an RLE segment holds {len(decoded)} bytes, not {length}')
    if len(decoded) > length:
        raise StreamError(f'an RLE segment holds more than the {length} bytes of its picture')
    return bytes(decoded)


def jpeg_segments(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment of a JPEG stream, and last where its scan starts.

    Raises:
        StreamError: the header is cut off or damaged.
    """
    position = 2
    while True:
        while stream[position : position + 2] == b'\xff\xff':  # fill bytes
            position += 1
        if len(stream) < position + 4 or stream[position] != 0xFF:
            raise StreamError('its JPEG header is cut off or damaged')
        marker = stream[position + 1]
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            position += 2
            continue
        (length,) = struct.unpack_from('>H', stream, position + 2)
        yield marker, position + 4, position + 2 + length
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return
        position += 2 + max(length, 2)


def _read_jpeg(stream: bytes) -> StreamHeader:
    """Read the one frame header of a JPEG or JPEG-LS stream (ITU-T T.81, B.2.2; T.87, C.2.2)."""
    header: StreamHeader | None = None
    start = 0
    for marker, start, _ in jpeg_segments(stream):
        if marker == _HIERARCHICAL:
            raise StreamError('it is a hierarchical JPEG stream, which is not supported')
        if marker == _JPEG_LS or (0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES):
            if header is not None:
                raise StreamError('it has two frame headers')
            header = _jpeg_frame(stream, start, marker)
    if header is None:
        raise StreamError('its JPEG frame header is missing')
    _check_whole(stream, start - 4, header)
    return header


def _check_whole(stream: bytes, scan: int, header: StreamHeader) -> None:
    """Refuse a stream without its end, or too short for its size: decoders fill it with grey."""
    end = stream.find(_END, scan)
    if end < 0:
        raise StreamError('its JPEG stream is cut off: the mark at its end is missing')
    if header.kind != 'JPEG':
        return
    blocks = -(-header.rows // 8) * -(-header.columns // 8)
    if 8 * (len(stream) - scan) < _LEAST_BLOCK_BITS * blocks:
        raise StreamError(
            f'its JPEG stream of {len(stream)} bytes is too short for {header.columns} x '
            f'{header.rows} pixels'
        )


def _jpeg_frame(stream: bytes, position: int, marker: int) -> StreamHeader:
    try:
        precision, rows, columns, samples = struct.unpack_from('>BHHB', stream, position)
    except struct.error:
        raise StreamError('its JPEG header is cut off or damaged') from None
    if not rows or not columns:
        raise StreamError('its JPEG frame header leaves the size open')
    kind = 'JPEG-LS' if marker == _JPEG_LS else 'Progressive JPEG'
    kind = 'JPEG' if marker in _SEQUENTIAL else kind
    kind = 'JPEG Lossless' if marker in _LOSSLESS else kind
    return StreamHeader(kind, rows, columns, samples, precision)


def _find_codestream(stream: bytes) -> int:
    """Return where the codestream of a JP2 file starts (ISO 15444-1, annex I)."""
    position = 0
    while position + 8 <= len(stream):
        length, kind = struct.unpack_from('>I4s', stream, position)
        header = 8
        if length == 1 and position + 16 <= len(stream):
            (length,) = struct.unpack_from('>Q', stream, position + 8)
            header = 16
        if kind == b'jp2c':
            return position + header
        if length < header:
            break
        position += length
    raise StreamError('its JP2 boxes hold no JPEG 2000 stream')


def _read_j2k(stream: bytes, start: int) -> StreamHeader:
    """Read the SIZ segment of a JPEG 2000 codestream (ISO 15444-1, A.5.1)."""
    if stream[start : start + 4] != _J2K_START:
        raise StreamError('its JPEG 2000 header is damaged')
    try:
        right, lower, left, upper, *_ = struct.unpack_from('>8I', stream, start + 8)
        (samples,) = struct.unpack_from('>H', stream, start + 40)
        parts = struct.unpack_from(f'>{3 * samples}B', stream, start + 42)
    except struct.error:
        raise StreamError('its JPEG 2000 header is cut off') from None
    rows, columns = lower - upper, right - left
    if rows <= 0 or columns <= 0 or not samples:
        raise StreamError('its JPEG 2000 header leaves the size open')
    if len(set(parts[::3])) > 1 or any(step != 1 for step in (*parts[1::3], *parts[2::3])):
        raise StreamError('its JPEG 2000 components differ in size or depth')
    depth = parts[0]
    return StreamHeader('JPEG 2000', rows, columns, samples, (depth & 0x7F) + 1, bool(depth & 0x80))


def _decode_stream(
    stream: bytes, syntax: str, plugin: str, options: dict[str, Any]
) -> NDArray[Any]:
    """Decode one frame of JPEG, JPEG-LS or JPEG 2000: grey as it is stored, colour as RGB."""
    array, _ = get_decoder(UID(syntax)).as_array(
        encapsulate([stream], has_bot=False), index=0, decoding_plugin=plugin, **options
    )
    return array


def _decode_rle(frame: bytes, rows: int, columns: int, samples: int, width: int) -> NDArray[Any]:
    """Decode one RLE frame (PS3.5, annex G) to ``(H, W[, samples])`` of so many bytes of width."""
    segments = _rle_segments(frame)
    if len(segments) != samples * width:
        raise ValueError(f'it has {len(segments)} RLE segments, the header asks for '
                         f'{samples * width}')  # fmt: skip
    # most significant byte first, sample by sample
    planes = np.empty((samples, rows * columns, width), dtype=np.uint8)
    for number, segment in enumerate(segments):
        sample, byte = divmod(number, width)
        decoded = _unpack_bits(segment, rows * columns)
        planes[sample, :, width - 1 - byte] = np.frombuffer(decoded, dtype=np.uint8)
    array = planes.view(f'<u{width}').reshape(samples, rows, columns)
    return array[0] if samples == 1 else np.ascontiguousarray(np.moveaxis(array, 0, -1))


def _decode_page(content: bytes, page: int) -> NDArray[Any]:
    """Decode one page of a PNG, JPEG or TIFF file as it is stored."""
    buffer = np.frombuffer(content, dtype=np.uint8)
    done, pages = cv2.imdecodemulti(buffer, cv2.IMREAD_UNCHANGED, range=(page, page + 1))
    if not done or not len(pages) or pages[0] is None or not pages[0].size:
        raise ValueError('it is damaged or cut off')
    return np.asarray(pages[0])


CALLS: dict[str, Callable[..., NDArray[Any]]] = {
    'stream': _decode_stream,
    'rle': _decode_rle,
    'page': _decode_page,
}
