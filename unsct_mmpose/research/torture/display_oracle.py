"""What a display shows of stored values, from the formulas of the standard (PS3.3) alone.

Nothing of :mod:`unsct_mmpose.dicom` is used: this is what it is held against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

_LUMA = (0.299, 0.587, 0.114)
_DISCRETE, _LINEAR = 0, 1


@dataclass(frozen=True)
class Table:
    """A lookup table: what LUTDescriptor and LUTData say."""

    first: int
    entries: tuple[int, ...]
    bits: int

    def look_up(self, values: ArrayLike) -> FloatArray:
        """Return what stands for whole values; those beyond an end have the end's (C.11.1.1.1)."""
        places = np.asarray(values, dtype=np.int64) - self.first
        return np.array(self.entries, float)[np.clip(places, 0, len(self.entries) - 1)]


@dataclass(frozen=True)
class Display:
    """How a header asks for its values to be shown.

    Attributes:
        slope: RescaleSlope.
        intercept: RescaleIntercept.
        modality: takes the place of both.
        window: centre and width.
        function: VOILUTFunction of the window.
        voi: takes the place of the window.
        inverted: the lowest value is white.
        padding: stored values, from and to, that are no part of the image; they become black.
    """

    slope: float = 1.0
    intercept: float = 0.0
    modality: Table | None = None
    window: tuple[float, float] | None = None
    function: str = 'LINEAR'
    voi: Table | None = None
    inverted: bool = False
    padding: tuple[int, int] | None = None

    def show(self, stored: ArrayLike) -> FloatArray:
        """Return display values in [0, 1]."""
        values = np.asarray(stored, float)
        if self.modality is not None:
            physical = self.modality.look_up(stored)
        else:
            physical = values * self.slope + self.intercept
        if self.voi is not None:
            shown = self.voi.look_up(physical) / (2**self.voi.bits - 1)
        else:
            assert self.window is not None
            shown = _WINDOWS[self.function](physical, *self.window)
        shown = 1 - shown if self.inverted else shown
        if self.padding is not None:
            shown = np.where((values >= self.padding[0]) & (values <= self.padding[1]), 0.0, shown)
        return shown


def _linear(x: FloatArray, centre: float, width: float) -> FloatArray:
    """C.11.2.1.2.1, with 0 and 1 for the least and the largest output."""
    low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    with np.errstate(divide='ignore', invalid='ignore'):
        ramp = (x - (centre - 0.5)) / (width - 1) + 0.5
    return np.select([x <= low, x > high], [0.0, 1.0], ramp)


def _linear_exact(x: FloatArray, centre: float, width: float) -> FloatArray:
    """C.11.2.1.3.2."""
    low, high = centre - width / 2, centre + width / 2
    return np.select([x <= low, x > high], [0.0, 1.0], (x - centre) / width + 0.5)


def _sigmoid(x: FloatArray, centre: float, width: float) -> FloatArray:
    """C.11.2.1.3.1."""
    return 1 / (1 + np.exp(-4 * (x - centre) / width))


_WINDOWS = {'LINEAR': _linear, 'LINEAR_EXACT': _linear_exact, 'SIGMOID': _sigmoid}


def luma(rgb: ArrayLike, bits: int) -> FloatArray:
    """Return the brightness of ``(..., 3)`` colours of so many bits, in [0, 1] (BT.601)."""
    return np.asarray(rgb, float) @ np.array(_LUMA) / (2**bits - 1)


def rgb_of_ybr_full(ybr: ArrayLike) -> FloatArray:
    """Return colours of 8 bits from YBR_FULL, not rounded (C.7.6.3.1.2)."""
    y, cb, cr = np.moveaxis(np.asarray(ybr, float), -1, 0)
    red = y + 1.402 * (cr - 128)
    green = y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128)
    blue = y + 1.772 * (cb - 128)
    return np.clip(np.stack([red, green, blue], axis=-1), 0, 255)


def ybr_full_of_rgb(rgb: ArrayLike) -> NDArray[np.uint8]:
    """Return YBR_FULL of colours of 8 bits, as it is stored (C.7.6.3.1.2)."""
    matrix = np.array(
        [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
    )
    ybr = np.asarray(rgb, float) @ matrix.T + [0, 128, 128]
    return np.clip(np.rint(ybr), 0, 255).astype(np.uint8)


def expand_segments(segments: Sequence[Sequence[int]]) -> list[int]:
    """Return the entries of a segmented palette: opcode, length and values of each (C.7.9.2)."""
    entries: list[int] = []
    for opcode, length, *values in segments:
        if opcode == _DISCRETE:
            entries += values
        elif opcode == _LINEAR:
            start, (end,) = entries[-1], values
            entries += [round(start + (end - start) * (k + 1) / length) for k in range(length)]
        else:
            raise ValueError(f'opcode {opcode}')
    return entries
