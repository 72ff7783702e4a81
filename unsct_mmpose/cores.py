"""How many processor cores a process may really use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_GROUPS = Path('/sys/fs/cgroup')


def free_cores(groups: Path = _GROUPS) -> int:
    """Return how many cores this process may use, at least 1.

    Those of its affinity, and no more than the quota of its control group allows: a container on a
    large machine sees all of the machine's cores and is stopped when it uses them.

    Args:
        groups: where the system shows control groups.
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
