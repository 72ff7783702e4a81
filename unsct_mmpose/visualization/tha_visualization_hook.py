"""Hook ``THAVisualizationHook``: pictures of radiographs in any format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.dist import master_only
from mmengine.runner import Runner
from mmpose.engine.hooks import PoseVisualizationHook
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample

from unsct_mmpose.imaging.annotated import read_display

from .tha_visualizer import THAVisualizer, write_picture


@HOOKS.register_module()
class THAVisualizationHook(PoseVisualizationHook):
    """Let :class:`THAVisualizer` draw radiographs with what was found in them.

    It replaces MMPose's hook, which cannot decode DICOM. ``tools/test.py --show-dir DIR`` and
    ``--show`` switch it on; a relative folder lies in the run's time-stamped folder, as MMPose has
    it. During validation the first image of every ``interval``-th batch goes to the visualizer's
    backends. With another visualizer in the config the pictures are those of a
    :class:`THAVisualizer` with its defaults.

    Args:
        **kwargs: see ``PoseVisualizationHook``.
    """

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[PoseDataSample]
    ) -> None:
        """Hand one picture of a validation batch to the visualizer's backends."""
        step = runner.iter + batch_idx
        if self.enable and step % self.interval == 0:
            self._visualizer.add_image('val_img', self.picture_of(outputs[0]), step=step)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[PoseDataSample]
    ) -> None:
        """Save or show a picture of each tested image."""
        if not self.enable:
            return
        for sample in outputs:
            self._test_index += 1
            picture = self.picture_of(sample)
            name = Path(sample.get('img_path')).stem
            if self.out_dir is not None:
                folder = Path(runner.work_dir) / runner.timestamp / self.out_dir
                self._save(folder / f'{name}.png', picture)
            elif self.show:
                self._visualizer.show(picture, win_name=name, wait_time=self.wait_time)
            else:
                self._visualizer.add_image('test_img', picture, step=self._test_index)

    def picture_of(self, sample: PoseDataSample) -> np.ndarray:
        """Draw a predicted data sample on its radiograph.

        Args:
            sample: a data sample with ``img_path`` and ``pred_instances``; ``raw_ann_info`` of
                :class:`THADataset`, if there, adds the true landmarks and the pixel spacing, which
                else are taken from the file.

        Returns:
            ``(H, W, 3)`` RGB picture.
        """
        drawer = self._visualizer
        if not isinstance(drawer, THAVisualizer):
            drawer = THAVisualizer(name='radiographs')
        notes = sample.get('raw_ann_info')
        radiograph, squared = read_display(sample.get('img_path'), notes or {})
        if notes is None:
            spacing = radiograph.spacing_xy_mm
            if spacing is not None:
                spacing = tuple(np.asarray(spacing) * squared.steps_xy)
            known = dict(pixel_spacing=spacing, magnification=radiograph.magnification)
            sample = sample.new(metainfo={**sample.metainfo, 'raw_ann_info': known})
        return drawer.draw(squared.pixels, sample)

    @master_only
    def _save(self, path: Path, picture: np.ndarray) -> None:
        write_picture(path, picture)
