"""Working on radiographs ahead, in processes of their own: reading them, converting them."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import cv2

from .identity import patient_identity
from .isolation import OutOfTimeError, current_limits, file_clock
from .radiograph import NoRadiographError, Radiograph, RadiographError
from .read import read_radiograph

Item = TypeVar('Item')
Result = TypeVar('Result')

KILLED = 'decoding it ends the process, or takes too long: its pixel data are damaged'

_GRACE_SECONDS = 5.0
_killable = False  # whether this process may be ended for a file's sake


@dataclass(frozen=True)
class FileOptions:
    """How files are read.

    Attributes:
        spacing_xy_mm: pixel at the detector of all files; wins over the files'.
        magnification: of all files; wins over the files'.
        keep_identity: whether to read PatientID and PatientName too.
        mirrored: whether left and right are exchanged in the stored pixels of all files; None
            leaves it to the files.
        frame: which image of files that hold several, from 0.
    """

    spacing_xy_mm: tuple[float, float] | None = None
    magnification: float | None = None
    keep_identity: bool = False
    mirrored: bool | None = None
    frame: int | None = None


@dataclass(frozen=True, eq=False)
class ReadFile:
    """A file that was read, or the cause why not.

    Attributes:
        path: the file.
        radiograph: None when it could not be read.
        cause: why; empty when it could.
        kind: what it is, where it is whole and no image, such as a report.
        patient: identity, where it was asked for.
    """

    path: Path
    radiograph: Radiograph | None = None
    cause: str = ''
    kind: str = ''
    patient: dict[str, str] = field(default_factory=dict)


def read_ahead(
    paths: Iterable[Path], options: FileOptions, jobs: int, workers: Workers | None = None
) -> Iterator[ReadFile]:
    """Read files in their order; at most ``jobs + 2`` radiographs wait for the model.

    A decoder that ends its whole process costs its own file only: what was under way with it is
    read again, one file a process. Each file has the time of ``Limits.file_seconds``; in a process
    of its own even one whose decoder hangs in C.

    Args:
        paths: the files, taken from the iterable as they are needed.
        options: how to read them.
        jobs: processes; 0 reads in this one.
        workers: so many processes that were started before, and end with the reading.
    """
    return work_ahead(paths, partial(read_file, options=options), _read_killed, jobs, workers)


def work_ahead(
    items: Iterable[Item],
    work: Callable[[Item], Result],
    killed: Callable[[Item], Result],
    jobs: int,
    workers: Workers | None = None,
) -> Iterator[Result]:
    """Do something with items in their order; at most ``jobs + 2`` results wait to be taken.

    Args:
        items: taken from the iterable as they are needed.
        work: what to do with each; a function that can be pickled, which needs no MMPose.
        killed: the result of an item whose work has ended its whole process, twice.
        jobs: processes; 0 works in this one.
        workers: so many processes that were started before, and end with the work.
    """
    if jobs < 1:
        yield from map(work, items)
        return
    remaining = iter(items)
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    pool = workers or Workers(jobs)
    try:
        while True:
            while len(waiting) < jobs + 2 and (item := next(remaining, None)) is not None:
                waiting.append((item, pool.submit(work, item)))
            if not waiting:
                return
            item, future = waiting.popleft()
            try:
                yield result_of(future)
            except BrokenProcessPool:
                pool.end()
                for other in [item, *(later for later, _ in waiting)]:
                    yield _alone(work, killed, other)
                waiting.clear()
                pool = Workers(jobs)
    finally:
        pool.end()


def result_of(future: Future[Result]) -> Result:
    """Wait for a result, and look up each second.

    A signal that comes just before a thread begins to wait is not noticed before the wait ends.
    """
    while not wait([future], 1.0).done:
        pass
    return future.result()


def read_file(path: Path, options: FileOptions) -> ReadFile:
    """Read one file; whatever is wrong with it becomes a cause in words."""
    if _killable:
        faulthandler.dump_traceback_later(
            current_limits().file_seconds + _GRACE_SECONDS, exit=True, file=_nowhere()
        )
    try:
        with file_clock():
            radiograph = read_radiograph(
                path,
                spacing_xy_mm=options.spacing_xy_mm,
                magnification=options.magnification,
                mirrored=options.mirrored,
                frame=options.frame,
            )
            patient = patient_identity(path) if options.keep_identity else {}
    except OutOfTimeError as error:
        return ReadFile(path, cause=str(error))
    except NoRadiographError as error:
        return ReadFile(path, cause=error.cause, kind=error.kind)
    except RadiographError as error:
        return ReadFile(path, cause=error.cause or str(error))
    except MemoryError:
        return ReadFile(path, cause='there is not enough memory to decode it')
    except Exception as error:  # one odd file must not end the run
        return ReadFile(path, cause=f'it cannot be read ({type(error).__name__})')
    finally:
        if _killable:
            faulthandler.cancel_dump_traceback_later()
    return ReadFile(path, radiograph, patient=patient)


def _read_killed(path: Path) -> ReadFile:
    return ReadFile(path, cause=KILLED)


def _alone(work: Callable[[Item], Result], killed: Callable[[Item], Result], item: Item) -> Result:
    pool = Workers(1)
    try:
        return result_of(pool.submit(work, item))
    except BrokenProcessPool:
        return killed(item)
    finally:
        pool.end()


class Workers:
    """Processes that end with this one, however it ends, and start at once.

    Each holds the reading end of a pipe whose writing end is here alone: the system closes it even
    for a process that is killed.

    Args:
        jobs: how many; 0 is none.
    """

    def __init__(self, jobs: int) -> None:
        # a fresh interpreter: a fork of a process that runs torch may hang
        context = get_context('spawn')
        self._theirs, self._lifeline = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(
            max(jobs, 1), mp_context=context, initializer=_prepare, initargs=(self._theirs,)
        )
        for _ in range(jobs):
            self.submit(os.getpid)  # a pool starts no process without work

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def submit(self, work: Callable[..., Result], *items: Any) -> Future[Result]:
        """Submit an item; where a process has ended meanwhile, its future says so."""
        try:
            with starting_processes():
                return self._pool.submit(_work, work, *items)
        except BrokenProcessPool as error:
            broken: Future[Result] = Future()
            broken.set_exception(error)
            return broken

    def end(self) -> None:
        """End the processes with what they are at; nobody waits for it any more.

        A result that is being written is written whole: the pool would wait for its rest for ever,
        and this process for the pool.
        """
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._lifeline.close()
        self._theirs.close()


@contextmanager
def starting_processes() -> Iterator[None]:
    """Let processes that are started run nothing of the program, and hear no Ctrl-C.

    A script without ``if __name__ == '__main__'`` would run in each of them once more, and a
    program from standard input cannot be found there. A terminal interrupts all of its processes;
    one that only starts would print where it was.
    """
    with _STARTING:
        mask = getattr(signal, 'pthread_sigmask', None)  # processes inherit it; not on Windows
        heard = mask(signal.SIG_BLOCK, [signal.SIGINT]) if mask else []
        main = sys.modules['__main__']
        try:
            sys.modules['__main__'] = ModuleType('__main__')
            yield
        finally:
            sys.modules['__main__'] = main
            if mask:
                mask(signal.SIG_SETMASK, heard)


_STARTING = threading.Lock()


def _prepare(lifeline: Connection) -> None:
    global _killable
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    end_with(lifeline, _finish_writing)
    _killable = True


_working = _ended = False  # at an item, not at its result; what is at no item begins none
_AT_ITEM = threading.Lock()  # held while that changes


def _work(work: Callable[..., Result], *items: Any) -> Result:
    global _working
    with _AT_ITEM:
        if _ended:
            os._exit(1)
        _working = True
    try:
        return work(*items)
    finally:
        with _AT_ITEM:
            _working = False


def _finish_writing() -> None:
    """Begin no item, and let a result be written; a pool that has it ends this process."""
    global _ended
    with _AT_ITEM:
        _ended = True
        if _working:
            os._exit(1)
    parent = parent_process()
    assert parent is not None
    wait_for([parent.sentinel], _GRACE_SECONDS)


def end_with(lifeline: Connection, finish: Callable[[], None] = lambda: None) -> None:
    """End this process, at whatever it is, when the other end of a pipe is closed.

    Args:
        lifeline: the end of the pipe that is read.
        finish: what to do before; it must come to an end.
    """

    def wait() -> None:
        with suppress(OSError, EOFError):
            lifeline.poll(None)
        finish()
        os._exit(1)

    threading.Thread(target=wait, name='lifeline', daemon=True).start()


def _nowhere() -> Any:
    global _null
    if _null is None:
        _null = open(os.devnull, 'w')  # noqa: SIM115  # for the life of the process
    return _null


_null: Any = None
