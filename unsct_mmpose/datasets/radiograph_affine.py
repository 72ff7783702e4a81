"""Transform ``RadiographAffine``: MMPose's ``TopdownAffine`` without aliasing."""

from __future__ import annotations

from typing import Any

import cv2
from mmpose.datasets.transforms import TopdownAffine
from mmpose.registry import TRANSFORMS

from unsct_mmpose.functional.crop import average_footprint

from .image_noise import note_noise


@TRANSFORMS.register_module()
class RadiographAffine(TopdownAffine):
    """Warp the region of interest to the network's input, averaging where it shrinks.

    A clinical radiograph has up to ten times the pixels of the network's input along each side,
    so they are averaged over the footprint of an input pixel first
    (:func:`unsct_mmpose.functional.crop.average_footprint`). The geometry is that of
    ``TopdownAffine``.

    Required Keys, Modified Keys: see ``TopdownAffine``. Added Keys: these, and

        - image_noise: ``(1,)``, :func:`unsct_mmpose.functional.image_noise.relative_noise`; packed
          as ``gt_instances.image_noise``

    Args:
        input_size: ``(w, h)`` of the network's input, pixels.
        use_udp: see ``TopdownAffine``.
    """

    def transform(self, results: dict) -> dict:
        """Average, then warp, one sample."""
        scale = self._fix_aspect_ratio(
            results['bbox_scale'], aspect_ratio=self.input_size[0] / self.input_size[1]
        )
        shrink = float(scale[0, 0] / self.input_size[0])
        is_grey = _is_grey(results)
        if is_grey:  # a third of the work
            results['img'] = cv2.extractChannel(results['img'], 0)
        results['img'] = average_footprint(results['img'], shrink)
        warped = super().transform(results)
        if warped is None:
            return None
        if is_grey:
            warped['img'] = cv2.merge([warped['img']] * 3)
        return note_noise(warped)


def _is_grey(results: dict[str, Any]) -> bool:
    """Tell whether the image has three equal channels still, as :class:`LoadRadiograph` made it."""
    some = results['img'][::16, ::16]
    return bool(results.get('grey', False) and some.ndim == 3 and (some == some[..., :1]).all())
