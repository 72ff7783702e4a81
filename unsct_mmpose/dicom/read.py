"""Reading a radiograph: DICOM, PNG, JPEG or TIFF in, display values with units out."""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from .decode import decode_frame, guess_transfer_syntax, parse_dicom, transfer_syntax_name
from .display import DisplayError, Levels, apply_modality, apply_voi, find_levels, show_by_own_range
from .header import code, is_unreadable, named, number, numbers, uid, values
from .identity import simulation_mark
from .pictures import decode_picture, picture_format
from .pixel_format import DecodeError, NoImageError, sop_class_name
from .placement import Orientation, Placement, given_orientation, read_orientation
from .radiograph import NoRadiographError, Radiograph, RadiographError
from .spacing import Spacing, given_spacing, read_spacing

_CODES = (
    'Modality',
    'BodyPartExamined',
    'PresentationIntentType',
    'ViewPosition',
    'PresentationLUTShape',
    'BurnedInAnnotation',
)

Provenance = dict[str, 'str | float | int']


def read_radiograph(
    path: str | os.PathLike[str],
    *,
    spacing_xy_mm: tuple[float, float] | None = None,
    magnification: float | None = None,
    window: tuple[float, float] | None = None,
    frame: int | None = None,
    mirrored: bool | None = None,
) -> Radiograph:
    r"""Read a radiograph as a display shows it: bone bright, the patient's left on the right.

    Stored values pass the modality LUT, the VOI LUT or window (percentiles when the file has none
    that fits), and one inversion if the photometric interpretation is MONOCHROME1. That and
    PresentationLUTShape INVERSE are two ways to say the same (PS3.3, C.8.11.3.1.2), so a file with
    both is inverted once; where they contradict each other the photometric interpretation
    decides. Padding becomes black. A FOR PROCESSING image whose bone is dark is inverted. Of
    pictures (PNG, JPEG, TIFF) those of 8 bits are taken as they are, others by the range of their
    own values (``provenance['window']`` says so).

    The pixels are turned as PatientOrientation, or the orientation of EXIF or TIFF, says;
    ``placement`` takes points back to the file's. What says that the sides may be exchanged and
    not how is refused.

    Args:
        path: DICOM file, or PNG, JPEG or TIFF picture.
        spacing_xy_mm: width and height of a pixel at the detector, mm; wins over the file's.
        magnification: size on the detector over size at the bone; wins over the file's.
        window: (centre, width) after the modality LUT; wins over the file's.
        frame: which frame of a file that holds several, from 0.
        mirrored: whether left and right are exchanged in the stored pixels; takes the place of
            what the header says.

    Returns:
        The radiograph; its ``spacing_xy_mm`` is None when neither file nor caller know it.

    Raises:
        NoRadiographError: the file is whole, and no image.
        RadiographError: the file cannot be read; the message names it and the cause.
        ValueError: an argument is not positive and finite.
    """
    _check_window(window)
    given_spacing(spacing_xy_mm, magnification, '')  # refuses what is no spacing, unread
    return radiograph_from_bytes(
        _read_bytes(path),
        path,
        spacing_xy_mm=spacing_xy_mm,
        magnification=magnification,
        window=window,
        frame=frame,
        mirrored=mirrored,
    )


def radiograph_from_bytes(
    content: bytes,
    name: str | os.PathLike[str] = 'upload',
    *,
    spacing_xy_mm: tuple[float, float] | None = None,
    magnification: float | None = None,
    window: tuple[float, float] | None = None,
    frame: int | None = None,
    mirrored: bool | None = None,
) -> Radiograph:
    """Read a file that is in memory; nothing touches a disk.

    Args:
        content: the whole file.
        name: what messages call it.
        spacing_xy_mm: see :func:`read_radiograph`, as the next four.
        magnification: see there.
        window: see there.
        frame: see there.
        mirrored: see there.

    Raises:
        NoRadiographError: it is whole, and no image.
        RadiographError: it cannot be read; the message says why.
        ValueError: an argument is not positive and finite.
    """
    _check_window(window)
    given = given_spacing(spacing_xy_mm, magnification, 'a picture file has no pixel spacing')
    if not content:
        raise RadiographError(name, 'the file is empty')
    provenance: Provenance = {'sha256': hashlib.sha256(content).hexdigest()}
    with _refusals(name, provenance):
        if picture_format(content) and content[128:132] != b'DICM':
            pixels = _render_picture(content, window, frame, provenance)
            orientation = given_orientation(mirrored)
            spacing, laterality = given, None
        else:
            dataset = parse_dicom(content)
            pixels, orientation = _render_dicom(dataset, window, frame, provenance, mirrored)
            spacing = read_spacing(dataset, spacing_xy_mm, magnification)
            laterality = code(dataset, 'ImageLaterality') or code(dataset, 'Laterality')
    return assemble(name, pixels, spacing, laterality, provenance, orientation)


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
    stored = values(dataset, 'PixelData')[:1]
    content = stored[0] if stored and isinstance(stored[0], bytes) else b''
    provenance: Provenance = {
        'sha256': hashlib.sha256(content).hexdigest(),
        'sha256_of': 'pixel data',
    }
    with _refusals(name, provenance):
        meta = getattr(dataset, 'file_meta', None)
        if meta is None or uid(meta, 'TransferSyntaxUID') is None:
            guess_transfer_syntax(dataset)
        pixels, orientation = _render_dicom(dataset, window, frame, provenance, mirrored)
        spacing = read_spacing(dataset, spacing_xy_mm, magnification)
        laterality = code(dataset, 'ImageLaterality') or code(dataset, 'Laterality')
    return assemble(name, pixels, spacing, laterality, provenance, orientation)


