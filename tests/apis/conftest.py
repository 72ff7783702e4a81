"""A backend that needs no network: the landmarks of a drawn pelvis, wherever the image is."""

import hashlib

import numpy as np
import pytest

from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES

RIGHT = np.array(
    [(-63, -45), (-62, -8), (-102, -24), (-70, -21), (-71, -2), (-86.5, 0), (-124, -7), (-57, 18),
     (-47, 65), (-110, 22), (-122, 70), (-115, 150)], float
)  # fmt: skip
GOLDEN_MM = np.concatenate((RIGHT * [-1, 1], RIGHT)) + [215, 200]


class FakeBackend:
    """Finds the same landmarks in every image, as a share of its size; remembers its batches."""

    def __init__(self, **changes):
        self.identity = dict(
            backend='fake',
            name='fake',
            weights_sha256=hashlib.sha256(b'weights').hexdigest(),
            calibration_sha256=hashlib.sha256(b'calibration').hexdigest(),
            region_level=0.95,
            interval_level=0.95,
            calibration=dict(images=3, patients=2, data='simulated'),
        )
        self.changes, self.batches = changes, []

    def read(self, images):
        self.batches.append(len(images))
        return [self.fields(one.shape) for one in images]

    def fields(self, shape=(400, 430)):
        points = GOLDEN_MM / [430, 400] * [shape[1], shape[0]]
        presence = np.full(24, 0.995)
        presence[[1, 3]] = 0.95, 0.7
        return dict(
            keypoints=points,
            keypoint_scores=np.full(24, 0.9),
            keypoint_uncertainties=1 - presence,
            keypoints_visible=np.ones(24),
            keypoint_presence=presence,
            keypoint_covariances=np.tile([[4.0, 1.0], [1.0, 2.0]], (24, 1, 1)),
            keypoint_evidences=np.full((24, 3), 0.1),
            keypoint_decisions=np.ones((24, 3), bool),
            keypoint_support=np.full(24, 3),
            interval_scales=np.full(len(MEASUREMENT_NAMES), 2.0),
            image_state=0,
            calibrated=True,
        ) | {k: v() if callable(v) else v for k, v in self.changes.items()}


@pytest.fixture
def make_backend():
    return FakeBackend
