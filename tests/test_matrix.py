"""The matrix of versions and the audit: what they find is told, and stands on their pages."""

import base64
import ctypes
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unsct_mmpose import compat

CI = Path(__file__).resolve().parents[1] / '.ci'

if not CI.is_dir():
    pytest.skip('.ci is not shipped', allow_module_level=True)


def load(name):
    sys.path.insert(0, str(CI))  # they share check_host.py
    try:
        spec = importlib.util.spec_from_file_location(name, CI / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(CI))
    return module


@pytest.fixture(scope='module')
def matrix():
    return load('matrix')


@pytest.fixture(scope='module')
def audit():
    return load('audit')


def test_every_repair_has_a_probe():
    assert set(load('probes').PROBES) == set(compat._REPAIRS)


def test_a_text_is_formatted_once_for_each_way():
    asked = []

    def format_text(text, **how):
        asked.append((text, how))
        return text.upper(), how

    remembered = load('forks').remember(format_text)
    ways = [('a', {}), ('a', {'style': {'x': 1}}), ('b', {}), ('a', {}), ('a', {'style': {'x': 1}})]
    found = [remembered(text, **how) for text, how in ways]
    assert found == [(text.upper(), how) for text, how in ways] and asked == ways[:3]


def test_the_cells_are_all_combinations_once(matrix):
    cells = matrix.cells()
    assert len({cell['name'] for cell in cells}) == len(cells) == 3 * 2 * 2 * 3 + 2 * 3
    for cell in cells:  # older ones were built for NumPy 1
        assert cell['numpy'] < '2' or tuple(map(int, cell['torch'].split('.')[:2])) >= (2, 3)
    assert {cell['mmpose'] for cell in cells} == set(matrix.MMPOSE)


def test_a_table_tells_passed_failed_not_here_and_not_run(matrix):
    names = [cell['name'] for cell in matrix.cells()[:3]]
    repair = dict(fault='', why_with='', why_without='')
    made = dict(fault='it is broken', why_with='', why_without='/tmp/a/f: a|b')
    record = {'cells': {
        names[0]: dict(status='passed', repairs={'x': repair}),
        names[1]: dict(status='failed', steps={'train': dict(status='failed', why='no')},
                       repairs={'x': dict(made, why_with='still')}),
        names[2]: dict(status='n/a', why='no Python'),
    }}  # fmt: skip
    table = matrix.table(record)
    assert '| passed | failed: train: no; x: still | n/a: no Python |' in table
    assert 'not run' in table
    assert '| x | 1 of 2 cells | 1 fail: f: a/b | 1 |' in table


def test_the_pages_say_what_the_records_hold(matrix, audit):
    for module in (matrix, audit):
        record = json.loads(module.RECORD.read_text('utf-8'))
        assert f'{module.START}\n{module.table(record)}\n{module.END}' in module.PAGE.read_text()


def test_nothing_failed_in_the_record_and_each_repair_is_needed_somewhere(matrix):
    tried = [cell for cell in json.loads(matrix.RECORD.read_text('utf-8'))['cells'].values()
             if cell['status'] != 'n/a']  # fmt: skip
    assert tried and all(cell['status'] == 'passed' for cell in tried)
    for name in compat._REPAIRS:
        found = [cell['repairs'][name] for cell in tried]
        assert not any(one['why_with'] for one in found), name
        made = [one for one in found if one['fault']]
        assert made and all(one['why_without'] for one in made), name


@pytest.mark.skipif(not all(map(shutil.which, ('gcc', 'nm', 'readelf'))), reason='needs gcc')
def test_empty_libraries_stand_in_for_those_of_cuda(matrix, tmp_path):
    """A library that needs a missing one loads, and is told that there is no device."""
    (tmp_path / 'lib').mkdir()
    (tmp_path / 'real').mkdir()
    (tmp_path / 'cuda.c').write_text('int cuDemo(void) { return 0; }')
    (tmp_path / 'cuda.map').write_text('libcudemo.so.1 { global: cuDemo; };')
    (tmp_path / 'torch.c').write_text('int cuDemo(void); int ask(void) { return cuDemo(); }')
    real, ours = tmp_path / 'real/libcudemo.so.1', tmp_path / 'lib/libtorch_demo.so'
    gcc = ['gcc', '-shared', '-fPIC', '-o']
    for words in (
        [real, f'-Wl,-soname,{real.name}', f'-Wl,--version-script={tmp_path}/cuda.map', 'cuda.c'],
        [ours, 'torch.c', real, '-Wl,-rpath,$ORIGIN'],
    ):
        subprocess.run([*gcc, *map(str, words)], check=True, cwd=tmp_path)
    real.unlink()
    assert matrix.stand_in_for_cuda(tmp_path) == ['libcudemo.so.1']
    assert ctypes.CDLL(str(ours), mode=os.RTLD_NOW).ask() == 100
    assert matrix.stand_in_for_cuda(tmp_path) == []


def test_what_is_no_exact_pin_is_found(audit):
    lines = [
        '# words',
        '-r host.txt',
        'a-b==1.0  # why',
        "A_B==2.0; python_version < '3.11'",
        'c>=1',
    ]
    assert audit.pins(lines) == ({'a-b': {'1.0', '2.0'}}, ['c>=1'])


@pytest.fixture
def package(tmp_path):
    """An installed package of two files, with the hashes of its wheel."""
    info = tmp_path / 'demo-1.0.dist-info'
    info.mkdir()
    (tmp_path / 'demo.py').write_text('good = True\n')
    digest = hashlib.sha256((tmp_path / 'demo.py').read_bytes()).digest()
    text = base64.urlsafe_b64encode(digest).rstrip(b'=').decode()
    record = f'demo.py,sha256={text},12\nother.py,sha256={text},12\ndemo-1.0.dist-info/RECORD,,\n'
    (info / 'RECORD').write_text(record)
    (info / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n'
        'Classifier: License :: OSI Approved :: MIT License\n'
    )
    shutil.copy(tmp_path / 'demo.py', tmp_path / 'other.py')
    return importlib.metadata.PathDistribution(info)


def test_changed_and_missing_files_are_found(audit, package, tmp_path):
    assert audit.changed_files(package) == (2, [])
    (tmp_path / 'demo.py').write_text('good = False\n')
    (tmp_path / 'other.py').unlink()
    assert audit.changed_files(package) == (2, ['demo.py: changed', 'other.py: missing'])


def test_licences_are_read_and_those_that_ask_for_more_are_not_called_free(audit, package):
    assert audit.licence(package.metadata) == 'MIT License'
    for free in ('MIT License', 'BSD-3-Clause', 'FreeBSD', 'Apache-2.0', 'PSF-2.0', 'MPL 2.0'):
        assert audit.FREE.search(free), free
    for other in ('GPL V3.0', 'LGPL', 'Proprietary', 'unknown', 'CC BY-NC-SA', 'AGPL-3.0'):
        assert not audit.FREE.search(other), other


def test_every_requirement_of_the_project_is_an_exact_pin(audit):
    for path in (CI.parent / 'requirements').glob('*.txt'):
        assert audit.pins(path.read_text().splitlines())[1] == [], path
