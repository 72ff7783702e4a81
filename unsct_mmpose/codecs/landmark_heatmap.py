"""Codec ``LandmarkHeatmap``: heatmaps for MMPose's own heads, absence ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmpose.registry import KEYPOINT_CODECS
from torch import Tensor

from unsct_mmpose.anatomy import HIP, LandmarkSet
from unsct_mmpose.maps.heatmap import decode_heatmaps, draw_heatmaps

from .landmark_cells import LandmarkCodec


@KEYPOINT_CODECS.register_module()
class LandmarkHeatmap(LandmarkCodec):
    """Encode landmarks as Gaussian heatmaps in the cell convention of :class:`HeatmapPAF`.

    A mirrored image gives the mirrored map to the cell, so that a stock head's flip test is
    unbiased without shifting (MMPose's ``MSRAHeatmap`` is off by three quarters of a cell). For
    ``HeatmapHead``, ``CPMHead`` and :class:`HigherHeatmapHead`. Encoded:

        - heatmaps (np.ndarray): ``(K, H, W)``, peak 1; zero where a landmark is not shown
        - keypoint_weights (np.ndarray): ``(1, K)``; as in MMPose, an absent landmark is ignored

    Args:
        input_size: ``(w, h)`` of the network's input, pixels.
        heatmap_size: ``(w, h)`` of the maps, cells.
        sigma: standard deviation of the Gaussians, cells.
        refinement: sub-pixel decoding, as for :class:`HeatmapPAF`.
        use_udp: the pipeline's affine map has ``use_udp=True``
            (:func:`~unsct_mmpose.codecs.landmark_cells.estimator_stretch`).
        landmarks: the K landmarks (:func:`unsct_mmpose.anatomy.landmark_set`).
    """

    field_mapping_table = dict(heatmaps='heatmaps')
    label_mapping_table = dict(keypoint_weights='keypoint_weights')

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: float = 2.0,
        refinement: str = 'dark',
        use_udp: bool = False,
        landmarks: str | Mapping[str, Any] | LandmarkSet = HIP.name,
    ) -> None:
        super().__init__(input_size, heatmap_size, sigma, use_udp, landmarks)
        self.refinement = refinement

    def _targets(
        self, points: Tensor, shown: Tensor, labelled: np.ndarray
    ) -> dict[str, np.ndarray]:
        size_hw = self.heatmap_size[::-1]
        return dict(
            heatmaps=draw_heatmaps(points, shown, size_hw, self.sigma)[0].numpy(),
            keypoint_weights=(labelled & shown.numpy()).astype(np.float32),
        )

    def decode(self, encoded: Any) -> tuple[np.ndarray, np.ndarray]:
        """Find the landmarks of one image.

        Args:
            encoded: ``(K, H, W)`` heatmaps.

        Returns:
            ``(1, K, 2)`` landmarks in input pixels and ``(1, K)`` peaks.
        """
        points, scores = self.batch_decode(torch.as_tensor(encoded)[None])
        return points[0], scores[0]

    def batch_decode(self, batch_encoded: Tensor) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Find the landmarks of a batch.

        Args:
            batch_encoded: ``(B, K, H, W)`` heatmaps.

        Returns:
            As :meth:`decode`, a list for each, one array for each image.
        """
        cells, peaks = decode_heatmaps(batch_encoded.detach().float(), self.refinement)
        points = self.to_pixels(cells.cpu().numpy().astype(np.float64))
        return list(points[:, None]), list(peaks.cpu().numpy()[:, None])
