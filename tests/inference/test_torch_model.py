"""Inference with MMPose: ours, and MMPose's own with the uncertainties in it."""

import json
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from jsonschema import Draft202012Validator
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.apis import MMPoseInferencer, inference_topdown
from mmpose.registry import MODELS
from pydicom import dcmread

from unsct_mmpose.dicom import read_radiograph
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES
from unsct_mmpose.functional.crop import crop_whole_image, cut_out, grey_levels
from unsct_mmpose.functional.image_noise import relative_noise
from unsct_mmpose.inference.torch_model import FIELDS, TorchBackend, UNSCTInferencer
from unsct_mmpose.report.prediction import Backend, prediction_schema
from unsct_mmpose.research.tiny import tiny_config


@pytest.fixture
def trained(tiny_set, request):
    """A config, a checkpoint of random weights, and images of two sizes."""
    config, checkpoint = tiny_set / 'config.py', tiny_set / 'model.pth'
    config.write_text(tiny_config(request.config.rootpath))
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=1)), checkpoint)
    return config, checkpoint, sorted((tiny_set / 'images').glob('*.dcm'))


def test_the_backend_says_the_same_one_by_one_in_batches_and_as_mmpose_does(trained):
    config, checkpoint, paths = trained
    backend = TorchBackend(config, checkpoint, 'cpu')
    assert isinstance(backend, Backend)
    images = [read_radiograph(path).pixels for path in paths[:2]] + [np.zeros((50, 90), np.float32)]
    together = backend.infer(images)
    assert [tuple(one) for one in together] == [FIELDS] * 3
    assert together[0]['keypoint_covariances'].shape == (24, 2, 2)
    assert together[0]['interval_scales'].shape == (len(MEASUREMENT_NAMES),)
    for image, one in zip(images, together, strict=True):
        (alone,) = backend.infer([image])
        np.testing.assert_allclose(alone['keypoints'], one['keypoints'], atol=1e-2)
    # MMPose's own function, given the file: the same pipeline, the same numbers
    backend.model.cfg = Config.fromfile(config)
    for path, one in zip(paths, together[:2], strict=False):
        height, width = read_radiograph(path).pixels.shape
        gray = np.rint(read_radiograph(path).pixels * 255).astype(np.uint8)
        (sample,) = inference_topdown(backend.model, np.dstack([gray] * 3), [[0, 0, width, height]])
        found = sample.pred_instances
        np.testing.assert_allclose(found.keypoints[0], one['keypoints'], atol=1e-2)
        for name in ('keypoint_uncertainties', 'keypoint_covariances'):
            np.testing.assert_allclose(found[name][0], one[name], rtol=1e-3, atol=1e-3)
    assert backend.infer([]) == []


def test_the_inferencer_takes_files_and_keeps_to_the_schema(trained):
    config, checkpoint, paths = trained
    inferencer = UNSCTInferencer(config, checkpoint, batch_size=2)
    found = list(inferencer(iter(paths)))
    assert [one.image.file_name for one in found] == [path.name for path in paths]
    for one in found:
        Draft202012Validator(prediction_schema()).validate(json.loads(one.to_json()))
    assert 'no_calibration' in {one.code for one in found[0].warnings}
    assert found[0].simulated is True
    identity = inferencer.backend.identity
    assert identity == UNSCTInferencer(config, checkpoint).backend.identity
    json.dumps(identity, allow_nan=False)


def test_a_model_without_uncertainties_is_refused_with_the_cure(stock_run, run_python):
    from mmpose.apis import init_model

    model = init_model(str(stock_run / 'stock.py'), None, device='cpu')
    torch.save(dict(state_dict=model.state_dict()), stock_run / 'stock.pth')
    with pytest.raises(ValueError, match='give a config with HeatmapPAFHead'):
        TorchBackend(stock_run / 'stock.py', stock_run / 'stock.pth', 'cpu')


