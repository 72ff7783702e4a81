"""Backbone ``SRFUNet``: a U-Net with spatial relationship fusion at its bottleneck and skips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmpose.registry import MODELS
from torch import Tensor, nn

from unsct_mmpose.anatomy import HIP, LandmarkSet, landmark_set
from unsct_mmpose.nn import SRFBlock, split_srf_settings

from .u_net import UNet


@MODELS.register_module()
class SRFUNet(UNet):
    """U-Net whose bottleneck and skip connections pass an SRF block each.

    Every parameter of :class:`UNet` keeps its name; the SRF blocks, under ``srf``, are new.

    Args:
        landmarks: K landmarks (:func:`unsct_mmpose.anatomy.landmark_set`), of which the SRF blocks
            make coarse heatmaps.
        **kwargs: keyword arguments of :class:`unsct_mmpose.nn.SRFBlock`, such as ``attention``,
            and of :class:`UNet`.
    """

    def __init__(
        self, landmarks: str | Mapping[str, Any] | LandmarkSet = HIP.name, **kwargs
    ) -> None:
        settings, rest = split_srf_settings(kwargs)
        super().__init__(**rest)
        count = len(landmark_set(landmarks))
        self.srf = nn.ModuleList(
            SRFBlock(channels, count, **settings)
            for channels in self.level_channels[self.out_level :]
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Extract features.

        Args:
            x: ``(B, in_channels, H, W)``; H and W multiples of ``2 ** depth``.

        Returns:
            The coarse heatmaps of the bottleneck and of each skip connection,
            ``(B, K, H_i, W_i)``, coarsest first, then the map of :class:`UNet`.
        """
        levels = self._contract(x)
        coarse: list[Tensor] = []
        for index, block in enumerate(self.srf, start=self.out_level):
            levels[index], heatmaps = block(levels[index])
            coarse.insert(0, heatmaps)
        return (*coarse, self._expand(levels))
