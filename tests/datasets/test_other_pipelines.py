"""Landmarks come back in the right place through pipelines of MMPose's and mmcv's transforms.

Each pipeline is built by a data set around a real file; its maps are drawn by the codec, decoded,
and mapped back by MMPose's own pose estimator. Where they end up is measured in mm.
"""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.models import TopdownPoseEstimator
from mmpose.registry import DATASETS, KEYPOINT_CODECS

from unsct_mmpose.annotations import AnnotatedRadiograph, LandmarkStates, write_annotations

SIZE = (128, 96)
SPACING = 0.5
CODEC = dict(type='HeatmapPAF', input_size=SIZE, heatmap_size=(32, 24), sigma=1.5)
LOAD, BOX = dict(type='LoadRadiograph'), dict(type='GetBBoxCenterScale', padding=1.0)
AFFINE = dict(type='RadiographAffine', input_size=SIZE)
STOCK = dict(type='TopdownAffine', input_size=SIZE)
MOVE = dict(type='RandomBBoxTransform', shift_factor=0.05, scale_factor=(0.9, 1.2), rotate_prob=0.0)


def mmcv(*steps):
    return dict(type='CarryLandmarks', transforms=[dict(step) for step in steps])


def resize(*scale, keep=True):
    return dict(type='mmcv.Resize', scale=scale, keep_ratio=keep)


