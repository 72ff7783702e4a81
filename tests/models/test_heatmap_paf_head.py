from dataclasses import replace

import numpy as np
import pytest
import torch
from mmengine.runner import load_checkpoint
from mmengine.structures import InstanceData
from mmpose.registry import MODELS

from unsct_mmpose.maps.calibration import pack_calibration
from unsct_mmpose.maps.deciders import DECIDERS, DecisionOptions


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
        [torch.cat([sample.gt_fields.heatmaps, sample.gt_fields.pafs]) for sample in samples]
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
        [torch.cat([sample.gt_fields.heatmaps, sample.gt_fields.pafs]) for sample in samples]
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


# Prediction fields and calibration


def target_maps(samples):
    return torch.stack(
        [torch.cat([sample.gt_fields.heatmaps, sample.gt_fields.pafs]) for sample in samples]
    )


def predicted(head, maps, samples=None):
    """Predict with maps in the place of the network's."""
    head.forward = lambda feats: feats
    return [pred.to_dict() for pred in head.predict(maps, samples)]


def assert_same(found, expected):
    for ours, other in zip(found, expected, strict=True):
        assert sorted(ours) == sorted(other)
        for name, value in ours.items():
            np.testing.assert_array_equal(value, other[name], err_msg=name)


class Estimator(torch.nn.Module):
    """What matters of a pose estimator: its head is called ``head``."""

    def __init__(self, head):
        super().__init__()
        self.head = head


def write_checkpoint(path, model, one):
    """Write weights and a calibration as ``unsct calibrate`` does."""
    state = dict(model.state_dict())
    if one is not None:
        state['head.calibration'] = pack_calibration(one)
    torch.save(dict(state_dict=state, meta={}), path)
    return path


def load_with_mmengine(model, path):
    load_checkpoint(model, str(path), map_location='cpu', strict=True)


def load_with_torch(model, path):
    model.load_state_dict(torch.load(path, weights_only=True)['state_dict'], strict=True)


LOADERS = pytest.mark.parametrize('load', [load_with_mmengine, load_with_torch])


def test_prediction_gives_the_fields_of_the_codec(build, make_samples, calibration):
    head, samples = build(), make_samples(2)
    head.decoder.calibration = calibration()
    maps = target_maps(samples)
    assert_same(predicted(head, maps, samples), head.decoder.decode_maps(maps))
    found = predicted(head, maps, samples)[0]
    assert found['keypoints'].shape == (1, 24, 2)
    assert found['keypoint_covariances'].shape == (1, 24, 2, 2)
    assert found['keypoint_decisions'].shape == (1, 24, 3)
    assert found['calibrated'].tolist() == [True]


def test_noise_that_the_pipeline_noted_is_judged(build, make_samples, calibration):
    head, samples = build(), make_samples(3)
    head.decoder.calibration = replace(calibration(), typical_noise=0.02)
    for sample, noise in zip(samples[:2], (0.01, 0.03), strict=True):
        sample.gt_instances = InstanceData(image_noise=np.array([noise], np.float32))
    states = [pred['image_state'][0] for pred in predicted(head, target_maps(samples), samples)]
    assert states == [0, 1, 0]
    assert predicted(head, target_maps(samples), [])[1]['image_state'] == [0]


def test_the_codecs_threshold_decides_what_is_reported(build, codec_cfg, make_samples):
    samples = make_samples(1)
    maps = target_maps(samples)
    maps[0, 5] *= 0.3
    prediction = predicted(build(decoder=dict(codec_cfg, evidence='peak', threshold=0.5)), maps)[0]
    assert np.flatnonzero(prediction['keypoints_visible'][0] == 0).tolist() == [5]
    every = predicted(build(), maps)[0]
    assert every['keypoints_visible'].min() == 1
    np.testing.assert_array_equal(prediction['keypoints'], every['keypoints'])


def test_covariances_follow_the_scale_of_the_image(build, make_samples):
    head, samples = build(), make_samples(2)
    maps = target_maps(samples)
    plain = predicted(head, maps, samples)
    samples[0].set_metainfo(dict(input_size=(64, 64), input_scale=np.array([640.0, 320.0])))
    scaled = predicted(head, maps, samples)
    factor = np.array([[100.0, 50.0], [50.0, 25.0]])
    np.testing.assert_allclose(
        scaled[0]['keypoint_covariances'], factor * plain[0]['keypoint_covariances']
    )
    np.testing.assert_array_equal(
        scaled[1]['keypoint_covariances'], plain[1]['keypoint_covariances']
    )
    # the pose estimator maps the points back, not the head
    np.testing.assert_array_equal(scaled[0]['keypoints'], plain[0]['keypoints'])


