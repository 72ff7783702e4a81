"""Data samples as MMPose hands them to a metric."""

import numpy as np
import pytest
from mmpose.registry import METRICS

from tests.golden_hip import PELVIS_MM
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES
from unsct_mmpose.maps.deciders import DECIDERS


def make_sample(
    shift=(0.0, 0.0),
    *,
    seed=0,
    absent=(),
    unlabelled=(),
    reported=None,
    subset='structured',
    ours=False,
    **extra,
):
    """Return the sample of one pelvis, 2 px/mm, whose landmarks are found ``shift`` px off.

    ``ours`` adds what our own head says: honest regions and probabilities, and all three evidences
    certain of the landmarks that are reported.
    """
    rng = np.random.default_rng(seed)
    points = 2 * (PELVIS_MM + rng.normal(0, 3, PELVIS_MM.shape) + (215, 200))
    present, labelled = np.ones(24, bool), np.ones(24, bool)
    present[[*absent, *unlabelled]] = False
    labelled[list(unlabelled)] = False
    points[list(unlabelled)] = 0.0
    pred = dict(keypoints=(points + shift)[None], keypoint_scores=np.ones((1, 24)))
    if reported is not None:
        pred['keypoints_visible'] = np.asarray(reported, dtype=np.float32)[None]
    if ours:
        certain = np.ones(24) if reported is None else np.asarray(reported, float)
        pred.update(
            keypoint_uncertainties=1.0 - 0.9 * certain[None],
            keypoint_presence=0.05 + 0.9 * certain[None],
            keypoint_covariances=np.tile(4.0 * np.eye(2), (1, 24, 1, 1)),
            keypoint_evidences=np.repeat(1.0 - 0.9 * certain[None, :, None], 3, axis=2),
            keypoint_decisions=np.repeat(certain[None, :, None] > 0.5, len(DECIDERS), axis=2),
            interval_scales=np.full((1, len(MEASUREMENT_NAMES)), 1.96),
        )
    truth = dict(
        file_name=f'{seed}.dcm', patient_id=f'p{seed}', points=points, present=present,
        labelled=labelled, subset=subset, pixel_spacing=(0.5, 0.5), magnification=1.25,
    )  # fmt: skip
    return dict(pred_instances=pred, raw_ann_info={**truth, **extra})


def evaluate_metric(name, samples, **kwargs):
    metric = METRICS.build(dict(type=name, **kwargs))
    for data_sample in samples:
        metric.process({}, [data_sample])
    return metric.evaluate(len(samples))


@pytest.fixture
def sample():
    return make_sample


@pytest.fixture
def evaluate_any():
    return evaluate_metric


@pytest.fixture
def evaluate(request):
    """Evaluate the metric that the test file names ``METRIC``."""
    return lambda samples, **kwargs: evaluate_metric(request.module.METRIC, samples, **kwargs)
