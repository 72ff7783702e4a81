"""The page of the paper's experiments: tables and CSV from result files, nothing typed by hand."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unsct_mmpose.files import replace_file
from unsct_mmpose.maps.deciders import PAPER_THRESHOLD
from unsct_mmpose.maps.printed_entropy import QUANTILES

from .markdown import read_notes, render_page, render_table
from .paper_changes import render_paired, render_summary
from .paper_plan import (
    PAIRS,
    PAPER_DECISIONS,
    PEERS,
    PUBLISHED,
    PUBLISHED_COLUMNS,
    ROW_OF,
    ROWS,
    is_old,
    runs_of,
)
from .results import Result, read_folder, read_result

_PAPER_KEYS = ('NME', 'MRE', 'SDR@2mm', 'PCC', 'ICC', 't_test_p')
_DIGITS = {'MRE': 2, 'E_20': 2, 'recall': 4, 'AUROC': 4}


@dataclass(frozen=True)
class Table:
    """One table of the page: its CSV file, heading, what to know before reading it.

    Columns come after those of model, decision and seeds; their keys are ``metric/subset/figure``;
    rows are config stem and decision; ``published`` is the paper's table below it.
    """

    name: str
    title: str
    text: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    rows: tuple[tuple[str, str], ...]
    published: str = ''


_PAIR_ROWS = tuple(
    row
    for ori, unsct in PAIRS
    for row in ((ori, 'keep_all'), *((unsct, way) for way in ('keep_all', 'paper', 'paf', 'fused')))
)
_DECIDED = (*(unsct for _, unsct in PAIRS), 'srf_stages')
_DECISION_ROWS = tuple(
    (stem, decision)
    for stem in _DECIDED
    for decision in ('keep_all', *PAPER_DECISIONS, 'paf', 'fused', 'oracle')
)
_SRF = (
    'srf_none', 'unsct-hrnet', 'srf_stages', 'u_net_srf_none', 'unsct-u_net', 'srf_deep',
    'srf_late', 'srf_unsupervised', 'srf_zero_init',
    'srf_full_init', 'attention_parallel', 'attention_code', 'no_boundary',
    'srf_none_long', 'srf_long',
)  # fmt: skip
_PEER_ROWS = (
    *((unsct, decision) for _, unsct in PAIRS for decision in ('fused', 'peak')),
    *((peer, 'peak') for peer in PEERS),
)
_ABLATIONS = (
    'unsct-hrnet', 'srf_stages', 'srf_none', 'mmpose_weights', 'ori-hrnet', 'ema', 'loss_mse',
    'loss_mse_heavy', 'loss_adaptive_wing',
    'no_paf', 'no_boundary', 'attention_parallel', 'attention_code',
)  # fmt: skip


def _both(subset: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return headings and keys: the paper's protocol, then the honest one."""
    honest = ('landmark/{}/MRE', 'landmark/{}/SDR@2mm', 'presence/{}/recall', 'set_error/{}/E_20')
    keys = [f'paper/{subset}/{key}' for key in _PAPER_KEYS]
    columns = [f'paper {name}' for name in PUBLISHED_COLUMNS]
    return (
        (*columns, 'MRE', 'SDR@2mm', 'recall', 'E_20'),
        (*keys, *(key.format(subset) for key in honest)),
    )


