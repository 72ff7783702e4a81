"""The whole pipeline at once: what is painted under a landmark must stay under it."""

import numpy as np
import pytest
from mmcv.transforms import Compose
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

from unsct_mmpose.anatomy import FLIP_INDICES
from unsct_mmpose.functional.crop import crop_whole_image, cut_out
from unsct_mmpose.maps.grid import cells_to_pixels

CODEC = dict(type='HeatmapPAF', input_size=(256, 256), heatmap_size=(64, 64), sigma=1.5)
AUGMENTED = [
    dict(type='RandomBBoxTransform', shift_factor=0.05, scale_factor=(0.9, 1.1), rotate_factor=30.0)
]


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmpose')


def run(item, *, flip, augment, seed=0):
    np.random.seed(seed)
    pipeline = Compose(
        [
            dict(type='LoadRadiograph'),
            dict(type='GetBBoxCenterScale', padding=1.0),
            dict(type='RandomFlip', prob=1.0 if flip else 0.0),
            *(AUGMENTED if augment else []),
            dict(type='RadiographAffine', input_size=(256, 256)),
            dict(type='GenerateTarget', encoder=CODEC),
            dict(type='PackPoseInputs'),
        ]
    )
    return pipeline(item)


def painted(index, point, size=(300, 260)):
    """Return a sample whose image is black but for a dot at one landmark."""
    rng = np.random.default_rng(index)
    keypoints = rng.uniform((90, 80), (size[0] - 90, size[1] - 80), (1, 24, 2))
    keypoints[0, index] = point
    rows, columns = np.mgrid[: size[1], : size[0]]
    dot = 255 * np.exp(-((columns - point[0]) ** 2 + (rows - point[1]) ** 2) / (2 * 2.0**2))
    return dict(
        img=np.repeat(dot[..., None], 3, axis=2).astype(np.uint8),
        bbox=np.array([[0, 0, *size]], np.float32),
        keypoints=keypoints.astype(np.float32),
        keypoints_visible=np.ones((1, 24, 2), np.float32),
        flip_indices=list(FLIP_INDICES),
        dataset_keypoint_weights=np.ones(24, np.float32),
    )


@pytest.mark.parametrize('augment', [False, True])
@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('index', [0, 9, 17])
def test_a_dot_stays_under_its_landmark(index, flip, augment):
    packed = run(painted(index, (131.0, 97.0)), flip=flip, augment=augment, seed=index)
    dot = packed['inputs'][0].float()
    rows, columns = np.mgrid[:256, :256]
    seen = np.array([(dot * columns).sum() / dot.sum(), (dot * rows).sum() / dot.sum()])
    channel = FLIP_INDICES[index] if flip else index
    heatmap = packed['data_samples'].gt_fields.heatmaps[channel].numpy()
    assert heatmap.max() > 0.5
    rows, columns = np.mgrid[:64, :64]
    cell = np.array([(heatmap * columns).sum(), (heatmap * rows).sum()]) / heatmap.sum()
    target = cells_to_pixels(cell, (256, 256), (64, 64))
    np.testing.assert_allclose(seen, target, atol=0.35)


def test_a_landmark_that_leaves_the_crop_is_taught_to_be_silent():
    item = painted(4, (60.0, 97.0))
    item['bbox'] = np.array([[150, 0, 300, 260]], np.float32)
    target = run(item, flip=False, augment=False)['data_samples']
    assert target.gt_fields.heatmaps[4].max() == 0
    assert target.gt_instance_labels.keypoint_weights[0, 4] == 1


def test_flipping_takes_absent_and_unlabelled_landmarks_along():
    item = painted(0, (131.0, 97.0))
    item['keypoints_visible'][0, 3] = (0, 1)
    item['keypoints_visible'][0, 16] = (0, 0)
    target = run(item, flip=True, augment=False)['data_samples']
    weights = target.gt_instance_labels.keypoint_weights[0]
    assert target.gt_fields.heatmaps[FLIP_INDICES[3]].max() == 0
    assert weights[FLIP_INDICES[3]] == 1
    assert weights[FLIP_INDICES[16]] == 0
    assert weights.sum() == 23


def test_what_an_evaluator_needs_passes_stock_packing(tiny_set):
    dataset = DATASETS.build(
        dict(
            type='THADataset', data_root=str(tiny_set), ann_file='val.json', test_mode=True,
            pipeline=[
                dict(type='LoadRadiograph'),
                dict(type='GetBBoxCenterScale', padding=1.0),
                dict(type='RadiographAffine', input_size=(256, 256)),
                dict(type='PackPoseInputs'),
            ],
        )
    )  # fmt: skip
    info = dataset[0]['data_samples'].metainfo['raw_ann_info']
    needed = {'subset', 'pixel_spacing', 'magnification', 'points', 'present', 'labelled'}
    assert needed <= set(info)


@pytest.mark.parametrize('padding', [1.0, 1.25])
@pytest.mark.parametrize('shape', [(900, 700), (300, 640), (97, 113), (512, 512)])
def test_the_frame_without_mmpose_cuts_out_the_same_pixels(shape, padding):
    grey = np.random.default_rng(shape[0]).integers(0, 256, shape, dtype=np.uint8)
    size = (128, 96)
    pipeline = Compose(
        [
            dict(type='LoadRadiograph'),
            dict(type='GetBBoxCenterScale', padding=padding),
            dict(type='RadiographAffine', input_size=size),
        ]
    )
    results = pipeline(dict(img=grey, bbox=np.array([[0, 0, *shape[::-1]]], np.float32)))
    frame = crop_whole_image(shape[::-1], size, padding)
    np.testing.assert_array_equal(cut_out(grey, frame), results['img'][..., 0])
    np.testing.assert_array_equal(frame.size_wh, results['input_scale'])
    np.testing.assert_array_equal(frame.centre_xy, results['input_center'])
