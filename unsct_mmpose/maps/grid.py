"""Grids: input pixels, map cells and coarser maps.

Cell ``(0, 0)`` of a map covers a block of input pixels; both count from the centre of their
top-left element. Mirroring the image therefore mirrors the map exactly, with no shift.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def pixels_to_cells(
    points: NDArray[np.floating], input_size_wh: tuple[int, int], map_size_wh: tuple[int, int]
) -> NDArray[np.float64]:
    """Convert input pixels to map cells.

    Args:
        points: ``(..., 2)`` points (x, y), pixels.
        input_size_wh: size of the input, pixels.
        map_size_wh: size of the map, cells.

    Returns:
        ``(..., 2)`` points (x, y), cells.

    Example:
        >>> pixels_to_cells(np.array([1.5, 1.5]), (64, 64), (16, 16)).tolist()
        [0.0, 0.0]
    """
    ratio = np.asarray(map_size_wh, float) / np.asarray(input_size_wh, float)
    return np.asarray((np.asarray(points, float) + 0.5) * ratio - 0.5)


def cells_to_pixels(
    points: NDArray[np.floating], input_size_wh: tuple[int, int], map_size_wh: tuple[int, int]
) -> NDArray[np.float64]:
    """Convert map cells to input pixels: the inverse of :func:`pixels_to_cells`.

    Args:
        points: ``(..., 2)`` points (x, y), cells.
        input_size_wh: size of the input, pixels.
        map_size_wh: size of the map, cells.

    Returns:
        ``(..., 2)`` points (x, y), pixels.

    Example:
        >>> cells_to_pixels(np.array([0.0, 15.0]), (64, 64), (16, 16)).tolist()
        [1.5, 61.5]
    """
    return pixels_to_cells(points, map_size_wh, input_size_wh)


def inside_grid(points: Tensor, size_wh: tuple[int, int]) -> Tensor:
    """Tell which ``(..., 2)`` points lie on a cell of the grid, its border included.

    Example:
        >>> inside_grid(torch.tensor([[-0.5, 0.0], [3.6, 0.0]]), (4, 4)).tolist()
        [True, False]
    """
    (width, height), x, y = size_wh, points[..., 0], points[..., 1]
    return (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)


def coarsen_heatmaps(heatmaps: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Reduce target heatmaps to a coarser grid and keep their peaks.

    The largest value of each block survives, since averaging would fade a Gaussian that is
    narrower than a coarse cell.

    Args:
        heatmaps: ``(B, K, H, W)``.
        size_hw: ``(H', W')``, at most ``(H, W)``.

    Returns:
        ``(B, K, H', W')``; the input itself when the size does not change.

    Example:
        >>> coarsen_heatmaps(torch.eye(4)[None, None], (2, 2)).flatten().tolist()
        [1.0, 0.0, 0.0, 1.0]
    """
    if tuple(heatmaps.shape[-2:]) == tuple(size_hw):
        return heatmaps
    return torch.nn.functional.adaptive_max_pool2d(heatmaps, size_hw)
