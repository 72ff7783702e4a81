import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import KEYPOINT_CODECS, TRANSFORMS
from mmpose.structures import PoseDataSample

from unsct_mmpose.anatomy import FLIP_INDICES, LANDMARK_CLASSES
from unsct_mmpose.maps.calibration import RULES, Calibration
from unsct_mmpose.maps.deciders import DECIDERS
from unsct_mmpose.maps.fusion import Fusion, MonotoneLogistic


@pytest.fixture
def codec_cfg():
    return dict(type='HeatmapPAF', input_size=(64, 64), heatmap_size=(16, 16), sigma=1.0)


@pytest.fixture
def make_samples(codec_cfg):
    """Return data samples with targets, as MMPose's pipeline packs them."""
    codec = KEYPOINT_CODECS.build(codec_cfg)

    def make(count, seed=0):
        rng = np.random.default_rng(seed)
        samples = []
        for _ in range(count):
            encoded = codec.encode(rng.uniform(4, 60, (1, 24, 2)))
            sample = PoseDataSample(metainfo=dict(flip_indices=list(FLIP_INDICES)))
            sample.gt_fields = PixelData(
                heatmaps=torch.from_numpy(encoded['heatmaps']),
                pafs=torch.from_numpy(encoded['pafs']),
            )
            sample.gt_instance_labels = InstanceData(
                keypoint_weights=torch.from_numpy(encoded['keypoint_weights']),
                relation_weights=torch.from_numpy(encoded['relation_weights']),
            )
            samples.append(sample)
        return samples

    return make


@pytest.fixture
def make_level_samples():
    """Return a function that lets MMPose's own pipeline draw targets, for one level or several.

    The landmarks stay in each sample's ``gt_instances``.
    """

    def make(encoders, count=2, seed=0, present=None, labelled=True):
        several = isinstance(encoders, list)
        draw = TRANSFORMS.build(dict(type='GenerateTarget', encoder=encoders, multilevel=several))
        pack = TRANSFORMS.build(dict(type='PackPoseInputs'))
        rng = np.random.default_rng(seed)
        shown = np.ones((1, 24, 2), np.float32)
        if present is not None:
            shown[0, :, 0] = present
        shown *= labelled
        samples = []
        for _ in range(count):
            image = dict(
                img=np.zeros((64, 64, 3), np.uint8),
                keypoints=rng.uniform(8, 55, (1, 24, 2)).astype(np.float32),
                keypoints_visible=shown.copy(),
                flip_indices=list(FLIP_INDICES),
            )
            samples.append(pack(draw(image))['data_samples'])
        return samples

    return make


@pytest.fixture
def calibration():
    """Return a function that makes a calibration which the drawn targets satisfy.

    P(present) rises with peak and fields.
    """

    def make(threshold=0.5):
        model = MonotoneLogistic(0.0, (1.0, 1.0), (0.0, 0.5), (1.0, 0.2), (1, 1))
        rules = dict.fromkeys(RULES, threshold)
        return Calibration(
            rule='equal_cost',
            entropy='mirror',
            aggregation='peel',
            relations='core',
            thresholds={name: dict(rules) for name in DECIDERS},
            fusion=Fusion(('peak', 'supported'), model, (1.0,) * 34),
            region_level=0.95,
            region_scales={landmark.name: 1.5 + landmark.number for landmark in LANDMARK_CLASSES},
            interval_level=0.95,
            interval_scales=dict(sharp=2.5),
            typical_agreement=0.5,
            typical_quorum=0.8,
            provenance=dict(data='drawn'),
        )

    return make
