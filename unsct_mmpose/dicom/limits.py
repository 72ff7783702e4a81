"""How much one file may cost: pixels, seconds and memory; a clock for what runs in Python."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


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
    usual = Limits()
    return Limits(
        pixels=int(_setting('pixels', usual.pixels)),
        seconds=_setting('seconds', usual.seconds),
        memory_mb=int(_setting('memory_mb', usual.memory_mb)),
        trusting=os.environ.get(VARIABLES['trusting'], '1') != '0',
        file_seconds=_setting('file_seconds', usual.file_seconds),
    )


def _setting(name: str, usual: float) -> float:
    variable = VARIABLES[name]
    text = os.environ.get(variable)
    if not text:
        return usual
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f'{variable} must be a number, not {text!r}') from None
    if not 0 < value < float('inf'):
        raise ValueError(f'{variable} must be above 0, not {text!r}')
    return value


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
