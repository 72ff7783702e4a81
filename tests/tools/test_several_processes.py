"""Training and test in two processes on the CPU, started as a user starts them: by torchrun."""

from pathlib import Path

import pytest
import torch

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def in_two_processes(run_python):
    """Run a script in two processes, as ``torchrun --nproc_per_node 2`` does."""

    def run(script, *arguments, **options):
        torchrun = ('-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', 2)
        return run_python(*torchrun, script, *arguments, **options)

    return run


@pytest.fixture
def train(trained, write_split, in_two_processes):
    """Train in two processes: three images, one each at a time, validated on five."""
    config, _ = trained
    folder = config.parent
    write_split(folder, 'val', 5)

    def run(name, *arguments, epochs=2):
        done = in_two_processes(
            TOOLS / 'train.py', config, '--launcher', 'pytorch', '--work-dir', folder / name,
            *arguments, '--cfg-options', f'train_dataloader.dataset.data_root={folder}',
            'train_dataloader.dataset.data_prefix.img=./',
            'train_dataloader.dataset.disjoint_from=[val.json]', 'train_dataloader.batch_size=1',
            'val_dataloader.dataset.data_prefix.img=./', 'val_dataloader.batch_size=2',
            f'train_cfg.max_epochs={epochs}', 'train_cfg.val_interval=1',
            'default_hooks.checkpoint.interval=1', 'default_hooks.logger.interval=1',
        )  # fmt: skip
        return done.stdout + done.stderr

    return run


def read(path):
    return torch.load(path, map_location='cpu', weights_only=False)


@pytest.mark.slow
def test_two_processes_train_and_a_resumed_training_ends_in_the_same_weights(train, tiny_set):
    said = train('whole')
    assert 'Epoch(train) [2][2/2]' in said, said[-3000:]
    resumed = train('again', '--resume', tiny_set / 'whole/epoch_1.pth')
    assert 'resumed epoch: 1, iter: 2' in resumed
    one, other = (read(tiny_set / name / 'epoch_2.pth') for name in ('whole', 'again'))
    assert one['meta']['iter'] == other['meta']['iter'] == 4
    assert one['optimizer']['param_groups'] == other['optimizer']['param_groups']
    for name, weight in one['state_dict'].items():
        torch.testing.assert_close(other['state_dict'][name], weight, rtol=0, atol=0)
