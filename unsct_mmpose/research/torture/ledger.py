"""What was tried and what came of it: appended line by line, so that a run goes on after a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

GOOD = ('survived', 'refused')
"""What may come of a try: a result that is right, or a refusal in words."""

_FAULTS = ('foreign', 'wrong', 'hang', 'memory', 'ended', 'lost')
"""What must not: an exception of a library or of ours, a wrong result, too long, too much memory,
the process ended, an artefact lost or half-written."""


@dataclass(frozen=True)
class Entry:
    """One try.

    Attributes:
        number: its number in the stage; the same number is the same try.
        kind: what was tried, for the counts.
        outcome: one of :data:`GOOD` or :data:`_FAULTS`.
        words: of the refusal or the fault.
        seconds: of the processor, that it took.
        peak_mb: most memory that its processes took beyond their rest, MiB; 0 where unwatched.
        more: of a try that is many: how many survived, were refused and are faults.
    """

    number: int
    kind: str
    outcome: str
    words: str = ''
    seconds: float = 0.0
    peak_mb: float = 0.0
    more: dict[str, int] = field(default_factory=dict)


class Ledger:
    """The tries of one stage, in a file of one json object a line; what is in it is done."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.entries = {entry.number: entry for entry in _read(path)}
        self._file = path.open('a', encoding='utf-8')
        if path.stat().st_size and not path.read_bytes().endswith(b'\n'):
            self._file.write('\n')  # a line that a kill cut off is passed over

    def add(self, entry: Entry) -> None:
        """Append a try; it is on its way to the disk when this returns."""
        self.entries[entry.number] = entry
        self._file.write(json.dumps(asdict(entry), ensure_ascii=True) + '\n')
        self._file.flush()

    def close(self) -> None:
        """Make sure of the disk."""
        os.fsync(self._file.fileno())
        self._file.close()


def _read(path: Path) -> Iterator[Entry]:
    if not path.is_file():
        return
    for line in path.read_text('utf-8').splitlines():
        try:
            yield Entry(**json.loads(line))
        except (ValueError, TypeError):
            continue


def summarise(entries: list[Entry]) -> dict[str, Any]:
    """Return counts of a stage, as a whole and by kind, and its first faults.

    Example:
        >>> summarise([Entry(0, 'a', 'survived', seconds=2.0), Entry(1, 'a', 'hang', 'late')])
        {'tried': 2, 'survived': 1, 'refused': 0, 'faults': {'hang': 1}, 'longest_s': 2.0,
         'largest_mb': 0.0, 'kinds': {'a': {'tried': 2, 'survived': 1, 'refused': 0, 'faults': 1}},
         'examples': ['1, a: hang: late']}
    """
    kinds: dict[str, dict[str, int]] = {}
    for entry in entries:
        row = kinds.setdefault(entry.kind, dict(tried=0, survived=0, refused=0, faults=0))
        counts = entry.more or {entry.outcome if entry.outcome in GOOD else 'faults': 1}
        for name, count in counts.items():
            row[name] += count
        row['tried'] += sum(counts.values())
    faulty = [entry for entry in entries if entry.outcome not in GOOD]
    faults = {
        kind: count for kind in _FAULTS if (count := sum(entry.outcome == kind for entry in faulty))
    }
    return dict(
        **{name: sum(row[name] for row in kinds.values()) for name in ('tried', *GOOD)},
        faults=faults,
        longest_s=round(max((entry.seconds for entry in entries), default=0.0), 2),
        largest_mb=round(max((entry.peak_mb for entry in entries), default=0.0), 1),
        kinds=dict(sorted(kinds.items())),
        examples=[
            f'{entry.number}, {entry.kind}: {entry.outcome}: {entry.words}' for entry in faulty[:3]
        ],
    )
