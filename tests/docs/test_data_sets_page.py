"""Every config block of docs/how-to/data-sets.md trains, validates and is tested."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

PAGE = Path(__file__).resolve().parents[2] / 'docs/how-to/data-sets.md'
BLOCKS = re.findall(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL)
SMALLER = {'(512, 512)': '(64, 64)', '(128, 128)': '(16, 16)', 'sigma=2.0': 'sigma=1.5'}
OPTIONAL = {
    'Albumentation': 'albumentations',
    'TensorboardVisBackend': 'tensorboard',
    'WandbVisBackend': 'wandb',
}
NAMES = [re.findall(r"type='((?:mmcv\.)?[A-Z]\w+)'", block)[-1] for block in BLOCKS]


def write_config(path, config):
    """Write a config as plain assignments, to be inherited from."""
    path.write_text('\n'.join(f'{name} = {value!r}' for name, value in config.to_dict().items()))


@pytest.fixture
def run_block(tiny_config, tiny_set, write_split, tmp_path, monkeypatch):
    """Return a function that trains and tests with a block, in a folder without configs."""
    more = tmp_path / 'more'
    more.mkdir()
    for name in ('train', 'val'):
        write_split(more, name, 2)
    monkeypatch.chdir(more)
    monkeypatch.setenv('WANDB_MODE', 'offline')
    monkeypatch.setenv('WANDB_SILENT', 'true')

    def run(block, **options):
        for long, short in SMALLER.items():
            block = block.replace(long, short)
        for root, folder in (('/data/hips', tiny_set), ('/data/more', more)):
            block = block.replace(root, folder.as_posix())
        tiny_config.model.head.decoder.threshold = 1e9
        write_config(tmp_path / 'base.py', tiny_config)
        (tmp_path / 'config.py').write_text(f"_base_ = './base.py'\n{block}")
        config = Config.fromfile(tmp_path / 'config.py')
        config.merge_from_dict(options)
        runner = Runner.from_cfg(config)
        runner.train()
        return runner, runner.test()

    return run


def test_the_page_has_a_block_for_each_subject():
    text = ''.join(BLOCKS)
    for word in (
        'CombinedDataset', 'ConcatDataset', 'RepeatDataset', 'PhotometricDistortion', 'use_udp',
        'CarryLandmarks', 'EMAHook', 'output_loss', *OPTIONAL,
    ):  # fmt: skip
        assert word in text


@pytest.mark.parametrize('number', range(len(BLOCKS)), ids=NAMES)
def test_a_block_trains_and_is_tested(number, run_block, tmp_path):
    block = BLOCKS[number]
    for word, package in OPTIONAL.items():
        if word in block and importlib.util.find_spec(package) is None:
            pytest.skip(f'{package} is not installed (an extra of setup.py brings it)')
    runner, metrics = run_block(block)
    assert metrics['all/images'] == 2
    assert metrics['all/MRE'] > 0
    run = tmp_path / 'run'
    assert (run / 'epoch_1.pth').is_file()
    if 'CombinedDataset' in block:
        assert len(runner.train_dataloader.dataset) == 3 + 2 * 2
    if 'RepeatDataset' in block:
        assert len(runner.train_dataloader.dataset) == 2 * (3 + 2)
    if 'TensorboardVisBackend' in block:
        assert list(run.rglob('events.out.tfevents.*'))
    if 'WandbVisBackend' in block:
        assert list(run.rglob('*.wandb'))
    if 'output_loss' in block:
        assert (run / 'best_loss_epoch_1.pth').is_file()


@pytest.mark.parametrize('combined', [False, True])
def test_images_without_any_label_train_to_nothing(combined, run_block, tiny_set):
    for root in (tiny_set, tiny_set / 'more'):
        content = json.loads((root / 'train.json').read_text())
        for annotation in content['annotations']:
            annotation['keypoints'] = [0] * 72
            annotation['num_keypoints'] = 0
        (root / 'train.json').write_text(json.dumps(content))
    runner, metrics = run_block(BLOCKS[0] if combined else '')
    history = runner.message_hub.log_scalars
    for name in ('loss', 'loss_heatmap', 'loss_paf', 'loss_intermediate', 'grad_norm'):
        values, _ = history[f'train/{name}'].data
        assert len(values) and (values == 0).all()
    assert metrics['all/MRE'] > 0
