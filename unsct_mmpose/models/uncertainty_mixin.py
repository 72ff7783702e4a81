"""What heads with heatmaps and part affinity fields share: losses, prediction, calibration."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import MultilevelPixelData, PoseDataSample
from mmpose.utils.typing import (
    ConfigType,
    Features,
    InstanceList,
    OptConfigType,
    OptSampleList,
    Predictions,
)
from torch import Tensor

from unsct_mmpose.anatomy import HIP, LandmarkSet, landmark_set
from unsct_mmpose.maps.calibration import CALIBRATION_KEY, Calibration, unpack_calibration
from unsct_mmpose.maps.grid import coarsen_heatmaps
from unsct_mmpose.maps.heatmap import flip_heatmaps, widened
from unsct_mmpose.maps.paf import flip_paf
from unsct_mmpose.maps.regions import covariances_to_px


class Targets(NamedTuple):
    """What a batch's maps should be on one level of resolution.

    Attributes:
        heatmaps: ``(B, K, H, W)``.
        pafs: ``(B, 2 L, H, W)``.
        weights: ``(B, K)``.
        relation_weights: ``(B, L)``.
    """

    heatmaps: Tensor
    pafs: Tensor
    weights: Tensor
    relation_weights: Tensor


class UncertaintyMixin:
    """Losses, prediction and calibration of a head with K heatmaps and 2 L field channels.

    Mixed into a heatmap head of MMPose, before it. The head's ``forward`` gives the maps that are
    decoded, ``(B, K + 2 L, H, W)``, and its ``forward_levels`` all maps that are trained:
    several resolutions or stacks. The targets come from one codec, the same for all levels, or,
    with ``GenerateTarget(multilevel=True)``, from one codec for each. A codec with ``draw_late``
    serves levels of any size: it draws each at its own.

    ``misfit`` says how the checkpoint that was loaded differs from the model, None if it does not
    (:mod:`unsct_mmpose.engine.checkpoint_fit`); such a model trains, and does not predict.

    Args:
        relations: name of the landmarks' relations, ``'full'`` or ``'core'``; those of the decoder.
        heatmap_loss: loss of the heatmaps, its ``loss_weight`` being W1 of equation (9).
        paf_loss: loss of the fields, its ``loss_weight`` being W2.
        intermediate_weight: weight of the coarse heatmaps that come before the last feature map
            (as :class:`SRFNeck`, :class:`SRFHRNet` and :class:`SRFUNet` give them), averaged over
            them; 0 leaves them unsupervised. The coarser a map is, the more of its cells a landmark
            takes: each one counts by its side over that of the target, so that empty maps cost
            about the same on all.
        decoder: the codec, :class:`HeatmapPAF`.
        landmarks: the K landmarks (:func:`unsct_mmpose.anatomy.landmark_set`); None: those of the
            decoder, or the hip's without one.
        **kwargs: of the head that this is mixed into.

    Raises:
        ValueError: there are no such landmarks or relations, or the codec expects others.
    """

    _said: Set[str] = frozenset()
    misfit: str | None = None

    def __init__(
        self,
        *,
        relations: str = 'full',
        heatmap_loss: ConfigType = dict(type='MaskedAdaptiveWingLoss'),  # noqa: B006
        paf_loss: ConfigType = dict(type='PAFMSELoss'),  # noqa: B006
        intermediate_weight: float = 0.0,
        decoder: OptConfigType = None,
        landmarks: str | Mapping[str, Any] | LandmarkSet | None = None,
        **kwargs,
    ) -> None:
        if landmarks is None:
            landmarks = (decoder or {}).get('landmarks', HIP)
        landmarks = landmark_set(landmarks)
        channels = len(landmarks) + 2 * len(landmarks.relation_set(relations))
        super().__init__(out_channels=channels, loss=heatmap_loss, decoder=decoder, **kwargs)
        self.landmarks, self.relations = landmarks, landmarks.relation_set(relations)
        self.paf_loss_module = MODELS.build(paf_loss)
        self.intermediate_weight = intermediate_weight
        if self.decoder is None:
            return
        for kind, own, expected in (
            ('landmarks', self.landmarks, self.decoder.landmarks),
            ('relations', self.relations, self.decoder.relations),
        ):
            if own != expected:
                raise ValueError(
                    f'the head predicts the {own.name!r} {kind} but its decoder expects '
                    f'{expected.name!r}; give both the same name (or content) of {kind}'
                )

    def predict(
        self, feats: Features, batch_data_samples: OptSampleList, test_cfg: OptConfigType = None
    ) -> Predictions:
        """Find the landmarks of a batch.

        Args:
            feats: feature maps, or ``[feats, feats of the mirrored images]`` for a flip test.
            batch_data_samples: the batch's data samples.
            test_cfg: ``flip_test`` averages both; ``output_heatmaps`` returns the maps too;
                ``output_loss`` adds what each image would cost in training, of the maps that are
                not mirrored, where the data set knows the truth (for ``THALossMetric``).

        Returns:
            One ``InstanceData`` for each image: the fields of :meth:`HeatmapPAF.decode_maps`, with
            keypoints in input pixels, which the pose estimator maps back to the image, and
            covariances in image pixels squared; with ``output_loss`` also ``loss_heatmap``,
            ``loss_paf`` and, when it is trained, ``loss_intermediate``, ``(1,)`` each. With
            ``output_heatmaps`` also one ``PixelData`` for each, with ``heatmaps`` ``(K, H, W)`` and
            ``pafs`` ``(2 L, H, W)``.
        """
        if self.misfit is not None:
            raise ValueError(
                f'the checkpoint does not fit the config: {self.misfit}. Its predictions would be '
                'those of random weights. Take the config that the checkpoint was trained with '
                '(a copy lies in its work_dir), with the same --cfg-options'
            )
        test_cfg = test_cfg or {}
        direct = feats
        if test_cfg.get('flip_test', False):
            direct, mirrored = feats
            maps = self.flip_average(direct, mirrored)
        else:
            maps = self.forward(feats)
        noise = torch.from_numpy(noted_noise(batch_data_samples or [])).to(maps.device)
        preds = self.decode(maps, noise if len(noise) == len(maps) else None)
        for pred, sample in zip(preds, batch_data_samples or [], strict=False):
            _scale_to_image(pred, sample)
        if test_cfg.get('output_loss', False):
            self._add_losses(preds, direct, batch_data_samples or [])
        if not test_cfg.get('output_heatmaps', False):
            return preds
        heatmaps, pafs = self._split(maps.detach())
        pairs = zip(heatmaps, pafs, strict=True)
        return preds, [PixelData(heatmaps=first, pafs=second) for first, second in pairs]

    def flip_average(self, direct: Features, mirrored: Features) -> Tensor:
        """Average the maps of images and of their mirror images.

        Args:
            direct: feature maps of the images.
            mirrored: feature maps of the mirrored images.

        Returns:
            ``(B, K + 2 L, H, W)``; heatmaps and fields are mirrored back, each by its own rule.
        """
        return (self.forward(direct) + self._unflip(self.forward(mirrored))) * 0.5

    def _unflip(self, maps: Tensor) -> Tensor:
        heatmaps, pafs = self._split(maps)
        flipped = flip_paf(pafs, self.relations.flip_indices, self.relations.is_cross)
        return torch.cat([flip_heatmaps(heatmaps, self.landmarks.flip_indices), flipped], dim=1)

    def decode(self, batch_outputs: Tensor, noise: Tensor | None = None) -> InstanceList:
        """Turn network outputs into instances.

        Args:
            batch_outputs: ``(B, K + 2 L, H, W)``.
            noise: ``(B,)`` of the images; None: unknown.

        Returns:
            For each image the fields of :meth:`HeatmapPAF.decode_maps`, in input pixels.
        """
        if self.decoder is None:
            raise RuntimeError(
                f'{type(self).__name__} has no decoder; set head=dict(decoder=codec)'
            )
        notice = self.decoder.notice()
        if notice is not None and notice not in self._said:  # once for each model in this process
            self._said = self._said | {notice}
            print_log(notice, logger='current', level=logging.WARNING)
        return [InstanceData(**row) for row in self.decoder.decode_maps(batch_outputs, noise)]

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
            self.decoder.learning = True
        self.misfit = None
        levels = self.forward_levels(feats)
        return self._losses(feats, levels, self._targets(batch_data_samples, levels))

    def _losses(
        self, feats: Sequence[Tensor], levels: Sequence[Tensor], targets: Sequence[Targets]
    ) -> dict[str, Tensor]:
        losses = dict(loss_heatmap=0.0, loss_paf=0.0)
        for maps, target in zip(levels, targets, strict=True):
            _refuse_other_size(maps, target.heatmaps.shape[-2:])
            heatmaps, pafs = self._split(widened(maps))
            heatmap_loss = self.loss_module(heatmaps, target.heatmaps, target.weights)
            losses['loss_heatmap'] = losses['loss_heatmap'] + heatmap_loss
            losses['loss_paf'] = losses['loss_paf'] + self.paf_loss_module(
                pafs, target.pafs, target.relation_weights
            )
        if self.intermediate_weight > 0:
            losses['loss_intermediate'] = self._intermediate_loss(feats[:-1], targets[0])
        return losses

    def _add_losses(
        self, preds: InstanceList, feats: Sequence[Tensor], samples: Sequence[PoseDataSample]
    ) -> None:
        """Give each prediction the losses of its image, where the truth is known."""
        levels = self.forward_levels(feats)
        for index, (pred, sample) in enumerate(zip(preds, samples, strict=False)):
            if 'points' not in (sample.get('raw_ann_info') or {}) or sample.get('flip'):
                continue
            alone = slice(index, index + 1)
            targets = [
                _as_targets(self.decoder.encode_truth(sample, maps.shape[:1:-1]), maps)
                for maps in levels
            ]
            losses = self._losses(
                [feat[alone] for feat in feats], [level[alone] for level in levels], targets
            )
            for name, value in losses.items():
                pred.set_field(value.detach().reshape(1).cpu().numpy(), name)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Take the calibration out of a checkpoint, where ``unsct calibrate`` put it."""
        packed = state_dict.pop(prefix + CALIBRATION_KEY, None)
        if self.decoder is not None:
            self.decoder.calibration = None if packed is None else self._unpack(packed)
            self.decoder.learning = False
            self._said = frozenset()
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _unpack(self, packed: Tensor) -> Calibration:
        calibration = unpack_calibration(packed)
        if calibration.landmarks != self.landmarks:
            raise ValueError(
                f"the checkpoint's calibration is of the landmarks {calibration.landmarks.name!r} "
                f'and the model has {self.landmarks.name!r}, or they were changed since: take the '
                'config that the checkpoint was calibrated with, or calibrate anew '
                '(tools/calibrate.py CONFIG CHECKPOINT)'
            )
        return calibration

    def _targets(self, samples: Sequence[Any], levels: Sequence[Tensor]) -> list[Targets]:
        """Stack the targets of a batch, or draw them where the codec left that to the head."""
        labels = [sample.gt_instance_labels for sample in samples]
        if 'keypoint_fractions' not in labels[0]:
            return _level_targets(samples, len(levels))
        _refuse_other_size(levels[-1], self.decoder.heatmap_size[::-1])
        fractions = torch.cat([label.keypoint_fractions for label in labels])
        shown = torch.cat([label.keypoint_shown for label in labels])
        weights = _stack_weights(labels, ...)
        sizes = [tuple(maps.shape[-2:]) for maps in levels]
        drawn = {
            size: Targets(*self.decoder.draw_fractions(fractions, shown, size), *weights)
            for size in set(sizes)
        }
        return [drawn[size] for size in sizes]

    def _intermediate_loss(self, coarse: Sequence[Tensor], target: Targets) -> Tensor:
        if not coarse or any(maps.shape[1] != len(self.landmarks) for maps in coarse):
            shapes = [tuple(maps.shape) for maps in coarse]
            raise ValueError(
                f'intermediate_weight supervises coarse heatmaps of {len(self.landmarks)} channels '
                'that come before the feature map (SRFNeck and SRFHRNet give them, of their '
                f'landmarks={self.landmarks.name!r}); got {shapes}'
            )
        side = target.heatmaps.shape[-1]
        total = 0
        for maps in coarse:
            wanted = coarsen_heatmaps(target.heatmaps, maps.shape[-2:])
            total += maps.shape[-1] / side * self.loss_module(maps, wanted, target.weights)
        return self.intermediate_weight / len(coarse) * total

    def _split(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        # one copy here spares the losses from mixing memory layouts
        return torch.split(maps.contiguous(), [len(self.landmarks), 2 * len(self.relations)], dim=1)


def noted_noise(samples: Sequence[Any]) -> np.ndarray:
    """Return ``(B,)`` float32: what ``RadiographAffine`` noted of the images; NaN where nothing."""
    instances = [getattr(sample, 'gt_instances', {}) for sample in samples]
    noted = [np.ravel(each.get('image_noise', np.nan))[0] for each in instances]
    return np.array(noted, np.float32)


def _level_targets(samples: Sequence[Any], levels: int) -> list[Targets]:
    """Stack the targets of a batch, for each level its own or for all the same."""
    if not isinstance(samples[0].gt_fields, MultilevelPixelData):
        fields = [sample.gt_fields for sample in samples]
        labels = [sample.gt_instance_labels for sample in samples]
        return [_stack(fields, labels, ...)] * levels
    if samples[0].gt_fields.nlevel != levels:
        raise ValueError(
            f'the head trains {levels} levels but the pipeline draws '
            f'{samples[0].gt_fields.nlevel}: give GenerateTarget one encoder for each'
        )
    labels = [sample.gt_instance_labels for sample in samples]
    return [_stack([sample.gt_fields[i] for sample in samples], labels, i) for i in range(levels)]


def _stack(fields: Sequence[Any], labels: Sequence[Any], level: Any) -> Targets:
    return Targets(
        torch.stack([field.heatmaps for field in fields]),
        torch.stack([field.pafs for field in fields]),
        *_stack_weights(labels, level),
    )


def _stack_weights(labels: Sequence[Any], level: Any) -> tuple[Tensor, Tensor]:
    return (
        torch.cat([label.keypoint_weights[level] for label in labels]),
        torch.cat([label.relation_weights[level] for label in labels]),
    )


def _as_targets(encoded: Mapping[str, np.ndarray], maps: Tensor) -> Targets:
    """Put what a codec drew for one image beside the maps of a head."""
    heatmaps, pafs, weights, relation_weights = (
        torch.from_numpy(encoded[name]).to(maps.device)
        for name in ('heatmaps', 'pafs', 'keypoint_weights', 'relation_weights')
    )
    return Targets(heatmaps[None], pafs[None], weights, relation_weights)


def _refuse_other_size(maps: Tensor, drawn: Sequence[int]) -> None:
    size, drawn = tuple(maps.shape[-2:]), tuple(drawn)
    if size != drawn:
        raise ValueError(
            f'the head trains maps of {size[0]} x {size[1]} cells but the pipeline draws targets '
            f'of {drawn[0]} x {drawn[1]}: set heatmap_size of the codec; of a head with several '
            'resolutions, give GenerateTarget one encoder for each, the coarsest first, and '
            'multilevel=True'
        )


def _scale_to_image(pred: InstanceData, sample: PoseDataSample) -> None:
    """Turn covariances from input pixels squared into image pixels squared."""
    size, scale = sample.metainfo.get('input_size'), sample.metainfo.get('input_scale')
    if size is not None and scale is not None:
        pixel = np.asarray(scale, float).reshape(-1) / np.asarray(size, float)
        pred.keypoint_covariances = covariances_to_px(pred.keypoint_covariances, pixel)
