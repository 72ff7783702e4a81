"""The page of uncertainty studies: tables from result files, nothing typed by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from .markdown import format_number, read_notes, render_page, render_table
from .results import Result, read_folder, read_result

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


def render_study_page(folder: Path) -> str:
    """Return the page of ``uncertainty/*.json``."""
    results = list(read_folder(folder / 'uncertainty', read_result).values())
    main, shifts, ablations = (
        [result for result in results if result.kind == kind]
        for kind in ('main', 'shift', 'ablation')
    )
    parts = [_INTRO, *read_notes(folder, 'uncertainty')]
    if main:
        parts += ['## Decisions beside their baselines', _decisions(main)]
        parts += ['## Targets', _targets(main), '## Clinical parameters', _clinical(main)]
    if shifts:
        parts += ['## Under shift', _shifts(shifts)]
    if ablations:
        parts += ['## Ablations, from the same weights', *map(_ablation, ablations)]
    parts += ['## Provenance', _provenance(results)]
    return render_page('Uncertainty: what is reported, how surely, and under shift', parts)


def _decisions(results: Sequence[Result]) -> str:
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
        [result.name, str(result.seed)]
        + [_figure(result, key, index in bracketed) for index, key in enumerate(keys)]
        for result in results
    ]
    for group in _groups(results):
        means = (mean(result.figure(key) for result in group) for key in keys)
        rows.append([f'**mean of {len(group)}: {_group_name(group)}**', '',
                     *map(format_number, means)])  # fmt: skip
    return (
        'Set error E_20 of unstructured images; AUROC for "absent" over all images.\n\n'
        + render_table(columns, rows)
    )


def _interval_coverage(result: Result) -> float:
    counts, inside = 0.0, 0.0
    for key in result.figures or ():
        if key.startswith('clinical/all/') and key.endswith('/interval_coverage'):
            number = result.figure(key.replace('/interval_coverage', '/n'))
            share = result.figure(key)
            if number > 0 and not math.isnan(share):
                counts, inside = counts + number, inside + number * share
    return inside / counts if counts else math.nan


def _fall(result: Result, name: str) -> float:
    ours = result.figure(f'paper/unstructured/{name}')
    return 1 - ours / result.figure(f'paper/unstructured/keep_all/{name}')


def _structured_ratio(result: Result) -> float:
    return result.figure('landmark/structured/MRE') / result.figure('keep_all/structured/MRE')


TARGETS = (
    ('recovered, unstructured E_20', 'set_error/unstructured/recovered_E_20', 0.85, math.inf,
     'at least 0.85'),
    ('fused - peak, E_20 of all images: lower end of the interval',
     'set_error/all/minus_peak_E_20_low', -math.inf, 0,
     'at most 0 (nowhere worse beyond the interval)'),
    ('paper protocol, fall of NME on unstructured images', partial(_fall, name='NME'), 0.6,
     math.inf, 'at least 0.6'),
    ('paper protocol, fall of MRE on unstructured images', partial(_fall, name='MRE'), 0.6,
     math.inf, 'at least 0.6'),
    ('structured MRE over that of keep all', _structured_ratio, -math.inf, 1.02, 'at most 1.02'),
    ('recall of present landmarks', 'presence/all/recall', 0.97, math.inf, 'at least 0.97'),
    ('AUROC for absence', 'presence/all/AUROC', 0.995, math.inf, 'at least 0.995'),
    ('conformal rule, mean share rejected (alpha 0.05)', 'rule/conformal/rejected_share',
     -math.inf, 0.05, 'at most 0.05'),
    ('coverage of 95 % intervals of clinical parameters', _interval_coverage, 0.9, 1.0,
     '0.90 to 1.00'),
    ('coverage of 95 % regions of landmarks', 'presence/all/coverage@0.95', 0.9, 1.0,
     '0.90 to 1.00'),
)  # fmt: skip
"""Name, figure, least and most, and the wording, of what the method is held to."""


def _targets(results: Sequence[Result]) -> str:
    groups = _groups(results)
    columns = ['figure', 'target']
    columns += [f'{_group_name(group)} (each seed; mean)' for group in groups]
    rows = []
    for name, figure, least, most, wording in TARGETS:
        row = [name, wording]
        for group in groups:
            values = [
                result.figure(figure) if isinstance(figure, str) else figure(result)
                for result in group
            ]
            verdict = 'met' if least <= mean(values) <= most else '**missed**'
            each = ', '.join(map(format_number, values))
            row.append(f'{each}; {format_number(mean(values))} {verdict}')
        rows.append(row)
    return render_table(columns, rows)


def _clinical(results: Sequence[Result]) -> str:
    """Return the parameters' agreement in the first seed of each data set."""
    tables = []
    columns = ['parameter', 'n', 'undefined', 'MAE', 'bias', 'limits of agreement',
               'ICC(A,1) [95 % CI]', 'PCC', 'p (paired t)', 'coverage']  # fmt: skip
    for result in (group[0] for group in _groups(results)):
        names = [
            key.split('/')[2]
            for key in result.figures or ()
            if key.startswith('clinical/all/') and key.endswith('/MAE')
        ]
        rows = [_agreement(result, name) for name in names]
        tables.append(
            f'{result.name}, seed {result.seed}, all images, both sides; deg or mm on the '
            'detector. *Undefined*: the truth has a value and the prediction has none. A p above '
            '0.05 is no evidence of agreement.\n\n' + render_table(columns, rows)
        )
    return '\n\n'.join(tables)


def _agreement(result: Result, name: str) -> list[str]:
    def cell(figure: str, digits: int = 3) -> str:
        return format_number(result.figure(f'clinical/all/{name}/{figure}'), digits)

    return [
        name,
        cell('n', 0),
        cell('prediction_undefined', 0),
        cell('MAE', 2),
        cell('bias', 2),
        f'{cell("LoA_lower", 2)} to {cell("LoA_upper", 2)}',
        f'{cell("ICC_A1")} [{cell("ICC_A1_ci_low")}, {cell("ICC_A1_ci_high")}]',
        cell('PCC'),
        cell('t_test_p'),
        cell('interval_coverage', 2),
    ]


def _shifts(results: Sequence[Result]) -> str:
    columns = ['judged on', 'model trained on', 'absent', 'keep all', 'peak', '**fused**',
               'oracle', 'fused - peak', 'recall', 'specificity', 'AUROC fused', 'AUROC peak',
               'out of range', 'no pelvis', 'of images']  # fmt: skip
    keys = [
        'presence/all/absent_landmarks',
        *(f'set_error/all/{name}/E_20' for name in ('keep_all', 'peak', 'fused', 'oracle')),
        'set_error/all/minus_peak_E_20', 'presence/all/recall', 'presence/all/specificity',
        'presence/all/fused/AUROC', 'presence/all/peak/AUROC', 'image/out_of_range',
        'image/nothing_found', 'set_error/all/images',
    ]  # fmt: skip
    whole = {0, 10, 11, 12}
    rows = []
    for result in results:
        cells = [
            format_number(result.figure(key), 0)
            if index in whole
            else _figure(result, key, index == 5)
            for index, key in enumerate(keys)
        ]
        rows.append([result.data, result.model or '', *cells])
    return 'E_20 over all images of each set.\n\n' + render_table(columns, rows)


def _ablation(result: Result) -> str:
    columns = ['evidence', 'relations', 'aggregation', 'entropy', 'features', 'AUROC',
               'E_20 unstructured', 'recovered', 'recall']  # fmt: skip
    rows = [
        [
            *(row[name] or '-' for name in columns[:5]),
            format_number(row['auroc'], 4),
            format_number(row['unstructured_E_20']),
            format_number(row['recovered']),
            format_number(row['recall'], 4),
        ]
        for row in (result.figures or {})['rows']
    ]
    heading = f'{result.data}; {result.calibrated_on}; model: {result.model}, seed {result.seed}.'
    return heading + '\n\n' + render_table(columns, rows)


def _provenance(results: Sequence[Result]) -> str:
    columns = ['result', 'model trained on', 'judged on', 'thresholds from', 'seed', 'machine']
    fields = ('name', 'model', 'data', 'calibrated_on', 'seed', 'machine')
    return render_table(
        columns, [[str(getattr(result, name)) for name in fields] for result in results]
    )


def _groups(results: Sequence[Result]) -> list[list[Result]]:
    groups: dict[tuple[str, str | None], list[Result]] = {}
    for result in results:
        groups.setdefault((result.data, result.model), []).append(result)
    return [sorted(group, key=lambda result: result.seed) for group in groups.values()]


def _group_name(group: Sequence[Result]) -> str:
    return group[0].name.rsplit('_s', 1)[0]


def _figure(result: Result, key: str, bracketed: bool) -> str:
    text = format_number(result.figure(key), 4 if 'AUROC' in key else 3)
    low, high = result.figure(f'{key}_low'), result.figure(f'{key}_high')
    if not bracketed or math.isnan(low):
        return text
    return f'{text} [{format_number(low)}, {format_number(high)}]'
