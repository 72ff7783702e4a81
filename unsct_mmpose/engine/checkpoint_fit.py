"""A checkpoint that does not fit its config is an error in test and inference, not a log line.

MMEngine loads what fits, logs the rest, and goes on with random weights: right for a training
that starts from another model's weights, and wrong for everything else.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from mmengine.runner import checkpoint
from torch import nn

from unsct_mmpose.maps.calibration import CALIBRATION_KEY

_SHOWN = 3


def remember_misfits() -> None:
    """Let heads that have a place for it (``misfit``) know how a checkpoint differs from the model.

    :class:`~unsct_mmpose.models.uncertainty_mixin.UncertaintyMixin` refuses to predict with one,
    until it has been trained. Other models are untouched.
    """
    original = checkpoint.load_state_dict

    @functools.wraps(original)
    def load_state_dict(module: nn.Module, state_dict: Mapping[str, Any], *args, **kwargs) -> None:
        head = getattr(module, 'head', None)
        if hasattr(head, 'misfit'):
            head.misfit = describe_misfit(module, state_dict)
        original(module, state_dict, *args, **kwargs)

    checkpoint.load_state_dict = load_state_dict


def describe_misfit(module: nn.Module, state_dict: Mapping[str, Any]) -> str | None:
    """Say how the weights of a checkpoint differ from those of a model; None if they fit."""
    own = {k: tuple(v.shape) for k, v in module.state_dict().items() if _counts(k)}
    given = {k: tuple(getattr(v, 'shape', ())) for k, v in state_dict.items() if _counts(k)}
    parts = dict(
        missing=[k for k in own if k not in given],
        unknown=[k for k in given if k not in own],
        reshaped=[f'{k} {given[k]}, not {own[k]}' for k in own if given.get(k, own[k]) != own[k]],
    )
    words = dict(missing='it lacks', unknown='the model lacks', reshaped='of another shape:')
    differences = [f'{words[k]} {len(v)} ({_some(v)})' for k, v in parts.items() if v]
    return f'of {len(own)} weights ' + '; '.join(differences) if differences else None


def _counts(name: str) -> bool:
    return not name.endswith(('num_batches_tracked', CALIBRATION_KEY))


def _some(names: list[str]) -> str:
    return ', '.join(names[:_SHOWN]) + (', ...' if len(names) > _SHOWN else '')
