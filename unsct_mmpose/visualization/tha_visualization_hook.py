"""Hook ``THAVisualizationHook``: pictures of radiographs in any format."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.runner import Runner
from mmpose.engine.hooks import PoseVisualizationHook
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample

from unsct_mmpose.anatomy import landmarks_of
from unsct_mmpose.drawing.picture_files import write_picture

from .sample_pictures import SamplePictures, folder_of


@HOOKS.register_module()
class THAVisualizationHook(PoseVisualizationHook):
    """Let :class:`THAVisualizer` draw radiographs with what was found in them.

    It replaces MMPose's hook, which cannot decode DICOM. ``tools/test.py --show-dir DIR`` and
    ``--show`` switch it on; a relative folder lies in the run's time-stamped folder, as MMPose has
    it. Every tested image gets a file, where names repeat with its folder's before it. During
    validation the first image of every ``interval``-th batch goes to the visualizer's backends,
    and into the folder of ``tools/train.py --show-dir DIR``. With another visualizer in the config
    the pictures are those of a :class:`THAVisualizer` with its defaults.

    Args:
        limit: at most so many tested images get a picture, the first ones; None: all.
        **kwargs: see ``PoseVisualizationHook``.
    """

    def __init__(self, limit: int | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.limit = limit
        self._pictures: SamplePictures | None = None

    def before_val(self, runner: Runner) -> None:
        """Learn which landmarks the data set has."""
        self.pictures.landmarks = landmarks_of(runner.val_evaluator.dataset_meta)

    def before_test(self, runner: Runner) -> None:
        """Learn which landmarks the data set has."""
        self.pictures.landmarks = landmarks_of(runner.test_evaluator.dataset_meta)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[PoseDataSample]
    ) -> None:
        """Hand one picture of a validation batch on, to the backends and the folder."""
        step = runner.iter + batch_idx
        if not self.enable or step % self.interval:
            return
        picture = self.picture_of(outputs[0])
        self._visualizer.add_image('val_img', picture, step=step)
        if self.out_dir is not None:
            write_picture(folder_of(runner, self.out_dir) / f'val_img_{step}.png', picture)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[PoseDataSample]
    ) -> None:
        """Save or show a picture of each tested image."""
        if not self.enable:
            return
        for sample in outputs:
            if self._test_index == self.limit:
                return
            self._test_index += 1
            picture = self.picture_of(sample)
            name = self.pictures.name(sample, runner)
            if self.out_dir is not None:
                write_picture(folder_of(runner, self.out_dir) / f'{name}.png', picture)
            elif self.show:
                self._visualizer.show(picture, win_name=name, wait_time=self.wait_time)
            else:
                self._visualizer.add_image('test_img', picture, step=self._test_index)

    @property
    def pictures(self) -> SamplePictures:
        """What draws and names."""
        if self._pictures is None or self._pictures.visualizer is not self._visualizer:
            self._pictures = SamplePictures(self._visualizer)
        return self._pictures

    def picture_of(self, sample: PoseDataSample) -> np.ndarray:
        """Draw a predicted data sample; see :meth:`SamplePictures.draw`."""
        return self.pictures.draw(sample)
