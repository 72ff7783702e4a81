"""Try the plug-in on every MMPose, NumPy, PyTorch and Python that it is for; CPU alone.

matrix.py [--cells PATTERN] [--again]   run the cells that the record lacks, one after the other
matrix.py --page                        write the recorded table into docs/results/versions.md

A cell is named such as '3.10 torch-oldest numpy-1.26 mmpose-1.1.0'. Each runs in an environment of
its own: import, a training, a test, a prediction, the tests of compat.py and of hostile
checkpoints, and the probes of its repairs (probes.py). PyPI's PyTorch for CUDA is installed
without CUDA's 2 GB of libraries: empty ones, made by gcc, stand in for them, which nothing calls
on a CPU.
"""

from __future__ import annotations

import argparse
import collections
import fnmatch
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from check_host import MMCV, ROOT, STEPS, Host, Step, put_between, say

RECORD = ROOT / 'docs' / 'results' / 'matrix.json'
PAGE = ROOT / 'docs' / 'results' / 'versions.md'
START, END = '<!-- table of matrix.json -->', '<!-- end of table -->'

PYTHONS = ('3.10', '3.11', '3.12')
MMPOSE = ('1.1.0', '1.2.0', '1.3.2')
NUMPY = {'1.26': '1.26.4', '2': '2.4.6'}
NUMPY_OF = {('3.10', '2'): '2.2.6'}
"""The newest of a Python for which NumPy 2.4 is too new."""
OLDEST = {
    ('3.10', '1.26'): '2.0.1', ('3.11', '1.26'): '2.0.1', ('3.12', '1.26'): '2.2.2',
    ('3.10', '2'): '2.3.1', ('3.11', '2'): '2.3.1', ('3.12', '2'): '2.3.1',
}  # fmt: skip
"""Older than 2.0 is not meant to work, 2.2 is the first for Python 3.12, and 2.3 the first that was
built for NumPy 2."""
PINNED = '2.13.0'
NEWEST = {'3.10': '2.14.1', '3.11': '2.15.0', '3.12': '2.15.0'}
OURS = ('pydicom', 'pycocotools', 'scipy', 'shtab', 'six', 'tqdm', 'jinja2', 'albumentations',
        'pytest')  # fmt: skip
PURE = ('typing_extensions', 'filelock', 'sympy', 'networkx', 'jinja2', 'fsspec')
"""What PyTorch needs of Python on a CPU."""


CELL_STEPS = (
    Step('import', '', '{python} import.py', says='registered'),
    *(step for step in STEPS if step.quick and step.options in (
        '--work-dir', '--work-dir --out --dump --show-dir --cfg-options')),
    Step('predict', '', '{python} {ours}/tools/predict.py tiny.py run/epoch_1.pth'
         ' twins/images/a/hip.dcm --out predicted --quiet --no-report', {'predicted/hip*.json': 1}),
    Step('compat tests', '', '{python} compat_tests.py', says=' passed'),
)  # fmt: skip
COMPAT_TESTS = """
import pytest, sys
sys.path.insert(0, {root!r})
names = 'compat', 'plain_pickles', 'hostile_checkpoints'
sys.exit(int(pytest.main(['-q', '-x', '-p', 'no:cacheprovider', '--rootdir', {root!r},
                          *({root!r} + f'/tests/test_{{name}}.py' for name in names)])))
"""


def cells() -> list[dict[str, str]]:
    """Return all cells, those that share an environment side by side."""
    listed = []
    for python, kind, numpy, mmpose in itertools.product(
        PYTHONS, ('oldest', 'pinned', 'newest'), NUMPY, MMPOSE
    ):
        if kind == 'pinned' and python != '3.11':  # the project's own environment
            continue
        torch = dict(oldest=OLDEST[python, numpy], pinned=PINNED, newest=NEWEST[python])[kind]
        listed.append(
            dict(
                name=f'{python} torch-{kind} numpy-{numpy} mmpose-{mmpose}',
                python=python, torch=torch, numpy=NUMPY_OF.get((python, numpy), NUMPY[numpy]),
                mmpose=mmpose,
            )
        )  # fmt: skip
    return listed


