"""How sure a landmark is: from alignment to entropy to report or reject (eq. 1-4).

B images, K landmarks, L relations. An alignment w is the mean projection of a field on a segment,
in [-1, 1] (:func:`unsct_mmpose.maps.paf.segment_alignment`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .paf import Relations, candidate_alignment

ENTROPY_MODES = ('mirror', 'paper', 'surprisal', 'linear')
AGGREGATIONS = ('peel', 'paper')
EPSILON = 1e-6
"""Added to w inside a logarithm, as the paper does."""

_TIE = 1e-9


class LandmarkAlignment(NamedTuple):
    """What the fields say of each landmark.

    Attributes:
        alignment: ``(B, K)`` alignment of the landmark; larger is surer.
        support: ``(B, K)`` number of relations that it is the mean of; 0: nothing but the
            fallback speaks for it.
    """

    alignment: Tensor
    support: Tensor


def alignment_entropy(alignment: Tensor, mode: str = 'mirror') -> Tensor:
    """Turn alignment into uncertainty: paper eq. (1).

    ``-w log w`` falls on [1/e, 1] but rises on [0, 1/e]: an absent limb would look certain. The
    default mirrors the part below 1/e, so that uncertainty falls strictly from 2/e at w = 0 to 0
    at w = 1, equals eq. (1) above 1/e and joins it with its slope.

    Args:
        alignment: any shape; clipped to [0, 1].
        mode: ``'mirror'``; ``'paper'``, eq. (1) as printed; ``'surprisal'``, ``-log w``;
            ``'linear'``, ``1 - w``.

    Returns:
        Uncertainties, same shape.

    Raises:
        ValueError: the mode is unknown.

    Example:
        >>> w = torch.tensor([0.0, 0.2, 0.5, 0.8, 1.0])
        >>> [round(u, 4) for u in alignment_entropy(w).tolist()]
        [0.7358, 0.4139, 0.3466, 0.1785, 0.0]
        >>> alignment_entropy(w, 'linear').tolist()
        [1.0, 0.800000011920929, 0.5, 0.19999998807907104, 0.0]
    """
    if mode not in ENTROPY_MODES:
        raise ValueError(f'unknown entropy mode {mode!r}; choose from {ENTROPY_MODES}')
    w = alignment.clamp(0, 1)
    if mode == 'linear':
        return 1 - w
    if mode == 'surprisal':
        return -torch.log(w + EPSILON)
    if mode == 'paper':
        return -w * torch.log(w + EPSILON)
    entropy = 0 - w * torch.log(w.clamp(min=torch.finfo(w.dtype).tiny))
    return torch.where(w >= 1 / math.e, entropy, 2 / math.e - entropy)


def landmark_alignment(
    alignment: Tensor,
    relations: Relations,
    num_landmarks: int,
    *,
    aggregation: str = 'peel',
    weights: Tensor | None = None,
    fallback: Tensor | None = None,
) -> LandmarkAlignment:
    """Gather the alignments of each landmark's relations.

    ``'paper'`` is the weighted mean over all relations of a landmark. An absent neighbour drags it
    down, so that ``'peel'`` takes landmarks away one by one, the least aligned first, each with
    its relations, and computes the means anew. A landmark's alignment is then the highest
    threshold at which it would still be there: for every t, those with an alignment of at least t
    are exactly those that remain when peeling stops at t. Two that are left with nothing but each
    other are equally aligned; the one with the lower fallback goes first.

    Args:
        alignment: ``(B, L)`` alignment of each relation.
        relations: ``(L, 2)`` landmarks that each one joins.
        num_landmarks: K.
        aggregation: ``'peel'`` or ``'paper'``.
        weights: ``(L,)`` weight of each relation, positive. ``None``: all equal.
        fallback: ``(B, K)`` alignment of a landmark without any relation left, such as the peak
            of its heatmap. ``None``: 0.

    Returns:
        Alignments, and how many relations each is the mean of.

    Raises:
        ValueError: shapes disagree or the aggregation is unknown.

    Example:
        >>> chain, w = [(0, 1), (1, 2)], torch.tensor([[0.9, 0.1]])
        >>> landmark_alignment(w, chain, 3, aggregation='paper').alignment.tolist()
        [[0.8999999761581421, 0.5, 0.10000000149011612]]
        >>> landmark_alignment(w, chain, 3).alignment.tolist()
        [[0.8999999761581421, 0.8999999761581421, 0.10000000149011612]]
    """
    if aggregation not in AGGREGATIONS:
        raise ValueError(f'unknown aggregation {aggregation!r}; choose from {AGGREGATIONS}')
    pairs = torch.as_tensor(relations, dtype=torch.long, device=alignment.device)
    if alignment.ndim != 2 or len(pairs) != alignment.shape[1]:
        raise ValueError(f'alignment {tuple(alignment.shape)} does not fit {len(pairs)} relations')
    each = torch.ones_like(alignment[0]) if weights is None else weights.to(alignment)
    empty = alignment.new_zeros(alignment.shape[0], num_landmarks)
    ground = empty if fallback is None else fallback
    if ground.shape != (len(alignment), num_landmarks):
        raise ValueError(f'fallback {tuple(ground.shape)} does not fit {num_landmarks} landmarks')
    weight = _matrix(each.expand_as(alignment), pairs, num_landmarks)
    total = _matrix(alignment * each, pairs, num_landmarks)
    count = _matrix(torch.ones_like(alignment), pairs, num_landmarks)
    if aggregation == 'paper':
        number = count.sum(-1)
        mean = total.sum(-1) / weight.sum(-1).clamp(min=EPSILON)
        return LandmarkAlignment(torch.where(number > 0, mean, ground), number)
    return _peel(total, weight, count, ground)


def _matrix(values: Tensor, pairs: Tensor, size: int) -> Tensor:
    """Return ``(B, K, K)``: the symmetric matrix with the value of each relation at its ends."""
    matrix = values.new_zeros(values.shape[0], size * size)
    matrix.index_add_(1, pairs[:, 0] * size + pairs[:, 1], values)
    matrix.index_add_(1, pairs[:, 1] * size + pairs[:, 0], values)
    return matrix.reshape(values.shape[0], size, size)


def _peel(total: Tensor, weight: Tensor, count: Tensor, ground: Tensor) -> LandmarkAlignment:
    """Take the least aligned landmark away, K times over.

    A fixed number of steps without a scatter, so that it can be unrolled into an exported graph.
    """
    dtype, number = total.dtype, total.shape[1]
    ground = ground.double()
    matrices = torch.cat((total, weight, count), dim=1).double()  # (B, 3 K, K)
    left = torch.ones_like(ground)
    level = torch.full_like(ground[:, :1], -math.inf)
    result, support = torch.zeros_like(ground), torch.zeros_like(ground)
    position = torch.arange(number, device=ground.device)
    for _ in range(number):
        sums, norms, numbers = (matrices @ left[..., None])[..., 0].split(number, dim=1)
        mean = torch.where(numbers > 0.5, sums / norms.clamp(min=EPSILON), ground)
        # rounding must not choose among equals
        order = (mean + _TIE * ground).masked_fill(left == 0, math.inf)
        which = order.argmin(dim=1, keepdim=True)
        level = torch.maximum(level, mean.gather(1, which))
        chosen = position == which
        result = torch.where(chosen, level, result)
        support = torch.where(chosen, numbers, support)
        left = left.masked_fill(chosen, 0.0)
    return LandmarkAlignment(result.to(dtype), support.to(dtype))


def certainty_map(
    heatmaps: Tensor,
    field: Tensor,
    points: Tensor,
    relations: Relations,
    *,
    mode: str = 'mirror',
    samples: int = 16,
) -> Tensor:
    """Compute where an image shows landmarks that fit their neighbours: the paper's Figure 9.

    For every landmark and every cell the landmark is placed there, its relations to the other
    landmarks, where these were found, are projected on the fields, and the entropy of their mean
    turns into a certainty ``1 - U / U(0)``, which weighs the heatmap at that cell. The brightest
    landmark of a cell gives its value.

    Args:
        heatmaps: ``(B, K, H, W)``.
        field: ``(B, 2 L, H, W)``.
        points: ``(B, K, 2)`` where the landmarks were found, cells.
        relations: ``(L, 2)`` tail and head of each relation.
        mode: entropy mode, bounded: ``'mirror'`` or ``'linear'``.
        samples: samples on a segment.

    Returns:
        ``(B, H, W)`` in [0, 1]; bright is certain.

    Raises:
        ValueError: the mode is not one of the two.
    """
    if mode not in ('mirror', 'linear'):
        raise ValueError(
            f"a map needs a bounded, monotone entropy: 'mirror' or 'linear', not {mode!r}"
        )
    number, height, width = heatmaps.shape[1:]
    pairs = torch.as_tensor(relations, dtype=torch.long, device=points.device)
    rows, columns = torch.meshgrid(
        torch.arange(height, device=points.device),
        torch.arange(width, device=points.device),
        indexing='ij',
    )
    cells = torch.stack((columns, rows), dim=-1).reshape(1, 1, -1, 2).to(points)
    most = alignment_entropy(points.new_zeros(()), mode)
    result = heatmaps.new_zeros(len(heatmaps), height, width)
    for landmark in range(number):
        sums = heatmaps.new_zeros(len(heatmaps), height * width)
        for end in (0, 1):
            chosen = (pairs[:, end] == landmark).nonzero()[:, 0]
            if len(chosen):
                channels = torch.stack((2 * chosen, 2 * chosen + 1), dim=1).flatten()
                other = points[:, pairs[chosen, 1 - end], None]
                here = cells.expand(len(points), len(chosen), -1, -1)
                ends = (here, other) if end == 0 else (other, here)
                aligned = candidate_alignment(field[:, channels], *ends, samples)
                sums = sums + aligned.flatten(2).sum(dim=1)
        degree = int((pairs == landmark).sum())
        certain = 1 - alignment_entropy(sums / max(degree, 1), mode) / most
        shown = heatmaps[:, landmark].clamp(0, 1) * certain.reshape(-1, height, width)
        result = torch.maximum(result, shown)
    return result
