"""One attempt at a training of the paper's experiments, in a process of its own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from unsct_mmpose.files import replace_file


def attempt(command: Sequence[str], spelled: str, work_dir: Path) -> None:
    """Run a training; its words go to ``log.txt``, its time is added to that of earlier attempts.

    Args:
        command: program and arguments.
        spelled: the command as a reader would type it.
        work_dir: folder of the training.

    Raises:
        RuntimeError: the training failed; the message names its command.
    """
    started = time.time()
    with (work_dir / 'log.txt').open('a') as log:
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    seconds = attempted_seconds(work_dir) + time.time() - started
    replace_file(work_dir / 'seconds', str(seconds).encode())
    if code != 0:
        raise RuntimeError(f'exit status {code} from: {spelled}; see {work_dir / "log.txt"}')


def attempted_seconds(work_dir: Path) -> float:
    """Return the wall time of all attempts so far."""
    path = work_dir / 'seconds'
    return float(path.read_text()) if path.is_file() else 0.0
