"""Head ``HeatmapPAFHead``: landmark heatmaps and part affinity fields from one tensor."""

from __future__ import annotations

from collections.abc import Sequence

from mmpose.models.heads.heatmap_heads.heatmap_head import HeatmapHead
from mmpose.registry import MODELS
from mmpose.utils.typing import Features
from torch import Tensor

from unsct_mmpose.nn import pointwise

from .uncertainty_mixin import UncertaintyMixin


@MODELS.register_module()
class HeatmapPAFHead(UncertaintyMixin, HeatmapHead):
    """Predict K heatmaps and 2 L field channels, trained by equation (9) of the paper.

    Args:
        deconv_out_channels: channels of the deconvolutions before the last layer.
        deconv_kernel_sizes: their kernels.
        **kwargs: keyword arguments of :class:`UncertaintyMixin`, and of MMPose's ``HeatmapHead``,
            such as ``in_channels`` of the feature map.
    """

    def __init__(
        self,
        deconv_out_channels: Sequence[int] | None = None,
        deconv_kernel_sizes: Sequence[int] | None = None,
        **kwargs,
    ) -> None:
        super().__init__(
            deconv_out_channels=deconv_out_channels,
            deconv_kernel_sizes=deconv_kernel_sizes,
            **kwargs,
        )

    def forward(self, feats: Features) -> Tensor:
        """Return the maps, ``(B, K + 2 L, H, W)``, of the last feature map."""
        return pointwise(self.final_layer, self.conv_layers(self.deconv_layers(feats[-1])))

    def forward_levels(self, feats: Features) -> list[Tensor]:
        """Return the maps of the only level that is trained, those of ``forward``."""
        return [self.forward(feats)]
