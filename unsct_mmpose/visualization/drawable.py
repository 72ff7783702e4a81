"""What a data sample holds that can be drawn, as arrays in image pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmpose.structures import PoseDataSample

from unsct_mmpose.anatomy import NUM_LANDMARKS, RELATION_SETS
from unsct_mmpose.drawing.canvas import Box
from unsct_mmpose.maps.assessment import IMAGE_WORDS


@dataclass(frozen=True, eq=False)
class Drawable:
    """One pelvis and what is known of it; None where nothing is.

    Attributes:
        points: ``(24, 2)`` predicted landmarks.
        kept: ``(24,)`` which are reported.
        certainty: ``(24,)`` probability that they are there, or the heatmaps' peaks.
        covariances: ``(24, 2, 2)`` of their positions, pixels squared.
        truth: ``(24, 2)`` true landmarks.
        present: ``(24,)`` which of them exist.
        spacing_xy_mm: size of a pixel.
        magnification: a length on the detector over that in the patient.
        caption: what the picture is of, without the patient's identity.
        heatmaps: ``(24, h, w)``.
        pafs: ``(2 L, h, w)``.
        box: edges of the maps in the image.
    """

    points: np.ndarray
    kept: np.ndarray
    certainty: np.ndarray | None = None
    covariances: np.ndarray | None = None
    truth: np.ndarray | None = None
    present: np.ndarray | None = None
    spacing_xy_mm: tuple[float, float] | None = None
    magnification: float = 1.0
    caption: str = ''
    heatmaps: np.ndarray | None = None
    pafs: np.ndarray | None = None
    box: Box | None = None

    @property
    def relations(self) -> tuple[tuple[int, int], ...] | None:
        """The relations that the fields belong to, by their number."""
        known = {2 * len(one): one.pairs for one in RELATION_SETS.values()}
        return None if self.pafs is None else known.get(len(self.pafs))

    @property
    def cells(self) -> np.ndarray:
        """The points in cells of the maps, ``(24, 2)``."""
        left, top, right, bottom = self.box
        share = (self.points - (left, top)) / (right - left, bottom - top)
        return share * self.heatmaps.shape[:0:-1] - 0.5


def is_pelvis(sample: PoseDataSample) -> bool:
    """Whether a sample holds predicted landmarks of a pelvis, all 24."""
    shape = np.shape(sample.get('pred_instances', {}).get('keypoints', ()))
    return len(shape) == 3 and shape[0] > 0 and shape[1] == NUM_LANDMARKS


def unpack(sample: PoseDataSample) -> Drawable:
    """Return what can be drawn of the first pelvis of a sample.

    Args:
        sample: for which :func:`is_pelvis` holds; ``raw_ann_info`` of :class:`THADataset`, or else
            ``gt_instances``, has the true landmarks, ``pred_fields`` the maps.
    """
    pred = sample.pred_instances
    scores = _first(pred, 'keypoint_scores')
    presence = _first(pred, 'keypoint_presence')
    if presence is not None and scores is not None:
        presence = np.where(np.isfinite(presence), presence, scores)
    notes = sample.get('raw_ann_info') or {}
    fields = sample.get('pred_fields') or {}
    heatmaps, pafs = (_array(fields.get(name)) for name in ('heatmaps', 'pafs'))
    has_maps = heatmaps is not None and len(heatmaps) == NUM_LANDMARKS
    truth, present = _truth(sample)
    visible = _first(pred, 'keypoints_visible')
    return Drawable(
        points=_first(pred, 'keypoints')[:, :2],
        kept=np.ones(NUM_LANDMARKS, bool) if visible is None else visible > 0.5,
        certainty=scores if presence is None else presence,
        covariances=_first(pred, 'keypoint_covariances'),
        truth=truth,
        present=present,
        spacing_xy_mm=notes.get('pixel_spacing'),
        magnification=float(notes.get('magnification') or 1.0),
        caption=_caption(sample),
        heatmaps=heatmaps if has_maps else None,
        pafs=pafs if has_maps else None,
        box=maps_box(sample),
    )


def maps_box(sample: PoseDataSample) -> Box | None:
    """Return where the network's input, and so its maps, lie in the image; None: all over it."""
    found = [sample.get(name) for name in ('input_center', 'input_scale', 'input_size')]
    if any(one is None for one in found):
        return None
    center, scale, size = (np.asarray(one, float).reshape(-1)[:2] for one in found)
    start = (
        center - scale / 2 - 0.5 * scale / size
    )  # MMPose puts input pixel 0 at the region's edge
    return (*start.tolist(), *(start + scale).tolist())


def _truth(sample: PoseDataSample) -> tuple[np.ndarray | None, np.ndarray | None]:
    notes = sample.get('raw_ann_info') or {}
    if notes.get('points') is not None:
        return np.asarray(notes['points'], float), notes.get('present')
    true = sample.get('gt_instances') or {}
    points = _array(true.get('keypoints'))
    if points is None or points.ndim != 3 or points.shape[1] != NUM_LANDMARKS:
        return None, None
    visible = _array(true.get('keypoints_visible'))
    return points[0], None if visible is None else visible[0].reshape(NUM_LANDMARKS, -1)[:, 0] > 0


def _caption(sample: PoseDataSample) -> str:
    notes, pred = sample.get('raw_ann_info') or {}, sample.pred_instances
    number = sample.get('img_id')
    words = ['' if number is None else f'image {number}', notes.get('subset'), notes.get('source')]
    lines = [' | '.join(filter(None, words))]
    state = int(np.ravel(_array(pred.get('image_state', 0)))[0])
    lines.append(IMAGE_WORDS[state] if state else '')
    if not np.all(_array(pred.get('calibrated', True))):
        lines.append('not calibrated: reported by a fixed limit')
    return '\n'.join(filter(None, lines))


def _first(instances: Any, name: str) -> np.ndarray | None:
    values = _array(instances.get(name))
    return None if values is None else np.asarray(values[0], float)


def _array(values: Any) -> np.ndarray | None:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype == torch.bfloat16 else values
    return None if values is None else np.asarray(values)
