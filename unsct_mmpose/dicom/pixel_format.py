"""What a DICOM header promises about its pixels, checked before any of them is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from .header import code, has, is_unreadable, named, number, number_text, uid, values
from .isolation import VARIABLES, Limits

GREY = ('MONOCHROME1', 'MONOCHROME2')
PALETTE = 'PALETTE COLOR'
COLOUR = ('RGB', 'YBR_FULL', 'YBR_FULL_422', 'YBR_ICT', 'YBR_RCT')
_PIXEL_ELEMENTS = ('PixelData', 'FloatPixelData', 'DoubleFloatPixelData')

_FLOAT_BITS = {'FloatPixelData': 32, 'DoubleFloatPixelData': 64}


class DecodeError(Exception):
    """The cause, in words, why a file yields no pixels."""


class NoImageError(DecodeError):
    """A file is whole and holds no image: a report, a presentation state, a directory.

    Args:
        kind: what it is.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(f'it holds no pixel data: it is a {kind}')
        self.kind = kind


@dataclass(frozen=True)
class PixelFormat:
    """How the pixels of a DICOM file are stored.

    Attributes:
        element: keyword of the element that holds them.
        rows: height, pixels.
        columns: width, pixels.
        samples: values for each pixel.
        allocated: bits that each value takes.
        stored: bits of them that count.
        high_bit: the highest of these.
        signed: whether values are signed.
        photometric: photometric interpretation.
        planar: 0 when the samples of a pixel stand together, 1 when each sample has a plane.
        frames: how many.
    """

    element: str
    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    photometric: str
    planar: int
    frames: int

    @property
    def pixels(self) -> int:
        """Pixels of one frame."""
        return self.rows * self.columns

    @property
    def is_float(self) -> bool:
        """Whether values are floats."""
        return self.element != 'PixelData'

    @property
    def frame_bits(self) -> int:
        """Bits that one uncompressed frame takes."""
        if self.photometric == 'YBR_FULL_422':  # two pixels share their colour
            return self.pixels * 2 * self.allocated
        return self.pixels * self.samples * self.allocated

    def options(self) -> dict[str, int | str]:
        """Return what pydicom's decoders are told."""
        return dict(
            rows=self.rows,
            columns=self.columns,
            samples_per_pixel=self.samples,
            bits_allocated=self.allocated,
            bits_stored=self.stored,
            pixel_representation=int(self.signed),
            photometric_interpretation=self.photometric,
            planar_configuration=self.planar,
            number_of_frames=self.frames,
            pixel_keyword=self.element,
        )


def read_pixel_format(dataset: Dataset, limits: Limits) -> PixelFormat:
    """Read the Image Pixel module (PS3.3, C.7.6.3) and check that it can be true.

    Raises:
        NoImageError: the file is of a kind that has no pixels.
        DecodeError: an element is missing, unreadable or contradicts another one; the message
            names it.
    """
    element = next((name for name in _PIXEL_ELEMENTS if has(dataset, name)), None)
    if element is None:
        raise _no_pixels(dataset)
    rows, columns = _whole(dataset, 'Rows', 1, 65535), _whole(dataset, 'Columns', 1, 65535)
    if rows * columns > limits.pixels:
        raise DecodeError(too_many_pixels(columns, rows, limits))
    stored, high_bit, signed = _depth(dataset, element)
    form = PixelFormat(
        element=element,
        rows=rows,
        columns=columns,
        samples=_whole(dataset, 'SamplesPerPixel', 1, 4),
        allocated=_whole(dataset, 'BitsAllocated', 1, 64),
        stored=stored,
        high_bit=high_bit,
        signed=signed,
        photometric=code(dataset, 'PhotometricInterpretation') or '',
        planar=_whole(dataset, 'PlanarConfiguration', 0, 1, missing=0),
        frames=_whole(dataset, 'NumberOfFrames', 1, 2**31 - 1, missing=1),
    )
    _check(form)
    return form


def choose_frame(count: int, frame: int | None, name: str = 'frames') -> int:
    """Return which frame or page to decode, or say that there is a choice or none."""
    if count > 1 and frame is None:
        raise DecodeError(
            f'it holds {count} {name} and a radiograph is one; '
            f'choose with --frame N, or frame=0 .. {count - 1}'
        )
    if not 0 <= (frame or 0) < count:
        raise DecodeError(f'there is no frame {frame}: the file holds {count}, counted from 0')
    return frame or 0


