"""Polarized self-attention (Liu et al., "Polarized self-attention", 2021), for any H x W.

Each branch collapses one direction and keeps the other at full length. With ``x`` of
``(B, C, N)``, ``N = H W`` and ``C' = C / 2``:

    channel   z = sum_n softmax_n(q x)_n (V x)_n            (B, C')
              gate = sigmoid(up(z))                         (B, C)
    spatial   u = softmax_c(mean_n(Q x))                    (B, C')
              gate = sigmoid(sum_c u_c (V x)_c)             (B, N)

The projections ``V`` and ``Q`` are linear, and the weights of either average sum to 1. So they
are applied after the collapse: the same numbers without a feature map of C' channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PolarizedChannelAttention(nn.Module):
    """Weigh each channel by what an attended average of the map says.

    ``up`` is ``C' -> C'/4 -> LayerNorm -> ReLU -> C`` in the sequential form and one linear map
    ``C' -> C`` in the parallel form.

    Args:
        channels: C.
        bottleneck: the sequential form's ``up``; else the parallel form's.
    """

    def __init__(self, channels: int, *, bottleneck: bool = True) -> None:
        super().__init__()
        inner = max(channels // 2, 1)
        self.query = nn.Linear(channels, 1, bias=False)  # softmax would cancel a bias
        self.value = nn.Linear(channels, inner)
        self.up: nn.Module = nn.Linear(inner, channels)
        if bottleneck:
            hidden = max(inner // 4, 1)
            self.up = nn.Sequential(
                nn.Linear(inner, hidden),
                nn.LayerNorm(hidden),
                nn.ReLU(),
                nn.Linear(hidden, channels),
            )

    def gate(self, x: Tensor) -> Tensor:
        """Return the ``(B, C, 1, 1)`` weights, each in (0, 1), of a ``(B, C, H, W)`` map."""
        cells = x.flatten(2)
        query = self.query.weight.expand(x.shape[0], -1, -1)
        attention = torch.bmm(query, cells).softmax(dim=-1).to(cells.dtype)
        average = torch.bmm(cells, attention.transpose(1, 2))[..., 0]
        weights: Tensor = torch.sigmoid(self.up(self.value(average)))
        return weights[..., None, None]

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighted ``(B, C, H, W)`` map."""
        return x * self.gate(x)


class PolarizedSpatialAttention(nn.Module):
    """Weigh each cell by how its value answers the average of the map.

    The released code takes no softmax over the channels of ``u`` and applies one over the N
    cells after the product; its gate is the ``sigmoid`` of numbers near ``1/N``, so close to 0.5
    everywhere that it does next to nothing.

    Args:
        channels: C.
        code_compatible: the released code's form instead of the paper's.
    """

    def __init__(self, channels: int, *, code_compatible: bool = False) -> None:
        super().__init__()
        inner = max(channels // 2, 1)
        self.code_compatible = code_compatible
        self.query = nn.Linear(channels, inner)
        self.value = nn.Linear(channels, inner)

    def gate(self, x: Tensor, channel: Tensor | None = None) -> Tensor:
        """Return the ``(B, 1, H, W)`` weights, each in (0, 1), of a map.

        Args:
            x: ``(B, C, H, W)``.
            channel: ``(B, C, 1, 1)`` weights; the gate is then that of ``channel * x``, which
                need not be computed.
        """
        average = x.mean(dim=(2, 3))
        if channel is not None:
            average = average * channel[..., 0, 0]
        query = self.query(average)
        if not self.code_compatible:
            query = query.softmax(dim=-1).to(query.dtype)
        kernel = query @ self.value.weight
        if channel is not None:
            kernel = kernel * channel[..., 0, 0]
        bias = query @ self.value.bias
        logits = torch.baddbmm(bias[:, None, None], kernel[:, None], x.flatten(2))
        if self.code_compatible:
            logits = logits.softmax(dim=-1).to(logits.dtype)
        return torch.sigmoid(logits).reshape(x.shape[0], 1, x.shape[-2], x.shape[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighted ``(B, C, H, W)`` map."""
        return x * self.gate(x)


class PolarizedSelfAttention(nn.Module):
    """Weigh channels and cells.

    ``'sequential'``: ``y = channel(x); spatial(y)``. ``'parallel'``: ``channel(x) + spatial(x)``.

    Args:
        channels: C.
        mode: ``'sequential'`` or ``'parallel'``.
        code_compatible: the released code's spatial branch instead of the paper's.

    Raises:
        ValueError: there is no such mode.

    Example:
        >>> PolarizedSelfAttention(16)(torch.zeros(2, 16, 5, 7)).shape
        torch.Size([2, 16, 5, 7])
    """

    def __init__(
        self, channels: int, mode: str = 'sequential', code_compatible: bool = False
    ) -> None:
        super().__init__()
        if mode not in ('sequential', 'parallel'):
            raise ValueError(f"mode must be 'sequential' or 'parallel', not {mode!r}")
        self.mode = mode
        self.channel = PolarizedChannelAttention(channels, bottleneck=mode == 'sequential')
        self.spatial = PolarizedSpatialAttention(channels, code_compatible=code_compatible)

    def factors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return two factors whose product is the weighted map.

        A caller that scales the result scales the small one.

        Args:
            x: ``(B, C, H, W)``.

        Returns:
            ``(B, C, H, W)`` and a factor that broadcasts to it.
        """
        channel = self.channel.gate(x)
        if self.mode == 'parallel':
            return x * (channel + self.spatial.gate(x)), torch.ones_like(channel)
        return x * self.spatial.gate(x, channel), channel

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighted ``(B, C, H, W)`` map."""
        weighted, factor = self.factors(x)
        return weighted * factor
