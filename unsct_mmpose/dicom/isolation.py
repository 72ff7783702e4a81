"""What one file may take, and decoding in a process that can be ended: one worker for each process.

A decoder in C may take hours and all memory over a file of a kilobyte, or end its process. The
worker is a plain subprocess, since the workers of a data loader may have no children through
:mod:`multiprocessing`. It starts with the first file that needs it and stays for the next ones.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .streams import CALLS


@dataclass(frozen=True)
class Limits:
    """What one file may take.

    Each can be set in the environment, for this process and those that it starts:
    ``UNSCT_MAX_PIXELS``, ``UNSCT_DECODE_SECONDS``, ``UNSCT_DECODE_MEMORY_MB``,
    ``UNSCT_DECODE_TRUSTING`` (0 or 1), ``UNSCT_FILE_SECONDS``.

    Attributes:
        pixels: width times height of a picture; more is refused unread. 64 million are 8000 x 8000.
        seconds: that a decoder may take, by the clock, and 2 more for each million pixels.
        memory_mb: address space, in MiB, that a decoder may take beyond its program.
        trusting: whether ordinary pictures are decoded in this process, which is quicker; a
            server of files of strangers sets it to 0.
        file_seconds: for all that is done with a file but the model: to read it, and to draw and
            write its results.
    """

    pixels: int = 2**26
    seconds: float = 15.0
    memory_mb: int = 896
    trusting: bool = True
    file_seconds: float = 180.0

    def seconds_for(self, pixels: int) -> float:
        """Return how long decoding a picture of so many pixels may take."""
        return self.seconds + 2e-6 * pixels

    @property
    def inflated_bytes(self) -> int:
        """How long a deflated file may become: a picture of 16 bits and its header."""
        return 2 * self.pixels + 2**24


VARIABLES = dict(
    pixels='UNSCT_MAX_PIXELS',
    seconds='UNSCT_DECODE_SECONDS',
    memory_mb='UNSCT_DECODE_MEMORY_MB',
    trusting='UNSCT_DECODE_TRUSTING',
    file_seconds='UNSCT_FILE_SECONDS',
)


def current_limits() -> Limits:
    """Return the limits that the environment sets, and the usual ones otherwise.

    Raises:
        ValueError: a variable is no positive number; the message names it.
    """
    values: dict[str, Any] = {}
    for name, variable in VARIABLES.items():
        text, kind = os.environ.get(variable), type(getattr(Limits, name))
        if kind is bool:
            values[name] = text != '0'
        elif text:
            try:
                value = float(text)
            except ValueError:
                raise ValueError(f'{variable} must be a number, not {text!r}') from None
            if not 0 < value < float('inf'):
                raise ValueError(f'{variable} must be above 0, not {text!r}')
            values[name] = kind(value)
    return Limits(**values)


class OutOfTimeError(Exception):
    """A file took longer than it may; the message says so in words."""


class _Alarm(BaseException):
    """Passes every ``except Exception`` on its way to the clock that rang."""


@contextmanager
def file_clock() -> Iterator[None]:
    """Limit what is done with one file to ``file_seconds`` of :func:`current_limits`.

    It interrupts Python, and calls of the system that wait, such as those to a dead file server.
    It rings only in the main thread, and where the platform has such timers; elsewhere it does
    nothing.

    Raises:
        OutOfTimeError: it rang.
    """
    seconds = current_limits().file_seconds
    if (
        not hasattr(signal, 'setitimer')
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    def ring(*_: object) -> None:
        raise _Alarm

    started = time.monotonic()
    handler = signal.signal(signal.SIGALRM, ring)
    # again each second: a library may swallow whatever it catches
    waiting, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    except _Alarm:
        words = f'it takes longer than {seconds:.3g} s ({VARIABLES["file_seconds"]})'
        raise OutOfTimeError(words) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if waiting:
            left = max(waiting - (time.monotonic() - started), 1e-3)
            signal.setitimer(signal.ITIMER_REAL, left, interval)


READY = b'unsct decoder ready\n'
_START_SECONDS = 120.0
_GRACE_SECONDS = 2.0


class DecoderError(Exception):
    """A decoder refused its stream, or was ended; the message says why, in words."""


class DecoderRefusal(DecoderError):
    """The decoder itself said that the stream is wrong."""


def decode(
    call: str,
    content: bytes,
    options: dict[str, Any],
    limits: Limits,
    pixels: int = 0,
    *,
    here: bool = False,
) -> NDArray[Any]:
    """Run a decoder in the worker, within limits of time and memory.

    Where no process can be started the decoder runs here; then only what the headers promise
    limits it.

    Args:
        call: a key of :data:`unsct_mmpose.dicom.streams.CALLS`.
        content: its first argument.
        options: its others; plain values.
        limits: how much it may take.
        pixels: that the picture is said to have.
        here: the stream is small and its decoder is trusted with it: run it in this process,
            unless ``limits.trusting`` is off.

    Raises:
        DecoderRefusal: the decoder found the stream damaged.
        DecoderError: it took too long or too much, or ended its process.
    """
    if not (here and limits.trusting):
        with _LOCK:
            worker = _worker()
            if worker is not None:
                return worker.decode(call, content, options, limits, pixels)
    try:
        return CALLS[call](content, **options)
    except Exception as error:
        raise DecoderRefusal(str(error) or type(error).__name__) from None


def running_worker() -> int | None:
    """Return the process id of this process's worker; None where none runs."""
    return _current.process.pid if _current is not None and _current.is_alive else None


