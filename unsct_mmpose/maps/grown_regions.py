"""Regions grown from a heatmap: its brightest cells, as many as hold the true point often enough.

Multi-output regression as classification: the heatmap is a distribution over cells, and the score
of a true point is the mass of the cells that are brighter than its own (J. Jonkers et al.,
"Reliable uncertainty quantification for 2D/3D automatic anatomical landmark localization using
multi-output conformal prediction", 2025). Such regions need not be ellipses, nor of one piece.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def cell_probabilities(heatmaps: Tensor, power: float = 1.0) -> Tensor:
    """Return heatmaps ``(..., H, W)`` as distributions over their cells.

    Args:
        heatmaps: any values; what is negative counts as 0.
        power: to which values are raised, so that a faint background does not add up.
    """
    raised = heatmaps.clamp(min=0) ** power
    return raised / raised.sum(dim=(-2, -1), keepdim=True).clamp(min=1e-30)


def mass_above(probabilities: Tensor, points: Tensor) -> Tensor:
    """Return the mass of the cells that are brighter than that of a point.

    Args:
        probabilities: ``(B, K, H, W)`` from :func:`cell_probabilities`.
        points: ``(B, K, 2)`` x, y in cells; a point off the map has all mass above it.

    Returns:
        ``(B, K)`` in [0, 1].

    Example:
        >>> maps = torch.tensor([[[[0.5, 0.3], [0.2, 0.0]]]])
        >>> round(mass_above(maps, torch.tensor([[[0.0, 1.0]]])).item(), 6)
        0.8
    """
    height, width = probabilities.shape[-2:]
    column, row = points.round().long().unbind(dim=-1)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    index = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    flat = probabilities.flatten(2)
    own = flat.gather(2, index[..., None])
    above = torch.where(flat > own, flat, torch.zeros_like(flat)).sum(dim=-1)
    return torch.where(inside, above, torch.ones_like(above))


def grown_areas(probabilities: Tensor, masses: Sequence[float]) -> Tensor:
    """Return how many cells a region has whose points have at most a mass above them.

    Args:
        probabilities: ``(B, K, H, W)``.
        masses: ``(T,)``, each the largest :func:`mass_above` of a point in the region.

    Returns:
        ``(B, K, T)`` cells, at least 1.

    Example:
        >>> maps = torch.tensor([[[[0.5, 0.3], [0.2, 0.0]]]])
        >>> grown_areas(maps, [0.1, 0.6, 0.9]).tolist()
        [[[1, 2, 3]]]
    """
    flat = probabilities.flatten(2).sort(dim=-1, descending=True).values
    before = flat.cumsum(dim=-1) - flat
    return torch.stack([(before <= mass).sum(dim=-1) for mass in masses], dim=-1).clamp(min=1)
