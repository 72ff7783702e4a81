import copy
from pathlib import Path

import pytest
from mmengine.config import Config

from unsct_mmpose.research.benchmark import StepCost, decode_cost, plain_config, step_cost

DEMO = Path(__file__).resolve().parents[2] / 'configs' / 'demo' / 'unsct_hrnet_tha_cpu.py'


@pytest.fixture
def config():
    config = Config.fromfile(DEMO)
    small = dict(input_size=(64, 64), heatmap_size=(16, 16))
    config.codec.update(small)
    config.model.head.decoder.update(small)
    for step in config.train_dataloader.dataset.pipeline:
        if step.type == 'GenerateTarget':
            step.encoder.update(small)
    return config


def test_the_plain_config_keeps_the_backbone_and_drops_the_method(config):
    before = copy.deepcopy(config.to_dict())
    plain = plain_config(config)
    assert plain.model.neck is None
    assert plain.model.head.type == 'HeatmapHead'
    assert plain.model.backbone.extra.stage3 == config.model.backbone.extra.stage3
    assert not plain.model.backbone.extra.stage4.multiscale_output
    assert plain.optim_wrapper == config.optim_wrapper
    assert config.to_dict() == before


def test_both_steps_are_timed_side_by_side(config):
    cost = step_cost(config, batch_size=2, rounds=3)
    assert len(cost.ratios) == 3
    assert cost.ms_per_image > 0
    assert cost.plain_ms_per_image > 0


def test_decoding_is_timed_beside_the_forward_pass_that_makes_its_maps(config):
    cost = decode_cost(config, map_size=16, batch_size=2, rounds=3)
    assert cost.map_size == 16
    assert len(cost.shares) == 3
    assert cost.decode_ms_per_image > 0
    assert cost.forward_ms_per_image > 0


def test_the_ratio_is_the_median_of_the_pairs():
    assert StepCost(1.0, 1.0, (9.0, 1.1, 1.2)).ratio == 1.2
