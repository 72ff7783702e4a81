"""Codec ``HeatmapPAF``: landmarks to heatmaps and part affinity fields, and back."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmpose.registry import KEYPOINT_CODECS
from mmpose.structures import PoseDataSample
from torch import Tensor

from unsct_mmpose.anatomy import HIP, LandmarkSet, RelationSet
from unsct_mmpose.maps.assessment import Assessment, applicable, assess
from unsct_mmpose.maps.calibration import Calibration
from unsct_mmpose.maps.deciders import DecisionOptions
from unsct_mmpose.maps.evidence import (
    DecodeOptions,
    Evidence,
    decode_evidence,
    refuse_unreadable_fields,
)
from unsct_mmpose.maps.heatmap import draw_heatmaps
from unsct_mmpose.maps.paf import draw_paf
from unsct_mmpose.maps.regions import (
    calibrated_covariances,
    covariances_to_px,
    error_correlations,
    interval_offsets,
    interval_scales,
)

from .decision_modes import bare_decision, decision_notice, decision_options, mode_settings
from .landmark_cells import LandmarkCodec, estimator_stretch


class DecodedLandmarks(NamedTuple):
    """What decoding gives, for one image or, as lists, for a batch.

    Attributes:
        keypoints: ``(1, K, 2)`` input pixels.
        keypoint_scores: ``(1, K)`` heatmap peaks.
        keypoint_uncertainties: ``(1, K)`` larger is less sure.
        keypoints_visible: ``(1, K)`` 1 where reported; a rejected one keeps its coordinates.
    """

    keypoints: Any
    keypoint_scores: Any
    keypoint_uncertainties: Any
    keypoints_visible: Any


@KEYPOINT_CODECS.register_module()
class HeatmapPAF(LandmarkCodec):
    """Encode landmarks as Gaussian heatmaps and relations as part affinity fields.

    K landmarks, L relations of them, maps of H x W cells. Encoded:

        - heatmaps (np.ndarray): ``(K, H, W)``, peak 1; all zero where a landmark is absent,
          hidden or outside the image
        - pafs (np.ndarray): ``(2 * L, H, W)`` unit vectors, x and y of each relation in turn
        - keypoint_weights (np.ndarray): ``(1, K)``; 1 supervises the heatmap (an absent landmark
          too: it teaches to report nothing), 0 leaves an unlabelled one alone
        - relation_weights (np.ndarray): ``(1, L)``; 0 where either end is unlabelled

    Args:
        input_size: ``(w, h)`` of the network's input, pixels.
        heatmap_size: ``(w, h)`` of the maps, cells.
        sigma: standard deviation of the Gaussians, cells.
        relations: name of the landmarks' relations that the network learns.
        paf_width: half width of a field, cells.
        refinement: sub-pixel decoding, ``'dark'``, ``'quadratic'``, ``'integral'`` or ``'none'``.
        evidence: what decides whether a landmark is reported: ``'fused'`` (default), ``'paf'``
            (the paper's) or ``'peak'``.
        entropy: mode of eq. (1) for ``'paf'``: ``'mirror'`` (default), ``'paper'``,
            ``'surprisal'`` or ``'linear'``.
        aggregation: how ``'paf'`` gathers a landmark's relations, ``'peel'`` (default) or
            ``'paper'``.
        rule: threshold rule of the calibration; ``None`` takes the one that was chosen there.
        threshold: largest uncertainty that is reported, whatever a calibration says; ``inf``
            reports every landmark. ``None`` takes the calibration's, or, without one, a fixed
            limit (:mod:`unsct_mmpose.maps.deciders`).
        samples: samples on a segment.
        evidence_relations: name of the relations that speak for landmarks, a subset of
            ``relations``. The fields of the `full` set train the network; the `core` ones
            (default where there are any) decide better, measured.
        draw_late: encode the landmarks' places alone; the head draws the maps of a whole batch
            on its device, at each of its resolutions. Saves 8 MB an image between worker processes
            and the GPU.
        mode: ``'default'``, or ``'paper'``: the paper's decision, that is ``evidence='paf'``,
            ``entropy='paper'``, ``aggregation='paper'`` and ``evidence_relations='full'``, by a
            calibration that was fitted to these, or by a fixed threshold, 0.365.
        relation_weights: weight of each relation that speaks in the sums of ``'paf'``, in their
            order (docs/explanation/relations.md); ``None``: all equal.
        use_udp: the pipeline's affine map has ``use_udp=True``
            (:func:`~unsct_mmpose.codecs.landmark_cells.estimator_stretch`).
        landmarks: the K landmarks: name of a set, json file, or its content
            (:func:`unsct_mmpose.anatomy.landmark_set`).

    With ``draw_late`` the maps are missing in what is encoded, and beside the weights there are

        - keypoint_fractions (np.ndarray): ``(1, K, 2)`` shares of the map's width and height,
          from its corner, the same on maps of any size
        - keypoint_shown (np.ndarray): ``(1, K)`` bool, present and on the grid

    ``calibration``, of :class:`unsct_mmpose.maps.calibration.Calibration`, comes with the
    checkpoint (``unsct calibrate``). Without one, and without a threshold, a fixed limit decides
    in test and inference (:meth:`notice` says so), and while the head trains (``learning``) every
    landmark is reported, so that validation compares epochs by all landmarks.
    """

    field_mapping_table = dict(heatmaps='heatmaps', pafs='pafs')
    label_mapping_table = dict(
        keypoint_weights='keypoint_weights', relation_weights='relation_weights'
    )

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: float = 2.0,
        relations: str = 'full',
        paf_width: float = 1.0,
        refinement: str = 'dark',
        evidence: str | None = None,
        entropy: str | None = None,
        aggregation: str | None = None,
        rule: str | None = None,
        threshold: float | None = None,
        samples: int = 16,
        evidence_relations: str | None = None,
        draw_late: bool = False,
        mode: str = 'default',
        relation_weights: Sequence[float] | None = None,
        use_udp: bool = False,
        landmarks: str | Mapping[str, Any] | LandmarkSet = HIP.name,
    ) -> None:
        super().__init__(input_size, heatmap_size, sigma, use_udp, landmarks)
        self.draw_late = draw_late
        if draw_late:
            self.field_mapping_table = {}
            self.label_mapping_table = dict(
                HeatmapPAF.label_mapping_table,
                keypoint_fractions='keypoint_fractions',
                keypoint_shown='keypoint_shown',
            )
        self.relations = self.landmarks.relation_set(relations)
        self.paf_width = paf_width
        self.reading = DecodeOptions(sigma, refinement, samples)
        asked = dict(
            evidence=evidence,
            entropy=entropy,
            aggregation=aggregation,
            evidence_relations=evidence_relations,
        )
        settings = mode_settings(mode, asked, relations, self.landmarks)
        self.decision = decision_options(mode, settings, rule, threshold, relation_weights)
        self.evidence_relations = self.landmarks.relation_set(settings['evidence_relations'])
        self.decision_channels = _subset_channels(self.relations, self.evidence_relations)
        number = len(self.evidence_relations)
        if relation_weights is not None and len(relation_weights) != number:
            raise ValueError(
                f'{len(relation_weights)} relation_weights for the {number} '
                f'{self.evidence_relations.name!r} relations: give one for each, in the order of '
                'docs/explanation/relations.md'
            )
        self.calibration: Calibration | None = None
        self.learning = False

    def _targets(
        self, points: Tensor, shown: Tensor, labelled: np.ndarray
    ) -> dict[str, np.ndarray]:
        weights = labelled.astype(np.float32)
        pairs = np.asarray(self.relations.pairs)
        labels = dict(
            keypoint_weights=weights,
            relation_weights=weights[:, pairs[:, 0]] * weights[:, pairs[:, 1]],
        )
        if self.draw_late:
            fractions = ((points.double() + 0.5) / torch.tensor(self.heatmap_size)).float()
            return dict(
                keypoint_fractions=fractions.numpy(), keypoint_shown=shown.numpy(), **labels
            )
        heatmaps, pafs = self.draw(points, shown)
        return dict(heatmaps=heatmaps[0].numpy(), pafs=pafs[0].numpy(), **labels)

    def draw(
        self, points: Tensor, shown: Tensor, size_hw: tuple[int, int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw the maps of a batch, on the device of its points.

        Args:
            points: ``(B, K, 2)`` landmarks, cells.
            shown: ``(B, K)`` bool, present and on the grid.
            size_hw: height and width of the maps, cells; None: those of the codec. ``sigma`` and
                ``paf_width`` are of so many cells on any.

        Returns:
            ``(B, K, H, W)`` heatmaps and ``(B, 2 L, H, W)`` fields.
        """
        size_hw, pairs = size_hw or self.heatmap_size[::-1], self.relations.pairs
        return (
            draw_heatmaps(points, shown, size_hw, self.sigma),
            draw_paf(points, shown, pairs, size_hw, self.paf_width),
        )

    def draw_fractions(
        self, fractions: Tensor, shown: Tensor, size_hw: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Draw as :meth:`draw` does, of ``keypoint_fractions`` as they were encoded."""
        height, width = size_hw
        x, y = fractions[..., 0] * width - 0.5, fractions[..., 1] * height - 0.5
        return self.draw(torch.stack([x, y], dim=-1), shown, size_hw)

    def encode_truth(
        self, sample: PoseDataSample, heatmap_size: tuple[int, int]
    ) -> dict[str, np.ndarray]:
        """Draw the targets of an image that was loaded without any, for validation.

        Args:
            sample: with ``raw_ann_info`` of :class:`THADataset` and the frame (``input_center``,
                ``input_scale``) of the pipeline, which must not have mirrored or rotated the image.
            heatmap_size: ``(w, h)`` of the maps, cells.

        Returns:
            As :meth:`encode`, never late.
        """
        keys = ('raw_ann_info', 'input_center', 'input_scale')
        truth, centre, scale = (sample.get(key) for key in keys)
        fraction = (np.asarray(truth['points'], float) - centre) / scale + 0.5
        stretch = estimator_stretch(self.input_size, self.use_udp)
        points = fraction * np.asarray(self.input_size, float) / stretch
        sized = copy.copy(self)
        sized.heatmap_size, sized.draw_late = tuple(heatmap_size), False
        present, labelled = (np.asarray(truth[key], bool)[None] for key in ('present', 'labelled'))
        return sized.encode(points[None], present, labelled)

    def decode(self, encoded: Any) -> DecodedLandmarks:
        """Find the landmarks of one image and decide which of them it shows.

        Args:
            encoded: ``(K + 2 L, H, W)`` network output, or the ``(K, H, W)`` heatmaps alone.

        Returns:
            ``keypoints`` ``(1, K, 2)`` in input pixels, ``keypoint_scores`` ``(1, K)`` heatmap
            peaks, ``keypoint_uncertainties`` ``(1, K)`` and ``keypoints_visible`` ``(1, K)``, 0
            where a landmark is rejected; it keeps its coordinates.
        """
        maps = torch.as_tensor(encoded)
        batch = self.batch_decode(maps[None] if maps.ndim == 3 else maps)
        return DecodedLandmarks(*(column[0] for column in batch))

    def batch_decode(self, batch_encoded: Tensor) -> DecodedLandmarks:
        """Find the landmarks of a batch and decide which of them each image shows.

        Args:
            batch_encoded: ``(B, K + 2 L, H, W)`` network output, or ``(B, K, H, W)`` heatmaps.

        Returns:
            As :meth:`decode`, a list for each, one array for each image.
        """
        rows = self.decode_maps(batch_encoded)
        return DecodedLandmarks(*([row[name] for row in rows] for name in DecodedLandmarks._fields))

    def decode_maps(
        self, batch_encoded: Tensor, noise: Tensor | None = None
    ) -> list[dict[str, np.ndarray]]:
        """Read everything from the maps of a batch.

        Args:
            batch_encoded: ``(B, K + 2 L, H, W)`` network output, or ``(B, K, H, W)`` heatmaps.
            noise: ``(B,)`` of the images, as :class:`Evidence` has it; None: unknown.

        Returns:
            For each image the fields of MMPose's ``pred_instances``, each with a leading 1: those
            of :meth:`decode` and

            - keypoint_presence ``(1, K)``: P(present), NaN without a calibration
            - keypoint_covariances ``(1, K, 2, 2)``: of the position, input pixels squared; the
              moments of the heatmap, scaled to their nominal coverage by the calibration
            - keypoint_evidences, keypoint_decisions ``(1, K, 3)``: uncertainty and decision of
              each of peak, paf and fused
            - keypoint_support ``(1, K)``: relations that speak for the landmark
            - interval_scales ``(1, M)``: from standard error to half-width of the interval of
              each clinical measurement; 1.96 without a calibration
            - interval_offsets ``(1, M)``: systematic error that is taken from its centre, deg or mm
              at the bone; 0 without
            - error_correlation ``(1, 2 K, 2 K)``: of the landmarks' errors, x before y; the unit
              matrix without a calibration
            - image_state ``(1,)``: 0 usual, 1 out of range, 2 no pelvis found
            - calibrated ``(1,)``: whether there is a calibration
        """
        evidence, assessment = self.assess(batch_encoded, noise)
        _, calibration = self.deciding(self._has_fields(batch_encoded))
        cell_px = self.to_pixels(np.ones(2)) - self.to_pixels(np.zeros(2))
        covariances = calibrated_covariances(
            covariances_to_px(evidence.covariances.cpu().numpy(), cell_px),
            calibration,
            evidence.peak.cpu().numpy(),
        )
        points = self.to_pixels(evidence.points.cpu().numpy().astype(np.float64))
        columns = prediction_fields(
            points, covariances, evidence, assessment, calibration, self.landmarks
        )
        return [
            {name: values[index, None] for name, values in columns.items()}
            for index in range(len(covariances))
        ]

    def assess(
        self, batch_encoded: Tensor, noise: Tensor | None = None
    ) -> tuple[Evidence, Assessment]:
        """Gather the evidence of a batch, in cells, and decide.

        Args:
            batch_encoded: ``(B, K + 2 L, H, W)`` network output, or ``(B, K, H, W)`` heatmaps,
                which no calibration applies to.
            noise: ``(B,)`` of the images; None: unknown.
        """
        decision, calibration = self.deciding(self._has_fields(batch_encoded))
        evidence = self.gather(batch_encoded, noise)
        return evidence, assess(evidence, self.evidence_relations.pairs, decision, calibration)

    def gather(self, batch_encoded: Tensor, noise: Tensor | None = None) -> Evidence:
        """Gather the evidence of a batch, in cells, without any decision.

        Args:
            batch_encoded: ``(B, K + 2 L, H, W)`` network output, or ``(B, K, H, W)`` heatmaps.
            noise: ``(B,)`` of the images; None: unknown.
        """
        heatmaps = batch_encoded[:, : len(self.landmarks)]
        pafs = batch_encoded[:, len(self.landmarks) :]
        if pafs.shape[1] == 0:
            batch, _, height, width = heatmaps.shape
            pafs = heatmaps.new_zeros(batch, 2 * len(self.relations), height, width)
        refuse_unreadable_fields(pafs)
        pairs = self.evidence_relations.pairs
        fields = pafs[:, self.decision_channels]
        return decode_evidence(heatmaps, fields, pairs, self.reading, noise)

    def deciding(self, fields: bool = True) -> tuple[DecisionOptions, Calibration | None]:
        """Return what decides: the options, complete, and the calibration if it applies to them.

        Args:
            fields: whether there are fields beside the heatmaps, which alone no calibration was
                fitted to, and which reject nothing without a threshold.

        Raises:
            ValueError: the calibration is for other settings and there is no threshold.
        """
        stored = self.calibration if fields else None
        calibration = applicable(stored, self.decision, len(self.evidence_relations))
        if stored is not None:
            return self.decision, calibration
        return bare_decision(self.decision, keep_all=self.learning or not fields), None

    def notice(self) -> str | None:
        """Say what decides in the place of a calibration; None where that needs no saying."""
        used = applicable(self.calibration, self.decision, len(self.evidence_relations))
        return decision_notice(self.decision, self.calibration, used, self.learning)

    def use_all_relations(self) -> None:
        """Let all relations speak, for studies that choose among them later.

        A calibration that was fitted to fewer of them is void.
        """
        if self.evidence_relations.name != self.relations.name:
            self.calibration = None
        self.evidence_relations = self.relations
        self.decision_channels = _subset_channels(self.relations, self.relations)

    def _has_fields(self, batch_encoded: Tensor) -> bool:
        return batch_encoded.shape[1] > len(self.landmarks)


def _subset_channels(relations: RelationSet, smaller: RelationSet) -> list[int]:
    """Return the field channels of a smaller set of relations."""
    try:
        positions = relations.positions_of(smaller)
    except ValueError as error:
        raise ValueError(f'{error}: set evidence_relations={relations.name!r}') from None
    return [2 * position + axis for position in positions for axis in (0, 1)]


def prediction_fields(
    points: np.ndarray,
    covariances: np.ndarray,
    evidence: Evidence,
    assessment: Assessment,
    calibration: Calibration | None,
    landmarks: LandmarkSet,
) -> dict[str, np.ndarray]:
    """Return the fields of ``pred_instances``, one row for each image.

    Args:
        points: ``(B, K, 2)`` landmarks.
        covariances: ``(B, K, 2, 2)`` of their positions, in the square of the same unit.
        evidence: what the maps say.
        assessment: what was decided.
        calibration: what decided, if anything.
        landmarks: which K.
    """
    count = len(points)
    return dict(
        keypoints=points,
        keypoint_scores=evidence.peak.cpu().numpy(),
        keypoint_uncertainties=assessment.uncertainties.cpu().numpy(),
        keypoints_visible=assessment.reported.float().cpu().numpy(),
        keypoint_presence=assessment.presence.cpu().numpy(),
        keypoint_covariances=covariances,
        keypoint_evidences=assessment.evidence_uncertainties.cpu().numpy(),
        keypoint_decisions=assessment.decisions.cpu().numpy(),
        keypoint_support=evidence.support.cpu().numpy(),
        interval_scales=np.tile(interval_scales(calibration, landmarks), (count, 1)),
        interval_offsets=np.tile(interval_offsets(calibration, landmarks), (count, 1)),
        error_correlation=np.tile(error_correlations(calibration, landmarks), (count, 1, 1)),
        image_state=assessment.image_state.cpu().numpy(),
        calibrated=np.full(count, calibration is not None),
    )
