"""A disk that is full: commands on a small tmpfs, first without room and then with it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .kills import undisturbed
from .ledger import Entry
from .workshop import Job, Prints, Shop, half_written

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
    log.write_text('')
    faults = []
    plenty = 4 * size + 2**22
    _mount(disk, plenty)
    try:
        job.words(disk)  # lays its inputs there, if it has any
        inputs = _size(disk)
        _resize(disk, max(inputs + round(share * (size - inputs)), inputs + 4 * _BLOCK))
        starved = shop.start(job, disk, log)
        starved.wait(3600)
        said = log.read_text(errors='replace')
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
    options = ['-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(place)]
    subprocess.run(['mount', *options], check=True, capture_output=True, text=True)


def _resize(place: Path, size: int) -> None:
    options = ['-o', f'remount,size={size}', str(place)]
    subprocess.run(['mount', *options], check=True, capture_output=True, text=True)


def _unmount(place: Path) -> None:
    subprocess.run(['umount', str(place)], check=True, capture_output=True, text=True)
