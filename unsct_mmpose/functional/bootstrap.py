"""Confidence intervals of any figure by resampling patients: the percentile bootstrap.

Images of one patient resemble each other, as do the landmarks of one image, so whole patients are
drawn (a cluster bootstrap). Reference: Efron & Tibshirani, An Introduction to the Bootstrap, 1993.

``patients`` is ``(N,)``, whose image each row is; as many as there are get drawn, with replacement,
``resamples`` times. ``confidence`` is the level of an interval, ``seed`` a seed or a generator.
Rows that disagree, no resamples and a confidence outside (0, 1) raise ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unsct_mmpose.anatomy import Estimate

Table = Mapping[str, NDArray[Any]]
"""Arrays that share their leading axis: one row for each image."""


def bootstrap_interval(
    table: Table,
    statistic: Callable[[Table], float],
    patients: ArrayLike,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> Estimate:
    """Return a figure of such a table, NaN where undefined, with its percentile interval.

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
    seed: int | np.random.Generator = 0,
) -> dict[str, Estimate]:
    """Return many figures with their intervals, each from the same resamples."""
    rows_of = _rows_by_patient(table, patients)
    if resamples < 1:
        raise ValueError(f'resamples must be positive, got {resamples}')
    if not 0 < confidence < 1:
        raise ValueError(f'confidence must lie inside (0, 1), got {confidence}')
    whole = {name: float(value) for name, value in statistics(table).items()}
    draws = np.full((resamples, len(whole)), np.nan)
    if len(rows_of) > 1:
        rng = np.random.default_rng(seed)
        for draw in draws:
            drawn = rng.integers(0, len(rows_of), len(rows_of))
            rows = np.concatenate([rows_of[index] for index in drawn])
            figures = statistics({name: value[rows] for name, value in table.items()})
            draw[:] = [figures[name] for name in whole]
    return {
        name: Estimate(value, *_percentiles(draws[:, index], confidence))
        for index, (name, value) in enumerate(whole.items())
    }


def share_by_patient(
    hits: ArrayLike, counts: ArrayLike, patients: ArrayLike, resamples: int = 1000
) -> Estimate:
    """Return a share with its 95 % percentile interval over resampled patients, quickly.

    ``(N,)`` counts say for each image how many count, hits how many of these are hits.

    Example:
        >>> share_by_patient([2, 0, 1], [2, 2, 1], ['a', 'b', 'c']).value
        0.6
    """
    names, whose = np.unique(np.asarray(patients), return_inverse=True)
    table = {'hits': np.asarray(hits, float), 'counts': np.asarray(counts, float)}
    if any(values.shape != whose.shape for values in table.values()):
        raise ValueError(f'hits, counts and patients {whose.shape} disagree')
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
    drawn = np.random.default_rng(0).multinomial(number, alike / number, resamples)
    shares = (drawn @ kinds[:, 0]) / (drawn @ kinds[:, 1])
    return Estimate(value, *_percentiles(shares, 0.95))


def _rows_by_patient(table: Table, patients: ArrayLike) -> list[NDArray[np.intp]]:
    """Return the rows of each patient, patients in the order of their names."""
    names = np.asarray(patients)
    lengths = {name: len(value) for name, value in table.items()}
    if names.ndim != 1 or any(length != len(names) for length in lengths.values()):
        raise ValueError(f'patients {names.shape} and the rows of the table {lengths} disagree')
    return [np.flatnonzero(names == name) for name in np.unique(names)]


def _percentiles(draws: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    defined = draws[~np.isnan(draws)]
    if 2 * len(defined) < len(draws) or not len(defined):
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
