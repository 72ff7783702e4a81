"""What a method changes: UNSCT models beside their ori models, fusion beside none by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from .markdown import render_table
from .paper_plan import PAIRED, PAIRS, PEERS, is_old, runs_of
from .results import Result, mean_of

_SUMMARY_INTRO = (
    "Ori model -> UNSCT model, means over seeds. The first four columns are the paper's protocol "
    'on unstructured images, where the ori model reports everything and the UNSCT model what it '
    'decides to; the fifth is the same on structured images. In E_20, the set error, each has its '
    'own best threshold; the best peer is the one with the lowest.'
)
_PROTOCOL = (
    ('paper/unstructured/NME', 3, True),
    ('paper/unstructured/MRE', 1, True),
    ('paper/unstructured/PCC', 3, False),
    ('paper/unstructured/ICC', 3, False),
    ('paper/structured/MRE', 2, True),
)
_SUMMARY_COLUMNS = (
    'pair', 'seeds', 'paper NME', 'paper MRE', 'paper PCC', 'paper ICC', 'MRE, structured',
    'E_20, unstructured', 'E_20 against the best peer',
)  # fmt: skip
_SET_ERROR = 'set_error/unstructured/E_20'


def render_summary(results: Sequence[Result]) -> list[str]:
    """Return heading, words and table; nothing where no pair has been run."""
    errors = [(_mean(runs_of(results, stem), 'peak', _SET_ERROR), stem) for stem in PEERS]
    least, best = min((pair for pair in errors if not math.isnan(pair[0])), default=(math.nan, ''))
    peer = runs_of(results, best)[0].label if best else ''
    rows = []
    for pair in PAIRS:
        ori, unsct = runs = [runs_of(results, stem) for stem in pair]
        if not all(runs):
            continue
        own = _mean(unsct, 'fused', _SET_ERROR)
        cells = [
            _change(_mean(ori, 'keep_all', key), _mean(unsct, 'fused', key), digits, share)
            for key, digits, share in _PROTOCOL
        ]
        cells.append(_change(_mean(ori, 'peak', _SET_ERROR), own, 2, True))
        cells.append(f'{peer}: {_change(least, own, 2, True)}' if peer else '-')
        names = ' -> '.join(f'{each[0].label}' + ' †' * any(map(is_old, each)) for each in runs)
        rows.append([names, ', '.join(str(len(each)) for each in runs), *cells])
    if not rows:
        return []
    return ['### Summary', _SUMMARY_INTRO, render_table(_SUMMARY_COLUMNS, rows)]


def _mean(runs: Sequence[Result], decision: str, key: str) -> float:
    return mean_of([run.figure(decision, key) for run in runs])


def _change(before: float, after: float, digits: int, share: bool) -> str:
    """Return a change, with its share where that means something."""
    if math.isnan(before) or math.isnan(after):
        return '-'
    text = f'{before:.{digits}f} -> {after:.{digits}f}'
    return f'{text} ({100 * (after / before - 1):+.0f} %)' if share and before > 0 else text


_PAIRED_INTRO = (
    'The change of a figure, with against without, in per cent, paired by seed: the same images '
    'and the same order of steps. Brackets are a 95 % interval of the mean over seeds (Student); '
    'it speaks of other trainings on these images, not of other patients. Below 0 is better.'
)
_PAIRED_FIGURES = (
    ('MRE, all', 'keep_all', 'landmark/all/MRE'),
    ('MRE, structured', 'keep_all', 'landmark/structured/MRE'),
    ('E_20, unstructured', 'fused', 'set_error/unstructured/E_20'),
)


def render_paired(results: Sequence[Result]) -> list[str]:
    """Return heading, words and table; nothing where no two runs share a seed."""
    rows = []
    for stems in PAIRED:
        before, after = (
            {run.seed: run for run in runs_of(results, stem) if not is_old(run)} for stem in stems
        )
        seeds = sorted(set(before) & set(after))
        if not seeds:
            continue
        cells = [
            _interval([100 * (after[s].figure(*keys) / before[s].figure(*keys) - 1) for s in seeds])
            for _, *keys in _PAIRED_FIGURES
        ]
        names = f'{before[seeds[0]].label} -> {after[seeds[0]].label}'
        rows.append([names, ', '.join(map(str, seeds)), *cells])
    if not rows:
        return []
    columns = ('pair', 'seeds', *(name for name, *_ in _PAIRED_FIGURES))
    return ['### Fusion, seed by seed', _PAIRED_INTRO, render_table(columns, rows)]


def _mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of a sample and its 95 % interval, by Student's t; NaN of one value.

    Example:
        >>> [round(value, 2) for value in _mean_interval([-4.0, -5.0, -6.0])]
        [-5.0, -7.48, -2.52]
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, math.nan, math.nan
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = float(student.ppf(0.975, len(values) - 1)) * error
    return mean, mean - half, mean + half


def _interval(values: Sequence[float]) -> str:
    mean, low, high = _mean_interval(values)
    if math.isnan(mean):
        return '-'
    return f'{mean:+.1f}' if math.isnan(low) else f'{mean:+.1f} [{low:+.1f}, {high:+.1f}]'
