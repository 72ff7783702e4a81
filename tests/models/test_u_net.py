import pytest
import torch
from mmpose.registry import MODELS


def build(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type='UNet', base_channels=4, depth=3, **kwargs))


def images(height=32, width=48, channels=3):
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize('level', [0, 1, 2])
def test_the_decoder_stops_at_the_resolution_asked_for(level):
    model = build(out_level=level)
    (found,) = model(images())
    assert found.shape == (2, 4 * 2**level, 32 >> level, 48 >> level)
    assert found.shape[1] == model.out_channels


@pytest.mark.parametrize('level', [-1, 3, 4])
def test_a_resolution_that_it_does_not_have_is_refused(level):
    with pytest.raises(ValueError, match=rf'out_level={level} must lie from 0 to depth - 1=2'):
        build(out_level=level)


def test_the_number_of_input_channels_can_be_chosen():
    assert build(in_channels=1)(images(channels=1))[0].shape == (2, 16, 8, 12)


@pytest.mark.parametrize('level', [0, 2])
def test_every_parameter_learns(level):
    model = build(out_level=level)
    (found,) = model(images())
    (found * torch.randn_like(found)).sum().backward()
    still = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert still == []
    assert all(parameter.grad.any() for parameter in model.parameters())


def test_fine_detail_passes_by_the_coarse_levels():
    """With the way up from the coarse maps cut, the output still follows the image."""
    model = build(out_level=0).eval()
    for layer in model.up:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    changed = images()
    changed[..., 10, 20] += 5.0
    difference = (model(changed)[0] - model(images())[0]).abs().sum(dim=(0, 1))
    assert difference[10, 20] > 0
    far = difference.clone()
    far[2:19, 12:29] = 0
    assert far.max() == 0


def test_context_comes_from_the_coarse_levels():
    """One cell changes the output further away than the finest convolutions reach."""
    model = build(out_level=0).eval()
    changed = images()
    changed[..., 10, 20] += 50.0
    difference = (model(changed)[0] - model(images())[0]).abs().sum(dim=(0, 1))
    difference[2:19, 12:29] = 0
    assert difference.max() > 0


def test_a_head_reads_it(codec_cfg, make_samples):
    model = build(out_level=2)
    head = MODELS.build(
        dict(type='HeatmapPAFHead', in_channels=model.out_channels, decoder=codec_cfg)
    )
    losses = head.loss(model(images(64, 64)), make_samples(2))
    assert all(torch.isfinite(value) for value in losses.values())
