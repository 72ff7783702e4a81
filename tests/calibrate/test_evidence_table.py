import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.apis import inference_topdown
from mmpose.registry import DATASETS, MODELS

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.calibrate.evidence_table import collect_scores, load_table, save_table
from unsct_mmpose.evaluation.samples import unpack
from unsct_mmpose.functional.image_noise import relative_noise

CORE = relation_set('core')
INPUT = (64, 64)
PIPELINE = [
    dict(type='LoadRadiograph'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RadiographAffine', input_size=INPUT),
    dict(type='PackPoseInputs'),
]
FLIP = dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False)


def make_dataset(root, ann_file='val.json'):
    return DATASETS.build(
        dict(
            type='THADataset',
            data_root=str(root),
            ann_file=ann_file,
            data_prefix=dict(img=''),
            test_mode=True,
            pipeline=PIPELINE,
        )
    )


@pytest.fixture(params=[{}, FLIP], ids=['plain', 'flip test'])
def stock(request, tiny_set):
    """A stock model of MMPose, random, as small as it gets, and images."""
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='TopdownPoseEstimator',
            data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.0] * 3, std=[60.0] * 3),
            backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
            head=dict(
                type='HeatmapHead',
                in_channels=64,
                out_channels=24,
                deconv_out_channels=(8, 8, 8),
                deconv_kernel_sizes=(4, 4, 4),
                decoder=dict(
                    type='LandmarkHeatmap', input_size=INPUT, heatmap_size=(16, 16), sigma=1.0
                ),
            ),
            test_cfg=request.param,
        )
    ).eval()
    return model, make_dataset(tiny_set)


def test_points_are_those_of_inference_in_image_pixels_and_scores_are_peaks(stock, tiny_set):
    model, dataset = stock
    table = collect_scores(model, dataset, CORE, progress=False)
    assert table.files.tolist() == ['images/val-0.dcm', 'images/val-1.dcm']
    model.cfg = Config(dict(test_dataloader=dict(dataset=dict(pipeline=PIPELINE))))
    model.dataset_meta = dataset.metainfo
    for row, name in enumerate(table.files):
        box = np.array([[0, 0, 96, 80]], np.float32)
        (found,) = inference_topdown(model, str(tiny_set / name), box)
        np.testing.assert_allclose(
            table.points_px[row], found.pred_instances.keypoints[0], atol=1e-3
        )
        np.testing.assert_allclose(
            table.evidence.peak[row], found.pred_instances.keypoint_scores[0], rtol=1e-4
        )
    assert np.ptp(table.points_px[..., 0]) > 20


def test_points_are_the_heatmaps_peaks_where_they_lie_in_the_image(stock):
    """The same by hand: no part of the estimator but its network."""
    model, dataset = stock
    table = collect_scores(model, dataset, CORE, progress=False)
    batch = model.data_preprocessor(pseudo_collate([dataset[0]]), False)
    with torch.no_grad():
        maps = model.head.forward(model.extract_feat(batch['inputs']))
        if model.test_cfg.get('flip_test'):
            mirrored = model.head.forward(model.extract_feat(batch['inputs'].flip(-1)))
            pairs = dataset.metainfo['flip_indices']
            maps = 0.5 * (maps + mirrored[:, list(pairs)].flip(-1))
    points, peaks = model.head.decoder.decode(maps[0])
    shown = 96 / 64  # the longer side fills the input
    np.testing.assert_allclose(
        table.points_px[0], points[0] * shown + (0, (80 - 96) / 2), atol=1e-3
    )
    np.testing.assert_allclose(table.evidence.peak[0], peaks[0], rtol=1e-4)


def test_the_metrics_take_every_landmark_of_a_stock_model_as_reported(stock):
    model, dataset = stock
    with torch.no_grad():
        (sample,) = model.test_step(pseudo_collate([dataset[0]]))
    content = sample.to_dict()
    assert content['pred_instances']['keypoint_scores'].max() < 0.5  # else the test says nothing
    assert unpack(content)['reported'].all()


def test_batches_change_nothing(stock):
    model, dataset = stock
    one, both = (
        collect_scores(model, dataset, CORE, batch_size=size, progress=False) for size in (1, 2)
    )
    np.testing.assert_allclose(one.points_px, both.points_px, atol=1e-2)
    torch.testing.assert_close(one.evidence.peak, both.evidence.peak)


def test_the_truth_stands_beside_and_fields_are_silent(stock, tmp_path):
    model, dataset = stock
    table = collect_scores(model, dataset, CORE, progress=False)
    np.testing.assert_allclose(table.true_px[1], dataset.get_data_info(1)['keypoints'][0], 1e-5)
    assert table.present.all() and table.labelled.all()
    assert table.patients.tolist() == ['val-0', 'val-1']
    np.testing.assert_allclose(table.spacing_xy_mm, 4.0)
    assert table.evidence.relation_alignment.shape == (2, 34)
    assert not table.evidence.relation_alignment.any()
    assert not table.evidence.support.any()
    save_table(tmp_path / 'scores.npz', table)
    again = load_table(tmp_path / 'scores.npz')
    np.testing.assert_array_equal(again.points_px, table.points_px)
    torch.testing.assert_close(again.evidence.peak, table.evidence.peak)
    torch.testing.assert_close(again.evidence.noise, table.evidence.noise)
    inputs = np.stack([dataset[row]['inputs'][0] for row in range(2)]).astype(float)
    np.testing.assert_allclose(table.evidence.noise, relative_noise(inputs), rtol=1e-4)


def test_a_table_of_before_noise_was_measured_is_read(stock, tmp_path):
    save_table(tmp_path / 'new.npz', collect_scores(*stock, CORE, progress=False))
    with np.load(tmp_path / 'new.npz') as arrays:
        np.savez(tmp_path / 'old.npz', **{k: arrays[k] for k in arrays if k != 'evidence.noise'})
    assert load_table(tmp_path / 'old.npz').evidence.noise.isnan().tolist() == [True, True]


def test_an_image_without_spacing_is_named(stock, tiny_set):
    model, _ = stock
    content = json.loads((tiny_set / 'val.json').read_text())
    del content['images'][1]['pixel_spacing']
    (tiny_set / 'bare.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'val-1\.dcm: no pixel_spacing'):
        collect_scores(model, make_dataset(tiny_set, 'bare.json'), CORE, progress=False)
