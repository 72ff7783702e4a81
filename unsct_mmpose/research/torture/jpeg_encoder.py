"""JPEG streams from the standard's text (ITU-T T.81), so that no decoder's twin encodes them.

Nothing here is small or quick: every Huffman code has the same length.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

_LOSSLESS_CODE_BITS = 5
_DCT_CODE_BITS = 8
_BLOCK = 8


def encode_lossless(samples: NDArray[np.unsignedinteger], precision: int, predictor: int) -> bytes:
    """Encode ``(H, W)`` or ``(H, W, 3)`` values without loss (T.81, annex H).

    Args:
        samples: unsigned values of ``precision`` bits.
        precision: 2 to 16 bits.
        predictor: selection value, 1 to 7 (table H.1).
    """
    planes = np.atleast_3d(samples).astype(np.int64)
    residuals = np.stack(
        [_residuals(planes[..., k], precision, predictor) for k in range(planes.shape[2])], axis=-1
    )
    bits = ''.join(
        _coded(_category(value), value, _LOSSLESS_CODE_BITS) for value in residuals.ravel().tolist()
    )
    tables = _huffman_table(0x00, list(range(17)), _LOSSLESS_CODE_BITS)
    return _stream(planes.shape, precision, 0xC3, tables, (predictor, 0, 0), bits)


def encode_dct(samples: NDArray[np.unsignedinteger], precision: int) -> bytes:
    """Encode ``(H, W)`` or ``(H, W, 3)`` values by cosines, rounded to whole coefficients.

    What is decoded is within 2 of each value. Sizes that are no multiple of 8 are filled up with
    their last row and column. Components are encoded as they are given.

    Args:
        samples: unsigned values of ``precision`` bits.
        precision: 8 (baseline), or 12 (extended).
    """
    planes = np.atleast_3d(samples).astype(np.float64) - 2.0 ** (precision - 1)
    fill = [(0, -size % _BLOCK) for size in planes.shape[:2]]
    planes_filled = np.pad(planes, [*fill, (0, 0)], mode='edge')
    last = [0] * planes.shape[2]
    bits = []
    for y in range(0, planes_filled.shape[0], _BLOCK):
        for x in range(0, planes_filled.shape[1], _BLOCK):
            for k in range(planes.shape[2]):
                block = planes_filled[y : y + _BLOCK, x : x + _BLOCK, k]
                coefficients = np.rint(dctn(block, norm='ortho')).astype(int).ravel()[_ZIGZAG]
                bits.append(_coded_block(coefficients.tolist(), last[k]))
                last[k] = int(coefficients[0])
    quantisation = _segment(0xDB, bytes([0]) + bytes([1] * 64))
    tables = _huffman_table(0x00, list(range(16)), _DCT_CODE_BITS)
    tables += _huffman_table(0x10, _AC_SYMBOLS, _DCT_CODE_BITS)
    frame = 0xC0 if precision == 8 else 0xC1
    return _stream(planes.shape, precision, frame, quantisation + tables, (0, 63, 0), ''.join(bits))


_AC_SYMBOLS = [16 * run + size for run in range(16) for size in range(15) if size or run in (0, 15)]


def _zigzag() -> NDArray[np.intp]:
    places = [(y, x) for y in range(_BLOCK) for x in range(_BLOCK)]
    places.sort(key=lambda at: (sum(at), at[0] if sum(at) % 2 else at[1]))
    return np.array([_BLOCK * y + x for y, x in places])


_ZIGZAG = _zigzag()


def _residuals(plane: NDArray[np.int64], precision: int, predictor: int) -> NDArray[np.int64]:
    """Return differences from what is predicted, modulo 2**16 (H.1.2.1)."""
    left = np.roll(plane, 1, axis=1)
    above = np.roll(plane, 1, axis=0)
    corner = np.roll(above, 1, axis=1)
    predicted = {
        1: left,
        2: above,
        3: corner,
        4: left + above - corner,
        5: left + ((above - corner) >> 1),
        6: above + ((left - corner) >> 1),
        7: (left + above) >> 1,
    }[predictor]
    predicted[:, 0] = above[:, 0]
    predicted[0, 1:] = plane[0, :-1]
    predicted[0, 0] = 2 ** (precision - 1)
    return (plane - predicted + 2**15) % 2**16 - 2**15


def _category(value: int) -> int:
    return 16 if value == -(2**15) else abs(value).bit_length()


def _coded(category: int, value: int, code_bits: int) -> str:
    """Return the bits of a difference: those of its category, and which of that it is (F.1.2.1)."""
    code = f'{category:0{code_bits}b}'
    return code + ('' if category in (0, 16) else _magnitude(category, value))


def _magnitude(category: int, value: int) -> str:
    return f'{value if value > 0 else value + 2**category - 1:0{category}b}'


def _coded_block(coefficients: list[int], last: int) -> str:
    """Return the bits of 64 coefficients in zigzag order (F.1.2)."""
    difference = coefficients[0] - last
    bits = [_coded(_category(difference), difference, _DCT_CODE_BITS)]
    run = 0
    for value in coefficients[1:]:
        if not value:
            run += 1
            continue
        for _ in range(run // 16):
            bits.append(_ac_code(0xF0))
        size = _category(value)
        bits.append(_ac_code(16 * (run % 16) + size) + _magnitude(size, value))
        run = 0
    if run:
        bits.append(_ac_code(0x00))
    return ''.join(bits)


def _ac_code(symbol: int) -> str:
    return f'{_AC_SYMBOLS.index(symbol):0{_DCT_CODE_BITS}b}'


def _huffman_table(kind: int, symbols: list[int], bits: int) -> bytes:
    counts = [len(symbols) if length == bits else 0 for length in range(1, 17)]
    return _segment(0xC4, bytes([kind, *counts, *symbols]))


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack('>BBH', 0xFF, marker, len(content) + 2) + content


def _stream(
    shape: tuple[int, ...],
    precision: int,
    frame: int,
    tables: bytes,
    scan: tuple[int, int, int],
    bits: str,
) -> bytes:
    rows, columns, count = shape
    header = struct.pack('>BHHB', precision, rows, columns, count)
    header += b''.join(bytes([k + 1, 0x11, 0]) for k in range(count))
    start = bytes([count]) + b''.join(bytes([k + 1, 0]) for k in range(count)) + bytes(scan)
    padded = bits + '1' * (-len(bits) % 8)
    coded = int(padded, 2).to_bytes(len(padded) // 8, 'big') if padded else b''
    return b''.join(
        [
            b'\xff\xd8',
            tables,
            _segment(frame, header),
            _segment(0xDA, start),
            coded.replace(b'\xff', b'\xff\x00'),
            b'\xff\xd9',
        ]
    )
