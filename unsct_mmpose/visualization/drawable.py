"""What a data sample holds that can be drawn, as arrays in image pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmpose.structures import PoseDataSample

from unsct_mmpose.anatomy import HIP, LandmarkEstimate, LandmarkSet
from unsct_mmpose.anatomy.records import IMAGE_WORDS
from unsct_mmpose.drawing.canvas import Box
from unsct_mmpose.files import jsonable
from unsct_mmpose.functional.geometry import regions_of


@dataclass(frozen=True, eq=False)
class Drawable:
    """The landmarks of one image and what is known of them; None where nothing is.

    Attributes:
        landmarks: which they are, K of them.
        points: ``(K, 2)`` predicted landmarks.
        reported: ``(K,)`` bool.
        presence: ``(K,)`` probability that the image shows them; NaN where unknown.
        covariances: ``(K, 2, 2)`` of their positions, pixels squared.
        truth: ``(K, 2)`` true landmarks.
        present: ``(K,)`` which of them exist.
        spacing_xy_mm: size of a pixel.
        magnification: a length on the detector over that in the patient.
        caption: what the picture is of, without the patient's identity.
        heatmaps: ``(K, h, w)``.
        pafs: ``(2 L, h, w)``.
        box: edges of the maps in the image.
    """

    landmarks: LandmarkSet
    points: np.ndarray
    reported: np.ndarray
    presence: np.ndarray | None = None
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
    def estimates(self) -> tuple[LandmarkEstimate, ...]:
        """The predicted landmarks as reports have them, with regions of 95 %."""
        count = len(self.landmarks)
        regions = [None] * count if self.covariances is None else regions_of(self.covariances, 0.95)
        return tuple(
            LandmarkEstimate(
                name,
                *self.points[k].tolist(),
                reported=bool(self.reported[k]),
                presence=jsonable(np.nan if self.presence is None else self.presence[k]),
                region=regions[k],
            )
            for k, name in enumerate(self.landmarks.names)
        )

    @property
    def relations(self) -> tuple[tuple[int, int], ...] | None:
        """The relations that the fields belong to, by their number."""
        sets = self.landmarks.relations.values()
        pairs_of = {2 * len(relations): relations.pairs for relations in sets}
        return None if self.pafs is None else pairs_of.get(len(self.pafs))

    @property
    def cells(self) -> np.ndarray:
        """The points in cells of the maps, ``(K, 2)``."""
        left, top, right, bottom = self.box
        share = (self.points - (left, top)) / (right - left, bottom - top)
        return share * self.heatmaps.shape[:0:-1] - 0.5


def holds(sample: PoseDataSample, landmarks: LandmarkSet = HIP) -> bool:
    """Whether a sample holds predicted landmarks of a set, all of them."""
    shape = np.shape(sample.get('pred_instances', {}).get('keypoints', ()))
    return len(shape) == 3 and shape[0] > 0 and shape[1] == len(landmarks)


def unpack(sample: PoseDataSample, landmarks: LandmarkSet = HIP) -> Drawable:
    """Return what can be drawn of the first instance of a sample.

    Args:
        sample: for which :func:`holds` is true; ``raw_ann_info`` of :class:`THADataset`, or else
            ``gt_instances``, has the true landmarks, ``pred_fields`` the maps.
        landmarks: which the sample's are.
    """
    pred = sample.pred_instances
    notes = sample.get('raw_ann_info') or {}
    fields = sample.get('pred_fields') or {}
    heatmaps, pafs = (_array(fields.get(name)) for name in ('heatmaps', 'pafs'))
    has_maps = heatmaps is not None and len(heatmaps) == len(landmarks)
    truth, present = _truth(sample, len(landmarks))
    visible = _first(pred, 'keypoints_visible')
    return Drawable(
        landmarks=landmarks,
        points=_first(pred, 'keypoints')[:, :2],
        reported=np.ones(len(landmarks), bool) if visible is None else visible > 0.5,
        presence=_first(pred, 'keypoint_presence'),
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
    region = [sample.get(name) for name in ('input_center', 'input_scale', 'input_size')]
    if any(value is None for value in region):
        return None
    center, extent, size = (np.asarray(value, float).reshape(-1)[:2] for value in region)
    # MMPose puts input pixel 0 at the region's edge
    start = center - extent / 2 - 0.5 * extent / size
    return (*start.tolist(), *(start + extent).tolist())


def _truth(sample: PoseDataSample, count: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    notes = sample.get('raw_ann_info') or {}
    if notes.get('points') is not None:
        return np.asarray(notes['points'], float), notes.get('present')
    true = sample.get('gt_instances') or {}
    points = _array(true.get('keypoints'))
    if points is None or points.ndim != 3 or points.shape[1] != count:
        return None, None
    visible = _array(true.get('keypoints_visible'))
    return points[0], None if visible is None else visible[0].reshape(count, -1)[:, 0] > 0


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
