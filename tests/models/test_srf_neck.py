import pytest
import torch
from mmpose.registry import MODELS

CHANNELS = (8, 16, 32, 64)


def branches(count=2, size=32):
    return tuple(
        torch.rand(count, channels, size >> level, size >> level)
        for level, channels in enumerate(CHANNELS)
    )


def build(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type='SRFNeck', in_channels=CHANNELS, **kwargs))


def test_coarse_heatmaps_come_first_and_the_fused_map_last():
    *coarse, fused = build()(branches())
    assert [tuple(level.shape) for level in coarse] == [
        (2, 24, 4, 4), (2, 24, 8, 8), (2, 24, 16, 16), (2, 24, 32, 32)
    ]  # fmt: skip
    assert fused.shape == (2, 8, 32, 32)


@pytest.mark.parametrize('size', [(48, 32), (17, 33)])
def test_any_height_and_width_pass(size):
    feats = tuple(
        torch.rand(1, channels, -(-size[0] // 2**level), -(-size[1] // 2**level))
        for level, channels in enumerate(CHANNELS)
    )
    assert build().eval()(feats)[-1].shape == (1, 8, *size)


def test_the_width_of_the_fused_map_can_be_chosen():
    assert build(out_channels=12)(branches())[-1].shape[1] == 12


def test_every_branch_reaches_the_fused_map():
    neck = build().eval()
    feats = [branch.requires_grad_() for branch in branches(1)]
    neck(feats)[-1].square().sum().backward()
    assert all(branch.grad.abs().sum() > 0 for branch in feats)


def test_every_parameter_learns_once_heatmaps_are_supervised():
    neck = build()
    optimiser = torch.optim.SGD(neck.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        sum(level.square().sum() for level in neck(branches())).backward()
        optimiser.step()
    untrained = [name for name, parameter in neck.named_parameters() if parameter.grad is None]
    assert untrained == []


def test_a_single_branch_backbone_is_told_how_to_give_all():
    with pytest.raises(ValueError, match='multiscale_output=True'):
        build()(branches()[:1])
