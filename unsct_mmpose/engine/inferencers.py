"""What ``MMPoseInferencer`` returns and writes: uncertainties, and a file for each image.

MMPose copies keypoints, scores and boxes into plain dictionaries and drops every other field of
``pred_instances`` (with ``return_datasamples=True`` nothing is lost). It names pictures and
predictions by the image's base name alone, so that of two images with one name only the last
survives, and it writes no picture that is called ``.dcm``.
"""

from __future__ import annotations

import functools
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmengine
import mmpose.structures
from mmengine.fileio import join_path
from mmpose.apis.inferencers.base_mmpose_inferencer import BaseMMPoseInferencer

from unsct_mmpose.drawing.picture_files import picture_path, write_picture
from unsct_mmpose.files import DistinctNames

CARRIED = (
    'keypoints_visible',
    'keypoint_uncertainties',
    'keypoint_presence',
    'keypoint_covariances',
    'image_state',
    'calibrated',
)
"""Fields of ``HeatmapPAFHead`` that are copied too; NaN, which json lacks, becomes None."""

_USERS = (
    'mmpose.structures',
    'mmpose.structures.utils',
    'mmpose.apis.inferencers.base_mmpose_inferencer',
)


def extend_inferencers() -> None:
    """Make inferencers return the fields of :data:`CARRIED` and write every file by itself.

    Predictions of other heads are returned as before. The first image of a name keeps it; a later
    one from elsewhere has its folder's name before it. Videos, and a ``vis_out_dir`` that is a
    file, are left to MMPose.
    """
    split_instances = _split_instances(mmpose.structures.split_instances)
    for name in _USERS:
        if name in sys.modules:
            sys.modules[name].split_instances = split_instances
    for name, wrap in (('visualize', _visualize), ('postprocess', _postprocess)):
        setattr(BaseMMPoseInferencer, name, wrap(getattr(BaseMMPoseInferencer, name)))


def _split_instances(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def split_instances(instances: Any) -> list[dict[str, Any]]:
        results = original(instances)
        if 'keypoint_uncertainties' not in (instances or ()):
            return results
        for index, result in enumerate(results):
            for name in CARRIED:
                if name in instances:
                    result[name] = _without_nan(instances[name][index].tolist())
        return results

    return split_instances


def _visualize(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def visualize(
        self: Any, inputs: Any, preds: Any, *args: Any, vis_out_dir: str = '', **kwargs: Any
    ) -> Any:
        names = _names(self, preds)
        if not vis_out_dir or _is_video(self) or os.path.splitext(vis_out_dir)[1]:
            return original(self, inputs, preds, *args, vis_out_dir=vis_out_dir, **kwargs)
        wanted = kwargs.pop('return_vis', False)
        pictures = original(self, inputs, preds, *args, return_vis=True, **kwargs)
        for name, pred, picture in zip(names, preds, pictures, strict=True):
            suffix = Path(pred.metainfo['img_path']).suffix
            kept = picture_path(Path(f'x{suffix}')).name == f'x{suffix}'
            write_picture(Path(vis_out_dir) / f'{name}{suffix if kept else ".png"}', picture)
        return pictures if wanted else []

    return visualize


def _postprocess(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def postprocess(
        self: Any, preds: Any, *args: Any, pred_out_dir: str = '', **kwargs: Any
    ) -> Any:
        names = _names(self, preds)
        if not pred_out_dir or _is_video(self):
            return original(self, preds, *args, pred_out_dir=pred_out_dir, **kwargs)
        result = original(self, preds, *args, pred_out_dir='', **kwargs)
        for name, pred in zip(names, result['predictions'], strict=True):
            mmengine.dump(pred, join_path(pred_out_dir, f'{name}.json'), indent='  ')
        return result

    return postprocess


def _names(inferencer: Any, preds: Any) -> list[str]:
    """Name the images of predictions; once for each image of an inferencer, written or not."""
    if not hasattr(inferencer, '_distinct_names'):
        inferencer._distinct_names = DistinctNames()
    return [inferencer._distinct_names.name(pred.metainfo['img_path']) for pred in preds]


def _is_video(inferencer: Any) -> bool:
    return bool(getattr(inferencer, '_video_input', False))


def _without_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
