"""Transform ``RadiographicNoise``: exposure, processing and detector noise as augmentation."""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from unsct_mmpose.phantom.noise import NoiseRanges, vary_radiograph


@TRANSFORMS.register_module()
class RadiographicNoise(BaseTransform):
    """Vary window, gamma, sharpness and noise of a radiograph.

    Required Keys:

        - img

    Modified Keys:

        - img

    Args:
        prob: share of the images that are varied.
        window: shift of either end of the display window, share of the full scale.
        gamma: largest factor, and its inverse, of the display's gamma.
        quantum: largest standard deviation of the signal-dependent noise at full scale.
        electronic: largest standard deviation of the signal-independent noise.
        blur_px: largest standard deviation of the blur, pixels.
    """

    def __init__(
        self,
        prob: float = 1.0,
        window: float = 0.15,
        gamma: float = 1.5,
        quantum: float = 0.05,
        electronic: float = 0.02,
        blur_px: float = 1.0,
    ) -> None:
        self.prob = prob
        self.ranges = NoiseRanges(window, gamma, quantum, electronic, blur_px)

    def transform(self, results: dict) -> dict:
        """Vary the image of one sample."""
        rng = np.random.default_rng(np.random.randint(2**31))
        if rng.uniform() >= self.prob:
            return results
        varied = vary_radiograph(cv2.extractChannel(results['img'], 0), self.ranges, rng)
        results['img'] = cv2.merge([varied, varied, varied])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob}, ranges={self.ranges})'
