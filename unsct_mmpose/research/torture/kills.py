"""Commands killed, told to end, or met by a full disk: what is left, what the next run does."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals

from .ledger import Entry
from .workshop import Job, Prints, Shop, finish, half_written

STOPS_A_ROUND = 4
"""A round starts in an empty folder, is stopped so often, and is then left to finish."""

KILL = (SIGKILL,)
END = (SIGINT, SIGTERM)
_STATUSES = {SIGKILL: (-SIGKILL,), SIGINT: (130, -SIGINT), SIGTERM: (143, -SIGTERM)}
"""What a command that is stopped ends with; a signal itself ends what cannot go on, or is done."""


def stop_rounds(
    shop: Shop, signals: Sequence[Signals], stops: int, done: frozenset[int], scratch: Path
) -> Iterator[Entry]:
    """Stop every job of a shop so often; yield what came of each round that is not done yet."""
    rounds = -(-stops // STOPS_A_ROUND)
    for place, job in enumerate(shop.jobs()):
        numbers = [place * 1000 + k for k in range(rounds)]
        if all(number in done for number in numbers):
            continue
        wanted, seconds = undisturbed(shop, job, scratch, program=signals != KILL)
        for k, number in enumerate(numbers):
            if number not in done:
                count = min(STOPS_A_ROUND, stops - k * STOPS_A_ROUND)
                yield _round(shop, job, number, signals, count, wanted, seconds, scratch)
    shutil.rmtree(scratch, ignore_errors=True)


def undisturbed(
    shop: Shop, job: Job, scratch: Path, *, program: bool = False
) -> tuple[Prints, float]:
    """Return what a run that nobody disturbs leaves, and how long it takes."""
    folder = _empty(scratch)
    started = shop.start(job, folder, scratch / 'log.txt', program=program)
    finish(started)
    return job.prints(folder), started.seconds


def _empty(scratch: Path) -> Path:
    folder = scratch / 'out'
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _round(
    shop: Shop,
    job: Job,
    number: int,
    signals: Sequence[Signals],
    count: int,
    wanted: Prints,
    seconds: float,
    scratch: Path,
) -> Entry:
    """Stop a job ``count`` times, let it finish, and compare."""
    rng = random.Random(number)
    folder, faults, stopped = _empty(scratch), [], 0
    span = seconds
    while stopped < count:
        how = signals[stopped % len(signals)]
        started = shop.start(job, folder, scratch / 'log.txt', program=signals != KILL)
        if started.wait(rng.uniform(0, span)):
            if started.status:
                faults.append(f'after a signal it ended with {started.status}')
                break
            folder, span = _empty(scratch), span * 0.7  # done too early to be stopped
            continue
        started.stop(how)
        stopped += 1
        if started.status not in (0, *_STATUSES[how]) or _TRACEBACK in started.said():
            faults.append(f'{how.name}: ended with {started.status}: {started.said()[-300:]}')
        if left := started.left():
            faults.append(f'{len(left)} processes lived on')
        if halves := half_written(folder):
            faults.append(f'half-written: {", ".join(halves[:3])}')
    faults += _finished(shop, job, folder, wanted, scratch)
    counts = dict(survived=stopped) if not faults else dict(faults=max(stopped, 1))
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


SHARES = (0.1, 0.5, 0.9)
"""Of what an undisturbed run takes: the size of the disk at first."""

_BLOCK = 4096
_TRACEBACK = 'Traceback (most recent call last)'


def can_mount(scratch: Path) -> str | None:
    """Return why no file system can be mounted here, in words; None where one can."""
    place = scratch / 'mounted'
    place.mkdir(parents=True, exist_ok=True)
    try:
        _mount(place, 2**20)
        _unmount(place)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, 'stderr', '') or str(error)
        return f'skipped: no tmpfs can be mounted here ({" ".join(said.split())[:120]})'
    return None


def full_disks(shop: Shop, done: frozenset[int], scratch: Path) -> Iterator[Entry]:
    """Let every job of a shop meet a disk of too little room; yield what came of each."""
    for place, job in enumerate(shop.jobs()):
        numbers = [place * 100 + k for k in range(len(SHARES))]
        if all(number in done for number in numbers):
            continue
        wanted, _ = undisturbed(shop, job, scratch)
        size = _size(scratch / 'out')
        for number, share in zip(numbers, SHARES, strict=True):
            if number not in done:
                faults = _starve(shop, job, wanted, share, size, scratch)
                yield Entry(number, job.name, 'lost' if faults else 'survived', '; '.join(faults))
    shutil.rmtree(scratch, ignore_errors=True)


def _size(folder: Path) -> int:
    files = [path for path in folder.rglob('*') if path.is_file()]
    return sum(-(-path.stat().st_size // _BLOCK) * _BLOCK for path in files)


def _starve(
    shop: Shop, job: Job, wanted: Prints, share: float, size: int, scratch: Path
) -> list[str]:
    """Run a job on a disk with a share of the room that it takes, then with room enough."""
    disk, log = scratch / 'mounted', scratch / 'log.txt'
    disk.mkdir(parents=True, exist_ok=True)
    faults = []
    plenty = 4 * size + 2**22
    _mount(disk, plenty)
    try:
        job.words(disk)  # lays its inputs there, if it has any
        inputs = _size(disk)
        _resize(disk, max(inputs + round(share * (size - inputs)), inputs + 4 * _BLOCK))
        starved = shop.start(job, disk, log)
        starved.wait(3600)
        said = starved.said()
        if starved.left():
            faults.append('processes lived on')
        if _TRACEBACK in said and 'No space left' not in said:
            faults.append(f'a traceback: {said[-300:]}')
        if halves := half_written(disk):
            faults.append(f'half-written: {", ".join(halves[:3])}')
        _resize(disk, plenty)
        again = shop.start(job, disk, log)
        again.wait(3600)
        if again.left():  # the disk is busy as long as one of them lives
            faults.append('processes lived on')
        if again.status:
            faults.append(f'with room it ends with {again.status}')
        prints = job.prints(disk)
        if different := sorted(name for name in wanted if prints.get(name) != wanted[name]):
            faults.append(f'lost or different: {", ".join(different[:3])}')
    finally:
        _unmount(disk)
    return faults


def _mount(place: Path, size: int) -> None:
    _call('mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(place))


def _resize(place: Path, size: int) -> None:
    _call('mount', '-o', f'remount,size={size}', str(place))


def _unmount(place: Path) -> None:
    _call('umount', str(place))


def _call(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)
