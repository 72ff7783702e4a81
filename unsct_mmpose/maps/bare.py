"""Decisions without a calibration: fixed limits, for models that nobody has calibrated yet.

B images, K landmarks. A calibration is better in every respect: it knows what this model's maps
look like, and gives probabilities. These limits are low on purpose, so that they reject what hardly
any model could mean and keep nearly everything that is there; docs/explanation/uncertainty.md has
what was measured.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .evidence import Evidence
from .fusion import upper_quartile
from .uncertainty import alignment_entropy

LEAST_PEAK = 0.2
"""Least heatmap peak that is kept by ``'peak'``."""

LEAST_ALIGNMENT = 0.1
"""Least alignment that is kept by ``'paf'``."""

LEAST_STANDING = 0.3
"""Least standing (:func:`standing`) that is kept by ``'fused'``."""

PAPER_THRESHOLD = 0.365
"""Largest ``-w log w`` that is kept: just below its maximum, 1/e at w = 1/e. The paper states none,
and what is printed calls an absent landmark (w near 0) certain, so that a smaller threshold rejects
present landmarks rather than absent ones."""

_LEAST_LEVEL = 0.3


def bare_threshold(evidence: str, entropy: str) -> float:
    """Return the largest uncertainty that is kept where nothing was fitted and nothing was asked.

    Args:
        evidence: ``'peak'``, ``'paf'`` or ``'fused'``.
        entropy: mode of eq. (1), for ``'paf'``.

    Example:
        >>> bare_threshold('peak', 'mirror'), bare_threshold('paf', 'paper')
        (0.8, 0.365)
        >>> round(bare_threshold('paf', 'linear'), 6)
        0.9
    """
    if evidence == 'paf' and entropy == 'paper':
        return PAPER_THRESHOLD
    if evidence == 'paf':
        return float(alignment_entropy(torch.tensor(LEAST_ALIGNMENT), entropy))
    return 1 - (LEAST_PEAK if evidence == 'peak' else LEAST_STANDING)


def standing(evidence: Evidence) -> Tensor:
    """Return how well peak and fields together speak for each landmark, beside the image's others.

    The geometric mean of the peak and of the peeled alignment: both must speak. It is divided by
    the image's upper quartile, since a faint image has low peaks and weak fields throughout; by 0.3
    at least, so that an image in which nothing stands out keeps nothing. An image whose fields are
    all silent, such as one of heatmaps alone, is judged by its peaks as they are.

    Args:
        evidence: of B images.

    Returns:
        ``(B, K)`` in [0, 1].
    """
    peak = evidence.peak.clamp(0, 1)
    both = (peak * evidence.peeled.clamp(0, 1)).sqrt()
    relative = (both / upper_quartile(both).clamp(min=_LEAST_LEVEL)).clamp(max=1)
    silent = (evidence.relation_alignment == 0).all(dim=1, keepdim=True)
    return torch.where(silent, peak, relative)
