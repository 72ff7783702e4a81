"""What the codecs share: landmarks on the grid of the maps, and what is known of each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from mmpose.codecs.base import BaseKeypointCodec
from numpy.typing import NDArray
from torch import Tensor

from unsct_mmpose.anatomy import LandmarkSet
from unsct_mmpose.maps.grid import inside_grid, pixels_to_cells


class LandmarkCells(NamedTuple):
    """The landmarks of one image on the grid.

    Attributes:
        points: ``(1, K, 2)`` cells.
        shown: ``(1, K)`` bool, present and on the grid.
        labelled: ``(1, K)`` bool.
    """

    points: Tensor
    shown: Tensor
    labelled: NDArray[np.bool_]


def estimator_stretch(input_size: tuple[int, int], use_udp: bool) -> NDArray[np.float64]:
    """Return ``(2,)`` what input pixels are multiplied by for a pose estimator of MMPose.

    MMPose's ``TopdownAffine(use_udp=True)`` maps its frame onto w - 1 pixels, from centre to
    centre, and else onto w, from edge to edge. MMPose's pose estimators undo the second alone;
    after the first a codec has to stretch, or landmarks come back up to a pixel off.

    Args:
        input_size: ``(w, h)`` of the network's input, pixels.
        use_udp: whether the pipeline's affine map has it.

    Example:
        >>> estimator_stretch((64, 33), use_udp=False).tolist()
        [1.0, 1.0]
        >>> estimator_stretch((65, 33), use_udp=True).tolist()
        [1.015625, 1.03125]
    """
    size = np.asarray(input_size, float)
    return np.asarray(size / (size - 1 if use_udp else size))


class LandmarkCodec(BaseKeypointCodec):
    """A codec of one instance of the landmarks of a set.

    Attributes:
        landmarks: the set.
        input_size: ``(w, h)`` of the network's input, pixels.
        heatmap_size: ``(w, h)`` of the maps, cells.
    """

    landmarks: LandmarkSet
    input_size: tuple[int, int]
    heatmap_size: tuple[int, int]
    auxiliary_encode_keys = {'keypoints_visible_weights'}

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
        return self._targets(
            LandmarkCells(points, shown, (np.asarray(labelled) > 0).reshape(shape))
        )

    def _targets(self, cells: LandmarkCells) -> dict[str, np.ndarray]:
        """Return the targets of an image whose landmarks lie in these cells."""
        raise NotImplementedError
