import copy
from pathlib import Path

import pytest
from mmengine.config import Config

from unsct_mmpose.research.benchmark import (
    PairedTimes,
    decode_cost,
    plain_config,
    step_cost,
    time_pairs,
)

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
    assert cost['ratio_min'] <= cost['ratio_median'] <= cost['ratio_max']
    assert cost['ms_per_image'] > 0
    assert cost['plain_ms_per_image'] > 0


def test_decoding_is_timed_beside_the_forward_pass_that_makes_its_maps(config):
    cost = decode_cost(config, map_size=16, batch_size=2, rounds=3)
    assert cost['share_min'] <= cost['share_median'] <= cost['share_max']
    assert cost['decode_ms_per_image'] > 0
    assert cost['forward_ms_per_image'] > 0


def test_the_ratio_is_the_median_of_the_pairs():
    times = PairedTimes((9.0, 1.1, 1.2), (1.0, 1.0, 1.0))
    assert times.ratios('ratio', 3) == dict(ratio_median=1.2, ratio_min=1.1, ratio_max=9.0)
    assert times.medians_ms() == (1200, 1000)


def test_both_are_called_in_turn_and_the_first_two_rounds_do_not_count():
    calls = []
    times = time_pairs(lambda: calls.append('ours'), lambda: calls.append('other'), 3)
    assert calls == ['ours', 'other'] * 5
    assert len(times.ours) == len(times.other) == 3
