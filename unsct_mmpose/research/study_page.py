"""The page of uncertainty studies: tables from result files, nothing typed by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from unsct_mmpose.files import replace_file

from .results import read_folder, render_table
from .study import StudyResult, read_study

COMMAND = 'python tools/results.py page docs/results'

_INTRO = (
    f'Made by `{COMMAND}` from the json files in `uncertainty/`, each written by `tools/study.py`, '
    'whose command stands in it. Errors in mm on the detector; brackets are 95 % intervals over '
    'resampled patients (percentile bootstrap). **All images with landmarks are simulated, only '
    'the chest radiographs and the infants are real: no figure here says anything about clinical '
    'accuracy.** `E_20` is the labelled set error with a cutoff of 20 mm; '
    '*recovered* is the share of the avoidable error of unstructured images that is avoided, '
    '(keep all - ours) / (keep all - oracle).'
)


def write_study_page(folder: Path) -> Path:
    """Write ``uncertainty.md`` of a folder of results.

    Args:
        folder: holds ``uncertainty/*.json`` and perhaps ``notes/uncertainty.md``.

    Returns:
        The path of the page.
    """
    replace_file(folder / 'uncertainty.md', render_study_page(folder).encode())
    return folder / 'uncertainty.md'


def render_study_page(folder: Path) -> str:
    """Return the page that :func:`write_study_page` writes."""
    results = list(read_folder(folder / 'uncertainty', read_study).values())
    parts = ['# Uncertainty: what is reported, how surely, and under shift', _INTRO]
    words = folder / 'notes' / 'uncertainty.md'
    if words.is_file():
        parts.append(words.read_text().strip())
    main = [one for one in results if one.kind == 'main']
    shifts = [one for one in results if one.kind == 'shift']
    ablations = [one for one in results if one.kind == 'ablation']
    if main:
        parts += ['## Decisions beside their baselines', _decisions(main)]
        parts += ['## Targets', _targets(main), '## Clinical parameters', _clinical(main)]
    if shifts:
        parts += ['## Under shift', _shifts(shifts)]
    if ablations:
        parts += ['## Ablations, from the same weights', *map(_ablation, ablations)]
    parts += ['## Provenance', _provenance(results)]
    return '\n\n'.join(parts) + '\n'


def _decisions(results: Sequence[StudyResult]) -> str:
    """Return one row for each run, then the mean over the seeds of each data set."""
    subset = 'set_error/unstructured'
    columns = ['run', 'seed', 'keep all', 'peak', 'paf', '**fused**', 'oracle', 'recovered',
               'fused - peak', 'AUROC fused', 'AUROC peak', 'AUROC paf']  # fmt: skip
    keys = [f'{subset}/keep_all/E_20', f'{subset}/peak/E_20', f'{subset}/paf/E_20',
            f'{subset}/fused/E_20', f'{subset}/oracle/E_20', f'{subset}/recovered_E_20',
            f'{subset}/minus_peak_E_20', 'presence/all/fused/AUROC', 'presence/all/peak/AUROC',
            'presence/all/paf/AUROC']  # fmt: skip
    bracketed = {3, 5, 6}
    rows = [
        [one.name, str(one.seed)]
        + [_figure(one.figures, key, index in bracketed) for index, key in enumerate(keys)]
        for one in results
    ]
    for group in _groups(results):
        values = [mean(_number(one.figures.get(key)) for one in group) for key in keys]
        rows.append([f'**mean of {len(group)}: {_group_name(group[0])}**', '', *map(_cell, values)])
    return (
        'Set error E_20 of unstructured images; AUROC for "absent" over all images.\n\n'
        + render_table(columns, rows)
    )


def _interval_coverage(figures: Mapping[str, Any]) -> float:
    counts, inside = 0.0, 0.0
    for key, value in figures.items():
        if key.startswith('clinical/all/') and key.endswith('/interval_coverage'):
            number = _number(figures.get(key.replace('/interval_coverage', '/n')))
            if number > 0 and value is not None:
                counts, inside = counts + number, inside + number * value
    return inside / counts if counts else math.nan


def _fall(figures: Mapping[str, Any], name: str) -> float:
    ours = _number(figures.get(f'paper/unstructured/{name}'))
    return 1 - ours / _number(figures.get(f'paper/unstructured/keep_all/{name}'))


def _structured_ratio(figures: Mapping[str, Any]) -> float:
    ours = _number(figures.get('landmark/structured/MRE'))
    return ours / _number(figures.get('keep_all/structured/MRE'))


TARGETS = (
    (
        'recovered, unstructured E_20',
        lambda f: _number(f.get('set_error/unstructured/recovered_E_20')),
        lambda value: value >= 0.85,
        'at least 0.85',
    ),
    (
        'fused - peak, E_20 of all images: lower end of the interval',
        lambda f: _number(f.get('set_error/all/minus_peak_E_20_low')),
        lambda value: value <= 0,
        'at most 0 (nowhere worse beyond the interval)',
    ),
    (
        'paper protocol, fall of NME on unstructured images',
        lambda f: _fall(f, 'NME'),
        lambda value: value >= 0.6,
        'at least 0.6',
    ),
    (
        'paper protocol, fall of MRE on unstructured images',
        lambda f: _fall(f, 'MRE'),
        lambda value: value >= 0.6,
        'at least 0.6',
    ),
    (
        'structured MRE over that of keep all',
        _structured_ratio,
        lambda value: value <= 1.02,
        'at most 1.02',
    ),
    (
        'recall of present landmarks',
        lambda f: _number(f.get('presence/all/recall')),
        lambda value: value >= 0.97,
        'at least 0.97',
    ),
    (
        'AUROC for absence',
        lambda f: _number(f.get('presence/all/AUROC')),
        lambda value: value >= 0.995,
        'at least 0.995',
    ),
    (
        'conformal rule, mean share suppressed (alpha 0.05)',
        lambda f: _number(f.get('rule/conformal/suppressed_share')),
        lambda value: value <= 0.05,
        'at most 0.05',
    ),
    (
        'coverage of 95 % intervals of clinical parameters',
        _interval_coverage,
        lambda value: abs(value - 0.95) <= 0.05,
        '0.90 to 1.00',
    ),
    (
        'coverage of 95 % regions of landmarks',
        lambda f: _number(f.get('presence/all/coverage@0.95')),
        lambda value: abs(value - 0.95) <= 0.05,
        '0.90 to 1.00',
    ),
)
"""Name, figure, whether it is met, and the wording, of what the method is held to."""


def _targets(results: Sequence[StudyResult]) -> str:
    groups = _groups(results)
    columns = ['figure', 'target']
    columns += [f'{_group_name(group[0])} (each seed; mean)' for group in groups]
    rows = []
    for name, figure, met, wording in TARGETS:
        row = [name, wording]
        for group in groups:
            values = [figure(one.figures) for one in group]
            verdict = 'met' if met(mean(values)) else '**missed**'
            each = ', '.join(_cell(value) for value in values)
            row.append(f'{each}; {_cell(mean(values))} {verdict}')
        rows.append(row)
    return render_table(columns, rows)


def _clinical(results: Sequence[StudyResult]) -> str:
    """Return the parameters' agreement in the first seed of each data set."""
    tables = []
    for group in _groups(results):
        one = group[0]
        names = [
            key.split('/')[2]
            for key in one.figures
            if key.startswith('clinical/all/') and key.endswith('/MAE')
        ]
        columns = ['parameter', 'n', 'undefined', 'MAE', 'bias', 'limits of agreement',
                   'ICC(A,1) [95 % CI]', 'PCC', 'p (paired t)', 'coverage']  # fmt: skip
        rows = []
        for name in names:
            f = {k.split('/')[3]: v for k, v in one.figures.items()
                 if k.startswith(f'clinical/all/{name}/')}  # fmt: skip
            rows.append(
                [
                    name,
                    f'{_number(f["n"]):.0f}',
                    f'{_number(f["prediction_undefined"]):.0f}',
                    _cell(f['MAE'], 2),
                    _cell(f['bias'], 2),
                    f'{_cell(f["LoA_lower"], 2)} to {_cell(f["LoA_upper"], 2)}',
                    f'{_cell(f["ICC_A1"])} [{_cell(f["ICC_A1_ci_low"])}, '
                    f'{_cell(f["ICC_A1_ci_high"])}]',
                    _cell(f['PCC']),
                    _cell(f['t_test_p']),
                    _cell(f['interval_coverage'], 2),
                ]
            )
        tables.append(
            f'{one.name}, seed {one.seed}, all images, both sides; deg or mm on the detector. '
            '*Undefined*: the truth has a value and the prediction has none. A p above 0.05 is no '
            'evidence of agreement.\n\n' + render_table(columns, rows)
        )
    return '\n\n'.join(tables)


def _shifts(results: Sequence[StudyResult]) -> str:
    columns = ['judged on', 'model trained on', 'absent', 'keep all', 'peak', '**fused**',
               'oracle', 'fused - peak', 'recall', 'specificity', 'AUROC fused', 'AUROC peak',
               'out of range', 'no pelvis', 'of images']  # fmt: skip
    keys = [
        'presence/all/absent_landmarks',
        *(f'set_error/all/{name}/E_20' for name in ('keep_all', 'peak', 'fused', 'oracle')),
        'set_error/all/minus_peak_E_20',
        'presence/all/recall',
        'presence/all/specificity',
        'presence/all/fused/AUROC',
        'presence/all/peak/AUROC',
        'image/out_of_range',
        'image/nothing_found',
        'set_error/all/images',
    ]
    whole = {0, 10, 11, 12}
    rows = []
    for one in results:
        cells = []
        for index, key in enumerate(keys):
            value = one.figures.get(key)
            if index in whole:
                cells.append(f'{_number(value):.0f}')
            else:
                cells.append(_figure(one.figures, key, index == 5))
        rows.append([one.data, one.model, *cells])
    return 'E_20 over all images of each set.\n\n' + render_table(columns, rows)


def _ablation(result: StudyResult) -> str:
    columns = ['evidence', 'relations', 'aggregation', 'entropy', 'features', 'AUROC',
               'E_20 unstructured', 'recovered', 'recall']  # fmt: skip
    rows = [
        [
            row['evidence'],
            row['relations'],
            row['aggregation'] or '-',
            row['entropy'] or '-',
            row['features'] or '-',
            _cell(row['auroc'], 4),
            _cell(row['unstructured_E_20']),
            _cell(row['recovered']),
            _cell(row['recall'], 4),
        ]
        for row in result.figures['rows']
    ]
    heading = f'{result.data}; {result.calibrated_on}; model: {result.model}, seed {result.seed}.'
    return heading + '\n\n' + render_table(columns, rows)


def _provenance(results: Sequence[StudyResult]) -> str:
    columns = ['result', 'model trained on', 'judged on', 'thresholds from', 'seed', 'machine']
    rows = [
        [one.name, one.model, one.data, one.calibrated_on, str(one.seed), one.machine]
        for one in results
    ]
    return render_table(columns, rows)


def _groups(results: Sequence[StudyResult]) -> list[list[StudyResult]]:
    groups: dict[tuple[str, str], list[StudyResult]] = {}
    for one in results:
        groups.setdefault((one.data, one.model), []).append(one)
    return [sorted(group, key=lambda one: one.seed) for group in groups.values()]


def _group_name(one: StudyResult) -> str:
    return one.name.rsplit('_s', 1)[0]


def _figure(figures: Mapping[str, Any], key: str, bracketed: bool) -> str:
    text = _cell(figures.get(key), 4 if 'AUROC' in key else 3)
    low, high = figures.get(f'{key}_low'), figures.get(f'{key}_high')
    return f'{text} [{_cell(low)}, {_cell(high)}]' if bracketed and low is not None else text


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _cell(value: float | None, digits: int = 3) -> str:
    number = _number(value)
    return '-' if math.isnan(number) else f'{number:.{digits}f}'
