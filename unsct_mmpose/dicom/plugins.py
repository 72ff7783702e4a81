"""The decoders of others, and ours where size alone makes them costly: bytes in, an array out.

Each call is pure and gets plain values, so that it runs here or in another process alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from .streams import rle_segments, unpack_bits


def decode_stream(stream: bytes, syntax: str, plugin: str, options: dict[str, Any]) -> NDArray[Any]:
    """Decode one frame of JPEG, JPEG-LS or JPEG 2000: grey as it is stored, colour as RGB.

    Args:
        stream: the frame, not encapsulated.
        syntax: UID of the transfer syntax.
        plugin: which of pydicom's decoders to ask; an empty name leaves the choice to pydicom.
        options: pydicom's decoding options.
    """
    array, _ = get_decoder(UID(syntax)).as_array(
        encapsulate([stream], has_bot=False), index=0, decoding_plugin=plugin, **options
    )
    return array


def decode_rle(frame: bytes, rows: int, columns: int, samples: int, width: int) -> NDArray[Any]:
    """Decode one RLE frame (PS3.5, annex G).

    Args:
        frame: the frame.
        rows: height, pixels.
        columns: width, pixels.
        samples: values for each pixel.
        width: bytes of each value.

    Returns:
        ``(H, W)`` or ``(H, W, samples)`` unsigned integers.
    """
    segments = rle_segments(frame)
    if len(segments) != samples * width:
        raise ValueError(f'it has {len(segments)} RLE segments, the header asks for '
                         f'{samples * width}')  # fmt: skip
    # most significant byte first, sample by sample
    planes = np.empty((samples, rows * columns, width), dtype=np.uint8)
    for number, segment in enumerate(segments):
        sample, byte = divmod(number, width)
        decoded = unpack_bits(segment, rows * columns)
        planes[sample, :, width - 1 - byte] = np.frombuffer(decoded, dtype=np.uint8)
    array = planes.view(f'<u{width}').reshape(samples, rows, columns)
    return array[0] if samples == 1 else np.ascontiguousarray(np.moveaxis(array, 0, -1))


def decode_page(content: bytes, page: int) -> NDArray[Any]:
    """Decode one page of a PNG, JPEG or TIFF file as it is stored."""
    buffer = np.frombuffer(content, dtype=np.uint8)
    done, pages = cv2.imdecodemulti(buffer, cv2.IMREAD_UNCHANGED, range=(page, page + 1))
    if not done or not len(pages) or pages[0] is None or not pages[0].size:
        raise ValueError('it is damaged or cut off')
    return np.asarray(pages[0])


CALLS: dict[str, Callable[..., NDArray[Any]]] = {
    'stream': decode_stream,
    'rle': decode_rle,
    'page': decode_page,
}
