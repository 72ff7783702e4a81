"""Machinery of MMEngine and MMPose: optimiser wrappers, hooks, what inferencers find and return."""

import unsct_mmpose.host  # noqa: F401

from .bf16_optim_wrapper import Bf16OptimWrapper
from .bf16_optim_wrapper_constructor import Bf16OptimWrapperConstructor
from .checkpoint_fit import remember_misfits
from .cuda_graph_hook import CUDAGraphHook
from .epoch_seed_hook import EpochSeedHook
from .inferencers import extend_inferencers
from .late_runtime_info_hook import LateRuntimeInfoHook
from .model_zoo import find_model, list_models, register_names
from .non_finite_loss_hook import NonFiniteLossHook
from .plain_checkpoints import save_plain_checkpoints
from .weight_files import read_weight_files

extend_inferencers()
register_names()
remember_misfits()
save_plain_checkpoints()
read_weight_files()

__all__ = [
    'Bf16OptimWrapper',
    'Bf16OptimWrapperConstructor',
    'CUDAGraphHook',
    'EpochSeedHook',
    'LateRuntimeInfoHook',
    'NonFiniteLossHook',
    'find_model',
    'list_models',
]
