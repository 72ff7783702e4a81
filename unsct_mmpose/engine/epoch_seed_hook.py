"""Hook ``EpochSeedHook``: random numbers that a resumed training draws as an uninterrupted one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.hooks import DistSamplerSeedHook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch.utils.data import get_worker_info

_PROCESS, _IMAGE = 0, 1


@HOOKS.register_module()
class EpochSeedHook(DistSamplerSeedHook):
    """Seed each image of each epoch by the run's seed, the epoch and the image's number.

    MMEngine seeds a process and its workers once, when they start: a training resumed after its
    eighth epoch would shift, mirror and blur as in its first. With this hook it goes on as if it
    had not been interrupted, at the beginning of an epoch, which is where checkpoints by epoch
    are. How many workers load the images, and for how many processes, changes nothing in them.
    The processes themselves, for layers such as dropout, are seeded at each epoch, too, each its
    own way.

    It sets the sampler's epoch as ``DistSamplerSeedHook`` does, whose place it takes in
    ``default_hooks``: ``sampler_seed=dict(type='EpochSeedHook')``.
    """

    def __init__(self) -> None:
        self._fetch: _SeededFetch | None = None

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed the sampler, this process, and what it is going to load."""
        super().before_train_epoch(runner)
        dataset = runner.train_loop.dataloader.dataset
        if self._fetch is None and hasattr(dataset, '__dict__'):
            # what PyTorch's DataLoader, and its copies in workers, load a batch by
            self._fetch = dataset.__getitems__ = _SeededFetch(dataset)
        if self._fetch is not None:
            self._fetch.begin(runner.seed, runner.epoch)
        numpy_seed, torch_seed = _seeds(_PROCESS, runner.seed, runner.epoch, runner.rank)
        _seed_arrays(numpy_seed)
        torch.manual_seed(torch_seed)


class _SeededFetch:
    """Loads images of a data set, each with generators seeded for it.

    Seed and epoch lie in shared memory, where workers that outlive an epoch see the next one.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.seed_and_epoch = torch.zeros(2, dtype=torch.int64).share_memory_()

    def begin(self, seed: int, epoch: int) -> None:
        """Say what the images to come are seeded by."""
        self.seed_and_epoch.copy_(torch.tensor([seed, epoch]))

    def __call__(self, indices: Sequence[int]) -> list[Any]:
        return [self._load(index) for index in indices]

    def _load(self, index: int) -> Any:
        numpy_seed, torch_seed = _seeds(_IMAGE, *self.seed_and_epoch.tolist(), index)
        _seed_arrays(numpy_seed)
        if get_worker_info() is not None:  # else it is the network's generator as well
            torch.manual_seed(torch_seed)
        return self.dataset[index]


def _seeds(*numbers: int) -> tuple[int, int]:
    """Return two seeds, for NumPy (32 bits) and for torch, that differ with every number."""
    words = np.random.SeedSequence(numbers).generate_state(2)
    return int(words[0]), int(words[1])


def _seed_arrays(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  MMPose's transforms draw from the global generator
