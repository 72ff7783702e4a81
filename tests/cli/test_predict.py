"""The command line of unsct predict: statuses, and an ONNX model without PyTorch."""

import sys
import time
import types
from multiprocessing import active_children

import numpy as np
import pytest

from tests.fake_backend import FakeBackend
from unsct_mmpose.dicom.writer import write_radiograph

ALONE = """
import sys, types
sys.path.insert(0, {root!r})
from tests.fake_backend import FakeBackend
model = types.ModuleType('unsct_mmpose.inference.onnx_model')
model.OnnxModel = lambda path, device: FakeBackend()
sys.modules['unsct_mmpose.inference.onnx_model'] = model
from unsct_mmpose.cli.main import main
status = main(['predict', *sys.argv[1:]])
found = [name for name in sys.modules if name.split('.')[0] in ('torch', 'mmpose', 'mmengine')]
print('frameworks:', found[:3])
sys.exit(status)
"""


@pytest.fixture
def tool(tmp_path, unsct, monkeypatch):
    (tmp_path / 'model.onnx').write_bytes(b'')
    model = types.ModuleType('unsct_mmpose.inference.onnx_model')
    model.OnnxModel = lambda path, device: FakeBackend()
    monkeypatch.setitem(sys.modules, model.__name__, model)
    return lambda *arguments: unsct('predict', *words(*arguments), cwd=tmp_path)


def words(*arguments):
    return ('model.onnx', *arguments, '--out', 'out', '--quiet', '--jobs', '0')


@pytest.fixture
def hip(tmp_path):
    write_radiograph(
        tmp_path / 'hip.dcm',
        np.full((40, 43), 900, np.uint16),
        spacing_xy_mm=(2.0, 2.0),
        magnification=1.2,
        source_detector_mm=1150.0,
        patient_id='x',
        uid_seed='x',
    )
    return 'hip.dcm'


def test_an_onnx_model_predicts_without_pytorch_and_mmpose(
    tool, hip, tmp_path, run_python, request
):
    code = ALONE.format(root=str(request.config.rootpath))
    done = run_python('-c', code, *words(hip), cwd=tmp_path)
    assert '1 predicted' in done.stdout and 'frameworks: []' in done.stdout
    names = {path.name for path in (tmp_path / 'out').iterdir()}
    assert names == {'hip.json', 'hip.png', 'predictions.csv', 'report.html', 'errors.json'}
    assert '0 predicted, 1 there already' in tool(hip).stdout


def test_the_status_tells_some_from_none_and_the_causes_are_listed(tool, hip):
    done = tool(hip, 'nowhere.dcm')
    assert done.returncode == 1
    assert 'nowhere.dcm: there is no such file or folder' in done.stderr
    done = tool('nowhere.dcm')
    assert done.returncode == 2 and '1 could not be predicted' in done.stderr


def test_a_program_of_a_user_s_own_is_not_run_again_in_each_process(
    hip, tmp_path, run_python, request
):
    program = tmp_path / 'program.py'
    program.write_text(
        'from pathlib import Path\n'
        'from tests.fake_backend import FakeBackend\n'
        'from unsct_mmpose.dicom.find_inputs import find_inputs\n'
        'from unsct_mmpose.inference.predict import PredictOptions, predict_files\n'
        'options = PredictOptions(jobs=1, progress=False)\n'
        "print(predict_files(FakeBackend(), find_inputs(['hip.dcm']), Path('out'), options))\n"
    )
    done = run_python(program, cwd=tmp_path, path=[request.config.rootpath])
    assert done.stdout.count('PredictResult(predicted=1, ') == 1 and 'errors=()' in done.stdout


@pytest.mark.parametrize('loads', [True, False])
def test_the_processes_start_while_the_model_is_loaded_and_end_with_it(
    hip, tmp_path, unsct, monkeypatch, loads
):
    started = []

    def load(model, device):
        started.extend(active_children())
        if not loads:
            raise ValueError('this model is none')
        return FakeBackend()

    monkeypatch.setattr('unsct_mmpose.cli.predict.load_backend', load)
    (tmp_path / 'model.onnx').write_bytes(b'')
    done = unsct('predict', 'model.onnx', hip, '--out', 'out', '--quiet', '--jobs', 4, cwd=tmp_path)
    assert done.returncode == (0 if loads else 2)
    assert len(started) == 1  # one file, one process
    until = time.monotonic() + 60  # the pool's own thread may take note of the end, or this one
    while started[0].is_alive() and time.monotonic() < until:
        time.sleep(0.02)
    assert not started[0].is_alive()


def test_what_cannot_be_is_refused_before_anything_is_written(tool, hip, tmp_path):
    done = tool(hip, '--spacing', '0', '1')
    assert done.returncode == 2 and 'spacing_xy_mm must be two positive numbers' in done.stderr
    assert not (tmp_path / 'out').exists()
    assert tool().returncode == 2
