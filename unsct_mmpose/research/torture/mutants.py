"""Mutants of files: flipped bytes, cuts, edited elements, lengths, swapped streams, bombs.

A mutant is its number: seed file and changes are drawn from it alone.
"""

from __future__ import annotations

import random
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pydicom.data

from unsct_mmpose.dicom.identity import looks_like_radiograph

from .corpus import Case, corpus

_NASTY_NUMBERS = (0, 1, 2, 7, 8, 12, 15, 16, 17, 31, 32, 33, 63, 64, 127, 255, 256, 4096, 8000,
                  32767, 32768, 65534, 65535)  # fmt: skip
_NASTY_LENGTHS = (0, 1, 2, 3, 7, 8, 0xFF, 0x7FFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFE,
                  0xFFFFFFFF)  # fmt: skip
_NASTY_TEXTS = (
    b'', b' ', b'\0\0', b'-1', b'0', b'1e305', b'-1e305', b'nan', b'inf', b'0,143\\0,143', b'1\\1',
    b'1\\2\\3\\4', b'\\\\', b'1e-320', b'99999999999999999999', b'\xff\xfe\xfd', b'MONOCHROME1',
    b'MONOCHROME2', b'RGB', b'YBR_FULL_422', b'PALETTE COLOR', b'YBR_ICT', b'R\\F', b'L\\F',
    b'A\\B',
    b'F\\L', b'\x1b[31mred\x07', b'SIGMOID', b'LINEAR_EXACT', b'YES', b'FOR PROCESSING', b'CT',
    b'ISO_IR 192', b'\\ISO 2022 IR 87', b'GB18030', b'nonsense', b'1.2.840.10008.5.1.4.1.1.88.22',
    b'2147483648', b'-2147483649', b'1.2.840.10008.1.2.1.99', b'A' * 5000, b'20260230', b'9' * 400,
)  # fmt: skip
_VRS = (b'AE', b'AS', b'AT', b'CS', b'DA', b'DS', b'DT', b'FD', b'FL', b'IS', b'LO', b'LT', b'OB',
        b'OF', b'OW', b'PN', b'SH', b'SL', b'SQ', b'SS', b'ST', b'TM', b'UI', b'UL', b'UN', b'US',
        b'UT', b'\0\0', b'ZZ')  # fmt: skip
_TAGS = (
    0x00020010, 0x00020002, 0x00080005, 0x00080016, 0x00080060, 0x00080068, 0x00100010, 0x00100020,
    0x00185101, 0x00181110, 0x00181111, 0x00181114, 0x00181164, 0x00187030, 0x00187032, 0x00187034,
    0x00200020, 0x00200037, 0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011,
    0x00280030, 0x00280034, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280120, 0x00280121,
    0x00281040, 0x00281041, 0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x00281056, 0x00281101,
    0x00281201, 0x00283000, 0x00283010, 0x00282010, 0x20500020, 0x7FE00001, 0x7FE00008, 0x7FE00010,
    0x0008001C, 0x00120062, 0x54000100, 0x60003000, 0x00082112, 0x00189999, 0xFFFCFFFC, 0xFFFEE000,
    0xFFFEE00D, 0xFFFEE0DD,
)  # fmt: skip
_TRANSFER_SYNTAX = re.compile(rb'1\.2\.840\.10008\.1\.2(?:\.[0-9.]+)?\0?')
_PIXEL_DATA = b'\xe0\x7f\x10\x00'
_FRAMES = re.compile(rb'\xff[\xc0-\xcf\xf7]\x00')
_J2K = b'\xff\x4f\xff\x51'

Change = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def mutant(number: int, seeds: Sequence[bytes]) -> tuple[str, bytes]:
    """Return the kind and the bytes of a mutant: the same number and files give the same one."""
    rng = random.Random(f'0/{number}')
    content = rng.choice(seeds)
    count = rng.choices((1, 2, 3, 5), (70, 18, 8, 4))[0]
    chosen = rng.choices(_OFTEN, k=count)
    if number % _BOMB_EVERY == _BOMB_EVERY - 1:
        chosen = ['bomb']
    for name in chosen:
        content = CHANGES[name](rng, content, seeds)
    return chosen[0] if len(chosen) == 1 else 'several changes', content


