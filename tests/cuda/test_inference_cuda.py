"""Reading maps on a CUDA device, and the tools that take `--device`."""

import json

import numpy as np
import pytest
import torch
from mmpose.registry import KEYPOINT_CODECS

from unsct_mmpose.inference.torch_model import UNSCTInferencer
from unsct_mmpose.maps.calibration import Calibration

pytestmark = pytest.mark.cuda

EXACT = ('keypoints_visible', 'keypoint_decisions', 'keypoint_support', 'image_state', 'calibrated')
"""What a device may not change at all."""


@pytest.fixture
def demo(request):
    """The ready model: its config, its weights, its calibration and a radiograph."""
    root = request.config.rootpath / 'configs/demo'
    ready = root / 'unsct_hrnet_tha_cpu.py', root / 'unsct_hrnet_tha_cpu.pth'
    return *ready, root / 'unsct_hrnet_tha_cpu.calibration.json', root / 'phantom_example.dcm'


def noisy_maps(codec, count=6):
    """Draw the maps of images that lack every fifth landmark, faint and noisy."""
    rng = np.random.default_rng(0)
    maps = []
    for _ in range(count):
        points = rng.uniform(0.1, 0.9, (1, 24, 2)) * codec.input_size
        encoded = codec.encode(points, np.arange(24)[None] % 5 > 0)
        drawn = np.concatenate([encoded['heatmaps'], encoded['pafs']])
        maps.append(rng.uniform(0.3, 1.0) * drawn + rng.normal(0, 0.05, drawn.shape))
    return torch.from_numpy(np.stack(maps)).float()


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_maps_are_read_as_on_the_cpu(dtype, demo, device, read_config):
    config = read_config('demo/unsct_hrnet_tha_cpu.py')
    codec = KEYPOINT_CODECS.build(config.codec)
    codec.calibration = Calibration.from_dict(json.loads(demo[2].read_text()))
    maps = noisy_maps(codec).to(dtype)
    pairs = list(zip(codec.decode_maps(maps), codec.decode_maps(maps.to(device)), strict=True))
    shown = np.concatenate([one['keypoints_visible'] for one, _ in pairs])
    assert 0.3 < shown.mean() < 0.95
    for expected, found in pairs:
        assert sorted(found) == sorted(expected)
        np.testing.assert_allclose(found['keypoints'], expected['keypoints'], atol=1e-3)
        for name in EXACT:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
        for name in set(expected) - {*EXACT, 'keypoints'}:
            np.testing.assert_allclose(found[name], expected[name], 1e-3, 1e-3, err_msg=name)


def test_a_model_runs_on_the_device_unless_one_says_otherwise(demo, device):
    config, checkpoint, _, _ = demo
    for wanted, found in (('auto', device), ('cpu', 'cpu')):
        model = UNSCTInferencer(config, checkpoint, wanted).backend.model
        assert next(model.parameters()).device.type == found


def test_the_predict_tool_finds_what_the_cpu_finds(demo, device, run_tool, tmp_path):
    config, checkpoint, _, radiograph = demo
    run_tool('predict.py', config, checkpoint, radiograph, '--out', tmp_path, '--device', device,
             '--jobs', '0', '--no-report', '--quiet')  # fmt: skip
    found = json.loads((tmp_path / 'phantom_example.json').read_text())['landmarks']
    expected = UNSCTInferencer(config, checkpoint, 'cpu')(radiograph).landmarks
    assert [one['name'] for one in found] == [one.name for one in expected]
    assert [one['reported'] for one in found] == [one.reported for one in expected]
    # a cell has 8 px; convolutions in TF32, imitated on a CPU, move a landmark by 0.005 px at most
    for one, other in zip(found, expected, strict=True):
        assert np.hypot(one['x'] - other.x, one['y'] - other.y) < 0.05, one['name']


def test_the_calibrate_tool_stores_a_calibration_beside_the_same_weights(trained, device, run_tool):
    config, checkpoint = trained
    out = checkpoint.with_name('calibrated.pth')
    done = run_tool('calibrate.py', config, checkpoint, '--out', out, '--device', device)
    assert 'fitted on 2 images of 2 patients, 6 absent landmarks' in done.stdout
    stored = torch.load(out, map_location='cpu', weights_only=True)
    assert 'head.calibration' in stored['state_dict']
    plain = torch.load(checkpoint, weights_only=True)['state_dict']
    assert all(torch.equal(stored['state_dict'][name], value) for name, value in plain.items())
