"""Run scripts one after the other, each in a fork of an interpreter that has libraries loaded.

Starting PyTorch takes longer than most scripts that check_host.py runs. Only libraries below
MMCV and MMEngine are loaded here: a script imports those, MMPose and the plug-in itself. Jobs come
as lines of json, ``script``, ``arguments``, ``output`` (a file) and ``seconds``; exit statuses
leave as lines, ``late`` where the time was over.
"""

import atexit
import contextlib
import functools
import importlib
import json
import os
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

LIBRARIES = (
    'numpy', 'cv2', 'torch', 'torch.distributed.fsdp', 'torch.distributed.optim',
    'torch.utils.data',
    'matplotlib.pyplot', 'scipy.stats', 'scipy.optimize', 'scipy.ndimage', 'pydicom.pixels',
    'yapf.yapflib.yapf_api', 'rich.progress',
)  # fmt: skip


def run(script: str, arguments: list[str], output: str) -> None:
    """Be a process that runs a script, and end."""
    os.setsid()
    for number, place, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(place, flags, 0o644), number)
    os.dup2(1, 2)
    sys.argv, sys.path[0] = [script, *arguments], os.path.dirname(os.path.abspath(script))
    status = 0
    try:
        runpy.run_path(script, run_name='__main__')
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def wait(process: int, seconds: float) -> int | str:
    """Wait for a process; end it and its children when its time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return 'late'


def remember(format_text: Callable[..., Any]) -> Callable[..., Any]:
    """Format each text once: MMEngine formats a config seven times in a training."""
    known: dict[tuple[str, str], Any] = {}

    @functools.wraps(format_text)
    def remembered(text: str, **how: Any) -> Any:
        key = text, repr(how)
        if key not in known:
            known[key] = format_text(text, **how)
        return known[key]

    return remembered


def main() -> None:
    """Load the libraries, then run what is asked for until the input ends."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if yapf := sys.modules.get('yapf.yapflib.yapf_api'):
        yapf.FormatCode = remember(yapf.FormatCode)
    for line in sys.stdin:
        job = json.loads(line)
        seconds = job.pop('seconds')
        sys.stdout.flush()
        process = os.fork()
        if not process:
            run(**job)
        print(wait(process, seconds), flush=True)


if __name__ == '__main__':
    main()