def find_python(version: str) -> str | None:
    """Return an interpreter of a version, of pyenv or the path."""
    known = sorted(Path('~/.pyenv/versions').expanduser().glob(f'{version}.*/bin/python'))
    return str(known[-1]) if known else shutil.which(f'python{version}')


def make_base(place: Path, cell: dict[str, str], args: argparse.Namespace) -> Path:
    """Make an environment for all cells of a Python and a PyTorch; return its interpreter.

    Raises:
        RuntimeError: it cannot be made here; the message says why.
    """
    python = find_python(cell['python'])
    if python is None:
        raise RuntimeError(f'no Python {cell["python"]} here')
    if cell['torch'] == PINNED and args.here:
        return Path(sys.executable)
    host = place / 'bin' / 'python'
    if (place / '.finished').is_file():
        return host
    if not (place / '.torch').is_file():
        shutil.rmtree(place, ignore_errors=True)
        run([python, '-m', 'venv', str(place)])
        pip_install(host, args, '--no-deps', f'torch=={cell["torch"]}')
        (folder,) = place.glob('lib/python*/site-packages/torch')
        stand_in_for_cuda(folder)
        (place / '.torch').touch()
    pinned = [line.split('#')[0].strip() for line in
              (ROOT / 'requirements' / 'host.txt').read_text().splitlines()]  # fmt: skip
    names = {re.split(r'[=;]', line)[0] for line in pinned if line} - {'torch', 'numpy'}
    pip_install(host, args, *sorted(names), *OURS, *PURE, f'numpy=={NUMPY["1.26"]}')
    pip_install(host, args, '--no-deps', 'mmengine==0.10.7')
    (place / '.finished').touch()
    return host


def add_cell(host: Path, cell: dict[str, str], place: Path, args: argparse.Namespace) -> Path:
    """Install what differs between the cells of an environment; return the folder of it."""
    folder = place / f'numpy{cell["numpy"]}_mmpose{cell["mmpose"]}_{cell["python"]}'
    if not folder.is_dir():
        mmcv = f'mmcv-lite=={MMCV.get(cell["mmpose"], MMCV[""])}'
        temporary = folder.with_suffix('.tmp')
        shutil.rmtree(temporary, ignore_errors=True)
        pip_install(host, args, '--no-deps', '--target', str(temporary), mmcv,
                    f'mmpose=={cell["mmpose"]}', f'numpy=={cell["numpy"]}')  # fmt: skip
        temporary.rename(folder)
    return folder


def pip_install(host: Path, args: argparse.Namespace, *words: str) -> None:
    """Install packages as wheels, which nothing is compiled of."""
    pip = [str(host), '-m', 'pip', '--quiet', '--disable-pip-version-check', 'install']
    run([*pip, '--no-compile', '--only-binary', ':all:', *args.pip_args, *words])


def run(command: list[str]) -> str:
    """Run a command of the set-up; return what it prints.

    Raises:
        RuntimeError: it fails; with the last line of what it says.
    """
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise RuntimeError(f'{shlex.join(command[-3:])}: {lines[-1] if lines else "failed"}')
    return done.stdout


def stand_in_for_cuda(torch: Path) -> list[str]:
    """Write empty libraries beside PyTorch's in the place of those of CUDA that are missing.

    Every function in them answers cudaErrorNoDevice.

    Args:
        torch: folder of the package.

    Returns:
        The names of the libraries.
    """
    libraries = [*torch.glob('lib/*.so*'), *torch.glob('_C*.so')]
    needed: set[str] = set()
    symbols: dict[str, set[str]] = collections.defaultdict(set)
    owners: dict[str, str] = {}
    for library in libraries:
        needed |= set(re.findall(r'NEEDED.*\[(.*)\]', run(['readelf', '-dW', str(library)])))
        owner = ''
        versions = run(['readelf', '-VW', str(library)])
        for file, version in re.findall(r'File: (\S+)|Name: (\S+)', versions):
            owner = file or owner
            if version:
                owners[version] = owner
        unknown = run(['nm', '-D', '--undefined-only', str(library)])
        for symbol, version in re.findall(r' [Uw] ([^@\s]+)@*(\S*)$', unknown, re.MULTILINE):
            symbols[version].add(symbol)
    here = {path.name for path in libraries}
    missing = sorted(name for name in needed - here if re.match(r'lib(cu|nv|nccl)', name))
    loose = {symbol for symbol in symbols[''] if re.match(r'(__)?(cu|nv|nccl)', symbol)}
    for number, library in enumerate(missing):
        own = {version: symbols[version] for version, file in owners.items() if file == library}
        _compile(torch / 'lib' / library, own, set() if number else loose)
    return missing