def end_worker() -> None:
    """End this process's worker; the next file that needs one starts another."""
    global _current
    if _current is not None:
        _current.end()
    _current = None


class _Worker:
    """A running worker process, at rest between two requests."""

    def __init__(self) -> None:
        environment = {
            **os.environ,
            'OMP_NUM_THREADS': '1',
            'PYTHONPATH': os.pathsep.join(path for path in sys.path if path),
        }
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'unsct_mmpose.dicom.decode_worker'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            bufsize=0,  # after a fork no bytes of the parent's may be left to flush
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.requests = cast(io.FileIO, self.process.stdin)
        self.answers = cast(io.FileIO, self.process.stdout)
        with _Clock(self.process, _START_SECONDS):
            started = self.answers.readline() == READY
        if not started:
            self.end()
            raise OSError('the decoding process does not start')

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def decode(
        self, call: str, content: bytes, options: dict[str, Any], limits: Limits, pixels: int
    ) -> NDArray[Any]:
        """Have one request answered; where it is not, the worker is ended."""
        head = dict(call=call, options=options, length=len(content))
        seconds = limits.seconds_for(pixels)
        head |= dict(seconds=seconds, memory_mb=limits.memory_mb)
        clock = _Clock(self.process, seconds + _GRACE_SECONDS)
        try:
            with clock:
                answer, decoded = self._ask(json.dumps(head).encode(), content)
        except (OSError, ValueError):
            late = clock.rang or self.end() in _OUT_OF_TIME
            self.end()
            too_long = f'decoding takes longer than {seconds:.3g} s ({VARIABLES["seconds"]})'
            raise DecoderError(too_long if late else _ENDED) from None
        except BaseException:  # an answer that nobody reads must not meet the next question
            self.end()
            raise
        if answer.get('error') == 'memory':
            most = f'{limits.memory_mb} MiB ({VARIABLES["memory_mb"]})'
            raise DecoderError(f'decoding takes more than {most}')
        if 'error' in answer:
            raise DecoderRefusal(answer['words'] or answer['error'])
        return np.frombuffer(decoded, np.dtype(answer['dtype'])).reshape(answer['shape'])

    def _ask(self, head: bytes, content: bytes) -> tuple[dict[str, Any], bytearray]:
        for part in (head + b'\n', content):
            rest = memoryview(part)
            while rest:
                rest = rest[self.requests.write(rest) :]
        answer = json.loads(self.answers.readline())  # nothing, and so no json, from a dead one
        decoded = bytearray(answer['length'])
        rest = memoryview(decoded)
        while rest:
            count = self.answers.readinto(rest)
            if not count:
                raise ValueError('the answer is cut off')
            rest = rest[count:]
        return answer, decoded

    def end(self) -> int:
        """End the process, and return its status."""
        if self.is_alive:
            self.process.kill()
        status = self.process.wait()
        self.let_go()
        return status

    def let_go(self) -> None:
        """Close this process's ends of the pipes; the worker ends when nobody holds one."""
        for pipe in (self.requests, self.answers):
            with suppress(OSError):
                pipe.close()


class _Clock:
    """Ends a process that is not done in time."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self.rang = False
        self._process = process
        self._timer = threading.Timer(seconds, self._ring)
        self._timer.daemon = True

    def _ring(self) -> None:
        self.rang = True
        self._process.kill()

    def __enter__(self) -> _Clock:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


_OUT_OF_TIME = (-signal.SIGALRM,) if hasattr(signal, 'SIGALRM') else ()
_ENDED = 'its decoder ended at it, as damaged or malicious data make it do'
_LOCK = threading.Lock()
_current: _Worker | None = None
_cannot_start = False


def _worker() -> _Worker | None:
    """Return this process's worker, started if need be; None where none can be started."""
    global _current, _cannot_start
    if _current is not None and not _current.is_alive:
        end_worker()
    if _current is None and not _cannot_start:
        try:
            _current = _Worker()
        except OSError:
            _cannot_start = True
    return _current


def _forget_worker() -> None:
    """After a fork the worker is the parent's: the child starts its own."""
    global _current, _LOCK
    if _current is not None:
        _current.let_go()
        _current.process.returncode = 0  # none of this process's children
    _current, _LOCK = None, threading.Lock()


atexit.register(end_worker)
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_forget_worker)
