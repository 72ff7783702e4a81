"""Machinery of MMEngine and MMPose: optimiser wrappers, what inferencers hand on."""

from .bf16_optim_wrapper import Bf16OptimWrapper
from .inferencer_fields import carry_uncertainties

carry_uncertainties()

__all__ = ['Bf16OptimWrapper', 'carry_uncertainties']
