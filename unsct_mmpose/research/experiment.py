"""An experiment: train a config on a data set, calibrate, test, and record what came out."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mmengine.config import Config

from unsct_mmpose.datasets.data_settings import inner_settings
from unsct_mmpose.files import replace_file

from .markdown import markdown_table
from .results import Result, check_expected, describe_host, read_result, write_result

_CALIBRATION_FILE = 'val.json'

STAGES = dict(
    phantom='simulates radiographs; an interruption costs those under way',
    train='trains; an interruption costs one epoch at most',
    calibrate='fits on validation images what to reject; interrupted, it starts anew',
    test='tests, draws overlays; interrupted, it starts anew',
)
"""What each stage does."""


@dataclass(frozen=True)
class Experiment:
    """What to train on what, under which name; what the figures are from must be described.

    The folder ``data`` holds ``train.json``, ``val.json`` and the tested file; ``options`` are
    further ``key=value`` pairs of ``--cfg-options``; with ``estimate`` calibration is followed by
    its cross-fitted estimate on the same images.
    """

    config: Path
    data: Path
    work_dir: Path
    describe: str
    name: str
    test_file: str = 'test.json'
    seed: int = 0
    options: Sequence[str] = ()
    estimate: bool = True

    @cached_property
    def settings(self) -> Config:
        """What the config says."""
        return Config.fromfile(self.config)

    def cfg_options(self) -> list[str]:
        """Return the ``key=value`` pairs that training and test both get."""
        sets = {split: self._inner_name(split) for split in ('train', 'val', 'test')}
        roots = [f'{name}.data_root={self.data}' for name in sets.values()]
        test_file = f'{sets["test"]}.ann_file={self.test_file}'
        return [*roots, test_file, f'randomness.seed={self.seed}', *self.options]

    def _inner_name(self, split: str) -> str:
        outer = f'{split}_dataloader'
        dataset = self.settings[outer].dataset
        names = [name for name, _ in inner_settings(dataset, f'{outer}.dataset')]
        if len(names) > 1:
            raise ValueError(
                f'{self.config}: its {outer} combines {len(names)} data sets ({", ".join(names)}), '
                'and one folder cannot stand for all; train and test it with tools/train.py and '
                'tools/test.py'
            )
        return names[0]


def run_experiment(
    experiment: Experiment, tools: Path, run: Callable[[Sequence[str]], float] | None = None
) -> Result:
    """Train, calibrate, test and record; an interrupted run goes on.

    Training and test are MMPose's own scripts, in the folder ``tools``; ``run`` runs one and
    returns its wall time (default: :func:`run_tool`). The best checkpoint on the validation split
    is calibrated there and tested; where the validation split itself is tested, nothing is
    calibrated, and a fixed limit decides what is reported. Overlays lie in ``work_dir/overlays``,
    the record in ``work_dir/results.json``.

    Raises:
        RuntimeError: a stage failed; the message names its command.
    """
    work_dir, config = experiment.work_dir, str(experiment.config)
    run = run or run_tool
    seconds: dict[str, float] = {}
    commands: list[list[str]] = []

    def do(stage: str, *words: object) -> None:
        announce(stage, experiment)
        commands.append([str(tools / f'{stage}.py'), config, *map(str, words)])
        seconds[stage] = run(commands[-1])

    # with --resume MMPose's script would not take what the config starts from
    resume = ['--resume'] if (work_dir / 'last_checkpoint').is_file() else []
    options = ['--cfg-options', *experiment.cfg_options()]
    do('train', '--work-dir', work_dir, *resume, *options)
    checkpoint, metrics = best_checkpoint(work_dir), work_dir / 'metrics.json'
    if experiment.test_file != _CALIBRATION_FILE:
        images = ['--data', experiment.data, '--ann-file', _CALIBRATION_FILE]
        do('calibrate', checkpoint, *images, *([] if experiment.estimate else ['--no-estimate']))
    outputs = ['--out', metrics, '--show-dir', (work_dir / 'overlays').resolve()]
    do('test', checkpoint, '--work-dir', work_dir / 'test', *outputs, *options)
    result = Result(
        name=experiment.name,
        config=config,
        data=experiment.describe,
        seed=experiment.seed,
        commands=[format_command(command) for command in commands],
        metrics=json.loads(metrics.read_text()),
        seconds={name: round(value, 1) for name, value in seconds.items()},
        **describe_host(),
    )
    write_result(work_dir / 'results.json', result)
    return result


def announce(stage: str, experiment: Experiment) -> None:
    """Print what a stage does and, where its config knows, how long that takes."""
    seconds: Mapping[str, float] = experiment.settings.get('expected', {}).get('seconds', {})
    number = f'[{list(STAGES).index(stage) + 1}/{len(STAGES)}]'
    time_ = f' About {seconds[stage]} s on two quiet cores.' if stage in seconds else ''
    print(f'\n{number} {stage}: {STAGES[stage]}.{time_}', flush=True)


def check_result(path: Path) -> list[str]:
    """Return what differs in a result file from the ``expected`` block of its config.

    The config is found from the working directory.
    """
    result = read_result(path, needs='metrics')
    expected = Config.fromfile(result.config).get('expected', {})
    return check_expected(expected.get('metrics', {}), result.metrics)


def best_checkpoint(work_dir: Path) -> Path:
    """Return the checkpoint that ``save_best`` kept, else the last one.

    Raises:
        FileNotFoundError: there is no checkpoint in the folder.
    """
    best = sorted(work_dir.glob('best_*.pth'), key=lambda path: path.stat().st_mtime)
    if best:
        return best[-1]
    pointer = work_dir / 'last_checkpoint'
    if pointer.is_file():
        return Path(pointer.read_text().strip())
    raise FileNotFoundError(f'{work_dir}: no checkpoint; train first (tools/train.py)')


def print_summary(result: Result, work_dir: Path) -> None:
    """Print the table of a run and where its files lie."""
    minutes = sum(result.seconds.values()) / 60
    print(f'\n{result.data}; mm on the detector; {result.machine}; {minutes:.1f} min\n')
    print(markdown_table([result]))
    print(f'\nresults:  {work_dir / "results.json"}\noverlays: {work_dir / "overlays"}')


def format_command(command: Sequence[str], root: Path | None = None) -> str:
    """Return a Python command as a user types it, its paths relative to a folder.

    Example:
        >>> format_command([str(Path.cwd() / 'tools' / 'train.py'), '--amp'])
        'python tools/train.py --amp'
    """
    here = f'{root or Path.cwd()}/'
    return shlex.join(['python', *(word.removeprefix(here) for word in command)])


def run_tool(command: Sequence[str]) -> float:
    """Run a Python tool, let it print, and return its wall time in seconds.

    Raises:
        RuntimeError: the tool failed; the message names its command.
    """
    started = time.monotonic()
    print(f'\n$ {format_command(command)}', flush=True)
    code = subprocess.run([sys.executable, *command], check=False).returncode
    if code != 0:
        raise RuntimeError(f'exit status {code} from: {format_command(command)}')
    return time.monotonic() - started


def attempt(command: Sequence[str], text: str, work_dir: Path) -> None:
    """Run a training; it prints to ``log.txt``, its time is added to that of earlier attempts.

    Raises:
        RuntimeError: the training failed; the message names its command.
    """
    started = time.monotonic()
    with (work_dir / 'log.txt').open('a') as log:
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    seconds = attempted_seconds(work_dir) + time.monotonic() - started
    replace_file(work_dir / 'seconds', str(seconds).encode())
    if code != 0:
        raise RuntimeError(f'exit status {code} from: {text}; see {work_dir / "log.txt"}')


def attempted_seconds(work_dir: Path) -> float:
    """Return the wall time of all attempts so far."""
    path = work_dir / 'seconds'
    return float(path.read_text()) if path.is_file() else 0.0
