"""Adaptive wing loss and its mask (eq. 5-8).

With ``d = |pred - target|``, ``p = alpha - target`` and ``t = min(d, theta)``, equations (5)-(7)
are one expression, whose value and slope meet at ``theta`` by construction:

    f(t) = omega log(1 + (t / epsilon)^p)
    s(t) = f'(t) = omega p (t / epsilon)^(p - 1) / (epsilon (1 + (t / epsilon)^p))
    L = f(t) + s(t) (d - t),        dL/dpred = s(t) sign(pred - target)

since A = s(theta) and C = theta A - f(theta).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .heatmap import widened
from .supervision import supervised_mean


def adaptive_wing(
    pred: Tensor,
    target: Tensor,
    alpha: float = 2.1,
    omega: float = 14.0,
    epsilon: float = 1.0,
    theta: float = 0.5,
) -> Tensor:
    """Return the adaptive wing loss of each element: paper eq. (5)-(7).

    Wang, Bo, Li, "Adaptive wing loss for robust face alignment via heatmap regression",
    ICCV 2019. Small errors weigh more where the target is high.

    Args:
        pred: heatmaps, any shape.
        target: heatmaps of the same shape, values in [0, 1]; it takes no gradient.
        alpha: exponent, above 2 so that the slope is finite wherever the target is at most 1.
        omega: scale of the logarithmic part.
        epsilon: width of the logarithmic part.
        theta: error at which the linear part begins.

    Returns:
        Losses of the same shape. Half precision is computed and returned as float32.

    Raises:
        ValueError: shapes disagree, a setting is out of range, or the target requires a gradient.

    Example:
        >>> errors = torch.tensor([0.1, 0.5, 1.0])
        >>> [round(v, 3) for v in adaptive_wing(errors, torch.zeros(3)).tolist()]
        [0.111, 2.935, 8.496]
    """
    _check(pred, target, alpha, omega, epsilon, theta)
    return _Weighted.apply(
        widened(pred), widened(target), None, alpha, omega, epsilon, theta, False
    )


def dilated_mask(target: Tensor, threshold: float = 0.2, kernel: int = 3) -> Tensor:
    """Mark the cells whose neighbourhood holds a target value above the threshold.

    This is the grey dilation of the target, thresholded; as a maximum exceeds a threshold where
    any of its values does, it is computed on booleans.

    Args:
        target: ``(..., H, W)`` heatmaps.
        threshold: dilated value above which a cell is marked.
        kernel: side of the square neighbourhood, cells; odd.

    Returns:
        ``(..., H, W)`` bool.

    Raises:
        ValueError: the kernel is even or not positive.

    Example:
        >>> dilated_mask(torch.tensor([[[0.0, 0.0, 0.3, 0.0, 0.0]]])).int().tolist()
        [[[0, 1, 1, 1, 0]]]
    """
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f'kernel must be odd and positive, got {kernel}')
    high = target > threshold
    for dim in (-1, -2):
        mask = high.clone()
        size = high.shape[dim]
        for shift in range(1, min(kernel // 2, size - 1) + 1):
            mask.narrow(dim, shift, size - shift).logical_or_(high.narrow(dim, 0, size - shift))
            mask.narrow(dim, 0, size - shift).logical_or_(high.narrow(dim, shift, size - shift))
        high = mask
    return high


def masked_adaptive_wing(
    pred: Tensor,
    target: Tensor,
    weights: Tensor | None = None,
    alpha: float = 2.1,
    omega: float = 14.0,
    epsilon: float = 1.0,
    theta: float = 0.5,
    mask_weight: float = 10.0,
    threshold: float = 0.2,
    kernel: int = 3,
) -> Tensor:
    """Return the mean of ``L (W mask + 1)`` over the supervised elements: paper eq. (8).

    Args:
        pred: ``(B, K, H, W)`` heatmaps.
        target: ``(B, K, H, W)`` heatmaps, values in [0, 1]; zero where a landmark is absent.
        weights: ``(B, K)``; 1 supervises a landmark, an absent one too, and 0 leaves an
            unlabelled one out of the mean. ``None``: all count.
        alpha: exponent, above 2.
        omega: scale of the logarithmic part.
        epsilon: width of the logarithmic part.
        theta: error at which the linear part begins.
        mask_weight: W; 0 switches the mask off.
        threshold: dilated target value above which the mask is 1.
        kernel: side of the dilation, cells.

    Returns:
        Scalar; 0 with a gradient of zeros when nothing is supervised.

    Raises:
        ValueError: shapes disagree, a setting is out of range, or the target requires a gradient.

    Example:
        >>> pred, target = torch.ones(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
        >>> round(masked_adaptive_wing(pred, target).item(), 4)
        8.4959
    """
    _check(pred, target, alpha, omega, epsilon, theta)
    if mask_weight < 0:
        raise ValueError(f'mask_weight must be >= 0, got {mask_weight}')
    # image by image where a cache holds the maps of one and not those of a batch
    count = 1 if pred.device.type == 'cpu' else max(len(pred), 1)
    means = []
    for maps, wanted in zip(widened(pred).split(count), widened(target).split(count), strict=True):
        factor = None
        if mask_weight > 0:
            factor = dilated_mask(wanted, threshold, kernel).to(torch.float32)
            factor.mul_(mask_weight).add_(1)
        means.append(_Weighted.apply(maps, wanted, factor, alpha, omega, epsilon, theta, True))
    each = torch.cat(means)
    if weights is None:
        return each.mean()
    if weights.shape != pred.shape[:2]:
        raise ValueError(
            f'weights must be (B, K) = {tuple(pred.shape[:2])}, got {tuple(weights.shape)}'
        )
    return supervised_mean(each, weights)


class _Weighted(torch.autograd.Function):
    """``factor * L``, of each element or the mean of each map; it keeps their slope alone."""

    @staticmethod
    def forward(
        ctx: Any,
        pred: Tensor,
        target: Tensor,
        factor: Tensor | None,
        alpha: float,
        omega: float,
        epsilon: float,
        theta: float,
        means: bool,
    ) -> Tensor:
        diff = pred - target
        error = diff.abs()
        near = error.clamp(max=theta)
        error -= near
        near /= epsilon
        power = alpha - target
        slope = near.log().mul_(power - 1).exp_()  # a power in a third of its time; 0 stays 0
        near *= slope
        slope *= power
        slope *= omega / epsilon
        slope /= near + 1
        value = near.log1p_().mul_(omega).addcmul_(slope, error)
        slope.copysign_(diff)
        if factor is not None:
            value *= factor
            slope *= factor
        ctx.save_for_backward(slope)
        ctx.means = means
        return value.mean(dim=(-2, -1)) if means else value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        if ctx.means:
            grad = (grad / max(slope.shape[-2:].numel(), 1))[..., None, None]
        return slope * grad, None, None, None, None, None, None, None


def _check(
    pred: Tensor, target: Tensor, alpha: float, omega: float, epsilon: float, theta: float
) -> None:
    if pred.shape != target.shape:
        raise ValueError(f'pred {tuple(pred.shape)} and target {tuple(target.shape)} disagree')
    if target.requires_grad:
        raise ValueError('the target of the adaptive wing loss takes no gradient; detach it')
    if alpha <= 2:
        raise ValueError(f'alpha must exceed 2 so that the slope stays finite, got {alpha}')
    if min(omega, epsilon, theta) <= 0:
        raise ValueError(
            f'omega, epsilon and theta must be positive, got {omega}, {epsilon}, {theta}'
        )
