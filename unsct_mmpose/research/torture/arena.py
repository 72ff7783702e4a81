"""Where tries run: processes of their own, with a clock and a limit of memory around each try.

The processes are forked, so that no interpreter starts for a try; one that is ended is replaced.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

import cv2
import numpy as np

from unsct_mmpose.dicom import isolation

from ..memory import forget_peak, memory_mb
from .ledger import GOOD, Entry

Verdict = tuple[str, str, str] | tuple[str, str, str, dict[str, int]]
"""Kind, outcome and words of a try, and perhaps counts."""

_PATIENCE = 30
_TICKS = os.sysconf('SC_CLK_TCK')


@dataclass(frozen=True)
class Bounds:
    """What a try may take.

    Attributes:
        seconds: of the processor, so that a busy machine makes nothing a fault. By the clock it
            may be 30 times as long: who waits for ever takes no processor time.
        memory_mb: that its processes may take beyond what they have at rest, MiB.
    """

    seconds: float = 20.0
    memory_mb: int = 1024


def run_tries(
    numbers: Iterable[int],
    work: Callable[[int], Verdict],
    jobs: int = 1,
    bounds: Bounds = Bounds(),
) -> Iterator[Entry]:
    """Try everything that is numbered; what came of it comes in any order.

    An exception that leaves ``work`` is a fault.
    """
    cv2.setNumThreads(1)  # here: a pool of threads that a process inherits cannot be ended there
    waiting = iter(numbers)
    fighters = [_Fighter(work, bounds) for _ in range(max(jobs, 1))]
    busy = {fighter for fighter in fighters if fighter.start(next(waiting, None))}
    try:
        while busy:
            ready = wait([fighter.pipe for fighter in busy], timeout=0.5)
            for fighter in list(busy):
                entry = fighter.outcome(fighter.pipe in ready)
                if entry is None:
                    continue
                yield entry
                if not fighter.start(next(waiting, None)):
                    busy.discard(fighter)
    finally:
        for fighter in fighters:
            fighter.end()


class _Fighter:
    """A process that does one try after another."""

    def __init__(self, work: Callable[[int], Verdict], bounds: Bounds) -> None:
        self._work, self._bounds = work, bounds
        self._number, self._since, self._used = 0, 0.0, 0.0
        self._fork()

    def _fork(self) -> None:
        context = multiprocessing.get_context('fork')
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_fight, args=(theirs, self.pipe, self._work, self._bounds), daemon=False
        )
        self._process.start()
        theirs.close()

    def start(self, number: int | None) -> bool:
        """Begin a try; tell whether there was one."""
        if number is None:
            return False
        self._number, self._since = number, time.monotonic()
        self._used = _used_seconds(self._process.pid)
        self.pipe.send(number)
        return True

    def outcome(self, ready: bool) -> Entry | None:
        """Return what came of the try; None while it goes on."""
        waited = time.monotonic() - self._since
        if ready:
            try:
                return Entry(self._number, *self.pipe.recv())
            except (EOFError, OSError):
                self._process.join()
                words = f'the process ended with status {self._process.exitcode}'
                self._again()
                return Entry(self._number, 'any', 'ended', words)
        used = _used_seconds(self._process.pid) - self._used
        if used <= self._bounds.seconds and waited <= _PATIENCE * self._bounds.seconds:
            return None
        self._again()
        words = f'after {used:.0f} s of the processor, {waited:.0f} s by the clock'
        return Entry(self._number, 'any', 'hang', words, round(used, 2))

    def _again(self) -> None:
        self.end()
        self._fork()

    def end(self) -> None:
        """End the process with what it is at."""
        self.pipe.close()
        self._process.kill()
        self._process.join()


def _fight(
    pipe: Connection, other_end: Connection, work: Callable[[int], Verdict], bounds: Bounds
) -> None:
    other_end.close()  # so that this process hears when the other one is gone
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    in_use = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + bounds.memory_mb * 2**20, hard))
    while True:
        try:
            number = pipe.recv()
        except EOFError:
            break
        for process in _processes():
            forget_peak(process)
        resting = _memory_mb('VmRSS')
        used = _used_seconds(os.getpid())
        kind, outcome, words, *more = _judged(work, number)
        seconds, peak = _used_seconds(os.getpid()) - used, _memory_mb('VmHWM') - resting
        if seconds > bounds.seconds and outcome in GOOD:
            outcome, words = 'hang', f'{seconds:.0f} s of the processor; {words}'
        if peak > bounds.memory_mb and outcome in GOOD:
            outcome, words = 'memory', f'{peak:.0f} MiB; {words}'
        pipe.send((kind, outcome, words, round(seconds, 2), round(peak, 1), *more))
    isolation.end_worker()
    os._exit(0)


def _judged(work: Callable[[int], Verdict], number: int) -> Verdict:
    try:
        return work(number)
    except MemoryError:
        return 'any', 'memory', 'MemoryError'
    except BaseException as error:
        return 'any', 'foreign', describe(error)


def describe(error: BaseException) -> str:
    """Return what an exception is, where it comes from, and the start of what it says."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if 'unsct_mmpose' in frame.filename]
    at = (ours or frames)[-1:]
    where = ', '.join(f'{Path(frame.filename).name}:{frame.lineno}' for frame in at)
    return f'{type(error).__name__} at {where}: {str(error)[:160]!r}'


def _used_seconds(pid: int | None) -> float:
    """Return what a process, its living children and its dead ones have had of the processor."""
    used = 0.0
    with suppress(OSError, ValueError):
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
        used = sum(map(int, fields[11:15])) / _TICKS
        for child in Path(f'/proc/{pid}/task/{pid}/children').read_text().split():
            used += _used_seconds(int(child))
    return used


def _processes() -> list[str]:
    worker = isolation.running_worker()
    return ['self', *([str(worker)] if worker else [])]


def _memory_mb(kind: str) -> float:
    """Return the memory of this process and its decoder, MiB: ``VmRSS`` now, ``VmHWM`` at most."""
    return float(np.nansum([memory_mb(kind, process) for process in _processes()]))
