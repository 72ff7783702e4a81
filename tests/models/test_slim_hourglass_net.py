import torch
from mmpose.registry import MODELS

SLIM = dict(
    type='SlimHourglassNet',
    downsample_times=2,
    num_stacks=2,
    stage_channels=(16, 24, 32),
    stage_blocks=(1, 1, 1),
    feat_channel=20,
)


def test_each_stack_gives_a_map_at_a_quarter_of_the_input():
    torch.manual_seed(0)
    found = MODELS.build(SLIM)(torch.rand(2, 3, 64, 32))
    assert [tuple(maps.shape) for maps in found] == [(2, 20, 16, 8)] * 2


def test_at_256_channels_it_is_mmpose_s_own_network_of_another_stem_width():
    wide = {**SLIM, 'stage_channels': (256, 24, 32)}
    stock = MODELS.build({**wide, 'type': 'HourglassNet'}).state_dict()
    slim = MODELS.build(wide).state_dict()
    shapes = {name: value.shape for name, value in slim.items()}
    assert shapes == {name: value.shape for name, value in stock.items()}
