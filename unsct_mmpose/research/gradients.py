"""What each loss term asks of the network when training starts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from .benchmark import training_batch


@dataclass(frozen=True)
class TermGradient:
    """A loss term, weighted, after some optimiser steps, and its unclipped norm on the backbone.

    ``silence`` is what it costs when every map that it reads is 0; NaN where it reads none.
    """

    step: int
    term: str
    value: float
    silence: float
    norm: float


def term_gradients(
    config: Config,
    *,
    batch_size: int = 2,
    at_steps: Sequence[int] = (0, 50),
    data: Path | None = None,
    device: str = 'cpu',
) -> list[TermGradient]:
    """Return value and gradient of each loss term, at the first step and after some of training.

    The model is initialised as MMEngine's runner does it, and trained by the config's optimiser,
    without its schedule, on one :func:`.benchmark.training_batch`.
    """
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    model = model.to(device).train()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    packed = training_batch(config, batch_size, data)
    batch = model.data_preprocessor(packed, training=True)
    terms = []
    for step in range(max(at_steps) + 1):
        if step in at_steps:
            terms += _look_at_terms(model, wrapper, batch, step)
        if step == max(at_steps):
            break
        with wrapper.optim_context(model):
            losses = model(**batch, mode='loss')
        wrapper.update_params(model.parse_losses(losses)[0])
    return terms


def _look_at_terms(model: Any, wrapper: Any, batch: dict, step: int) -> list[TermGradient]:
    parameters = [weight for weight in model.backbone.parameters() if weight.requires_grad]
    with wrapper.optim_context(model):
        feats = model.extract_feat(batch['inputs'])
        losses = model.head.loss(feats, batch['data_samples'])
        silent = silent_losses(model.head, feats, batch['data_samples'])
    terms = []
    for name, value in ((name, value) for name, value in losses.items() if 'loss' in name):
        gradients = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
        squares = [each.float().square().sum() for each in gradients if each is not None]
        norm = float(torch.stack(squares).sum().sqrt()) if squares else 0.0
        costs = float(value.detach()), silent.get(name, math.nan)
        terms.append(TermGradient(step, name, *costs, norm))
    return terms


def silent_losses(
    head: Any, feats: Sequence[torch.Tensor], samples: Sequence[Any]
) -> dict[str, float]:
    """Return what each loss term costs when all maps of the head are 0."""
    names = [name for name in ('forward', 'forward_levels') if hasattr(head, name)]
    plain = {name: getattr(head, name) for name in names}

    def zeros(made: Any) -> Any:
        if isinstance(made, torch.Tensor):
            return torch.zeros_like(made)
        return type(made)(map(zeros, made))

    def silent(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: zeros(function(*args))

    coarse = [torch.zeros_like(level) for level in feats[:-1]]
    try:
        for name in names:
            setattr(head, name, silent(plain[name]))
        with torch.no_grad():
            losses = head.loss((*coarse, feats[-1]), samples)
    finally:
        for name in names:
            delattr(head, name)
    return {name: float(value) for name, value in losses.items() if 'loss' in name}
