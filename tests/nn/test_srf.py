import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unsct_mmpose.nn import SRFBlock, boundary_channels, coordinate_channels

FORMS = [
    dict(attention=attention, with_boundary=boundary)
    for attention, boundary in itertools.product(('sequential', 'parallel'), (True, False))
] + [dict(code_compatible=True), dict(deep_supervision=True)]
EACH = pytest.mark.parametrize('form', FORMS, ids=str)


def features(batch=2, channels=16, size=(8, 6), seed=0):
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(seed))


def build(form=None, channels=16, landmarks=24, seed=0):
    torch.manual_seed(seed)
    return SRFBlock(channels, landmarks, **(form or {}))


def stacked(block, x, form):
    """Return what the paper draws: stack everything, convolve, normalise, attend, add."""
    weight, bias = block.heatmap.weight[..., None, None], block.heatmap.bias
    heatmaps = F.conv2d(x if form.get('deep_supervision', False) else x.detach(), weight, bias)
    coords = coordinate_channels(x)
    parts = [x, heatmaps.clamp(0, 1), coords]
    if form.get('with_boundary', True):
        boundary = heatmaps.amax(dim=1, keepdim=True)
        parts.append(boundary_channels(coords[:, :2], boundary))
    fused = F.conv2d(torch.cat(parts, dim=1), block.fuse.weight[..., None, None])
    return x + block.scale * block.attention(block.norm(fused)), heatmaps


