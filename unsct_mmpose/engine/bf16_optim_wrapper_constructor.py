"""Optimiser wrapper constructor ``Bf16OptimWrapperConstructor``: mixed precision is bfloat16."""

from __future__ import annotations

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmpose.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

_OF_FLOAT16 = ('loss_scale', 'use_fsdp')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class Bf16OptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Build :class:`Bf16OptimWrapper` where a config or ``--amp`` says ``AmpOptimWrapper``.

    ``tools/train.py --amp`` writes ``AmpOptimWrapper`` into a config and refuses configs that name
    any wrapper that MMEngine does not have; and MMEngine's own one refuses CPUs. With ``constructor
    = 'Bf16OptimWrapperConstructor'`` in ``optim_wrapper``, ``type='AmpOptimWrapper'`` trains in
    bfloat16 on CUDA and CPU alike, and ``type='OptimWrapper'`` in float32 until ``--amp`` is given.
    bfloat16 needs no scaling of the loss: that setting is left out, and the log says so. For
    float16 leave out the constructor.

    Args:
        optim_wrapper_cfg: see ``DefaultOptimWrapperConstructor``.
        paramwise_cfg: see there.

    Raises:
        ValueError: another type of number than bfloat16 is asked for.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper, with its optimiser, for a model."""
        settings = self.optim_wrapper_cfg
        if settings.get('type') == 'AmpOptimWrapper':
            dtype = str(settings.pop('dtype', None) or 'bfloat16')
            if dtype.removeprefix('torch.') != 'bfloat16':
                raise ValueError(
                    f'optim_wrapper.dtype is {dtype}, and Bf16OptimWrapperConstructor computes in '
                    "bfloat16: set optim_wrapper.constructor='DefaultOptimWrapperConstructor'"
                )
            dropped = [name for name in _OF_FLOAT16 if settings.pop(name, None) is not None]
            if dropped:
                print_log(
                    f'bfloat16 (Bf16OptimWrapper) needs no {" or ".join(dropped)}: not used',
                    logger='current',
                )
            settings['type'] = 'Bf16OptimWrapper'
        return super().__call__(model)
