"""Hook ``CUDAGraphHook``: replay a network's kernels instead of launching them one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

Forward = Callable[[Any], Any]


@HOOKS.register_module()
class CUDAGraphHook(Hook):
    """Record backbone and neck, forward and backward, as CUDA graphs at the first iteration.

    An HRNet launches some ten thousand small kernels a step, and a GPU waits for them. Heads and
    losses stay as they are. Batches of another size than the first one, and validation, run the
    network as it is. Without CUDA, or in a model wrapper such as MMEngine's for several
    processes, nothing is recorded.

    Recording passes the first batch five times forward and three times backward: running averages
    of batch normalisation see it that much more often, weights do not change.
    """

    priority = 'LOW'

    def __init__(self) -> None:
        self.done = False

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Record at the first iteration."""
        if self.done:
            return
        self.done = True
        if not torch.cuda.is_available() or is_model_wrapper(runner.model):
            return
        data = runner.model.data_preprocessor(data_batch, training=True)
        with runner.optim_wrapper.optim_context(runner.model):
            record(runner.model, data['inputs'])
        runner.logger.info(
            f'CUDAGraphHook: recorded the network for inputs of {tuple(data["inputs"].shape)}'
        )


def record(model: Any, inputs: Tensor) -> None:
    """Replace the forward pass of a pose estimator's backbone and neck, in training, by graphs.

    To be called within the autocast that training uses.

    Args:
        model: estimator on CUDA, in training mode.
        inputs: ``(B, 3, H, W)`` images.
    """
    parts: list[tuple[nn.Module, Any]] = [(model.backbone, inputs.clone())]
    with _uncached_autocast():
        if model.with_neck:
            with torch.no_grad():  # nodes of autograd from outside a graph must not live on in it
                feats = model.backbone(inputs)
            parts.append((model.neck, tuple(feat.requires_grad_() for feat in feats)))
        plain = [part.forward for part, _ in parts]
        torch.cuda.make_graphed_callables(
            tuple(part for part, _ in parts), tuple((args,) for _, args in parts)
        )
    for (part, args), forward in zip(parts, plain, strict=True):
        part.forward = _by_shape(part.forward, forward, args)


def _by_shape(graphed: Forward, plain: Forward, recorded: Any) -> Forward:
    """Return a forward pass that replays the graph for inputs of the recorded shapes only."""
    shapes = _shapes(recorded)

    def forward(inputs: Any) -> Any:
        return (graphed if _shapes(inputs) == shapes else plain)(inputs)

    return forward


def _shapes(inputs: Any) -> list[tuple[int, ...]]:
    return [tuple(leaf.shape) for leaf in tree_flatten(inputs)[0]]


def _uncached_autocast() -> torch.autocast:
    """Return the autocast that is on, without its cache: a graph must cast weights anew."""
    known = hasattr(torch, 'get_autocast_dtype')  # PyTorch < 2.4 asks CUDA alone
    return torch.autocast(
        'cuda',
        dtype=torch.get_autocast_dtype('cuda') if known else torch.get_autocast_gpu_dtype(),
        enabled=torch.is_autocast_enabled(*(['cuda'] if known else [])),
        cache_enabled=False,
    )
