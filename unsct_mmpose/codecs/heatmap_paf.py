"""Codec ``HeatmapPAF``: landmarks to heatmaps and part affinity fields, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS
from torch import Tensor

from unsct_mmpose.anatomy import NUM_LANDMARKS, relation_set
from unsct_mmpose.functional.grid import cells_to_pixels, pixels_to_cells
from unsct_mmpose.functional.heatmap import decode_heatmaps, draw_heatmaps
from unsct_mmpose.functional.paf import draw_paf


@KEYPOINT_CODECS.register_module()
class HeatmapPAF(BaseKeypointCodec):
    """Encode landmarks as Gaussian heatmaps and relations as part affinity fields.

    K = 24 landmarks, L relations (52 in ``full``, 34 in ``core``), maps of H x W cells. Encoded:

        - heatmaps (np.ndarray): ``(K, H, W)``, peak 1; all zero where a landmark is absent,
          hidden or outside the image
        - pafs (np.ndarray): ``(2 * L, H, W)`` unit vectors, x and y of each relation in turn
        - keypoint_weights (np.ndarray): ``(1, K)``; 1 supervises the heatmap (an absent landmark
          too: it teaches silence), 0 leaves an unlabelled one alone
        - relation_weights (np.ndarray): ``(1, L)``; 0 where either end is unlabelled

    Args:
        input_size: ``(w, h)`` of the network's input, pixels.
        heatmap_size: ``(w, h)`` of the maps, cells.
        sigma: standard deviation of the Gaussians, cells.
        relations: name of the relation set, ``'full'`` or ``'core'``.
        paf_width: half width of a field, cells.
        refinement: sub-pixel decoding, ``'dark'``, ``'quadratic'`` or ``'none'``.
        presence_threshold: report a landmark only when its heatmap's peak reaches this value;
            ``None`` reports every landmark.
    """

    auxiliary_encode_keys = {'keypoints_visible_weights'}

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
        presence_threshold: float | None = None,
    ) -> None:
        super().__init__()
        self.input_size = tuple(input_size)
        self.heatmap_size = tuple(heatmap_size)
        self.sigma = sigma
        self.relations = relation_set(relations)
        self.paf_width = paf_width
        self.refinement = refinement
        self.presence_threshold = presence_threshold

    @property
    def num_outputs(self) -> int:
        """Channels that a head must predict: K heatmaps and 2 L field components."""
        return NUM_LANDMARKS + 2 * len(self.relations)

    def encode(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray | None = None,
        keypoints_visible_weights: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Draw the training targets of one image.

        Args:
            keypoints: ``(1, K, 2)`` landmarks, input pixels.
            keypoints_visible: ``(1, K)``; above 0 where present. ``None``: all present.
            keypoints_visible_weights: ``(1, K)``; 0 where unlabelled. ``None``: all labelled.

        Raises:
            ValueError: more than one instance or a number of landmarks other than 24.
        """
        if keypoints.shape[:2] != (1, NUM_LANDMARKS):
            raise ValueError(
                f'HeatmapPAF encodes one pelvis of {NUM_LANDMARKS} landmarks an image, '
                f'got keypoints of shape {keypoints.shape}'
            )
        shape = (1, NUM_LANDMARKS)
        present = np.ones(shape) if keypoints_visible is None else keypoints_visible
        labelled = (
            np.ones(shape) if keypoints_visible_weights is None else keypoints_visible_weights
        )
        points = torch.from_numpy(self._to_cells(keypoints)).float()
        shown = torch.from_numpy(np.asarray(present) > 0) & _inside(points, self.heatmap_size)
        size_hw = self.heatmap_size[::-1]
        weights = (np.asarray(labelled) > 0).astype(np.float32).reshape(shape)
        pairs = np.asarray(self.relations.pairs)
        return dict(
            heatmaps=draw_heatmaps(points, shown, size_hw, self.sigma)[0].numpy(),
            pafs=draw_paf(points, shown, pairs, size_hw, self.paf_width)[0].numpy(),
            keypoint_weights=weights,
            relation_weights=weights[:, pairs[:, 0]] * weights[:, pairs[:, 1]],
        )

    def decode(self, encoded: Any) -> tuple[np.ndarray, np.ndarray]:
        """Find the landmarks of one image.

        Args:
            encoded: ``(K + 2 L, H, W)`` network output, or the ``(K, H, W)`` heatmaps alone.

        Returns:
            ``(1, K, 2)`` landmarks in input pixels and ``(1, K)`` heatmap peaks.
        """
        maps = torch.as_tensor(encoded)
        points, scores = self.batch_decode(maps[None] if maps.ndim == 3 else maps)
        return points[0], scores[0]

    def batch_decode(self, batch_encoded: Tensor) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Find the landmarks of a batch.

        Args:
            batch_encoded: ``(B, K + 2 L, H, W)`` network output, or ``(B, K, H, W)`` heatmaps.

        Returns:
            For each image ``(1, K, 2)`` landmarks in input pixels and ``(1, K)`` heatmap peaks.
        """
        heatmaps = batch_encoded[:, :NUM_LANDMARKS].detach().float()
        points, scores = decode_heatmaps(heatmaps, method=self.refinement)
        pixels = self._to_pixels(points.cpu().numpy().astype(np.float64))
        peaks = scores.cpu().numpy()
        return [one[None] for one in pixels], [one[None] for one in peaks]

    def reported(self, scores: np.ndarray) -> np.ndarray:
        """Decide which landmarks to report, from their heatmap peaks.

        Args:
            scores: ``(..., K)`` peaks.

        Returns:
            ``(..., K)`` float32, 1 where reported and 0 where suppressed.
        """
        if self.presence_threshold is None:
            return np.ones_like(scores, dtype=np.float32)
        return (scores >= self.presence_threshold).astype(np.float32)

    def _to_cells(self, points: np.ndarray) -> np.ndarray:
        return pixels_to_cells(points, self.input_size, self.heatmap_size)

    def _to_pixels(self, points: np.ndarray) -> np.ndarray:
        return cells_to_pixels(points, self.input_size, self.heatmap_size)


def _inside(points: Tensor, size_wh: tuple[int, int]) -> Tensor:
    """Tell which points fall on the grid, to within half a cell of its border cells' centres."""
    limit = torch.tensor(size_wh, dtype=points.dtype) - 0.5
    return ((points >= -0.5) & (points <= limit)).all(dim=-1)
