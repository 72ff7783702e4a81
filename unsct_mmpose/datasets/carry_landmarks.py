"""Transform ``CarryLandmarks``: mmcv's geometric transforms, with the landmarks taken along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform, Compose
from mmpose.registry import TRANSFORMS

from .radiograph_affine import note_noise

_MARKS = 33
_FROM_EDGE = 1e-3


@TRANSFORMS.register_module()
class CarryLandmarks(BaseTransform):
    """Let transforms of mmcv make the network's input, and take the landmarks along.

    mmcv's ``Resize``, ``RandomResize``, ``RandomChoiceResize``, ``CenterCrop`` and ``Pad`` know
    nothing of MMPose's ``keypoints`` and of the frame by which a pose estimator maps its points
    back to the image. Here both follow, to the pixel's centre. It stands in the place of
    ``GetBBoxCenterScale`` and ``TopdownAffine``; what comes out must have the size of the codec.

    Required Keys:

        - img
        - keypoints (optional)

    Modified Keys:

        - img, img_shape

    Added Keys:

        - transformed_keypoints (with keypoints)
        - input_size, input_center, input_scale: as of ``TopdownAffine``
        - image_noise: as of ``RadiographAffine``

    Args:
        transforms: transforms of mmcv, in turn.

    Raises:
        ValueError: they mirror the image (MMPose's ``RandomFlip`` swaps left and right
            landmarks), or leave nothing of it.
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        self.transforms = Compose(list(transforms))

    def transform(self, results: dict) -> dict | None:
        """Transform one sample."""
        height, width = results['img'].shape[:2]
        results['gt_keypoints'] = _marks(width, height)
        results = self.transforms(results)
        if results is None:
            return None
        moved, results['img_shape'] = results.pop('gt_keypoints')[0], results['img'].shape[:2]
        size = np.array(results['img_shape'][::-1], float)
        factor, shift = _axes(_marks(width, height)[0, :, :2], moved[:, :2], size)
        if results.get('keypoints') is not None:
            points = np.array(results['keypoints'], np.float32)
            points[..., :2] = (points[..., :2] + 0.5) * factor + shift - 0.5
            results['transformed_keypoints'] = points
        else:
            results['transformed_keypoints'] = np.zeros([])
            results['keypoints_visible'] = np.ones((1, 1, 1))
        scale = size / factor
        results['input_size'] = tuple(int(side) for side in size)
        results['input_scale'] = scale.astype(np.float32)
        results['input_center'] = (scale / 2 + (0.5 - shift) / factor - 0.5).astype(np.float32)
        return note_noise(results)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms})'


def _marks(width: int, height: int) -> np.ndarray:
    """Return ``(1, M, 3)`` points all over the image, from its corner as mmcv counts, and 1."""
    x, y = np.meshgrid(np.linspace(0, width, _MARKS), np.linspace(0, height, _MARKS))
    return np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=-1)[None]


def _axes(before: np.ndarray, after: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return factor and shift of either axis, from marks that no border has clipped."""
    inside = ((after > _FROM_EDGE) & (after < size - _FROM_EDGE)).all(axis=1)
    first, second = before[inside], after[inside]
    if len(first) < 2 or not (np.ptp(first, axis=0) > 0).all():
        raise ValueError('CarryLandmarks: its transforms leave hardly anything of the image')
    ends = [(first[:, axis].argmin(), first[:, axis].argmax()) for axis in (0, 1)]
    spans = [
        (first[b, i] - first[a, i], second[b, i] - second[a, i]) for i, (a, b) in enumerate(ends)
    ]
    factor = np.array([moved / span for span, moved in spans])
    if (factor <= 0).any():
        raise ValueError(
            "CarryLandmarks: its transforms mirror the image; MMPose's RandomFlip swaps left and "
            "right landmarks as well: type='mmpose.RandomFlip'"
        )
    shift = np.array([second[a, i] - factor[i] * first[a, i] for i, (a, _) in enumerate(ends)])
    return factor, shift
