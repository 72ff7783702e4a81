"""A run over files: every one gets its results or a cause, once, whatever else happens."""

import csv
import gc
import importlib
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from jsonschema import Draft202012Validator
from pydicom.data import get_testdata_file

from unsct_mmpose.dicom import RadiographError, read_radiograph
from unsct_mmpose.dicom import read_ahead as decoding
from unsct_mmpose.dicom.find_inputs import find_inputs
from unsct_mmpose.dicom.read_ahead import FileOptions, read_ahead
from unsct_mmpose.dicom.writer import write_radiograph
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES
from unsct_mmpose.inference import predict as predict_module
from unsct_mmpose.inference.inferencer import Inferencer, open_source
from unsct_mmpose.inference.predict import PredictOptions, predict_files, predict_one
from unsct_mmpose.report import run_files
from unsct_mmpose.report.prediction import prediction_schema
from unsct_mmpose.report.writers.table import COLUMNS

QUIET = dict(jobs=0, progress=False)


def write(path: Path, seed=0, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 4095, (40, 43), dtype=np.uint16)
    known = dict(spacing_xy_mm=(2.0, 2.0), magnification=1.2, source_detector_mm=1150.0)
    changes = {'patient_id': 'nobody', **changes}
    write_radiograph(path, pixels, uid_seed=str(seed), **known, **changes)
    return path


