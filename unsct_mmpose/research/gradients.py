"""What each loss term asks of the network when training starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    model, wrapper, batch = first_step(config, batch_size, data, device)
    terms = []
    for step in range(max(at_steps) + 1):
        if step in at_steps:
            feats = features_of(model, wrapper, batch)
            terms += terms_of(model, wrapper, feats, batch['data_samples'], step)
        if step == max(at_steps):
            break
        with wrapper.optim_context(model):
            losses = model(**batch, mode='loss')
        wrapper.update_params(model.parse_losses(losses)[0])
    return terms


def first_step(
    config: Config, batch_size: int = 2, data: Path | None = None, device: str = 'cpu'
) -> tuple[Any, Any, dict]:
    """Return model, optimiser wrapper and batch as the first step of :func:`term_gradients`."""
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    model = model.to(device).train()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    packed = training_batch(config, batch_size, data)
    return model, wrapper, model.data_preprocessor(packed, training=True)


def features_of(model: Any, wrapper: Any, batch: dict) -> tuple[torch.Tensor, ...]:
    """Return what the head of a model reads, in the precision of its training."""
    with wrapper.optim_context(model):
        return model.extract_feat(batch['inputs'])


def terms_of(
    model: Any,
    wrapper: Any,
    feats: Sequence[torch.Tensor],
    samples: Sequence[Any],
    step: int = 0,
) -> list[TermGradient]:
    """Return value and gradient of each loss term on such features; nothing changes."""
    parameters = [weight for weight in model.backbone.parameters() if weight.requires_grad]
    with wrapper.optim_context(model):
        losses = model.head.loss(feats, samples)
        silent = silent_losses(model.head, feats, samples)
    terms = []
    for name, value in ((name, value) for name, value in losses.items() if 'loss' in name):
        gradients = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
        norms = [
            torch.linalg.vector_norm(each, dtype=torch.float32)
            for each in gradients
            if each is not None
        ]
        norm = float(torch.stack(norms).norm()) if norms else 0.0
        costs = float(value.detach()), silent.get(name, math.nan)
        terms.append(TermGradient(step, name, *costs, norm))
    return terms


def silent_losses(
    head: Any, feats: Sequence[torch.Tensor], samples: Sequence[Any], times: float = 1
) -> dict[str, float]:
    """Return what each loss term costs when all maps, so many times the size, are 0."""

    def zeros(made: Any) -> Any:
        if isinstance(made, torch.Tensor):
            *before, height, width = made.shape
            return made.new_zeros(*before, round(times * height), round(times * width))
        return type(made)(map(zeros, made))

    names = [name for name in ('forward', 'forward_levels') if hasattr(head, name)]
    with torch.no_grad():
        maps = {name: zeros(getattr(head, name)(feats)) for name in names}
        try:
            for name, made in maps.items():
                setattr(head, name, lambda _, made=made: made)
            losses = head.loss((*zeros(feats[:-1]), feats[-1]), samples)
        finally:
            for name in names:
                delattr(head, name)
    return {name: float(value) for name, value in losses.items() if 'loss' in name}
