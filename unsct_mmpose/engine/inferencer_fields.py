"""Uncertainties in what ``MMPoseInferencer`` returns as plain dictionaries.

MMPose copies keypoints, scores and boxes into them and drops every other field of
``pred_instances``; with ``return_datasamples=True`` nothing is lost.
"""

from __future__ import annotations

import functools
import math
import sys
from typing import Any

import mmpose.structures

CARRIED = (
    'keypoints_visible',
    'keypoint_uncertainties',
    'keypoint_presence',
    'keypoint_covariances',
    'image_state',
    'calibrated',
)
"""Fields of ``HeatmapPAFHead`` that are copied too; NaN, which json lacks, becomes None."""

_USERS = ('mmpose.structures.utils', 'mmpose.apis.inferencers.base_mmpose_inferencer')


def carry_uncertainties() -> None:
    """Make ``split_instances`` copy the fields of :data:`CARRIED` where a prediction has them.

    Predictions of other heads are untouched. Calling again changes nothing.
    """
    original = mmpose.structures.split_instances
    if getattr(original, 'carries_uncertainties', False):
        return

    @functools.wraps(original)
    def split_instances(instances: Any) -> list[dict[str, Any]]:
        results = original(instances)
        if 'keypoint_uncertainties' not in (instances or ()):
            return results
        for index, result in enumerate(results):
            for name in CARRIED:
                if name in instances:
                    result[name] = _plain(instances[name][index].tolist())
        return results

    split_instances.carries_uncertainties = True
    mmpose.structures.split_instances = split_instances
    for name in _USERS:
        if name in sys.modules:
            sys.modules[name].split_instances = split_instances


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