@pytest.fixture
def study(tmp_path):
    """Two DICOM files with one stem, a picture, a damaged file, notes, and an empty file."""
    root = tmp_path / 'study'
    write(root / 'a/hip.dcm', 1, patient_id='secret-1')
    write(root / 'b/hip.dcm', 2, patient_id='secret-2')
    cv2.imwrite(str(root / 'picture.png'), np.full((40, 43), 90, np.uint8))
    content = (root / 'a/hip.dcm').read_bytes()
    (root / 'cut.dcm').write_bytes(content[: len(content) // 2])
    (root / 'notes.txt').write_text('not an image')
    return root


def run(backend, study, out, **options):
    inputs = find_inputs([str(study)], leave_out=out)
    return predict_files(backend, inputs, out, PredictOptions(**(QUIET | options)))


def test_every_file_gets_its_results_or_a_cause(study, tmp_path, make_backend):
    out = tmp_path / 'out'
    result = run(make_backend(), study, out)
    assert (result.predicted, result.already_there, result.exit_status) == (3, 0, 1)
    ((name, cause),) = result.errors
    assert name.endswith('cut.dcm') and 'cut off' in cause
    assert [path.name for path in result.passed_over] == ['notes.txt']
    errors = json.loads((out / 'errors.json').read_text())
    assert errors['errors'] == [{'file': name, 'cause': cause}]
    documents = sorted(path for path in out.glob('*.json') if path.name != 'errors.json')
    assert len(documents) == 3
    for path in documents:
        document = json.loads(path.read_text())
        Draft202012Validator(prediction_schema()).validate(document)
        assert cv2.imread(str(path.with_suffix('.png'))) is not None
    hips = {json.loads(p.read_text())['image']['sha256'] for p in documents if 'hip' in p.name}
    assert len(hips) == 2
    assert not list(out.glob('.*'))


def test_the_model_reads_the_next_batch_while_results_are_written(
    study, tmp_path, make_backend, monkeypatch
):
    second, write_result = threading.Event(), predict_module._Run._write

    class Backend(make_backend):
        def infer(self, images):
            if self.batches:
                second.set()
            return super().infer(images)

    def write_later(run, read, prediction):
        assert second.wait(20), 'the model waits for the writer'
        write_result(run, read, prediction)

    monkeypatch.setattr(predict_module._Run, '_write', write_later)
    result = run(Backend(), study, tmp_path / 'out', batch_size=2)
    assert result.predicted == 3 and second.is_set()


def test_the_table_has_a_row_for_each_landmark_and_measurement(study, tmp_path, make_backend):
    run(make_backend(), study, tmp_path / 'out')
    with (tmp_path / 'out/predictions.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 3 * (24 + len(MEASUREMENT_NAMES))
    picture = [row for row in rows if row['image'] == 'picture.png']
    assert {row['value'] for row in picture} == {''}
    measured = [row for row in rows if row['image'] == 'hip.dcm' and row['kind'] == 'measurement']
    assert all(float(row['low']) < float(row['value']) < float(row['high']) for row in measured)


def test_the_models_thread_ends_with_what_it_works_for(study, tmp_path, make_backend):
    def of_models():
        gc.collect()
        return {thread for thread in threading.enumerate() if thread.name == 'background'}

    before = of_models()
    run(make_backend(), study, tmp_path / 'out')
    Inferencer(make_backend(), batch_size=1)([study / 'a/hip.dcm', study / 'b/hip.dcm'])
    for thread in of_models() - before:
        thread.join(20)
        assert not thread.is_alive()


def test_a_program_that_ends_while_a_thread_is_in_c_ends_as_it_wants_to():
    program = (
        'import sys, cv2, numpy as np\n'
        'from unsct_mmpose.inference.inferencer import Background\n'
        'image, thread = np.zeros((300, 300), np.uint16), Background()\n'
        'def blur():\n'
        '    for _ in range(300): cv2.GaussianBlur(image, (31, 31), 0)\n'
        '    print("whole")\n'
        '[thread.submit(blur) for _ in range(1000)][0].result()\n'
        'sys.exit(7)\n'
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (7, '')
    assert 1 <= done.stdout.count('whole') < 10  # what has not begun is not waited for


def test_what_a_program_asks_for_when_it_has_ended_is_refused():
    program = (
        'import atexit, numpy as np\n'
        'def late():\n'
        '    try: Inferencer(FakeBackend())(np.zeros((40, 43), np.uint8))\n'
        '    except RuntimeError as error: print(error)\n'
        'atexit.register(late)\n'  # what was registered first comes last
        'from tests.fake_backend import FakeBackend\n'
        'from unsct_mmpose.inference.inferencer import Inferencer\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, '')
    assert 'this process ends' in done.stdout


def test_what_a_long_run_finds_in_its_turn_is_read_once(study, tmp_path, make_backend, monkeypatch):
    monkeypatch.setattr(run_files, 'WHOLE_REPORT', 0)
    (study / 'cut.dcm').unlink()  # what comes after it would wait for it
    run(make_backend(), study, tmp_path / 'out')
    read, read_result = [], predict_module.read_result
    monkeypatch.setattr(
        predict_module, 'read_result', lambda path: read.append(path) or read_result(path)
    )
    assert run(make_backend(), study, tmp_path / 'out').already_there == 3
    assert len(read) == len(set(read)) == 3


@pytest.mark.parametrize('short', [True, False])
def test_the_order_of_the_table_is_that_of_the_files_whatever_was_there(
    study, tmp_path, make_backend, monkeypatch, short
):
    if not short:
        monkeypatch.setattr(run_files, 'WHOLE_REPORT', 0)
    out = tmp_path / 'out'
    run(make_backend(), study, out)
    table = (out / 'predictions.csv').read_text()
    links = re.findall(r'href="([^"]+json)"', (out / 'report.html').read_text())
    assert len(links) == 3
    first = out / links[0]
    first.unlink()  # the others are known to be there before it is predicted again
    result = run(make_backend(), study, out, batch_size=1)
    assert (result.predicted, result.already_there) == (1, 2)
    assert (out / 'predictions.csv').read_text() == table
    assert re.findall(r'href="([^"]+json)"', (out / 'report.html').read_text()) == links


def test_no_identity_leaves_the_file_unless_it_is_asked_for(study, tmp_path, make_backend):
    out = tmp_path / 'out'
    run(make_backend(), study, out)
    for path in out.iterdir():
        assert b'secret' not in path.read_bytes(), path.name
    run(make_backend(), study, out, read=FileOptions(keep_identity=True))
    holders = {path.suffix for path in out.iterdir() if b'secret' in path.read_bytes()}
    assert holders == {'.json'}
    run(make_backend(), study, out)
    assert not [path.name for path in out.iterdir() if b'secret' in path.read_bytes()]


def test_a_frame_is_chosen_noted_and_predicted_again_when_another_is(tmp_path, make_backend):
    study, out = tmp_path / 'study', tmp_path / 'out'
    study.mkdir()
    shutil.copy(get_testdata_file('SC_rgb_rle_2frame.dcm'), study / 'two.dcm')

    def frame(number):
        result = run(make_backend(), study, out, read=FileOptions(frame=number))
        return result, json.loads((out / 'two.json').read_text()) if result.predicted else None

    result, _ = frame(None)
    ((_, cause),) = result.errors
    assert '2 frames' in cause and '--frame' in cause and result.exit_status == 2
    for number in (1, 0):
        result, document = frame(number)
        assert result.predicted == 1 and document['image']['provenance']['frame'] == number
    result, _ = frame(0)
    assert (result.predicted, result.already_there) == (0, 1)
    ((_, cause),) = frame(2)[0].errors
    assert 'no frame 2' in cause


def test_a_second_run_predicts_nothing_and_gives_the_same_tables(study, tmp_path, make_backend):
    out, backend = tmp_path / 'out', make_backend()
    run(backend, study, out)
    table, written = (
        (out / 'predictions.csv').read_bytes(),
        (out / 'picture.json').stat().st_mtime_ns,
    )
    backend.batches.clear()
    again = run(backend, study, out)
    assert (again.predicted, again.already_there, backend.batches) == (0, 3, [])
    assert (out / 'picture.json').stat().st_mtime_ns == written
    assert sorted((out / 'predictions.csv').read_bytes()) == sorted(table)
    assert (out / 'report.html').read_text().count('<article') == 3


@pytest.mark.parametrize(
    'change', ['model', 'spacing', 'overwrite', 'content', 'picture'], ids=lambda x: x
)
def test_what_has_changed_is_predicted_again(study, tmp_path, make_backend, change):
    out, backend, options = tmp_path / 'out', make_backend(), {}
    run(backend, study, out)
    if change == 'model':
        backend.identity['weights_sha256'] = '0' * 64
    elif change == 'spacing':
        options['read'] = FileOptions(spacing_xy_mm=(1.0, 1.0))
    elif change == 'overwrite':
        options['overwrite'] = True
    elif change == 'content':
        cv2.imwrite(str(study / 'picture.png'), np.full((40, 43), 91, np.uint8))
    else:
        (out / 'picture.png').unlink()
    expected = 1 if change in ('content', 'picture') else 3
    assert run(backend, study, out, **options).predicted == expected
    if change == 'content':
        assert len(list(out.glob('picture*.json'))) == 2


def test_names_of_the_run_itself_are_never_taken(tmp_path, make_backend):
    for seed, name in enumerate(('errors', 'Predictions', 'report')):
        write(tmp_path / 'in' / f'{name}.dcm', seed)
    run(make_backend(), tmp_path / 'in', tmp_path / 'out')
    assert 'errors' in json.loads((tmp_path / 'out/errors.json').read_text())
    names = {path.name for path in (tmp_path / 'out').glob('*-*.json')}
    assert {name.split('-')[0] for name in names} == {'errors', 'Predictions', 'report'}


def test_the_same_content_is_predicted_once(tmp_path, make_backend):
    content = write(tmp_path / 'in/a/x.dcm').read_bytes()
    (tmp_path / 'in/b').mkdir()
    (tmp_path / 'in/b/x.dcm').write_bytes(content)
    result = run(make_backend(), tmp_path / 'in', tmp_path / 'out')
    assert (result.predicted, len(result.duplicates), result.exit_status) == (1, 1, 0)


def test_results_inside_the_study_are_not_taken_for_radiographs(study, make_backend):
    run(make_backend(), study, study / 'out')
    again = run(make_backend(), study, study / 'out')
    assert (again.predicted, again.already_there) == (0, 3)


def test_nothing_to_predict_is_another_status(tmp_path, make_backend):
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in/notes.txt').write_text('x')
    result = run(make_backend(), tmp_path / 'in', tmp_path / 'out')
    assert result.exit_status == 2 and 'no DICOM file' in result.errors[0][1]
    assert (tmp_path / 'out/report.html').is_file()


def test_a_batch_that_fails_costs_only_the_images_that_fail(study, tmp_path, make_backend):
    backend = make_backend()
    dark = []

    def infer(images):
        if any(np.ptp(one) == 0 for one in images):
            dark.append(len(images))
            raise RuntimeError('out of memory')
        return type(backend).infer(backend, images)

    picky = type('Picky', (), {'identity': backend.identity, 'infer': staticmethod(infer)})()
    result = run(picky, study, tmp_path / 'out', batch_size=3)
    assert result.predicted == 2 and dark == [3, 1]
    assert ('the model failed: out of memory') in [cause for _, cause in result.errors]


def test_a_long_run_has_a_page_for_each_image(tmp_path, make_backend, monkeypatch):
    monkeypatch.setattr('unsct_mmpose.report.run_files.WHOLE_REPORT', 1)
    for seed in range(2):
        write(tmp_path / 'in' / f'a b{seed}.dcm', seed)
    run(make_backend(), tmp_path / 'in', tmp_path / 'out')
    report = (tmp_path / 'out/report.html').read_text()
    assert '<article' not in report and 'href="a%20b1.html"' in report
    assert (tmp_path / 'out/a b0.html').read_text().count('<article') == 1
    assert run(make_backend(), tmp_path / 'in', tmp_path / 'out').already_there == 2


def test_patterns_folders_and_files_name_each_file_once(study):
    found = find_inputs([str(study / 'a'), str(study / '**/*.dcm'), str(study / 'a/../a/hip.dcm')])
    assert sorted(path.name for path in found.paths) == ['cut.dcm', 'hip.dcm', 'hip.dcm']
    found = find_inputs([str(study / '*.tif'), str(study / 'notes.txt')])
    assert found.missing[0][1] == 'there is no such match'
    assert [path.name for path in found.paths] == ['notes.txt']  # named: it is tried


CRASHER = """
import os
from unsct_mmpose.dicom import read_ahead

def crash(path, options):
    if path.name == 'crash':
        (path.parent / 'crashed').touch()
        os._exit(3)
    return read_ahead.ReadFile(path, cause='read')
"""


@pytest.mark.slow
@pytest.mark.parametrize('slow_model', [False, True], ids=['at once', 'while the model is busy'])
def test_a_decoder_that_ends_its_process_costs_its_own_file_only(tmp_path, monkeypatch, slow_model):
    (tmp_path / 'crasher.py').write_text(CRASHER)
    monkeypatch.setattr(sys, 'path', [str(tmp_path), *sys.path])
    monkeypatch.setattr(decoding, 'read_file', importlib.import_module('crasher').crash)
    paths = [tmp_path / name for name in ('a', 'crash', 'b', 'c')]
    read = []
    for file in read_ahead(paths, FileOptions(), 1):
        read.append(file)
        while slow_model and not (tmp_path / 'crashed').exists():
            time.sleep(0.05)
        time.sleep(0.5 * slow_model)  # the pool has noticed before the next file is submitted
    assert [file.path for file in read] == paths
    assert ['ends the process' in file.cause for file in read] == [0, 1, 0, 0]


@pytest.mark.parametrize(
    'amid', ['bytes, 5 * 10**7', 'time.sleep, 900'], ids=['a large result', 'an item']
)
def test_processes_and_their_program_end_in_the_middle_of(amid):
    program = (
        'import time\n'
        'from unsct_mmpose.dicom.read_ahead import Workers\n'
        'workers = Workers(2)\n'
        'workers.submit(bytes, 1).result()\n'
        f'for _ in range(8): workers.submit({amid})\n'
        'time.sleep(0.5)\n'
        'workers.end()\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, '')


@pytest.mark.skipif(not hasattr(signal, 'pthread_sigmask'), reason='Windows has no such masks')
def test_processes_are_deaf_to_a_terminals_interruption_from_their_first_moment_on():
    here = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with decoding.Workers(1) as workers:
        there = workers.submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).result()
    assert signal.SIGINT in there and signal.SIGTERM not in there
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == here and signal.SIGINT not in here


def test_processes_read_the_same_as_this_one(study):
    paths = find_inputs([str(study)]).paths
    here = list(read_ahead(paths, FileOptions(), 0))
    there = list(read_ahead(paths, FileOptions(), 1))
    assert [one.cause for one in here] == [one.cause for one in there]
    for a, b in zip(here, there, strict=True):
        if a.radiograph is not None:
            np.testing.assert_array_equal(a.radiograph.pixels, b.radiograph.pixels)


def test_arrays_datasets_and_files_give_the_same_prediction(study, make_backend):
    path = study / 'a/hip.dcm'
    radiograph, inferencer = read_radiograph(path), Inferencer(make_backend())
    by_path = inferencer(path)
    for other in (
        inferencer(str(path)),
        inferencer(pydicom.dcmread(path)),
        inferencer(radiograph.pixels, radiograph.spacing_xy_mm, radiograph.magnification),
        inferencer([radiograph])[0],
    ):
        assert other.landmarks == by_path.landmarks
        assert other.measurements == by_path.measurements


def test_generators_are_read_a_batch_at_a_time(study, make_backend):
    backend, taken = make_backend(), []

    def images():
        for index in range(5):
            taken.append(index)
            yield np.zeros((40, 43), np.uint8)

    stream = Inferencer(backend, batch_size=2)(images(), (5.0, 5.0))
    assert taken == []
    assert next(stream).image.file_name == 'array-0' and taken == [0, 1]
    assert len(list(stream)) == 4 and backend.batches == [2, 2, 1]


def test_of_a_list_the_next_batch_is_read_while_the_model_is_busy(make_backend, monkeypatch):
    backend, third_is_read = make_backend(), threading.Event()
    infer = backend.infer
    monkeypatch.setattr(backend, 'infer', lambda images: third_is_read.wait(20) and infer(images))
    given = dict(spacing_xy_mm=(5.0, 5.0))
    images = [np.full((40, 43), level, np.uint8) for level in range(5)]

    def opened(source, **given):
        if source is images[2]:
            third_is_read.set()
        return open_source(source, **given)

    monkeypatch.setattr('unsct_mmpose.inference.inferencer.open_source', opened)
    names = [f'array-{number}' for number in range(5)]
    stream = Inferencer(backend, batch_size=2).stream
    assert [prediction.image.file_name for prediction in stream(images, **given)] == names
    assert backend.batches == [2, 2, 1]


def test_of_a_list_no_more_than_three_batches_are_held_at_a_time(make_backend, monkeypatch):
    opened = []
    monkeypatch.setattr(
        'unsct_mmpose.inference.inferencer.open_source',
        lambda source, **given: opened.append(source) or open_source(source, **given),
    )
    images = [np.full((40, 43), level, np.uint8) for level in range(20)]
    stream = Inferencer(make_backend(), batch_size=2).stream(images, spacing_xy_mm=(5.0, 5.0))
    for handed_out, _ in enumerate(stream, 1):
        assert len(opened) <= handed_out + 3 * 2
    assert handed_out == len(opened) == 20


@pytest.mark.parametrize('bad', range(5))
def test_of_a_list_what_precedes_a_bad_file_is_handed_out_before_it(bad, make_backend):
    images = [np.zeros((40, 43), np.uint8) for _ in range(5)]
    images[bad] = np.full((4, 4), np.nan)
    stream = Inferencer(make_backend(), batch_size=2).stream(images, spacing_xy_mm=(5.0, 5.0))
    handed_out = []
    with pytest.raises(RadiographError, match='not finite'):
        handed_out.extend(prediction.image.file_name for prediction in stream)
    assert handed_out == [f'array-{number}' for number in range(bad // 2 * 2)]


def test_what_is_no_radiograph_is_refused_with_a_cure(make_backend):
    inferencer = Inferencer(make_backend())
    with pytest.raises(RadiographError, match='holds pixel values that are not finite'):
        inferencer(np.full((4, 4), np.nan))
    with pytest.raises(RadiographError, match='its channels differ'):
        inferencer(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    with pytest.raises(TypeError, match='give a path, an array'):
        inferencer([7])


def test_one_prediction_has_its_picture_and_its_page_in_memory(study, make_backend):
    one = predict_one(study / 'a/hip.dcm', make_backend())
    assert one.overlay().shape[1] == 1200 and one.overlay_png().startswith(b'\x89PNG')
    assert 'hip.dcm' in one.html()
