"""What spatial relationship fusion changes, seed by seed: the table beside Table 3."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from .paper_plan import PAIRED
from .paper_run import PaperResult, runs_of
from .results import render_table

_WORDS = (
    'The change of a figure, with against without, in per cent, paired by seed: the same images '
    'and the same order of steps. Brackets are a 95 % interval of the mean over seeds (Student); '
    'it speaks of other trainings on these images, not of other patients. Below 0 is better.'
)
_KEYS = (
    ('MRE, all', 'keep_all', 'landmark/all/MRE'),
    ('MRE, structured', 'keep_all', 'landmark/structured/MRE'),
    ('E_20, unstructured', 'fused', 'set_error/unstructured/E_20'),
)


def render_paired(found: Sequence[PaperResult]) -> list[str]:
    """Return heading, words and table; nothing where no two runs share a seed.

    Args:
        found: results of one budget and data set.
    """
    rows = []
    for without, having in PAIRED:
        before = {one.seed: one for one in runs_of(found, without) if not one.old}
        after = {one.seed: one for one in runs_of(found, having) if not one.old}
        seeds = sorted(set(before) & set(after))
        if not seeds:
            continue
        names = f'{before[seeds[0]].label} -> {after[seeds[0]].label}'
        cells = [
            _cell([_percent(before[s], after[s], decision, key) for s in seeds])
            for _, decision, key in _KEYS
        ]
        rows.append([names, ', '.join(map(str, seeds)), *cells])
    if not rows:
        return []
    columns = ('pair', 'seeds', *(name for name, _, _ in _KEYS))
    return ['### Fusion, seed by seed', _WORDS, render_table(columns, rows)]


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of a sample and the interval of the mean, by Student's t.

    Args:
        values: the sample; one value has no interval, NaN.
        level: of the interval.

    Example:
        >>> [round(one, 2) for one in mean_interval([-4.0, -5.0, -6.0])]
        [-5.0, -7.48, -2.52]
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, math.nan, math.nan
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = float(student.ppf(0.5 + level / 2, len(values) - 1)) * error
    return mean, mean - half, mean + half


def _percent(before: PaperResult, after: PaperResult, decision: str, key: str) -> float:
    return 100 * (after.figure(decision, key) / before.figure(decision, key) - 1)


def _cell(values: Sequence[float]) -> str:
    mean, low, high = mean_interval(values)
    if math.isnan(mean):
        return '-'
    return f'{mean:+.1f}' if math.isnan(low) else f'{mean:+.1f} [{low:+.1f}, {high:+.1f}]'
