"""Hook ``THAVisualizationHook``: overlay pictures of radiographs in any format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmengine.dist import master_only
from mmengine.runner import Runner
from mmpose.engine.hooks import PoseVisualizationHook
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample

from unsct_mmpose.imaging import read_radiograph

from .overlay import draw_landmarks


@HOOKS.register_module()
class THAVisualizationHook(PoseVisualizationHook):
    """Draw predicted landmarks, and the true ones, on the radiographs.

    It replaces MMPose's hook, which cannot decode DICOM. ``tools/test.py --show-dir DIR`` and
    ``--show`` switch it on; a relative folder lies in the run's time-stamped folder, as MMPose has
    it. During validation the first image of every ``interval``-th batch goes to the visualizer's
    backends.

    Args:
        **kwargs: see ``PoseVisualizationHook``.
    """

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[PoseDataSample]
    ) -> None:
        """Hand one picture of a validation batch to the visualizer's backends."""
        step = runner.iter + batch_idx
        if self.enable and step % self.interval == 0:
            self._visualizer.add_image('val_img', picture_of(outputs[0]), step=step)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[PoseDataSample]
    ) -> None:
        """Save or show a picture of each tested image."""
        if not self.enable:
            return
        for sample in outputs:
            self._test_index += 1
            picture = picture_of(sample)
            name = Path(sample.get('img_path')).stem
            if self.out_dir is not None:
                folder = Path(runner.work_dir) / runner.timestamp / self.out_dir
                self._save(folder / f'{name}.png', picture)
            elif self.show:
                self._visualizer.show(picture, win_name=name, wait_time=self.wait_time)
            else:
                self._visualizer.add_image('test_img', picture, step=self._test_index)

    @master_only
    def _save(self, path: Path, picture: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), picture[..., ::-1]):
            raise OSError(f'{path}: the overlay could not be written')


def picture_of(sample: PoseDataSample) -> np.ndarray:
    """Draw the landmarks of a predicted data sample on its radiograph.

    Args:
        sample: a data sample with ``img_path`` and ``pred_instances``; ``raw_ann_info`` of
            :class:`THADataset`, if there, adds the true landmarks.

    Returns:
        ``(H, W, 3)`` RGB picture.
    """
    path = sample.get('img_path')
    pixels = np.rint(read_radiograph(path).pixels * 255.0).astype(np.uint8)
    pred = sample.pred_instances
    truth = sample.get('raw_ann_info') or {}
    words = (Path(path).name, truth.get('subset'), truth.get('source'))
    return draw_landmarks(
        pixels,
        np.asarray(pred.keypoints)[0],
        kept=np.asarray(pred.keypoints_visible)[0] > 0.5,
        truth=truth.get('points'),
        present=truth.get('present'),
        caption=' | '.join(filter(None, words)),
    )
