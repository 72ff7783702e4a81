"""Transform ``RandomCover``: hide part of the image, and with it some landmarks."""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from unsct_mmpose.phantom.cover import cover_part


@TRANSFORMS.register_module()
class RandomCover(BaseTransform):
    """Cover part of the network's input; what lies under it becomes absent.

    Few radiographs of a data set lack landmarks. Here every one can: a hidden landmark is
    supervised to be silent, one too close to the cover's edge is left alone. Comes after
    ``RadiographAffine``.

    Required Keys:

        - img
        - transformed_keypoints
        - keypoints_visible: ``(1, K, 2)``, presence and whether anybody looked

    Modified Keys:

        - img
        - keypoints_visible

    Args:
        prob: share of the images that are covered.
        edge: width of the zone of doubt on either side of the cover's edge, share of the side.
    """

    def __init__(self, prob: float = 0.5, edge: float = 0.02) -> None:
        self.prob = prob
        self.edge = edge

    def transform(self, results: dict) -> dict:
        """Cover part of one sample."""
        rng = np.random.default_rng(np.random.randint(2**31))
        if rng.uniform() >= self.prob:
            return results
        grey = cv2.extractChannel(results['img'], 0)
        covered = cover_part(grey, results['transformed_keypoints'][0], rng, edge=self.edge)
        visible = results['keypoints_visible'].copy()
        visible[0, covered.hidden, 0] = 0
        visible[0, covered.doubtful & (visible[0, :, 0] > 0), 1] = 0
        results['img'] = cv2.merge([covered.pixels] * 3)
        results['keypoints_visible'] = visible
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob}, edge={self.edge})'
