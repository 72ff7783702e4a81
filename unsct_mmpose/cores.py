"""How many processor cores a process may use, and how many others leave idle."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

_GROUPS = Path('/sys/fs/cgroup')
_STAT = Path('/proc/stat')


def allowed_cores(groups: Path = _GROUPS) -> int:
    """Return how many cores this process may use, at least 1.

    Those of its affinity, and no more than the quota of its control group allows: a container on a
    large machine sees all of the machine's cores and is stopped when it uses them.
    """
    if hasattr(os, 'sched_getaffinity'):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = _quota(groups)
    return min(cores, math.ceil(quota)) if quota else cores


def _quota(groups: Path) -> float:
    """Return the quota of the control group, cores; 0 without one."""
    try:  # version 2
        share, period = (groups / 'cpu.max').read_text().split()
    except (OSError, ValueError):
        try:  # version 1
            share, period = (
                (groups / 'cpu' / f'cpu.cfs_{name}_us').read_text() for name in ('quota', 'period')
            )
        except OSError:
            return 0.0
    try:
        return max(int(share) / int(period), 0.0)
    except (ValueError, ZeroDivisionError):  # 'max'
        return 0.0


def idle_cores(seconds: float = 1.0, stat: Path = _STAT, groups: Path = _GROUPS) -> int:
    """Watch the machine and return how many of the allowed cores are idle, at least 1.

    Threads that wait for each other in every layer of a network need cores of their own: two of
    them on a core that another program uses half take longer than one.

    Args:
        seconds: how long to watch; this process sleeps meanwhile.
        stat: Linux's counters; where there are none, every allowed core counts as idle.
        groups: see :func:`allowed_cores`.
    """
    cores = allowed_cores(groups)
    if not stat.is_file():
        return cores
    before = _idle_and_all(stat)
    time.sleep(seconds)
    idle, ticks = (now - then for now, then in zip(_idle_and_all(stat), before, strict=True))
    return min(cores, max(1, round((os.cpu_count() or 1) * idle / ticks))) if ticks > 0 else cores


def _idle_and_all(stat: Path) -> tuple[int, int]:
    """Return idle ticks (waiting for disks included) and all ticks since the machine started."""
    ticks = [int(word) for word in stat.read_text().split('\n', 1)[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)
