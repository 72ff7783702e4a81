"""Confidence intervals of any figure by resampling patients: the percentile bootstrap.

Images of one patient resemble each other, as do the landmarks of one image, so whole patients are
drawn (a cluster bootstrap). Reference: Efron & Tibshirani, An Introduction to the Bootstrap, 1993.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unsct_mmpose.anatomy import Estimate

Table = Mapping[str, NDArray[Any]]
"""Arrays that share their leading axis: one row for each image."""

Seed = int | np.random.Generator


def bootstrap_interval(
    table: Table,
    statistic: Callable[[Table], float],
    patients: ArrayLike,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: Seed = 0,
) -> Estimate:
    """Return a figure with its percentile interval over resampled patients.

    Args:
        table: arrays with one row for each image.
        statistic: the figure of such a table; NaN where it is undefined.
        patients: ``(N,)`` whose image each row is.
        resamples: how many times to draw as many patients as there are, with replacement.
        confidence: level of the interval.
        seed: seed or generator.

    Raises:
        ValueError: rows disagree, resamples is not positive or confidence not inside (0, 1).

    Example:
        >>> table = {'error': np.array([1.0, 1.0, 3.0, 3.0])}
        >>> interval = bootstrap_interval(table, lambda t: t['error'].mean(), ['a', 'a', 'b', 'b'])
        >>> interval
        Estimate(value=2.0, low=1.0, high=3.0)
    """
    intervals = bootstrap_intervals(
        table, lambda rows: {'figure': statistic(rows)}, patients, resamples, confidence, seed
    )
    return intervals['figure']


def bootstrap_intervals(
    table: Table,
    statistics: Callable[[Table], Mapping[str, float]],
    patients: ArrayLike,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: Seed = 0,
) -> dict[str, Estimate]:
    """Return many figures with their intervals, each from the same resamples.

    Args:
        table: arrays with one row for each image.
        statistics: all figures of such a table, always the same names.
        patients: ``(N,)`` whose image each row is.
        resamples: how many times to draw as many patients as there are, with replacement.
        confidence: level of the intervals.
        seed: seed or generator.

    Raises:
        ValueError: rows disagree, resamples is not positive or confidence not inside (0, 1).
    """
    rows_of = _rows_by_patient(table, patients)
    _check(resamples, confidence)
    whole = {name: float(value) for name, value in statistics(table).items()}
    draws = np.full((resamples, len(whole)), np.nan)
    if len(rows_of) > 1:
        rng = np.random.default_rng(seed)
        for draw in draws:
            figures = statistics(_take(table, _resample(rows_of, rng)))
            draw[:] = [figures[name] for name in whole]
    return {
        name: Estimate(value, *_percentiles(draws[:, index], confidence))
        for index, (name, value) in enumerate(whole.items())
    }


def share_by_patient(
    hits: ArrayLike,
    counts: ArrayLike,
    patients: ArrayLike,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: Seed = 0,
) -> Estimate:
    """Return a share with its percentile interval over resampled patients, quickly.

    Args:
        hits: ``(N,)`` for each image how many of what counts are hits.
        counts: ``(N,)`` for each image how many count.
        patients: ``(N,)`` whose image each row is.
        resamples: how many times to draw as many patients as there are, with replacement.
        confidence: level of the interval.
        seed: seed or generator.

    Raises:
        ValueError: rows disagree, resamples is not positive or confidence not inside (0, 1).

    Example:
        >>> share_by_patient([2, 0, 1], [2, 2, 1], ['a', 'b', 'c']).value
        0.6
    """
    names, whose = np.unique(np.asarray(patients), return_inverse=True)
    table = {'hits': np.asarray(hits, float), 'counts': np.asarray(counts, float)}
    if any(values.shape != whose.shape for values in table.values()):
        raise ValueError(f'hits, counts and patients {whose.shape} disagree')
    _check(resamples, confidence)
    sums = {name: np.bincount(whose, values, len(names)) for name, values in table.items()}
    whole = sums['counts'].sum()
    value = float(sums['hits'].sum() / whole) if whole else math.nan
    used = sums['counts'] > 0
    number = int(used.sum())
    if number < 2:
        return Estimate(value, math.nan, math.nan)
    # patients with the same counts need not be told apart: thousands become a few kinds
    pairs = np.stack([sums['hits'][used], sums['counts'][used]], axis=1)
    kinds, alike = np.unique(pairs, axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(number, alike / number, resamples)
    shares = (drawn @ kinds[:, 0]) / (drawn @ kinds[:, 1])
    return Estimate(value, *_percentiles(shares, confidence))


def _rows_by_patient(table: Table, patients: ArrayLike) -> list[NDArray[np.intp]]:
    """Return the rows of each patient, patients in the order of their names."""
    names = np.asarray(patients)
    lengths = {name: len(value) for name, value in table.items()}
    if names.ndim != 1 or any(length != len(names) for length in lengths.values()):
        raise ValueError(f'patients {names.shape} and the rows of the table {lengths} disagree')
    return [np.flatnonzero(names == name) for name in np.unique(names)]


def _resample(rows_of: Sequence[NDArray[np.intp]], rng: np.random.Generator) -> NDArray[np.intp]:
    drawn = rng.integers(0, len(rows_of), len(rows_of))
    return np.concatenate([rows_of[index] for index in drawn])


def _take(table: Table, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    return {name: value[rows] for name, value in table.items()}


def _percentiles(draws: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    defined = draws[~np.isnan(draws)]
    if 2 * len(defined) < len(draws) or not len(defined):
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _check(resamples: int, confidence: float) -> None:
    if resamples < 1:
        raise ValueError(f'resamples must be positive, got {resamples}')
    if not 0 < confidence < 1:
        raise ValueError(f'confidence must lie inside (0, 1), got {confidence}')
