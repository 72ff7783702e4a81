"""From the bytes of a DICOM file to one frame of stored values."""

from __future__ import annotations

import re
import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.pixels import apply_color_lut, convert_color_space, get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from .header import has, printable, uid, values
from .isolation import DecoderError, DecoderRefusal, Limits, current_limits, decode
from .pixel_format import (
    COLOUR,
    PALETTE,
    DecodeError,
    PixelFormat,
    choose_frame,
    luma,
    read_pixel_format,
)
from .streams import StreamError, StreamHeader, read_stream_header

_NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
)
_LARGE_RLE_BYTES = 2**22


def parse_dicom(content: bytes) -> Dataset:
    """Parse a DICOM file, with or without preamble and file meta information.

    Raises:
        DecodeError: it is none, or ends too early.
    """
    try:
        deflated = DeflatedExplicitVRLittleEndian.encode() in content[:4096]
        if deflated and content[128:132] == b'DICM':
            dataset = _parse_deflated(content, current_limits())
        else:
            dataset = dcmread(BytesIO(content))
    except InvalidDicomError:
        dataset = _parse_without_preamble(content)
    except DecodeError:
        raise
    except Exception as error:
        raise DecodeError(f'the DICOM header is damaged or cut off ({_kind(error)})') from None
    if _transfer_syntax(dataset) is None:
        guess_transfer_syntax(dataset)
    return dataset


def decode_frame(
    dataset: Dataset, frame: int | None = None
) -> tuple[NDArray[Any], float | None, tuple[str, ...]]:
    """Decode one frame.

    What the header and the compressed stream promise is compared before anything is decoded;
    decoders of others run in a process of their own, within the current limits.

    Args:
        dataset: a parsed DICOM file.
        frame: number of the frame, from 0; required when the file holds several.

    Returns:
        ``(H, W)`` stored values of a grey image, luma (ITU-R BT.601) of a coloured one; the value
        that is white, None for grey images, whose header decides; what is odd about the data.

    Raises:
        NoImageError: the file is no image.
        DecodeError: there are no pixels, several frames and no choice, damaged data, or header and
            stream contradict each other.
    """
    limits = current_limits()
    promised = read_pixel_format(dataset, limits)
    index = choose_frame(promised.frames, frame)
    syntax = _transfer_syntax(dataset)
    if syntax is None:
        raise DecodeError('its transfer syntax is missing')
    notes: list[str] = []
    if syntax in _NATIVE:
        stored = _read_native(dataset, promised, index, notes)
        steps = promised.high_bit - (promised.stored - 1)
        if steps and not promised.is_float:  # the stored bits lie higher
            stored = stored >> np.array(steps, dtype=stored.dtype)
    else:
        if promised.high_bit != promised.stored - 1:
            raise DecodeError(
                f'HighBit is {promised.high_bit} and BitsStored {promised.stored}: compressed '
                f'values end at bit {promised.stored - 1}'
            )
        stored = _read_encapsulated(dataset, promised, index, limits, notes)
    stored = _only_stored_bits(stored, promised)
    return *_to_values(stored, promised, dataset), tuple(notes)


def transfer_syntax_name(dataset: Dataset) -> str:
    """Return the name of the transfer syntax, for people."""
    syntax = _transfer_syntax(dataset)
    if syntax is None:
        return 'unknown'
    return str(syntax.name) if not syntax.is_private else str(syntax)


def guess_transfer_syntax(dataset: Dataset) -> None:
    """Name the encoding that the parser found, where the file does not name it."""
    if getattr(dataset, 'file_meta', None) is None:
        dataset.file_meta = FileMetaDataset()
    if 'TransferSyntaxUID' in dataset.file_meta:  # damaged, and perhaps of another kind
        del dataset.file_meta[0x00020010]
    implicit, little = dataset.original_encoding
    guess: UID = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else guess


def _transfer_syntax(dataset: Dataset) -> UID | None:
    meta = getattr(dataset, 'file_meta', None)
    return None if meta is None else uid(meta, 'TransferSyntaxUID')


def _parse_deflated(content: bytes, limits: Limits) -> Dataset:
    """Parse a deflated file, which may say in a megabyte what takes gigabytes."""
    start = _end_of_meta(content)
    meta = dcmread(BytesIO(content[:start])).file_meta
    if uid(meta, 'TransferSyntaxUID') != DeflatedExplicitVRLittleEndian:
        return dcmread(BytesIO(content))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(content[start:], limits.inflated_bytes)
    except zlib.error:
        raise DecodeError('its deflated data are damaged') from None
    if len(inflated) >= limits.inflated_bytes:
        raise DecodeError(f'its deflated data are longer than {limits.inflated_bytes} bytes')
    if not inflater.eof:
        raise DecodeError('its deflated data are cut off')
    dataset = read_dataset(BytesIO(inflated), is_implicit_VR=False, is_little_endian=True)
    dataset.file_meta = meta
    return dataset


