"""Result files: written by runs, turned into tables and held against what a config expects."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import unsct_mmpose
from unsct_mmpose.files import replace_file, write_json

TABLE_COLUMNS = (
    'MRE',
    'median',
    'SDR@2mm',
    'SDR@4mm',
    'SDR@10mm',
    'NME',
    'recall',
    'set_error/E_20',
)
_STEP_COLUMNS = (
    'config', 'precision', 'batch_size', 'ms_per_image', 'plain_ms_per_image', 'ratio_median',
    'ratio_min', 'ratio_max', 'peak_memory_mb', 'plain_peak_memory_mb', 'machine',
)  # fmt: skip
_DECODE_COLUMNS = (
    'config', 'map_size', 'batch_size', 'decode_ms_per_image', 'forward_ms_per_image',
    'share_median', 'share_min', 'share_max', 'machine',
)  # fmt: skip
_PACKAGES = ('mmpose', 'mmengine', 'torch', 'numpy')
_Result = TypeVar('_Result')


@dataclass(frozen=True)
class RunResult:
    """What one training and test run measured, and how to repeat it.

    Attributes:
        name: short name of the run.
        config: path of the config, from the repository.
        data: what the figures are from; says so when images are simulated.
        seed: seed of the training.
        commands: the commands that made it, in order.
        metrics: what the evaluators returned.
        seconds: wall time of each stage.
        machine: processor, cores and accelerator.
        versions: packages.
    """

    name: str
    config: str
    data: str
    seed: int
    commands: Sequence[str]
    metrics: Mapping[str, float]
    seconds: Mapping[str, float] = field(default_factory=dict)
    machine: str = ''
    versions: Mapping[str, str] = field(default_factory=dict)


def write_result(path: Path, result: RunResult) -> None:
    """Write a result file; a crash leaves the old one or the new one, never a part."""
    write_json(path, asdict(result))


def read_result(path: Path) -> RunResult:
    """Read a result file.

    Raises:
        ValueError: the file is not a result file; the message names it and the cause.
    """
    try:
        content = json.loads(path.read_text())
        metrics = {
            key: math.nan if value is None else float(value)
            for key, value in content['metrics'].items()
        }
        return RunResult(**{**content, 'metrics': metrics})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{path}: not a result file of this project ({error})') from error


def read_json(path: Path) -> Any:
    """Read a json file.

    Raises:
        ValueError: it cannot be read; the message names it and the cause.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f'{path}: not a readable json file ({error})') from error


def read_folder(
    folder: Path, read: Callable[[Path], _Result] = read_json, pattern: str = '*.json'
) -> dict[str, _Result]:
    """Read the result files of a folder, by their names without ending, in their order.

    Args:
        folder: of result files; one that is not there holds none.
        read: reads one; its errors name the file.
        pattern: of their names.
    """
    return {path.stem: read(path) for path in sorted(folder.glob(pattern))}


def describe_machine() -> str:
    """Say what this machine is: processor, usable cores, accelerator."""
    import torch

    processor = platform.processor() or platform.machine()
    cpuinfo = Path('/proc/cpuinfo')
    if cpuinfo.is_file():
        names = [row for row in cpuinfo.read_text().splitlines() if row.startswith('model name')]
        processor = names[0].split(':', 1)[1].strip() if names else processor
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    accelerator = torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'no GPU'
    return f'{processor}, {cores} cores, {accelerator}'


def installed_versions() -> dict[str, str]:
    """Return the versions of the packages that decide a result."""
    found = {'unsct_mmpose': unsct_mmpose.__version__}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = 'not installed'
    return found


def markdown_table(results: Sequence[RunResult], columns: Sequence[str] = TABLE_COLUMNS) -> str:
    """Return results as a Markdown table, one row for each run and subset.

    Args:
        results: the runs.
        columns: figures without their subset, such as ``'MRE'``; ``'set_error/E_20'`` is the
            ``E_20`` of the metric whose prefix is ``set_error``.

    Example:
        >>> run = RunResult('a', 'c.py', 'simulated', 0, [], {'all/MRE': 2.0, 'all/recall': 1.0})
        >>> print(markdown_table([run], ['MRE', 'recall']))
        | run | subset | MRE | recall |
        |---|---|---|---|
        | a | all | 2.000 | 1.000 |
    """
    names = [column.rsplit('/', 1)[-1] for column in columns]
    rows: list[list[str]] = []
    for result in results:
        for subset in ('structured', 'unstructured', 'all'):
            values = [result.metrics.get(_key(column, subset)) for column in columns]
            if any(value is not None for value in values):
                rows.append([result.name, subset, *map(_cell, values)])
    return render_table(['run', 'subset', *names], rows)


