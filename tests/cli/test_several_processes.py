"""Training and test in two processes on the CPU, started as a user starts them: by torchrun."""

import json
import pickle
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
            'default_hooks.checkpoint.interval=1', 'default_hooks.logger.interval=1', cwd=folder,
        )  # fmt: skip
        return done.stdout + done.stderr

    return run


@pytest.fixture
def figures(trained, run_python, in_two_processes):
    """Test a model on the five images, two at a time; return the figures, the images' order."""
    config, _ = trained
    folder = config.parent

    def run(model, run, *options):
        out, dump = folder / f'{run.__name__}.json', folder / f'{run.__name__}.pkl'
        run(
            TOOLS / 'test.py', config, model, *options, '--work-dir', folder / 'test',
            '--out', out, '--dump', dump, '--cfg-options', 'test_dataloader.batch_size=2',
            f'test_dataloader.dataset.ann_file={folder}/val.json',
            'test_dataloader.dataset.data_prefix.img=./', cwd=folder,
        )  # fmt: skip
        return json.loads(out.read_text()), [
            one['img_id'] for one in pickle.loads(dump.read_bytes())
        ]

    return run


def read(path):
    return torch.load(path, map_location='cpu', weights_only=False)


@pytest.mark.slow
def test_two_processes_train_resume_and_test_as_one_that_is_not_interrupted(
    train, figures, tiny_set, run_python, in_two_processes
):
    said = train('whole', '--auto-scale-lr')
    assert 'current batch size is 2' in said and 'Epoch(train) [2][2/2]' in said, said[-3000:]
    resumed = train('again', '--auto-scale-lr', '--resume', tiny_set / 'whole/epoch_1.pth')
    assert 'resumed epoch: 1, iter: 2' in resumed
    one, other = (read(tiny_set / name / 'epoch_2.pth') for name in ('whole', 'again'))
    assert one['meta']['iter'] == other['meta']['iter'] == 4
    assert one['optimizer']['param_groups'] == other['optimizer']['param_groups']
    for name, weight in one['state_dict'].items():
        torch.testing.assert_close(other['state_dict'][name], weight, rtol=0, atol=0)

    model = tiny_set / 'whole/epoch_2.pth'
    (alone, order), (both, other_order) = (
        figures(model, run_python),
        figures(model, in_two_processes, '--launcher', 'pytorch'),
    )
    assert order == other_order == [1, 2, 3, 4, 5]
    assert alone['all/images'] == 5 and len(alone) > 500
    assert both == pytest.approx(alone, abs=1e-3, nan_ok=True)
