"""Part affinity fields: draw them, read alignment along a segment, mirror them (eq. 2-3).

Channels ``2 l`` and ``2 l + 1`` hold the x and y components of relation ``l``. Points are (x, y)
in cells; (0, 0) is the centre of the top-left cell, in the fields as in the heatmaps.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .grid import inside_grid
from .heatmap import present_points, widened
from .supervision import supervised_mean

Relations = Tensor | np.ndarray | Sequence[tuple[int, int]]
"""``(L, 2)`` positions of the tail and the head of each relation among the K landmarks."""

_MIN_LENGTH = 1e-3
"""Segments shorter than this, in cells, have no direction."""

_END_REACH = 1.0
_ROUNDING = 1e-3


def draw_paf(
    points: Tensor,
    present: Tensor,
    relations: Relations,
    size_hw: tuple[int, int],
    half_width: float = 1.0,
) -> Tensor:
    """Draw the unit vector from tail to head in the cells near each segment.

    A cell is near when its centre lies within ``half_width`` of the line and does not lie more
    than one cell beyond either end: the reach of bilinear interpolation, so that a sample taken
    at a landmark still reads the whole vector and the shortest segment owns a cell.

    Args:
        points: ``(B, K, 2)`` landmarks, cells; they may lie outside the map.
        present: ``(B, K)`` bool; the points of absent landmarks are not read.
        relations: ``(L, 2)`` tail and head of each relation.
        size_hw: height and width of the fields, cells.
        half_width: largest distance from the line, cells.

    Returns:
        ``(B, 2 L, H, W)`` fields, zero for a relation that lacks an end or whose ends coincide.

    Raises:
        ValueError: shapes disagree, half_width is not positive, or a present point is not finite.
        IndexError: a relation names a landmark that does not exist.

    Example:
        >>> points = torch.tensor([[[1.0, 2.0], [5.0, 2.0]]])
        >>> field = draw_paf(points, torch.ones(1, 2, dtype=torch.bool), [(0, 1)], (5, 7), 0.5)
        >>> field[0, 0, 2].tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
        >>> field[0, 0, 1].sum().item(), field[0, 1].abs().sum().item()
        (0.0, 0.0)
    """
    if half_width <= 0:
        raise ValueError(f'half_width must be positive, got {half_width}')
    points = present_points(points, present)
    pairs = _pairs(relations, points)
    tail, head = points[:, pairs[:, 0]], points[:, pairs[:, 1]]
    unit, length = _directions(tail, head)
    both = present[:, pairs[:, 0]].bool() & present[:, pairs[:, 1]].bool()
    unit = unit * both[..., None].to(unit.dtype)
    near = _near(tail, head, unit, length, size_hw, half_width)
    field = near[:, :, None] * unit[..., None, None]
    return field.flatten(1, 2)


def segment_alignment(
    field: Tensor, points: Tensor, relations: Relations, samples: int = 16
) -> Tensor:
    """Project the field on each segment: paper eq. (3), per unit of length.

    ``w = 1/S sum_s p(a + t_s (b - a)) . (b - a)/|b - a|`` with ``t`` from 0 to 1 in equal steps,
    both ends included, and ``p`` interpolated bilinearly with zeros outside the map. The sign
    counts, and every sample counts: a mean over those that pass a threshold would inflate w.

    Args:
        field: ``(B, 2 L, H, W)``.
        points: ``(B, K, 2)`` landmarks, cells.
        relations: ``(L, 2)`` tail and head of each relation.
        samples: S, number of samples on a segment, at least 2.

    Returns:
        ``(B, L)`` mean projections: 1 where the field runs from tail to head all the way, 0
        where it says nothing, -1 where it runs from head to tail; 0 also where the ends coincide
        or one lies off the map by more than half a cell. Half precision comes back as float32.

    Raises:
        ValueError: shapes disagree or there are fewer than 2 samples.
        IndexError: a relation names a landmark that does not exist.

    Example:
        >>> points = torch.tensor([[[1.0, 2.0], [5.0, 2.0]]])
        >>> field = draw_paf(points, torch.ones(1, 2, dtype=torch.bool), [(0, 1)], (5, 7))
        >>> segment_alignment(field, points, [(0, 1)]).item()
        1.0
        >>> segment_alignment(field, points, [(1, 0)]).item()
        -1.0
    """
    field, points = widened(field), widened(points)
    pairs = _pairs(relations, points)
    ends = points[:, pairs].unsqueeze(-2)
    return candidate_alignment(field, ends[:, :, 0], ends[:, :, 1], samples)[..., 0, 0]


def candidate_alignment(field: Tensor, tails: Tensor, heads: Tensor, samples: int = 16) -> Tensor:
    """Project the field on the segments between candidate ends: paper eq. (3) for each pair.

    Args:
        field: ``(B, 2 L, H, W)``.
        tails: ``(B, L, M, 2)`` candidates for the tail of each relation, cells.
        heads: ``(B, L, N, 2)`` candidates for its head, cells.
        samples: S, number of samples on a segment, at least 2.

    Returns:
        ``(B, L, M, N)`` mean projections, as :func:`segment_alignment` gives them.

    Raises:
        ValueError: shapes disagree or there are fewer than 2 samples.

    Example:
        >>> points = torch.tensor([[[1.0, 2.0], [5.0, 2.0]]])
        >>> field = draw_paf(points, torch.ones(1, 2, dtype=torch.bool), [(0, 1)], (5, 7))
        >>> heads = torch.tensor([[[[5.0, 2.0], [1.0, 2.0]]]])
        >>> candidate_alignment(field, points[:, None, :1], heads).tolist()
        [[[[1.0, 0.0]]]]
    """
    field, tails, heads = widened(field), widened(tails), widened(heads)
    batch, channels, height, width = field.shape
    number = tails.shape[1]
    if samples < 2:
        raise ValueError(f'a segment needs a sample at both ends at least, got {samples}')
    if channels != 2 * number:
        raise ValueError(f'{number} relations need {2 * number} channels, got {channels}')
    tail, head = torch.broadcast_tensors(tails[:, :, :, None], heads[:, :, None])
    unit, length = _directions(tail, head)
    steps = torch.linspace(0, 1, samples, dtype=tail.dtype, device=tail.device)[:, None]
    where = tail[..., None, :] + steps * (head - tail)[..., None, :]
    # With align_corners=False this grid puts cell centres at whole numbers, on any size >= 1.
    grid = torch.stack(
        ((2 * where[..., 0] + 1) / width - 1, (2 * where[..., 1] + 1) / height - 1), dim=-1
    )
    sampled = F.grid_sample(
        field.reshape(-1, 2, height, width),
        grid.to(field.dtype).reshape(batch * number, -1, samples, 2),
        mode='bilinear',
        padding_mode='zeros',
        align_corners=False,
    )
    mean = sampled.mean(dim=-1).transpose(1, 2).reshape(unit.shape)
    size_wh = (width, height)
    valid = (length > 0) & inside_grid(tail, size_wh) & inside_grid(head, size_wh)
    return torch.where(valid, (mean * unit).sum(dim=-1), torch.zeros_like(length))


def flip_paf(field: Tensor, flip_indices: Sequence[int], is_cross: Sequence[bool]) -> Tensor:
    """Mirror fields left to right, with the labels of the two sides swapped.

    Mirroring negates x. A relation across the body also changes ends, which negates both
    components; so it keeps x and negates y.

    Args:
        field: ``(B, 2 L, H, W)``.
        flip_indices: for each relation, the one that it becomes.
        is_cross: for each relation, whether it joins a landmark to its own mirror image.

    Returns:
        ``(B, 2 L, H, W)``: what the mirrored image should have given.

    Raises:
        ValueError: the numbers of relations disagree.

    Example:
        >>> field = torch.tensor([[[[1.0, 0.0]], [[2.0, 0.0]]]])
        >>> flip_paf(field, [0], [False])[0, :, 0].tolist()
        [[-0.0, -1.0], [0.0, 2.0]]
        >>> flip_paf(field, [0], [True])[0, :, 0].tolist()
        [[0.0, 1.0], [-0.0, -2.0]]
    """
    number = len(flip_indices)
    if len(is_cross) != number or field.shape[1] != 2 * number:
        raise ValueError(
            f'{number} flip indices, {len(is_cross)} cross marks and {field.shape[1]} channels '
            'disagree; a field has two channels for each relation'
        )
    signs = field.new_tensor([(1.0, -1.0) if cross else (-1.0, 1.0) for cross in is_cross])
    pairs = field.reshape(field.shape[0], number, 2, *field.shape[2:])
    mirrored = pairs[:, list(flip_indices)].flip(-1)
    return (mirrored * signs[:, :, None, None]).flatten(1, 2)


def paf_mse(pred: Tensor, target: Tensor, relation_weights: Tensor | None = None) -> Tensor:
    """Return the mean squared error over the supervised relations: the field term of eq. (9).

    Args:
        pred: ``(B, 2 L, H, W)``.
        target: ``(B, 2 L, H, W)``.
        relation_weights: ``(B, L)``; 0 leaves a relation out. ``None``: all count.

    Returns:
        Scalar; 0 with a gradient of zeros when nothing is supervised.

    Raises:
        ValueError: shapes disagree.

    Example:
        >>> pred, target = torch.ones(1, 4, 2, 2), torch.zeros(1, 4, 2, 2)
        >>> pred[0, 2:] = 9
        >>> round(paf_mse(pred, target, torch.tensor([[1.0, 0.0]])).item(), 6)
        1.0
    """
    if pred.shape != target.shape:
        raise ValueError(f'pred {tuple(pred.shape)} and target {tuple(target.shape)} disagree')
    each = _MeanSquares.apply(widened(pred), widened(target))
    if relation_weights is None:
        return each.mean()
    if relation_weights.shape != (pred.shape[0], pred.shape[1] // 2):
        raise ValueError(
            f'weights {tuple(relation_weights.shape)} do not fit {pred.shape[1] // 2} relations '
            f'of {pred.shape[0]} images'
        )
    return supervised_mean(each, relation_weights)


class _MeanSquares(torch.autograd.Function):
    """``(B, L)`` mean squared errors of ``(B, 2 L, H, W)`` fields, in one pass each way."""

    @staticmethod
    def forward(ctx: Any, pred: Tensor, target: Tensor) -> Tensor:
        errors = (pred - target).unflatten(1, (-1, 2))
        ctx.save_for_backward(errors)
        ctx.cells = max(errors.shape[2:].numel(), 1)
        return torch.linalg.vector_norm(errors, dim=(2, 3, 4)).square() / ctx.cells

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (errors,) = ctx.saved_tensors
        return (errors * (grad * (2 / ctx.cells))[:, :, None, None, None]).flatten(1, 2), None


def _pairs(relations: Relations, points: Tensor) -> Tensor:
    pairs = torch.as_tensor(relations, dtype=torch.long)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(f'relations must be (L, 2), got {tuple(pairs.shape)}')
    number = points.shape[1]
    if pairs.device.type == 'cpu':  # else the host would wait for the answer
        bad = ((pairs < 0) | (pairs >= number)).any(dim=1)
        if bad.any():
            index = int(bad.nonzero()[0])
            raise IndexError(
                f'relation {index} joins landmarks {pairs[index].tolist()}, but there are {number} '
                'landmarks'
            )
    if points.device == pairs.device:
        return pairs
    return _pairs_on(points.device, tuple(map(tuple, pairs.tolist())))


@functools.lru_cache(maxsize=16)
def _pairs_on(device: torch.device, pairs: tuple[tuple[int, ...], ...]) -> Tensor:
    """Return relations on a GPU, copied there once: a copy makes the host wait."""
    with torch.inference_mode(False):
        return torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).to(device)


def _directions(tail: Tensor, head: Tensor) -> tuple[Tensor, Tensor]:
    """Return unit vectors and lengths of ``(..., 2)`` segments; both 0 where ends coincide."""
    delta = head - tail
    squared = delta.square().sum(dim=-1)
    long = squared > _MIN_LENGTH**2
    length = torch.where(long, squared, torch.ones_like(squared)).sqrt()
    unit = torch.where(long[..., None], delta / length[..., None], torch.zeros_like(delta))
    return unit, torch.where(long, length, torch.zeros_like(length))


def _near(
    tail: Tensor,
    head: Tensor,
    unit: Tensor,
    length: Tensor,
    size_hw: tuple[int, int],
    half_width: float,
) -> Tensor:
    """Return ``(B, L, H, W)``: 1 in the cells near each segment, else 0.

    Distances along and across are linear in x and y: each is the sum of a row and a column.
    """
    height, width = size_hw
    columns = torch.arange(width, dtype=tail.dtype, device=tail.device)
    rows = torch.arange(height, dtype=tail.dtype, device=tail.device)
    middle = (tail + head) * 0.5
    from_x, from_y = columns - middle[..., 0:1], rows - middle[..., 1:2]
    along_scale = 1 / (length * 0.5 + (_END_REACH + _ROUNDING))
    along = unit * along_scale[..., None]
    across = unit * (1 / (half_width + _ROUNDING))

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return ((x[..., None] * from_x)[:, :, None] + (y[..., None] * from_y)[..., None]).abs_()

    farther = distance(along[..., 0], along[..., 1])
    torch.maximum(farther, distance(-across[..., 1], across[..., 0]), out=farther)
    return (farther <= 1).to(tail.dtype)