def _key(column: str, subset: str) -> str:
    prefix, _, figure = column.rpartition('/')
    return '/'.join(filter(None, (prefix, subset, figure)))


def write_page(folder: Path) -> Path:
    """Write ``README.md`` of a folder of results; nothing in it is typed by hand.

    Args:
        folder: holds ``runs/*.json``, result files, ``step/*.json``, figures of
            ``tools/benchmark.py step``, ``decode/*.json``, those of ``decode``,
            and perhaps ``notes/NAME.md``, words about a run, and ``notes/step.md``.

    Returns:
        The path of the page.
    """
    replace_file(folder / 'README.md', render_page(folder).encode())
    return folder / 'README.md'


def render_page(folder: Path) -> str:
    """Return the page that :func:`write_page` writes."""
    results = list(read_folder(folder / 'runs', read_result).values())
    parts = [
        '# Results',
        'Made by `python tools/results.py page docs/results` from the json files beside this page. '
        'Errors in mm on the detector (equation 11); localisation is over reported landmarks that '
        'are present. **All images are simulated: no figure here says anything about clinical '
        'accuracy.**',
        *_other_pages(folder),
        markdown_table(results),
    ]
    parts += [_run_section(result, folder / 'notes') for result in results]
    steps = list(read_folder(folder / 'step').values())
    if steps:
        parts += ['## Cost of a training step', _step_words(), _figures_table(steps, _STEP_COLUMNS)]
        words = folder / 'notes' / 'step.md'
        parts += [words.read_text().strip()] if words.is_file() else []
    decodes = list(read_folder(folder / 'decode').values())
    if decodes:
        parts += ['## Cost of decoding', _decode_words(), _figures_table(decodes, _DECODE_COLUMNS)]
    return '\n\n'.join(parts) + '\n'


def _other_pages(folder: Path) -> list[str]:
    """Return one line that names the other pages of the folder, each by its own title."""
    titles = {
        path.name: path.read_text().partition('\n')[0].lstrip('# ')
        for path in sorted(folder.glob('*.md'))
        if path.name != 'README.md'
    }
    links = [f'[{title}]({name})' for name, title in titles.items()]
    return [f'Other pages: {"; ".join(links)}.'] if links else []


def _run_section(result: RunResult, notes: Path) -> str:
    seconds = ', '.join(f'{name} {value / 60:.1f} min' for name, value in result.seconds.items())
    versions = ', '.join(f'{name} {value}' for name, value in result.versions.items())
    lines = [
        f'## {result.name}',
        f'{result.data}. Seed {result.seed}; {seconds}; {result.machine}; {versions}.',
        '```bash\n' + '\n'.join(result.commands) + '\n```',
    ]
    words = notes / f'{result.name}.md'
    if words.is_file():
        lines.append(words.read_text().strip())
    return '\n\n'.join(lines)


def _step_words() -> str:
    return (
        'Forward, losses, backward and optimiser on random images; *plain* is the same HRNet with '
        "MMPose's own HeatmapHead. The ratio is the median over alternating pairs of steps."
    )


def _decode_words() -> str:
    return (
        'Reading landmarks, evidence, uncertainty and decisions from a batch of maps, calibration '
        'in place, beside the forward pass that makes maps of that size; *share* is the median '
        'over alternating pairs. '
        'Made by `python tools/benchmark.py decode --map-size N --out FILE`.'
    )


def _figures_table(figures: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    return render_table(columns, [[str(one[column]) for column in columns] for one in figures])


def render_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table.

    Example:
        >>> print(render_table(['a', 'b'], [['1', '2']]))
        | a | b |
        |---|---|
        | 1 | 2 |
    """
    lines = ['| ' + ' | '.join(row) + ' |' for row in (columns, *rows)]
    return '\n'.join([lines[0], '|---' * len(columns) + '|', *lines[1:]])


def check_expected(expected: Mapping[str, Any], metrics: Mapping[str, float]) -> list[str]:
    """Hold figures against the ``expected`` block of a config.

    Args:
        expected: for each figure ``dict(value=..., tolerance=...)``.
        metrics: the figures that were measured.

    Returns:
        One sentence for each figure that is missing or off; empty when all agree.

    Example:
        >>> check_expected({'all/MRE': dict(value=2.0, tolerance=0.5)}, {'all/MRE': 2.4})
        []
    """
    problems = []
    for name, wanted in expected.items():
        value, tolerance = wanted['value'], wanted['tolerance']
        if name not in metrics:
            problems.append(f'{name}: not measured, expected {value} +- {tolerance}')
        elif not abs(metrics[name] - value) <= tolerance:
            problems.append(f'{name}: {metrics[name]:.4g}, expected {value} +- {tolerance}')
    return problems


def _cell(value: float | None) -> str:
    return '-' if value is None or math.isnan(value) else f'{value:.3f}'
