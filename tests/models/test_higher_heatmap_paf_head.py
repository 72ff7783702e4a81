import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

LOW = dict(type='HeatmapPAF', input_size=(64, 64), heatmap_size=(16, 16), sigma=1.0)
HIGH = dict(LOW, heatmap_size=(32, 32))


def build(**kwargs):
    torch.manual_seed(0)
    cfg = dict(type='HigherHeatmapPAFHead', in_channels=8, decoder=HIGH)
    return MODELS.build({**cfg, 'deconv_channels': 8, 'num_blocks': 1, **kwargs})


def feats(count=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    coarse = [torch.rand(count, 24, size, size, generator=generator) for size in (4, 8, 16)]
    return (*coarse, torch.rand(count, 8, 16, 16, generator=generator))


def levels_of(samples):
    return [
        torch.stack([torch.cat([fields.heatmaps, fields.pafs]) for fields in level])
        for level in ([sample.gt_fields[index] for sample in samples] for index in (0, 1))
    ]


def landmarks(samples):
    return np.concatenate([sample.gt_instances.keypoints for sample in samples])


def test_both_levels_hold_heatmaps_and_fields():
    head = build()
    assert [tuple(level.shape) for level in head.forward_levels(feats())] == [
        (2, 128, 16, 16), (2, 128, 32, 32),
    ]  # fmt: skip
    assert head(feats()).shape == (2, 128, 32, 32)


def test_losses_reach_every_parameter(make_level_samples):
    head = build()
    losses = head.loss(feats(), make_level_samples([LOW, HIGH]))
    assert sorted(losses) == ['loss_heatmap', 'loss_paf']
    sum(losses.values()).backward()
    still = [
        name
        for name, parameter in head.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert still == []


def test_losses_vanish_on_the_targets_and_count_both_levels(make_level_samples):
    head, samples = build(), make_level_samples([LOW, HIGH])
    low, high = levels_of(samples)

    def losses(*maps):
        head.forward_levels = lambda feats: list(maps)
        return {name: value.item() for name, value in head.loss(feats(), samples).items()}

    assert losses(low, high) == dict(loss_heatmap=0, loss_paf=0)
    only_low, only_high, both = (
        losses(low + change, high + other) for change, other in ((1, 0), (0, 1), (1, 1))
    )
    for name, value in both.items():
        assert only_low[name] > 0 < only_high[name]
        assert value == pytest.approx(only_low[name] + only_high[name], rel=1e-5)


def test_coarse_heatmaps_are_held_against_the_low_targets(make_level_samples):
    samples = make_level_samples([LOW, HIGH])
    low, _ = levels_of(samples)
    coarse = [torch.nn.functional.adaptive_max_pool2d(low[:, :24], size) for size in (4, 8, 16)]
    head = build(intermediate_weight=0.5)
    assert head.loss((*coarse, feats()[-1]), samples)['loss_intermediate'].item() == 0
    assert head.loss(feats(), samples)['loss_intermediate'].item() > 0


def test_targets_of_one_resolution_are_refused_with_the_cure(make_level_samples):
    with pytest.raises(ValueError, match='GenerateTarget one encoder for each'):
        build().loss(feats(), make_level_samples(LOW))


@pytest.mark.parametrize('encoders', [[HIGH, LOW], [LOW], [LOW, HIGH, HIGH], [LOW, LOW]])
def test_targets_of_other_resolutions_are_refused_with_the_cure(make_level_samples, encoders):
    with pytest.raises(ValueError, match='GenerateTarget one encoder for each'):
        build().loss(feats(), make_level_samples(encoders))


def test_two_levels_of_the_same_landmarks_are_averaged_in_place(make_level_samples):
    head, samples = build(), make_level_samples([LOW, HIGH], count=4)
    head.forward_levels = lambda feats: levels_of(samples)
    preds = head.predict(feats(4), samples)
    found = np.concatenate([pred.keypoints for pred in preds])
    assert np.abs(found - landmarks(samples)).max() < 0.3
    scores = np.concatenate([pred.keypoint_scores for pred in preds])
    assert scores.min() > 0.6 and scores.max() <= 1
    np.testing.assert_allclose((found - landmarks(samples)).mean(axis=(0, 1)), 0, atol=0.05)


def test_the_averaged_fields_support_the_landmarks(make_level_samples):
    head, samples = build(), make_level_samples([LOW, HIGH])
    head.forward_levels = lambda feats: levels_of(samples)
    evidence, _ = head.decoder.assess(head.forward(feats()))
    assert evidence.relation_alignment.median() > 0.7


def test_an_absent_landmark_is_silent_at_both_levels(make_level_samples):
    present = np.ones(24)
    present[7] = 0
    head, samples = build(), make_level_samples([LOW, HIGH], present=present)
    low, high = levels_of(samples)
    assert low[:, 7].abs().max() == high[:, 7].abs().max() == 0
    head.forward_levels = lambda feats: [low, high]
    assert head.loss(feats(), samples)['loss_heatmap'].item() == 0
    low[:, 7] = 1.0
    assert head.loss(feats(), samples)['loss_heatmap'].item() > 0


@pytest.mark.parametrize('present', [None, [1] * 12 + [0] * 12])
def test_one_late_codec_draws_both_levels_as_the_pipeline_draws_them(make_level_samples, present):
    head = build(intermediate_weight=0.5)
    early = head.loss(feats(), make_level_samples([LOW, HIGH], present=present))
    late = head.loss(feats(), make_level_samples(dict(HIGH, draw_late=True), present=present))
    assert {name: loss.item() for name, loss in late.items()} == pytest.approx(
        {name: loss.item() for name, loss in early.items()}, rel=1e-5
    )


def test_late_targets_of_another_size_than_the_decoders_are_refused(make_level_samples):
    head, samples = build(), make_level_samples(dict(HIGH, draw_late=True))
    head.decoder.heatmap_size = (64, 64)
    with pytest.raises(ValueError, match='of 64 x 64: set heatmap_size of the codec'):
        head.loss(feats(), samples)
