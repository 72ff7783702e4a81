"""Nothing that a folder may hold, and no disk, ends a run: each costs one line."""

import csv
import errno
import importlib
import io
import json
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest

from tests.inference.test_predict import run, write
from unsct_mmpose import files
from unsct_mmpose.dicom import read_ahead as reading
from unsct_mmpose.dicom.find_inputs import find_inputs
from unsct_mmpose.dicom.isolation import OutOfTimeError, file_clock
from unsct_mmpose.dicom.read_ahead import FileOptions
from unsct_mmpose.report.prediction import Prediction
from unsct_mmpose.report.run_files import ResultNames


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'in').mkdir()
    write(tmp_path / 'in/ok.dcm', 0)
    return tmp_path / 'in'


@pytest.fixture
def content(folder):
    """A radiograph, unlike the one that is in the folder."""
    path = write(folder.parent / 'elsewhere.dcm', 1)
    return path.read_bytes()


def place_pipe(folder, content):
    os.mkfifo(folder / 'x.dcm')


def place_socket(folder, content):
    here = os.getcwd()
    os.chdir(folder)  # the name of a socket is short
    try:
        socket.socket(socket.AF_UNIX).bind('x.dcm')
    finally:
        os.chdir(here)


def place_loop(folder, content):
    (folder / 'x.dcm').symlink_to('x.dcm')


def place_dead_link(folder, content):
    (folder / 'x.dcm').symlink_to('nowhere.dcm')


SPECIAL = [
    (place_pipe, 'named pipe', 'passed over'),
    (place_socket, 'socket', 'passed over'),
    (place_loop, 'symbolic links', 'missing'),
    (place_dead_link, 'leads nowhere', 'missing'),
]


@pytest.mark.parametrize(('place', 'words', 'found'), SPECIAL)
def test_what_is_no_file_is_never_opened(folder, content, make_backend, place, words, found):
    place(folder, content)
    result = run(make_backend(), folder, folder.parent / 'out')
    assert result.predicted == 1
    if found == 'missing':
        ((name, cause),) = result.errors
        assert name.endswith('x.dcm') and words in cause
    else:
        assert [one.name for one in result.passed_over] == ['x.dcm'] and not result.errors
    inputs = find_inputs([str(folder / 'x.dcm'), str(folder / 'ok.dcm')])
    assert [one.name for one in inputs.paths] == ['ok.dcm']
    assert words in inputs.missing[0][1]


@pytest.mark.parametrize('name', ['/dev/zero', 'x' * 5000, 'a\0b', ''], ids=lambda one: one[:9])
def test_an_argument_that_cannot_be_opened_costs_one_line(folder, make_backend, name):
    inputs = find_inputs([name, str(folder)])
    assert [one.name for one in inputs.paths] == ['ok.dcm']
    ((shown, cause),) = inputs.missing
    assert cause and '\0' not in shown


def test_links_to_folders_make_no_loop(folder, make_backend):
    (folder / 'again').symlink_to(folder)
    inputs = find_inputs([str(folder)])
    assert len(inputs.paths) == 1 and [one.name for one in inputs.passed_over] == ['again']


NAMES = [
    b'h\xe4ft.dcm',
    b'two\nlines\x1b[31m.dcm',
    b'a' * 244 + b'.dcm',
    b'a' * 251 + b'.dcm',
    'é'.encode() * 124 + b'.dcm',
    b'a\\b.dcm',
    b'x..dcm',
]


