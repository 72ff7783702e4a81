"""What the codecs share: landmarks on the grid of the maps, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unsct_mmpose.anatomy import NUM_LANDMARKS
from unsct_mmpose.functional.grid import inside_grid, pixels_to_cells

_CLOSE = 0.25
"""Input pixels: a width closer to one of the two ways to count tells which one it is."""


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


def refuse_other_affine(
    keypoints: np.ndarray,
    input_size: tuple[int, int],
    use_udp: bool,
    input_scale: np.ndarray | None,
    raw_ann_info: Mapping[str, Any] | None,
) -> None:
    """Refuse a pipeline whose affine map counts the input's pixels otherwise than the codec.

    MMPose's ``TopdownAffine(use_udp=True)`` maps its frame onto w - 1 pixels, from centre to
    centre, and else onto w, from edge to edge. MMPose's pose estimators undo the second alone;
    after the first a codec has to stretch, or landmarks come back up to a pixel off.

    Args:
        keypoints: ``(1, K, 2)`` landmarks, input pixels.
        input_size: ``(w, h)`` of the network's input, pixels.
        use_udp: how the codec counts.
        input_scale: ``(2,)`` width and height of the frame, image pixels; None refuses nothing.
        raw_ann_info: with ``points`` ``(K, 2)``, image pixels; None refuses nothing.

    Raises:
        ValueError: the pipeline counts the other way.
    """
    truth = (raw_ann_info or {}).get('points')
    if truth is None or input_scale is None or len(truth) != keypoints.shape[1]:
        return
    both = np.concatenate([np.asarray(truth, float), keypoints[0]], axis=1)
    known = both[np.isfinite(both).all(axis=1)]
    if len(known) < 2:
        return
    before, after = known.std(axis=0)[:2], known.std(axis=0)[2:]
    if not np.linalg.norm(before) > 0:
        return
    # rotations, reflections and shifts change no distance
    enlarged = np.linalg.norm(after) / np.linalg.norm(before)
    width = float(enlarged * np.reshape(input_scale, -1)[0])
    found = min((False, True), key=lambda udp: abs(width - (input_size[0] - udp)))
    if found != use_udp and abs(width - (input_size[0] - found)) < _CLOSE:
        raise ValueError(
            f'the affine map of the pipeline has use_udp={found} and the codec use_udp={use_udp}: '
            'give both the same, for training, test and the decoder of the head'
        )


def estimator_stretch(input_size: tuple[int, int], use_udp: bool) -> NDArray[np.float64]:
    """Return ``(2,)`` what input pixels are multiplied by for a pose estimator of MMPose.

    It undoes an affine map without ``use_udp``; see :func:`refuse_other_affine`.

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
) -> LandmarkCells:
    """Place the landmarks of one image on the grid.

    Args:
        keypoints: ``(1, K, 2)`` landmarks, input pixels.
        keypoints_visible: ``(1, K)``; above 0 where present. ``None``: all present.
        keypoints_visible_weights: ``(1, K)``; 0 where unlabelled. ``None``: all labelled.
        input_size: ``(w, h)`` of the network's input, pixels.
        heatmap_size: ``(w, h)`` of the maps, cells.

    Raises:
        ValueError: more than one instance or a number of landmarks other than 24.
    """
    shape = (1, NUM_LANDMARKS)
    if keypoints.shape[:2] != shape:
        raise ValueError(
            f'a codec encodes one pelvis of {NUM_LANDMARKS} landmarks an image, '
            f'got keypoints of shape {keypoints.shape}'
        )
    present = np.ones(shape) if keypoints_visible is None else keypoints_visible
    known = np.ones(shape) if keypoints_visible_weights is None else keypoints_visible_weights
    cells = pixels_to_cells(keypoints, input_size, heatmap_size)
    points = torch.from_numpy(cells).float()
    shown = torch.from_numpy(np.asarray(present) > 0) & inside_grid(points, heatmap_size)
    return LandmarkCells(points, shown, (np.asarray(known) > 0).reshape(shape))
