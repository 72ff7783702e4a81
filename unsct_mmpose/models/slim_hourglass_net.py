"""Backbone ``SlimHourglassNet``: MMPose's stacked hourglass with a stem of any width."""

from __future__ import annotations

from collections.abc import Sequence

from mmcv.cnn import ConvModule
from mmpose.models.backbones import HourglassNet
from mmpose.models.backbones.resnet import BasicBlock, ResLayer
from mmpose.registry import MODELS
from torch import nn


@MODELS.register_module()
class SlimHourglassNet(HourglassNet):
    """``HourglassNet`` whose stem has ``stage_channels[0]`` channels, where MMPose has 256 fixed.

    Args:
        stage_channels: channels of each level of a hourglass, the finest first.
        **kwargs: see ``HourglassNet``.
    """

    def __init__(self, stage_channels: Sequence[int], **kwargs) -> None:
        super().__init__(stage_channels=tuple(stage_channels), **kwargs)
        width, norm_cfg = stage_channels[0], dict(type='BN', requires_grad=True)
        self.stem = nn.Sequential(
            ConvModule(3, width // 2, 7, padding=3, stride=2, norm_cfg=norm_cfg),
            ResLayer(BasicBlock, 1, width // 2, width, stride=2, norm_cfg=norm_cfg),
        )
