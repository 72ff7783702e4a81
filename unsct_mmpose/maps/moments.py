"""Mean and spread of a heatmap near its peak."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

_COUNTED = 0.1
_CELL_VARIANCE = 1 / 12


class LocalMoments(NamedTuple):
    """First and second moments of heatmaps near given cells.

    Attributes:
        mean: ``(B, K, 2)`` mean position, cells; over as many cells on either side as the map has,
            so that the border does not pull it.
        covariance: ``(B, K, 2, 2)`` symmetric, positive definite, cells squared.
    """

    mean: Tensor
    covariance: Tensor


def local_moments(heatmaps: Tensor, cells: Tensor, sigma: float) -> LocalMoments:
    """Return the moments of heatmaps in a window that reaches ``3 sigma`` to each side.

    Values below a tenth of the peak do not count. On the Gaussian of a training target the
    covariance is a little below ``sigma^2``: what the network paints beyond that is its doubt. The
    variance of a uniform cell is added, since a peak of one cell is no point without size. Of
    ``(B, K, H, W)`` heatmaps around ``(B, K, 2)`` whole cells.

    Example:
        >>> x = torch.arange(32.0)
        >>> line = torch.exp(-((x - 16) ** 2) / 8)
        >>> maps, cells = (line[:, None] * line)[None, None], torch.full((1, 1, 2), 16.0)
        >>> mean, covariance = local_moments(maps, cells, 2.0)
        >>> mean.tolist(), covariance[0, 0].round().tolist()
        ([[[16.0, 16.0]]], [[3.0, 0.0], [0.0, 3.0]])
    """
    height, width = heatmaps.shape[-2:]
    reach = max(2, math.ceil(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, device=heatmaps.device)
    column, row = cells[..., 0:1].long(), cells[..., 1:2].long()
    x, y = column + offsets, row + offsets
    inside_x, inside_y = (x >= 0) & (x < width), (y >= 0) & (y < height)
    index = y.clamp(0, height - 1)[..., :, None] * width + x.clamp(0, width - 1)[..., None, :]
    patch = heatmaps.flatten(2).gather(2, index.flatten(2)).reshape(index.shape)
    patch = patch * (inside_y[..., :, None] & inside_x[..., None, :])
    top = patch.amax(dim=(-2, -1), keepdim=True)
    weight = torch.where(patch >= _COUNTED * top, patch, torch.zeros_like(patch)).clamp(min=0)
    step = offsets.to(heatmaps.dtype)
    along_x, along_y = weight.sum(dim=-2), weight.sum(dim=-1)
    balanced = [
        _mean(line * (offsets.abs() <= torch.minimum(middle, size - 1 - middle)), step)
        for line, middle, size in ((along_x, column, width), (along_y, row, height))
    ]
    mean_x, mean_y = _mean(along_x, step), _mean(along_y, step)
    total = along_x.sum(-1).clamp(min=1e-12)
    var_x = _mean(along_x, step**2) - mean_x**2 + _CELL_VARIANCE
    var_y = _mean(along_y, step**2) - mean_y**2 + _CELL_VARIANCE
    cross = ((weight @ step) * step).sum(-1) / total - mean_x * mean_y
    covariance = torch.stack((var_x, cross, cross, var_y), dim=-1).reshape(*cross.shape, 2, 2)
    return LocalMoments(cells + torch.stack(balanced, dim=-1), covariance)


def _mean(weights: Tensor, values: Tensor) -> Tensor:
    return (weights * values).sum(-1) / weights.sum(-1).clamp(min=1e-12)