@LOADERS
def test_a_calibrated_checkpoint_decides_as_before(
    build, make_samples, tmp_path, load, calibration
):
    model, samples = Estimator(build()), make_samples(2)
    maps = target_maps(samples)
    maps[0, 3] = 0
    path = write_checkpoint(tmp_path / 'best.pth', model, calibration())
    model.head.decoder.calibration = calibration()
    expected = predicted(model.head, maps)
    assert 0 < expected[0]['keypoints_visible'].mean() < 1

    other = Estimator(build())
    for parameter in other.parameters():
        torch.nn.init.zeros_(parameter)
    assert predicted(other.head, maps)[0]['calibrated'].tolist() == [False]
    load(other, path)
    assert other.head.decoder.calibration == calibration()
    assert_same(predicted(other.head, maps), expected)
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)


@LOADERS
def test_a_checkpoint_without_a_calibration_takes_the_old_one_away(
    build, tmp_path, load, calibration
):
    model = Estimator(build())
    path = write_checkpoint(tmp_path / 'last.pth', model, None)
    model.head.decoder.calibration = calibration()
    load(model, path)
    assert model.head.decoder.calibration is None
    found = predicted(model.head, torch.rand(1, 128, 16, 16))[0]
    assert found['calibrated'].tolist() == [False]
    assert np.isnan(found['keypoint_presence']).all()
    limit = DECIDERS['fused'].bare_threshold(DecisionOptions())
    reported = found['keypoint_uncertainties'] <= limit
    np.testing.assert_array_equal(found['keypoints_visible'], reported)


def test_loading_leaves_the_state_that_it_was_given_alone(build, calibration):
    model = Estimator(build())
    state = {**model.state_dict(), 'head.calibration': pack_calibration(calibration())}
    model.load_state_dict(state)
    assert 'head.calibration' in state
    model.load_state_dict(state)
    assert model.head.decoder.calibration == calibration()


def test_the_weights_of_a_calibrated_model_hold_no_calibration(build, calibration):
    head = build()
    names = sorted(head.state_dict())
    head.decoder.calibration = calibration()
    assert sorted(head.state_dict()) == names
    assert not any('calibration' in name for name in names)


def test_a_broken_calibration_in_a_checkpoint_is_named(build):
    head = build()
    state = {**head.state_dict(), 'calibration': torch.tensor([1, 2, 3], dtype=torch.uint8)}
    with pytest.raises(ValueError, match='calibration in the checkpoint cannot be read'):
        head.load_state_dict(state)


def test_a_head_without_a_codec_loads_a_calibrated_checkpoint(build, calibration):
    head = build(decoder=None)
    state = {**head.state_dict(), 'calibration': pack_calibration(calibration())}
    head.load_state_dict(state, strict=True)


def test_training_voids_the_calibration(build, make_samples, calibration):
    head, samples = build(), make_samples(1)
    head.decoder.calibration = calibration()
    head.predict(feats(1), samples)
    assert head.decoder.calibration is not None
    head.loss(feats(1), samples)
    assert head.decoder.calibration is None


@pytest.mark.parametrize('value', [0.0, 0.5, -2.0])
def test_constant_maps_give_finite_predictions(build, value, calibration):
    head = build()
    head.decoder.calibration = calibration()
    for prediction in predicted(head, torch.full((2, 128, 16, 16), value)):
        assert all(np.isfinite(column).all() for column in prediction.values())


def test_of_an_image_without_landmarks_nothing_is_reported(build, calibration):
    head = build()
    head.decoder.calibration = calibration()
    (found,) = predicted(head, torch.zeros(1, 128, 16, 16))
    assert found['image_state'].tolist() == [2]
    assert not found['keypoints_visible'].any()


def test_an_image_that_makes_the_network_diverge_is_named(build, make_samples):
    maps = target_maps(make_samples(2))
    maps[1, 9, 2, 3] = torch.nan
    with pytest.raises(ValueError, match='heatmap 9 of image 1'):
        predicted(build(), maps)


def test_a_batch_predicts_like_its_images(build, calibration):
    head = build()
    head.decoder.calibration = calibration()
    maps = torch.rand(3, 128, 16, 16, generator=torch.Generator().manual_seed(0))
    for index, together in enumerate(predicted(head, maps)):
        (alone,) = predicted(head, maps[index : index + 1])
        for name, value in together.items():
            np.testing.assert_allclose(value, alone[name], atol=1e-5)


@pytest.mark.parametrize('present', [None, [1] * 12 + [0] * 12])
def test_targets_drawn_late_cost_what_those_of_the_pipeline_cost(
    build, make_level_samples, codec_cfg, present
):
    head = build(intermediate_weight=0.5)
    early = head.loss(feats(), make_level_samples(codec_cfg, present=present))
    late = head.loss(feats(), make_level_samples(dict(codec_cfg, draw_late=True), present=present))
    assert {name: loss.item() for name, loss in late.items()} == pytest.approx(
        {name: loss.item() for name, loss in early.items()}
    )


def test_silence_costs_about_the_same_on_every_level(build, make_samples):
    head, samples = build(intermediate_weight=1.0), make_samples(2)

    def silence(size):
        maps = torch.zeros(2, 24, size, size)
        return head.loss((maps, torch.zeros(2, 8, 16, 16)), samples)['loss_intermediate'].item()

    assert 0.5 < silence(8) / silence(16) < 2