def _end_of_meta(content: bytes) -> int:
    """Return where group 2, in explicit little endian, ends."""
    position = 132
    while position + 8 <= len(content) and content[position : position + 2] == b'\x02\x00':
        if content[position + 4 : position + 6] in (b'OB', b'UN', b'OW', b'SQ', b'UT'):
            (length,) = struct.unpack_from('<I', content, position + 8)
            position += 12 + length
        else:
            (length,) = struct.unpack_from('<H', content, position + 6)
            position += 8 + length
    return position


def _parse_without_preamble(content: bytes) -> Dataset:
    # Group 0002 or 0008 in little or big endian: what a data set without preamble starts with.
    if content[:2] not in (b'\x02\x00', b'\x08\x00', b'\x00\x08'):
        raise DecodeError('it is neither a DICOM file nor a PNG, JPEG or TIFF picture')
    try:
        dataset = dcmread(BytesIO(content), force=True)
    except Exception as error:
        raise DecodeError(f'the DICOM header is damaged or cut off ({_kind(error)})') from None
    if not has(dataset, 'SOPClassUID') and not has(dataset, 'Rows'):
        raise DecodeError('it is neither a DICOM file nor a PNG, JPEG or TIFF picture')
    return dataset


def _read_native(
    dataset: Dataset, promised: PixelFormat, index: int, notes: list[str]
) -> NDArray[Any]:
    """Read pixels that are not compressed."""
    content = _pixel_bytes(dataset, promised)
    expected = (promised.frame_bits * promised.frames + 7) // 8
    if len(content) < expected:
        raise DecodeError(
            f'its pixel data are damaged or cut off: {len(content)} bytes of pixel data, the '
            f'header asks for {expected}'
        )
    surplus = content[expected:]
    if len(surplus) > expected % 2:
        if not _is_padding(surplus, content[:expected], promised):
            raise DecodeError(
                f'its pixel data are {len(surplus)} bytes longer than {promised.columns} x '
                f'{promised.rows} pixels: Rows, Columns or NumberOfFrames are wrong'
            )
        notes.append(f'{len(surplus)} bytes of padding follow the pixel data')
    options = {**promised.options(), 'correct_unused_bits': False}
    if promised.is_float:
        options = {k: v for k, v in options.items() if k not in _INTEGER_OPTIONS}
    try:
        options['pixel_vr'] = str(dataset[promised.element].VR)
        decoder = get_decoder(_transfer_syntax(dataset))
        whole = content[: expected + expected % 2]  # the last of an odd number may be swapped
        array, _ = decoder.as_array(whole, index=index, raw=False, **options)
    except Exception as error:
        raise DecodeError(
            f'its header or pixel data ({transfer_syntax_name(dataset)}) are damaged '
            f'({_kind(error)})'
        ) from None
    return array.astype(array.dtype.newbyteorder('='), copy=False)


_INTEGER_OPTIONS = ('correct_unused_bits', 'pixel_representation', 'bits_stored')


def _is_padding(surplus: bytes, picture: bytes, promised: PixelFormat) -> bool:
    """Tell padding from pixels: zeros, at most a row of them, after a row that is not black."""
    row = promised.frame_bits // 8 // promised.rows
    column = promised.frame_bits // 8 // promised.columns
    is_short = len(surplus) <= min(row, column)
    return is_short and not any(surplus) and any(picture[-row:])


def _pixel_bytes(dataset: Dataset, promised: PixelFormat) -> bytes:
    content = values(dataset, promised.element)
    if len(content) != 1 or not isinstance(content[0], bytes):
        raise DecodeError(f'its pixel data ({promised.element}) cannot be read')
    return content[0]


def _read_encapsulated(
    dataset: Dataset, promised: PixelFormat, index: int, limits: Limits, notes: list[str]
) -> NDArray[Any]:
    """Read pixels that are compressed."""
    name, syntax = transfer_syntax_name(dataset), _transfer_syntax(dataset)
    content = _pixel_bytes(dataset, promised)
    try:
        stream = get_frame(content, index, number_of_frames=promised.frames)
    except Exception as error:
        raise DecodeError(
            f'its pixel data ({name}) are damaged or cut off: frame {index} is not there '
            f'({_kind(error)})'
        ) from None
    try:
        if syntax == RLELossless:
            return _read_rle(stream, promised, limits)
        plugin = _choose_plugin(syntax, name)
        header = read_stream_header(stream)
        _compare(header, promised, notes)
        options = dict(
            syntax=str(syntax), plugin=plugin, options={**promised.options(), **_AS_STORED,
                                                        'number_of_frames': 1}
        )  # fmt: skip
        array = decode('stream', stream, options, limits, promised.pixels)
    except (StreamError, DecoderRefusal) as error:
        raise DecodeError(
            f'its pixel data ({name}) are damaged or cut off: {_decoder_words(error)}'
        ) from None
    except DecoderError as error:
        raise DecodeError(f'its pixel data ({name}) are refused: {error}') from None
    shape = (promised.rows, promised.columns) + ((3,) if promised.samples == 3 else ())
    if array.shape != shape:
        raise DecodeError(f'its pixel data ({name}) have shape {array.shape}, not {shape}')
    return array


