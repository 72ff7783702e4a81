"""1x1 convolutions, which are products of matrices, where a CPU trains them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def trains_on_cpu(features: Tensor) -> bool:
    """Tell whether features take part in a training step on a CPU, and not in an export."""
    return features.device.type == 'cpu' and torch.is_grad_enabled() and not torch.jit.is_tracing()


def pointwise(conv: nn.Conv2d, features: Tensor) -> Tensor:
    """Apply a convolution; a 1x1 one that trains on a CPU, as the product of matrices that it is.

    PyTorch hands 1x1 convolutions to libraries that lay out maps anew before and after them, which
    takes several times as long as the product. Features in half precision, and convolutions of
    another kind, go the usual way.

    Args:
        conv: the convolution.
        features: ``(B, C, H, W)``.

    Returns:
        ``(B, O, H, W)``.

    Example:
        >>> conv, features = nn.Conv2d(8, 5, 1), torch.randn(2, 8, 3, 4)
        >>> torch.allclose(pointwise(conv, features), conv(features), atol=1e-6)
        True
    """
    simple = (
        conv.kernel_size == conv.stride == (1, 1) and conv.groups == 1 and conv.padding == (0, 0)
    )
    if not (simple and trains_on_cpu(features) and features.dtype == conv.weight.dtype):
        return conv(features)
    weight, cells = conv.weight.flatten(1).expand(features.shape[0], -1, -1), features.flatten(2)
    with torch.autocast('cpu', enabled=False):
        if conv.bias is None:
            maps = weight @ cells
        else:
            maps = torch.baddbmm(conv.bias[:, None], weight, cells)
    return maps.reshape(*maps.shape[:2], *features.shape[2:])
