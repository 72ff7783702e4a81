import pytest
import torch
from mmpose.registry import MODELS

STAGES = (1, 2, 3, 4)


def extra(multiscale=False, width=8):
    """Return the stages of a tiny HRNet, of 8, 16, 24 and 32 channels or multiples of them."""
    stages = dict(
        stage1=dict(
            num_modules=1,
            num_branches=1,
            block='BOTTLENECK',
            num_blocks=(1,),
            num_channels=(width,),
        )
    )
    for stage in STAGES[1:]:
        stages[f'stage{stage}'] = dict(
            num_modules=1,
            num_branches=stage,
            block='BASIC',
            num_blocks=(1,) * stage,
            num_channels=tuple(width * (branch + 1) for branch in range(stage)),
        )
    stages['stage4']['multiscale_output'] = multiscale
    return stages


def build(kind='SRFHRNet', multiscale=False, seed=0, width=8, **kwargs):
    torch.manual_seed(seed)
    stages = extra(multiscale, width)
    return MODELS.build(dict(type=kind, in_channels=3, extra=stages, **kwargs))


def images(count=2, height=64, width=64):
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def stirred(model):
    """Give every running statistic a value of its own, so that none can be forgotten."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    model(images())
    return model


def test_hrnet_weights_fit_and_only_the_srf_blocks_are_new():
    found = build().load_state_dict(build('HRNet', seed=1).state_dict(), strict=False)
    assert found.unexpected_keys == []
    assert found.missing_keys
    assert all(name.startswith('srf.') for name in found.missing_keys)


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_a_pretrained_hrnet_is_loaded_by_init_cfg(tmp_path, prefix):
    stock = stirred(build('HRNet', seed=1))
    state = {f'{prefix}{name}': value for name, value in stock.state_dict().items()}
    torch.save(dict(state_dict=state, meta={}), tmp_path / 'hrnet.pth')
    source = dict(type='Pretrained', checkpoint=str(tmp_path / 'hrnet.pth'))
    model = build(init_cfg=source | (dict(prefix='backbone.') if prefix else {}))
    before = {name: value.clone() for name, value in model.srf.state_dict().items()}
    model.init_weights()
    found = model.state_dict()
    for name, value in stock.state_dict().items():
        assert torch.equal(found[name], value), name
    for name, value in before.items():
        assert torch.equal(model.srf.state_dict()[name], value), name


def test_coarse_heatmaps_of_ten_blocks_come_before_the_finest_branch():
    *coarse, finest = build()(images())
    sizes = [16, *(16, 8), *(16, 8, 4), *(16, 8, 4, 2)]
    assert [tuple(level.shape) for level in coarse] == [(2, 24, size, size) for size in sizes]
    assert finest.shape == (2, 8, 16, 16)


def test_the_blocks_fit_the_branches_that_enter_each_stage():
    blocks = {name: [block.parts[0] for block in stage] for name, stage in build().srf.items()}
    assert blocks == dict(stage1=[64], stage2=[8, 16], stage3=[8, 16, 24], stage4=[8, 16, 24, 32])


def test_any_height_and_width_that_halve_five_times_pass():
    model = build()
    model.eval()
    for height, width in ((64, 96), (160, 32)):
        *coarse, finest = model(images(1, height, width))
        assert len(coarse) == 10
        assert finest.shape[-2:] == (height // 4, width // 4)
        assert coarse[-1].shape[-2:] == (height // 32, width // 32)


def test_with_multiscale_output_the_branches_come_alone():
    found = build(multiscale=True)(images())
    assert [tuple(maps.shape) for maps in found] == [
        (2, 8, 16, 16), (2, 16, 8, 8), (2, 24, 4, 4), (2, 32, 2, 2),
    ]  # fmt: skip


@pytest.mark.parametrize('multiscale', [False, True])
def test_without_the_blocks_it_is_mmposes_hrnet(multiscale):
    stock = stirred(build('HRNet', multiscale, seed=1))
    model = build(multiscale=multiscale)
    model.load_state_dict(stock.state_dict(), strict=False)
    stock.eval()
    model.eval()
    expected = stock(images())
    branches = len(expected)
    assert branches == (4 if multiscale else 1)
    with_blocks = model(images())[-branches:]
    for stage in model.srf.values():
        for block in stage:
            torch.nn.init.zeros_(block.scale)
    without = model(images())[-branches:]
    for maps, other, wanted in zip(without, with_blocks, expected, strict=True):
        torch.testing.assert_close(maps, wanted)
        assert not torch.allclose(other, wanted, atol=1e-3)


@pytest.mark.parametrize(('stages', 'count'), [((), 0), ((1,), 1), ((4, 2), 6), ((3, 3), 3)])
def test_only_the_stages_asked_for_have_blocks(stages, count):
    model = build(srf_stages=stages)
    assert sorted(model.srf) == sorted({f'stage{stage}' for stage in stages})
    assert len(model(images())) == count + 1


@pytest.mark.parametrize('stages', [(0,), (2, 5)])
def test_an_unknown_stage_is_refused(stages):
    with pytest.raises(ValueError, match=rf'srf_stages=\[{stages[-1]}\] do not exist'):
        build(srf_stages=stages)


def with_head(codec_cfg, width):
    head = dict(type='HeatmapPAFHead', intermediate_weight=0.2, decoder=codec_cfg)
    return build(width=width), MODELS.build(dict(head, in_channels=width))


def test_every_parameter_learns_once_heatmaps_are_supervised(codec_cfg, make_samples):
    model, head = with_head(codec_cfg, width=32)
    losses = head.loss(model(images()), make_samples(2))
    assert sorted(losses) == ['loss_heatmap', 'loss_intermediate', 'loss_paf']
    sum(losses.values()).backward()
    untrained = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert untrained == []
    still = [name for name, parameter in model.named_parameters() if not parameter.grad.any()]
    assert still == []
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