GREY = dict(type='mmcv.RandomGrayscale', prob=1.0, keep_channels=True)
PAD = dict(type='mmcv.Pad', size=SIZE, pad_val=dict(img=0))
PIPELINES = {
    'ours': [LOAD, BOX, AFFINE],
    'LoadImage': [dict(type='LoadImage'), BOX, AFFINE],
    'padding 1.25': [LOAD, dict(BOX, padding=1.25), AFFINE],
    'padding 0.9': [LOAD, dict(BOX, padding=0.9), AFFINE],
    'TopdownAffine': [LOAD, BOX, STOCK],
    'TopdownAffine, UDP': [LOAD, BOX, dict(STOCK, use_udp=True)],
    'RadiographAffine, UDP': [LOAD, dict(BOX, padding=1.1), dict(AFFINE, use_udp=True)],
    'shift and scale': [LOAD, BOX, MOVE, STOCK],
    'photometric': [LOAD, dict(type='PhotometricDistortion'), BOX, AFFINE],
    'mmcv grey': [LOAD, GREY, BOX, AFFINE],
    'mmcv resize': [LOAD, mmcv(resize(*SIZE, keep=False))],
    'mmcv resize and pad': [LOAD, mmcv(resize(*SIZE), PAD)],
    'mmcv crop': [LOAD, mmcv(resize(160, 120), dict(type='mmcv.CenterCrop', crop_size=SIZE), PAD)],
    'mmcv random resize': [
        LOAD,
        mmcv(
            dict(type='mmcv.RandomResize', scale=SIZE, ratio_range=(0.6, 0.9), keep_ratio=True), PAD
        ),
    ],
    'mmcv one of': [
        LOAD,
        mmcv(
            dict(type='mmcv.RandomChoiceResize', scales=[(90, 90), (96, 96)], keep_ratio=True),
            PAD,
        ),
    ],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmpose')
    np.random.seed(0)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A PNG file whose landmarks lie in its middle, where no pipeline cuts them off."""
    root = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(3)
    size = (301, 263)
    cv2.imwrite(str(root / 'a.png'), rng.integers(0, 255, size[::-1], dtype=np.uint8))
    everything = np.ones(24, bool)
    points = rng.uniform((80, 70), (220, 190), (24, 2))
    case = AnnotatedRadiograph(
        image_id=1, file_name='a.png', size_wh=size, subset='structured',
        states=LandmarkStates(points, everything, ~everything), spacing_xy_mm=(SPACING, SPACING),
    )  # fmt: skip
    write_annotations(root / 'a.json', [case])
    return root


def udp_of(pipeline):
    return any(step.get('use_udp', False) for step in pipeline)


def build(data, steps, codec, **kwargs):
    pipeline = [*steps, dict(type='GenerateTarget', encoder=codec), dict(type='PackPoseInputs')]
    return DATASETS.build(
        dict(type='THADataset', data_root=str(data), ann_file='a.json', pipeline=pipeline, **kwargs)
    )


def back_in_the_image(codec, sample, maps):
    """Decode and map back as a pose estimator of MMPose does, whatever its head."""
    decoded = KEYPOINT_CODECS.build(codec).decode(maps)
    pred = InstanceData(keypoints=np.array(decoded[0]), keypoint_scores=np.array(decoded[1]))
    estimator = SimpleNamespace(test_cfg={})
    (done,) = TopdownPoseEstimator.add_pred_to_datasample(estimator, [pred], None, [sample])
    return done.pred_instances.keypoints[0]


@pytest.mark.parametrize('kind', ['HeatmapPAF', 'LandmarkHeatmap'])
@pytest.mark.parametrize('name', PIPELINES)
def test_landmarks_come_back_within_a_fraction_of_a_millimetre(name, kind, data):
    steps = PIPELINES[name]
    codec = dict(CODEC, type=kind, use_udp=udp_of(steps))
    packed = build(data, steps, codec)[0]
    sample = packed['data_samples']
    assert packed['inputs'].shape == (3, *SIZE[::-1])
    maps = sample.gt_fields.heatmaps
    if kind == 'HeatmapPAF':
        maps = torch.cat([maps, sample.gt_fields.pafs])
    assert (sample.gt_fields.heatmaps.flatten(1).max(dim=1).values > 0.5).all()
    found = back_in_the_image(codec, sample, maps)
    offsets = np.linalg.norm(found - sample.raw_ann_info['points'], axis=1) * SPACING
    pixel_mm = SPACING * float(np.max(sample.input_scale)) / max(SIZE)
    assert offsets.max() < 0.15 * pixel_mm


@pytest.mark.parametrize('name', [n for n, steps in PIPELINES.items() if 'random' not in n])
def test_a_dot_is_where_its_landmark_is_drawn(name, tmp_path, data):
    content = json.loads((data / 'a.json').read_text())
    x, y = 131.0, 117.0
    content['annotations'][0]['keypoints'][:3] = [x, y, 2]
    (tmp_path / 'a.json').write_text(json.dumps(content))
    rows, columns = np.mgrid[:263, :301]
    dot = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 5.0**2))
    cv2.imwrite(str(tmp_path / 'a.png'), np.rint(dot).astype(np.uint8))
    steps = [step for step in PIPELINES[name] if step['type'] != 'PhotometricDistortion']
    codec = dict(CODEC, use_udp=udp_of(steps))
    packed = build(tmp_path, steps, codec)[0]
    grey = packed['inputs'][0].double().numpy()
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    seen = np.array([(grey * columns).sum(), (grey * rows).sum()]) / grey.sum()
    found = back_in_the_image(
        codec, packed['data_samples'], packed['data_samples'].gt_fields.heatmaps
    )
    meta = packed['data_samples'].metainfo
    pixel = np.asarray(meta['input_scale']) / SIZE
    drawn = (found[0] - meta['input_center'] + np.asarray(meta['input_scale']) / 2) / pixel
    if codec['use_udp']:
        drawn = drawn * (np.array(SIZE) - 1) / SIZE
    np.testing.assert_allclose(seen, drawn, atol=0.2)


@pytest.mark.parametrize('kind', ['HeatmapPAF', 'LandmarkHeatmap'])
@pytest.mark.parametrize('affine', [STOCK, dict(AFFINE, use_udp=True)])
@pytest.mark.parametrize('several', [False, True])
def test_an_affine_that_the_codec_does_not_undo_is_refused(affine, several, kind, data):
    udp = affine.get('use_udp', False)
    codec = dict(CODEC, type=kind, use_udp=not udp)
    encoder = [dict(codec, use_udp=udp), codec] if several else codec
    with pytest.raises(ValueError, match=f'use_udp={udp} and {kind} use_udp={not udp}: give both'):
        build(data, [LOAD, BOX, affine], encoder)
    assert build(data, [LOAD, BOX, affine], dict(codec, use_udp=udp))[0]


@pytest.mark.parametrize(
    ('steps', 'words'),
    [
        ([resize(*SIZE), BOX, AFFINE], r"Resize moves .* put it into dict\(type='CarryLandmarks'"),
        ([dict(type='mmcv.CenterCrop', crop_size=99), BOX, AFFINE], 'CenterCrop moves'),
        ([dict(type='mmcv.RandomFlip', prob=0.5), BOX, AFFINE], r"type='mmpose\.RandomFlip'"),
        ([mmcv(resize(*SIZE)), BOX, AFFINE], 'comes after CarryLandmarks'),
    ],
)
def test_a_pipeline_that_leaves_the_landmarks_behind_is_refused(steps, words, data):
    with pytest.raises(ValueError, match=words):
        build(data, [LOAD, *steps], CODEC)


def test_the_pipeline_of_a_combined_data_set_is_looked_at_too(data):
    plain = dict(type='THADataset', data_root=str(data), ann_file='a.json', pipeline=[])
    metainfo = dict(from_file='configs/_base_/datasets/tha.py')
    combined = DATASETS.build(
        dict(
            type='CombinedDataset', metainfo=metainfo, datasets=[plain],
            pipeline=[LOAD, resize(*SIZE), BOX, AFFINE],
        )
    )  # fmt: skip
    with pytest.raises(ValueError, match='CarryLandmarks'):
        combined[0]


def test_mirroring_by_mmcv_is_refused_where_landmarks_are_carried(data):
    mirror = dict(type='mmcv.RandomFlip', prob=1.0)
    with pytest.raises(ValueError, match=r"mirror .*type='mmpose\.RandomFlip'"):
        build(data, [LOAD, mmcv(mirror)], CODEC)[0]


def test_an_image_without_landmarks_is_carried_for_inference(data):
    dataset = build(data, [LOAD, mmcv(resize(*SIZE), PAD)], CODEC)
    results = dict(img=np.zeros((263, 301), np.uint8))
    for step in dataset.pipeline.transforms[:2]:
        results = step(results)
    assert results['input_size'] == SIZE
    assert results['transformed_keypoints'].size == 1


def test_albumentations_changes_pixels_and_moves_nothing(data):
    albumentations = pytest.importorskip('albumentations', reason="pip install -e '.[augment]'")
    assert albumentations.__version__
    steps = [
        dict(type='RandomBrightnessContrast', p=1.0),
        dict(type='OneOf', transforms=[dict(type='Blur', p=1.0), dict(type='MedianBlur', p=1.0)]),
        dict(type='CLAHE', p=1.0),
    ]
    changed = dict(type='Albumentation', transforms=steps)
    plain = build(data, [LOAD, BOX, AFFINE], CODEC)[0]
    varied = build(data, [LOAD, changed, BOX, AFFINE], CODEC)[0]
    assert not torch.equal(plain['inputs'], varied['inputs'])
    for name in ('heatmaps', 'pafs'):
        fields = [getattr(item['data_samples'].gt_fields, name) for item in (plain, varied)]
        assert torch.equal(*fields)


@pytest.mark.parametrize('after', ['RadiographicNoise', 'RandomCover'])
def test_our_transforms_follow_mmposes_photometric_one(after, data):
    steps = [LOAD, BOX, AFFINE, dict(type='PhotometricDistortion'), dict(type=after, prob=1.0)]
    for seed in range(6):
        np.random.seed(seed)
        image = build(data, steps, CODEC)[0]['inputs']
        assert image.dtype == torch.uint8
        assert torch.equal(image[0], image[2]) and image.float().std() > 1