_AS_STORED = dict(apply_j2k_sign_correction=False, apply_jls_sign_correction=False)


def _read_rle(stream: bytes, promised: PixelFormat, limits: Limits) -> NDArray[Any]:
    width = promised.allocated // 8
    if not width:
        raise StreamError('RLE of single bits is not supported')
    options = dict(
        rows=promised.rows, columns=promised.columns, samples=promised.samples, width=width
    )
    ordinary = promised.frame_bits // 8 <= _LARGE_RLE_BYTES
    array = decode('rle', stream, options, limits, promised.pixels, here=ordinary)
    if promised.photometric.startswith('YBR'):
        array = convert_color_space(array, promised.photometric, 'RGB')
    return array.view(f'i{width}') if promised.signed else array


def _compare(header: StreamHeader, promised: PixelFormat, notes: list[str]) -> None:
    """Refuse a stream that is not the header's image; note what can be mended (PS3.5, 8.2.4)."""
    size, wanted = (header.columns, header.rows), (promised.columns, promised.rows)
    if size != wanted:
        raise DecodeError(
            f'its {header.kind} stream holds {size[0]} x {size[1]} pixels, but Columns x Rows is '
            f'{wanted[0]} x {wanted[1]}'
        )
    if header.samples != promised.samples:
        raise DecodeError(
            f'its {header.kind} stream has {header.samples} components, but SamplesPerPixel is '
            f'{promised.samples}'
        )
    bits = f'its {header.kind} stream has {header.precision} bits'
    if header.precision > promised.allocated:
        raise DecodeError(f'{bits}, but BitsAllocated is {promised.allocated}')
    differs = header.signed is not None and header.signed != promised.signed
    if header.precision < promised.stored:
        if promised.samples > 1 or (differs and promised.signed):
            raise DecodeError(f'{bits}, but BitsStored is {promised.stored}')
        notes.append(f'{bits}, BitsStored says {promised.stored}')
    if differs:
        kinds = ('unsigned', 'signed')
        notes.append(
            f'its {header.kind} stream is {kinds[bool(header.signed)]}, the header says '
            f'{kinds[promised.signed]}: taken as the header says'
        )


def _choose_plugin(syntax: UID | None, name: str) -> str:
    """Name the decoder to use; an empty name leaves the choice to pydicom.

    GDCM is no faster and ends the whole process (SIGABRT) on about one damaged stream in a
    hundred, so it must not even be asked when pylibjpeg has refused one.

    Raises:
        DecodeError: there is none for this transfer syntax.
    """
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise DecodeError(f'transfer syntax {name} is not supported') from None
    if not decoder.is_available:
        missing = '; '.join(decoder.missing_dependencies)
        raise DecodeError(
            f"no decoder for {name} is installed ({missing}): pip install 'unsct-mmpose[dicom]'"
        )
    available = decoder.available_plugins
    return next((name for name in ('pylibjpeg', 'pydicom') if name in available), '')


def _decoder_words(error: Exception) -> str:
    """Return what a decoder says, without words that only mean something inside it."""
    text = str(error)
    text = re.sub(r"'NoneType' object has no attribute '\w+'", 'cannot decode it', text)
    text = ', '.join(text.split('plugins:')[-1].strip().splitlines())
    return printable(' '.join(text.split()))


def _only_stored_bits(stored: NDArray[Any], promised: PixelFormat) -> NDArray[Any]:
    """Clear, or fill with the sign, the bits above BitsStored: overlays and noise live there."""
    if promised.is_float:
        return stored
    width = stored.dtype.itemsize * 8
    spare = width - promised.stored
    if spare <= 0:
        return stored
    if stored.dtype.kind == 'i':
        steps = np.array(spare, dtype=stored.dtype)
        return (stored << steps) >> steps
    return stored & np.array(2**promised.stored - 1, dtype=stored.dtype)


def _to_values(
    stored: NDArray[Any], promised: PixelFormat, dataset: Dataset
) -> tuple[NDArray[Any], float | None]:
    if promised.photometric == PALETTE:
        try:
            stored = apply_color_lut(stored, dataset)
        except Exception as error:
            raise DecodeError(f'the colour palette is damaged ({_kind(error)})') from None
        return luma(stored[..., :3]), float(np.iinfo(stored.dtype).max)
    if promised.photometric in COLOUR:
        return luma(stored), 2.0**promised.stored - 1
    if promised.is_float and not np.isfinite(stored).all():
        raise DecodeError('it holds pixel values that are not finite')
    return stored, None


def _kind(error: Exception) -> str:
    kind = type(error)
    return kind.__name__ if kind.__module__ == 'builtins' else f'{kind.__module__}.{kind.__name__}'