def _tables() -> tuple[Table, ...]:
    peer_keys = tuple(
        f'set_error/{subset}/E_20' for subset in ('unstructured', 'structured', 'all')
    )
    return (
        Table(
            'table_3', 'Table 3: spatial relationship fusion',
            'All images, every landmark reported. *HRNet (no SRF)* has the same head and losses.',
            *_both('all'),
            tuple((stem, 'keep_all') for stem in _SRF),
            'Table 3',
        ),
        Table(
            'table_4', 'Table 4: structured images',
            "*paper* is the paper's own decision, *paf* the fields alone as this project reads "
            'them (entropy mirrored, peeled, `core` relations), *fused* the default decision.',
            *_both('structured'), _PAIR_ROWS, 'Table 4',
        ),
        Table(
            'table_5', 'Table 5: unstructured images',
            'As Table 4. `keep_all` of an UNSCT row shows what training the fields is worth, '
            'without any decision.',
            *_both('unstructured'), _PAIR_ROWS, 'Table 5',
        ),
        Table(
            'decision', "The paper's decision",
            "*paper*: `HeatmapPAF(mode='paper')`, the entropy as printed of the mean over all "
            f'`full` relations, nothing peeled away, kept up to the stated {PAPER_THRESHOLD}; '
            '*paper_fitted*: with a threshold that is fitted as the others are; *paper_mirrored*: '
            'the same with the entropy mirrored below 1/e, so that it falls. *Specificity*: share '
            'of the absent landmarks that are rejected.',
            ('recall', 'specificity', 'E_20 unstructured', 'E_20 structured', 'E_20'),
            ('presence/all/recall', 'presence/all/specificity', *peer_keys), _DECISION_ROWS,
        ),
        Table(
            'alignment', 'What the printed entropy makes of the alignments',
            "A landmark's alignment is the mean over its relations, per unit of length; quantiles "
            'of the present and of the absent ones, and the share of each below 1/e, where '
            '`-w log w` rises with w. AUROC for absence: of the entropy as printed; of the '
            'alignment, as of any entropy that falls with it; of the entropy as printed of the '
            'integral of equation (3) in cells, not divided by the length.',
            (
                'AUROC printed', 'AUROC alignment', 'AUROC integral',
                *(f'{which} {name}' for which in ('present', 'absent')
                  for name in ('5 %', 'median', '95 %', 'below 1/e')),
            ),
            (
                *(f'alignment/AUROC/{name}' for name in ('printed', 'alignment', 'integral')),
                *(f'alignment/{which}/{name}' for which in ('present', 'absent')
                  for name in (*QUANTILES, 'rising')),
            ),
            tuple((stem, 'paper') for stem in _DECIDED),
        ),
        Table(
            'peers', 'Peers: each with its own best threshold',
            'Set error E_20: a missed landmark and a false positive cost 20 mm each. Thresholds on '
            "the scores (`peak`) minimise it on the other patients, as UNSCT's own do.",
            ('E_20 unstructured', 'E_20 structured', 'E_20', 'MRE', 'recall', 'AUROC absent'),
            (*peer_keys, 'landmark/all/MRE', 'presence/all/recall', 'presence/all/AUROC'),
            _PEER_ROWS,
        ),
        Table(
            'ablation', 'Ablations',
            'One change each from UNSCT-HRNet; what has no trained fields is decided by its peaks.',
            ('MRE', 'MRE structured', 'SDR@2mm', 'E_20 unstructured', 'AUROC absent'),
            (
                'landmark/all/MRE', 'landmark/structured/MRE', 'landmark/all/SDR@2mm',
                'set_error/unstructured/E_20', 'presence/all/AUROC',
            ),
            tuple(
                (stem, 'fused' if ROW_OF[stem].fields and stem != 'no_paf' else 'peak')
                for stem in _ABLATIONS
            ),
        ),
    )  # fmt: skip


def write_paper_page(results: Path) -> Path:
    """Write ``RESULTS.md`` beside the folder ``RESULTS`` of results, each table's CSV into it."""
    for name, text in render_csv(results).items():
        replace_file(results / f'{name}.csv', text.encode())
    page = results.with_suffix('.md')
    replace_file(page, render_paper_page(results).encode())
    return page


def render_paper_page(results: Path) -> str:
    """Return the page that :func:`write_paper_page` writes."""
    parts = [
        'Made by `python tools/paper_tables.py collect` from the json files in `paper/`, each '
        'written by `tools/paper_tables.py run`; its training command stands in it. Cells are '
        'means over seeds, plus or minus their standard deviation; mm on the detector. Columns '
        'named *paper* follow its protocol, absent and rejected landmarks being (0, 0); the '
        'others count what is reported and present, beside recall. p > 0.05 is no evidence of '
        'agreement. '
        'Rows marked † still come from networks before their initial weights were mended (see the '
        'words below) and are being run again. '
        '**All images are simulated: no figure says anything about clinical accuracy.**',
        *read_notes(results.parent, 'paper'),
    ]
    for (budget, data), group in result_groups(results).items():
        first = group[0]
        parts.append(f'## {data}, budget `{budget}`')
        parts.append(f'{first.data}; thresholds from the {first.calibrated_on}; {first.machine}.')
        parts += render_summary(group)
        for table in _tables():
            parts += _render_table(table, group)
            parts += render_paired(group) if table.name == 'table_3' else []
        parts += _provenance(group)
    return render_page("The paper's experiments", [*parts, *_figures(results)])