@pytest.mark.parametrize('name', NAMES, ids=lambda one: repr(one[:12]))
@pytest.mark.parametrize('whole', [True, False])
def test_any_name_gets_its_results_or_its_line(folder, content, make_backend, name, whole):
    out = folder.parent / 'out'
    with open(os.path.join(os.fsencode(folder), name), 'wb') as file:
        file.write(content if whole else content[: len(content) // 2])
    result = run(make_backend(), folder, out)
    again = run(make_backend(), folder, out)
    assert (result.predicted, again.already_there) == ((2, 2) if whole else (1, 1))
    assert len(result.errors) == (0 if whole else 1)
    assert all(name.isprintable() and cause.isprintable() for name, cause in result.errors)
    for path in out.iterdir():
        path.name.encode()
        if path.suffix in ('.json', '.csv', '.html'):
            path.read_text('utf-8')


def test_a_folder_for_results_may_have_any_name(folder, make_backend, monkeypatch):
    monkeypatch.setattr('unsct_mmpose.report.run_files.WHOLE_REPORT', 0)
    out = Path(os.fsdecode(os.fsencode(folder.parent) + b'/\xe4\n'))
    for _ in range(2):
        result = run(make_backend(), folder, out)
        assert result.exit_status == 0
        assert '<img' in (out / 'report.html').read_text()


@pytest.mark.parametrize('syntax', ['ExplicitVRLittleEndian', 'ImplicitVRLittleEndian'])
@pytest.mark.parametrize('meta', [True, False])
def test_files_without_suffix_and_preamble_are_read(folder, content, make_backend, syntax, meta):
    dataset = pydicom.dcmread(folder.parent / 'elsewhere.dcm')
    dataset.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
    if meta:
        dataset.save_as(folder / 'IM0001', enforce_file_format=True)
        (folder / 'IM0001').write_bytes((folder / 'IM0001').read_bytes()[128 + 4 :])
    else:
        implicit = syntax.startswith('Implicit')
        del dataset.file_meta
        dataset.preamble = None
        dataset.save_as(folder / 'IM0001', implicit_vr=implicit, little_endian=True)
    assert b'DICM' not in (folder / 'IM0001').read_bytes()[:140]
    (folder / 'notes').write_bytes(b'\x08\x00\x05\x00 are bytes of no header')
    result = run(make_backend(), folder, folder.parent / 'out')
    assert result.predicted == 2 and not result.errors
    assert [one.name for one in result.passed_over] == ['notes']


def full(monkeypatch, matches):
    """Let writing fail, as on a full disk, for temporary files whose target matches."""
    real = Path.open

    def opened(self, mode='r', *args, **more):
        if set(mode) & set('wx') and any(part in self.name for part in matches):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return real(self, mode, *args, **more)

    monkeypatch.setattr(Path, 'open', opened)


@pytest.mark.parametrize('suffix', ['bad.png', 'bad.json', 'bad.html'])
def test_a_full_disk_costs_a_line_for_each_file(folder, make_backend, monkeypatch, suffix):
    monkeypatch.setattr('unsct_mmpose.report.run_files.WHOLE_REPORT', 0)
    write(folder / 'bad.dcm', 1)
    out = folder.parent / 'out'
    with monkeypatch.context() as patch:
        full(patch, [suffix])
        result = run(make_backend(), folder, out)
    ((name, cause),) = result.errors
    assert result.predicted == 1 and name.endswith('bad.dcm')
    assert 'results cannot be written (No space left on device)' in cause
    with (out / 'predictions.csv').open() as file:
        assert {row['path'] for row in csv.DictReader(file)} == {'ok.dcm'}
    again = run(make_backend(), folder, out)
    assert (again.predicted, again.already_there, again.exit_status) == (1, 1, 0)


class FullText:
    """A text file on a disk with room for so many characters."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, text):
        self.room -= len(text)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)


@pytest.mark.parametrize('room', [0, 300, 20_000])
@pytest.mark.parametrize('table', ['predictions.csv', 'report.html'])
def test_tables_that_do_not_fit_are_given_up(folder, make_backend, monkeypatch, table, room):
    from contextlib import contextmanager

    from unsct_mmpose.report import run_files

    real = files.replacing_text

    @contextmanager
    def small(path):
        with real(path) as file:
            yield FullText(file, room) if path.name == table else file

    write(folder / 'more.dcm', 1)
    monkeypatch.setattr(run_files, 'replacing_text', small)
    out = folder.parent / 'out'
    result = run(make_backend(), folder, out)
    assert result.predicted == 2 and result.exit_status == 1
    ((name, cause),) = result.errors
    assert 'table and report' in name and 'No space left' in cause
    assert not list(out.glob('.*')) and not (out / table).exists()
    assert json.loads((out / 'errors.json').read_text())['errors']


def test_a_folder_that_takes_no_results_is_said_in_words(folder, make_backend):
    (folder.parent / 'file').write_text('')
    with pytest.raises(OSError, match='no results can be written there'):
        run(make_backend(), folder, folder.parent / 'file/out')


def test_results_are_tied_to_their_source(tmp_path, make_backend, monkeypatch):
    study, out = tmp_path / 'study', tmp_path / 'out'
    for seed, name in enumerate(('p1/IM0001', 'p2/IM0001', 'p2/single')):
        write(study / name, seed)
    shutil.copy(study / 'p1/IM0001', study / 'p2/copy')
    result = run(make_backend(), study, out)
    assert result.predicted == 3
    paths = {'p1_IM0001': 'p1/IM0001', 'p2_IM0001': 'p2/IM0001', 'single': 'p2/single'}
    with (out / 'predictions.csv').open() as file:
        rows = {(row['result'], row['path'], row['sha256']) for row in csv.DictReader(file)}
    expected = set()
    html = (out / 'report.html').read_text()
    for name, path in paths.items():
        sha256 = files.file_sha256(study / path)
        image = json.loads((out / f'{name}.json').read_text())['image']
        assert (image['path'], image['sha256']) == (path, sha256)
        assert (out / f'{name}.png').is_file() and path in html and sha256 in html
        expected.add((name, path, sha256))
    assert rows == expected
    (copy,) = json.loads((out / 'errors.json').read_text())['duplicates']
    assert copy['file'].endswith('p2/copy') and copy['result'] == 'p1_IM0001'


def test_a_name_stays_when_the_run_grows_and_the_path_follows(tmp_path, make_backend):
    study, out = tmp_path / 'study', tmp_path / 'out'
    write(study / 'p1/IM0001', 1)
    run(make_backend(), study / 'p1', out)
    assert json.loads((out / 'IM0001.json').read_text())['image']['path'] == 'IM0001'
    write(study / 'p2/IM0001', 2)
    result = run(make_backend(), study, out)
    assert (result.predicted, result.already_there) == (1, 1)
    for name, path in (('IM0001', 'p1/IM0001'), ('p2_IM0001', 'p2/IM0001')):
        assert json.loads((out / f'{name}.json').read_text())['image']['path'] == path


def test_names_never_meet_whatever_the_order(tmp_path):
    paths = ['a/b_x', 'a_b/x', 'a/b/x', 'x', 'X', 'a/x.dcm', 'errors', 'b/errors']
    for order in (paths, paths[::-1]):
        names = ResultNames(tmp_path, order)
        given = [names.name(path, f'{k:064x}')[0].lower() for k, path in enumerate(order)]
        assert len(set(given)) == len(paths) and 'errors' not in given


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        (['s'], {'p1/x', 'p2/x'}),
        (['s/p1', 's/p2'], {'p1/x', 'p2/x'}),
        (['s/p1/x', 's/p2/x'], {'p1/x', 'p2/x'}),
        (['s/*/x'], {'p1/x', 'p2/x'}),
        (['s/p1'], {'x'}),
        (['s/p1/x'], {'x'}),
        (['s/p[1]/x'], {'p1/x'}),
    ],
)
def test_paths_start_at_what_holds_all_that_was_given(tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        write(tmp_path / f's/p{seed}/x', seed)
    inputs = find_inputs(arguments)
    assert {inputs.relative(path) for path in inputs.paths} == expected


def test_a_file_that_takes_too_long_to_read_costs_its_line(folder, make_backend, monkeypatch):
    monkeypatch.setenv('UNSCT_FILE_SECONDS', '900')
    write(folder / 'slow.dcm', 1)
    real = reading.read_radiograph

    def read(path, **given):
        if path.name == 'slow.dcm':  # its time is over now, that of the other never
            signal.setitimer(signal.ITIMER_REAL, 0.01, 1.0)
        while path.name == 'slow.dcm':
            try:
                time.sleep(30)
            except Exception:
                continue
        return real(path, **given)

    monkeypatch.setattr(reading, 'read_radiograph', read)
    result = run(make_backend(), folder, folder.parent / 'out')
    ((name, cause),) = result.errors
    assert result.predicted == 1 and name.endswith('slow.dcm')
    assert cause == 'it takes longer than 900 s (UNSCT_FILE_SECONDS)'


@pytest.mark.parametrize(
    'step', ['inference.predict.file_sha256', 'report.writers.overlay.draw_prediction']
)
def test_so_does_one_that_takes_too_long_elsewhere(folder, make_backend, monkeypatch, step):
    monkeypatch.setenv('UNSCT_FILE_SECONDS', '0.3')
    monkeypatch.setattr(f'unsct_mmpose.{step}', lambda *_: time.sleep(30))
    ((_, cause),) = run(make_backend(), folder, folder.parent / 'out').errors
    assert 'it takes longer than 0.3 s' in cause


HANGER = """
import os
from unsct_mmpose.dicom import read_ahead

def read(path, options):
    real = read_ahead.read_radiograph
    if path.name == 'hangs':  # in C, with the lock that all of Python needs
        read_ahead.read_radiograph = lambda *_, **__: sum(range(10**13))
        read_ahead._GRACE_SECONDS = 0.2
        os.environ['UNSCT_FILE_SECONDS'] = '0.2'
    try:
        return read_ahead.read_file(path, options)
    finally:
        read_ahead.read_radiograph = real
"""


def test_a_decoder_that_hangs_in_c_is_ended_with_its_process(tmp_path, monkeypatch):
    (tmp_path / 'hanger.py').write_text(HANGER)
    monkeypatch.setattr(sys, 'path', [str(tmp_path), *sys.path])
    hanger = importlib.import_module('hanger')
    paths = [tmp_path / 'hangs', tmp_path / 'gone']
    files = list(reading.work_ahead(paths, _Bound(hanger.read), reading._read_killed, 1))
    assert [file.path for file in files] == paths
    assert 'takes too long' in files[0].cause and 'no such file' in files[1].cause


class _Bound:
    """A function with the usual options, which can be pickled."""

    def __init__(self, work):
        self.work = work

    def __call__(self, path):
        return self.work(path, FileOptions())


def test_the_clock_leaves_that_of_others_as_it_was(monkeypatch):
    rang = []
    monkeypatch.setenv('UNSCT_FILE_SECONDS', '0.1')
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 900, 7)
        with pytest.raises(OutOfTimeError), file_clock():
            time.sleep(30)
        left, interval = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left < 899.95 and interval == 7  # its 0.1 s have passed there too
        signal.raise_signal(signal.SIGALRM)
        assert rang == [1]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def contents(report):
    dataset = pydicom.dcmread(io.BytesIO(report))
    changing = ('DA', 'TM', 'DT', 'UI')
    return [str(one.value) for one in dataset.iterall() if one.VR not in (*changing, 'SQ')]


def test_structured_reports_are_completed_by_the_next_run(folder, make_backend, monkeypatch):
    pytest.importorskip('highdicom')
    from unsct_mmpose.report import structured_report

    write(folder / 'more.dcm', 1)
    out, backend = folder.parent / 'out', make_backend()
    assert run(backend, folder, out).reports == 0
    with monkeypatch.context() as patch:

        def fail(*_):
            raise KeyError('of a library')

        patch.setattr(structured_report, 'report_prediction', fail)
        failed = run(backend, folder, out, structured_report=True)
    assert (failed.predicted, failed.already_there, failed.reports) == (0, 2, 0)
    assert len(failed.report_errors) == 2 and not failed.errors and failed.exit_status == 1
    noted = json.loads((out / 'errors.json').read_text())
    assert len(noted['structured_reports']) == 2 and not noted['errors']
    done = run(backend, folder, out, structured_report=True)
    assert (done.predicted, done.already_there, done.reports, done.exit_status) == (0, 2, 2, 0)
    late = (out / 'more.sr.dcm').read_bytes()
    (out / 'more.sr.dcm').unlink()
    again = run(backend, folder, out, structured_report=True)
    assert (again.already_there, again.reports) == (2, 1)
    at_once = run(backend, folder, out, structured_report=True, overwrite=True)
    assert (at_once.predicted, at_once.reports) == (2, 2)
    assert contents(late) == contents((out / 'more.sr.dcm').read_bytes())
    run(backend, folder, out, overwrite=True)
    assert not list(out.glob('*.sr.dcm'))  # none that belongs to another prediction


def test_identity_is_kept_where_it_was_asked_for_and_nowhere_else(tmp_path, make_backend):
    pytest.importorskip('highdicom')
    study, out = tmp_path / 'study', tmp_path / 'out'
    write(study / 'named.dcm', 1, patient_id='secret-7')
    write(study / 'nobody.dcm', 2, patient_id='')
    dataset = pydicom.dcmread(study / 'nobody.dcm')
    dataset.AccessionNumber, dataset.PatientName = 'secret-7', ''
    dataset.save_as(study / 'nobody.dcm')
    cv2.imwrite(str(study / 'picture.png'), np.full((40, 43), 90, np.uint8))

    def kept(keep):
        options = dict(read=FileOptions(keep_identity=keep), structured_report=True)
        result = run(make_backend(), study, out, **options)
        holders = {path.name for path in out.iterdir() if b'secret-7' in path.read_bytes()}
        return result, holders

    result, holders = kept(True)
    assert result.predicted == 3 and not result.report_errors
    assert holders == {'named.json', 'named.sr.dcm', 'nobody.sr.dcm'}
    document = json.loads((out / 'picture.json').read_text())
    assert document['patient'] == {}
    assert Prediction.from_dict(document).patient == {}
    assert kept(True)[0].already_there == 3
    result, holders = kept(False)
    assert result.predicted == 3 and not holders
    assert kept(False)[0].already_there == 3
