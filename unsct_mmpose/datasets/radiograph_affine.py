"""Transform ``RadiographAffine``: MMPose's ``TopdownAffine`` without aliasing."""

from __future__ import annotations

import cv2
import numpy as np
from mmpose.datasets.transforms import TopdownAffine
from mmpose.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RadiographAffine(TopdownAffine):
    """Warp the region of interest to the network's input, averaging where it shrinks.

    A clinical radiograph has up to ten times the pixels of the network's input along each side.
    Bilinear sampling alone would skip most of them and turn quantum noise into false texture, so
    pixels are averaged over the footprint of an input pixel first. The geometry is that of
    ``TopdownAffine``.

    Required Keys, Modified Keys, Added Keys: see ``TopdownAffine``.

    Args:
        input_size: ``(w, h)`` of the network's input, pixels.
        use_udp: see ``TopdownAffine``.
    """

    def transform(self, results: dict) -> dict | None:
        """Average, then warp, one sample."""
        scale = self._fix_aspect_ratio(
            results['bbox_scale'], aspect_ratio=self.input_size[0] / self.input_size[1]
        )
        footprint = footprint_px(float(scale[0, 0] / self.input_size[0]))
        if footprint > 1:
            results['img'] = cv2.blur(results['img'], (footprint, footprint))
        return super().transform(results)


def footprint_px(shrink: float) -> int:
    """Return the odd side of the block of pixels that one input pixel stands for.

    An odd block has its centre on a pixel, so that averaging moves nothing.

    Args:
        shrink: image pixels for each input pixel.

    Example:
        >>> [footprint_px(shrink) for shrink in (0.5, 1.0, 2.5, 6.0)]
        [1, 1, 3, 7]
    """
    return 2 * int(np.floor(max(shrink, 1.0) / 2)) + 1
