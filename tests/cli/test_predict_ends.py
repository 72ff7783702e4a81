"""How a run of unsct predict ends: on a signal, with its processes, and what the next one finds."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from unsct_mmpose.dicom.writer import write_radiograph

STUB = """
import sys, time, types
sys.path.insert(0, {root!r})
from tests.fake_backend import FakeBackend

class Slow(FakeBackend):
    def infer(self, images):
        print('infer', flush=True)
        time.sleep({seconds})
        return super().infer(images)

model = types.ModuleType('unsct_mmpose.inference.onnx_model')
model.OnnxModel = lambda path, device: Slow()
sys.modules['unsct_mmpose.inference.onnx_model'] = model
if __name__ == '__main__':
    from unsct_mmpose.cli.main import main
    from unsct_mmpose.inference import inferencer
    inferencer._END_SECONDS = 1.0
    sys.exit(main(['predict', *sys.argv[1:]]))
"""

pytestmark = pytest.mark.skipif(not Path('/proc/self/stat').exists(), reason='reads /proc')


@pytest.fixture
def start(tmp_path, request):
    """Return a function that starts a run over eight files, a session of its own."""
    (tmp_path / 'model.onnx').write_bytes(b'')
    (tmp_path / 'in').mkdir()
    for seed in range(8):
        pixels = np.random.default_rng(seed).integers(0, 4095, (40, 43), dtype=np.uint16)
        write_radiograph(
            tmp_path / f'in/{seed}.dcm', pixels, uid_seed=str(seed), spacing_xy_mm=(2.0, 2.0),
            magnification=1.2, source_detector_mm=1150.0, patient_id='x',
        )  # fmt: skip
    started = []

    def start(seconds, *more):
        code = tmp_path / f'stub_{seconds}.py'
        code.write_text(STUB.format(root=str(request.config.rootpath), seconds=seconds))
        words = [str(code), 'model.onnx', 'in', '--out', 'out', '--batch-size', '1', *more]
        run = subprocess.Popen(
            [sys.executable, *words], cwd=tmp_path, start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            env={**os.environ, 'PYTHONPATH': str(request.config.rootpath)},
        )  # fmt: skip
        started.append(run)
        return run

    yield start
    for run in started:
        for pid in members(run.pid):
            with suppress(ProcessLookupError):  # it has ended by itself
                os.kill(pid, signal.SIGKILL)
        run.wait()


def members(session):
    """Return the living processes of a session."""
    found = []
    for path in Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = path.read_text().rpartition(')')[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != 'Z':
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize(
    ('how', 'status', 'says'),
    [
        ('SIGINT', 130, 'predict: interrupted; the same command continues'),
        ('SIGTERM', 143, 'predict: ended; the same command continues'),
        ('SIGKILL', -9, None),
    ],
)
def test_processes_end_with_their_run_and_the_next_one_sweeps(start, tmp_path, how, status, says):
    run = start(900, '--quiet', '--jobs', '2')
    assert run.stdout.readline() == 'infer\n'
    assert len(members(run.pid)) >= 3  # itself and two that read
    os.kill(run.pid, getattr(signal, how))
    assert run.wait(300) == status
    until = time.monotonic() + 300
    while members(run.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not members(run.pid)
    if says:
        assert run.stderr.read().splitlines() == [says]
        assert not list((tmp_path / 'out').iterdir())
        return
    assert list((tmp_path / 'out').glob('.*.tmp'))
    ours = tmp_path / f'out/.kept.json.{os.getpid()}.tmp'  # of a process that lives
    ours.write_text('')
    done = start(0, '--quiet', '--jobs', '0')
    assert done.wait(300) == 0, done.stderr.read()
    assert list((tmp_path / 'out').glob('.*')) == [ours]
    assert len(list((tmp_path / 'out').glob('*.png'))) == 8
