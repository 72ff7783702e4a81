"""Head ``HigherHeatmapHead``: HigherHRNet's heatmaps at two resolutions, for MMPose 1.x."""

from __future__ import annotations

import torch
from mmpose.models.backbones.resnet import BasicBlock
from mmpose.models.heads.heatmap_heads.heatmap_head import HeatmapHead
from mmpose.registry import MODELS
from mmpose.structures import MultilevelPixelData
from mmpose.utils.typing import ConfigType, Features, OptConfigType, OptSampleList
from torch import Tensor, nn
from torch.nn import functional as F


@MODELS.register_module()
class HigherHeatmapHead(HeatmapHead):
    """Predict maps at 1/4 of the input and, deconvolved, at 1/2 (Cheng et al., CVPR 2020).

    ``low = f0(x)``, ``high = f1(blocks(deconv([x, low])))``; each level is trained on targets of
    its own resolution, and both are averaged at the higher one to be decoded. The grouping by
    associative embedding is left out: an image shows one pelvis.

    Args:
        in_channels: channels of the feature map.
        out_channels: maps of each level.
        deconv_channels: channels after the deconvolution.
        num_blocks: residual blocks after the deconvolution.
        loss: loss of each level, summed over both.
        decoder: codec of the averaged maps, twice the feature map's size.
        init_cfg: MMEngine initialisation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        deconv_channels: int = 32,
        num_blocks: int = 4,
        loss: ConfigType = dict(type='KeypointMSELoss', use_target_weight=True),  # noqa: B006
        decoder: OptConfigType = None,
        init_cfg: OptConfigType = None,
    ) -> None:
        super().__init__(
            in_channels=in_channels,
            out_channels=out_channels,
            deconv_out_channels=None,
            loss=loss,
            decoder=decoder,
            init_cfg=init_cfg,
        )
        self.deconv = nn.Sequential(
            nn.ConvTranspose2d(
                in_channels + out_channels, deconv_channels, 4, stride=2, padding=1, bias=False
            ),
            nn.BatchNorm2d(deconv_channels),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.Sequential(
            *(BasicBlock(deconv_channels, deconv_channels) for _ in range(num_blocks))
        )
        self.high_layer = nn.Conv2d(deconv_channels, out_channels, 1)

    @property
    def default_init_cfg(self) -> list[dict]:
        """Maps start silent; the layers before them as Kaiming draws them, not near 0 too."""
        maps = [dict(type='Normal', std=0.001, name=name) for name in ('final_layer', 'high_layer')]
        inner = dict(type='Kaiming', layer=['Conv2d', 'ConvTranspose2d'], override=maps)
        return [inner, dict(type='Constant', layer='BatchNorm2d', val=1)]

    def forward_levels(self, feats: Features) -> list[Tensor]:
        """Return the maps of both levels.

        Args:
            feats: feature maps; the last one, ``(B, C, H, W)``, is read.

        Returns:
            ``(B, out_channels, H, W)`` and ``(B, out_channels, 2 H, 2 W)``.
        """
        features = feats[-1]
        low = self.final_layer(features)
        high = self.high_layer(self.blocks(self.deconv(torch.cat([features, low], dim=1))))
        return [low, high]

    def forward(self, feats: Features) -> Tensor:
        """Return both levels averaged at the higher resolution.

        Args:
            feats: feature maps; the last one, ``(B, C, H, W)``, is read.

        Returns:
            ``(B, out_channels, 2 H, 2 W)``.
        """
        low, high = self.forward_levels(feats)
        raised = F.interpolate(low, size=high.shape[-2:], mode='bilinear', align_corners=False)
        return (raised + high) * 0.5

    def loss(
        self, feats: Features, batch_data_samples: OptSampleList, train_cfg: OptConfigType = None
    ) -> dict[str, Tensor]:
        """Return ``loss_kpt``, summed over both levels.

        Args:
            feats: feature maps.
            batch_data_samples: data samples with targets of both levels, from
                ``GenerateTarget(encoder=[low, high], multilevel=True)``.
            train_cfg: unused.

        Raises:
            ValueError: the targets have one level only, or levels of other sizes.
        """
        levels, fields = self.forward_levels(feats), batch_data_samples[0].gt_fields
        sizes = tuple(tuple(maps.shape[-2:]) for maps in levels)
        if not isinstance(fields, MultilevelPixelData) or fields.shape != sizes:
            raise ValueError(
                f'HigherHeatmapHead trains two resolutions, {sizes}, but the targets are of '
                f'{fields.shape}: give the pipeline '
                'GenerateTarget(encoder=[low, high], multilevel=True)'
            )
        total = feats[-1].new_zeros(())
        labels = [sample.gt_instance_labels for sample in batch_data_samples]
        for level, maps in enumerate(levels):
            drawn = [sample.gt_fields[level].heatmaps for sample in batch_data_samples]
            weights = torch.cat([label.keypoint_weights[level] for label in labels])
            total = total + self.loss_module(maps, torch.stack(drawn), weights)
        return dict(loss_kpt=total)
