"""Decoding in a process that can be ended: one worker for each process that decodes.

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
from contextlib import suppress
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .decode_worker import READY
from .limits import VARIABLES, Limits
from .streams import CALLS

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
            raise DecoderError(_took_too_long(seconds) if late else _ENDED) from None
        except BaseException:  # an answer that nobody reads must not meet the next question
            self.end()
            raise
        if answer.get('error') == 'memory':
            raise DecoderError(_took_too_much(limits))
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


def _took_too_long(seconds: float) -> str:
    return f'decoding takes longer than {seconds:.3g} s ({VARIABLES["seconds"]})'


def _took_too_much(limits: Limits) -> str:
    return f'decoding takes more than {limits.memory_mb} MiB ({VARIABLES["memory_mb"]})'


atexit.register(end_worker)
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_forget_worker)
