"""Audit what the project depends on, without a network: pins, files, licences.

audit.py          check this environment; write docs/results/audit.json and the page beside it
audit.py --check  check only; exit status 1 when something is wrong

Known vulnerabilities need an advisory service: `pip-audit` asks one (SECURITY.md).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.metadata
import json
import platform
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from check_host import ROOT, put_between

RECORD = ROOT / 'docs' / 'results' / 'audit.json'
PAGE = ROOT / 'docs' / 'results' / 'dependencies.md'
START, END = '<!-- table of audit.json -->', '<!-- end of table -->'

UNPINNED = ('pip', 'unsct-mmpose')
FREE = re.compile(
    r'\b(MIT|(Free)?BSD|Apache|PSF|Python Software Foundation|ISC|MPL|Mozilla|HPND|CMU|Unlicense|'
    r'Zlib|CC0|0BSD|NCSA|BSL)\b',
    re.IGNORECASE,
)
JUDGED = {
    'pylibjpeg-libjpeg': 'GPL-3.0; installed by the extra [dicom] and for tests, pydicom calls it; '
    'not shipped with this package',
}
"""Licences that ask for more than naming the authors, and why each is here nevertheless."""


def pins(lines: Iterable[str]) -> tuple[dict[str, set[str]], list[str]]:
    """Return the pinned versions by name, and what is no exact pin."""
    exact: dict[str, set[str]] = {}
    loose = []
    for line in lines:
        words = line.split('#')[0].split(';')[0].strip()
        if not words or words.startswith('-'):
            continue
        match = re.fullmatch(r'([\w.-]+)==([\w.+!-]+)', words)
        if match:
            exact.setdefault(canonical(match[1]), set()).add(match[2])
        else:
            loose.append(words)
    return exact, loose


def canonical(name: str) -> str:
    """Return a name as the index compares it."""
    return re.sub(r'[-_.]+', '-', name).lower()


def licence(metadata: Any) -> str:
    """Return what a distribution says of its licence, in one line."""
    words = [entry.split(' :: ')[-1] for entry in metadata.get_all('Classifier') or ()
             if entry.startswith('License :: ') and entry != 'License :: OSI Approved']  # fmt: skip
    text = metadata.get('License-Expression') or '; '.join(words) or metadata.get('License') or ''
    return ' '.join(text.split())[:80] or 'unknown'


def changed_files(distribution: importlib.metadata.Distribution) -> tuple[int, list[str]]:
    """Compare installed files with the hashes of the wheel they came from.

    Returns:
        How many were compared, and which differ or are missing.
    """
    compared, bad = 0, []
    for file in distribution.files or ():
        if file.hash is None or file.hash.mode != 'sha256':
            continue
        compared += 1
        try:
            digest = hashlib.sha256(Path(file.locate()).read_bytes()).digest()
        except OSError:
            bad.append(f'{file}: missing')
            continue
        if base64.urlsafe_b64encode(digest).rstrip(b'=').decode() != file.hash.value:
            bad.append(f'{file}: changed')
    return compared, bad


def audit() -> dict[str, Any]:
    """Return a row for each installed package, and all that is wrong."""
    lines = [line for path in sorted((ROOT / 'requirements').glob('*.txt'))
             for line in path.read_text().splitlines()]  # fmt: skip
    pinned, loose = pins(lines)
    wrong = [f'requirements: {words} is no exact pin' for words in loose]
    rows = []
    for distribution in importlib.metadata.distributions():
        name, version = canonical(distribution.metadata['Name']), distribution.version
        if name in UNPINNED:
            continue
        words = licence(distribution.metadata)
        compared, bad = changed_files(distribution)
        wrong += [f'{name}: {text}' for text in bad[:5]]
        if version.split('+')[0] not in pinned.get(name, {}):
            wrong.append(f'{name} {version}: pinned is {sorted(pinned.get(name, ["nothing"]))}')
        if not FREE.search(words) and name not in JUDGED:
            wrong.append(f'{name}: licence {words}: to be judged')
        rows.append(dict(name=name, version=version, licence=words, files=compared,
                         note=JUDGED.get(name, '')))  # fmt: skip
    rows.sort(key=lambda row: row['name'])
    return dict(
        date=time.strftime('%Y-%m-%d', time.gmtime()), python=platform.python_version(),
        packages=rows, wrong=wrong,
    )  # fmt: skip


def table(record: dict[str, Any]) -> str:
    """Return a record in Markdown."""
    rows = record['packages']
    lines = [
        f'{record["date"]}, Python {record["python"]}: {len(rows)} packages, '
        f'{sum(row["files"] for row in rows)} files as in their wheels, '
        f'{len(record["wrong"])} findings.',
        *(f'- {text}' for text in record['wrong']),
        '',
        '| package | version | licence | note |',
        '|---|---|---|---|',
    ]
    lines += [
        f'| {row["name"]} | {row["version"]} | {row["licence"].replace("|", "/")} | {row["note"]} |'
        for row in rows
    ]
    return '\n'.join(lines)


def main() -> int:
    """Audit; return 1 when something is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--check', action='store_true', help='write nothing')
    args = parser.parse_args()
    record = audit()
    if not args.check:
        RECORD.write_text(json.dumps(record, indent=1) + '\n', 'utf-8')
        put_between(PAGE, START, END, table(record))
    print('\n'.join(record['wrong']) or f'{len(record["packages"])} packages as they should be')
    return 1 if record['wrong'] else 0


if __name__ == '__main__':
    sys.exit(main())
