"""The page of trainings at full size: tables from json files, nothing typed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unsct_mmpose.files import replace_file

from .results import read_folder, read_json, render_table
from .training_log import CURVE_FIGURES, TrainingRun, read_run

STOCK, OURS = 'stock_450', 'unsct_450'
"""Files of the two trainings that the page compares step by step."""
LONG = 'unsct_long'
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


def write_full_size_page(folder: Path) -> Path:
    """Write ``full-size.md`` of a folder of results.

    Args:
        folder: holds ``full_size/*.json`` and perhaps ``notes/full-size.md``. Trainings are what
            ``tools/results.py read-log`` writes; ``before.json``, ``timings.json`` and
            ``search.json`` have ``rows`` and say themselves where these come from.

    Returns:
        The path of the page.
    """
    replace_file(folder / 'full-size.md', render_full_size_page(folder).encode())
    return folder / 'full-size.md'


def render_full_size_page(folder: Path) -> str:
    """Return the page that :func:`write_full_size_page` writes; what has no file has no section."""
    found = read_folder(folder / 'full_size', _read)
    runs = {name: one for name, one in found.items() if name not in TABLES}
    known = {name: one for name, one in found.items() if name in TABLES}
    parts = ['# Trainings at full size', _INTRO]
    words = folder / 'notes' / 'full-size.md'
    parts += [words.read_text().strip()] if words.is_file() else []
    if STOCK in runs and OURS in runs:
        parts += ['## Step by step beside the stock model', _ratios(runs[STOCK], runs[OURS])]
    if 'before' in known:
        parts += ['## Before', *_before(known['before'])]
    if LONG in runs:
        parts += ['## The longer training', _extent(runs[LONG]), _curves([runs[LONG]])]
    weights = [runs[name] for name in WEIGHTS if name in runs]
    if weights:
        parts += ['## How the backbone starts', _curves(weights)]
    if 'timings' in known:
        parts += ['## A training step', *_timings(known['timings'])]
    if 'search' in known:
        parts += ['## The small search', *_search(known['search'])]
    parts += ['## Provenance', '\n'.join(map(_provenance, runs.values()))] if runs else []
    return '\n\n'.join(parts) + '\n'


def _read(path: Path) -> Any:
    return read_json(path) if path.stem in TABLES else read_run(path)


def _ratios(stock: TrainingRun, ours: TrainingRun) -> str:
    """Return one row for each validation that both trainings have after as many steps."""
    beside = {int(one['steps']): one for one in stock.curve}
    planned = ours.planned_epochs * ours.steps_per_epoch
    rows = []
    for one in ours.curve:
        steps = int(one['steps'])
        other = beside.get(steps)
        if other is None:
            continue
        pairs = [(other[key], one[key]) for key in CURVE_FIGURES]
        cells = [f'{cell:.3f}' for pair in pairs for cell in pair]
        ratio = f'{pairs[0][1] / pairs[0][0]:.3f}'
        rows.append([str(steps), f'{100 * steps / planned:.0f} %', *cells[:2], ratio, *cells[2:]])
    columns = ['steps', f'of {planned}', 'MRE stock', 'MRE unsct', 'ratio']
    for key in CURVE_FIGURES[1:]:
        short = key.removeprefix('all/').replace('/', ' ')
        columns += [f'{short} stock', f'{short} unsct']
    return render_table(columns, rows)


def _before(known: Mapping[str, Any]) -> list[str]:
    columns = ['run', 'steps', 'MRE', 'SDR@2mm']
    return [f'From {known["source"]}.', _plain_table(columns, known['rows'])]


def _extent(run: TrainingRun) -> str:
    if run.finished:
        return f'{run.epochs} epochs, as planned.'
    return (
        f'**Cut off** after {run.epochs} of {run.planned_epochs} planned epochs; validations that '
        'it still reached:'
    )


def _curves(runs: Sequence[TrainingRun]) -> str:
    rows = [
        [
            run.name,
            str(one['epoch']),
            str(one['steps']),
            *(_cell(one, key) for key in CURVE_FIGURES),
        ]
        for run in runs
        for one in run.curve
    ]
    return render_table(['training', 'epoch', 'steps', *CURVE_FIGURES], rows)


def _timings(known: Mapping[str, Any]) -> list[str]:
    """Return the table of step times, each beside the first row's."""
    first = known['rows'][0]['ms_per_step']
    rows = []
    for one in known['rows']:
        time = one['ms_per_step']
        settings = [_word(one[key]) for key in _SETTINGS]
        parts = [one.get(f'{part}_ms', '-') for part in ('forward', 'backward', 'optimiser')]
        measured = [one['failed']] if time is None else [f'{time:.1f}']
        times = '-' if time is None else f'{first / time:.2f}'
        memory = one.get('memory_gib', '-')
        rows.append([one['network'], *settings, *measured, times, *map(str, (*parts, memory))])
    columns = ['network', *(key.replace('_', ' ') for key in _SETTINGS), 'ms a step',
               'times as fast as the first row', 'forward', 'backward', 'optimiser',
               'memory, GiB']  # fmt: skip
    busy = known['busy']
    return [
        f'{known["what"]}. {known["machine"]}; {_versions(known["versions"])}; '
        f'{known["revision"]}; {known["command"]}.',
        render_table(columns, rows),
        f'{busy["of"]}: the GPU works {busy["gpu_busy_ms"]} ms of a step, in {busy["kernels"]} '
        'kernels.',
    ]


def _search(known: Mapping[str, Any]) -> list[str]:
    """Return the table of small trainings: their errors after each validation."""
    columns = ['name', 'network', 'initial_weights', 'coarse_heatmaps', 'machine', 'torch']
    rows = []
    for one in known['rows']:
        errors = [_cell(step, 'all/MRE') for step in one['curve']]
        subsets = [_cell(one['curve'][-1], f'{subset}/MRE') for subset in _SUBSETS]
        rows.append([*(one[key] or '-' for key in columns), *errors, *subsets])
    heads = [f'MRE, {step["steps"]} steps' for step in known['rows'][0]['curve']]
    names = [column.replace('_', ' ') for column in columns]
    revisions = sorted({one['revision'] for one in known['rows']})
    return [
        f'{known["what"]}. {known["data"]}. Seed {known["seed"]}. {known["command"]}.',
        render_table([*names, *heads, *(f'last, {subset}' for subset in _SUBSETS)], rows),
        f'Code: {"; ".join(revisions)}.',
    ]


def _provenance(run: TrainingRun) -> str:
    end = 'finished' if run.finished else '**cut off**'
    return (
        f'- `{run.name}`: {run.config}; {run.precision}, batch {run.batch_size}, seed {run.seed}; '
        f'{run.epochs} of {run.planned_epochs} epochs of {run.steps_per_epoch} steps, {end}; '
        f'{run.ms_per_step:.0f} ms a step, loading included; {run.machine}; '
        f'{_versions(run.versions)}; {run.revision}; {run.command}. {run.data}.'
    )


def _plain_table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    return render_table(columns, [[str(one[column]) for column in columns] for one in rows])


def _versions(versions: Mapping[str, str]) -> str:
    return ', '.join(f'{name} {version}' for name, version in versions.items())


def _cell(figures: Mapping[str, float], key: str) -> str:
    return f'{figures[key]:.3f}' if figures.get(key) is not None else '-'


def _word(value: Any) -> str:
    return {True: 'yes', False: 'no'}[value] if isinstance(value, bool) else str(value)
