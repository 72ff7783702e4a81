"""The spatial relationship fusion (SRF) block: paper section 3.2.2, Figure 3."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .coord_conv import BOUNDARY_SOFTNESS, boundary_channels, boundary_gate, coordinate_channels
from .pointwise import trains_on_cpu
from .polarized_attention import PolarizedSelfAttention

_INITIAL_SCALE = 0.1
"""Weight of the new branch beside the features when training starts."""

_INITIAL_HEATMAP_STD = 0.001
"""Standard deviation of the weights that read coarse heatmaps, when training starts."""


class SRFBlock(nn.Module):
    """Tell features where they are and where all landmarks may be, then attend.

    ``out = x + scale * PSA(BN(F [x, [h], c, g c_xy]))`` with the coarse heatmaps ``h = V x + v``,
    ``[h]`` the same clamped to [0, 1], the coordinates ``c = (x, y, r)`` and the boundary gate
    ``g`` of ``max_k h_k``. ``scale`` starts at 0.1 for each channel, so that pretrained features
    survive and yet every parameter learns from the first step.

    ``V`` starts close to 0 and ``v`` at 0, as the last layer of MMPose's heads: coarse heatmaps
    start silent, and with them the boundary, whatever the scale of the features. Not clamped,
    they would tell ``F`` nothing: a linear map of ``x`` beside ``x`` itself.

    The 1x1 convolution ``F``, a linear map of each cell, is applied in parts instead of to a
    stacked map: the coordinates are the same in all images and are convolved once. On a CPU, where
    the number of operations is what costs, autocast is off and training has a form of its own.

    Args:
        channels: C, of the features.
        num_landmarks: K, coarse heatmaps.
        attention: ``'sequential'`` or ``'parallel'`` polarized attention.
        with_boundary: stack the coordinates on the boundary.
        code_compatible: the released attention code's spatial branch instead of its paper's.
        deep_supervision: the coarse heatmaps pass gradients to the features that they are read
            from; else they are only read.
        initial_scale: of the new branch beside the features when training starts.

    Example:
        >>> refined, heatmaps = SRFBlock(16, 5)(torch.zeros(2, 16, 8, 6))
        >>> refined.shape, heatmaps.shape
        (torch.Size([2, 16, 8, 6]), torch.Size([2, 5, 8, 6]))
    """

    def __init__(
        self,
        channels: int,
        num_landmarks: int,
        *,
        attention: str = 'sequential',
        with_boundary: bool = True,
        code_compatible: bool = False,
        deep_supervision: bool = False,
        initial_scale: float = _INITIAL_SCALE,
    ) -> None:
        super().__init__()
        self.deep_supervision = deep_supervision
        self.parts = [channels, num_landmarks, 3, 2 * with_boundary]
        self.heatmap = nn.Linear(channels, num_landmarks)
        nn.init.normal_(self.heatmap.weight, std=_INITIAL_HEATMAP_STD)
        nn.init.zeros_(self.heatmap.bias)
        self.fuse = nn.Linear(sum(self.parts), channels, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.attention = PolarizedSelfAttention(channels, attention, code_compatible)
        self.scale = nn.Parameter(torch.full((channels, 1, 1), float(initial_scale)))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Refine a feature map.

        Args:
            features: ``(B, C, H, W)``.

        Returns:
            ``(B, C, H, W)`` refined features and ``(B, K, H, W)`` coarse heatmaps.
        """
        if features.device.type != 'cpu':
            return self._refine(features)
        with torch.autocast('cpu', enabled=False):
            return self._refine(features.to(self.scale.dtype))

    def _refine(self, features: Tensor) -> tuple[Tensor, Tensor]:
        features = features.contiguous()  # all below is per channel: one layout, one copy
        heatmaps, fused = self._fuse(features)
        weighted, factor = self.attention.factors(self.norm(fused))
        return torch.addcmul(features, weighted, factor * self.scale), heatmaps

    def _fuse(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coarse heatmaps and the 1x1 convolution of all that is stacked."""
        cells, height, width = features.flatten(2), *features.shape[-2:]
        coords = coordinate_channels(features[:1]).flatten(2)
        shape = (features.shape[0], -1, height, width)
        if trains_on_cpu(features):
            heatmaps, fused = _Fused.apply(
                cells, self.heatmap.weight, self.heatmap.bias, self.fuse.weight, coords[0],
                self.deep_supervision,
            )  # fmt: skip
            return heatmaps.reshape(shape), fused.reshape(shape)
        of_features, of_heatmaps, of_coords, of_boundary = torch.split(
            self.fuse.weight, self.parts, dim=1
        )
        source = cells if self.deep_supervision else cells.detach()
        heatmaps = _project(self.heatmap.weight, source, self.heatmap.bias[:, None])
        fused = _project(of_features, cells, of_coords @ coords[0])
        fused = _project(of_heatmaps, heatmaps.clamp(0, 1), fused)
        if self.parts[3]:
            boundary = heatmaps.amax(dim=1, keepdim=True)
            on_boundary = boundary_channels(coords[:, :2], boundary)
            fused = _project(of_boundary, on_boundary, fused)
        return heatmaps.reshape(shape), fused.reshape(shape)


class _Fused(torch.autograd.Function):
    """Coarse heatmaps and the convolution of the stacked map, in a third of the operations.

    Signs instead of comparisons: on a CPU, selecting by booleans takes ten times as long.
    """

    @staticmethod
    def forward(
        ctx: Any,
        cells: Tensor,
        reading: Tensor,
        bias: Tensor,
        fuse: Tensor,
        coords: Tensor,
        deep: bool,
    ) -> tuple[Tensor, Tensor]:
        channels, ends = cells.shape[1], cells.shape[1] + len(bias)
        heatmaps = _project(reading, cells, bias[:, None])
        stacked = cells.new_empty(cells.shape[0], fuse.shape[1], cells.shape[2])
        stacked[:, :channels] = cells
        torch.clamp(heatmaps, 0, 1, out=stacked[:, channels:ends])
        stacked[:, ends : ends + 3] = coords
        boundary = gate = heatmaps.new_empty(0)
        if fuse.shape[1] > ends + 3:
            boundary = heatmaps.amax(dim=1, keepdim=True)
            gate = boundary_gate(boundary)
            torch.mul(coords[:2], gate, out=stacked[:, ends + 3 :])
        ctx.deep = deep
        ctx.save_for_backward(reading, fuse, coords, stacked, heatmaps, boundary, gate)
        return heatmaps, _multiply(fuse, stacked)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_heatmaps: Tensor, of_fused: Tensor) -> tuple[Tensor | None, ...]:
        reading, fuse, coords, stacked, heatmaps, boundary, gate = ctx.saved_tensors
        channels, ends = reading.shape[1], reading.shape[1] + reading.shape[0]
        cells, clamped = stacked[:, :channels], stacked[:, channels:ends]
        of_stacked = _multiply(fuse.t(), of_fused)
        of_cells, of_clamped = of_stacked[:, :channels], of_stacked[:, channels:ends]
        of_heatmaps = of_heatmaps.addcmul(of_clamped, _equal(heatmaps, clamped))
        if gate.numel():
            of_gate = (of_stacked[:, ends + 3 :] * coords[:2]).sum(dim=1, keepdim=True)
            slope = gate * (1 - gate) / BOUNDARY_SOFTNESS * _equal(boundary, boundary.clamp(0, 1))
            highest = _equal(heatmaps, boundary)
            of_heatmaps.addcmul_(highest, of_gate * slope / highest.sum(dim=1, keepdim=True))
        if ctx.deep:
            of_cells = of_cells + _multiply(reading.t(), of_heatmaps)
        return (
            of_cells,
            (of_heatmaps @ cells.transpose(1, 2)).sum(dim=0),
            of_heatmaps.sum(dim=(0, 2)),
            (of_fused @ stacked.transpose(1, 2)).sum(dim=0),
            None,
            None,
        )


def _equal(first: Tensor, second: Tensor) -> Tensor:
    """Return 1 where two tensors are equal, else 0."""
    return (first - second).abs_().sign_().neg_().add_(1)


def split_srf_settings(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the keyword arguments of a network into those of its SRF blocks and all others.

    Example:
        >>> split_srf_settings(dict(attention='parallel', depth=3))
        ({'attention': 'parallel'}, {'depth': 3})
    """
    names = inspect.getfullargspec(SRFBlock.__init__).kwonlyargs
    own = {name: value for name, value in settings.items() if name in names}
    return own, {name: value for name, value in settings.items() if name not in names}


def _multiply(weight: Tensor, cells: Tensor) -> Tensor:
    """Return ``weight @ cells``, ``(O, I)`` by ``(B, I, N)``, without the copies that matmul makes.

    It would lay the cells out as ``(B N, I)`` to multiply once.
    """
    return torch.bmm(weight.expand(cells.shape[0], -1, -1), cells)


def _project(weight: Tensor, cells: Tensor, offset: Tensor) -> Tensor:
    """Return ``weight @ cells + offset``: ``(O, I)`` by ``(B, I, N)`` to ``(B, O, N)``."""
    return torch.baddbmm(offset, weight.expand(cells.shape[0], -1, -1), cells)
