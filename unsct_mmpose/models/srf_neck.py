"""Neck ``SRFNeck``: spatial relationship fusion on the branches that leave an HRNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from unsct_mmpose.anatomy import HIP, LandmarkSet, landmark_set
from unsct_mmpose.nn import SRFBlock, pointwise, split_srf_settings


@MODELS.register_module()
class SRFNeck(BaseModule):
    """Refine each branch with an SRF block, then sum them from the coarsest up.

    The backbone keeps its architecture, so that pretrained HRNet weights load unchanged.

    Args:
        in_channels: channels of each branch, finest first, as HRNet gives them with
            ``multiscale_output=True``.
        out_channels: channels of the fused map; ``None``: those of the finest branch.
        landmarks: K landmarks (:func:`unsct_mmpose.anatomy.landmark_set`), of which the SRF blocks
            make coarse heatmaps.
        init_cfg: MMEngine initialisation.
        **kwargs: keyword arguments of :class:`unsct_mmpose.nn.SRFBlock`, such as ``attention``.

    Raises:
        TypeError: a keyword argument is none of the block's.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int | None = None,
        landmarks: str | Mapping[str, Any] | LandmarkSet = HIP.name,
        init_cfg: dict | list | None = None,
        **kwargs,
    ) -> None:
        super().__init__(init_cfg)
        settings, unknown = split_srf_settings(kwargs)
        if unknown:
            raise TypeError(f'SRFNeck and its SRF blocks have no setting {sorted(unknown)}')
        self.in_channels = tuple(in_channels)
        self.out_channels = out_channels or self.in_channels[0]
        count = len(landmark_set(landmarks))
        self.blocks = nn.ModuleList(
            SRFBlock(channels, count, **settings) for channels in self.in_channels
        )
        self.laterals = nn.ModuleList(
            nn.Conv2d(channels, self.out_channels, 1, bias=False) for channels in self.in_channels
        )
        self.norm = nn.BatchNorm2d(self.out_channels)

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Refine and fuse.

        Args:
            feats: ``(B, C_i, H_i, W_i)`` branches, finest first.

        Returns:
            The coarse heatmaps of each branch, ``(B, K, H_i, W_i)``, coarsest first, then the
            fused map ``(B, out_channels, H_0, W_0)``: a stock head reads the last one, and
            :class:`HeatmapPAFHead` can supervise the others.

        Raises:
            ValueError: the number of branches is not that of ``in_channels``.
        """
        if len(feats) != len(self.blocks):
            raise ValueError(
                f'SRFNeck expects {len(self.blocks)} branches, got {len(feats)}; an HRNet gives '
                'all of them with extra=dict(stage4=dict(multiscale_output=True))'
            )
        coarse: list[Tensor] = []
        fused: Tensor | None = None
        for block, lateral, branch in reversed(
            list(zip(self.blocks, self.laterals, feats, strict=True))
        ):
            refined, heatmaps = block(branch)
            coarse.append(heatmaps)
            level = pointwise(lateral, refined)
            if fused is not None:
                level = level + F.interpolate(fused, size=level.shape[-2:], mode='bilinear')
            fused = level
        return (*coarse, F.relu(self.norm(fused)))
