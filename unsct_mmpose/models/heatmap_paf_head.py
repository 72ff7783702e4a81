"""Head ``HeatmapPAFHead``: landmark heatmaps and part affinity fields from one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.models.heads.heatmap_heads.heatmap_head import HeatmapHead
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
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
from unsct_mmpose.functional.calibration import (
    CALIBRATION_KEY,
    unpack_calibration,
)
from unsct_mmpose.functional.grid import coarsen_heatmaps
from unsct_mmpose.functional.heatmap import flip_heatmaps
from unsct_mmpose.functional.paf import flip_paf
from unsct_mmpose.functional.regions import covariances_to_px


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
            One ``InstanceData`` for each image: the fields of :meth:`HeatmapPAF.read`, with
            keypoints in input pixels, which the pose estimator maps back to the image, and
            covariances in image pixels squared. With ``output_heatmaps`` also one ``PixelData``
            for each, with ``heatmaps`` ``(K, H, W)`` and ``pafs`` ``(2 L, H, W)``.
        """
        test_cfg = test_cfg or {}
        if test_cfg.get('flip_test', False):
            direct, mirrored = feats
            maps = self.flip_average(direct, mirrored)
        else:
            maps = self.forward(feats)
        preds = self.decode(maps)
        for pred, sample in zip(preds, batch_data_samples or [], strict=False):
            _scale_to_image(pred, sample)
        if not test_cfg.get('output_heatmaps', False):
            return preds
        fields = [
            PixelData(heatmaps=one[:NUM_LANDMARKS], pafs=one[NUM_LANDMARKS:])
            for one in maps.detach()
        ]
        return preds, fields

    def flip_average(self, direct: Features, mirrored: Features) -> Tensor:
        """Average the maps of images and of their mirror images.

        Args:
            direct: feature maps of the images.
            mirrored: feature maps of the mirrored images.

        Returns:
            ``(B, K + 2 L, H, W)``; heatmaps and fields are mirrored back, each by its own rule.
        """
        return (self.forward(direct) + self._unflip(self.forward(mirrored))) * 0.5

    def decode(self, batch_outputs: Tensor) -> InstanceList:
        """Turn network outputs into instances.

        Args:
            batch_outputs: ``(B, K + 2 L, H, W)``.

        Returns:
            For each image the fields of :meth:`HeatmapPAF.read`, in input pixels.
        """
        if self.decoder is None:
            raise RuntimeError('HeatmapPAFHead has no decoder; set head=dict(decoder=codec)')
        return [InstanceData(**one) for one in self.decoder.read(batch_outputs)]

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
        if self.decoder is not None:
            self.decoder.calibration = None  # it belongs to the weights that are about to change
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

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Take the calibration out of a checkpoint, where ``tools/calibrate.py`` put it."""
        packed = state_dict.pop(prefix + CALIBRATION_KEY, None)
        if self.decoder is not None:
            self.decoder.calibration = None if packed is None else unpack_calibration(packed)
        super()._load_from_state_dict(state_dict, prefix, *args)

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


def _scale_to_image(pred: InstanceData, sample: PoseDataSample) -> None:
    """Turn covariances from input pixels squared into image pixels squared."""
    size, scale = sample.metainfo.get('input_size'), sample.metainfo.get('input_scale')
    if size is not None and scale is not None:
        pixel = np.asarray(scale, float).reshape(-1) / np.asarray(size, float)
        pred.keypoint_covariances = covariances_to_px(pred.keypoint_covariances, pixel)
