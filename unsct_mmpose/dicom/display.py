"""From stored values to what a display shows: modality LUT, VOI and inversion.

Everything happens on the distinct values of an image, not on its pixels: a radiograph of ten
million pixels has at most 65536 of them. What a header asks for and nobody can do is refused:
:class:`DisplayError` names the element.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from .header import (
    code,
    comma_advice,
    has,
    is_unreadable,
    item_encoding_is_big,
    named,
    number,
    number_text,
    numbers,
    values,
)

FloatArray = NDArray[np.float64]

_DENSE_RANGE = 2**17
_STRIP = 64
"""Rows that are worked on at a time: they stay in a core's own cache."""
_LEAST_INSIDE = 0.02
_LEAST_CONTRAST = 0.05
_TAIL = 0.005
_PLATEAU_WIDTH = 0.005
_PLATEAU_SHARE = 0.05
_LARGEST = 1e30


class DisplayError(ValueError):
    """The header asks for a display that cannot be; the message names the element."""


@dataclass(frozen=True, eq=False)
class Levels:
    """The distinct values of an image.

    Attributes:
        values: ``(V,)`` values, ascending.
        counts: ``(V,)`` how many pixels have each.
        index: ``(H, W)`` position in ``values`` of each pixel, before ``offset`` is taken off.
        offset: what to take off.
    """

    values: FloatArray
    counts: NDArray[np.int64]
    index: NDArray[np.integer]
    offset: int = 0

    def apply(self, table: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the ``(H, W)`` image whose values a table ``(V,)`` maps, a strip at a time."""
        mapped = np.asarray(table, dtype=np.float32)
        image = np.empty(self.index.shape, dtype=np.float32)
        for start in range(0, len(image), _STRIP):
            strip = self.index[start : start + _STRIP].astype(np.intp)
            strip -= self.offset
            mapped.take(strip, out=image[start : start + _STRIP], mode='clip')  # else it is copied
        return image


def find_levels(stored: NDArray[Any]) -> Levels:
    """Return the distinct values of an image ``(H, W)``.

    Example:
        >>> levels = find_levels(np.array([[7, 9], [9, 7]], dtype=np.int16))
        >>> levels.values.tolist(), levels.counts.tolist()
        ([7.0, 8.0, 9.0], [2, 0, 2])
    """
    if stored.dtype.kind in 'iu':
        low, high = int(stored.min()), int(stored.max())
        if high - low < _DENSE_RANGE:
            counts = np.zeros(high - low + 1, dtype=np.int64)
            for start in range(0, len(stored), _STRIP):
                strip = stored[start : start + _STRIP].astype(np.intp)
                strip -= low
                counts += np.bincount(strip.ravel(), minlength=high - low + 1)
            return Levels(np.arange(low, high + 1, dtype=np.float64), counts, stored, low)
    distinct, inverse, counts = np.unique(stored, return_inverse=True, return_counts=True)
    return Levels(distinct.astype(np.float64), counts, inverse.reshape(stored.shape))


def apply_modality(stored: FloatArray, dataset: Dataset) -> FloatArray:
    """Apply the modality LUT, or else rescale slope and intercept, to ``(V,)`` values (C.11.1).

    Raises:
        DisplayError: a table or a number is malformed, zero or absurd.
    """
    table = _first_item(dataset, 'ModalityLUTSequence')
    if table is not None:
        looked_up, _ = _look_up(stored, table)
        return looked_up
    slope = _rescale(dataset, 'RescaleSlope', 1.0)
    intercept = _rescale(dataset, 'RescaleIntercept', 0.0)
    if slope == 0:
        raise DisplayError(f'{named("RescaleSlope")} is 0: all pixels would be alike')
    if max(abs(slope), abs(intercept)) * max(np.abs(stored).max(), 1.0) > _LARGEST:
        raise DisplayError(
            f'{named("RescaleSlope")} {slope:g} and RescaleIntercept {intercept:g} cannot be'
        )
    return stored * slope + intercept


def _rescale(dataset: Dataset, keyword: str, missing: float) -> float:
    """Return a number of the rescaling; what is there and unreadable is not taken for missing."""
    if is_unreadable(dataset, keyword):
        text = number_text(dataset, keyword)
        raise DisplayError(f'{named(keyword)} holds {text}{comma_advice(text)}')
    value = number(dataset, keyword)
    return missing if value is None else value


def apply_voi(
    values_: FloatArray,
    counts: NDArray[np.int64],
    dataset: Dataset,
    window: tuple[float, float] | None = None,
) -> tuple[FloatArray, str]:
    """Map values to the display range: VOI LUT, window, or percentiles when neither fits.

    A window fits when it shows at least 2 % of the pixels and gives them at least 5 % of the
    display range; of several windows the first that fits is taken.

    Args:
        values_: ``(V,)`` values after the modality LUT.
        counts: ``(V,)`` pixels that have each value; those that do not count, such as padding,
            have 0.
        dataset: the header.
        window: the caller's (centre, width); taken as it is.

    Returns:
        ``(V,)`` display values in [0, 1], and in words where the mapping comes from.

    Raises:
        DisplayError: a table is malformed.
    """
    if window is not None:
        shown, _ = _apply_window(values_, *window, 'LINEAR')
        return shown, f'caller: centre {window[0]:g}, width {window[1]:g}'
    why = 'the file has no window'
    table = _first_item(dataset, 'VOILUTSequence')
    if table is not None:
        looked_up, bits = _look_up(values_, table)
        shown = looked_up / max(2.0**bits - 1, looked_up.max(), 1.0)
        if _fits(shown, np.ones(len(shown), dtype=bool), counts):
            return shown, 'VOI LUT of the file'
        why = 'the VOI LUT of the file does not fit its pixels'
    function = code(dataset, 'VOILUTFunction') or 'LINEAR'
    for centre, width in _windows(dataset):
        shown, inside = _apply_window(values_, centre, width, function)
        if _fits(shown, inside, counts):
            return shown, f'{function} window of the file: centre {centre:g}, width {width:g}'
        why = 'the window of the file does not fit its pixels'
    low, high = robust_window(values_, counts)
    if high <= low:
        return np.zeros_like(values_), f'none: all pixels have one value ({why})'
    shown = np.clip((values_ - low) / (high - low), 0.0, 1.0)
    return shown, f'percentiles: {low:g} to {high:g} ({why})'


def show_by_own_range(
    grey: NDArray[Any],
    hidden: NDArray[np.bool_] | None = None,
    window: tuple[float, float] | None = None,
) -> tuple[NDArray[np.float32], str]:
    """Display ``(H, W)`` grey values of which nobody says what is black and what is white.

    Hidden pixels do not count; without the caller's window that of :func:`robust_window` is taken.

    Returns:
        ``(H, W)`` display values in [0, 1], and in words where the mapping comes from.
    """
    levels = find_levels(grey)
    counts = levels.counts
    if hidden is not None and not hidden.all():
        counted = levels.index[~hidden].astype(np.int64) - levels.offset
        counts = np.bincount(counted, minlength=len(levels.values))
    shown, words = apply_voi(levels.values, counts, Dataset(), window)
    return levels.apply(shown), words


def ranges_itself(words: str) -> bool:
    """Tell whether the words about a mapping say that the values' own range was taken.

    Example:
        >>> ranges_itself('percentiles: 0 to 4095 (the file has no window)')
        True
        >>> ranges_itself('as stored: 0 to 255')
        False
    """
    return words.startswith('percentiles')


def robust_window(values_: FloatArray, counts: NDArray[np.int64]) -> tuple[float, float]:
    """Choose the range of values to display from the values themselves.

    The range runs from the 0.5th to the 99.5th percentile. A plateau at either end (collimator,
    direct exposure, lead) that holds more than 5 % of the pixels within 0.5 % of the range is
    left out first, unless hardly anything else remains.

    Args:
        values_: ``(V,)`` values.
        counts: ``(V,)`` pixels that have each value.

    Returns:
        Lowest and highest value of the range.

    Example:
        >>> robust_window(np.arange(101.0), np.ones(101, dtype=np.int64))
        (0.0, 100.0)
    """
    order = np.argsort(values_, kind='stable')
    order = order[counts[order] > 0]
    ascending, weights = values_[order], counts[order]
    margin = (ascending[-1] - ascending[0]) * _PLATEAU_WIDTH
    kept = np.ones(len(ascending), dtype=bool)
    for plateau in (ascending <= ascending[0] + margin, ascending >= ascending[-1] - margin):
        if weights[plateau].sum() > _PLATEAU_SHARE * weights.sum():
            kept &= ~plateau
    if weights[kept].sum() < _PLATEAU_SHARE * weights.sum():
        kept[:] = True
    return _percentiles(ascending[kept], weights[kept])


def _percentiles(ascending: FloatArray, weights: NDArray[np.int64]) -> tuple[float, float]:
    """Return the values below and above which 0.5 % of the pixels lie."""
    share = np.cumsum(weights) / weights.sum()
    last = len(ascending) - 1
    low = ascending[min(int(np.searchsorted(share, _TAIL)), last)]
    high = ascending[min(int(np.searchsorted(share, 1 - _TAIL)), last)]
    return float(low), float(high)


def _fits(shown: FloatArray, inside: NDArray[np.bool_], counts: NDArray[np.int64]) -> bool:
    if counts[inside].sum() < _LEAST_INSIDE * counts.sum():
        return False
    order = np.argsort(shown, kind='stable')
    low, high = _percentiles(shown[order], counts[order])
    return high - low >= _LEAST_CONTRAST


def _windows(dataset: Dataset) -> list[tuple[float, float]]:
    pairs = zip(numbers(dataset, 'WindowCenter'), numbers(dataset, 'WindowWidth'), strict=False)
    return [(centre, width) for centre, width in pairs if np.isfinite(centre) and width > 0]


def _apply_window(
    values_: FloatArray, centre: float, width: float, function: str
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Apply a window (PS3.3, C.11.2.1.2 and C.11.2.1.3); say which values it does not clip."""
    if function == 'SIGMOID':
        exponent = np.clip(-4 * (values_ - centre) / width, -700, 700)
        return 1 / (1 + np.exp(exponent)), np.abs(values_ - centre) <= width
    if function == 'LINEAR_EXACT' or width < 1:
        ramp = (values_ - centre) / width + 0.5
    elif width == 1:
        ramp = np.where(values_ <= centre - 0.5, 0.0, 1.0)
    else:
        ramp = (values_ - (centre - 0.5)) / (width - 1) + 0.5
    return np.clip(ramp, 0.0, 1.0), (ramp >= 0) & (ramp <= 1)


def _first_item(dataset: Dataset, keyword: str) -> Dataset | None:
    """Return the lookup table of a sequence; an item without descriptor and data is none."""
    for item in values(dataset, keyword)[:1]:
        if not isinstance(item, Dataset):
            return None
        there = [has(item, name) for name in ('LUTDescriptor', 'LUTData')]
        if all(there):
            return item
        if any(there):
            lacking = ('LUTDescriptor', 'LUTData')[there.index(False)]
            raise DisplayError(f'{named(lacking)} of {named(keyword)} is missing or empty')
    return None


def _look_up(values_: FloatArray, item: Dataset) -> tuple[FloatArray, int]:
    """Map values through a lookup table (PS3.3, C.11.1.1.1); also return its bits per entry."""
    descriptor = numbers(item, 'LUTDescriptor')
    if len(descriptor) != 3 or not np.isfinite(descriptor).all():
        raise DisplayError(f'{named("LUTDescriptor")} is not three numbers')
    entries, first, bits = (int(value) for value in descriptor)
    entries = entries % 2**16 or 2**16  # 65536 is written as 0, and read as signed by some
    if not 1 <= bits <= 16:
        raise DisplayError(f'{named("LUTDescriptor")} says {bits} bits; 8 to 16 can be')
    table = _table(item, entries, bits)
    if not table.size or not np.isfinite(table).all():
        raise DisplayError(f'{named("LUTData")} holds no table of numbers')
    if values_.min() < 0 and first >= 2**15:
        first -= 2**16
    positions = np.clip(np.floor(values_) - first, 0, len(table) - 1).astype(np.int64)
    return table[positions], bits


def _table(item: Dataset, entries: int, bits: int) -> FloatArray:
    data = values(item, 'LUTData')
    if len(data) == 1 and isinstance(data[0], bytes):
        content = data[0]
        width = 1 if bits <= 8 and len(content) <= entries + 1 else 2
        order = '>' if item_encoding_is_big(item) else '<'
        whole = content[: len(content) // width * width]
        return np.frombuffer(whole, dtype=f'{order}u{width}')[:entries].astype(np.float64)
    return np.asarray(numbers(item, 'LUTData')[:entries], dtype=np.float64)
