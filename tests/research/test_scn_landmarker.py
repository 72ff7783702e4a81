"""The parts of the peer's script that are ours; its package is a stand-in."""

import argparse
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def load(monkeypatch, landmarker_stand_in):
    """Return a function that loads one of the scripts."""
    folder = ROOT / 'tools/peers'
    monkeypatch.setattr(sys, 'path', [str(folder), str(landmarker_stand_in), *sys.path])
    yield importlib.import_module
    for name in [
        module for module in sys.modules if module.split('.')[0].startswith(('landmarker', 'scn_'))
    ]:
        del sys.modules[name]


@pytest.fixture
def script(load):
    return load('scn_landmarker')


@pytest.fixture
def variant(load):
    return load('scn_landmarker_adam')


def test_the_grey_levels_of_each_image_are_stretched(script):
    images = np.stack([np.full((4, 4), 7), np.arange(16).reshape(4, 4) + 100]).astype(np.uint8)
    found = script.to_input(images)
    assert found.shape == (2, 1, 4, 4)
    assert not found[0].any()
    assert (found[1].min(), found[1].max()) == (0, 1)


def test_a_landmark_of_weight_0_pulls_at_no_map(script):
    from landmarker.losses import GaussianHeatmapL2Loss

    _, targets = script.build(3, (32, 32), 4)
    maps = torch.rand(2, 3, 32, 32, requires_grad=True)
    points, weights = torch.full((2, 3, 2), 9.0), torch.ones(2, 3)
    weights[1, 2] = 0
    script.loss_of(GaussianHeatmapL2Loss(), maps, targets, points, weights).backward()
    assert not maps.grad[1, 2].any()
    assert maps.grad[0, 2].any() and maps.grad[1, 1].any()


def test_points_are_x_and_y_on_both_sides(script):
    class Drawn(torch.nn.Module):
        def forward(self, images):
            return script.build(1, (24, 32), 4)[1](torch.tensor([[[5.0, 20.0]]]))  # (y, x)

    prediction = script.read(Drawn(), np.zeros((1, 24, 32), np.uint8))
    assert prediction['points'][0, 0] == pytest.approx([20, 5])
    assert prediction['peaks'][0, 0] > 0


def test_an_epoch_lowers_the_loss_and_learns_the_widths(script, variant):
    torch.manual_seed(0)
    network, targets = script.build(2, (16, 16), 4)
    steps = variant.OurSteps(network, targets, 20)
    rng = np.random.default_rng(0)
    arrays = dict(
        images=rng.integers(0, 255, (8, 16, 16), dtype=np.uint8),
        points=np.full((8, 2, 2), 8, np.float32),
        weights=np.ones((8, 2), np.float32),
    )
    before = targets.sigmas.detach().clone()
    losses = [script.train_epoch(network, targets, steps, arrays, 2) for _ in range(5)]
    assert losses[-1] < losses[0]
    assert (targets.sigmas != before).all()


@pytest.mark.parametrize('rule', ['TheirSteps', 'OurSteps'])
def test_an_interrupted_training_ends_where_it_would_have_ended(
    script, variant, tmp_path, monkeypatch, rule
):
    rng = np.random.default_rng(0)
    train = dict(
        images=rng.integers(0, 255, (12, 16, 16), dtype=np.uint8),
        points=rng.uniform(2, 13, (12, 2, 2)).astype(np.float32),
        weights=np.ones((12, 2), np.float32),
    )
    val = dict(images=train['images'][:3])

    def go(name):
        rule_ = getattr(script if rule == 'TheirSteps' else variant, rule)
        options = dict(epochs=3, batch_size=2, interval=1, channels=4, seed=0)
        args = argparse.Namespace(out=tmp_path / name, **options)
        args.out.mkdir(exist_ok=True)
        script.train(args, dict(train=dict(train), val=dict(val)), rule_)
        with np.load(args.out / 'epoch_3/val.npz') as found:
            return found['peaks']

    whole = go('whole')
    with monkeypatch.context() as patch:
        patch.setattr(script, 'train_epoch', interrupt_third(script.train_epoch))
        with pytest.raises(KeyboardInterrupt):
            go('cut')
    assert (tmp_path / 'cut/epoch_2').is_dir() and not (tmp_path / 'cut/epoch_3').exists()
    assert np.array_equal(go('cut'), whole)


def interrupt_third(real):
    calls = []

    def train_epoch(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    return train_epoch


def test_the_authors_optimizer_decays_the_network_only(script):
    steps = script.TheirSteps(*script.build(2, (16, 16), 4), 20)
    groups = steps.optimizer.param_groups
    assert [group['weight_decay'] for group in groups] == [1e-3, 0]
    assert all(
        group['nesterov'] and group['momentum'] == 0.99 and group['lr'] == 1e-6 for group in groups
    )


def test_the_authors_rate_halves_where_the_loss_stands_still(script):
    steps = script.TheirSteps(*script.build(2, (16, 16), 4), 20)
    for _ in range(12):
        steps.end_epoch(1.0)
    assert steps.optimizer.param_groups[0]['lr'] == 5e-7


def test_the_variant_s_rate_is_that_of_our_small_budget(variant, monkeypatch):
    """As MMEngine sets it, to a thousandth, from the config itself."""
    monkeypatch.setenv('UNSCT_BUDGET', 'cpu')
    config = Config.fromfile(ROOT / 'configs/hrnet/ori-hrnet.py')
    warm, cosine = config.param_scheduler
    assert warm.end == variant.WARM_UP and cosine.eta_min == variant.LAST
    assert config.optim_wrapper.optimizer.lr == variant.RATE
    assert config.optim_wrapper.clip_grad.max_norm == variant.CLIP
    assert variant.rate_at(0, 1600) == pytest.approx(warm.start_factor)
    assert variant.rate_at(800, 1600) == pytest.approx(0.5, abs=0.01)
    assert variant.rate_at(1600, 1600) == pytest.approx(variant.LAST / variant.RATE)
