"""How much one file may cost: pixels, seconds and memory."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What decoding one file may take.

    Each can be set in the environment, for this process and those that it starts:
    ``UNSCT_MAX_PIXELS``, ``UNSCT_DECODE_SECONDS``, ``UNSCT_DECODE_MEMORY_MB``,
    ``UNSCT_DECODE_TRUSTING`` (0 or 1).

    Attributes:
        pixels: width times height of a picture; more is refused unread. 64 million are 8000 x 8000.
        seconds: that a decoder may take, by the clock, and 2 more for each million pixels.
        memory_mb: address space, in MiB, that a decoder may take beyond its program.
        trusting: whether ordinary pictures are decoded in this process, which is quicker; a
            server of files of strangers sets it to 0.
    """

    pixels: int = 2**26
    seconds: float = 15.0
    memory_mb: int = 896
    trusting: bool = True

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
