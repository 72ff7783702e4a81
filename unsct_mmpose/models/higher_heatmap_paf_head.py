"""Head ``HigherHeatmapPAFHead``: heatmaps and part affinity fields at HigherHRNet's resolutions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmpose.registry import MODELS
from mmpose.utils.typing import ConfigType, OptConfigType

from unsct_mmpose.anatomy import LandmarkSet

from .higher_heatmap_head import HigherHeatmapHead
from .uncertainty_mixin import UncertaintyMixin, head_fields


@MODELS.register_module()
class HigherHeatmapPAFHead(UncertaintyMixin, HigherHeatmapHead):
    """Predict K heatmaps and 2 L field channels at 1/4 and 1/2 of the input.

    Args:
        in_channels: channels of the feature map.
        relations: name of the landmarks' relations; those of the decoder.
        deconv_channels: channels after the deconvolution.
        num_blocks: residual blocks after the deconvolution.
        heatmap_loss: loss of the heatmaps of each level, its ``loss_weight`` being W1 of eq. (9).
        paf_loss: loss of the fields of each level, its ``loss_weight`` being W2.
        intermediate_weight: weight of the coarse heatmaps that come before the feature map.
        decoder: the codec, :class:`HeatmapPAF`, of the averaged maps.
        landmarks: the K landmarks (:func:`unsct_mmpose.anatomy.landmark_set`); None: those of the
            decoder, or the hip's without one.
        init_cfg: MMEngine initialisation.
    """

    def __init__(
        self,
        in_channels: int,
        relations: str = 'full',
        deconv_channels: int = 32,
        num_blocks: int = 4,
        heatmap_loss: ConfigType = dict(type='MaskedAdaptiveWingLoss'),  # noqa: B006
        paf_loss: ConfigType = dict(type='PAFMSELoss'),  # noqa: B006
        intermediate_weight: float = 0.0,
        decoder: OptConfigType = None,
        init_cfg: OptConfigType = None,
        landmarks: str | Mapping[str, Any] | LandmarkSet | None = None,
    ) -> None:
        fields = head_fields(landmarks, relations, decoder)
        super().__init__(
            in_channels=in_channels,
            out_channels=fields.channels,
            deconv_channels=deconv_channels,
            num_blocks=num_blocks,
            loss=heatmap_loss,
            decoder=decoder,
            init_cfg=init_cfg,
        )
        self.set_up_fields(fields, paf_loss, intermediate_weight)
