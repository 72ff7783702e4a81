"""The parts of the peer's script that are ours; its package is a stand-in."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch, landmarker_stand_in):
    monkeypatch.setattr(sys, 'path', [str(landmarker_stand_in), *sys.path])
    spec = importlib.util.spec_from_file_location('scn', ROOT / 'tools/peers/scn_landmarker.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for name in [name for name in sys.modules if name.split('.')[0] == 'landmarker']:
        del sys.modules[name]


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

    found = script.read(Drawn(), np.zeros((1, 24, 32), np.uint8))
    assert found['points'][0, 0] == pytest.approx([20, 5])
    assert found['peaks'][0, 0] > 0


def test_an_epoch_lowers_the_loss_and_learns_the_widths(script):
    torch.manual_seed(0)
    network, targets = script.build(2, (16, 16), 4)
    optimizer = script.build_optimizer(network, targets, 'adam')
    rng = np.random.default_rng(0)
    arrays = dict(
        images=rng.integers(0, 255, (8, 16, 16), dtype=np.uint8),
        points=np.full((8, 2, 2), 8, np.float32),
        weights=np.ones((8, 2), np.float32),
    )
    before = targets.sigmas.detach().clone()
    losses = [script.train_epoch(network, targets, optimizer, arrays, 2) for _ in range(5)]
    assert losses[-1] < losses[0]
    assert (targets.sigmas != before).all()


def test_the_authors_optimizer_decays_the_network_only(script):
    network, targets = script.build(2, (16, 16), 4)
    groups = script.build_optimizer(network, targets, 'sgd').param_groups
    assert [one['weight_decay'] for one in groups] == [1e-3, 0]
    assert all(one['nesterov'] and one['momentum'] == 0.99 and one['lr'] == 1e-6 for one in groups)
