"""The demonstration: phantom data, training, test, table, overlays, and a check of the numbers."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from .results import (
    RunResult,
    check_expected,
    describe_machine,
    installed_versions,
    markdown_table,
    write_result,
)

TABLE_COLUMNS = ('MRE', 'median', 'SDR@2mm', 'SDR@4mm', 'SDR@10mm', 'recall')


@dataclass(frozen=True)
class DemoPaths:
    """Where the demonstration reads and writes.

    Attributes:
        root: the checkout that holds ``tools`` and ``configs``.
        config: config to train.
        data: folder of the phantom set.
        work_dir: folder of checkpoints, overlays and results.
    """

    root: Path
    config: Path
    data: Path
    work_dir: Path


def run_demo(paths: DemoPaths, *, phantom_options: Sequence[str] = (), seed: int = 0) -> list[str]:
    """Make phantom radiographs, train on them, test, and compare with the config's ``expected``.

    Every stage is MMPose's own script or this project's tool, run as a user would; an interrupted
    run goes on where it stopped.

    Args:
        paths: where to read and write.
        phantom_options: options of ``tools/make_phantom.py`` beside the folder.
        seed: seed of the training.

    Returns:
        What differs from the expected numbers, one sentence each; empty when all agree.

    Raises:
        RuntimeError: a stage failed; the message names its command.
    """
    tools, config = paths.root / 'tools', str(paths.config)
    roots = [
        f'{split}_dataloader.dataset.data_root={paths.data}' for split in ('train', 'val', 'test')
    ]
    commands = {
        'phantom': [str(tools / 'make_phantom.py'), '--out', str(paths.data), *phantom_options],
        'train': [
            str(tools / 'train.py'),
            config,
            '--work-dir',
            str(paths.work_dir),
            '--resume',
            '--cfg-options',
            f'randomness.seed={seed}',
            *roots,
        ],
    }
    seconds = {name: _run(command) for name, command in commands.items()}
    metrics_file = paths.work_dir / 'metrics.json'
    commands['test'] = [
        str(tools / 'test.py'), config, str(best_checkpoint(paths.work_dir)),
        '--work-dir', str(paths.work_dir / 'test'), '--out', str(metrics_file),
        '--show-dir', str((paths.work_dir / 'overlays').resolve()), '--cfg-options', *roots,
    ]  # fmt: skip
    seconds['test'] = _run(commands['test'])
    result = RunResult(
        name=paths.config.stem,
        config=str(paths.config),
        data='simulated radiographs (parametric phantom), test split',
        seed=seed,
        commands=[shlex.join(['python', *command]) for command in commands.values()],
        metrics=json.loads(metrics_file.read_text()),
        seconds={name: round(value, 1) for name, value in seconds.items()},
        machine=describe_machine(),
        versions=installed_versions(),
    )
    write_result(paths.work_dir / 'results.json', result)
    print_summary(result, paths.work_dir)
    expected = Config.fromfile(config).get('expected', {})
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


def print_summary(result: RunResult, work_dir: Path) -> None:
    """Print the table of a run and where its files lie."""
    minutes = sum(result.seconds.values()) / 60
    print(f'\n{result.data}; errors in mm on the detector; {result.machine}; {minutes:.1f} min\n')
    print(markdown_table([result], TABLE_COLUMNS))
    print(f'\nresults:  {work_dir / "results.json"}\noverlays: {work_dir / "overlays"}')


def _run(command: Sequence[str]) -> float:
    """Run a Python tool, let it print, and return its wall time in seconds."""
    started = time.monotonic()
    print(f'\n$ python {shlex.join(command)}', flush=True)
    code = subprocess.run([sys.executable, *command], check=False).returncode
    if code != 0:
        raise RuntimeError(f'exit status {code} from: python {shlex.join(command)}')
    return time.monotonic() - started
