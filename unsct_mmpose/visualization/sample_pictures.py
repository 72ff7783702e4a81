"""Pictures of tested images, each in a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.visualization import Visualizer
from mmpose.structures import PoseDataSample

from unsct_mmpose.anatomy import HIP
from unsct_mmpose.annotations.annotated import read_display
from unsct_mmpose.files import DistinctNames

from .tha_visualizer import THAVisualizer


class SamplePictures:
    """Draws data samples on their radiographs, and names the files of the pictures.

    Args:
        visualizer: that of the run; where it is no :class:`THAVisualizer`, one with its defaults
            draws instead.

    Attributes:
        landmarks: which the samples hold.
    """

    def __init__(self, visualizer: Visualizer) -> None:
        self.visualizer = visualizer
        self.landmarks = HIP
        self._names: DistinctNames | None = None

    def draw(self, sample: PoseDataSample) -> np.ndarray:
        """Draw a predicted data sample on its radiograph.

        Args:
            sample: a data sample with ``img_path`` and ``pred_instances``; ``raw_ann_info`` of
                :class:`THADataset`, if there, adds the true landmarks and the pixel spacing, which
                else are taken from the file.

        Returns:
            ``(H, W, 3)`` RGB picture.
        """
        drawer = self.visualizer
        if not isinstance(drawer, THAVisualizer):
            drawer = THAVisualizer(name='radiographs')
        drawer.landmarks = self.landmarks
        notes = sample.get('raw_ann_info')
        radiograph, squared = read_display(sample.get('img_path'), notes or {})
        if notes is None:
            spacing = radiograph.spacing_xy_mm
            if spacing is not None:
                spacing = tuple(np.asarray(spacing) * squared.steps_xy)
            annotation = dict(pixel_spacing=spacing, magnification=radiograph.magnification)
            sample = sample.new(metainfo={**sample.metainfo, 'raw_ann_info': annotation})
        return drawer.draw(squared.pixels, sample)

    def name(self, sample: PoseDataSample, runner: Any) -> str:
        """Return a name for a tested image's files that no other tested image has.

        All images of the test's data set are named in their order, so that several processes,
        each with a part of them, agree.
        """
        if self._names is None:
            self._names = DistinctNames(_paths(runner))
        return self._names.name(sample.get('img_path'))


def folder_of(runner: Any, out_dir: str) -> Path:
    """Return where a run writes pictures: a relative folder lies in its time-stamped one."""
    return Path(runner.work_dir) / runner.timestamp / out_dir


def _paths(runner: Any) -> list[str]:
    loader = getattr(runner, 'test_dataloader', None)
    dataset = getattr(loader, 'dataset', None)
    if not hasattr(dataset, 'get_data_info'):
        return []  # they are named as they come
    return [str(dataset.get_data_info(index)['img_path']) for index in range(len(dataset))]
