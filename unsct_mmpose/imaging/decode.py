"""From the bytes of a DICOM file to one frame of stored values."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels import apply_color_lut, get_decoder, pixel_array
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from .header import code, number

GREY = ('MONOCHROME1', 'MONOCHROME2')

_GREY_WEIGHTS = (299, 587, 114)
_PIXEL_ELEMENTS = ('PixelData', 'FloatPixelData', 'DoubleFloatPixelData')


class DecodeError(Exception):
    """The cause, in words, why a DICOM file yields no pixels."""


def parse_dicom(content: bytes) -> Dataset:
    """Parse a DICOM file, with or without preamble and file meta information.

    Raises:
        DecodeError: it is none, or ends too early.
    """
    try:
        dataset = dcmread(BytesIO(content))
    except InvalidDicomError:
        dataset = _parse_without_preamble(content)
    except Exception as error:
        raise DecodeError(f'the DICOM header is damaged or cut off ({_kind(error)})') from None
    if not isinstance(dataset.file_meta.get('TransferSyntaxUID'), UID):
        guess_transfer_syntax(dataset)
    return dataset


def decode_frame(dataset: Dataset, frame: int | None = None) -> tuple[NDArray[Any], float | None]:
    """Decode one frame.

    Args:
        dataset: a parsed DICOM file.
        frame: number of the frame, from 0; required when the file holds several.

    Returns:
        ``(H, W)`` stored values and None for grey images; for colour images their luma (ITU-R
        BT.601), and the value that is white.

    Raises:
        DecodeError: there are no pixels, several frames and no choice, or damaged data.
    """
    _check_image(dataset)
    index = _choose_frame(dataset, frame)
    try:
        plugin = _choose_plugin(dataset.file_meta.TransferSyntaxUID)
        stored = pixel_array(dataset, index=index, raw=False, decoding_plugin=plugin)
    except Exception as error:
        raise DecodeError(_decode_failure(dataset, error)) from None
    photometric = code(dataset, 'PhotometricInterpretation') or ''
    if photometric == 'PALETTE COLOR':
        try:
            stored = apply_color_lut(stored, dataset)
        except Exception as error:
            raise DecodeError(f'the colour palette is damaged ({_kind(error)})') from None
        return _to_grey(stored), float(np.iinfo(stored.dtype).max)
    if stored.ndim == 3:
        bits = int(number(dataset, 'BitsStored') or 8)
        return _to_grey(stored), 2.0**bits - 1
    if photometric not in GREY:
        raise DecodeError(f'photometric interpretation {photometric or "missing"} is not supported')
    if not np.isfinite(stored).all():
        raise DecodeError('it holds pixel values that are not finite')
    return stored, None


def transfer_syntax_name(dataset: Dataset) -> str:
    """Return the name of the transfer syntax, for people."""
    uid = dataset.file_meta.TransferSyntaxUID
    return str(uid.name) if not uid.is_private else str(uid)


def _parse_without_preamble(content: bytes) -> Dataset:
    # Group 0002 or 0008 in little or big endian: what a data set without preamble starts with.
    if content[:2] not in (b'\x02\x00', b'\x08\x00', b'\x00\x08'):
        raise DecodeError('it is neither a DICOM file nor a PNG, JPEG or TIFF picture')
    try:
        dataset = dcmread(BytesIO(content), force=True)
        dataset.get('SOPClassUID')
    except Exception as error:
        raise DecodeError(f'the DICOM header is damaged or cut off ({_kind(error)})') from None
    if 'SOPClassUID' not in dataset and 'Rows' not in dataset:
        raise DecodeError('it is neither a DICOM file nor a PNG, JPEG or TIFF picture')
    return dataset


def guess_transfer_syntax(dataset: Dataset) -> None:
    """Name the encoding that the parser found, where the file does not name it."""
    if getattr(dataset, 'file_meta', None) is None:
        dataset.file_meta = FileMetaDataset()
    implicit, little = dataset.original_encoding
    guess: UID = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else guess


def _check_image(dataset: Dataset) -> None:
    if not any(keyword in dataset for keyword in _PIXEL_ELEMENTS):
        raise DecodeError(_no_pixels(dataset))
    for keyword in ('Rows', 'Columns'):
        if not number(dataset, keyword):
            raise DecodeError(f'{keyword} is zero or missing')


def _no_pixels(dataset: Dataset) -> str:
    """Tell a file of another kind from an image that is cut off, whose last element is lost."""
    uid = dataset.get('SOPClassUID')
    if not isinstance(uid, UID) or uid.name == uid:
        return 'it holds no pixel data, or is cut off'
    if 'Image' in uid.name:
        return f'the file is cut off: the pixel data of this {uid.name} are missing'
    return f'it holds no pixel data: it is a {uid.name}'


def _choose_frame(dataset: Dataset, frame: int | None) -> int:
    frames = int(number(dataset, 'NumberOfFrames') or 1)
    if frames > 1 and frame is None:
        raise DecodeError(
            f'it holds {frames} frames and a radiograph is one; choose with frame=0 .. {frames - 1}'
        )
    if not 0 <= (frame or 0) < frames:
        raise DecodeError(f'there is no frame {frame}: the file holds {frames}, counted from 0')
    return frame or 0


def _choose_plugin(transfer_syntax: UID) -> str:
    """Name the decoder to use; an empty name leaves the choice to pydicom.

    GDCM is no faster and ends the whole process (SIGABRT) on about one damaged stream in a
    hundred, so it must not even be asked when pylibjpeg has refused one.
    """
    available = get_decoder(transfer_syntax).available_plugins
    return next((name for name in ('pylibjpeg', 'pydicom') if name in available), '')


def _decode_failure(dataset: Dataset, error: Exception) -> str:
    """Say why decoding failed, without words that only mean something inside a decoder."""
    uid = dataset.file_meta.TransferSyntaxUID
    name = transfer_syntax_name(dataset)
    try:
        decoder = get_decoder(uid)
    except NotImplementedError:
        return f'transfer syntax {name} is not supported'
    if not decoder.is_available:
        missing = '; '.join(decoder.missing_dependencies)
        return f"no decoder for {name} is installed ({missing}): pip install 'unsct-mmpose[dicom]'"
    # Only decoders and the check of the length speak of nothing but pixels.
    text = str(error)
    if 'plugins:' not in text and 'bytes of pixel data' not in text:
        return f'its header or pixel data ({name}) are damaged ({_kind(error)})'
    detail = re.sub(r"'NoneType' object has no attribute '\w+'", 'cannot decode it', text)
    detail = ', '.join(detail.split('plugins:')[-1].strip().splitlines())
    return f'its pixel data ({name}) are damaged or cut off: {" ".join(detail.split())}'


def _to_grey(colour: NDArray[Any]) -> NDArray[np.float64]:
    weighted = colour[..., :3].astype(np.float64) @ np.array(_GREY_WEIGHTS, dtype=np.float64)
    return weighted / sum(_GREY_WEIGHTS)


def _kind(error: Exception) -> str:
    kind = type(error)
    return kind.__name__ if kind.__module__ == 'builtins' else f'{kind.__module__}.{kind.__name__}'
