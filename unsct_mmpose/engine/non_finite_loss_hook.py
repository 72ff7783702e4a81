"""Hook ``NonFiniteLossHook``: a training that has diverged stops, and says where and on what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch import Tensor

from .late_scalars import Losses, image_files, saves_now

CURES = (
    'What may help: a lower learning rate or a longer warm-up; float32 or bfloat16 in the place of '
    'float16; a look at these images and their labels, one of which may be damaged.'
)


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Stop training at the first loss that is NaN or infinite, before anything is saved.

    When a loss is known, the optimiser has made its step: the weights in memory may be broken, so
    none of them may reach a checkpoint. A finite loss may break them too, by a gradient that is
    not finite; so they are looked at wherever they are about to be saved, and before an older
    checkpoint makes room for them.

    Losses on a GPU are read when a log, a checkpoint or the end of an epoch needs them, those of
    several iterations together (:mod:`.late_scalars`): a training stops at most one log too late,
    and tells of the iteration and the images all the same. Gradients that a ``GradScaler`` finds
    too large are none of this hook's business: the losses are those before scaling.

    Several processes stop together, each with the words of those that saw it: one that stopped
    alone would leave the others waiting for its gradients.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._files: list[str] = []

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Tensor | float] | None = None,
    ) -> None:
        """Look at the losses, and at the weights if they are saved in this iteration.

        Raises:
            FloatingPointError: a loss is not finite.
        """
        self._files = image_files(data_batch)
        rows = Losses.after(runner, batch_idx, data_batch, outputs)
        if not rows:
            return
        words = None
        for row in rows:
            losses = {name: loss for name, loss in row.values.items() if 'loss' in name}
            bad = [f'{name} = {loss}' for name, loss in losses.items() if not math.isfinite(loss)]
            if bad and words is None:
                words = self._message(runner, row.iteration, ', '.join(bad), row.note)
        _stop_together(words)
        if any(saves_now(hook, runner) for hook in runner.hooks):
            _stop_together(self._broken(runner, runner.iter + 1, runner.model.state_dict()))

    def after_train_epoch(self, runner: Runner) -> None:
        """Look at the weights, which other hooks are about to save."""
        _stop_together(self._broken(runner, runner.iter, runner.model.state_dict()))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Look at the weights that somebody saves; only the first process comes here."""
        words = self._broken(runner, runner.iter, checkpoint['state_dict'])
        if words is not None:
            raise FloatingPointError(words)

    def _broken(self, runner: Runner, iteration: int, state: Mapping[str, Any]) -> str | None:
        """Say which weights are not finite, None if all are; one wait for the device."""
        finite = {
            name: tensor.isfinite().all() for name, tensor in state.items() if _is_real(tensor)
        }
        if finite and not torch.stack(list(finite.values())).all():
            bad = [name for name, whole in finite.items() if not whole]
            words = f'though its losses are finite, the weights are not ({len(bad)}: {bad[0]} ...)'
            return self._message(runner, iteration, words, self._files)
        return None

    def _message(self, runner: Runner, iteration: int, what: str, images: Sequence[str]) -> str:
        last = Path(runner.work_dir) / 'last_checkpoint'
        saved = 'no checkpoint has been saved yet'
        if last.is_file():
            saved = f'the last checkpoint, {last.read_text().strip()}, is untouched'
        files = ', '.join(images) or 'unknown'
        who = f'process {get_rank()}: ' if get_world_size() > 1 else ''
        return (
            f'{who}training stopped after iteration {iteration}: {what}. '
            f'Images of that batch: {files}. Nothing was saved since: {saved}. {CURES}'
        )


def _stop_together(words: str | None) -> None:
    """Raise ``FloatingPointError`` in every process if at least one of them has words."""
    trouble = torch.tensor(float(words is not None))
    all_reduce(trouble, 'max')
    if trouble:
        raise FloatingPointError('\n'.join(text for text in all_gather_object(words) if text))


def _is_real(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.numel() > 0
