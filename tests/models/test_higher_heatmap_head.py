import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

LOW = dict(type='LandmarkHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1.0)
HIGH = dict(LOW, heatmap_size=(32, 32))


def build(**kwargs):
    torch.manual_seed(0)
    cfg = dict(type='HigherHeatmapHead', in_channels=8, out_channels=24, decoder=HIGH)
    return MODELS.build({**cfg, 'deconv_channels': 8, 'num_blocks': 1, **kwargs})


def feats(count=2, seed=0):
    return (torch.rand(count, 8, 16, 16, generator=torch.Generator().manual_seed(seed)),)


def levels_of(samples):
    return [
        torch.stack([sample.gt_fields[level].heatmaps for sample in samples]) for level in (0, 1)
    ]


def landmarks(samples):
    return np.concatenate([sample.gt_instances.keypoints for sample in samples])


def test_the_second_level_is_twice_as_fine():
    low, high = build().forward_levels(feats())
    assert (low.shape, high.shape) == ((2, 24, 16, 16), (2, 24, 32, 32))
    assert build()(feats()).shape == (2, 24, 32, 32)


def test_the_last_feature_map_is_read_and_those_before_it_are_not():
    head = build().eval()
    torch.testing.assert_close(head((torch.rand(2, 5, 7, 7), *feats())), head(feats()))


def test_the_low_maps_are_part_of_what_the_high_ones_come_from():
    head = build().eval()
    low, high = head.forward_levels(feats())
    torch.nn.init.constant_(head.final_layer.bias, 3.0)
    raised_low, changed_high = head.forward_levels(feats())
    assert (raised_low - low).abs().min() > 2
    assert not torch.allclose(high, changed_high, atol=1e-3)


def test_the_number_of_blocks_and_channels_can_be_chosen():
    head = build(num_blocks=3, deconv_channels=12)
    assert len(head.blocks) == 3
    assert head.high_layer.in_channels == 12


def test_losses_reach_every_parameter(make_level_samples):
    head = build()
    losses = head.loss(feats(), make_level_samples([LOW, HIGH]))
    assert sorted(losses) == ['loss_kpt']
    losses['loss_kpt'].backward()
    still = [
        name
        for name, parameter in head.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert still == []


def test_the_loss_vanishes_on_the_targets_and_counts_both_levels(make_level_samples):
    head, samples = build(), make_level_samples([LOW, HIGH])
    low, high = levels_of(samples)

    def loss(*maps):
        head.forward_levels = lambda feats: list(maps)
        return head.loss(feats(), samples)['loss_kpt'].item()

    assert loss(low, high) == 0
    assert loss(low + 1, high) == pytest.approx(1)
    assert loss(low, high + 1) == pytest.approx(1)
    assert loss(low + 1, high + 1) == pytest.approx(2)


def test_an_absent_landmark_is_left_alone_at_both_levels(make_level_samples):
    present = np.ones(24)
    present[7] = 0
    head, samples = build(), make_level_samples([LOW, HIGH], present=present)
    low, high = levels_of(samples)
    low[:, 7], high[:, 7] = 5.0, 5.0
    head.forward_levels = lambda feats: [low, high]
    assert head.loss(feats(), samples)['loss_kpt'].item() == 0


def test_targets_of_one_resolution_are_refused_with_the_cure(make_level_samples):
    with pytest.raises(ValueError, match=r'GenerateTarget\(encoder=\[low, high\], multilevel'):
        build().loss(feats(), make_level_samples(LOW))


@pytest.mark.parametrize('encoders', [[HIGH, LOW], [LOW], [LOW, HIGH, HIGH], [LOW, LOW]])
def test_targets_of_other_resolutions_are_refused_with_the_cure(make_level_samples, encoders):
    with pytest.raises(ValueError, match=r'GenerateTarget\(encoder=\[low, high\], multilevel'):
        build().loss(feats(), make_level_samples(encoders))


def test_two_levels_of_the_same_landmarks_are_averaged_in_place(make_level_samples):
    head, samples = build(), make_level_samples([LOW, HIGH], count=4)
    head.forward_levels = lambda feats: levels_of(samples)
    preds = head.predict(feats(4), samples)
    found = np.concatenate([pred.keypoints for pred in preds])
    assert np.abs(found - landmarks(samples)).max() < 0.3
    scores = np.concatenate([pred.keypoint_scores for pred in preds])
    assert scores.min() > 0.6 and scores.max() <= 1
    offsets = (found - landmarks(samples)).mean(axis=(0, 1))
    np.testing.assert_allclose(offsets, 0, atol=0.05)


def test_a_flip_test_of_a_mirrored_world_agrees_with_itself(make_level_samples):
    head, samples = build(), make_level_samples([LOW, HIGH])
    low, high = levels_of(samples)
    pairs = samples[0].metainfo['flip_indices']
    head.forward_levels = lambda levels: list(levels)
    mirrored = [maps[:, pairs].flip(-1) for maps in (low, high)]
    options = dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False, output_heatmaps=True)
    preds, fields = head.predict([[low, high], mirrored], samples, options)
    torch.testing.assert_close(torch.stack([field.heatmaps for field in fields]), head([low, high]))
    found = np.concatenate([pred.keypoints for pred in preds])
    assert np.abs(found - landmarks(samples)).max() < 0.3


def test_maps_start_silent_and_the_layers_before_them_do_not():
    head = build(num_blocks=2)
    head.init_weights()
    spread = {
        name: parameter.std().item()
        for name, parameter in head.named_parameters()
        if parameter.ndim == 4
    }
    assert len(spread) == 7
    for name, value in spread.items():
        assert (value < 0.002) == (name in ('final_layer.weight', 'high_layer.weight')), name
        assert value < 0.002 or value > 0.03, name
    assert all(maps.abs().max() < 0.1 for maps in head.eval().forward_levels(feats()))
