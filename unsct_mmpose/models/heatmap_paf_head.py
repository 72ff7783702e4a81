"""Head ``HeatmapPAFHead``: landmark heatmaps and part affinity fields from one tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmpose.models.heads.heatmap_heads.heatmap_head import HeatmapHead
from mmpose.registry import MODELS
from mmpose.utils.typing import ConfigType, Features, OptConfigType
from torch import Tensor

from unsct_mmpose.anatomy import LandmarkSet

from .uncertainty_mixin import UncertaintyMixin, head_fields


@MODELS.register_module()
class HeatmapPAFHead(UncertaintyMixin, HeatmapHead):
    """Predict K heatmaps and 2 L field channels, trained by equation (9) of the paper.

    Args:
        in_channels: channels of the feature map.
        relations: name of the landmarks' relations; those of the decoder.
        deconv_out_channels: channels of the deconvolutions before the last layer.
        deconv_kernel_sizes: their kernels.
        conv_out_channels: channels of the convolutions before the last layer.
        conv_kernel_sizes: their kernels.
        final_layer: settings of the last convolution.
        heatmap_loss: loss of the heatmaps, its ``loss_weight`` being W1.
        paf_loss: loss of the fields, its ``loss_weight`` being W2.
        intermediate_weight: weight of the coarse heatmaps that come before the last feature map
            (as :class:`SRFNeck` and :class:`SRFHRNet` give them), averaged over them; 0 leaves
            them unsupervised.
        decoder: the codec, :class:`HeatmapPAF`.
        landmarks: the K landmarks (:func:`unsct_mmpose.anatomy.landmark_set`); None: those of the
            decoder, or the hip's without one.
        init_cfg: MMEngine initialisation.
    """

    def __init__(
        self,
        in_channels: int,
        relations: str = 'full',
        deconv_out_channels: Sequence[int] | None = None,
        deconv_kernel_sizes: Sequence[int] | None = None,
        conv_out_channels: Sequence[int] | None = None,
        conv_kernel_sizes: Sequence[int] | None = None,
        final_layer: dict = dict(kernel_size=1),  # noqa: B006
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
            deconv_out_channels=deconv_out_channels,
            deconv_kernel_sizes=deconv_kernel_sizes,
            conv_out_channels=conv_out_channels,
            conv_kernel_sizes=conv_kernel_sizes,
            final_layer=final_layer,
            loss=heatmap_loss,
            decoder=decoder,
            init_cfg=init_cfg,
        )
        self.set_up_fields(fields, paf_loss, intermediate_weight)

    def forward_levels(self, feats: Features) -> list[Tensor]:
        """Return the maps of the only level that is trained, those of ``forward``.

        Args:
            feats: feature maps; the last one is read.
        """
        return [self.forward(feats)]
