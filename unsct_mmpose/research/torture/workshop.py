"""Commands of this package on tiny images and a tiny network, and what each must leave behind.

A command runs in a fork of this process, which has imported what it needs: a kill then meets the
command at its work and not at its imports. One that gets signals is a program of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unsct_mmpose.research.tiny import tiny_config

_RUN = """
model['test_cfg'] = dict(flip_test=False)
train_dataloader.update(num_workers=1, persistent_workers=True)
train_cfg = dict(max_epochs=4, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=1), logger=dict(interval=1))
"""
_PHANTOM = ('--train', '6', '--val', '12', '--test', '2', '--size', '128', '--quiet', '--jobs', '1')

Main = Callable[[Sequence[str]], int]

Prints = dict[str, str]
"""For each artefact, by its path, what tells it from another one."""


@dataclass(frozen=True)
class Job:
    """A command: its name, its arguments given the folder to write to, and what is left there."""

    name: str
    words: Callable[[Path], Sequence[str]]
    prints: Callable[[Path], Prints]


@dataclass(frozen=True)
class Shop:
    """The inputs of all jobs in a folder, the checkout, and what runs a command line."""

    folder: Path
    root: Path
    main: Main

    def start(self, job: Job, out: Path, log: Path, *, program: bool = False) -> Started:
        """Start a job that writes to a folder, in a fork or as a program of its own."""
        words = job.words(out)
        return Program(words, log) if program else Started(self.main, words, log)

    @property
    def data(self) -> Path:
        """A small data set."""
        return self.folder / 'data'

    @property
    def config(self) -> Path:
        """A config of a tiny network."""
        return self.folder / 'tiny.py'

    @property
    def checkpoint(self) -> Path:
        """Its weights, calibrated."""
        return self.folder / 'model.pth'

    def jobs(self) -> list[Job]:
        """Return the commands that are killed and starved."""
        config, checkpoint, data = str(self.config), str(self.checkpoint), str(self.data)
        return [
            Job('phantom', lambda out: ['phantom', '--out', str(out / 'set'), *_PHANTOM], hashes),
            Job(
                'training',
                lambda out: ['train', config, '--work-dir', str(out / 'run'), '--resume'],
                _last_weights,
            ),
            Job(
                'prediction',
                lambda out: ['predict', config, checkpoint, data, '--out', str(out / 'results'),
                             '--quiet', '--jobs', '1', '--device', 'cpu',
                             '--batch-size', '1'],  # another batch has other last digits
                results,
            ),
            Job(
                'calibration',
                lambda out: ['calibrate', config, checkpoint, '--data', data,
                             '--out', str(out / 'calibrated.pth'), '--device', 'cpu'],
                tensors,
            ),
            Job(
                'export',
                lambda out: ['export', config, checkpoint, str(out / 'model.onnx')],
                hashes,
            ),
            Job('tables', self._tables, hashes),
        ]  # fmt: skip

    def _tables(self, out: Path) -> Sequence[str]:
        results = out / 'paper'
        if not results.is_dir():
            shutil.copytree(self.root / 'docs' / 'results' / 'paper', results)
            for path in (*results.glob('*.md'), *results.glob('*.csv')):
                path.unlink()
        return ['paper', 'collect', '--results', str(results)]

    def build(self) -> None:
        """Make what is not there yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        warm_up()
        self.config.write_text(tiny_config(self.root, self.data, _RUN))
        if self.checkpoint.is_file():
            return
        run = self.folder / 'trained'
        weights = run / 'epoch_4.pth'
        for words in (
            ['phantom', '--out', str(self.data), *_PHANTOM],
            ['train', str(self.config), '--work-dir', str(run), '--resume'],
            ['calibrate', str(self.config), str(weights), '--data', str(self.data),
             '--out', str(self.folder / 'new.pth'), '--device', 'cpu'],
        ):  # fmt: skip
            finish(Started(self.main, words, self.folder / 'log.txt'))
        (self.folder / 'new.pth').replace(self.checkpoint)


def warm_up() -> None:
    """Import what the commands import."""
    import unsct_mmpose.register

    import mmengine.runner
    import mmpose.apis
    import onnx
    import torch

    import unsct_mmpose.calibrate.fit
    import unsct_mmpose.export.export_onnx
    import unsct_mmpose.inference.predict
    import unsct_mmpose.inference.torch_model
    import unsct_mmpose.phantom.make_phantom
    import unsct_mmpose.research.paper_page  # noqa: F401

    torch.set_num_threads(1)
    del mmengine, mmpose, onnx


