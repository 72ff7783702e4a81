"""Head ``HeatmapPAFHead``: landmark heatmaps and part affinity fields from one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.models.heads.heatmap_heads.heatmap_head import HeatmapHead
from mmpose.registry import MODELS
from mmpose.utils.typing import (
    ConfigType,
    Features,
    InstanceList,
    OptConfigType,
    OptSampleList,
    Predictions,
)
from torch import Tensor

from unsct_mmpose.anatomy import FLIP_INDICES, NUM_LANDMARKS, relation_set
from unsct_mmpose.functional.grid import coarsen_heatmaps
from unsct_mmpose.functional.heatmap import flip_heatmaps
from unsct_mmpose.functional.paf import flip_paf


@MODELS.register_module()
class HeatmapPAFHead(HeatmapHead):
    """Predict K heatmaps and 2 L field channels, trained by equation (9) of the paper.

    Args:
        in_channels: channels of the feature map.
        relations: name of the relation set, ``'full'`` or ``'core'``.
        deconv_out_channels: channels of the deconvolutions before the last layer.
        deconv_kernel_sizes: their kernels.
        conv_out_channels: channels of the convolutions before the last layer.
        conv_kernel_sizes: their kernels.
        final_layer: settings of the last convolution.
        heatmap_loss: loss of the heatmaps, its ``loss_weight`` being W1.
        paf_loss: loss of the fields, its ``loss_weight`` being W2.
        intermediate_weight: weight of the coarse heatmaps that come before the last feature map
            (as :class:`SRFNeck` gives them), averaged over them; 0 leaves them unsupervised.
        decoder: the codec, :class:`HeatmapPAF`.
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
    ) -> None:
        self.relations = relation_set(relations)
        super().__init__(
            in_channels=in_channels,
            out_channels=NUM_LANDMARKS + 2 * len(self.relations),
            deconv_out_channels=deconv_out_channels,
            deconv_kernel_sizes=deconv_kernel_sizes,
            conv_out_channels=conv_out_channels,
            conv_kernel_sizes=conv_kernel_sizes,
            final_layer=final_layer,
            loss=heatmap_loss,
            decoder=decoder,
            init_cfg=init_cfg,
        )
        self.paf_loss_module = MODELS.build(paf_loss)
        self.intermediate_weight = intermediate_weight
        if self.decoder is not None and self.decoder.relations != self.relations:
            raise ValueError(
                f'the head predicts the {self.relations.name!r} relations but its decoder expects '
                f'{self.decoder.relations.name!r}; give both the same name'
            )

    def predict(
        self, feats: Features, batch_data_samples: OptSampleList, test_cfg: OptConfigType = None
    ) -> Predictions:
        """Find the landmarks of a batch.

        Args:
            feats: feature maps, or ``[feats, feats of the mirrored images]`` for a flip test.
            batch_data_samples: the batch's data samples.
            test_cfg: ``flip_test`` averages both; ``output_heatmaps`` returns the maps too.

        Returns:
            One ``InstanceData`` for each image, and with ``output_heatmaps`` one ``PixelData``
            with ``heatmaps`` ``(K, H, W)`` and ``pafs`` ``(2 L, H, W)``.
        """
        test_cfg = test_cfg or {}
        if test_cfg.get('flip_test', False):
            direct, mirrored = feats
            maps = (self.forward(direct) + self._unflip(self.forward(mirrored))) * 0.5
        else:
            maps = self.forward(feats)
        preds = self.decode(maps)
        if not test_cfg.get('output_heatmaps', False):
            return preds
        fields = [
            PixelData(heatmaps=one[:NUM_LANDMARKS], pafs=one[NUM_LANDMARKS:])
            for one in maps.detach()
        ]
        return preds, fields

    def decode(self, batch_outputs: Tensor) -> InstanceList:
        """Turn network outputs into instances.

        Args:
            batch_outputs: ``(B, K + 2 L, H, W)``.

        Returns:
            For each image ``keypoints`` ``(1, K, 2)`` in input pixels, ``keypoint_scores``
            ``(1, K)`` and ``keypoints_visible`` ``(1, K)``, 1 where a landmark is reported.
        """
        if self.decoder is None:
            raise RuntimeError('HeatmapPAFHead has no decoder; set head=dict(decoder=codec)')
        keypoints, scores = self.decoder.batch_decode(batch_outputs)
        return [
            InstanceData(
                keypoints=points,
                keypoint_scores=peaks,
                keypoints_visible=self.decoder.reported(peaks),
            )
            for points, peaks in zip(keypoints, scores, strict=True)
        ]

    def loss(
        self,
        feats: tuple[Tensor, ...],
        batch_data_samples: OptSampleList,
        train_cfg: OptConfigType = None,
    ) -> dict[str, Tensor]:
        """Return ``loss_heatmap``, ``loss_paf`` and, when asked for, ``loss_intermediate``.

        Args:
            feats: coarse heatmaps (if any), then the feature map.
            batch_data_samples: the batch's data samples with their targets.
            train_cfg: unused.
        """
        samples = batch_data_samples
        heatmaps = torch.stack([one.gt_fields.heatmaps for one in samples])
        pafs = torch.stack([one.gt_fields.pafs for one in samples])
        weights = torch.cat([one.gt_instance_labels.keypoint_weights for one in samples])
        relation_weights = torch.cat([one.gt_instance_labels.relation_weights for one in samples])
        pred_heatmaps, pred_pafs = self._split(self.forward(feats))
        losses = dict(
            loss_heatmap=self.loss_module(pred_heatmaps, heatmaps, weights),
            loss_paf=self.paf_loss_module(pred_pafs, pafs, relation_weights),
        )
        if self.intermediate_weight > 0:
            losses['loss_intermediate'] = self._intermediate_loss(feats[:-1], heatmaps, weights)
        return losses

    def _intermediate_loss(
        self, coarse: Sequence[Tensor], heatmaps: Tensor, weights: Tensor
    ) -> Tensor:
        if not coarse or any(one.shape[1] != NUM_LANDMARKS for one in coarse):
            shapes = [tuple(one.shape) for one in coarse]
            raise ValueError(
                f'intermediate_weight supervises coarse heatmaps of {NUM_LANDMARKS} channels that '
                f'come before the feature map (SRFNeck gives them); got {shapes}'
            )
        total = sum(
            self.loss_module(one, coarsen_heatmaps(heatmaps, one.shape[-2:]), weights)
            for one in coarse
        )
        return self.intermediate_weight / len(coarse) * total

    def _split(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        # one copy here spares the losses from mixing memory layouts
        return torch.split(maps.contiguous(), [NUM_LANDMARKS, 2 * len(self.relations)], dim=1)

    def _unflip(self, maps: Tensor) -> Tensor:
        heatmaps, pafs = self._split(maps)
        relations = self.relations
        flipped = flip_paf(pafs, relations.flip_indices, relations.is_cross)
        return torch.cat([flip_heatmaps(heatmaps, FLIP_INDICES), flipped], dim=1)
