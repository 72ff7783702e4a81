"""Transform ``RadiographAffine``: MMPose's ``TopdownAffine`` without aliasing."""

from __future__ import annotations

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

    def transform(self, results: dict) -> dict | None:
        """Average, then warp, one sample."""
        scale = self._fix_aspect_ratio(
            results['bbox_scale'], aspect_ratio=self.input_size[0] / self.input_size[1]
        )
        shrink = float(scale[0, 0] / self.input_size[0])
        results['img'] = average_footprint(results['img'], shrink)
        warped = super().transform(results)
        return None if warped is None else note_noise(warped)
