"""MMEngine's EMAHook with our head, hooks and calibration: train, resume, calibrate, test."""

import copy

import pytest
import torch
from mmengine.runner import Runner

from unsct_mmpose.calibrate.fit import CalibrationRequest, calibrate
from unsct_mmpose.maps.calibration import CALIBRATION_KEY

HOOKS = [
    dict(type='SyncBuffersHook'),
    dict(type='NonFiniteLossHook'),
    dict(type='CUDAGraphHook'),
    dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.3),
]


@pytest.fixture
def train(tiny_config, tmp_path):
    """Return a function that trains so many epochs into a folder."""

    def run(name, epochs, **changes):
        config = copy.deepcopy(tiny_config)
        config.merge_from_dict(
            dict(
                custom_hooks=HOOKS, work_dir=str(tmp_path / name), experiment_name=name,
                **{'train_cfg.max_epochs': epochs, 'optim_wrapper.optimizer.lr': 0.01},
                **changes,
            )
        )  # fmt: skip
        config.visualizer.name = name
        config.param_scheduler = []
        runner = Runner.from_cfg(config)
        runner.train()
        return runner, config

    return run


def load(path):
    return torch.load(path, weights_only=False)


def test_a_checkpoint_holds_the_averaged_weights_and_a_resumed_training_goes_on(train, tmp_path):
    runner, _ = train('whole', 2)
    whole = load(tmp_path / 'whole/epoch_2.pth')
    name = 'head.final_layer.weight'
    averaged, trained = whole['state_dict'][name], whole['ema_state_dict'][f'module.{name}']
    assert not torch.equal(averaged, trained)
    torch.testing.assert_close(trained, runner.model.state_dict()[name])
    train('parts', 1)
    train('parts', 2, resume=True, load_from=str(tmp_path / 'parts/epoch_1.pth'))
    parts = load(tmp_path / 'parts/epoch_2.pth')
    for key in ('state_dict', 'ema_state_dict'):
        assert parts[key].keys() == whole[key].keys()
        for weight, value in whole[key].items():
            torch.testing.assert_close(parts[key][weight], value, msg=f'{key} {weight}')


def test_averaged_weights_are_calibrated_tested_and_resumed(
    train, tiny_config, tiny_set, tmp_path, hide_landmarks
):
    hide_landmarks(tiny_set, [3, 14, 20])
    for name in ('val', 'test'):
        tiny_config[f'{name}_dataloader'].dataset.data_prefix = dict(img='images/')
    _, config = train('run', 1)
    checkpoint = tmp_path / 'run/epoch_1.pth'
    before = load(checkpoint)
    config.model.head.decoder.pop('threshold')
    path = tmp_path / 'settings.py'
    path.write_text('\n'.join(f'{k} = {v!r}' for k, v in config.to_dict().items()))
    calibrate(CalibrationRequest(path, checkpoint, device='cpu'))
    after = load(checkpoint)
    assert f'head.{CALIBRATION_KEY}' in after['state_dict']
    for weight, value in before['ema_state_dict'].items():
        torch.testing.assert_close(after['ema_state_dict'][weight], value)
    tested = copy.deepcopy(config)
    tested.update(load_from=str(checkpoint), experiment_name='test')
    tested.visualizer.name = 'test'
    runner = Runner.from_cfg(tested)
    assert runner.test()['all/images'] == 2
    assert runner.model.head.decoder.calibration is not None
    for weight, value in before['state_dict'].items():
        torch.testing.assert_close(runner.model.state_dict()[weight], value)
    resumed, _ = train('run', 2, resume=True, load_from=str(checkpoint))
    assert resumed.epoch == 2
    assert f'head.{CALIBRATION_KEY}' not in load(tmp_path / 'run/epoch_2.pth')['state_dict']