def _flip_bytes(rng: random.Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Change some bytes, anywhere, or where headers are."""
    changed = bytearray(content or b'\0')
    end = len(changed) if rng.random() < 0.4 else min(len(changed), 2048)
    for _ in range(rng.choice((1, 1, 2, 4, 16, 64))):
        changed[rng.randrange(end)] = rng.choice((0, 0xFF, rng.randrange(256)))
    return bytes(changed)


def _flip_bits(rng: random.Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Turn over single bits of what follows the header: compressed data, mostly."""
    changed = bytearray(content or b'\0')
    start = min(max(content.find(_PIXEL_DATA), 0), len(changed) - 1)
    for _ in range(rng.choice((1, 2, 8))):
        changed[rng.randrange(start, len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(rng: random.Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Cut off the end, somewhere, or a little of it."""
    kept = len(content) - rng.choice((1, 2, 3, 16, 200, rng.randrange(len(content) + 1)))
    return content[: max(kept, 0)]


def cut_out(rng: random.Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Take a piece out, double it, or fill it with one value."""
    start = rng.randrange(len(content) + 1)
    end = min(start + rng.choice((1, 2, 3, 8, 64, 512, 4096)), len(content))
    piece = content[start:end]
    filled = bytes([rng.randrange(256)]) * len(piece)
    return content[:start] + rng.choice((b'', piece * 2, filled)) + content[end:]


def _splice(rng: random.Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Go on in another file at the same place, or at another one."""
    other = rng.choice(seeds)
    at = rng.randrange(len(content) + 1)
    return content[:at] + other[min(at, len(other)) if rng.random() < 0.5 else len(other) // 2 :]


def _element(rng: random.Random, content: bytes) -> Place | None:
    places = find_elements(content)
    return rng.choice(places) if places else None


def _edit_length(rng: random.Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Change the length field of an element, or of whatever stands in the pixel data."""
    place = _element(rng, content)
    if place is None:
        return _flip_bytes(rng, content, seeds)
    at, size = place.length_at, place.length_bytes
    items = [match.start() for match in re.finditer(rb'\xfe\xff[\x00\x0d\xdd]\xe0', content)]
    if items and rng.random() < 0.3:
        at, size = rng.choice(items) + 4, 4
    now = int.from_bytes(content[at : at + size], 'little')
    wanted = rng.choice((*_NASTY_LENGTHS, now + 1, now - 1, now + 2, now * 2, now // 2))
    field = (wanted % 256**size).to_bytes(size, 'little')
    return content[:at] + field + content[at + size :]


def _edit_value(rng: random.Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Give an element another value, of its length or another; the length says so."""
    place = _element(rng, content)
    if place is None:
        return _flip_bytes(rng, content, seeds)
    old = content[place.value : place.end]
    value = _nasty_value(rng, len(old))
    field = (len(value) % 256**place.length_bytes).to_bytes(place.length_bytes, 'little')
    head = content[: place.length_at] + field
    return head + value + content[place.end :]


def _nasty_value(rng: random.Random, length: int) -> bytes:
    kind = rng.random()
    if kind < 0.5:
        value = rng.choice(_NASTY_TEXTS)
        return value + b' ' * (len(value) % 2)
    if kind < 0.85:
        number = rng.choice(_NASTY_NUMBERS)
        return struct.pack(rng.choice(('<H', '<HH', '<HHH', '<I', '<Q')[:1] * 3 + ('<I', '<Q')),
                           number)  # fmt: skip
    return rng.randbytes(rng.choice((length, length + 1, 0, 2, 6)))


def _edit_vr(rng: random.Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Give an element another value representation, or another tag."""
    place = _element(rng, content)
    if place is None:
        return _flip_bytes(rng, content, seeds)
    if place.vr_at is not None and rng.random() < 0.7:
        return content[: place.vr_at] + rng.choice(_VRS) + content[place.vr_at + 2 :]
    return content[: place.start] + _tag(rng.choice(_TAGS)) + content[place.start + 4 :]


def _tag(number: int) -> bytes:
    return struct.pack('<HH', number >> 16, number & 0xFFFF)


def _move_element(rng: random.Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Take an element out, double it, or put it elsewhere."""
    places = find_elements(content)
    if not places:
        return cut_out(rng, content, seeds)
    place, other = rng.choice(places), rng.choice(places)
    element = content[place.start : place.end]
    without = content[: place.start] + content[place.end :]
    if rng.random() < 0.5:
        return without
    at = min(other.start, len(without))
    return without[:at] + element * rng.choice((1, 2)) + without[at:]


def _add_element(rng: random.Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Put in an element that means something here, with a value that means nothing."""
    places = find_elements(content)
    at = rng.choice(places).start if places else 0
    tag, value = rng.choice(_TAGS), _nasty_value(rng, 2)
    value = value[:65534]
    explicit = not places or places[-1].vr_at is not None
    if explicit:
        head = _tag(tag) + rng.choice(_VRS[:12] + (b'US', b'SS')) + struct.pack('<H', len(value))
    else:
        head = _tag(tag) + struct.pack('<I', len(value))
    return content[:at] + head + value + content[at:]


def _swap_stream(rng: random.Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Take the pixel data of another file, and perhaps not its transfer syntax."""
    other = rng.choice(seeds)
    here, there = content.rfind(_PIXEL_DATA), other.rfind(_PIXEL_DATA)
    if here < 0 or there < 0:
        return _splice(rng, content, seeds)
    changed = content[:here] + other[there:]
    return _swap_syntax(rng, changed, (other,)) if rng.random() < 0.6 else changed


def _swap_syntax(rng: random.Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Name the transfer syntax of another file."""
    mine = _TRANSFER_SYNTAX.search(content[:1000])
    theirs = _TRANSFER_SYNTAX.search(rng.choice(seeds)[:1000])
    if not mine or not theirs:
        return _flip_bytes(rng, content, seeds)
    at = mine.start() - 2
    value = theirs[0].rstrip(b'\0')
    value += b'\0' * (len(value) % 2)
    return content[:at] + struct.pack('<H', len(value)) + value + content[mine.end() :]


def _swell_stream(rng: random.Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Let the header of a compressed stream promise other sizes, and perhaps the file's too."""
    changed = bytearray(content)
    rows, columns = (rng.choice((1, 64, 8000, 32768, 65535)) for _ in range(2))
    frames = [match.start() for match in _FRAMES.finditer(content)]
    siz = content.find(_J2K)
    if siz >= 0 and siz + 48 < len(content):
        struct.pack_into('>II', changed, siz + 8, columns, rows)
        if rng.random() < 0.3:
            changed[siz + rng.randrange(40, 48)] = rng.randrange(256)
    elif frames and frames[0] + 9 < len(content):
        struct.pack_into('>HH', changed, frames[0] + 5, rows, columns)
        if rng.random() < 0.3:
            changed[frames[0] + 4 + rng.choice((0, 5))] = rng.randrange(20)
    return _resize(bytes(changed), rows, columns) if rng.random() < 0.6 else bytes(changed)


def _resize(content: bytes, rows: int, columns: int) -> bytes:
    changed = bytearray(content)
    for tag, size in ((b'\x28\x00\x10\x00', rows), (b'\x28\x00\x11\x00', columns)):
        at = content.find(tag)
        if at >= 0 and at + 10 <= len(changed):
            struct.pack_into('<H', changed, at + 8, size)
    return bytes(changed)


def bomb(rng: random.Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Deflate much into little, or promise many frames or a large picture of few bytes."""
    rows, columns = rng.choice(((65535, 65535), (8000, 8000), (8192, 8191), (1, 65535), (20000, 3)))
    kind = rng.random()
    if kind < 0.4:
        return _deflated_bomb(rng, rows, columns)
    if kind < 0.7:
        at = content.rfind(_PIXEL_DATA)
        zeros = bytes(rng.choice((2**20, 2**22)))
        return _resize(content if at < 0 else content[:at] + zeros, rows, columns)
    return _resize(content, rows, columns)


def _deflated_bomb(rng: random.Random, rows: int, columns: int) -> bytes:
    def short(tag: int, vr: bytes, value: bytes) -> bytes:
        value += b' ' * (len(value) % 2)
        return _tag(tag) + vr + struct.pack('<H', len(value)) + value

    bits = rng.choice((8, 16))
    header = short(0x00080016, b'UI', b'1.2.840.10008.5.1.4.1.1.7')
    header += short(0x00280002, b'US', struct.pack('<H', 1))
    header += short(0x00280004, b'CS', b'MONOCHROME2')
    numbers = (rows, columns, bits, bits, bits - 1, 0)
    for tag, number in zip((0x10, 0x11, 0x100, 0x101, 0x102, 0x103), numbers, strict=True):
        header += short(0x00280000 + tag, b'US', struct.pack('<H', number))
    size = min(rows * columns * bits // 8, 2**28)
    size += size % 2
    header += _tag(0x7FE00010) + b'OW\0\0' + struct.pack('<I', size)
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    parts = [packer.compress(header)]
    block = bytes(2**20)
    parts += [packer.compress(block[: min(2**20, size - at)]) for at in range(0, size, 2**20)]
    meta = short(0x00020010, b'UI', b'1.2.840.10008.1.2.1.99')
    group = _tag(0x00020000) + b'UL\x04\0' + struct.pack('<I', len(meta))
    return bytes(128) + b'DICM' + group + meta + b''.join(parts) + packer.flush()


CHANGES: dict[str, Change] = {
    'bytes flipped': _flip_bytes,
    'bits flipped': _flip_bits,
    'end cut off': cut,
    'piece out, twice or blank': cut_out,
    'two files spliced': _splice,
    'length edited': _edit_length,
    'value edited': _edit_value,
    'type or tag edited': _edit_vr,
    'element moved': _move_element,
    'element added': _add_element,
    'stream of another file': _swap_stream,
    'transfer syntax of another file': _swap_syntax,
    'stream of another size': _swell_stream,
    'bomb': bomb,
}
"""What can be done with a file."""

_OFTEN = [*(name for name in CHANGES if name != 'bomb'), 'value edited']
_BOMB_EVERY = 400


_LONG = (b'OB', b'OW', b'OF', b'OD', b'OL', b'OV', b'SQ', b'UC', b'UN', b'UR', b'UT', b'SV', b'UV')
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True)
class Place:
    """Where an element stands: its first byte, its length field of 2 or 4 bytes, its value.

    ``end`` is the first byte after it; ``vr_at`` is None where it has no value representation.
    """

    start: int
    length_at: int
    length_bytes: int
    value: int
    end: int
    vr_at: int | None


def find_elements(content: bytes) -> list[Place]:
    """Return the elements of the outermost level, those of group 2 too, as far as they can be told.

    Little endian, with or without value representations; sequences of undefined length are
    entered, since their end is not known.

    Example:
        >>> element = bytes.fromhex('28001000 5553 0200 0400')
        >>> find_elements(bytes(128) + b'DICM' + element)
        [Place(start=132, length_at=138, length_bytes=2, value=140, end=142, vr_at=136)]
    """
    places = []
    position = 132 if content[128:132] == b'DICM' else 0
    while position + 8 <= len(content) and len(places) < 2000:
        place = _place(content, position)
        if place is None:
            break
        places.append(place)
        position = place.end
    return places


def _place(content: bytes, start: int) -> Place | None:
    vr = content[start + 4 : start + 6]
    tag = content[start : start + 4]
    explicit = vr.isalpha() and vr.isupper() and tag[:2] != b'\xfe\xff'
    if explicit and vr in _LONG:
        at, size, vr_at = start + 8, 4, start + 4
    elif explicit:
        at, size, vr_at = start + 6, 2, start + 4
    else:
        at, size, vr_at = start + 4, 4, None
    if at + size > len(content):
        return None
    (length,) = struct.unpack_from('<I' if size == 4 else '<H', content, at)
    value = at + size
    enters = length == _UNDEFINED or tag in (b'\xfe\xff\x00\xe0',)
    end = value if enters else value + length
    if end > len(content):
        end = len(content)
    return Place(start, at, size, value, end, vr_at)


_LARGEST = 600_000
_EXIF = bytes.fromhex('4578696600004d4d002a0000000800010112000300000001000600000000')


def seed_files(folder: Path | None = None) -> list[bytes]:
    """Return the files, in an order that is the same each time.

    Of those in a folder, the ones that look like radiographs and are not too large.
    """
    beside = Path(pydicom.data.__file__).parent / 'test_files'
    paths = sorted(path for path in beside.rglob('*') if path.is_file())
    if folder is not None:
        paths += sorted(path for path in folder.rglob('*') if path.is_file())
    files = [path.read_bytes() for path in paths
             if path.stat().st_size <= _LARGEST and looks_like_radiograph(path)]  # fmt: skip
    return [*_of_corpus(), *pictures(), *files]


def _of_corpus() -> list[bytes]:
    """Return a case of every format, and the ways to show one of each syntax in turn."""
    by_format: dict[str, list[Case]] = {}
    for case in corpus():
        by_format.setdefault(case.name.rpartition('/')[0], []).append(case)
    return [cases[k % len(cases)].file() for k, cases in enumerate(by_format.values())]


def pictures() -> list[bytes]:
    """Return PNG, JPEG and TIFF files of each kind, one with an orientation."""
    y, x = np.mgrid[:40, :52]
    grey = ((3 * x + 4 * y) % 256).astype(np.uint8)
    deep = (grey.astype(np.uint16) * 257).astype(np.uint16)
    colour = np.dstack([grey, grey.T[:40, :40].repeat(2, axis=1)[:, :52], grey])
    opaque = np.dstack([colour, np.where(x > 5, 255, 0).astype(np.uint8)])
    real = (grey / 255).astype(np.float32)
    made = [('.png', grey), ('.png', deep), ('.png', colour), ('.png', opaque), ('.jpg', grey),
            ('.jpg', colour), ('.tif', grey), ('.tif', deep), ('.tif', real),
            ('.tif', colour)]  # fmt: skip
    files = [cv2.imencode(suffix, array)[1].tobytes() for suffix, array in made]
    pages = cv2.imencodemulti('.tif', [grey, deep])[1].tobytes()
    segment = b'\xff\xe1' + (len(_EXIF) + 2).to_bytes(2, 'big') + _EXIF
    return [*files, pages, files[4][:2] + segment + files[4][2:]]
