"""Visualizer ``THAVisualizer``: landmarks, measurements and maps of a radiograph on one sheet."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.logging import print_log
from mmpose.registry import VISUALIZERS
from mmpose.structures import PoseDataSample
from mmpose.visualization import PoseLocalVisualizer

from unsct_mmpose.anatomy import HIP, landmarks_of
from unsct_mmpose.drawing.canvas import GAP_PX, arrange, whole
from unsct_mmpose.drawing.grids import heatmap_grid, paf_grid
from unsct_mmpose.drawing.measurements import measurement_panel
from unsct_mmpose.drawing.overlay import draw_landmarks, landmark_legend
from unsct_mmpose.drawing.panels import certainty_panel, heatmap_panel, paf_panel
from unsct_mmpose.drawing.picture_files import picture_path, write_picture
from unsct_mmpose.drawing.strokes import caption_strip, to_gray
from unsct_mmpose.maps.uncertainty import certainty_map

from .drawable import Drawable, holds, unpack

PANELS = (
    ('landmarks', 'measurements'),
    ('heatmaps', 'fields', 'certainty'),
    ('heatmap_grid',),
    ('field_grid',),
)
"""Everything that can be drawn, in the rows of the sheet."""

_MAPS = {name for row in PANELS[1:] for name in row}


@VISUALIZERS.register_module()
class THAVisualizer(PoseLocalVisualizer):
    """Draw radiographs of any depth with what was found in them.

    The sheet shows landmarks with the colours and shapes of their certainty, the true ones beside
    them, ellipses of 95 %; then where the clinical measurements are read and their values;
    then, where a sample has ``pred_fields`` (``model.test_cfg.output_heatmaps=True``), heatmaps,
    fields and the certainty map of the paper's Figure 9. Samples that hold other landmarks than
    the set's are drawn as MMPose draws them.

    Args:
        name: name of the instance.
        panels: what to draw, of ``landmarks``, ``measurements``, ``heatmaps``, ``fields``,
            ``certainty``, ``heatmap_grid``, ``field_grid``; what a sample lacks is left out.
        width_px: width of the sheet.
        **kwargs: see ``PoseLocalVisualizer``.

    Raises:
        ValueError: there is no such panel.
    """

    def __init__(
        self,
        name: str = 'visualizer',
        panels: Sequence[str] = ('landmarks', 'measurements', 'heatmaps', 'fields', 'certainty'),
        width_px: int = 1800,
        **kwargs,
    ) -> None:
        super().__init__(name=name, **kwargs)
        names = [panel for row in PANELS for panel in row]
        wrong = [panel for panel in panels if panel not in names]
        if wrong or not panels:
            raise ValueError(f'unknown panels {wrong}; choose some of {names}')
        self.panels = tuple(panels)
        self.width_px = width_px
        self.landmarks = HIP
        self._asked: Counter[Path] = Counter()

    def set_dataset_meta(self, dataset_meta: dict, skeleton_style: str = 'mmpose') -> None:
        """Take over landmarks and colours of a data set; people alone have OpenPose's style."""
        self.landmarks = landmarks_of(dataset_meta)
        try:
            super().set_dataset_meta(dataset_meta, skeleton_style)
        except NotImplementedError as error:
            print_log(f'{error}: drawn as MMPose does', logger='current', level=logging.WARNING)
            super().set_dataset_meta(dataset_meta)

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: PoseDataSample,
        draw_gt: bool = True,
        draw_pred: bool = True,
        draw_heatmap: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        step: int = 0,
        **kwargs,
    ) -> np.ndarray:
        """Draw a sample; show it, write it, or hand it to the backends.

        Args:
            name: title of the window, or name in the backends.
            image: ``(H, W)`` or ``(H, W, 3)`` radiograph, any depth.
            data_sample: see :func:`unsct_mmpose.visualization.drawable.unpack`.
            draw_gt: draw the true landmarks, where there are any.
            draw_pred: draw the predicted ones.
            draw_heatmap: draw the panels of the maps.
            show: show it in a window.
            wait_time: seconds that the window waits.
            out_file: file to write instead of handing it to the backends. A name that is no
                picture's, such as that of a DICOM file, gets ``.png``, and a number where this
                visualizer has had the same one before: MMPose's tools hand on the names of images,
                which may lie in several folders.
            step: step in the backends.
            **kwargs: further ones of MMPose's, for samples that it draws.

        Returns:
            ``(H', W', 3)`` RGB picture.
        """
        if out_file is not None:
            out_file = str(self._file_for(Path(out_file)))
        if not holds(data_sample, self.landmarks):
            gray = to_gray(image)
            plain = image if image.dtype == np.uint8 and image.ndim == 3 else cv2.merge([gray] * 3)
            return super().add_datasample(
                name, plain, _without_weights(data_sample), draw_gt=draw_gt, draw_pred=draw_pred,
                draw_heatmap=draw_heatmap, show=show, wait_time=wait_time, out_file=out_file,
                step=step, **kwargs,
            )  # fmt: skip
        picture = self.draw(image, data_sample, draw_gt, draw_pred, draw_heatmap)
        self.set_image(picture)
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is not None:
            write_picture(Path(out_file), picture)
        else:
            self.add_image(name, picture, step)
        return picture

    def _file_for(self, asked: Path) -> Path:
        path = picture_path(asked).absolute()
        if path == asked.absolute():
            return path
        self._asked[path] += 1
        number = self._asked[path] - 1
        return path.with_stem(f'{path.stem}({number})') if number else path

    def draw(
        self,
        image: np.ndarray,
        data_sample: PoseDataSample,
        draw_gt: bool = True,
        draw_pred: bool = True,
        draw_heatmap: bool = True,
    ) -> np.ndarray:
        """Draw a sample of these landmarks; see :meth:`add_datasample`."""
        drawable = unpack(data_sample, self.landmarks)
        if not draw_gt:
            drawable = replace(drawable, truth=None, present=None)
        chosen = set(self.panels) - (set() if draw_heatmap else _MAPS)
        if not draw_pred:
            chosen = {'landmarks'}
            drawable = replace(drawable, points=np.full_like(drawable.points, np.nan))
        gray = to_gray(image)
        drawable = replace(drawable, box=drawable.box or whole(gray))
        rows = []
        for row in PANELS:
            names = [name for name in row if name in chosen and _has(drawable, name)]
            width = (self.width_px - GAP_PX * (len(names) - 1)) // max(len(names), 1)
            rows.append([_panel(name, gray, drawable, width) for name in names])
        return arrange(rows)


