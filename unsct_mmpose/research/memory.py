"""What Linux says of the memory of a process."""

from __future__ import annotations

import ctypes
import math
import os
from contextlib import suppress
from pathlib import Path


def memory_mb(field: str, process: str = 'self') -> float:
    """Return ``VmRSS``, memory now, or ``VmHWM``, at most, 2**20 bytes; NaN where none is told."""
    try:
        rows = Path(f'/proc/{process}/status').read_text().splitlines()
    except OSError:
        return math.nan
    return next((int(row.split()[1]) / 1024 for row in rows if row.startswith(field)), math.nan)


def forget_peak(process: str = 'self') -> None:
    """Let ``VmHWM`` start anew; where that is refused it is too large, never too small."""
    with suppress(OSError):
        Path(f'/proc/{process}/clear_refs').write_text('5')


def give_back_freed() -> None:
    """Return freed memory to the system; else it would serve what follows, and not be counted."""
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None) if os.name == 'posix' else None
    if trim is not None:
        trim(0)
