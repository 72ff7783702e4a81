import numpy as np
import pytest
import torch
from mmpose.registry import MODELS


@pytest.fixture
def build(codec_cfg):
    def build(**kwargs):
        torch.manual_seed(0)
        cfg = dict(type='StackedHeatmapPAFHead', in_channels=8, num_stages=3, decoder=codec_cfg)
        return MODELS.build({**cfg, **kwargs})

    return build


def feats(count=2, stacks=3):
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(count, 8, 16, 16, generator=generator) for _ in range(stacks)]


def targets_of(samples):
    return torch.stack(
        [torch.cat([sample.gt_fields.heatmaps, sample.gt_fields.pafs]) for sample in samples]
    )


def test_every_stack_gives_heatmaps_and_fields(build):
    levels = build().forward_levels(feats())
    assert [tuple(level.shape) for level in levels] == 3 * [(2, 128, 16, 16)]


def test_the_last_stack_is_decoded(build, make_samples):
    head, samples = build(), make_samples(2)
    maps = head(feats())
    torch.testing.assert_close(maps, head.forward_levels(feats())[-1])
    others = [torch.rand(2, 8, 16, 16), torch.rand(2, 8, 16, 16), feats()[-1]]
    torch.testing.assert_close(head(others), maps)
    assert not torch.allclose(head(others[::-1]), maps, atol=1e-3)
    for found, wanted in zip(
        head.predict(feats(), samples), head.decoder.decode_maps(maps), strict=True
    ):
        np.testing.assert_array_equal(found.keypoints, wanted['keypoints'])


def test_losses_reach_every_stack(build, make_samples):
    head = build()
    losses = head.loss(feats(), make_samples(2))
    assert sorted(losses) == ['loss_heatmap', 'loss_paf']
    sum(losses.values()).backward()
    assert len(list(head.parameters())) == 6
    assert all(parameter.grad.any() for parameter in head.parameters())


def test_losses_vanish_on_the_targets_and_count_every_stack(build, make_samples):
    head, samples = build(), make_samples(2)
    target = targets_of(samples)

    def losses(*shifts):
        head.forward_levels = lambda feats: [target + shift for shift in shifts]
        return {name: value.item() for name, value in head.loss(feats(), samples).items()}

    assert losses(0, 0, 0) == dict(loss_heatmap=0, loss_paf=0)
    alone = [losses(*shifts) for shifts in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    for name, value in losses(1, 1, 1).items():
        assert alone[0][name] == alone[1][name] == alone[2][name] > 0
        assert value == pytest.approx(3 * alone[0][name], rel=1e-5)


@pytest.mark.parametrize('stacks', [2, 4])
def test_another_number_of_stacks_is_refused(build, make_samples, stacks):
    with pytest.raises(ValueError, match='argument'):
        build().loss(feats(stacks=stacks), make_samples(2))


def test_each_stack_may_have_targets_of_its_own(build, codec_cfg, make_level_samples):
    sharp, blurred = codec_cfg, dict(codec_cfg, sigma=2.0)
    head, samples = build(num_stages=2), make_level_samples([blurred, sharp])
    levels = [
        torch.stack(
            [
                torch.cat([sample.gt_fields[i].heatmaps, sample.gt_fields[i].pafs])
                for sample in samples
            ]
        )
        for i in (0, 1)
    ]
    head.forward_levels = lambda feats: levels
    assert head.loss(feats(), samples)['loss_heatmap'].item() == 0
    head.forward_levels = lambda feats: levels[::-1]
    assert head.loss(feats(), samples)['loss_heatmap'].item() > 0


def test_it_reads_what_mmposes_hourglass_gives(build, make_samples):
    torch.manual_seed(0)
    backbone = MODELS.build(
        dict(
            type='HourglassNet',
            num_stacks=2,
            downsample_times=2,
            stage_channels=(256, 16, 16),
            stage_blocks=(1, 1, 1),
            feat_channel=16,
        )
    )
    head = build(in_channels=16, num_stages=2)
    losses = head.loss(backbone(torch.randn(2, 3, 64, 64)), make_samples(2))
    assert all(torch.isfinite(value) for value in losses.values())