def render_csv(results: Path) -> dict[str, str]:
    """Return each table as CSV, one row for each run and decision, unrounded."""
    texts = {}
    for table in _tables():
        out = io.StringIO()
        writer = csv.writer(out, lineterminator='\n')
        writer.writerow(['budget', 'data', 'model', 'decision', 'seed', *table.columns])
        for (budget, data), group in result_groups(results).items():
            for stem, decision in table.rows:
                for run in _judged(runs_of(group, stem), decision):
                    cells = [run.figure(decision, key) for key in table.keys]
                    cells = ['' if math.isnan(cell) else repr(cell) for cell in cells]
                    writer.writerow([budget, data, run.label, decision, run.seed, *cells])
        texts[table.name] = out.getvalue()
    return texts


def _judged(runs: Sequence[Result], decision: str) -> list[Result]:
    return [run for run in runs if decision in (run.figures or {})]


def _render_table(table: Table, results: Sequence[Result]) -> list[str]:
    rows = []
    for stem, decision in table.rows:
        runs = runs_of(results, stem)
        judged = _judged(runs, decision)
        cells = [_spread([run.figure(decision, key) for run in judged], key) for key in table.keys]
        seeds = str(len(judged)) if judged else _NOT_JUDGED if runs else 'not run'
        rows.append([_label(stem, runs), decision, seeds, *cells])
    columns = ['model', 'decision', 'seeds', *table.columns]
    parts = [f'### {table.title}', table.text, render_table(columns, rows)]
    parts += [_WHY_NOT_JUDGED] if any(row[2] == _NOT_JUDGED for row in rows) else []
    if table.published:
        published = [[name, *map(str, v)] for name, v in PUBLISHED[table.published].items()]
        parts += [
            f"The paper's own {table.published}, **from another data set** (53 radiographs of one "
            'hospital), not to be compared figure by figure:',
            render_table(['published model', *PUBLISHED_COLUMNS], published),
        ]
    return parts


_NOT_JUDGED = 'not judged'
_WHY_NOT_JUDGED = (
    f'*{_NOT_JUDGED.capitalize()}*: the result file is older than this decision. '
    '`python tools/paper_tables.py judge --data DATA` adds it from the maps or the last checkpoint '
    'that the run left in `--work-dirs`, without training again.'
)

_FIGURES = {
    'figure_5': 'Figure 5: the validation error while training, by heatmap loss',
    'figure_8': 'Figure 8: heatmaps and fields while training',
    'figure_9': 'Figure 9: certainty, landmarks without and with uncertainty estimation (UE)',
}


def _figures(results: Path) -> list[str]:
    drawn = [
        f'![{title}]({results.name}/{name}.png)\n*{title}.*'
        for name, title in _FIGURES.items()
        if (results / f'{name}.png').is_file()
    ]
    intro = ['## Figures', 'Drawn by `python tools/paper_tables.py figures`.']
    return [*intro, *drawn] if drawn else []


def _provenance(runs: Sequence[Result]) -> list[str]:
    rows = [
        [run.name, f'`{run.config}`', str(run.seed), f'{run.seconds / 60:.1f}', run.machine]
        for run in runs
    ]
    columns = ['run', 'config', 'seed', 'training, min', 'machine']
    example = f'```bash\n{runs[0].commands[0]}\n```'
    return ['### Runs', render_table(columns, rows), 'For example:', example]


def result_groups(results: Path) -> dict[tuple[str, str], list[Result]]:
    """Read all result files, by budget and data set, in the order of the plan."""
    order = {row.stem: index for index, row in enumerate(ROWS)}
    groups: dict[tuple[str, str], list[Result]] = {}
    for folder in sorted(results.glob('*/*/')):
        if group := list(read_folder(folder, read_result).values()):
            group.sort(key=lambda run: (order.get(run.stem, len(order)), run.seed))
            groups[folder.parent.name, folder.name] = group
    return groups


def _label(stem: str, runs: Sequence[Result]) -> str:
    """Return what a table calls a row; marked where a result is older than what it trains."""
    return ROW_OF[stem].label + ' †' * any(map(is_old, runs))


def _spread(values: Sequence[float], key: str) -> str:
    defined = [value for value in values if not math.isnan(value)]
    if not defined:
        return '-'
    digits = _DIGITS.get(key.rsplit('/', 1)[-1], 3)
    mean = f'{np.mean(defined):.{digits}f}'
    return f'{mean} ± {np.std(defined, ddof=1):.{digits}f}' if len(defined) > 1 else mean
