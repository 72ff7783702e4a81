"""What every head with heatmaps and fields does; more of it, on one head, in its own file."""

import logging

import numpy as np
import pytest
import torch
from mmengine.runner import load_checkpoint
from mmpose.registry import MODELS

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.maps.calibration import pack_calibration
from unsct_mmpose.maps.heatmap import flip_heatmaps
from unsct_mmpose.maps.paf import flip_paf

LOW = dict(type='HeatmapPAF', input_size=(64, 64), heatmap_size=(16, 16), sigma=1.0)
HIGH = dict(LOW, heatmap_size=(32, 32))
KINDS = {
    'HeatmapPAFHead': (dict(decoder=LOW), LOW),
    'HigherHeatmapPAFHead': (dict(decoder=HIGH, deconv_channels=8, num_blocks=1), [LOW, HIGH]),
    'StackedHeatmapPAFHead': (dict(decoder=LOW, num_stages=2), LOW),
}
EACH = pytest.mark.parametrize('kind', sorted(KINDS))


def build(kind, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type=kind, in_channels=8, **{**KINDS[kind][0], **kwargs}))


@pytest.fixture
def samples(request, make_level_samples):
    return make_level_samples(KINDS[request.getfixturevalue('kind')][1])


def feats(count=2, seed=0):
    """Return two maps of 8 channels: a feature map for heads of one or of two stacks."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(count, 8, 16, 16, generator=generator) for _ in range(2)]


def mirror(maps):
    """Return the maps that the mirrored image should give, from the rules of each kind of map."""
    full = relation_set('full')
    heatmaps = flip_heatmaps(maps[:, :24], [*range(12, 24), *range(12)])
    return torch.cat([heatmaps, flip_paf(maps[:, 24:], full.flip_indices, full.is_cross)], dim=1)


def test_channels_are_heatmaps_and_two_for_each_relation():
    assert build('HeatmapPAFHead').out_channels == 24 + 2 * 52
    core = dict(decoder=None, relations='core')
    assert build('HeatmapPAFHead', **core).out_channels == 24 + 2 * 34


@EACH
def test_what_is_decoded_has_the_size_that_the_codec_expects(kind):
    head = build(kind)
    assert head(feats()).shape == (2, 128, *head.decoder.heatmap_size[::-1])


@EACH
def test_the_core_relations_make_fewer_channels(kind, make_level_samples):
    options, encoders = KINDS[kind]
    several = isinstance(encoders, list)
    core = [dict(encoder, relations='core') for encoder in (encoders if several else [encoders])]
    head = build(kind, relations='core', decoder=dict(options['decoder'], relations='core'))
    assert head(feats()).shape[1] == 92
    losses = head.loss(feats(), make_level_samples(core if several else core[0]))
    assert all(torch.isfinite(value) for value in losses.values())


@EACH
def test_head_and_codec_must_agree_on_the_relations(kind):
    with pytest.raises(ValueError, match='give both the same name'):
        build(kind, relations='core')


@EACH
def test_decoding_without_a_codec_names_the_head(kind):
    with pytest.raises(RuntimeError, match=f'{kind} has no decoder'):
        build(kind, decoder=None).predict(feats(), None)


@EACH
def test_prediction_gives_the_fields_of_the_codec(kind, samples, calibration):
    head = build(kind)
    head.decoder.calibration = calibration()
    expected = head.decoder.decode_maps(head(feats()))
    for prediction, wanted in zip(head.predict(feats(), samples), expected, strict=True):
        assert sorted(prediction.keys()) == sorted(wanted)
        for name, value in wanted.items():
            np.testing.assert_array_equal(prediction.get(name), value, err_msg=name)


@EACH
def test_the_weights_of_equation_9_scale_their_terms(kind, samples):
    plain = build(kind).loss(feats(), samples)
    weighted = build(
        kind,
        heatmap_loss=dict(type='MaskedAdaptiveWingLoss', loss_weight=3.0),
        paf_loss=dict(type='PAFMSELoss', loss_weight=5.0),
    ).loss(feats(), samples)
    for name, factor in (('loss_heatmap', 3), ('loss_paf', 5)):
        assert weighted[name].item() == pytest.approx(factor * plain[name].item(), rel=1e-5)


@EACH
def test_a_flip_test_averages_with_the_mirrored_maps(kind, samples):
    head = build(kind).eval()
    direct, mirrored = feats(), feats(seed=1)
    options = dict(flip_test=True, output_heatmaps=True)
    _, fields = head.predict([direct, mirrored], samples, options)
    found = torch.stack([torch.cat([field.heatmaps, field.pafs]) for field in fields])
    torch.testing.assert_close(found, 0.5 * (head(direct) + mirror(head(mirrored))))


@EACH
def test_a_flip_test_does_not_care_which_image_was_the_mirrored_one(kind):
    head = build(kind).eval()
    one, other = feats(), feats(seed=1)
    torch.testing.assert_close(mirror(head.flip_average(one, other)), head.flip_average(other, one))


@EACH
def test_a_mirrored_image_puts_the_landmarks_at_their_mirrored_places(kind, make_level_samples):
    """Targets of mirrored landmarks, unflipped, are those of the landmarks: no shift."""
    head = build(kind)
    codec = head.decoder
    points = np.random.default_rng(0).uniform(8, 55, (1, 24, 2))
    flipped = points[:, [*range(12, 24), *range(12)]] * [-1, 1] + [63, 0]
    maps, others = (
        torch.from_numpy(np.concatenate([drawn['heatmaps'], drawn['pafs']]))[None]
        for drawn in map(codec.encode, (points, flipped))
    )
    head.forward = lambda feats: feats
    torch.testing.assert_close(head.flip_average(maps, others), maps, atol=1e-5, rtol=0)


@EACH
@pytest.mark.parametrize('loader', ['mmengine', 'torch'])
def test_a_checkpoint_brings_its_calibration_or_takes_it_away(kind, tmp_path, loader, calibration):
    model = torch.nn.ModuleDict(dict(head=build(kind)))
    plain = dict(model.state_dict())
    for content, expected in (
        ({**plain, 'head.calibration': pack_calibration(calibration())}, calibration()),
        (plain, None),
    ):
        torch.save(dict(state_dict=content, meta={}), tmp_path / 'model.pth')
        if loader == 'mmengine':
            load_checkpoint(model, str(tmp_path / 'model.pth'), map_location='cpu', strict=True)
        else:
            state = torch.load(tmp_path / 'model.pth', weights_only=True)['state_dict']
            model.load_state_dict(state, strict=True)
        assert model['head'].decoder.calibration == expected
        assert sorted(model.state_dict()) == sorted(plain)


@EACH
def test_training_voids_the_calibration_and_prediction_does_not(kind, samples, calibration):
    head = build(kind)
    head.decoder.calibration = calibration()
    assert [pred.calibrated.tolist() for pred in head.predict(feats(), samples)] == [[True]] * 2
    assert head.decoder.calibration == calibration()
    head.loss(feats(), samples)
    assert head.decoder.calibration is None


@EACH
def test_unlabelled_landmarks_change_no_loss(kind, samples):
    head = build(kind)
    fields = samples[0].gt_fields
    levels = [fields[0], fields[1]] if isinstance(KINDS[kind][1], list) else [fields]
    samples[0].gt_instance_labels.keypoint_weights[..., 7] = 0
    touching = [index for index, pair in enumerate(relation_set('full').pairs) if 7 in pair]
    samples[0].gt_instance_labels.relation_weights[..., touching] = 0
    before = {name: value.item() for name, value in head.loss(feats(), samples).items()}
    for level in levels:
        level.heatmaps[7] = 1.0
        level.pafs[[2 * index for index in touching]] = 1.0
    after = {name: value.item() for name, value in head.loss(feats(), samples).items()}
    assert after == before


@EACH
def test_targets_of_another_size_are_refused_with_the_cure(kind, make_level_samples):
    odd = dict(LOW, heatmap_size=(8, 8))
    encoders = [odd, HIGH] if isinstance(KINDS[kind][1], list) else odd
    with pytest.raises(ValueError, match=r'maps of 16 x 16 .* targets of 8 x 8'):
        build(kind).loss(feats(), make_level_samples(encoders))


# Nothing is silent


@pytest.fixture
def said(monkeypatch):
    lines = []

    def take(message, logger, level):
        lines.append((message, logger, level))

    monkeypatch.setattr('unsct_mmpose.models.uncertainty_mixin.print_log', take)
    return lines


@EACH
def test_a_model_without_calibration_says_so_once(kind, samples, said):
    head = build(kind)
    head.load_state_dict(head.state_dict())
    for _ in range(3):
        head.predict(feats(), samples)
    ((message, logger, level),) = said
    assert 'no calibration: a fixed limit decides' in message
    assert 'unsct calibrate' in message
    assert (logger, level) == ('current', logging.WARNING)
    build(kind).predict(feats(), samples)  # another model
    assert len(said) == 2


@EACH
def test_a_calibrated_model_says_nothing(kind, samples, said, calibration):
    head = build(kind)
    head.decoder.calibration = calibration()
    head.predict(feats(), samples)
    assert said == []


@EACH
def test_validation_between_epochs_reports_every_landmark_and_test_does_not(kind, samples, said):
    head = build(kind)
    head.forward = lambda feats: torch.zeros(2, 128, 16, 16)  # nothing is there
    reported = [pred.keypoints_visible.max() for pred in head.predict(feats(), samples)]
    assert reported == [0, 0]
    build_forward = type(head).forward.__get__(head)
    head.forward = build_forward
    head.loss(feats(), samples)
    head.forward = lambda feats: torch.zeros(2, 128, 16, 16)
    reported = [pred.keypoints_visible.min() for pred in head.predict(feats(), samples)]
    assert reported == [1, 1]
    assert 'being trained' in said[-1][0]
    head.load_state_dict(head.state_dict())
    reported = [pred.keypoints_visible.max() for pred in head.predict(feats(), samples)]
    assert reported == [0, 0]
