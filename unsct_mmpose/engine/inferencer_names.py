"""File names of what ``MMPoseInferencer`` writes: one for each image, whatever its folder.

MMPose names pictures and predictions by the image's base name alone, so that of two images with
one name only the last survives, and it writes no picture that is called ``.dcm``.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmengine
from mmengine.fileio import join_path
from mmpose.apis.inferencers.base_mmpose_inferencer import BaseMMPoseInferencer

from unsct_mmpose.drawing.picture_files import picture_path, write_picture
from unsct_mmpose.files import DistinctNames


def write_distinct_files() -> None:
    """Make inferencers write every picture and prediction to a file of its own.

    The first image of a name keeps it; a later one from elsewhere has its folder's name before it.
    Videos, and a ``vis_out_dir`` that is a file, are left to MMPose. Calling again changes nothing.
    """
    if getattr(BaseMMPoseInferencer.visualize, 'writes_distinct_files', False):
        return
    for name, wrap in (('visualize', _visualize), ('postprocess', _postprocess)):
        wrapped = wrap(getattr(BaseMMPoseInferencer, name))
        wrapped.writes_distinct_files = True
        setattr(BaseMMPoseInferencer, name, wrapped)


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
    return [inferencer._distinct_names.name(one.metainfo['img_path']) for one in preds]


def _is_video(inferencer: Any) -> bool:
    return bool(getattr(inferencer, '_video_input', False))
