"""Numbers that wait on their device until several iterations are read at once.

Reading a tensor makes the host wait for a GPU, and the GPU then for the host. Read together, the
losses of ten iterations cost one such wait instead of fifty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from mmengine.hooks import CheckpointHook, Hook, LoggerHook
from mmengine.runner import Runner
from torch import Tensor


class Row(NamedTuple):
    """The numbers of one iteration.

    Attributes:
        iteration: counted from 1.
        values: by name.
        note: what came with them.
    """

    iteration: int
    values: Mapping[str, Any]
    note: Any


class LateScalars:
    """Numbers of iterations, as tensors of one element or as plain numbers."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, iteration: int, values: Mapping[str, Tensor | float], note: Any = None) -> None:
        """Keep the numbers of an iteration; nothing waits."""
        kept = {
            name: value.detach() if isinstance(value, Tensor) else value
            for name, value in values.items()
        }
        self._rows.append(Row(iteration, kept, note))

    @property
    def wait(self) -> bool:
        """Whether reading them would make the host wait for a device."""
        values = (value for row in self._rows for value in row.values.values())
        return any(isinstance(value, Tensor) and value.device.type != 'cpu' for value in values)

    def take(self) -> list[Row]:
        """Read everything that was put, in its order, by one copy, and forget it."""
        rows, self._rows = self._rows, []
        places = [
            (row.values, name)
            for row in rows
            for name, value in row.values.items()
            if isinstance(value, Tensor)
        ]
        if places:
            read = torch.cat([values[name].reshape(1) for values, name in places]).tolist()
            for (values, name), number in zip(places, read, strict=True):
                values[name] = number
        return rows


class Losses(LateScalars):
    """What ``train_step`` returned in each iteration of a training, with its image files."""

    def __init__(self) -> None:
        super().__init__()
        self._of: Any = None
        self._read: list[Row] = []

    @classmethod
    def after(
        cls, runner: Runner, batch_idx: int, data_batch: Any, outputs: Mapping | None
    ) -> list[Row]:
        """Keep what an iteration returned; return all that was kept if somebody needs it now.

        Numbers that make nobody wait are returned at once. Every hook that asks after the same
        iteration gets the same rows: a device is waited for once.
        """
        own: Losses = runner.__dict__.setdefault('_losses', cls())
        outputs = {} if outputs is None else outputs
        if own._of is not outputs:
            own._of = outputs
            own.put(runner.iter + 1, outputs, image_files(data_batch))
            own._read = [] if own.wait and not _reads_now(runner, batch_idx) else own.take()
        return own._read


def image_files(data_batch: Any) -> list[str]:
    """Return the image files of a batch as far as its data samples name them."""
    samples = data_batch.get('data_samples') if isinstance(data_batch, Mapping) else None
    paths = [getattr(sample, 'metainfo', {}).get('img_path') for sample in samples or ()]
    return [str(path) for path in paths if path]


def _reads_now(runner: Runner, batch_idx: int) -> bool:
    """Tell whether somebody needs the numbers after this iteration: a log, a checkpoint, an end."""
    hooks = runner.hooks
    logs = any(
        isinstance(hook, LoggerHook) and hook.every_n_inner_iters(batch_idx, hook.interval)
        for hook in hooks
    )
    last = hooks[0] if hooks else Hook()
    ends = last.end_of_epoch(runner.train_dataloader, batch_idx) or last.is_last_train_iter(runner)
    return logs or ends or any(saves_now(hook, runner) for hook in hooks)


def saves_now(hook: Hook, runner: Runner) -> bool:
    """Tell whether a hook saves a checkpoint after this very iteration."""
    if not isinstance(hook, CheckpointHook) or hook.by_epoch:
        return False
    return hook.every_n_train_iters(runner, hook.interval) or hook.is_last_train_iter(runner)