def _without_weights(sample: PoseDataSample) -> PoseDataSample:
    """Drop the weights beside the visibility of true points: MMPose cannot draw them."""
    truth = sample.get('gt_instances')
    if truth is None or np.ndim(truth.get('keypoints_visible')) != 3:
        return sample
    sample = sample.new()
    sample.gt_instances = truth.new()
    sample.gt_instances.keypoints_visible = truth.keypoints_visible[..., 0]
    return sample


def _has(drawable: Drawable, name: str) -> bool:
    """Whether there is something to draw in a panel."""
    if name == 'measurements':
        return drawable.landmarks.clinical
    if name in ('heatmaps', 'heatmap_grid'):
        return drawable.heatmaps is not None
    return name not in _MAPS or drawable.relations is not None


def _panel(name: str, gray: np.ndarray, drawable: Drawable, width_px: int) -> np.ndarray:
    """Draw one panel, as wide as its share of the sheet."""
    size = dict(long_side_px=round(width_px * max(gray.shape) / gray.shape[1]))
    maps, landmarks = dict(box=drawable.box, **size), drawable.landmarks
    if name == 'landmarks':
        return _landmark_panel(gray, drawable, **size)
    if name == 'measurements':
        return measurement_panel(
            gray,
            drawable.points,
            drawable.reported,
            drawable.spacing_xy_mm,
            magnification=drawable.magnification,
            covariances_px=drawable.covariances,
            **size,
        )
    if name == 'heatmaps':
        return heatmap_panel(gray, drawable.heatmaps, **maps)
    if name == 'fields':
        return paf_panel(gray, drawable.pafs, drawable.relations, **maps)
    if name == 'certainty':
        fields = (drawable.heatmaps, drawable.pafs, drawable.cells)
        tensors = (torch.from_numpy(np.asarray(values, np.float32))[None] for values in fields)
        certainty = certainty_map(*tensors, drawable.relations)[0].numpy()
        return certainty_panel(gray, certainty, **maps)
    grid = dict(box=drawable.box, width_px=width_px)
    if name == 'heatmap_grid':
        return heatmap_grid(gray, drawable.heatmaps, landmarks, **grid)
    return paf_grid(gray, drawable.pafs, drawable.relations, landmarks, **grid)


def _landmark_panel(gray: np.ndarray, drawable: Drawable, long_side_px: int) -> np.ndarray:
    """Draw the landmarks, and below them the caption and what the marks mean."""
    picture = draw_landmarks(
        gray,
        drawable.estimates,
        drawable.landmarks.labels,
        truth=drawable.truth,
        present=drawable.present,
        long_side_px=long_side_px,
    )
    width = picture.shape[1]
    shown = [mark for mark in drawable.estimates if math.isfinite(mark.x)]
    legend = landmark_legend(width, shown, truth=drawable.truth is not None)
    return np.concatenate([picture, caption_strip(width, drawable.caption.splitlines()), legend])
