"""Machinery of MMEngine and MMPose: optimiser wrappers, hooks, what inferencers find and return."""

import unsct_mmpose.register  # noqa: F401

from .bf16_optim_wrapper import Bf16OptimWrapper
from .bf16_optim_wrapper_constructor import Bf16OptimWrapperConstructor
from .checkpoint_fit import remember_misfits
from .cuda_graph_hook import CUDAGraphHook
from .epoch_seed_hook import EpochSeedHook
from .inferencer_fields import carry_uncertainties
from .inferencer_names import write_distinct_files
from .model_zoo import find_model, list_models, register_names
from .non_finite_loss_hook import NonFiniteLossHook

carry_uncertainties()
register_names()
remember_misfits()
write_distinct_files()

__all__ = [
    'Bf16OptimWrapper',
    'Bf16OptimWrapperConstructor',
    'CUDAGraphHook',
    'EpochSeedHook',
    'NonFiniteLossHook',
    'carry_uncertainties',
    'find_model',
    'list_models',
    'register_names',
    'remember_misfits',
    'write_distinct_files',
]
