"""A batch in which nobody labelled anything costs nothing and teaches nothing."""

import pytest
import torch
from mmpose.registry import MODELS

CODEC = dict(type='HeatmapPAF', input_size=(64, 64), heatmap_size=(16, 16), sigma=1.0)
FINE = dict(CODEC, heatmap_size=(32, 32))
LOSSES = dict(paf_loss=dict(type='PAFMSELoss', loss_weight=30.0))
COARSE = dict(LOSSES, intermediate_weight=0.5)

HEADS = dict(
    plain=(CODEC, dict(type='HeatmapPAFHead', decoder=CODEC, **COARSE)),
    higher=(
        [CODEC, FINE],
        dict(type='HigherHeatmapPAFHead', deconv_channels=8, num_blocks=1, decoder=FINE, **COARSE),
    ),
    stacked=(CODEC, dict(type='StackedHeatmapPAFHead', num_stages=3, decoder=CODEC, **LOSSES)),
)


def feats_of(kind, dtype):
    torch.manual_seed(0)
    shapes = [(2, 24, size, size) for size in (4, 8)] + [(2, 8, 16, 16)]
    if kind == 'stacked':
        shapes = 3 * [(2, 8, 16, 16)]
    return [torch.randn(shape).to(dtype).requires_grad_() for shape in shapes]


@pytest.mark.parametrize('scale', [1.0, 65536.0, 2.0**24])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize('kind', HEADS)
def test_every_term_is_zero_and_every_gradient_is_zero(kind, dtype, scale, make_level_samples):
    encoders, cfg = HEADS[kind]
    head, feats = MODELS.build(dict(cfg, in_channels=8)).to(dtype), feats_of(kind, dtype)
    losses = head.loss(feats, make_level_samples(encoders, labelled=False))
    assert len(losses) == (2 if kind == 'stacked' else 3)
    assert {name: value.item() for name, value in losses.items()} == dict.fromkeys(losses, 0.0)
    (scale * sum(losses.values())).backward()
    reached = [tensor.grad for tensor in (*feats, *head.parameters())]
    assert all(torch.equal(gradient, torch.zeros_like(gradient)) for gradient in reached)


@pytest.mark.parametrize('kind', HEADS)
def test_a_batch_with_one_labelled_image_costs_what_that_image_costs(kind, make_level_samples):
    encoders, cfg = HEADS[kind]
    head, feats = MODELS.build(dict(cfg, in_channels=8)).eval(), feats_of(kind, torch.float32)
    labelled = make_level_samples(encoders, count=1)
    both = labelled + make_level_samples(encoders, count=1, labelled=False)
    alone = head.loss([feat[:1] for feat in feats], labelled)
    for name, value in head.loss(feats, both).items():
        torch.testing.assert_close(value, alone[name])
