"""Hook ``LateRuntimeInfoHook``: losses are read when they are logged, not in every iteration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import RuntimeInfoHook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch import Tensor

from .late_scalars import Losses


@HOOKS.register_module()
class LateRuntimeInfoHook(RuntimeInfoHook):
    """MMEngine's ``RuntimeInfoHook`` without its wait for the GPU in every iteration.

    Losses that lie on a GPU are read together when a log, a checkpoint or the end of an epoch
    needs them, and handed to the log in their order; on a CPU at once. To be named in the place of
    the other: ``default_hooks = dict(runtime_info=dict(type='LateRuntimeInfoHook'))``.
    """

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Tensor | float] | None = None,
    ) -> None:
        """Keep the losses of an iteration, or hand all that were kept to the log."""
        for row in Losses.after(runner, batch_idx, data_batch, outputs):
            super().after_train_iter(runner, batch_idx, data_batch, row.values)
