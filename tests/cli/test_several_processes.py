"""Training and test in two processes on the CPU, told of each other as torchrun tells them."""

import gc
import json
import multiprocessing
import os
import pickle
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import config
from torch.distributed import TCPStore

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
# forks of one interpreter that has imported everything once, what DDP imports late too: 5 s each
CONTEXT = multiprocessing.get_context('forkserver')
CONTEXT.set_forkserver_preload(['unsct_mmpose.register', 'mmpose.apis', 'torch._dynamo'])


def be_script(words, folder, environment, log):
    """Be a process that runs a script in a folder, its output in a file."""
    os.chdir(folder)
    os.environ |= environment
    for number in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), number)
    torch.set_num_threads(1)
    gc.freeze()  # as in conftest.py
    config.FormatCode = lambda text, **_: (text, False)  # the fixture of conftest.py ends at a fork
    sys.argv = [str(word) for word in words]
    sys.path.insert(0, str(TOOLS))
    runpy.run_path(sys.argv[0], run_name='__main__')


@pytest.fixture
def run_script(trained):
    """Return a function that runs a script in one process or in two; it returns their output."""
    folder = trained[0].parent

    def run(*words, processes=1):
        log = folder / 'log.txt'
        log.write_text('')
        ranks, environment = [{}], {}
        if processes > 1:  # what the agent of torchrun does, on a port that it was given
            store = TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)
            environment = dict(
                MASTER_ADDR='127.0.0.1', MASTER_PORT=str(store.port), WORLD_SIZE=str(processes),
                TORCHELASTIC_USE_AGENT_STORE='True',
            )  # fmt: skip
            ranks = [dict(RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(processes)]
        started = [
            CONTEXT.Process(target=be_script, args=(words, folder, environment | rank, log))
            for rank in ranks
        ]
        for process in started:
            process.start()
        for process in started:
            process.join()
        printed = log.read_text()
        assert [process.exitcode for process in started] == [0] * processes, printed[-5000:]
        return printed

    return run


@pytest.fixture
def train(trained, write_split, run_script):
    """Train in two processes: three images, one each at a time, validated on five."""
    config, _ = trained
    folder = config.parent
    write_split(folder, 'val', 5)

    def run(name, *arguments, epochs=2):
        return run_script(
            TOOLS / 'train.py', config, '--launcher', 'pytorch', '--work-dir', folder / name,
            *arguments, '--cfg-options', f'train_dataloader.dataset.data_root={folder}',
            'train_dataloader.dataset.data_prefix.img=./',
            'train_dataloader.dataset.disjoint_from=[val.json]', 'train_dataloader.batch_size=1',
            'val_dataloader.dataset.data_prefix.img=./', 'val_dataloader.batch_size=2',
            f'train_cfg.max_epochs={epochs}', 'train_cfg.val_interval=1',
            'default_hooks.checkpoint.interval=1', 'default_hooks.logger.interval=1', processes=2,
        )  # fmt: skip

    return run


@pytest.fixture
def figures(trained, run_script):
    """Test a model on the five images, two at a time; return the figures, the images' order."""
    config, _ = trained
    folder = config.parent

    def run(model, processes):
        out, dump = folder / f'{processes}.json', folder / f'{processes}.pkl'
        run_script(
            TOOLS / 'test.py', config, model, *(['--launcher', 'pytorch'] * (processes > 1)),
            '--work-dir', folder / 'test', '--out', out, '--dump', dump, '--cfg-options',
            'test_dataloader.batch_size=2', f'test_dataloader.dataset.ann_file={folder}/val.json',
            'test_dataloader.dataset.data_prefix.img=./', processes=processes,
        )  # fmt: skip
        samples = pickle.loads(dump.read_bytes())
        return json.loads(out.read_text()), [sample['img_id'] for sample in samples]

    return run


def read(path):
    return torch.load(path, map_location='cpu', weights_only=False)


@pytest.mark.slow
def test_two_processes_train_resume_and_test_as_one_that_is_not_interrupted(
    train, figures, tiny_set
):
    printed = train('whole', '--auto-scale-lr')
    assert 'current batch size is 2' in printed and 'Epoch(train) [2][2/2]' in printed, printed
    printed = train('again', '--auto-scale-lr', '--resume', tiny_set / 'whole/epoch_1.pth')
    assert 'resumed epoch: 1, iter: 2' in printed
    whole, again = (read(tiny_set / name / 'epoch_2.pth') for name in ('whole', 'again'))
    assert whole['meta']['iter'] == again['meta']['iter'] == 4
    assert whole['optimizer']['param_groups'] == again['optimizer']['param_groups']
    for name, weight in whole['state_dict'].items():
        torch.testing.assert_close(again['state_dict'][name], weight, rtol=0, atol=0)

    model = tiny_set / 'whole/epoch_2.pth'
    (alone, order), (both, other_order) = figures(model, 1), figures(model, 2)
    assert order == other_order == [1, 2, 3, 4, 5]
    assert alone['all/images'] == 5 and len(alone) > 500
    assert both == pytest.approx(alone, abs=1e-3, nan_ok=True)
