"""SIGKILL at random moments: what a command leaves, and whether the next run puts it right."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from .ledger import Entry
from .workshop import Job, Prints, Shop, finish, half_written

KILLS_A_ROUND = 4
"""A round starts in an empty folder, is killed so often, and is then left to finish."""


def kill_rounds(shop: Shop, kills: int, done: frozenset[int], scratch: Path) -> Iterator[Entry]:
    """Kill every job of a shop so often; yield what came of each round.

    Args:
        shop: its inputs are there.
        kills: of each job.
        done: rounds that are not done again.
        scratch: a folder to write to.
    """
    rounds = -(-kills // KILLS_A_ROUND)
    for place, job in enumerate(shop.jobs()):
        numbers = [place * 1000 + k for k in range(rounds)]
        if all(number in done for number in numbers):
            continue
        wanted, seconds = undisturbed(shop, job, scratch)
        for k, number in enumerate(numbers):
            if number not in done:
                count = min(KILLS_A_ROUND, kills - k * KILLS_A_ROUND)
                yield _round(shop, job, number, count, wanted, seconds, scratch)
    shutil.rmtree(scratch, ignore_errors=True)


def undisturbed(shop: Shop, job: Job, scratch: Path) -> tuple[Prints, float]:
    """Return what a run that nobody disturbs leaves, and how long it takes."""
    folder = _empty(scratch)
    started = shop.start(job, folder, scratch / 'log.txt')
    finish(started)
    return job.prints(folder), started.seconds


def _empty(scratch: Path) -> Path:
    folder = scratch / 'out'
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _round(
    shop: Shop, job: Job, number: int, count: int, wanted: Prints, seconds: float, scratch: Path
) -> Entry:
    """Kill a job ``count`` times, let it finish, and compare."""
    rng = random.Random(number)
    folder, faults, killed = _empty(scratch), [], 0
    span = seconds
    while killed < count:
        started = shop.start(job, folder, scratch / 'log.txt')
        if started.wait(rng.uniform(0, span)):
            if started.status:
                faults.append(f'after a kill it ended with {started.status}')
                break
            folder, span = _empty(scratch), span * 0.7  # done too early to be killed
            continue
        started.kill()
        killed += 1
        if left := started.left():
            faults.append(f'{len(left)} processes lived on')
        if halves := half_written(folder):
            faults.append(f'half-written: {", ".join(halves[:3])}')
    faults += _finished(shop, job, folder, wanted, scratch)
    counts = dict(survived=killed) if not faults else dict(faults=max(killed, 1))
    return Entry(number, job.name, 'lost' if faults else 'survived', '; '.join(faults), more=counts)


def _finished(shop: Shop, job: Job, folder: Path, wanted: Prints, scratch: Path) -> list[str]:
    """Let a job finish; return what differs from an undisturbed run."""
    try:
        finish(shop.start(job, folder, scratch / 'log.txt'))
    except RuntimeError as error:
        return [str(error)]
    prints = job.prints(folder)
    lost = sorted(name for name in wanted if name not in prints)
    other = sorted(name for name in wanted if prints.get(name, wanted[name]) != wanted[name])
    more = sorted(name for name in prints if name not in wanted)
    words = (('lost', lost), ('different', other), ('left over', more))
    return [f'{word}: {", ".join(names[:3])}' for word, names in words if names]