def test_mmposes_own_inferencer_hands_the_uncertainties_on(trained):
    config, checkpoint, paths = trained
    gray = np.rint(read_radiograph(paths[0]).pixels * 255).astype(np.uint8)
    inferencer = MMPoseInferencer(
        pose2d=str(config), pose2d_weights=str(checkpoint), det_model='whole_image', device='cpu'
    )
    result = next(inferencer(np.dstack([gray] * 3)))
    ((found,),) = result['predictions']
    (ours,) = TorchBackend(config, checkpoint, 'cpu').infer([read_radiograph(paths[0]).pixels])
    np.testing.assert_allclose(found['keypoints'], ours['keypoints'], atol=1e-2)
    np.testing.assert_allclose(
        found['keypoint_uncertainties'], ours['keypoint_uncertainties'], atol=1e-4
    )
    assert np.shape(found['keypoint_covariances']) == (24, 2, 2)
    assert found['keypoint_presence'] == [None] * 24  # not calibrated: unknown, and fit for json
    assert found['keypoints_visible'] == ours['keypoints_visible'].tolist()
    assert not any(isinstance(x, float) and math.isnan(x) for x in found['keypoint_uncertainties'])
    json.dumps(found['keypoint_covariances'], allow_nan=False)


@pytest.fixture(scope='module')
def demo(request):
    """The shipped model, and a simulated radiograph of 12 bits."""
    folder = request.config.rootpath / 'configs' / 'demo'
    config, checkpoint = (folder / f'unsct_hrnet_tha_cpu.{kind}' for kind in ('py', 'pth'))
    return UNSCTInferencer(config, checkpoint, 'cpu'), folder / 'phantom_example.dcm'


def test_a_12_bit_picture_in_16_bits_is_read_as_its_dicom_file(demo, tmp_path):
    inferencer, path = demo
    dataset = dcmread(path)
    stored = dataset.pixel_array
    if dataset.PhotometricInterpretation == 'MONOCHROME1':
        stored = 2**dataset.BitsStored - 1 - stored
    assert stored.dtype == np.uint16 and stored.max() < 4096
    cv2.imwrite(str(tmp_path / 'hip.png'), stored)
    expected = inferencer(path)
    for source in (stored, stored.astype(np.float64), stored[..., None], tmp_path / 'hip.png'):
        found = inferencer(source)
        assert found.image_state == expected.image_state == 0
        offsets = [
            math.hypot(a.x - b.x, a.y - b.y)
            for a, b in zip(found.landmarks, expected.landmarks, strict=True)
        ]
        assert np.median(offsets) < 1.0
        assert [one.reported for one in found.landmarks] == [
            one.reported for one in expected.landmarks
        ]
        assert 'grey_levels' in [one.code for one in found.warnings]
    assert 'grey_levels' not in [one.code for one in expected.warnings]


def test_a_noisy_radiograph_is_out_of_range(demo):
    inferencer, path = demo
    pixels, codec = read_radiograph(path).pixels, inferencer.backend.model.head.decoder
    frame = crop_whole_image(pixels.shape[::-1], codec.input_size)
    usual = relative_noise(cut_out(grey_levels(pixels), frame).astype(float))
    stored, grain = codec.calibration, np.random.default_rng(0).normal(0, 0.1, pixels.shape)
    codec.calibration = replace(stored, typical_noise=1.5 * usual)
    noisy = np.clip(pixels + grain, 0, 1).astype(np.float32)
    states = [inferencer(each).image_state for each in (pixels, noisy)]
    codec.calibration = stored
    assert states == [0, 1]


def test_mmposes_inferencer_finds_a_pelvis_in_a_12_bit_array_and_file(demo, request, tmp_path):
    folder = request.config.rootpath / 'configs' / 'demo'
    inferencer = MMPoseInferencer(
        pose2d=str(folder / 'unsct_hrnet_tha_cpu.py'),
        pose2d_weights=str(folder / 'unsct_hrnet_tha_cpu.pth'),
        det_model='whole_image', device='cpu',
    )  # fmt: skip
    stored = dcmread(demo[1]).pixel_array
    cv2.imwrite(str(tmp_path / 'hip.png'), stored)
    for source in (np.stack([stored] * 3, axis=-1), str(tmp_path / 'hip.png')):
        ((found,),) = next(inferencer(source))['predictions']
        assert found['image_state'] == 0
        assert np.sum(found['keypoints_visible']) >= 20
