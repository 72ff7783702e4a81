import pytest
import torch
from mmpose.registry import MODELS

FIVE = dict(name='five', names=list('abcde'), relations=dict(full=['ab', 'cd', 'de']))
SIZES = dict(base_channels=4, depth=3, out_level=1)


def build(kind='SRFUNet', **kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type=kind, **SIZES, **kwargs))


def images(height=32, width=48):
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_coarse_heatmaps_of_bottleneck_and_skips_come_coarsest_first():
    *coarse, features = build(landmarks=FIVE)(images())
    assert [tuple(level.shape[1:]) for level in coarse] == [(5, 4, 6), (5, 8, 12), (5, 16, 24)]
    assert features.shape == (2, 8, 16, 24)


def test_without_weight_the_blocks_leave_a_u_net():
    model, plain = build(initial_scale=0.0).eval(), build('UNet').eval()
    missing = model.load_state_dict(plain.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert all(name.startswith('srf.') for name in missing.missing_keys)
    torch.testing.assert_close(model(images())[-1], plain(images())[0])


def test_the_blocks_change_what_leaves():
    model = build().eval()
    before = model(images())[-1]
    for block in model.srf:
        block.scale.data.fill_(1.0)
    assert not torch.allclose(model(images())[-1], before)


def test_every_parameter_learns():
    model = build()
    *coarse, features = model(images())
    loss = (features * torch.randn_like(features)).sum()
    (loss + sum(level.square().sum() for level in coarse)).backward()
    still = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert still == []


@pytest.mark.parametrize('deep', [False, True])
def test_the_loss_of_coarse_heatmaps_reaches_the_encoder_only_when_asked_to(deep):
    model = build(deep_supervision=deep)
    *coarse, _ = model(images())
    sum(level.square().sum() for level in coarse).backward()
    assert (
        any(
            parameter.grad is not None and parameter.grad.any()
            for parameter in model.down.parameters()
        )
        == deep
    )