@contextmanager
def _refusals(name: str | os.PathLike[str], provenance: Provenance) -> Iterator[None]:
    """Name the file in what is refused; messages of pydicom may quote a patient and are counted."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            yield
        except NoImageError as error:
            raise NoRadiographError(name, str(error), error.kind) from None
        except DecodeError as error:
            raise RadiographError(name, str(error)) from None
    provenance['warnings'] = len(caught)


def assemble(
    name: str | os.PathLike[str],
    pixels: NDArray[np.float32],
    spacing: Spacing,
    laterality: str | None,
    provenance: Provenance,
    orientation: Orientation | None = None,
) -> Radiograph:
    """Put together what was read and turn it to the standard display.

    Args:
        name: what messages call it.
        pixels: ``(H, W)`` display values as the file lays them; they become read-only.
        spacing: of the file's pixels.
        laterality: the sides that the image shows, if known.
        provenance: what is known about it; what was done is added.
        orientation: how to turn it; None leaves it as it is.

    Raises:
        RadiographError: the display values are not what a display can show.
    """
    placement = None
    if orientation is not None:
        provenance['orientation'] = orientation.words()
        if orientation.doubt:
            provenance['sides'] = orientation.doubt
        if orientation.turn:
            pixels = orientation.turn.apply(pixels)
            height, width = pixels.shape
            placement = Placement(orientation.turn, (width, height))
    pixels.flags.writeable = False
    pair = spacing.spacing_xy_mm
    try:
        return Radiograph(
            pixels=pixels,
            spacing_xy_mm=placement.swap(pair) if placement and pair else pair,
            spacing_source=spacing.source,
            spacing_problem=spacing.problem,
            magnification=spacing.magnification,
            magnification_source=spacing.magnification_source,
            laterality=laterality,
            provenance=provenance,
            placement=placement,
        )
    except DisplayError as error:
        raise RadiographError(name, str(error)) from None


def _check_window(window: tuple[float, float] | None) -> None:
    if window is not None:
        centre, width = window
        if not (math.isfinite(centre) and math.isfinite(width) and width > 0):
            raise ValueError(f'window must be a finite centre and a positive width, not {window!r}')


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise RadiographError(path, 'there is no such file') from None
    except IsADirectoryError:
        raise RadiographError(path, 'it is a folder, not a file') from None
    except OSError as error:
        raise RadiographError(path, f'it cannot be read ({error.strerror})') from None


def _render_dicom(
    dataset: Dataset,
    window: tuple[float, float] | None,
    frame: int | None,
    provenance: Provenance,
    mirrored: bool | None = None,
) -> tuple[NDArray[np.float32], Orientation]:
    """Decode a DICOM image, display it and note how; also return how it must be turned."""
    orientation = read_orientation(dataset, mirrored)
    stored, white, notes = decode_frame(dataset, frame)
    provenance['format'] = 'DICOM'
    provenance['transfer_syntax'] = transfer_syntax_name(dataset)
    photometric = code(dataset, 'PhotometricInterpretation') or ''
    provenance['photometric'] = photometric
    provenance['bits_stored'] = int(number(dataset, 'BitsStored') or 0)
    for keyword in _CODES:
        if text := code(dataset, keyword):
            provenance[keyword] = text
    if mark := simulation_mark(dataset):
        provenance['simulated'] = mark
    if frame is not None:
        provenance['frame'] = frame
    if notes:
        provenance['notes'] = '; '.join(notes)
    aspect = numbers(dataset, 'PixelAspectRatio')  # vertical over horizontal (PS3.3, C.7.6.3.1.7)
    is_pair = len(aspect) == 2 and all(0 < length < math.inf for length in aspect)
    if is_pair and aspect[0] != aspect[1]:
        ratio = aspect[1] / aspect[0]
        provenance['pixel_aspect'] = 1 / ratio if orientation.turn.transpose else ratio
    if white is not None:
        return _render_ready(stored, white, window, provenance), orientation
    inverted = (photometric == 'MONOCHROME1') != _turns_bone_bright(dataset, provenance)
    levels = find_levels(stored)
    padding = _padding(levels, dataset, stored.dtype)
    counts = np.where(padding, 0, levels.counts)
    try:
        values = apply_modality(levels.values, dataset)
        shown, provenance['window'] = apply_voi(values, counts, dataset, window)
    except DisplayError as error:
        raise DecodeError(str(error)) from None
    except Exception as error:
        kind = type(error).__name__
        raise DecodeError(f'a lookup table of its header is malformed ({kind})') from None
    table = shown.astype(np.float32)
    if inverted:
        table = 1 - table
    table[padding] = 0
    return levels.apply(table), orientation


def _turns_bone_bright(dataset: Dataset, provenance: Provenance) -> bool:
    """Tell whether a FOR PROCESSING image shows bone dark as it is stored, and so is inverted.

    There PixelIntensityRelationshipSign says what values mean (PS3.3, C.8.11.3.1.2): with 1 less
    intensity behind the patient, as behind bone, is a lower value.

    Raises:
        DecodeError: it does not say.
    """
    intent = code(dataset, 'PresentationIntentType')
    if intent != 'FOR PROCESSING' and 'For Processing' not in (sop_class_name(dataset) or ''):
        return False
    sign = number(dataset, 'PixelIntensityRelationshipSign')
    if sign not in (1.0, -1.0):
        raise DecodeError(
            'it is FOR PROCESSING and does not say whether bone is bright: give the FOR '
            f'PRESENTATION image, or set {named("PixelIntensityRelationshipSign")} to -1 where '
            'bone has high values and to 1 where it has low ones'
        )
    low_is_black = code(dataset, 'PhotometricInterpretation') == 'MONOCHROME2'
    is_dark = (sign == 1.0) == low_is_black
    provenance['processing'] = 'FOR PROCESSING' + (', inverted: bone was dark' if is_dark else '')
    return is_dark


def _render_picture(
    content: bytes, window: tuple[float, float] | None, frame: int | None, provenance: Provenance
) -> NDArray[np.float32]:
    """Decode a picture, display it and note how."""
    picture = decode_picture(content, frame)
    if picture.turn:
        provenance['laid'] = f'{picture.turn.words()} (orientation of the file)'
    grey, transparent = picture.grey, picture.transparent
    provenance['format'] = picture_format(content) or ''
    provenance['transfer_syntax'] = provenance['format']
    provenance['photometric'] = 'MONOCHROME1' if picture.inverted else 'MONOCHROME2'
    provenance['bits_stored'] = grey.dtype.itemsize * 8
    if frame is not None:
        provenance['frame'] = frame
    if grey.dtype == np.uint8:
        pixels = _render_ready(grey, 255.0, window, provenance)
    else:
        pixels, provenance['window'] = show_by_own_range(grey, transparent, window)
    if picture.inverted:
        pixels = 1 - pixels
    if transparent is not None:
        pixels[transparent] = 0
    return pixels


def _render_ready(
    grey: NDArray[Any], white: float, window: tuple[float, float] | None, provenance: Provenance
) -> NDArray[np.float32]:
    """Display values that are display values already, such as colour."""
    if window is None:
        provenance['window'] = f'as stored: 0 to {white:g}'
        return (grey / white).astype(np.float32)
    pixels, provenance['window'] = show_by_own_range(grey, None, window)
    return pixels


def _padding(levels: Levels, dataset: Dataset, dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    """Return which levels are padding (PS3.3, C.7.5.1.1.2); none when all would be."""
    none = np.zeros(len(levels.values), dtype=bool)
    ends = numbers(dataset, 'PixelPaddingValue')[:1]
    if not ends and is_unreadable(dataset, 'PixelPaddingValue'):
        return none
    ends += numbers(dataset, 'PixelPaddingRangeLimit')[:1] if ends else []
    if not ends or not np.isfinite(ends).all():
        return none
    bits = int(number(dataset, 'BitsStored') or 0)
    ends = [_as_stored(end, dtype, bits) for end in ends]
    padding = (levels.values >= min(ends)) & (levels.values <= max(ends))
    return padding if levels.counts[~padding].any() else none


def _as_stored(value: float, dtype: np.dtype[Any], bits: int) -> float:
    """Return a padding value as the pixels hold it, where it was written with the other sign.

    Example:
        >>> _as_stored(63536.0, np.dtype('i2'), 16), _as_stored(-2000.0, np.dtype('u2'), 16)
        (-2000.0, 63536.0)
    """
    if dtype.kind not in 'iu' or not bits:
        return value
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dtype.kind == 'i' else (0, 2**bits - 1)
    if low <= value <= high:
        return value
    return float((int(value) - low) % 2**bits + low)
