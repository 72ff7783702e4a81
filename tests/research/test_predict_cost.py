"""From DICOM to json beside stock MMPose: what is compared with what."""

import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from unsct_mmpose.dicom.writer import write_radiograph
from unsct_mmpose.files import file_sha256
from unsct_mmpose.research import predict_cost as module
from unsct_mmpose.research.predict_cost import (
    PredictRequest,
    distinct_files,
    phantom_cost,
    predict_cost,
    read_as_usual,
    stock_config,
)

DEMO = Path(__file__).resolve().parents[2] / 'configs' / 'demo' / 'unsct_hrnet_tha_cpu.py'


def request(**changes):
    known = dict(config=DEMO, checkpoint=Path('w.pth'), onnx=Path('m.onnx'), rounds=5, threads=1)
    return PredictRequest(**{**known, 'files': [Path('a.dcm'), Path('b.dcm')], **changes})


def test_stock_has_the_same_network_and_flip_test_and_nothing_of_ours():
    config = Config.fromfile(DEMO)
    stock = stock_config(config)
    steps = stock.test_dataloader.dataset.pipeline
    assert [step['type'] for step in steps] == [
        'LoadImage', 'GetBBoxCenterScale', 'TopdownAffine', 'PackPoseInputs'
    ]  # fmt: skip
    assert steps[1]['padding'] == 1.0 and tuple(steps[2]['input_size']) == (256, 256)
    assert stock.model.test_cfg.flip_test is True
    assert stock.model.head.type == 'HeatmapHead' and stock.model.neck is None


@pytest.mark.parametrize('photometric', ['MONOCHROME1', 'MONOCHROME2'])
def test_a_user_of_stock_mmpose_sees_bone_bright(tmp_path, photometric):
    shown = np.tile(np.linspace(0, 4095, 20).astype(np.uint16), (10, 1))
    write_radiograph(
        tmp_path / 'a.dcm', shown, spacing_xy_mm=(1, 1), magnification=1.1, patient_id='x',
        source_detector_mm=1100.0, uid_seed='x', photometric=photometric,
    )  # fmt: skip
    image = read_as_usual(tmp_path / 'a.dcm')
    assert image.shape == (10, 20, 3) and image.dtype == np.uint8
    assert image[0, 0].max() < 3 and image[0, -1].min() > 252


def test_ratios_are_over_the_faster_stock_way_round_by_round(monkeypatch):
    seconds = {'stock': 4.0, 'stock batch': 3.0, 'onnx': 1.0, 'command': 1.5}
    seen = []

    def timed(call):
        texts = call()
        seen.append((texts[0], len(texts)))
        return seconds[texts[0]] * len(texts)

    ways = {name: lambda paths, name=name: [name] * len(paths) for name in seconds}
    missing = [dict(way='compiled', reason='there is no C++ compiler')]
    monkeypatch.setattr(module, 'build_ways', lambda *_: (ways, missing))
    monkeypatch.setattr(module, 'seconds_of', timed)
    monkeypatch.setattr(module, 'distinct_files', lambda files, count, folder: files)
    cost = predict_cost(request())
    rows = {(row['way'], row.get('batch')): row for row in cost['rows']}
    assert rows['onnx', 1]['over_stock'] == 4.0 and rows['onnx', 16]['over_stock'] == 3.0
    assert rows['stock', 16]['over_stock'] == 0.75
    assert rows['onnx', 16]['images_per_s'] == 1.0 and rows['onnx', 16]['p95_ms'] == 16000
    assert rows['compiled', None]['reason'] == 'there is no C++ compiler'
    assert cost['targets']['predict_batch_16'] == dict(value=3.0, min=3.0, max=3.0)
    assert ('command', 1) not in rows and ('stock batch', 1) not in rows
    assert seen[:4] == [('stock', 1), ('onnx', 1)] * 2  # in turn
    assert json.dumps(cost)


def test_a_way_that_leaves_files_out_is_not_timed(monkeypatch):
    monkeypatch.setattr(module, 'build_ways', lambda *_: ({'stock': lambda paths: ['one']}, []))
    monkeypatch.setattr(module, 'distinct_files', lambda files, count, folder: files)
    with pytest.raises(RuntimeError, match='1 of 16 files'):
        predict_cost(request())


def test_the_files_of_a_batch_are_no_duplicates_of_one_another(tmp_path):
    given = [DEMO.parent / 'phantom_example.dcm']
    files = distinct_files(given, 3, tmp_path)
    assert files[:1] == given and len({file_sha256(path) for path in files}) == 3
    assert len({read_as_usual(path).tobytes() for path in files}) == 1
    assert distinct_files(files, 2, tmp_path) == files


def test_without_files_there_is_nothing_to_time():
    with pytest.raises(ValueError, match='no files'):
        predict_cost(request(files=[]))


def test_the_compiler_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(module.shutil, 'which', lambda name: None)
    assert 'C++' in module.no_compiler('cpu')
    monkeypatch.setattr(module.shutil, 'which', lambda name: f'/usr/bin/{name}')
    assert module.no_compiler('cpu') == ''
    monkeypatch.setattr(module.importlib.util, 'find_spec', lambda name: None)
    assert 'triton' in module.no_compiler('cuda:0')


def test_phantoms_are_counted_by_the_second(monkeypatch):
    made = []
    monkeypatch.setattr(module, 'make_phantom', lambda folder, options, **_: made.append(options))
    monkeypatch.setattr(module, 'seconds_of', lambda call: call() or float(len(made)))
    cost = phantom_cost(images=12, rounds=3)
    assert [row['images_per_s'] for row in cost['rows']] == [12, 6, 4]
    assert cost['targets']['phantom_images_per_s'] == dict(value=6, min=4, max=12)
    assert len({options.seed for options in made}) == 3
