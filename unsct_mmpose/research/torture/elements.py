"""DICOM elements in raw bytes, as a file lays them: where each stands, whatever it holds."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_LONG = (b'OB', b'OW', b'OF', b'OD', b'OL', b'OV', b'SQ', b'UC', b'UN', b'UR', b'UT', b'SV', b'UV')
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True)
class Place:
    """Where an element stands.

    Attributes:
        start: its first byte, that of its tag.
        length_at: where its length stands.
        length_bytes: 2 or 4.
        value: first byte of its value.
        end: first byte after it.
        vr_at: where its value representation stands; None where there is none.
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
