"""Machinery of MMEngine and MMPose: optimiser wrappers, hooks, what inferencers find and return."""

from .bf16_optim_wrapper import Bf16OptimWrapper
from .checkpoint_fit import remember_misfits
from .cuda_graph_hook import CUDAGraphHook
from .epoch_seed_hook import EpochSeedHook
from .inferencer_fields import carry_uncertainties
from .model_zoo import find_model, list_models, register_names
from .non_finite_loss_hook import NonFiniteLossHook

carry_uncertainties()
register_names()
remember_misfits()

__all__ = [
    'Bf16OptimWrapper',
    'CUDAGraphHook',
    'EpochSeedHook',
    'NonFiniteLossHook',
    'carry_uncertainties',
    'find_model',
    'list_models',
    'register_names',
    'remember_misfits',
]
