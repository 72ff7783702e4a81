"""What is drawn depends on seed, epoch and image, not on who loads it and what was before."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch.utils.data import DataLoader, Dataset

from unsct_mmpose.engine import EpochSeedHook


class Drawn(Dataset):
    """Of each image, the numbers that were drawn for it."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return torch.tensor([index, np.random.randint(2**31), random.getrandbits(31)])


def epochs(numbers, workers=0, seed=3, rank=0, persistent=True):
    """Return what is loaded in each of these epochs, and a draw for the network, in one run."""
    data = Drawn()
    loader = DataLoader(
        data, batch_size=2, num_workers=workers, persistent_workers=persistent and workers > 0
    )
    hook, found = EpochSeedHook(), []
    for epoch in numbers:
        loop = SimpleNamespace(dataloader=loader)
        hook.before_train_epoch(SimpleNamespace(train_loop=loop, epoch=epoch, seed=seed, rank=rank))
        drawn = torch.rand(())
        found.append((torch.cat(list(loader)).tolist(), drawn.item()))
    return found


def test_a_run_that_begins_in_the_middle_draws_what_the_whole_run_draws():
    assert epochs([2, 3]) == epochs([0, 1, 2, 3])[2:]


@pytest.mark.parametrize('persistent', [True, False])
def test_workers_draw_what_the_process_itself_draws(persistent):
    assert epochs([0, 1], workers=2, persistent=persistent) == epochs([0, 1])


def test_epochs_images_and_seeds_differ():
    images, _ = zip(*epochs([0, 1]), strict=True)
    more, _ = zip(*epochs([0], seed=4), strict=True)
    drawn = [row[1] for rows in (*images, *more) for row in rows]
    assert len(set(drawn)) == 18


def test_processes_draw_the_same_for_an_image_and_otherwise_for_their_networks():
    (one,), (other,) = epochs([1], rank=0), epochs([1], rank=1)
    assert one[0] == other[0]
    assert one[1] != other[1]


def test_a_list_of_images_is_loaded_as_it_is():
    loop = SimpleNamespace(dataloader=DataLoader([1, 2]))
    EpochSeedHook().before_train_epoch(SimpleNamespace(train_loop=loop, epoch=0, seed=0, rank=0))
    assert torch.cat(list(loop.dataloader)).tolist() == [1, 2]


def test_every_config_has_it(request):
    config = Config.fromfile(request.config.rootpath / 'configs/_base_/default_runtime.py')
    assert config.default_hooks.sampler_seed == dict(type='EpochSeedHook')
