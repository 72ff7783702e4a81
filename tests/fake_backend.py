"""A backend that needs no network, and a table of evidence as a trained network would give it."""

import hashlib

import numpy as np
import pytest

from tests.golden_hip import GOLDEN_MM
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES


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

    def infer(self, images):
        self.batches.append(len(images))
        return [self.fields(image.shape) for image in images]

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
            interval_offsets=np.zeros(len(MEASUREMENT_NAMES)),
            error_correlation=np.eye(48),
            image_state=0,
            calibrated=True,
        ) | {k: v() if callable(v) else v for k, v in self.changes.items()}


@pytest.fixture
def make_backend():
    return FakeBackend


@pytest.fixture(scope='module')
def table():
    """Twelve images of four patients, maps drawn from their landmarks, faint where absent."""
    # here, not above: the backend must stay importable without PyTorch
    import torch

    from unsct_mmpose.anatomy import relation_set
    from unsct_mmpose.maps.calibration_fit import EvidenceTable
    from unsct_mmpose.maps.evidence import DecodeOptions, decode_evidence
    from unsct_mmpose.maps.heatmap import draw_heatmaps
    from unsct_mmpose.maps.paf import draw_paf

    pairs = relation_set('full').pairs
    rng = np.random.default_rng(0)
    count = 12
    true = rng.uniform(6, 26, (count, 24, 2))
    present = rng.random((count, 24)) > 0.15
    present[::3] = True
    seen = torch.from_numpy(present)
    points = torch.from_numpy(true + rng.normal(0, 0.3, true.shape))
    shown = torch.ones_like(seen)
    strength = torch.where(seen, 0.9, 0.25) + torch.from_numpy(rng.normal(0, 0.1, seen.shape))
    heatmaps = draw_heatmaps(points, shown, (32, 32), 1.5) * strength[..., None, None]
    fields_ = draw_paf(points, seen, pairs, (32, 32)) * 0.6
    noise = torch.from_numpy(rng.lognormal(-4, 0.2, count)).float()
    evidence = decode_evidence(heatmaps, fields_, pairs, DecodeOptions(sigma=1.5), noise)
    return EvidenceTable(
        evidence=evidence,
        points_px=evidence.points.numpy().astype(float) * 8,
        covariances_px=evidence.covariances.numpy().astype(float) * 64,
        true_px=true * 8,
        present=present,
        labelled=np.ones((count, 24), bool),
        spacing_xy_mm=np.full((count, 2), 0.7),
        magnification=np.ones(count),
        patients=np.array([f'p{index % 4}' for index in range(count)]),
        subsets=np.where(present.all(axis=1), 'structured', 'unstructured'),
        files=np.array([f'{index}.dcm' for index in range(count)]),
    )