def _compile(library: Path, symbols: dict[str, set[str]], loose: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, script = Path(folder) / 'empty.c', Path(folder) / 'versions.map'
        names = sorted(loose.union(*symbols.values()))
        source.write_text(''.join(f'int {name}(void) {{ return 100; }}\n' for name in names))
        script.write_text(''.join(
            f'{version} {{ global: {"; ".join(sorted(own))}; }};\n'
            for version, own in symbols.items()
        ))  # fmt: skip
        run(['gcc', '-w', '-fno-builtin', '-shared', '-fPIC', f'-Wl,-soname,{library.name}',
             *([f'-Wl,--version-script={script}'] if symbols else []),
             '-o', str(library), str(source)])  # fmt: skip


def try_cell(
    python: Path, packages: Path, cell: dict[str, str], place: Path, args: argparse.Namespace
) -> dict[str, Any]:
    """Run the steps and the probes of a cell in a folder; return its row of the record."""
    host = Host(python, place, here=True, first=(packages,))
    try:
        host.prepare(None, 'unsct_hrnet_tha.py', '')
        (place / 'import.py').write_text('import unsct_mmpose.register\nprint("registered")\n')
        (place / 'compat_tests.py').write_text(COMPAT_TESTS.format(root=str(ROOT)))
        steps = {}
        for step in CELL_STEPS:
            steps[step.tool] = host.do(step, args.seconds)
            print(f'  {step.tool}: {steps[step.tool]}', flush=True)
        versions = host.versions()
        repairs = probe_repairs(host, args.seconds)
    finally:
        host.close()
    row = dict(cell, versions=versions, steps=steps, repairs=repairs)
    good = all(one['status'] == 'passed' for one in steps.values())
    good &= all(not one['why_with'] for one in repairs.values())
    return dict(row, status='passed' if good else 'failed')


def probe_repairs(host: Host, seconds: float) -> dict[str, dict[str, str]]:
    """Run the probe of each repair with all of them, and without each that was made."""

    def ask(*arguments: str) -> dict[str, Any]:
        done = host.run_script(str(ROOT / '.ci' / 'probes.py'), list(arguments), seconds)
        lines = [line for line in done.stdout.splitlines() if line.startswith('{"repairs"')]
        if not lines:
            last = (done.stdout.strip() or f'exit status {done.returncode}').splitlines()[-1]
            return dict(repairs={}, why={name: last[:200] for name in arguments[1:]})
        return json.loads(lines[-1])

    whole = ask()
    rows = {}
    for name, why in whole['why'].items():
        fault = whole['repairs'].get(name)
        without = ask('--without', name)['why'][name] if fault else ''
        rows[name] = dict(fault=fault or '', why_with=why, why_without=without)
        print(f'  {name}: {"repaired" if fault else "healthy"} {why} {without}', flush=True)
    return rows


def table(record: dict[str, Any]) -> str:
    """Return the tables of a record: the cells, then what each repair was found to be."""
    lines = ['| Python | torch | numpy | ' + ' | '.join(f'MMPose {one}' for one in MMPOSE) + ' |',
             '|---|---|---|' + '---|' * len(MMPOSE)]  # fmt: skip
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for cell in cells():
        found = record['cells'].get(cell['name'], {})
        key = cell['python'], cell['torch'], cell['numpy']
        rows.setdefault(key, {})[cell['mmpose']] = _words(found)
    lines += [
        f'| {" | ".join([*key, *(row[one] for one in MMPOSE)])} |' for key, row in rows.items()
    ]
    lines += ['', '| repair | made in | without it | not needed in |', '|---|---|---|---|']
    tried = [cell for cell in record['cells'].values() if cell.get('repairs')]
    names = dict.fromkeys(name for cell in tried for name in cell['repairs'])
    for name in names:
        found = [cell['repairs'][name] for cell in tried if name in cell['repairs']]
        made = [one for one in found if one['fault']]
        fails = [one['why_without'] for one in made if one['why_without']]
        why = re.sub('/[^ ]*/', '', fails[0]) if fails else ''  # without folders of that run
        words = f'{len(fails)} fail: {why}' if fails else 'nothing fails'
        lines.append(f'| {name} | {len(made)} of {len(found)} cells | {words.replace("|", "/")} | '
                     f'{len(found) - len(made)} |')  # fmt: skip
    return '\n'.join(lines)


def _words(cell: dict[str, Any]) -> str:
    if not cell:
        return 'not run'
    if cell['status'] == 'passed':
        return 'passed'
    steps = {**cell.get('steps', {}), **{name: dict(status='failed', why=one['why_with'])
             for name, one in cell.get('repairs', {}).items() if one['why_with']}}  # fmt: skip
    bad = [f'{name}: {one["why"]}' for name, one in steps.items() if one['status'] == 'failed']
    return f'{cell["status"]}: {"; ".join(bad) or cell.get("why", "")}'.replace('|', '/')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--cells', default='*', metavar='PATTERN', help='those whose names match')
    add('--again', action='store_true', help='run what the record has, too')
    add('--here', action='store_true',
        help="this interpreter's own environment for the pinned PyTorch")  # fmt: skip
    add('--place', type=Path, help='folder for the environments, kept for a later run')
    add('--pip-args', type=shlex.split, default=[], help='in one string')
    add('--seconds', type=float, default=900, help='limit of each step')
    add('--record', type=Path, default=RECORD)
    add('--page', action='store_true', help='write the page from the json')
    return parser.parse_args()


def main() -> int:
    """Run cells; return 1 when one failed."""
    args = parse_args()
    record = json.loads(args.record.read_text('utf-8')) if args.record.is_file() else {'cells': {}}
    if args.page:
        put_between(PAGE, START, END, table(record))
        return 0
    place = args.place or Path(tempfile.mkdtemp(prefix='matrix_'))
    place.mkdir(parents=True, exist_ok=True)
    os.environ['PIP_CONSTRAINT'] = os.devnull  # a machine's own cap on versions
    os.environ.pop('PYTHONDONTWRITEBYTECODE', None)  # else a cell compiles all, 15 times over
    os.environ['PYTHONPYCACHEPREFIX'] = str(place / 'compiled')
    for cell in cells():
        name = cell['name']
        if not fnmatch.fnmatch(name, args.cells) or (name in record['cells'] and not args.again):
            continue
        say(name)
        begin = time.monotonic()
        try:
            base = place / f'python{cell["python"]}_torch{cell["torch"]}'
            host = make_base(base, cell, args)
            packages = add_cell(host, cell, place, args)
        except RuntimeError as error:
            row = dict(cell, status='n/a', why=str(error)[:300])
        else:
            folder = place / f'cell_{os.getpid()}'
            folder.mkdir(exist_ok=True)
            row = try_cell(host, packages, cell, folder, args)
            if (folder / 'failed.txt').is_file():
                shutil.copy(folder / 'failed.txt', place / f'{name.replace(" ", "_")}.txt')
            for path in folder.iterdir():  # the phantoms serve the next cell, too
                if path.name != 'phantom':
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        row.update(seconds=round(time.monotonic() - begin),
                   date=time.strftime('%Y-%m-%d', time.gmtime()))  # fmt: skip
        print(f'{row["status"]}: {_words(row)}', flush=True)
        if args.record.is_file():  # another process may have added to it
            record = json.loads(args.record.read_text('utf-8'))
        record['cells'][name] = row
        args.record.write_text(json.dumps(record, indent=1, sort_keys=True) + '\n', 'utf-8')
    if not args.place:
        shutil.rmtree(place, ignore_errors=True)
    bad = [cell for cell in record['cells'].values() if cell['status'] == 'failed']
    say(f'{len(record["cells"])} of {len(cells())} cells tried, {len(bad)} failed')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