@EACH
def test_the_parts_make_the_convolution_of_the_stacked_map(form):
    block, x = build(form), features()
    refined, heatmaps = block(x)
    expected = stacked(block, x, form)
    torch.testing.assert_close(refined, expected[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(heatmaps, expected[1])


@EACH
def test_the_parts_have_the_gradients_of_the_stacked_map(form):
    block, x = build(form).double(), features().double().requires_grad_()
    weight = features(seed=1).double()

    def gradients(outputs):
        refined, heatmaps = outputs
        loss = (refined * weight).sum() + heatmaps.square().sum()
        return torch.autograd.grad(loss, [x, *block.parameters()])

    for maps, expected in zip(gradients(block(x)), gradients(stacked(block, x, form)), strict=True):
        torch.testing.assert_close(maps, expected, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize('channels', [16, 64, 256])
def test_coarse_heatmaps_start_silent_on_features_that_nothing_normalises(channels):
    _, heatmaps = build(channels=channels)(3 * features(channels=channels))
    assert heatmaps.abs().max() < 0.25
    assert heatmaps.std() < 0.06


def test_the_boundary_starts_closed():
    block, x = build(channels=64), features(channels=64)
    coords = coordinate_channels(x)[:, :2]
    boundary = block(x)[1].amax(dim=1, keepdim=True)
    assert (boundary_channels(coords, boundary).abs() <= 0.2 * coords.abs() + 1e-6).all()


@pytest.mark.parametrize('deep', [False, True])
def test_the_loss_of_coarse_heatmaps_reaches_the_features_only_when_asked_to(deep):
    x = features().requires_grad_()
    block = build(dict(deep_supervision=deep))
    block(x)[1].square().sum().backward()
    assert block.heatmap.weight.grad.abs().sum() > 0
    assert (x.grad is not None and bool(x.grad.any())) == deep


@EACH
def test_the_block_starts_close_to_the_identity(form):
    x = features(4, 32, (16, 16))
    refined, _ = build(form, 32)(x)
    change = (refined - x).norm() / x.norm()
    assert 0 < change < (0.05 if form.get('attention') != 'parallel' else 0.15)


@pytest.mark.parametrize('scale', [0, 0.5, 1.0])
def test_the_scale_says_how_much_of_the_new_branch_is_added_at_first(scale):
    x = features()
    block, unit = build(dict(initial_scale=scale)), build(dict(initial_scale=1.0))
    torch.testing.assert_close(block(x)[0] - x, scale * (unit(x)[0] - x))


def test_a_block_of_scale_0_is_the_identity_and_still_learns():
    x = features()
    block = build(dict(initial_scale=0))
    refined, _ = block(x)
    assert torch.equal(refined, x)
    (refined * features(seed=1)).sum().backward()
    assert block.scale.grad.abs().min() > 0


@EACH
def test_every_parameter_learns_from_the_first_step(form):
    block = build(form)
    refined, heatmaps = block(features())
    ((refined * features(seed=1)).sum() + heatmaps.square().sum()).backward()
    for name, parameter in block.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize('shape', [(16, 1, 1), (1, 4, 4), (3, 1, 9), (8, 9, 1), (256, 2, 5)])
def test_any_channels_and_any_height_and_width_pass(shape):
    x = features(2, shape[0], shape[1:])
    refined, heatmaps = build(channels=shape[0])(x)
    assert refined.shape == x.shape
    assert heatmaps.shape == (2, 24, *shape[1:])
    assert torch.isfinite(refined).all()


def test_the_coarse_heatmaps_are_one_linear_map_of_each_cell():
    block, x = build(landmarks=5), features()
    _, heatmaps = block(x)
    for y, x_ in ((0, 0), (7, 5), (3, 2)):
        expected = block.heatmap(x[:, :, y, x_])
        torch.testing.assert_close(heatmaps[:, :, y, x_], expected)


def test_a_map_that_is_the_same_everywhere_comes_back_knowing_where_it_is():
    block = build().eval()
    refined, _ = block(torch.ones(1, 16, 9, 9))
    change = (refined - 1)[0]
    assert change.flatten(1).std(dim=1).max() > 1e-3
    with torch.no_grad():
        block.fuse.weight[:, 16 + 24 :] = 0  # the coordinates
    blind = block(torch.ones(1, 16, 9, 9))[0]
    assert blind.flatten(2).std(dim=2).max() < 1e-5


def test_the_boundary_shows_the_coordinates_only_where_a_landmark_may_be():
    block = build().eval()
    with torch.no_grad():
        block.heatmap.weight.zero_()
        block.heatmap.bias.zero_()
        block.heatmap.weight[7, 0] = 1  # heatmap 7 copies channel 0
        block.fuse.weight[:, : 16 + 24 + 3] = 0  # all but the boundary
    x = torch.zeros(1, 16, 7, 7)
    x[0, 0, 1, 5] = 0.9
    x[0, 0, 5, 1] = 0.04
    change = (block(x)[0] - x).abs().sum(dim=1)[0]
    elsewhere = change.clone()
    elsewhere[1, 5] = 0
    assert elsewhere.max() < 0.3 * change[1, 5]


def test_the_boundary_teaches_the_heatmaps_through_the_features():
    block = build()
    with torch.no_grad():
        block.fuse.weight[:, 16 : 16 + 24] = 0  # the heatmaps themselves
    nn.init.normal_(block.heatmap.weight, std=0.01)
    nn.init.constant_(block.heatmap.bias, 0.05)  # the gate's threshold
    refined, _ = block(features())
    (refined * features(seed=1)).sum().backward()
    assert block.heatmap.weight.grad.any()


def test_heatmaps_can_be_trained_to_show_a_landmark():
    torch.manual_seed(0)
    block, x = SRFBlock(16, 2), features(4)
    target = (x[:, :2] > 0.5).float()
    optimiser = torch.optim.Adam(block.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = F.mse_loss(block(x)[1], target)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_pretrained_features_of_any_scale_survive():
    # A freshly added block must not drown small features nor be lost beside large ones.
    block = build().train()
    for scale in (0.5, 1.0, 5.0):
        x = features(8, 16, (16, 16)) * scale
        change = (block(x)[0] - x).pow(2).mean().sqrt()
        assert 0.01 < change < 0.05


@EACH
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision_gives_the_same_maps_roughly(form, dtype):
    block, x = build(form), features()
    with torch.autocast('cpu', dtype=dtype):
        refined, heatmaps = block(x)
        (refined.float().square().sum() + heatmaps.float().sum()).backward()
    expected = block(x)
    torch.testing.assert_close(refined.float(), expected[0], atol=0.1, rtol=0.1)
    torch.testing.assert_close(heatmaps.float(), expected[1], atol=0.05, rtol=0.05)
    assert all(torch.isfinite(parameter.grad).all() for parameter in block.parameters())


def test_an_image_does_not_depend_on_its_batch_when_evaluated():
    block, x = build().eval(), features(3)
    refined, heatmaps = block(x)
    alone = block(x[1:2])
    torch.testing.assert_close(refined[1:2], alone[0])
    torch.testing.assert_close(heatmaps[1:2], alone[1])


def test_a_checkpoint_holds_nothing_that_depends_on_the_size_of_the_map():
    block = build()
    before = {name: weight.shape for name, weight in block.state_dict().items()}
    block(features(size=(4, 4)))
    block(features(size=(9, 3)))
    assert {name: weight.shape for name, weight in block.state_dict().items()} == before
    build(seed=1).load_state_dict(block.state_dict())


def test_the_input_is_left_alone():
    x = features()
    copy = x.clone()
    build()(x)
    assert torch.equal(x, copy)


def test_an_unknown_attention_is_refused():
    with pytest.raises(ValueError, match="'sequential' or 'parallel'"):
        SRFBlock(8, 4, attention='none')


@EACH
def test_an_exported_graph_holds_for_other_sizes(form, tmp_path):
    pytest.importorskip('onnx')
    runtime = pytest.importorskip('onnxruntime')
    block, path = build(form).eval(), str(tmp_path / 'srf.onnx')
    nn.init.normal_(block.norm.running_mean)
    torch.onnx.export(
        block,
        (features(1),),
        path,
        input_names=['x'],
        output_names=['refined', 'heatmaps'],
        dynamic_axes={'x': {0: 'batch', 2: 'height', 3: 'width'}},
        opset_version=17,
        dynamo=False,
    )
    session = runtime.InferenceSession(path)
    for batch, size in ((1, (8, 6)), (3, (5, 9)), (1, (1, 4))):
        x = features(batch, size=size)
        for maps, expected in zip(session.run(None, {'x': x.numpy()}), block(x), strict=True):
            torch.testing.assert_close(torch.from_numpy(maps), expected.detach())
