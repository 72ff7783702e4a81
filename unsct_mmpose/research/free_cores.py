"""How many processor cores other processes leave."""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path('/proc/stat')


def free_cores(seconds: float = 1.0, stat: Path = _STAT) -> int:
    """Watch the machine and return how many of this process's cores are idle, at least 1.

    Threads that wait for each other in every layer of a network need cores of their own: two of
    them on a core that another program uses half take longer than one.

    Args:
        seconds: how long to watch; this process sleeps meanwhile.
        stat: Linux's counters; where there are none, every core counts as idle.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    cores = cores or 1
    if not stat.is_file():
        return cores
    before = _idle_and_all(stat)
    time.sleep(seconds)
    idle, ticks = (now - then for now, then in zip(_idle_and_all(stat), before, strict=True))
    return max(1, round(cores * idle / ticks)) if ticks > 0 else cores


def _idle_and_all(stat: Path) -> tuple[int, int]:
    """Return idle ticks (waiting for disks included) and all ticks since the machine started."""
    ticks = [int(word) for word in stat.read_text().split('\n', 1)[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)
