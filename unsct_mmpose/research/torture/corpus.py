"""DICOM files of every transfer syntax, photometric interpretation, depth, sign, LUT and window.

Each comes with the display values that the standard's formulas give for what was encoded, or
with the fact that it must be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import UID

from .dicom_cases import HTJ2K_UIDS, SYNTAXES, encode, htj2k_streams, make, rle_frame
from .display_oracle import (
    Display,
    Table,
    expand_segments,
    luma,
    rgb_of_ybr_full,
    ybr_full_of_rgb,
)
from .jpeg_encoder import encode_dct, encode_lossless

Header = dict[str, Any]

EXACT = 1e-6
"""What single precision leaves of a display value."""

_NATIVE = ('implicit', 'explicit', 'big', 'deflated')

_UNSUPPORTED = (
    '1.2.840.10008.1.2.4.92', '1.2.840.10008.1.2.4.93', '1.2.840.10008.1.2.4.94',
    '1.2.840.10008.1.2.4.95', '1.2.840.10008.1.2.4.100', '1.2.840.10008.1.2.4.100.1',
    '1.2.840.10008.1.2.4.101', '1.2.840.10008.1.2.4.102', '1.2.840.10008.1.2.4.103',
    '1.2.840.10008.1.2.4.104', '1.2.840.10008.1.2.4.105', '1.2.840.10008.1.2.4.106',
    '1.2.840.10008.1.2.4.107', '1.2.840.10008.1.2.4.108', '1.2.840.10008.1.2.4.110',
    '1.2.840.10008.1.2.4.111', '1.2.840.10008.1.2.4.112', '1.2.840.10008.1.2.4.204',
    '1.2.840.10008.1.2.4.205', '1.2.840.10008.1.2.7.1', '1.2.840.10008.1.2.7.2',
    '1.2.840.10008.1.2.7.3', '1.2.840.10008.1.2.6.1', '1.2.840.10008.1.2.4.52',
    '1.2.840.10008.1.2.4.55', '1.2.840.10008.1.2.4.66', '1.3.46.670589.33.1.4.1',
)  # fmt: skip
_WRITABLE = ('1.2.840.10008.1.2.4.90', '1.2.840.10008.1.2.4.203', '1.2.840.10008.1.2.4.100.1',
             '1.2.840.10008.1.2.7.1')  # fmt: skip
"""Volumes, films, references to servers, retired and private: no radiograph, and no decoder."""


@dataclass(frozen=True, eq=False)
class Case:
    """A file, or what makes it, and the ``(H, W)`` display values that reading it must give.

    None where it must be refused. The name is parts joined by slashes, first its transfer syntax.
    """

    name: str
    content: bytes | Callable[[], bytes]
    expected: NDArray[np.float64] | None = None
    tolerance: float = EXACT
    frame: int | None = None

    def file(self) -> bytes:
        """Return the file."""
        return self.content if isinstance(self.content, bytes) else self.content()


@dataclass(frozen=True)
class Depth:
    """How one sample is stored: BitsAllocated, BitsStored, PixelRepresentation.

    ``shift`` are bits between HighBit and where it usually is; ``noise`` sets bits that count
    nothing.
    """

    allocated: int
    stored: int
    signed: bool = False
    shift: int = 0
    noise: bool = False

    @property
    def name(self) -> str:
        """Such as ``i12of16``."""
        extra = f'<<{self.shift}' * bool(self.shift) + '+noise' * self.noise
        return f'{"ui"[self.signed]}{self.stored}of{self.allocated}{extra}'

    @property
    def low(self) -> int:
        """The least value."""
        return -(2 ** (self.stored - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest value."""
        return self.low + 2**self.stored - 1

    def values(self, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Return values over the whole range: a ramp, some noise on it, and both ends."""
        rng = np.random.default_rng([self.allocated, self.stored, self.signed, *shape])
        ramp = np.linspace(self.low, self.high, int(np.prod(shape)))
        noise = rng.normal(0, (self.high - self.low) / 50, ramp.size)
        values = np.clip(np.rint(ramp + noise), self.low, self.high).astype(np.int64)
        values[[0, -1]] = self.low, self.high
        return values.reshape(shape)

    def words(self, values: NDArray[np.int64]) -> NDArray[Any]:
        """Return values as their words hold them, with shift and noise."""
        mask = 2**self.stored - 1
        spare = (2**self.allocated - 1) ^ (mask << self.shift)
        words = (values & mask) << self.shift
        if self.noise:
            rng = np.random.default_rng(self.stored)
            words |= rng.integers(0, 2**self.allocated, values.shape) & spare
        elif self.signed and not self.shift:
            words = values & (2**self.allocated - 1)
        unsigned = words.astype(f'u{self.allocated // 8}')
        return unsigned.view(f'i{self.allocated // 8}') if self.signed else unsigned

    @property
    def header(self) -> Header:
        """The elements that say so."""
        return dict(BitsStored=self.stored, HighBit=self.stored - 1 + self.shift)


@dataclass(frozen=True)
class Shown:
    """A display, as the standard makes it of a header, and the elements that ask for it."""

    name: str
    display: Display
    header: Header = field(default_factory=dict)


def _lut_item(table: Table, width: int, signed: bool) -> Dataset:
    """Return an item of a lookup table; its descriptor and data as they are stored."""
    item = Dataset()
    count, first = len(table.entries), table.first
    item.add_new('LUTDescriptor', 'SS' if signed else 'US', [count % 65536, first, table.bits])
    if width == 2:
        item.add_new('LUTData', 'US', list(table.entries))
    else:
        data = bytes(table.entries)
        item.add_new('LUTData', 'OW', data + b'\0' * (len(data) % 2))
    return item


def displays(depth: Depth) -> Iterator[Shown]:
    """Yield the ways to show values of a depth."""
    low, high = depth.low, depth.high
    span = high - low + 1
    middle = (low + high + 1) / 2
    for function, share in product(('LINEAR', 'LINEAR_EXACT', 'SIGMOID'), (1.0, 0.4)):
        window = (round(middle + span / 10), max(round(span * share), 2))
        header: Header = dict(WindowCenter=window[0], WindowWidth=window[1])
        if function != 'LINEAR':
            header['VOILUTFunction'] = function
        yield Shown(f'{function} {share:g}', Display(window=window, function=function), header)
    yield Shown('width 1', Display(window=(middle, 1.0)), _windowed(middle, 1))
    for slope, intercept in ((2.5, -1024.25), (-1.0, float(high)), (0.001, 0.0)):
        ends = sorted((low * slope + intercept, high * slope + intercept))
        window = (sum(ends) / 2, (ends[1] - ends[0]) * 0.8)
        window = (float(f'{window[0]:.9g}'), float(f'{window[1]:.9g}'))
        display = Display(slope, intercept, window=window, function='LINEAR_EXACT')
        header = dict(RescaleSlope=slope, RescaleIntercept=intercept, **_windowed(*window))
        header['VOILUTFunction'] = 'LINEAR_EXACT'
        yield Shown(f'rescaled by {slope:g}', display, header)
    if depth.allocated > 16:
        return  # what follows are elements of 16 bits
    yield from _tables(depth, middle, span)
    window = (round(middle), span)
    edge = (low, low + max(span // 8, 1))
    for name, padding in (('padding', (low, low)), ('padding range', edge)):
        element = dict(PixelPaddingValue=padding[0])
        if name == 'padding range':
            element['PixelPaddingRangeLimit'] = padding[1]
        display = Display(window=window, padding=padding)
        yield Shown(name, display, {**_windowed(*window), **element})


def _windowed(centre: float, width: float) -> Header:
    return dict(WindowCenter=centre, WindowWidth=width)


def _tables(depth: Depth, middle: float, span: int) -> Iterator[Shown]:
    """Yield lookup tables, modality's and the display's, shorter than the values' range."""
    count = min(span, 256)
    first = round(middle) - count // 2
    curve = np.sin(np.linspace(0, np.pi / 2, count)) ** 2
    for bits in (8, 12, 16):
        table = Table(first, tuple(np.rint(curve * (2**bits - 1)).astype(int).tolist()), bits)
        item = _lut_item(table, 2, depth.signed)
        yield Shown(f'VOI LUT {bits}', Display(voi=table), dict(VOILUTSequence=[item]))
        window = (2 ** (bits - 1), 2**bits)
        yield Shown(
            f'modality LUT {bits}',
            Display(modality=table, window=window),
            dict(ModalityLUTSequence=[item], **_windowed(*window)),
        )
    narrow = Table(first, tuple(np.rint(curve * 255).astype(int).tolist()), 8)
    packed = dict(VOILUTSequence=[_lut_item(narrow, 1, depth.signed)])
    yield Shown('VOI LUT of bytes', Display(voi=narrow), packed)
    back = Table(0, tuple(range(255, -1, -1)), 8)
    yield Shown(
        'modality LUT and VOI LUT',
        Display(modality=narrow, voi=back),
        dict(
            ModalityLUTSequence=[_lut_item(narrow, 2, depth.signed)],
            VOILUTSequence=[_lut_item(back, 2, False)],
        ),
    )


_NATIVE_DEPTHS = (
    Depth(8, 8), Depth(8, 6), Depth(8, 8, True), Depth(8, 5, True), Depth(16, 9), Depth(16, 10),
    Depth(16, 12), Depth(16, 14), Depth(16, 16), Depth(16, 12, True), Depth(16, 16, True),
    Depth(16, 12, shift=4), Depth(16, 12, True, shift=4), Depth(16, 12, shift=2, noise=True),
    Depth(16, 12, noise=True), Depth(16, 12, True, noise=True), Depth(8, 7, noise=True),
    Depth(32, 32), Depth(32, 20), Depth(32, 24, True), Depth(32, 32, True),
)  # fmt: skip

_SHAPE = (33, 37)


def corpus() -> Iterator[Case]:
    """Yield every case; the same ones in the same order each time."""
    yield from native_cases()
    yield from compressed_cases()
    yield from frame_cases()
    yield from colour_cases()
    yield from palette_cases()
    yield from odd_cases()
    yield from refused_cases()


def native_cases() -> Iterator[Case]:
    """Yield grey values that are not compressed."""
    for syntax, depth, low_is_black in product(_NATIVE, _NATIVE_DEPTHS, (True, False)):
        values = depth.values(_SHAPE)
        for shown in displays(depth):
            yield _grey_case(syntax, depth, values, shown, low_is_black)


def _grey_case(
    syntax: str,
    depth: Depth,
    values: NDArray[np.int64],
    shown: Shown,
    low_is_black: bool,
    *,
    slack: float = 0,
    **more: Any,
) -> Case:
    """Return a grey case; a lossy encoding may move a value by ``slack``."""
    photometric = f'MONOCHROME{1 + low_is_black}'
    display = replace(shown.display, inverted=not low_is_black)
    expected, tolerance = display.show(values), EXACT
    if slack:
        around = [display.show(values + step) for step in (-slack, slack)]
        tolerance += max(float(np.abs(ends - expected).max()) for ends in around)
    header = {'PhotometricInterpretation': photometric, **depth.header, **shown.header, **more}
    layout = syntax if syntax in SYNTAXES else 'explicit'
    content = partial(make, depth.words(values), layout, **header)
    return Case(f'{syntax}/{depth.name}/{photometric}/{shown.name}', content, expected, tolerance)


def compressed_cases() -> Iterator[Case]:
    """Yield grey values of every compression, without loss and with as much as is allowed."""
    for (name, uid, depth, encoder, slack), low_is_black in product(_compressions(), (True, False)):
        values = depth.values(_SHAPE)
        words = depth.words(values)
        stream = encoder(words, depth)
        for shown in displays(depth):
            if slack and ('LUT' in shown.name or 'pad' in shown.name or shown.name == 'width 1'):
                continue  # there a small loss may become a large one
            yield _grey_case(
                name, depth, values, shown, low_is_black, slack=slack, stream=stream, uid=uid
            )


def _compressions() -> Iterator[tuple[str, UID, Depth, Any, float]]:
    """Yield name, UID, depth, encoder, and how far a value may be off."""

    def rle(words: NDArray[Any], depth: Depth) -> bytes:
        return rle_frame(words)

    def masked(words: NDArray[Any], depth: Depth) -> NDArray[Any]:
        return words.view(f'u{words.dtype.itemsize}') & (2**depth.stored - 1)

    def dct(words: NDArray[Any], depth: Depth) -> bytes:
        return encode_dct(words, depth.stored)

    def lossless(words: NDArray[Any], depth: Depth, predictor: int = 1) -> bytes:
        return encode_lossless(masked(words, depth), depth.stored, predictor)

    def jpegls(words: NDArray[Any], depth: Depth) -> bytes:
        return encode(masked(words, depth).astype(f'u{words.dtype.itemsize}'), 'jpegls')

    def near(words: NDArray[Any], depth: Depth) -> bytes:
        import jpeg_ls

        return bytes(jpeg_ls.encode_array(words, lossy_error=2))

    def j2k(words: NDArray[Any], depth: Depth, **more: Any) -> bytes:
        from openjpeg.utils import encode_array

        more |= dict(bits_stored=depth.stored, photometric_interpretation=2)
        return bytes(encode_array(words, **more))

    root = '1.2.840.10008.1.2'
    for depth in (Depth(8, 8), Depth(16, 12), Depth(16, 16), Depth(16, 12, True), Depth(32, 20),
                  Depth(16, 12, noise=True), Depth(8, 8, True)):  # fmt: skip
        yield 'rle', UID(f'{root}.5'), depth, rle, 0
    yield 'jpeg', UID(f'{root}.4.50'), Depth(8, 8), dct, 2
    yield 'jpeg extended', UID(f'{root}.4.51'), Depth(8, 8), dct, 2
    yield 'jpeg extended', UID(f'{root}.4.51'), Depth(16, 12), dct, 2
    for depth in (Depth(8, 8), Depth(16, 10), Depth(16, 12), Depth(16, 16), Depth(16, 12, True)):
        yield 'jpeg lossless sv1', UID(f'{root}.4.70'), depth, lossless, 0
        yield 'jpeg-ls', UID(f'{root}.4.80'), depth, jpegls, 0
        yield 'jpeg 2000', UID(f'{root}.4.90'), depth, j2k, 0
        yield 'jpeg 2000 without loss', UID(f'{root}.4.91'), depth, j2k, 0
    yield 'jpeg 2000', UID(f'{root}.4.90'), Depth(16, 16, True), j2k, 0
    for predictor in range(1, 8):
        encoder = partial(lossless, predictor=predictor)
        yield f'jpeg lossless p{predictor}', UID(f'{root}.4.57'), Depth(16, 12), encoder, 0
    for depth, slack in ((Depth(8, 8), 2), (Depth(16, 16), 16)):
        yield 'jpeg-ls near lossless', UID(f'{root}.4.81'), depth, near, 2
        lossy = partial(j2k, signal_noise_ratios=[90])
        yield 'jpeg 2000 with loss', UID(f'{root}.4.91'), depth, lossy, slack


def frame_cases() -> Iterator[Case]:
    """Yield files of several frames, in every way to lay them out."""
    depth = Depth(16, 12)
    stack = depth.values((3, *_SHAPE))
    shown = next(displays(depth))
    header = {**depth.header, **shown.header, 'NumberOfFrames': 3}
    wanted = [shown.display.show(frame) for frame in stack]
    for syntax, index in product(_NATIVE, range(3)):
        order = '>' if syntax == 'big' else '<'
        data = depth.words(stack).astype(f'{order}u2').tobytes()
        content = make(depth.words(stack[0]), syntax, pixel_data=data, **header)
        yield Case(f'{syntax}/frame {index} of 3', content, wanted[index], frame=index)
    for syntax, layout, index in product(
        ('rle', 'jpegls', 'j2k'), ('table', 'no table', 'fragments', 'extended'), range(3)
    ):
        streams = [encode(depth.words(frame), syntax) for frame in stack]
        more: Header = {}
        if layout == 'extended':
            data, offsets, lengths = encapsulate_extended(streams)
            more = dict(ExtendedOffsetTable=offsets, ExtendedOffsetTableLengths=lengths)
        elif layout == 'fragments' and syntax != 'rle':
            data = encapsulate(streams, fragments_per_frame=3)
        else:
            data = encapsulate(streams, has_bot=layout != 'no table')
        content = make(depth.words(stack[0]), syntax, pixel_data=data, **header, **more)
        name = f'{syntax}/{layout}/frame {index} of 3'
        yield Case(name, content, wanted[index], frame=index)
    content = make(depth.words(stack[0]), pixel_data=depth.words(stack).tobytes(), **header)
    yield Case('explicit/frames without a choice', content)
    yield Case('explicit/frame 3 of 3', content, frame=3)


def colours() -> NDArray[np.uint8]:
    """Return ``(34, 38, 3)`` colours that change slowly, as radiographs with annotations have."""
    y, x = np.mgrid[:34, :38]
    planes = [x * 255 // 37, y * 255 // 33, (x + y) * 4 % 256]
    return np.stack(planes, axis=-1).astype(np.uint8)


def colour_cases() -> Iterator[Case]:
    """Yield coloured pixels in every interpretation and arrangement."""
    rgb = colours()
    wanted = luma(rgb, 8)
    one = 1 / 255
    planar = dict(PlanarConfiguration=1)
    for syntax in _NATIVE:
        yield Case(f'{syntax}/RGB', make(rgb, syntax), wanted)
        planes = np.ascontiguousarray(np.moveaxis(rgb, -1, 0)).tobytes()
        yield Case(f'{syntax}/RGB planes', make(rgb, syntax, pixel_data=planes, **planar), wanted)
        ybr = ybr_full_of_rgb(rgb)
        full = dict(PhotometricInterpretation='YBR_FULL')
        back = luma(rgb_of_ybr_full(ybr), 8)
        yield Case(f'{syntax}/YBR_FULL', make(ybr, syntax, **full), back, 1.5 * one)
        planes = np.ascontiguousarray(np.moveaxis(ybr, -1, 0)).tobytes()
        content = make(ybr, syntax, pixel_data=planes, **full, **planar)
        yield Case(f'{syntax}/YBR_FULL planes', content, back, 1.5 * one)
        shared, data = _ybr_422(ybr)
        content = make(ybr, syntax, pixel_data=data, PhotometricInterpretation='YBR_FULL_422')
        yield Case(f'{syntax}/YBR_FULL_422', content, luma(rgb_of_ybr_full(shared), 8), 1.5 * one)
        for bits in (10, 12, 16):
            depth = Depth(16, bits)
            deep = np.stack([depth.values((34, 38)), depth.values((34, 38))[::-1],
                             depth.values((34, 38))[:, ::-1]], axis=-1)  # fmt: skip
            content = make(depth.words(deep), syntax, **depth.header)
            yield Case(f'{syntax}/RGB {bits}of16', content, luma(deep, bits))
    yield Case('rle/RGB', make(rgb, 'rle'), wanted)
    yield Case('jpegls/RGB', make(rgb, 'jpegls'), wanted)
    ybr = ybr_full_of_rgb(rgb)
    full = dict(PhotometricInterpretation='YBR_FULL')
    back = luma(rgb_of_ybr_full(ybr), 8)
    yield Case('rle/YBR_FULL', make(ybr, 'rle', **full), back, 1.5 * one)
    for name, kind in (('4.50', 'baseline'), ('4.51', 'extended')):
        uid = UID(f'1.2.840.10008.1.2.{name}')
        content = make(ybr, stream=encode_dct(ybr, 8), uid=uid, **full)
        yield Case(f'jpeg {kind}/YBR_FULL', content, back, 8 * one)
    for name in ('4.57', '4.70'):
        uid = UID(f'1.2.840.10008.1.2.{name}')
        stream = encode_lossless(rgb, 8, 1)
        yield Case(f'jpeg lossless {name}/RGB', make(rgb, stream=stream, uid=uid), wanted)
    yield from _j2k_colours(rgb, wanted)


def _ybr_422(ybr: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bytes]:
    """Return YBR whose pairs share their colours, and the bytes of such pixels: Y Y Cb Cr."""
    shared = ybr.copy()
    shared[:, 1::2, 1:] = shared[:, ::2, 1:]
    flat = shared.reshape(-1, 2, 3)
    return shared, np.stack([flat[:, 0, 0], flat[:, 1, 0], *flat[:, 0, 1:].T], axis=1).tobytes()


def _j2k_colours(rgb: NDArray[np.uint8], wanted: NDArray[np.float64]) -> Iterator[Case]:
    from openjpeg.utils import encode_array

    def stream(**options: Any) -> bytes:
        return bytes(encode_array(rgb, photometric_interpretation=1, **options))

    lossless, lossy = (UID(f'1.2.840.10008.1.2.4.{number}') for number in (90, 91))
    with_transform = dict(PhotometricInterpretation='YBR_RCT')
    content = make(rgb, stream=stream(), uid=lossless, **with_transform)
    yield Case('jpeg 2000/YBR_RCT', content, wanted)
    content = make(rgb, stream=stream(use_mct=False), uid=lossless)
    yield Case('jpeg 2000/RGB', content, wanted)
    content = make(
        rgb, stream=stream(signal_noise_ratios=[60]), uid=lossy,
        PhotometricInterpretation='YBR_ICT',
    )  # fmt: skip
    yield Case('jpeg 2000/YBR_ICT', content, wanted, 3 / 255)


def palette_cases() -> Iterator[Case]:
    """Yield pixels that index a palette, of 8 and 16 bits, whole and in segments."""
    index = Depth(8, 8).values((34, 38))
    ramp = np.arange(256)
    tables = [ramp, 255 - ramp, (ramp * 3) % 256]
    names = ('Red', 'Green', 'Blue')
    base: Header = dict(PhotometricInterpretation='PALETTE COLOR')
    for syntax, bits, first in product(
        ('implicit', 'explicit', 'big', 'deflated', 'rle'), (8, 16), (0, 40)
    ):
        header = dict(base)
        entries = [table * (257 if bits == 16 else 1) for table in tables]
        order = '>' if syntax == 'big' else '<'
        for name, table in zip(names, entries, strict=True):
            header[f'{name}PaletteColorLookupTableDescriptor'] = [256, first, bits]
            data = table.astype('u1' if bits == 8 else f'{order}u2').tobytes()
            header[f'{name}PaletteColorLookupTableData'] = data
        content = make(index.astype(np.uint8), syntax, **header)
        places = np.clip(index - first, 0, 255)
        rgb = np.stack([table[places] for table in entries], axis=-1)
        yield Case(f'{syntax}/PALETTE {bits} from {first}', content, luma(rgb, bits))
    segments = [(0, 2, 0, 100), (1, 100, 30000), (0, 2, 65535, 7), (1, 152, 65535)]
    table = np.array(expand_segments(segments))
    header = dict(base)
    for name in names:
        header[f'{name}PaletteColorLookupTableDescriptor'] = [len(table), 0, 16]
        flat = np.array([value for segment in segments for value in segment], '<u2')
        header[f'Segmented{name}PaletteColorLookupTableData'] = flat.tobytes()
    content = make(index.astype(np.uint8), **header)
    rgb = np.repeat(table[index][..., None], 3, axis=-1)
    yield Case('explicit/PALETTE in segments', content, luma(rgb, 16), 2e-5)


def odd_cases() -> Iterator[Case]:
    """Yield floats, single bits, both ways to invert at once, and HTJ2K from another encoder."""
    window = _windowed(0.5, 1.5)
    exact = {**window, 'VOILUTFunction': 'LINEAR_EXACT'}
    display = Display(window=(0.5, 1.5), function='LINEAR_EXACT')
    values = np.linspace(-0.5, 1.5, 17 * 23).reshape(17, 23)
    none = dict(BitsStored=None, HighBit=None, PixelRepresentation=None, PixelData=None)
    for syntax, (keyword, kind) in product(
        _NATIVE[:2], (('FloatPixelData', 'f4'), ('DoubleFloatPixelData', 'f8'))
    ):
        stored = values.astype(f'<{kind}')
        more = {keyword: stored.tobytes(), 'BitsAllocated': 8 * stored.dtype.itemsize}
        content = make(stored.view(f'u{stored.dtype.itemsize}'), syntax, **exact, **none, **more)
        yield Case(f'{syntax}/{keyword}', content, display.show(stored))
    bits = (np.add.outer(np.arange(17), np.arange(23)) % 3 == 0).astype(np.uint8)
    packed = np.packbits(bits.ravel(), bitorder='little').tobytes()
    one_bit = dict(BitsAllocated=1, BitsStored=1, HighBit=0, **_windowed(0.5, 1.0))
    for syntax in ('implicit', 'explicit', 'deflated'):
        content = make(bits, syntax, pixel_data=packed, VOILUTFunction='LINEAR_EXACT', **one_bit)
        yield Case(f'{syntax}/1of1', content, bits.astype(float))
    depth, full = Depth(16, 12), next(displays(Depth(16, 12)))
    stored = depth.values(_SHAPE)
    for photometric, shape in product(('MONOCHROME1', 'MONOCHROME2'), ('IDENTITY', 'INVERSE')):
        if (photometric == 'MONOCHROME1') != (shape == 'INVERSE'):
            continue  # they contradict each other
        shown = replace(full, name=f'shape {shape}',
                        header={**full.header, 'PresentationLUTShape': shape})  # fmt: skip
        yield _grey_case('explicit', depth, stored, shown, photometric == 'MONOCHROME2')
    for uid, (bits, (grey, stream)) in product(HTJ2K_UIDS, htj2k_streams().items()):
        depth = Depth(bits, bits)
        yield _grey_case(
            'htj2k', depth, grey, next(displays(depth)), True, stream=stream, uid=UID(uid)
        )


def refused_cases() -> Iterator[Case]:
    """Yield what nobody can show as a radiograph, which must be said in words."""
    grey = Depth(8, 8).values(_SHAPE).astype(np.uint8)
    for uid in _UNSUPPORTED:
        # pydicom writes what it knows: another of the same length, and then its name is changed
        stand_in = next((other for other in _WRITABLE if len(other) == len(uid)), uid)
        content = make(grey, pixel_data=encapsulate([bytes(64)]), uid=UID(stand_in))
        yield Case(f'{uid}/no decoder', content.replace(stand_in.encode(), uid.encode()))
    for photometric in ('HSV', 'ARGB', 'CMYK', 'YBR_PARTIAL_422', 'YBR_PARTIAL_420', 'XYB', 'GREY'):
        yield Case(f'explicit/{photometric}', make(grey, PhotometricInterpretation=photometric))
    deep = Depth(16, 12).values(_SHAPE).astype(np.uint16)
    for name, header in (
        ('no rows', dict(Rows=None)),
        ('no columns', dict(Columns=0)),
        ('slope 0', dict(RescaleSlope=0, RescaleIntercept=0)),
        ('slope 1e305', dict(RescaleSlope='1e305', RescaleIntercept=0)),
        ('more stored than allocated', dict(BitsStored=17, HighBit=16)),
        ('high bit below', dict(BitsStored=12, HighBit=10)),
        ('signed colours', dict(PhotometricInterpretation='RGB', SamplesPerPixel=3,
                                PlanarConfiguration=0, PixelRepresentation=1)),
        ('24 bits', dict(BitsAllocated=24)),
        ('no pixels', dict(PixelData=None)),
        ('too many pixels', dict(Rows=65535, Columns=65535)),
    ):  # fmt: skip
        yield Case(f'explicit/{name}', make(deep, **header))
