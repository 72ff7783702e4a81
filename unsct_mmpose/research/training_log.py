"""Read MMEngine's text log of a training into figures that a page can show."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unsct_mmpose.files import read_json

CURVE_FIGURES = tuple(
    f'{subset}/{figure}'
    for subset in ('all', 'structured', 'unstructured')
    for figure in ('MRE', 'SDR@2mm')
)
"""Figures of a validation that are kept; each where the log has it."""

_TRAIN = re.compile(r'Epoch\(train\)\s+\[(\d+)\]\[\s*(\d+)/(\d+)\]')
_VALIDATION = re.compile(r'Epoch\(val\)\s+\[(\d+)\]\[\s*(\d+)/(\d+)\]')
_FIGURE = re.compile(r'(\S+): (-?\d+\.\d+(?:e[+-]?\d+)?|nan|inf)(?=\s|$)')
_VERSIONS = {
    'python': re.compile(r'^ +Python: (\S+)', re.MULTILINE),
    'torch': re.compile(r'^ +PyTorch: (\S+)', re.MULTILINE),
    'opencv': re.compile(r'^ +OpenCV: (\S+)', re.MULTILINE),
    'mmengine': re.compile(r'^ +MMEngine: (\S+)', re.MULTILINE),
}
_GPU = re.compile(r'^ +GPU [\d,]+: (.+)$', re.MULTILINE)
_SEED = re.compile(r'^ +seed: (\d+)', re.MULTILINE)
_CONFIG = re.compile(r' - Config:\n(.*?)\n\n', re.DOTALL)


@dataclass(frozen=True)
class TrainingRun:
    """What one training's log says, and what only a person can add to it.

    Attributes:
        name: short name of the run.
        config: what was trained, in words or as a path.
        data: what on; says so when images are simulated.
        command: how it was started, in words.
        revision: the code, in words.
        seed: None where the log names none.
        machine: accelerator, or that there was none.
        versions: packages, as the log's header names them.
        precision: optimiser wrapper of the config, with its type of number where it names one.
        batch_size: images of a step.
        planned_epochs: epochs that the config asked for.
        epochs: the last epoch of which the log has a line.
        steps_per_epoch: steps of an epoch.
        ms_per_step: wall time of a step, loading included, median over the later half of the log's
            training lines; each of them is a mean over MMEngine's window.
        finished: whether the last planned step, and the validation after it, are in the log.
        curve: for each validation ``epoch``, ``steps`` and the figures of
            :data:`CURVE_FIGURES`.
    """

    name: str
    config: str
    data: str
    command: str
    revision: str
    seed: int | None
    machine: str
    versions: Mapping[str, str]
    precision: str
    batch_size: int
    planned_epochs: int
    epochs: int
    steps_per_epoch: int
    ms_per_step: float
    finished: bool
    curve: Sequence[Mapping[str, float]]


def read_log(
    path: Path,
    *,
    name: str,
    config: str,
    data: str,
    command: str = '',
    revision: str = '',
    machine: str = '',
) -> TrainingRun:
    """Read the log of one training; one that was interrupted tells as far as it got.

    A log does not name its config file. Without a machine in words the GPU that the log names is
    taken.

    Raises:
        ValueError: the file is no log of a training by epochs, or ends before its first line of
            training; the message names it.
    """
    try:
        text = path.read_text(encoding='utf-8', errors='replace')
    except OSError as error:
        raise ValueError(f'{path}: cannot be read ({error})') from error
    trained = [row for row in text.splitlines() if _TRAIN.search(row)]
    if not trained:
        raise ValueError(f"{path}: not an MMEngine log of a training by epochs; no 'Epoch(train)'")
    settings = _settings(path, text)
    epoch, step, steps = map(int, _TRAIN.search(trained[-1]).groups())
    curve = _curve(text, steps)
    planned = int(settings['train_cfg']['max_epochs'])
    validates = settings.get('val_dataloader') is not None
    judged = not validates or bool(curve and curve[-1]['epoch'] == planned)
    seed, gpu = _SEED.search(text), _GPU.search(text)
    versions = {name: pattern.search(text) for name, pattern in _VERSIONS.items()}
    later = [dict(_FIGURE.findall(row))['time'] for row in trained[len(trained) // 2 :]]
    return TrainingRun(
        name=name,
        config=config,
        data=data,
        command=command,
        revision=revision,
        seed=int(seed.group(1)) if seed else None,
        machine=machine or (gpu.group(1).strip() if gpu else 'no GPU'),
        versions={name: match.group(1) for name, match in versions.items() if match},
        precision=_precision(settings['optim_wrapper']),
        batch_size=int(settings['train_dataloader']['batch_size']),
        planned_epochs=planned,
        epochs=epoch,
        steps_per_epoch=steps,
        ms_per_step=round(1000 * statistics.median(map(float, later)), 1),
        finished=epoch == planned and step == steps and judged,
        curve=curve,
    )


def read_run(path: Path) -> TrainingRun:
    """Read a training that was written as json.

    Raises:
        ValueError: the file is another one; the message names it and the cause.
    """
    try:
        return TrainingRun(**read_json(path))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f'{path}: not a training of this project ({error})') from error


def _curve(text: str, steps_per_epoch: int) -> list[dict[str, float]]:
    curve = []
    for row in text.splitlines():
        match, figures = _VALIDATION.search(row), dict(_FIGURE.findall(row))
        chosen = {key: float(figures[key]) for key in CURVE_FIGURES if key in figures}
        if match and chosen:  # other lines tell the progress of a validation
            epoch = int(match.group(1))
            curve.append(dict(epoch=epoch, steps=epoch * steps_per_epoch, **chosen))
    return curve


def _precision(wrapper: Mapping[str, Any]) -> str:
    name = str(wrapper['type'])
    if name == 'AmpOptimWrapper' and 'Bf16' in str(wrapper.get('constructor', '')):
        return 'Bf16OptimWrapper'
    return ' '.join(filter(None, (name, str(wrapper.get('dtype', '')))))


def _settings(path: Path, text: str) -> dict[str, Any]:
    """Return the config that a log begins with; nothing in it is run or imported."""
    match = _CONFIG.search(text)
    try:
        if match is None:
            raise ValueError('it does not hold its config')
        rows = [row for row in ast.parse(match.group(1)).body if isinstance(row, ast.Assign)]
        return {row.targets[0].id: _value(row.value) for row in rows}
    except (ValueError, SyntaxError, AttributeError) as error:
        raise ValueError(f'{path}: the config in this log cannot be read ({error})') from error


def _value(node: ast.expr) -> Any:
    """Return a literal, or a ``dict(...)`` of them, which is how MMEngine prints a config."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        return {keyword.arg: _value(keyword.value) for keyword in node.keywords}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(element) for element in node.elts]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {_value(key): _value(value) for key, value in pairs if key is not None}
    return ast.literal_eval(node)
