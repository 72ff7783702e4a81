"""Transform ``RadiographAffine``: MMPose's ``TopdownAffine`` without aliasing."""

from __future__ import annotations

import cv2
import numpy as np
from mmpose.datasets.transforms import PackPoseInputs, TopdownAffine
from mmpose.registry import TRANSFORMS

from unsct_mmpose.functional.crop import average_footprint
from unsct_mmpose.functional.image_noise import relative_noise


def note_noise(results: dict) -> dict:
    """Add ``image_noise`` to a sample whose ``img`` has its last size, and have it packed.

    It reaches the head as ``gt_instances.image_noise``, ``(1,)``: the head sees no pixels.
    """
    grey = results['img'][..., 0].astype(np.float32)
    results['image_noise'] = np.array([relative_noise(grey)], np.float32)
    tables = results.get('instance_mapping_table', PackPoseInputs.instance_mapping_table)
    results['instance_mapping_table'] = {**tables, 'image_noise': 'image_noise'}
    return results


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
        some = results['img'][::16, ::16]  # three equal channels still, as LoadRadiograph made it?
        is_grey = results.get('grey', False) and some.ndim == 3 and (some == some[..., :1]).all()
        if is_grey:  # a third of the work
            results['img'] = cv2.extractChannel(results['img'], 0)
        results['img'] = average_footprint(results['img'], shrink)
        warped = super().transform(results)
        if warped is None:
            return None
        if is_grey:
            warped['img'] = cv2.merge([warped['img']] * 3)
        return note_noise(warped)
