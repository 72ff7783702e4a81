"""Optimiser wrapper ``Bf16OptimWrapper``: bfloat16 training on CPU and CUDA."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmpose.registry import OPTIM_WRAPPERS
from torch import nn

from .late_scalars import LateScalars

_NORMS_AT_ONCE = 10
_CPU_FLAGS = frozenset({'avx512_bf16', 'amx_bf16', 'bf16'})


def has_bf16(device_type: str) -> bool:
    """Tell whether a device computes in bfloat16, and not merely emulates it.

    ``ONEDNN_MAX_CPU_ISA=AVX512_CORE`` in the environment, which keeps PyTorch's convolutions from
    such instructions, makes a CPU one without.
    """
    if device_type == 'cuda':
        return torch.cuda.is_bf16_supported()
    allowed = os.environ.get('ONEDNN_MAX_CPU_ISA', 'DEFAULT').upper()
    if device_type != 'cpu' or not re.search('BF16|FP16|AMX|AVX10|ALL|DEFAULT', allowed):
        return False
    try:
        words = Path('/proc/cpuinfo').read_text().split()
    except OSError:
        return False
    return not _CPU_FLAGS.isdisjoint(words)


@OPTIM_WRAPPERS.register_module()
class Bf16OptimWrapper(OptimWrapper):
    """Run the forward pass in bfloat16 where the device has it, else in float32.

    MMEngine's ``AmpOptimWrapper`` refuses CPUs. bfloat16 has the range of float32, so no loss
    scaling is needed; parameters and losses stay in float32. Convolutions keep their channels
    last in memory, which is what CPUs and tensor cores like; those of a model in a wrapper for
    several processes stay as they are. Such a wrapper has laid out its gradients beforehand, and
    the first step after a change would be made with gradients in the wrong places. The norm of
    gradients that are clipped is logged without waiting for a GPU in every step: of ten at once.

    Args:
        **kwargs: see ``OptimWrapper``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._norms = LateScalars()
        self._laid_out: int | None = None

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enter autocast around the forward pass."""
        device_type = next(model.parameters()).device.type
        if not is_model_wrapper(model) and self._laid_out != id(model):
            _put_channels_last(model)
            self._laid_out = id(model)
        half = (
            torch.autocast(device_type, torch.bfloat16) if has_bf16(device_type) else nullcontext()
        )
        with super().optim_context(model), half:
            yield

    def _clip_grad(self) -> None:
        """Clip gradients as ``OptimWrapper`` does, and log their norm, ten at once."""
        grouped = (group['params'] for group in self.optimizer.param_groups)
        graded = [weight for group in grouped for weight in group if weight.grad is not None]
        norm = self.clip_func(graded, **self.clip_grad_kwargs) if graded else None
        if norm is None:  # clipped by value
            return
        self._norms.put(0, dict(norm=norm))
        if self._norms.wait and len(self._norms) < _NORMS_AT_ONCE:
            return
        name = f'train/{getattr(self, "grad_name", "grad_norm")}'
        for row in self._norms.take():
            self.message_hub.update_scalar(name, row.values['norm'])


def _put_channels_last(model: nn.Module) -> None:
    """Lay out convolution weights with channels last; does nothing when they are."""
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
