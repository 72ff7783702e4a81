"""The strongest peaks of heatmaps: where a landmark is, and what rivals it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .precision import widened

_BLOCK = 4


class Peaks(NamedTuple):
    """The strongest places of each heatmap, the strongest first.

    Attributes:
        points: ``(B, K, M, 2)`` whole cells.
        values: ``(B, K, M)`` heatmap values there.
    """

    points: Tensor
    values: Tensor


def find_peaks(heatmaps: Tensor, count: int = 3, radius: float = 6.0) -> Peaks:
    """Find the highest cells that lie farther than ``radius`` from each other.

    Args:
        heatmaps: ``(B, K, H, W)``, finite.
        count: M; where a map has fewer places, the last ones repeat its first with value 0.
        radius: distance within which a cell belongs to a stronger peak, cells.

    Example:
        >>> maps = torch.zeros(1, 1, 16, 16)
        >>> maps[0, 0, 3, 4], maps[0, 0, 3, 5], maps[0, 0, 12, 10] = 1.0, 0.9, 0.5
        >>> peaks = find_peaks(maps, 2)
        >>> peaks.points.tolist(), peaks.values.tolist()
        ([[[[4.0, 3.0], [10.0, 12.0]]]], [[[1.0, 0.5]]])
    """
    maps = widened(heatmaps)
    height, width = maps.shape[-2:]
    block = _BLOCK if height % _BLOCK == 0 and width % _BLOCK == 0 else 1
    tall, wide = height // block, width // block
    tops = maps.reshape(*maps.shape[:2], tall, block, width).amax(dim=3)  # rows, then columns: fast
    tops = tops.reshape(*maps.shape[:2], tall * wide, block).amax(dim=3)
    flat = maps.flatten(2)
    step = torch.arange(block, device=maps.device)
    offsets = (step[:, None] * width + step).flatten()
    number = torch.arange(tall * wide, device=maps.device)
    corner_x, corner_y = (number % wide) * block, (number // wide) * block
    points, values = [], []
    for _ in range(count):
        value, which = tops.max(dim=-1)
        cells = (corner_y[which] * width + corner_x[which])[..., None] + offsets
        best = cells.gather(2, flat.gather(2, cells).argmax(dim=-1, keepdim=True))[..., 0]
        y = torch.div(best, width, rounding_mode='floor')
        x = best - y * width
        points.append(torch.stack((x, y), dim=-1).to(maps.dtype))
        values.append(value)
        # a block belongs to this peak as soon as one of its cells is near
        half = (block - 1) / 2
        aside = ((corner_x + half - x[..., None]).abs() - half).clamp(min=0)
        below = ((corner_y + half - y[..., None]).abs() - half).clamp(min=0)
        tops = tops.masked_fill(aside**2 + below**2 <= radius**2, 0.0)
    spots, heights = torch.stack(points, dim=2), torch.stack(values, dim=2)
    empty = heights <= 0
    empty[..., 0] = False
    spots = torch.where(empty[..., None], spots[:, :, :1], spots)
    return Peaks(spots, torch.where(empty, torch.zeros_like(heights), heights))
