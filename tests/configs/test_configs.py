from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.visualization import Visualizer
from mmpose.registry import HOOKS, MODELS

from tests.configs.small_configs import CONFIGS, PATHS, parsed, shrink
from unsct_mmpose.anatomy import FLIP_INDICES

EACH = pytest.mark.parametrize('path', PATHS, ids=lambda path: str(path.relative_to(CONFIGS)))
MOST_PX = 64
BUDGETED = [path for path in PATHS if 'UNSCT_BUDGET' in path.read_text()]


@pytest.fixture(scope='module', params=PATHS, ids=lambda path: str(path.relative_to(CONFIGS)))
def config(request):
    """Return each config, those of two budgets with the small one, large ones shrunk."""
    config = parsed(request.param, 'cpu')
    if config.input_size[0] > MOST_PX:
        config = Config(shrink(config.to_dict(), MOST_PX), filename=request.param)
    return config


@pytest.fixture(scope='module')
def model(config):
    init_default_scope('mmpose')
    torch.manual_seed(0)
    return MODELS.build(config.model)


def sample():
    rng = np.random.default_rng(0)
    return dict(
        img=rng.integers(0, 255, (300, 340, 3), dtype=np.uint8),
        bbox=np.array([[0, 0, 340, 300]], np.float32),
        keypoints=rng.uniform(60, 240, (1, 24, 2)).astype(np.float32),
        keypoints_visible=np.ones((1, 24, 2), np.float32),
        flip_indices=list(FLIP_INDICES),
        dataset_keypoint_weights=np.ones(24, np.float32),
    )


def test_there_are_configs():
    assert CONFIGS / 'unsct_hrnet_tha.py' in PATHS


def test_it_trains_two_iterations(config, model):
    model.train()
    packed = Compose(config.train_dataloader.dataset.pipeline)(sample())
    batch = dict(inputs=[packed['inputs']] * 2, data_samples=[packed['data_samples']] * 2)
    data = model.data_preprocessor(batch, training=True)
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    before = [parameter.detach().clone() for parameter in model.head.parameters()]
    for _ in range(2):
        with wrapper.optim_context(model):
            losses = model(**data, mode='loss')
        losses, log = model.parse_losses(losses)
        assert all(torch.isfinite(value).all() for value in log.values())
        wrapper.update_params(losses)
    after = list(model.head.parameters())
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert any((weight != other).any() for weight, other in zip(before, after, strict=True))


@EACH
def test_it_builds_at_the_paper_s_setting(path, monkeypatch):
    monkeypatch.delenv('UNSCT_BUDGET', raising=False)
    init_default_scope('mmpose')
    config = Config.fromfile(path)
    with torch.device('meta'):
        MODELS.build(config.model)
    last = config.train_cfg.max_epochs
    assert all(max(scheduler.get('milestones', [0])) < last for scheduler in config.param_scheduler)


def test_two_budgets_differ_in_size_and_schedule_only():
    found = {}
    for budget in ('cpu', 'gpu'):
        found[budget] = [parsed(path, budget) for path in BUDGETED]
    assert len(BUDGETED) > 5
    for small, large in zip(found['cpu'], found['gpu'], strict=True):
        assert small.model.head.type == large.model.head.type
        kinds = {small.model.backbone.type, large.model.backbone.type}
        assert len(kinds) == 1 or kinds == {'HourglassNet', 'SlimHourglassNet'}
        assert small.input_size != large.input_size
        assert small.train_cfg.max_epochs < large.train_cfg.max_epochs


def test_it_predicts_in_the_image_s_own_pixels(config, model):
    model.eval()
    packed = Compose(config.val_dataloader.dataset.pipeline)(
        sample() | dict(bbox_score=np.ones(1, np.float32))
    )
    batch = dict(inputs=[packed['inputs']], data_samples=[packed['data_samples']])
    with torch.no_grad():
        predicted = model.test_step(batch)[0].pred_instances
    assert predicted.keypoints.shape == (1, 24, 2)
    assert predicted.keypoints.min() > -100
    assert predicted.keypoints.max() < 440


def test_the_learning_rate_reaches_its_last_milestone(config):
    last = config.train_cfg.max_epochs
    for scheduler in config.param_scheduler:
        assert all(milestone < last for milestone in scheduler.get('milestones', []))
        if scheduler.get('by_epoch', True):
            assert scheduler.get('end', last) <= last
            assert scheduler.get('T_max', last) == last


@pytest.mark.parametrize('budget', ['cpu', 'gpu'])
@EACH
def test_the_learning_rate_is_said_to_belong_to_the_batch_size_there_is(path, budget):
    config = parsed(path, budget)
    assert config.auto_scale_lr.base_batch_size == config.train_dataloader.batch_size


def test_evaluators_and_hooks_build(config):
    init_default_scope('mmpose')
    for name in ('val_evaluator', 'test_evaluator'):
        Evaluator(config[name])
    Visualizer.get_instance('test_configs')
    HOOKS.build(config.default_hooks.visualization)
    short = config.train_cfg.get('val_begin', 1) > config.train_cfg.max_epochs
    assert config.default_hooks.checkpoint.save_best == (None if short else 'all/MRE')


def test_nothing_is_inherited_through_a_package(config):
    """``_base_ = 'mmpose::...'`` fails on a host without pkg_resources."""
    text = Path(config.filename).read_text()
    assert '::' not in text


def test_the_data_folder_can_be_given_from_outside(monkeypatch, tmp_path):
    monkeypatch.setenv('UNSCT_DATA', str(tmp_path))
    config = Config.fromfile(CONFIGS / 'unsct_hrnet_tha.py')
    loaders = (config.train_dataloader, config.val_dataloader, config.test_dataloader)
    assert {loader.dataset.data_root for loader in loaders} == {str(tmp_path)}
