"""Coordinate channels: tell a convolution where it is, and where the boundary is.

After the CoordConv of the adaptive wing network (Wang, Bo, Li, ICCV 2019), with sizes taken from
the input: any H x W, any device, no buffer in a checkpoint.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BOUNDARY = 0.05
"""Value of a heatmap above which a cell is on the boundary."""

BOUNDARY_SOFTNESS = 0.01
"""Width of the soft gate, in heatmap values: 1 % open at a value of 0, 99 % open at 0.1."""


def coordinate_channels(features: Tensor) -> Tensor:
    """Return the coordinates of each cell of a feature map.

    Args:
        features: ``(B, C, H, W)``; only its shape, type and device are read.

    Returns:
        ``(B, 3, H, W)``: x from -1 at the left column to 1 at the right one, y from -1 at the
        top row to 1 at the bottom one, and the radius ``sqrt(x^2 + y^2)`` over its maximum. An
        axis of one cell lies at 0.

    Example:
        >>> coordinate_channels(torch.zeros(1, 8, 2, 3))[0, 0].tolist()
        [[-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]]
    """
    height, width = features.shape[-2:]
    x = _axis(width, features).expand(height, width)
    y = _axis(height, features)[:, None].expand(height, width)
    radius = (x.square() + y.square()).sqrt()
    radius = radius / radius.amax(dim=(0, 1)).clamp(min=1e-6)
    grid = torch.stack((x, y, radius)).to(features.dtype)
    return grid.expand(features.shape[0], 3, height, width)


def boundary_channels(coords_xy: Tensor, boundary: Tensor) -> Tensor:
    """Return the coordinates of the cells on the boundary, and next to zeros elsewhere.

    The gate is a sigmoid around 0.05, which passes a gradient to the boundary.

    Args:
        coords_xy: ``(B, 2, H, W)`` x and y of each cell, or flattened to ``(B, 2, N)``.
        boundary: ``(B, 1, H, W)`` boundary heatmap, flattened too then; clamped to [0, 1].

    Returns:
        The shape of ``coords_xy``.

    Example:
        >>> coords = torch.tensor([[[[-1.0, 1.0]], [[0.5, 0.5]]]])
        >>> boundary_channels(coords, torch.tensor([[[[0.0, 0.9]]]]))[0, 1, 0].round(decimals=2)
        tensor([0.0000, 0.5000])
    """
    return coords_xy * boundary_gate(boundary)


def boundary_gate(boundary: Tensor) -> Tensor:
    """Return how far the gate is open, from 0 to 1, for a boundary heatmap of any shape."""
    return torch.sigmoid((boundary.clamp(0, 1) - _BOUNDARY) / BOUNDARY_SOFTNESS)


def _axis(size: int, like: Tensor) -> Tensor:
    # In float32, as half precision cannot count past 2048. Divided by a tensor, not by `size - 1`:
    # an exported graph then holds for every size, that of one cell too.
    steps = 2 * torch.arange(size, dtype=torch.float32, device=like.device) - (size - 1)
    return steps / steps.amax(dim=0).clamp(min=1)
