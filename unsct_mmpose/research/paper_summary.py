"""The first table of the page: each UNSCT model against its ori model and the best peer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .paper_plan import PAIRS, PEERS
from .paper_run import PaperResult, runs_of
from .results import render_table

_WORDS = (
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
_COLUMNS = (
    'pair', 'seeds', 'paper NME', 'paper MRE', 'paper PCC', 'paper ICC', 'MRE, structured',
    'E_20, unstructured', 'E_20 against the best peer',
)  # fmt: skip
_SET_ERROR = 'set_error/unstructured/E_20'


def render_summary(found: Sequence[PaperResult]) -> list[str]:
    """Return heading, words and table; nothing where no pair has been run.

    Args:
        found: results of one budget and data set.
    """
    errors = [(_mean(found, stem, 'peak', _SET_ERROR), stem) for stem in PEERS]
    least, best = min((one for one in errors if not math.isnan(one[0])), default=(math.nan, ''))
    peer = runs_of(found, best)[0].label if best else ''
    rows = []
    for ori, unsct in PAIRS:
        runs = [runs_of(found, stem) for stem in (ori, unsct)]
        if not all(runs):
            continue
        cells = [
            _change(
                _mean(found, ori, 'keep_all', key),
                _mean(found, unsct, 'fused', key),
                places,
                share,
            )
            for key, places, share in _PROTOCOL
        ]
        own = _mean(found, unsct, 'fused', _SET_ERROR)
        cells.append(_change(_mean(found, ori, 'peak', _SET_ERROR), own, 2, True))
        against = f'{peer}: {_change(least, own, 2, True)}' if peer else '-'
        names = ' -> '.join(one[0].label + ' †' * any(run.old for run in one) for one in runs)
        rows.append([names, ', '.join(str(len(one)) for one in runs), *cells, against])
    if not rows:
        return []
    return ['### Summary', _WORDS, render_table(_COLUMNS, rows)]


def _mean(found: Sequence[PaperResult], stem: str, decision: str, key: str) -> float:
    """Return a figure's mean over the seeds of a config; NaN where there is none."""
    values = [one.figure(decision, key) for one in runs_of(found, stem)]
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _change(before: float, after: float, places: int, share: bool) -> str:
    """Write a change, with its share where that means something."""
    if math.isnan(before) or math.isnan(after):
        return '-'
    words = f'{before:.{places}f} -> {after:.{places}f}'
    return f'{words} ({100 * (after / before - 1):+.0f} %)' if share and before > 0 else words
