"""What the codecs share: landmarks on the grid of the maps, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmpose.codecs.base import BaseKeypointCodec
from numpy.typing import NDArray

from unsct_mmpose.anatomy import LandmarkSet, landmark_set
from unsct_mmpose.maps.grid import cells_to_pixels, inside_grid, pixels_to_cells


def estimator_stretch(input_size: tuple[int, int], use_udp: bool) -> NDArray[np.float64]:
    """Return ``(2,)`` what input pixels are multiplied by for a pose estimator of MMPose.

    MMPose's ``TopdownAffine(use_udp=True)`` maps its frame onto w - 1 pixels, from centre to
    centre, and else onto w, from edge to edge. MMPose's pose estimators undo the second alone;
    after the first a codec has to stretch, or landmarks come back up to a pixel off.

    Example:
        >>> estimator_stretch((64, 33), use_udp=False).tolist()
        [1.0, 1.0]
        >>> estimator_stretch((65, 33), use_udp=True).tolist()
        [1.015625, 1.03125]
    """
    size = np.asarray(input_size, float)
    return np.asarray(size / (size - 1 if use_udp else size))


class LandmarkCodec(BaseKeypointCodec):
    """A codec of one instance of the landmarks of a set; arguments as :class:`HeatmapPAF` has them.

    It has ``_targets(points, shown, labelled)``: the targets of an image with landmarks
    ``(1, K, 2)``, cells, of which ``(1, K)`` are present and on the grid, and labelled.
    """

    auxiliary_encode_keys = {'keypoints_visible_weights'}

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: float,
        use_udp: bool,
        landmarks: str | Mapping[str, Any] | LandmarkSet,
    ) -> None:
        super().__init__()
        self.landmarks = landmark_set(landmarks)
        self.input_size = tuple(input_size)
        self.heatmap_size = tuple(heatmap_size)
        self.sigma = sigma
        self.use_udp = use_udp

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
            ValueError: more than one instance or a number of landmarks other than K.
        """
        shape = (1, len(self.landmarks))
        if keypoints.shape[:2] != shape:
            raise ValueError(
                f'a codec encodes one instance of {shape[1]} landmarks an image, got '
                f' keypoints of shape {keypoints.shape}'
            )
        ones = np.ones(shape)
        present = ones if keypoints_visible is None else keypoints_visible
        labelled = ones if keypoints_visible_weights is None else keypoints_visible_weights
        cells = pixels_to_cells(keypoints, self.input_size, self.heatmap_size)
        points = torch.from_numpy(cells).float()
        shown = torch.from_numpy(np.asarray(present) > 0) & inside_grid(points, self.heatmap_size)
        return self._targets(points, shown, (np.asarray(labelled) > 0).reshape(shape))

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Convert ``(..., 2)`` cells to input pixels as MMPose's pose estimators take them."""
        stretch = estimator_stretch(self.input_size, self.use_udp)
        return cells_to_pixels(points, self.input_size, self.heatmap_size) * stretch
