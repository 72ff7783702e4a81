"""The page of torture: what was tried, refused and survived, from the one json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unsct_mmpose.files import read_json

from ..markdown import read_notes, render_page, render_table
from ..results import format_versions

STAGES = {
    'corpus': (
        'A corpus with known pixels',
        'DICOM files of every transfer syntax, photometric interpretation, depth, sign, lookup '
        "table and window, read and held against the standard's formulas applied to the values "
        'that were encoded. *Survived*: every display value within 1e-6, or within what a lossy '
        'encoding may change. *Refused*: what nobody can show, such as films.',
    ),
    'mutants': (
        'Mutants of files',
        "Changes of files of the corpus, of pydicom's own test files and of pictures, read as an "
        'image and through one of the other doors of a file. *Survived*: a picture with all values '
        'in [0, 1]. *Refused*: in words that can be printed.',
    ),
    'json': (
        'Damaged json',
        'Documents drawn by hypothesis: places that hold something else, or nothing, and texts '
        'that are damaged themselves. *Survived*: read, and used as a command uses it. *Refused*: '
        'in words that name the file.',
    ),
    'kills': (
        'SIGKILL at random moments',
        'Commands on tiny images and a tiny network, each killed at random moments and run again. '
        '*Survived*: nothing half-written after a kill, no process left over, and in the end '
        'exactly what an undisturbed run leaves.',
    ),
    'signals': (
        'Ctrl-C and SIGTERM at random moments',
        'The same commands as programs of their own, at random moments from their imports on, '
        'interrupted as a terminal does it, with all of their processes, and terminated by turns. '
        '*Survived*: the status says so, no traceback is printed, and all that survives a kill.',
    ),
    'disk': (
        'A full disk',
        'The same commands on a small file system that fills up, and again with room. *Survived*: '
        'it says so in words, leaves nothing half-written, and the next run leaves exactly what an '
        'undisturbed one does.',
    ),
}
"""Title and words of each stage."""

_FAULTS = {
    'foreign': 'foreign exceptions',
    'wrong': 'wrong results',
    'hang': 'hangs',
    'memory': 'too much memory',
    'ended': 'ended processes',
    'lost': 'lost artefacts',
}


def render_reliability_page(folder: Path) -> str:
    """Return the page of ``reliability/torture.json``, which ``unsct torture`` writes."""
    summary = read_json(folder / 'reliability' / 'torture.json')
    bounds, stages = summary['bounds'], summary['stages']
    parts = [
        'Made by `python tools/results.py page docs/results` from `reliability/torture.json`, '
        'which `make torture` writes. A try may take '
        f'{bounds["seconds"]:g} s of the processor and {bounds["memory_mb"]} MiB beyond the '
        'resting process; more is a fault.',
        *read_notes(folder, 'reliability'),
        _overview(stages),
    ]
    for name, (title, words) in STAGES.items():
        if name in stages:
            parts += [f'## {title}', words, *_stage(stages[name])]
    host = summary['host']
    codes = ', '.join(f'{name} {stages[name]["code"]}' for name in STAGES if name in stages)
    parts += [
        '## Provenance',
        f'{host["machine"]}; {format_versions(host["versions"])}. Commits: {codes}; a + says that '
        'files of the package were changed since.',
    ]
    return render_page('Reliability: what was done to files, documents and runs', parts)


def _overview(stages: Mapping[str, Any]) -> str:
    columns = ['stage', 'tried', 'survived', 'refused', *_FAULTS.values(), 'longest, s',
               'largest, MiB']  # fmt: skip
    rows = []
    for name, (title, _) in STAGES.items():
        if name not in stages:
            continue
        stage = stages[name]
        if stage.get('skipped'):
            rows.append([title, stage['skipped'], *[''] * (len(columns) - 2)])
            continue
        faults = [str(stage['faults'].get(kind, 0)) for kind in _FAULTS]
        counts = [str(stage[key]) for key in ('tried', 'survived', 'refused')]
        most = [f'{stage["longest_s"]:.1f}', f'{stage["largest_mb"]:.0f}']
        measured = stage['largest_mb'] > 0
        rows.append([title, *counts, *faults, *(most if measured else ['', ''])])
    return render_table(columns, rows)


def _stage(stage: Mapping[str, Any]) -> list[str]:
    columns = ['kind', 'tried', 'survived', 'refused', 'faults']
    rows = [
        [kind, *(str(counts[key]) for key in columns[1:])]
        for kind, counts in stage['kinds'].items()
    ]
    parts = [render_table(columns, rows)] if rows else []
    if stage['examples']:
        parts.append('Faults:\n\n' + '\n'.join(f'- `{example}`' for example in stage['examples']))
    return parts