class Started:
    """A command under way, in a fork and a session of its own; what it prints goes to a log."""

    def __init__(self, main: Main, words: Sequence[str], log: Path) -> None:
        self._begin(words, log)
        self.pid = os.fork()
        if not self.pid:
            _run(main, self.words, log)

    def _begin(self, words: Sequence[str], log: Path) -> None:
        self.words, self.log = list(words), log
        self._logged = log.stat().st_size if log.exists() else 0
        self._since = time.monotonic()
        self.status: int | None = None

    def said(self) -> str:
        """Return what it has printed."""
        return self.log.read_bytes()[self._logged :].decode(errors='replace')

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; tell whether it has ended."""
        until = time.monotonic() + seconds
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= until:
                return False
            else:
                time.sleep(0.005)
        return True

    def stop(self, how: signal.Signals) -> None:
        """Send it a signal: an interruption to its whole session, as a terminal does."""
        with suppress(ProcessLookupError):
            (os.killpg if how == signal.SIGINT else os.kill)(self.pid, how)
        self.wait(60)

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.monotonic() - self._since

    def left(self, seconds: float = 120.0) -> list[int]:
        """Return the processes of its session that outlive it so long; they are ended."""
        until = time.monotonic() + seconds
        while (living := _session_members(self.pid)) and time.monotonic() < until:
            time.sleep(0.02)
        for pid in living:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return living


_PROGRAM = """
import sys
from unsct_mmpose.cli.main import main
print('begun', flush=True)
sys.exit(main(sys.argv[1:]))
"""


class Program(Started):
    """The same as a program of its own, whose imports and whose end are part of it."""

    def __init__(self, words: Sequence[str], log: Path) -> None:
        self._begin(words, log)
        with log.open('ab') as file:
            self.pid = os.posix_spawn(
                sys.executable,
                [sys.executable, '-c', _PROGRAM, *self.words],
                {**os.environ, 'OMP_NUM_THREADS': '1'},
                file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), stream) for stream in (1, 2)],
                setsid=True,
                setsigdef=[signal.SIGINT, signal.SIGTERM],  # a shell's background ignores Ctrl-C
            )
        while not (self.said().startswith('begun') or self.wait(0.02)):
            pass
        self._since = time.monotonic()


def _run(main: Main, words: list[str], log: Path) -> None:
    status = 1
    try:
        os.setsid()
        with log.open('ab') as file:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)
        os.environ['OMP_NUM_THREADS'] = '1'
        status = main(words)
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            os.write(2, f'{stop.code}\n'.encode())
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status or 0)


def finish(started: Started) -> None:
    """Wait for a command to be done.

    Raises:
        RuntimeError: it failed; the message ends with what it printed.
    """
    started.wait(3600)
    if started.status != 0:
        said = started.said()[-800:]
        raise RuntimeError(f'{" ".join(started.words)} ended with {started.status}: {said}')


def _session_members(session: int) -> list[int]:
    """Return the living processes of a session."""
    living = []
    for path in Path('/proc').glob('[0-9]*/stat'):
        with suppress(OSError):
            fields = path.read_text().rpartition(')')[2].split()
            if int(fields[3]) == session and fields[0] != 'Z':
                living.append(int(path.parent.name))
    return living


def visible(folder: Path) -> list[Path]:
    """Return the files of a folder that are no temporary ones."""
    return sorted(
        path
        for path in folder.rglob('*')
        if path.is_file() and not any(part.startswith('.') for part in path.parts)
    )


def hashes(folder: Path) -> Prints:
    """Return the sha256 of every file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in visible(folder)
    }


def results(folder: Path) -> Prints:
    """Return the sha256 of every file of a run, and of its report the images that it shows.

    The report counts what was predicted and what was there already, which a kill changes.
    """
    prints = hashes(folder)
    report = folder / 'results' / 'report.html'
    images = set(re.findall(r'\b[0-9a-f]{64}\b', report.read_text('utf-8')))
    return prints | {str(report.relative_to(folder)): ' '.join(sorted(images))}


def _last_weights(folder: Path) -> Prints:
    """Return what the checkpoint of a training's last epoch holds."""
    return _tensors_of(folder, [folder / 'run' / 'epoch_4.pth'])


def tensors(folder: Path) -> Prints:
    """Return what every checkpoint holds, and the sha256 of every json."""
    jsons = {name: value for name, value in hashes(folder).items() if name.endswith('.json')}
    return jsons | _tensors_of(folder, [path for path in visible(folder) if path.suffix == '.pth'])


def _tensors_of(folder: Path, paths: Sequence[Path]) -> Prints:
    import torch

    prints = {}
    for path in paths:
        content = torch.load(path, map_location='cpu', weights_only=False)
        kept = {key: content[key] for key in ('state_dict', 'optimizer') if key in content}
        meta = {key: content.get('meta', {}).get(key) for key in ('epoch', 'iter')}
        digest = hashlib.sha256(json.dumps(meta).encode())
        _feed(digest, kept)
        prints[str(path.relative_to(folder))] = digest.hexdigest()
    return prints


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, dict):
        for key in value:
            digest.update(str(key).encode())
            _feed(digest, value[key])
    elif isinstance(value, (list, tuple)):
        for entry in value:
            _feed(digest, entry)
    elif hasattr(value, 'numpy'):
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    else:
        digest.update(repr(value).encode())


def half_written(folder: Path) -> list[str]:
    """Return the files that somebody would take for whole and that are not."""
    return [str(path.relative_to(folder)) for path in visible(folder) if not _is_whole(path)]


def _is_whole(path: Path) -> bool:
    content = path.read_bytes()
    try:
        if path.suffix == '.json' and path.parent.name != 'vis_data':
            json.loads(content)
        elif path.suffix == '.pth':
            import torch

            torch.load(path, map_location='cpu', weights_only=False)
        elif path.suffix == '.onnx':
            import onnx

            onnx.load(str(path))
        elif path.suffix == '.dcm':
            from unsct_mmpose.dicom import read_radiograph

            read_radiograph(path)
        elif path.suffix in _ENDS:
            return content.rstrip(b'\n').endswith(_ENDS[path.suffix])
    except Exception:
        return False
    return True


_ENDS = {'.png': b'IEND\xaeB`\x82', '.html': b'</html>'}
