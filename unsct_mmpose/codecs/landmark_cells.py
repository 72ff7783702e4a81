"""What the codecs share: landmarks on the grid of the maps, and what is known of each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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


def landmark_cells(
    keypoints: np.ndarray,
    keypoints_visible: np.ndarray | None,
    keypoints_visible_weights: np.ndarray | None,
    input_size: tuple[int, int],
    heatmap_size: tuple[int, int],
    count: int,
) -> LandmarkCells:
    """Place the landmarks of one image on the grid.

    Args:
        keypoints: ``(1, K, 2)`` landmarks, input pixels.
        keypoints_visible: ``(1, K)``; above 0 where present. ``None``: all present.
        keypoints_visible_weights: ``(1, K)``; 0 where unlabelled. ``None``: all labelled.
        input_size: ``(w, h)`` of the network's input, pixels.
        heatmap_size: ``(w, h)`` of the maps, cells.
        count: K.

    Raises:
        ValueError: more than one instance or a number of landmarks other than K.
    """
    shape = (1, count)
    if keypoints.shape[:2] != shape:
        raise ValueError(
            f'a codec encodes one instance of {count} landmarks an image, got '
            f' keypoints of shape {keypoints.shape}'
        )
    present = np.ones(shape) if keypoints_visible is None else keypoints_visible
    labelled = np.ones(shape) if keypoints_visible_weights is None else keypoints_visible_weights
    cells = pixels_to_cells(keypoints, input_size, heatmap_size)
    points = torch.from_numpy(cells).float()
    shown = torch.from_numpy(np.asarray(present) > 0) & inside_grid(points, heatmap_size)
    return LandmarkCells(points, shown, (np.asarray(labelled) > 0).reshape(shape))
