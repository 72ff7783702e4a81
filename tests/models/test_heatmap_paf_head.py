import numpy as np
import pytest
import torch
from mmpose.registry import MODELS


@pytest.fixture
def build(codec_cfg):
    def build(**kwargs):
        torch.manual_seed(0)
        cfg = dict(type='HeatmapPAFHead', in_channels=8, decoder=codec_cfg)
        return MODELS.build({**cfg, **kwargs})

    return build


def feats(count=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    coarse = [torch.rand(count, 24, size, size, generator=generator) for size in (4, 8, 16)]
    return (*coarse, torch.rand(count, 8, 16, 16, generator=generator))


def test_the_output_is_one_tensor_of_heatmaps_and_fields(build):
    assert build()(feats()).shape == (2, 24 + 104, 16, 16)


def test_losses_reach_every_parameter(build, make_samples):
    head = build()
    losses = head.loss(feats(), make_samples(2))
    assert sorted(losses) == ['loss_heatmap', 'loss_paf']
    sum(losses.values()).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in head.parameters())


def test_losses_vanish_when_the_maps_are_the_targets(build, make_samples):
    head, samples = build(), make_samples(2)
    targets = torch.stack(
        [torch.cat([one.gt_fields.heatmaps, one.gt_fields.pafs]) for one in samples]
    )
    head.forward = lambda feats: targets
    losses = head.loss(feats(), samples)
    assert losses['loss_heatmap'] == pytest.approx(0, abs=1e-6)
    assert losses['loss_paf'] == pytest.approx(0, abs=1e-6)


def test_the_weights_of_equation_9_scale_their_terms(build, make_samples):
    samples = make_samples(2)
    plain = build().loss(feats(), samples)
    weighted = build(
        heatmap_loss=dict(type='MaskedAdaptiveWingLoss', loss_weight=3.0),
        paf_loss=dict(type='PAFMSELoss', loss_weight=5.0),
    ).loss(feats(), samples)
    assert weighted['loss_heatmap'].item() == pytest.approx(3 * plain['loss_heatmap'].item())
    assert weighted['loss_paf'].item() == pytest.approx(5 * plain['loss_paf'].item())


def test_coarse_heatmaps_are_supervised_on_request(build, make_samples):
    losses = build(intermediate_weight=0.5).loss(feats(), make_samples(2))
    half = losses['loss_intermediate']
    whole = build(intermediate_weight=1.0).loss(feats(), make_samples(2))['loss_intermediate']
    assert half.item() == pytest.approx(whole.item() / 2)


def test_features_that_are_no_heatmaps_are_refused_as_intermediate(build, make_samples):
    branches = (torch.rand(2, 16, 8, 8), torch.rand(2, 8, 16, 16))
    with pytest.raises(ValueError, match='coarse heatmaps of 24 channels'):
        build(intermediate_weight=0.5).loss(branches, make_samples(2))


def test_unlabelled_landmarks_change_no_loss(build, make_samples):
    head = build()
    samples = make_samples(1)
    samples[0].gt_instance_labels.keypoint_weights[0, 7] = 0
    before = head.loss(feats(1), samples)['loss_heatmap']
    samples[0].gt_fields.heatmaps[7] = 1.0
    assert head.loss(feats(1), samples)['loss_heatmap'].item() == before.item()


def test_prediction_gives_landmarks_scores_and_decisions(build, make_samples):
    preds = build().predict(feats(), make_samples(2))
    assert len(preds) == 2
    assert preds[0].keypoints.shape == (1, 24, 2)
    assert preds[0].keypoint_scores.shape == (1, 24)
    assert set(np.unique(preds[0].keypoints_visible)) <= {0.0, 1.0}


def test_prediction_gives_the_maps_on_request(build, make_samples):
    _, fields = build().predict(feats(), make_samples(2), dict(output_heatmaps=True))
    assert fields[1].heatmaps.shape == (24, 16, 16)
    assert fields[1].pafs.shape == (104, 16, 16)


def test_a_flip_test_of_a_mirrored_world_agrees_with_itself(build, make_samples):
    head, samples = build(), make_samples(2)
    targets = torch.stack(
        [torch.cat([one.gt_fields.heatmaps, one.gt_fields.pafs]) for one in samples]
    )
    mirrored = head._unflip(targets)
    head.forward = lambda maps: maps
    _, fields = head.predict(
        [targets, mirrored], samples, dict(flip_test=True, output_heatmaps=True)
    )
    for field, target in zip(fields, targets, strict=True):
        torch.testing.assert_close(torch.cat([field.heatmaps, field.pafs]), target)


def test_head_and_codec_must_agree_on_the_relations(build, codec_cfg):
    with pytest.raises(ValueError, match='give both the same name'):
        build(relations='core')


def test_decoding_without_a_codec_says_what_is_missing(build):
    with pytest.raises(RuntimeError, match='decoder'):
        build(decoder=None).decode(torch.zeros(1, 128, 16, 16))
