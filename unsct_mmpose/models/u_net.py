"""Backbone ``UNet``: the plain encoder and decoder that MMPose lacks, as a baseline."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F


@MODELS.register_module()
class UNet(BaseModule):
    """U-Net with batch normalisation (Ronneberger et al., MICCAI 2015), padded convolutions.

    Args:
        in_channels: channels of the image.
        base_channels: channels at full resolution; doubled at each step down.
        depth: steps down.
        out_level: resolution of the output, ``1 / 2 ** out_level`` of the input; the decoder stops
            there.
        init_cfg: MMEngine initialisation.

    Raises:
        ValueError: ``out_level`` is not below ``depth``.
    """

    def __init__(
        self,
        in_channels: int = 3,
        base_channels: int = 32,
        depth: int = 4,
        out_level: int = 2,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not 0 <= out_level < depth:
            raise ValueError(
                f'UNet: out_level={out_level} must lie from 0 to depth - 1={depth - 1}'
            )
        widths = [base_channels * 2**level for level in range(depth + 1)]
        self.level_channels, self.out_level = widths, out_level
        self.out_channels = widths[out_level]
        self.down = nn.ModuleList(
            _double(before, after)
            for before, after in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(widths[level + 1], widths[level], 2, stride=2)
            for level in range(depth - 1, out_level - 1, -1)
        )
        self.merge = nn.ModuleList(
            _double(2 * widths[level], widths[level])
            for level in range(depth - 1, out_level - 1, -1)
        )

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Extract features.

        Args:
            x: ``(B, in_channels, H, W)``; H and W multiples of ``2 ** depth``.

        Returns:
            One map, ``(B, base_channels * 2 ** out_level, H / 2 ** out_level, ...)``.
        """
        return (self._expand(self._contract(x)),)

    def _contract(self, x: Tensor) -> list[Tensor]:
        """Return the features of each resolution, finest first."""
        levels: list[Tensor] = []
        for index, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if index else x)
            levels.append(x)
        return levels

    def _expand(self, levels: list[Tensor]) -> Tensor:
        """Return the output map, from the features of each resolution, finest first."""
        x, skips = levels[-1], reversed(levels[:-1])
        for up, merge, skip in zip(self.up, self.merge, skips, strict=False):
            x = merge(torch.cat([skip, up(x)], dim=1))
        return x


def _double(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [
            nn.Conv2d(channels, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
