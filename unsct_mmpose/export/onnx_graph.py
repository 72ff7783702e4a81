"""One graph from a radiograph's grey levels to landmarks, uncertainty and decisions."""

from __future__ import annotations

from typing import Any

import torch
from mmpose.models import PoseDataPreprocessor
from torch import Tensor, nn

from unsct_mmpose.codecs import HeatmapPAF
from unsct_mmpose.functional.error_structure import peak_variances, shaped
from unsct_mmpose.functional.image_noise import relative_noise
from unsct_mmpose.inference.openvino_session import MAPS
from unsct_mmpose.maps.assessment import Assessment, assess
from unsct_mmpose.maps.evidence import Evidence, decode_evidence
from unsct_mmpose.maps.heatmap import flip_heatmaps
from unsct_mmpose.maps.paf import flip_paf
from unsct_mmpose.maps.regions import region_factors, region_shapes
from unsct_mmpose.models import BatchDataPreprocessor
from unsct_mmpose.report.prediction import FIELDS

CONSTANTS = ('interval_scales', 'interval_offsets', 'error_correlation', 'calibrated')
"""Fields that are the same for every image: they stand in a graph's metadata."""

OUTPUTS = (
    *(name for name in FIELDS if name not in CONSTANTS),
    'finite',
    MAPS,
)
"""What a graph gives, named like the fields of :meth:`HeatmapPAF.decode_maps`;
``finite`` is false where the maps hold NaN or infinity and nothing can be read; the ``maps`` are
those of :meth:`LandmarkGraph.maps`, where the network ends and decoding begins."""


class LandmarkGraph(nn.Module):
    """A pose estimator, its flip test, its codec and its calibration as one module.

    The evidence and the decisions come from the same pure functions as those of
    :class:`HeatmapPAF`.

    Args:
        model: ``TopdownPoseEstimator`` with :class:`HeatmapPAFHead` and its decoder.

    Raises:
        ValueError: the model has no such decoder, or another data preprocessor.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        codec = getattr(model.head, 'decoder', None)
        if not isinstance(codec, HeatmapPAF):
            raise ValueError(
                f'head.decoder is {type(codec).__name__}: only a head with decoder=HeatmapPAF can '
                'be exported, since what it decides is a part of the graph'
            )
        if type(model.data_preprocessor) not in (PoseDataPreprocessor, BatchDataPreprocessor):
            kind = type(model.data_preprocessor).__name__
            raise ValueError(
                f'data_preprocessor is {kind}: set PoseDataPreprocessor or BatchDataPreprocessor'
            )
        self.model, self.codec = model, codec
        self.flip_test = bool(model.test_cfg.get('flip_test', False))
        count = len(codec.landmarks)
        field_channels = [count + channel for channel in codec.decision_channels]
        self.channels = [*range(count), *field_channels]
        self.decision, self.calibration = codec.deciding()
        size, cells = torch.tensor(codec.input_size), torch.tensor(codec.heatmap_size)
        cell = (size / cells).float()
        factors = torch.from_numpy(region_factors(self.calibration, codec.landmarks)).float()
        self.register_buffer('cell_px', cell)
        self.register_buffer('area_px', cell[:, None] * cell)
        self.register_buffer('factors', factors[:, None, None])
        self.power = 0.0 if self.calibration is None else self.calibration.peak_power
        self.directed = bool(self.calibration is not None and self.calibration.region_shapes)
        shapes = region_shapes(self.calibration, codec.landmarks)
        self.register_buffer('shapes', torch.from_numpy(shapes).float())

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Find and judge the landmarks of a batch.

        Args:
            image: ``(N, 1, H, W)`` float32 grey levels 0 to 255, bone bright; H and W are
                multiples of 32.

        Returns:
            The tensors of :data:`OUTPUTS`; keypoints in input pixels.
        """
        maps = self.maps(image)
        return *self.judge(maps, relative_noise(image[:, 0])), maps

    def judge(self, maps: Tensor, noise: Tensor | None = None) -> tuple[Tensor, ...]:
        """Read maps, ``(N, K + 2 L, h, w)`` as :meth:`maps` gives them; see :meth:`forward`.

        Args:
            maps: of the images.
            noise: ``(N,)`` of the images; None: unknown.
        """
        count = len(self.codec.landmarks)
        heatmaps, pafs = maps[:, :count], maps[:, count:]
        pairs = self.codec.evidence_relations.pairs
        evidence = decode_evidence(heatmaps, pafs, pairs, self.codec.reading, noise)
        assessment = assess(evidence, pairs, self.decision, self.calibration)
        total = maps.sum(dim=(1, 2, 3))
        finite = ~(torch.isnan(total) | torch.isinf(total))
        return self._columns(evidence, assessment, finite)

    def maps(self, image: Tensor) -> Tensor:
        """Return ``(N, K + 2 L, h, w)`` heatmaps and the fields of the relations that speak."""
        if not self.flip_test:
            return self._forward(image)
        # both in one batch: the processor's cores are busier
        maps = self._forward(torch.cat([image, image.flip(-1)]))
        direct, mirrored = maps[: image.shape[0]], maps[image.shape[0] :]
        landmarks, relations = self.codec.landmarks, self.codec.evidence_relations
        count = len(landmarks)
        heatmaps = flip_heatmaps(mirrored[:, :count], landmarks.flip_indices)
        pafs = flip_paf(mirrored[:, count:], relations.flip_indices, relations.is_cross)
        return (direct + torch.cat([heatmaps, pafs], dim=1)) * 0.5

    def _forward(self, image: Tensor) -> Tensor:
        normal = self.model.data_preprocessor
        inputs = image.expand(-1, 3, -1, -1)
        if normal._enable_normalize:
            inputs = (inputs - normal.mean) / normal.std
        maps: Tensor = self.model.head.forward(self.model.extract_feat(inputs))
        return maps[:, self.channels]

    def _columns(
        self, evidence: Evidence, assessment: Assessment, finite: Tensor
    ) -> tuple[Tensor, ...]:
        """Return what :func:`unsct_mmpose.codecs.heatmap_paf.prediction_fields` does, and more."""
        covariances = evidence.covariances * self.area_px
        if self.directed:
            covariances = shaped(covariances, self.shapes)
        if self.power:
            sizes = peak_variances(evidence.peak) ** self.power
            covariances = covariances * sizes[..., None, None]
        columns = dict(
            keypoints=(evidence.points + 0.5) * self.cell_px - 0.5,
            keypoint_scores=evidence.peak,
            keypoint_uncertainties=assessment.uncertainties,
            keypoints_visible=assessment.reported.float(),
            keypoint_presence=assessment.presence,
            keypoint_covariances=covariances * self.factors,
            keypoint_evidences=assessment.evidence_uncertainties,
            keypoint_decisions=assessment.decisions,
            keypoint_support=evidence.support,
            image_state=assessment.image_state,
            finite=finite,
        )
        return tuple(columns[name] for name in OUTPUTS if name != MAPS)
