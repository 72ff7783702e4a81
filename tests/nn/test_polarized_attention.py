import numpy as np
import pytest
import torch
from torch import nn

from unsct_mmpose.nn import (
    PolarizedChannelAttention,
    PolarizedSelfAttention,
    PolarizedSpatialAttention,
)

MODES = pytest.mark.parametrize('mode', ['sequential', 'parallel'])
FORMS = pytest.mark.parametrize('code_compatible', [False, True])


def features(batch=2, channels=16, size=(5, 7), seed=0):
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(seed))


def sharpened(module, factor=4.0):
    """Return the module with larger weights, so that its gates leave the middle."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=factor / max(parameter.shape[-1], 1) ** 0.5)
    return module


def convolution(linear):
    """Return the 1x1 convolution that a linear map of each cell is."""
    weight = linear.weight[..., None, None]
    return lambda x: nn.functional.conv2d(x, weight, linear.bias)


def softmax(x, dim):
    e = np.exp(x - x.max(axis=dim, keepdims=True))
    return e / e.sum(axis=dim, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# The two branches, against the paper's equations with every map spelled out


@pytest.mark.parametrize('bottleneck', [True, False])
def test_the_channel_gate_is_that_of_the_paper(bottleneck):
    x = features()
    module = sharpened(PolarizedChannelAttention(16, bottleneck=bottleneck))
    with torch.no_grad():
        query = convolution(module.query)(x).flatten(1).numpy()  # (B, N)
        value = convolution(module.value)(x).flatten(2).numpy()  # (B, C', N)
        z = np.einsum('bcn,bn->bc', value, softmax(query, 1)).astype(np.float32)
        expected = sigmoid(module.up(torch.from_numpy(z)).numpy())
        found = module.gate(x)
    assert found.shape == (2, 16, 1, 1)
    np.testing.assert_allclose(found[..., 0, 0], expected, rtol=1e-4)
    assert expected.std() > 0.05


@FORMS
def test_the_spatial_gate_is_that_of_the_paper_or_of_its_code(code_compatible):
    x = features()
    module = sharpened(PolarizedSpatialAttention(16, code_compatible=code_compatible))
    with torch.no_grad():
        query = convolution(module.query)(x).mean(dim=(2, 3)).numpy()  # (B, C')
        value = convolution(module.value)(x).flatten(2).numpy()  # (B, C', N)
        if code_compatible:
            logits = softmax(np.einsum('bc,bcn->bn', query, value), 1)
        else:
            logits = np.einsum('bc,bcn->bn', softmax(query, 1), value)
        found = module.gate(x)
    assert found.shape == (2, 1, 5, 7)
    np.testing.assert_allclose(found[:, 0].flatten(1), sigmoid(logits), rtol=1e-4)
    assert sigmoid(logits).std() > 0.01


def test_the_spatial_gate_of_a_weighted_map_does_not_need_that_map():
    x = features()
    weights = torch.rand(2, 16, 1, 1)
    for code_compatible in (False, True):
        module = sharpened(PolarizedSpatialAttention(16, code_compatible=code_compatible))
        torch.testing.assert_close(module.gate(x, weights), module.gate(x * weights))


def test_the_gate_of_the_released_code_does_next_to_nothing():
    module = sharpened(PolarizedSpatialAttention(16, code_compatible=True), factor=0.3)
    gate = module.gate(features(size=(64, 64)))
    assert gate.mean().item() == pytest.approx(0.50006, abs=2e-5)
    assert gate.std() < 1e-4
    paper = sharpened(PolarizedSpatialAttention(16), factor=0.3)
    assert paper.gate(features(size=(64, 64))).std() > 0.01


def test_the_channel_bottleneck_has_a_norm_and_the_parallel_form_none():
    deep = PolarizedChannelAttention(64).up
    assert [type(layer) for layer in deep] == [nn.Linear, nn.LayerNorm, nn.ReLU, nn.Linear]
    assert (deep[0].in_features, deep[0].out_features, deep[3].out_features) == (32, 8, 64)
    flat = PolarizedChannelAttention(64, bottleneck=False).up
    assert (flat.in_features, flat.out_features) == (32, 64)


# Both together


def test_each_mode_has_the_channel_form_of_the_paper_and_the_spatial_form_asked_for():
    for mode, form in (('sequential', nn.Sequential), ('parallel', nn.Linear)):
        for code_compatible in (False, True):
            module = PolarizedSelfAttention(16, mode, code_compatible)
            assert isinstance(module.channel.up, form)
            assert module.spatial.code_compatible == code_compatible


@FORMS
def test_sequential_is_channel_then_spatial(code_compatible):
    x = features()
    module = sharpened(PolarizedSelfAttention(16, 'sequential', code_compatible))
    torch.testing.assert_close(module(x), module.spatial(module.channel(x)))


@FORMS
def test_parallel_is_the_sum_of_both(code_compatible):
    x = features()
    module = sharpened(PolarizedSelfAttention(16, 'parallel', code_compatible))
    torch.testing.assert_close(module(x), module.channel(x) + module.spatial(x))


@MODES
def test_the_two_factors_make_the_weighted_map(mode):
    x = features()
    module = sharpened(PolarizedSelfAttention(16, mode))
    weighted, factor = module.factors(x)
    assert factor.shape == (2, 16, 1, 1)
    torch.testing.assert_close(weighted * factor, module(x))


@MODES
@FORMS
@pytest.mark.parametrize('shape', [(1, 1, 1), (2, 1, 9), (3, 8, 1), (16, 6, 5), (256, 2, 3)])
def test_any_channels_and_any_height_and_width_pass(mode, code_compatible, shape):
    x = features(2, shape[0], shape[1:])
    out = PolarizedSelfAttention(shape[0], mode, code_compatible)(x)
    assert out.shape == x.shape
    assert torch.isfinite(out).all()


@MODES
def test_attention_only_weakens_each_value(mode):
    x = features()
    out = sharpened(PolarizedSelfAttention(16, mode))(x)
    ratio = out / x
    assert (ratio > 0).all() and (ratio < (1 if mode == 'sequential' else 2)).all()


@MODES
@FORMS
def test_cells_may_change_places_as_attention_knows_no_position(mode, code_compatible):
    x = features()
    module = sharpened(PolarizedSelfAttention(16, mode, code_compatible))
    torch.testing.assert_close(module(x.flip(-1)), module(x).flip(-1))
    order = torch.randperm(35, generator=torch.Generator().manual_seed(0))
    shuffled = x.flatten(2)[..., order].unflatten(2, (5, 7))
    expected = module(x).flatten(2)[..., order].unflatten(2, (5, 7))
    torch.testing.assert_close(module(shuffled), expected)


@MODES
def test_each_image_is_attended_as_if_it_were_alone(mode):
    x = features(3)
    module = sharpened(PolarizedSelfAttention(16, mode))
    torch.testing.assert_close(module(x)[1:2], module(x[1:2]))


@MODES
@FORMS
def test_gradients_are_those_of_finite_differences(mode, code_compatible):
    torch.manual_seed(0)
    module = PolarizedSelfAttention(4, mode, code_compatible).double()
    x = features(2, 4, (2, 3)).double().requires_grad_()
    assert torch.autograd.gradcheck(module, (x,))


@MODES
@FORMS
def test_every_parameter_learns(mode, code_compatible):
    module = sharpened(PolarizedSelfAttention(16, mode, code_compatible), 1.0)
    (module(features()) * features(seed=1)).sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


@MODES
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision_gives_the_same_map_roughly(mode, dtype):
    x = features(size=(8, 8))
    module = PolarizedSelfAttention(16, mode)
    with torch.autocast('cpu', dtype=dtype):
        mixed = module(x)
    torch.testing.assert_close(mixed.float(), module(x), atol=0.05, rtol=0.05)


@MODES
def test_a_whole_model_in_half_precision_runs(mode):
    module = PolarizedSelfAttention(16, mode).to(torch.bfloat16)
    assert module(features().to(torch.bfloat16)).dtype == torch.bfloat16


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="'sequential' or 'parallel', not 'serial'"):
        PolarizedSelfAttention(8, 'serial')
