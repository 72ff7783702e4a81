"""Several places for each landmark, and which of them fit together.

A heatmap may have more than one peak. The fields tell which peaks belong to one body: the best
joint choice weighs every peak by its height and every pair by the alignment of their relation.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .paf import Relations, candidate_alignment

_BLOCK = 4
_FLOOR = 1e-3


class Candidates(NamedTuple):
    """The strongest places of each heatmap, the strongest first.

    Attributes:
        points: ``(B, K, M, 2)`` whole cells.
        values: ``(B, K, M)`` heatmap values there.
    """

    points: Tensor
    values: Tensor


def find_candidates(heatmaps: Tensor, count: int = 3, radius: float = 6.0) -> Candidates:
    """Find the highest cells that lie farther than ``radius`` from each other.

    Args:
        heatmaps: ``(B, K, H, W)``, finite.
        count: M; where a map has fewer places, the last ones repeat its first with value 0.
        radius: distance within which a cell belongs to a stronger candidate, cells.

    Example:
        >>> maps = torch.zeros(1, 1, 16, 16)
        >>> maps[0, 0, 3, 4], maps[0, 0, 3, 5], maps[0, 0, 12, 10] = 1.0, 0.9, 0.5
        >>> found = find_candidates(maps, 2)
        >>> found.points.tolist(), found.values.tolist()
        ([[[[4.0, 3.0], [10.0, 12.0]]]], [[[1.0, 0.5]]])
    """
    maps = heatmaps.float() if heatmaps.dtype in (torch.float16, torch.bfloat16) else heatmaps
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
    return Candidates(spots, torch.where(empty, torch.zeros_like(heights), heights))


def choose_candidates(
    candidates: Candidates,
    field: Tensor,
    relations: Relations,
    *,
    coupling: float = 1.0,
    iterations: int = 10,
    samples: int = 8,
) -> Tensor:
    """Choose one candidate for each landmark, jointly.

    Maximises ``sum_k log value_k + coupling * sum_l max(w_l, 0)`` over all choices by max-sum
    belief propagation with damping on the graph of relations (Pearl 1988). The graph has cycles,
    so the optimum is not guaranteed; a choice that is not better than the strongest peaks is not
    taken.

    Args:
        candidates: of each landmark.
        field: ``(B, 2 L, H, W)``.
        relations: ``(L, 2)`` tail and head of each relation.
        coupling: weight of the fields; 0 chooses the strongest peaks.
        iterations: rounds of messages.
        samples: samples on a segment.

    Returns:
        ``(B, K)`` int64, the number of the chosen candidate.
    """
    pairs = torch.as_tensor(relations, dtype=torch.long, device=field.device)
    tail, head = pairs[:, 0], pairs[:, 1]
    aligned = candidate_alignment(
        field, candidates.points[:, tail], candidates.points[:, head], samples
    )
    pair = coupling * aligned.clamp(min=0)
    unary = torch.log(candidates.values.clamp(min=_FLOOR))
    to_head = torch.zeros_like(unary[:, head])
    to_tail = torch.zeros_like(to_head)

    # products, not index_add: an exporter may not add where an index comes twice
    landmark = torch.arange(unary.shape[1], device=field.device)[:, None]
    at_head, at_tail = (landmark == head).to(unary), (landmark == tail).to(unary)  # (K, L)

    def beliefs() -> Tensor:
        return unary + at_head @ to_head + at_tail @ to_tail

    for _ in range(iterations):
        belief = beliefs()
        from_tail = (belief[:, tail] - to_tail)[..., :, None] + pair
        from_head = (belief[:, head] - to_head)[..., None, :] + pair
        to_head = 0.5 * (to_head + _normalised(from_tail.amax(dim=-2)))
        to_tail = 0.5 * (to_tail + _normalised(from_head.amax(dim=-1)))
    choice = beliefs().argmax(dim=-1)
    first = torch.zeros_like(choice)
    better = _score(choice, unary, pair, pairs) > _score(first, unary, pair, pairs)
    return torch.where(better[:, None], choice, first)


def _normalised(message: Tensor) -> Tensor:
    return message - message.amax(dim=-1, keepdim=True)


def _score(choice: Tensor, unary: Tensor, pair: Tensor, pairs: Tensor) -> Tensor:
    """Return ``(B,)``: what is maximised, for one choice."""
    own = unary.gather(2, choice[..., None])[..., 0].sum(dim=1)
    at_tail, at_head = choice[:, pairs[:, 0]], choice[:, pairs[:, 1]]
    rows = pair.gather(2, at_tail[..., None, None].expand(-1, -1, 1, pair.shape[-1]))
    return own + rows[:, :, 0].gather(2, at_head[..., None])[..., 0].sum(dim=1)
