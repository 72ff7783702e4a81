"""Head ``StackedHeatmapPAFHead``: heatmaps and part affinity fields of a stacked hourglass."""

from __future__ import annotations

from mmpose.models.heads.heatmap_heads.cpm_head import CPMHead
from mmpose.registry import MODELS
from mmpose.utils.typing import Features
from torch import Tensor

from .uncertainty_mixin import UncertaintyMixin


@MODELS.register_module()
class StackedHeatmapPAFHead(UncertaintyMixin, CPMHead):
    """Predict K heatmaps and 2 L field channels after every stack; the last stack is decoded.

    Args:
        **kwargs: keyword arguments of :class:`UncertaintyMixin`, whose losses are those of each
            stack, and of MMPose's ``CPMHead``: ``in_channels`` of each stack's feature map and
            ``num_stages``.
    """

    def forward(self, feats: Features) -> Tensor:
        """Return the maps of the last stack, ``(B, K + 2 L, H, W)``.

        Args:
            feats: the feature map of each stack.
        """
        return self.multi_final_layers[-1](feats[-1])

    def forward_levels(self, feats: Features) -> list[Tensor]:
        """Return the maps of every stack.

        Args:
            feats: the feature map of each stack.
        """
        return [layer(each) for layer, each in zip(self.multi_final_layers, feats, strict=True)]
