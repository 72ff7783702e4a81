import json
import mmap

import numpy as np
from pydicom import dcmread

from unsct_mmpose.dicom.writer import write_radiograph
from unsct_mmpose.research import onnx_study
from unsct_mmpose.research.memory import memory_mb
from unsct_mmpose.research.onnx_study import (
    memory_growth_mb,
    render_onnx_page,
)
from unsct_mmpose.research.pages import write_page


def test_the_page_shows_what_the_files_hold_and_a_dash_for_what_they_lack(tmp_path):
    (tmp_path / 'onnx').mkdir()
    (tmp_path / 'notes').mkdir()
    (tmp_path / 'notes' / 'onnx.md').write_text('Words.')
    models = [dict(model='PyTorch', decisions_changed=0), dict(model='static', megabytes=3.8)]
    (tmp_path / 'onnx' / 'exports.json').write_text(json.dumps(dict(models=models)))
    text = write_page(tmp_path, 'onnx').read_text()
    rows = [line for line in text.splitlines() if line.startswith('|')]
    assert any(row.startswith('| static | 3.8 | - |') for row in rows)
    assert text.index('## What changes') < text.index('Words.')


def test_the_committed_page_is_made_from_the_committed_files(request):
    folder = request.config.rootpath / 'docs' / 'results'
    assert (folder / 'onnx.md').read_text() == render_onnx_page(folder)


def test_memory_that_is_kept_is_seen_and_the_warm_up_is_not(monkeypatch):
    kept = []
    monkeypatch.setattr(onnx_study, 'memory_mb', lambda field: 100.0 + len(kept))

    def read(number):
        if number < 10 or number % 2:
            kept.append(number)

    assert memory_growth_mb(read, range(50), 10) == 20


def test_resident_memory_sees_what_is_allocated():
    before = memory_mb('VmRSS')
    held = np.frombuffer(mmap.mmap(-1, 2**27), np.uint8)  # past an allocator that keeps pages
    held[:] = 1
    assert memory_mb('VmRSS') - before > 0.9 * held.nbytes / 2**20


def test_the_truth_goes_along_when_an_image_is_turned(tmp_path, monkeypatch):
    """Models that find every landmark are off by nothing, however their image lies in its file."""
    points = np.stack(np.meshgrid(np.arange(6) * 12 + 8, np.arange(4) * 15 + 10), -1).reshape(24, 2)
    shown = np.random.default_rng(0).integers(0, 900, (70, 90), dtype=np.uint16)
    for x, y in points:
        shown[y - 1 : y + 2, x - 1 : x + 2] = 4000
    path = tmp_path / 'hip.dcm'
    write_radiograph(path, shown[::-1, ::-1], spacing_xy_mm=(1, 1.5), magnification=1.1,
                     patient_id='x', source_detector_mm=1100.0, uid_seed='x')  # fmt: skip
    dataset = dcmread(path)
    dataset.PatientOrientation = ['R', 'H']
    dataset.save_as(path)
    truth = dict(points=np.array([89, 69]) - points, present=np.ones(24, bool), patient_id='p',
                 labelled=np.ones(24, bool), subset='structured', pixel_spacing=(1.0, 1.5),
                 file_spacing=(1.0, 1.5), magnification=1.1, size_wh=(90, 70), mirrored=None,
                 image_id=1, file_name='hip.dcm', source='d')  # fmt: skip

    class Data(list):
        get_data_info = list.__getitem__

    def locate(pixels):
        steps = np.array([pixels.shape[1] / 90, pixels.shape[0] / 70])
        places = (points + 0.5) * steps - 0.5
        x, y = np.rint(places).astype(int).T
        assert (pixels[y, x] > 0.9 * pixels.max()).all()  # it is shown upright
        return dict(keypoints=places, keypoints_visible=np.ones(24), keypoint_scores=np.ones(24))

    class Exported:
        identity = dict(runtime='openvino f32')

        def __init__(self, path, threads, device):
            self.path = path

        def infer(self, images):
            return [locate(image) for image in images]

    def usual(grey):
        return {name: value[None] for name, value in locate(grey).items()}

    monkeypatch.setattr(onnx_study, 'load_model', lambda *_: (None, None))
    monkeypatch.setattr(
        onnx_study, 'build_dataset', lambda *_: Data([dict(img_path=str(path), raw_ann_info=truth)])
    )
    monkeypatch.setattr(onnx_study, 'torch_model', lambda *_: usual)
    monkeypatch.setattr(onnx_study, 'OnnxModel', Exported)
    (tmp_path / 'm.onnx').write_bytes(b'')
    rows = onnx_study.compare_exports('c.py', str(path), [tmp_path / 'm.onnx'])
    assert [row['model'] for row in rows] == ['PyTorch', 'm openvino f32']
    for row in rows:
        assert row['landmark/all/MRE'] == 0 and row['decisions_changed'] == 0