def luma(colour: NDArray[Any], bgr: bool = False) -> NDArray[np.float64]:
    """Return the luma (ITU-R BT.601) of ``(..., 3)`` colours."""
    weights = (114, 587, 299) if bgr else (299, 587, 114)
    return colour.astype(np.float64) @ np.array(weights, dtype=np.float64) / sum(weights)


def too_many_pixels(width: int, height: int, limits: Limits) -> str:
    """Say that a picture is larger than is allowed."""
    return (
        f'it has {width} x {height} pixels, and {limits.pixels} are allowed; where it is a '
        f'radiograph after all, raise {VARIABLES["pixels"]}'
    )


def _depth(dataset: Dataset, element: str) -> tuple[int, int, bool]:
    if element in _FLOAT_BITS:
        bits = _FLOAT_BITS[element]
        return bits, bits - 1, True
    stored = _whole(dataset, 'BitsStored', 1, 64)
    high_bit = _whole(dataset, 'HighBit', 0, 63, missing=stored - 1)
    return stored, high_bit, bool(_whole(dataset, 'PixelRepresentation', 0, 1))


def _whole(dataset: Dataset, keyword: str, low: int, high: int, missing: int | None = None) -> int:
    """Return a whole number of the header, or say what is wrong with it."""
    if is_unreadable(dataset, keyword):
        raise DecodeError(f'{named(keyword)} holds {number_text(dataset, keyword)}')
    value = number(dataset, keyword)
    if value is None:
        if missing is not None:
            return missing
        raise DecodeError(f'{named(keyword)} is missing')
    if len(values(dataset, keyword)) > 1:
        raise DecodeError(f'{named(keyword)} holds {number_text(dataset, keyword)}, not one number')
    if value != math.floor(value) or not low <= value <= high:
        raise DecodeError(f'{named(keyword)} is {value:g}; {low} to {high} can be')
    return int(value)


def _check(form: PixelFormat) -> None:
    """Refuse what contradicts itself."""
    photometric = form.photometric
    if photometric not in (*GREY, PALETTE, *COLOUR):
        shown = photometric or 'missing'
        raise DecodeError(f'photometric interpretation {shown} is not supported')
    samples = 3 if photometric in COLOUR else 1
    if form.samples != samples:
        raise DecodeError(
            f'{named("SamplesPerPixel")} is {form.samples}, but {photometric} has {samples}'
        )
    if form.is_float:
        if form.allocated != _FLOAT_BITS[form.element] or photometric not in GREY:
            raise DecodeError(f'{form.element} of {form.allocated} bits cannot be')
        return
    if form.allocated not in (1, 8, 16, 32):
        raise DecodeError(f'{named("BitsAllocated")} is {form.allocated}; 1, 8, 16 or 32 can be')
    if form.stored > form.allocated:
        raise DecodeError(
            f'{named("BitsStored")} is {form.stored}, more than the {form.allocated} allocated'
        )
    if not form.stored - 1 <= form.high_bit < form.allocated:
        raise DecodeError(
            f'{named("HighBit")} is {form.high_bit}; {form.stored} bits of {form.allocated} '
            f'end at bit {form.stored - 1} or above'
        )
    if photometric in COLOUR:
        _check_colour(form)


def _check_colour(form: PixelFormat) -> None:
    if form.signed:
        raise DecodeError(
            f'{named("PixelRepresentation")} is 1, but {form.photometric} is unsigned'
        )
    if form.allocated == 1 or (
        form.photometric != 'RGB' and (form.stored != form.allocated or form.allocated == 32)
    ):
        raise DecodeError(
            f'{form.photometric} of {form.stored} bits in {form.allocated} is not supported'
        )
    if form.photometric == 'YBR_FULL_422' and form.columns % 2:
        raise DecodeError(f'{named("Columns")} is odd, and YBR_FULL_422 shares colours in pairs')


def _no_pixels(dataset: Dataset) -> DecodeError:
    """Tell a file of another kind from an image that is cut off, whose last element is lost."""
    name = sop_class_name(dataset)
    if name is None:
        return DecodeError('it holds no pixel data, or is cut off')
    if 'Image' in name:
        return DecodeError(f'the file is cut off: the pixel data of this {name} are missing')
    return NoImageError(name)


def sop_class_name(dataset: Dataset) -> str | None:
    """Return what kind of object a data set is; None when it does not say or nobody knows it."""
    sop_class = uid(dataset, 'SOPClassUID')
    meta = getattr(dataset, 'file_meta', None)
    if sop_class is None and meta is not None:
        sop_class = uid(meta, 'MediaStorageSOPClassUID')
    if sop_class is None or sop_class.is_private or sop_class.name == sop_class:
        return None
    return str(sop_class.name)
