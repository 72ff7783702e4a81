"""Means over what is supervised, which may be nothing."""

from __future__ import annotations

import torch
from torch import Tensor


def supervised_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean of losses, or 0 where no weight is positive.

    The divisor of an empty mean is 1, not a tiny number: what multiplies the loss later, a loss
    weight or a GradScaler's 65536, would make infinity of its reciprocal, and infinity times a
    weight of 0 is a gradient of NaN. There is no branch, hence no wait for the device.

    Args:
        values: losses, any shape, finite.
        weights: of the same shape, 0 or more; 0 leaves a value out. They take no gradient.

    Returns:
        Scalar of the type of the values; 0 with a gradient of zeros when nothing is supervised.

    Example:
        >>> values = torch.tensor([1.0, 3.0, 9.0])
        >>> supervised_mean(values, torch.tensor([1.0, 1.0, 0.0])).item()
        2.0
        >>> supervised_mean(values, torch.tensor([0.125, 0.125, 0.0])).item()
        2.0
        >>> supervised_mean(values, torch.zeros(3)).item()
        0.0
    """
    weights = weights.to(values.dtype)
    total = weights.sum()
    return (values * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))
