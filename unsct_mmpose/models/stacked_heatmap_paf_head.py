"""Head ``StackedHeatmapPAFHead``: heatmaps and part affinity fields of a stacked hourglass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmpose.models.heads.heatmap_heads.cpm_head import CPMHead
from mmpose.registry import MODELS
from mmpose.utils.typing import ConfigType, Features, OptConfigType
from torch import Tensor

from unsct_mmpose.anatomy import LandmarkSet

from .uncertainty_mixin import UncertaintyMixin, head_fields


@MODELS.register_module()
class StackedHeatmapPAFHead(UncertaintyMixin, CPMHead):
    """Predict K heatmaps and 2 L field channels after every stack; the last stack is decoded.

    Args:
        in_channels: channels of each stack's feature map.
        num_stages: stacks.
        relations: name of the landmarks' relations; those of the decoder.
        heatmap_loss: loss of the heatmaps of each stack, its ``loss_weight`` being W1 of eq. (9).
        paf_loss: loss of the fields of each stack, its ``loss_weight`` being W2.
        decoder: the codec, :class:`HeatmapPAF`.
        landmarks: the K landmarks (:func:`unsct_mmpose.anatomy.landmark_set`); None: those of the
            decoder, or the hip's without one.
        init_cfg: MMEngine initialisation.
    """

    def __init__(
        self,
        in_channels: int,
        num_stages: int,
        relations: str = 'full',
        heatmap_loss: ConfigType = dict(type='MaskedAdaptiveWingLoss'),  # noqa: B006
        paf_loss: ConfigType = dict(type='PAFMSELoss'),  # noqa: B006
        decoder: OptConfigType = None,
        init_cfg: OptConfigType = None,
        landmarks: str | Mapping[str, Any] | LandmarkSet | None = None,
    ) -> None:
        fields = head_fields(landmarks, relations, decoder)
        super().__init__(
            in_channels=in_channels,
            out_channels=fields.channels,
            num_stages=num_stages,
            loss=heatmap_loss,
            decoder=decoder,
            init_cfg=init_cfg,
        )
        self.set_up_fields(fields, paf_loss, intermediate_weight=0.0)

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
        return [layer(one) for layer, one in zip(self.multi_final_layers, feats, strict=True)]
