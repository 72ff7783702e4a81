"""The page of trainings at full size: tables from json files, nothing typed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .markdown import format_number, read_notes, render_page, render_records, render_table
from .results import format_versions, read_folder, read_json
from .training_log import CURVE_FIGURES, TrainingRun, read_run

STOCK, OURS = 'stock_450', 'unsct_450'
"""Files of the two trainings that the page compares step by step."""
_LONG = 'unsct_long'
WEIGHTS = ('mmpose_weights_200', 'kaiming_weights_200')
"""Files of the two trainings that differ in how the backbone starts."""

TABLES = ('before', 'timings', 'search')
"""Files with rows of their own kinds; all others are trainings."""

_INTRO = (
    'Made by `python tools/results.py page docs/results` from the json files in `full_size/`; a '
    "training's is written by `python tools/results.py read-log` from MMEngine's text log. "
    'HRNet-W32 at 512x512, batch 16, one H100. Errors in mm on the detector, every landmark '
    'reported. **All images are simulated from real bones: no figure here says anything about '
    'clinical accuracy.** One seed each; 45 validation images of 3 subjects.'
)
_SUBSETS = ('structured', 'unstructured')
_SETTINGS = ('precision', 'fused_adam', 'cuda_graph', 'channels_last')
_PARTS = ('forward_ms', 'backward_ms', 'optimiser_ms')


def render_full_size_page(folder: Path) -> str:
    """Return the page of a folder of results; what has no file has no section.

    In ``full_size`` trainings are what ``tools/results.py read-log`` writes; ``before.json``,
    ``timings.json`` and ``search.json`` have ``rows`` and say themselves where these come from.
    """
    files = read_folder(folder / 'full_size', _read)
    runs = {name: file for name, file in files.items() if name not in TABLES}
    parts = [_INTRO, *read_notes(folder, 'full-size')]
    if STOCK in runs and OURS in runs:
        parts += ['## Step by step beside the stock model', _ratios(runs[STOCK], runs[OURS])]
    if before := files.get('before'):
        parts += ['## Before', f'From {before["source"]}.']
        parts.append(render_records(['run', 'steps', 'MRE', 'SDR@2mm'], before['rows']))
    if _LONG in runs:
        parts += ['## The longer training', _extent(runs[_LONG]), _curves([runs[_LONG]])]
    if weights := [runs[name] for name in WEIGHTS if name in runs]:
        parts += ['## How the backbone starts', _curves(weights)]
    if 'timings' in files:
        parts += ['## A training step', *_timings(files['timings'])]
    if 'search' in files:
        parts += ['## The small search', *_search(files['search'])]
    parts += ['## Provenance', '\n'.join(map(_provenance, runs.values()))] if runs else []
    return render_page('Trainings at full size', parts)


def _read(path: Path) -> Any:
    return read_json(path) if path.stem in TABLES else read_run(path)


def _ratios(stock: TrainingRun, ours: TrainingRun) -> str:
    """Return one row for each validation that both trainings have after as many steps."""
    beside = {int(point['steps']): point for point in stock.curve}
    planned = ours.planned_epochs * ours.steps_per_epoch
    rows = []
    for point in ours.curve:
        steps = int(point['steps'])
        if steps not in beside:
            continue
        pairs = [(beside[steps][key], point[key]) for key in CURVE_FIGURES]
        cells = [f'{cell:.3f}' for pair in pairs for cell in pair]
        ratio = f'{pairs[0][1] / pairs[0][0]:.3f}'
        rows.append([str(steps), f'{100 * steps / planned:.0f} %', *cells[:2], ratio, *cells[2:]])
    columns = ['steps', f'of {planned}', 'MRE stock', 'MRE unsct', 'ratio']
    for key in CURVE_FIGURES[1:]:
        short = key.removeprefix('all/').replace('/', ' ')
        columns += [f'{short} stock', f'{short} unsct']
    return render_table(columns, rows)


def _extent(run: TrainingRun) -> str:
    if run.finished:
        return f'{run.epochs} epochs, as planned.'
    return (
        f'**Cut off** after {run.epochs} of {run.planned_epochs} planned epochs; validations that '
        'it still reached:'
    )


def _curves(runs: Sequence[TrainingRun]) -> str:
    rows = [
        [run.name, str(point['epoch']), str(point['steps'])]
        + [format_number(point.get(key)) for key in CURVE_FIGURES]
        for run in runs
        for point in run.curve
    ]
    return render_table(['training', 'epoch', 'steps', *CURVE_FIGURES], rows)


def _timings(content: Mapping[str, Any]) -> list[str]:
    """Return the table of step times, each beside the first row's."""
    first = content['rows'][0]['ms_per_step']
    rows = []
    for row in content['rows']:
        time = row['ms_per_step']
        settings = [_yes_or_no(row[key]) for key in _SETTINGS]
        parts = [row.get(key, '-') for key in (*_PARTS, 'memory_gib')]
        measured = [row['failed'], '-'] if time is None else [f'{time:.1f}', f'{first / time:.2f}']
        rows.append([row['network'], *settings, *measured, *map(str, parts)])
    columns = ['network', *(key.replace('_', ' ') for key in _SETTINGS), 'ms a step',
               'times as fast as the first row', 'forward', 'backward', 'optimiser',
               'memory, GiB']  # fmt: skip
    busy = content['busy']
    return [
        f'{content["what"]}. {content["machine"]}; {format_versions(content["versions"])}; '
        f'{content["revision"]}; {content["command"]}.',
        render_table(columns, rows),
        f'{busy["of"]}: the GPU works {busy["gpu_busy_ms"]} ms of a step, in {busy["kernels"]} '
        'kernels.',
    ]


def _search(content: Mapping[str, Any]) -> list[str]:
    """Return the table of small trainings: their errors after each validation."""
    columns = ['name', 'network', 'initial_weights', 'coarse_heatmaps', 'machine', 'torch']
    rows = []
    for row in content['rows']:
        errors = [format_number(point.get('all/MRE')) for point in row['curve']]
        subsets = [format_number(row['curve'][-1].get(f'{subset}/MRE')) for subset in _SUBSETS]
        rows.append([*(row[key] or '-' for key in columns), *errors, *subsets])
    heads = [f'MRE, {point["steps"]} steps' for point in content['rows'][0]['curve']]
    names = [column.replace('_', ' ') for column in columns]
    revisions = sorted({row['revision'] for row in content['rows']})
    return [
        f'{content["what"]}. {content["data"]}. Seed {content["seed"]}. {content["command"]}.',
        render_table([*names, *heads, *(f'last, {subset}' for subset in _SUBSETS)], rows),
        f'Code: {"; ".join(revisions)}.',
    ]


def _provenance(run: TrainingRun) -> str:
    end = 'finished' if run.finished else '**cut off**'
    return (
        f'- `{run.name}`: {run.config}; {run.precision}, batch {run.batch_size}, seed {run.seed}; '
        f'{run.epochs} of {run.planned_epochs} epochs of {run.steps_per_epoch} steps, {end}; '
        f'{run.ms_per_step:.0f} ms a step, loading included; {run.machine}; '
        f'{format_versions(run.versions)}; {run.revision}; {run.command}. {run.data}.'
    )


def _yes_or_no(value: Any) -> str:
    return {True: 'yes', False: 'no'}[value] if isinstance(value, bool) else str(value)
