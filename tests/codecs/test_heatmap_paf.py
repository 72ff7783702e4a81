import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmpose.registry import KEYPOINT_CODECS

from unsct_mmpose.anatomy import FLIP_INDICES, LANDMARK_CLASSES, relation_set
from unsct_mmpose.anatomy.parameters import split_side
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES
from unsct_mmpose.functional.error_structure import peak_variances
from unsct_mmpose.maps.calibration import RULES, Calibration
from unsct_mmpose.maps.deciders import DECIDERS, PAPER_THRESHOLD, DecisionOptions
from unsct_mmpose.maps.evidence import DecodeOptions
from unsct_mmpose.maps.fusion import Fusion, MonotoneLogistic
from unsct_mmpose.maps.heatmap import flip_heatmaps
from unsct_mmpose.maps.paf import flip_paf
from unsct_mmpose.maps.uncertainty import alignment_entropy

SIZE = dict(input_size=(128, 96), heatmap_size=(32, 24))


@pytest.fixture
def codec():
    return KEYPOINT_CODECS.build(dict(type='HeatmapPAF', sigma=1.5, **SIZE))


@pytest.fixture
def points():
    return np.random.default_rng(0).uniform((12, 12), (115, 83), (1, 24, 2))


def test_a_landmark_survives_encoding_and_decoding(codec, points):
    decoded = codec.decode(codec.encode(points)['heatmaps'])
    assert decoded.keypoints.shape == (1, 24, 2)
    np.testing.assert_allclose(decoded.keypoints, points, atol=0.2)
    assert decoded.keypoint_scores.min() > 0.8


def test_targets_have_the_documented_shapes(codec, points):
    encoded = codec.encode(points)
    assert encoded['heatmaps'].shape == (24, 24, 32)
    assert encoded['pafs'].shape == (104, 24, 32)
    assert encoded['keypoint_weights'].shape == (1, 24)
    assert encoded['relation_weights'].shape == (1, 52)
    assert len(codec.landmarks) + 2 * len(codec.relations) == 128
    assert all(value.dtype == np.float32 for value in encoded.values())


def test_an_absent_landmark_is_supervised_to_be_silent(codec, points):
    present = np.ones((1, 24))
    present[0, 5] = 0
    encoded = codec.encode(points, present)
    touching = [i for i, pair in enumerate(relation_set('full').pairs) if 5 in pair]
    assert encoded['keypoint_weights'].min() == 1
    assert encoded['relation_weights'].min() == 1
    assert encoded['heatmaps'][5].max() == 0
    assert np.abs(encoded['pafs'].reshape(52, -1)[touching]).max() == 0
    others = np.delete(encoded['pafs'].reshape(52, -1), touching, axis=0)
    assert np.abs(others).max(axis=1).min() > 0


def test_an_unlabelled_landmark_is_left_alone(codec, points):
    labelled = np.ones((1, 24))
    labelled[0, 5] = 0
    encoded = codec.encode(points, labelled, labelled)
    pairs = np.asarray(relation_set('full').pairs)
    np.testing.assert_array_equal(encoded['keypoint_weights'], labelled)
    np.testing.assert_array_equal(encoded['relation_weights'][0], (pairs != 5).all(axis=1))


def test_a_landmark_outside_the_image_is_silent_but_supervised(codec, points):
    points[0, 3] = (-4.0, 40.0)
    points[0, 4] = (127.4, 40.0)
    encoded = codec.encode(points)
    assert encoded['heatmaps'][3].max() == 0
    assert encoded['heatmaps'][4].max() > 0
    assert encoded['keypoint_weights'][0, 3] == 1


def test_mirroring_the_landmarks_mirrors_the_targets(codec, points):
    mirrored = points[:, list(FLIP_INDICES)] * [-1, 1] + [127, 0]
    encoded, flipped = codec.encode(points), codec.encode(mirrored)
    relations = relation_set('full')
    heatmaps = flip_heatmaps(torch.from_numpy(encoded['heatmaps'])[None], FLIP_INDICES)[0]
    pafs = flip_paf(
        torch.from_numpy(encoded['pafs'])[None], relations.flip_indices, relations.is_cross
    )[0]
    np.testing.assert_allclose(heatmaps.numpy(), flipped['heatmaps'], atol=1e-5)
    np.testing.assert_allclose(pafs.numpy(), flipped['pafs'], atol=1e-5)


# Decoding


def maps_of(codec, points, absent=()):
    """Return the network output that the codec would teach, ``(K + 2 L, H, W)``."""
    present = np.ones((1, 24))
    present[0, list(absent)] = 0
    encoded = codec.encode(points, present)
    return torch.from_numpy(np.concatenate([encoded['heatmaps'], encoded['pafs']]))


def calibrated(codec, threshold=0.5, region=2.0):
    """Give the codec a calibration: P(present) rises with the peak and the fields."""
    model = MonotoneLogistic(0.0, (1.0, 1.0), (0.0, 0.5), (1.0, 0.2), (1, 1))
    rules = dict.fromkeys(RULES, threshold)
    codec.calibration = Calibration(
        rule='equal_cost',
        entropy='mirror',
        aggregation='peel',
        relations=codec.evidence_relations.name,
        thresholds={name: dict(rules) for name in DECIDERS},
        fusion=Fusion(('peak', 'supported'), model, (1.0,) * len(codec.evidence_relations)),
        region_level=0.95,
        region_scales={landmark.name: region * landmark.number for landmark in LANDMARK_CLASSES},
        interval_level=0.95,
        interval_scales=dict.fromkeys({split_side(name)[1] for name in MEASUREMENT_NAMES}, 2.5),
        typical_agreement=0.6,
        typical_quorum=0.8,
    )
    return codec


def build(**kwargs):
    return KEYPOINT_CODECS.build(dict(type='HeatmapPAF', sigma=1.5, **SIZE, **kwargs))


def noise(count, seed=0):
    return torch.rand(count, 128, 24, 32, generator=torch.Generator().manual_seed(seed))


def test_decoding_gives_four_named_values(codec, points):
    decoded = codec.decode(maps_of(codec, points).numpy())
    assert decoded._fields == (
        'keypoints', 'keypoint_scores', 'keypoint_uncertainties', 'keypoints_visible',
    )  # fmt: skip
    keypoints, scores, uncertainties, reported = decoded
    assert keypoints.shape == (1, 24, 2)
    assert scores.shape == uncertainties.shape == reported.shape == (1, 24)
    np.testing.assert_allclose(keypoints, points, atol=0.2)
    assert 0 <= uncertainties.min() <= uncertainties.max() < 0.3
    assert reported.tolist() == [[1] * 24]


def test_a_batch_decodes_like_its_images():
    codec = calibrated(build())
    maps = noise(3)
    batch = codec.batch_decode(maps)
    assert all(len(column) == 3 for column in batch)
    for index, image in enumerate(maps):
        for together, alone in zip(batch, codec.decode(image.numpy()), strict=True):
            np.testing.assert_allclose(together[index], alone, atol=1e-5)
    for index, row in enumerate(codec.decode_maps(maps)):
        (alone,) = codec.decode_maps(maps[index : index + 1])
        assert sorted(row) == sorted(alone)
        for name, value in row.items():
            np.testing.assert_allclose(value, alone[name], atol=1e-5, equal_nan=True)


@pytest.mark.parametrize(('threshold', 'reported'), [(np.inf, [1, 1, 1]), (0.5, [0, 1, 1])])
def test_a_threshold_on_one_minus_the_peak_decides_what_is_reported(threshold, reported):
    codec = build(evidence='peak', threshold=threshold)
    maps = torch.zeros(128, 24, 32)
    maps[:3, 12, 16] = torch.tensor([0.1, 0.5, 0.9])
    decoded = codec.decode(maps)
    assert decoded.keypoint_uncertainties[0, :3] == pytest.approx([0.9, 0.5, 0.1])
    assert decoded.keypoints_visible[0, :3].tolist() == reported


@pytest.mark.parametrize('evidence', DECIDERS)
def test_an_absent_landmark_is_rejected_by_every_evidence(evidence, points):
    codec = calibrated(build(evidence=evidence))
    decoded = codec.decode(maps_of(codec, points, absent=[4, 17]))
    assert np.flatnonzero(decoded.keypoints_visible == 0).tolist() == [4, 17]
    assert decoded.keypoint_uncertainties[0, [4, 17]].min() > 0.5


def test_a_rejected_landmark_keeps_its_coordinates(points):
    maps = maps_of(build(), points)
    maps[5] *= 0.2
    reported, rejected = (
        build(evidence='peak', threshold=limit).decode(maps) for limit in (None, 0.5)
    )
    assert rejected.keypoints_visible[0, 5] == 0
    assert rejected.keypoints_visible.sum() == 23
    np.testing.assert_array_equal(rejected.keypoints, reported.keypoints)
    np.testing.assert_allclose(rejected.keypoints, points, atol=0.2)


def test_options_reach_the_reading_and_the_decision():
    codec = build(
        refinement='none', samples=11, evidence='paf',
        entropy='linear', aggregation='paper', rule='recall', threshold=0.4,
    )  # fmt: skip
    assert codec.reading == DecodeOptions(1.5, 'none', 11)
    assert codec.decision == DecisionOptions('paf', 'linear', 'paper', 'recall', 0.4)
    assert codec.calibration is None


@pytest.mark.parametrize('option', ['evidence', 'entropy', 'aggregation', 'rule'])
def test_an_unknown_option_is_refused_when_the_codec_is_built(option):
    with pytest.raises(ValueError, match=f"unknown {option} 'other'"):
        build(**{option: 'other'})


def test_of_all_relations_those_that_were_chosen_speak(points):
    full, core = relation_set('full'), relation_set('core')
    every, chosen = build(evidence_relations='full'), build()
    assert chosen.evidence_relations == core
    generator = torch.Generator().manual_seed(0)
    maps = maps_of(chosen, points)[None]
    maps[:, 24:] += 0.3 * torch.randn(1, 104, 24, 32, generator=generator)
    rows = [full.pairs.index(pair) for pair in core.pairs]
    found, whole = (codec.assess(maps)[0].relation_alignment for codec in (chosen, every))
    assert found.shape == (1, 34)
    torch.testing.assert_close(found, whole[:, rows])
    chosen.calibration = object()  # of 34 relations
    chosen.use_all_relations()
    torch.testing.assert_close(chosen.assess(maps)[0].relation_alignment, whole)


def test_fields_that_were_not_learnt_cannot_speak():
    with pytest.raises(ValueError, match="not among the 'core' ones: set evidence_relations='core"):
        build(relations='core', evidence_relations='full')
    assert build(relations='core').evidence_relations == relation_set('core')


def test_reading_gives_the_documented_fields(points):
    codec = calibrated(build())
    found = codec.decode_maps(maps_of(codec, points)[None])[0]
    shapes = {name: value.shape for name, value in found.items()}
    each = dict.fromkeys(
        ('keypoint_scores', 'keypoint_uncertainties', 'keypoints_visible', 'keypoint_presence',
         'keypoint_support'), (1, 24),
    )  # fmt: skip
    assert shapes == dict(
        **each,
        keypoints=(1, 24, 2),
        keypoint_covariances=(1, 24, 2, 2),
        keypoint_evidences=(1, 24, 3),
        keypoint_decisions=(1, 24, 3),
        interval_scales=(1, len(MEASUREMENT_NAMES)),
        interval_offsets=(1, len(MEASUREMENT_NAMES)),
        error_correlation=(1, 48, 48),
        image_state=(1,),
        calibrated=(1,),
    )
    assert found['calibrated'].tolist() == [True]
    assert (found['interval_scales'] == 2.5).all()
    assert found['keypoint_presence'].min() > 0.8
    np.testing.assert_allclose(
        found['keypoint_uncertainties'], 1 - found['keypoint_presence'], atol=1e-6
    )


def test_without_a_calibration_there_is_no_probability_and_no_scale(codec, points):
    found = codec.decode_maps(maps_of(codec, points, absent=[3])[None])[0]
    assert found['calibrated'].tolist() == [False]
    assert np.isnan(found['keypoint_presence']).all()
    assert found['image_state'].tolist() == [0]
    assert set(found['interval_scales'].ravel().round(2)) == {1.96}


def test_covariances_are_in_input_pixels_squared_and_scaled_by_the_calibration(codec, points):
    maps = maps_of(codec, points)[None]
    evidence, _ = codec.assess(maps)
    cells = evidence.covariances[0].numpy()
    plain = codec.decode_maps(maps)[0]['keypoint_covariances'][0]
    np.testing.assert_allclose(plain, 16 * cells, rtol=1e-6)  # a cell is 4 pixels wide
    scaled = calibrated(codec).decode_maps(maps)[0]['keypoint_covariances'][0]
    for landmark in LANDMARK_CLASSES:
        for index in (landmark.number - 1, landmark.number + 11):
            np.testing.assert_allclose(scaled[index], 2 * landmark.number * plain[index])


def test_a_faint_landmark_has_a_wider_covariance_where_the_calibration_says_so(codec, points):
    maps = maps_of(codec, points)[None]
    maps[0, 4] *= 0.5
    codec = calibrated(codec)
    before = codec.decode_maps(maps)[0]['keypoint_covariances'][0]
    codec.calibration = replace(codec.calibration, peak_power=2.0)
    after = codec.decode_maps(maps)[0]['keypoint_covariances'][0]
    wider = after[:, 0, 0] / before[:, 0, 0]
    peaks = codec.assess(maps)[0].peak[0].numpy()
    np.testing.assert_allclose(wider, peak_variances(peaks) ** 2, rtol=1e-5)
    assert wider[4] > 20 * np.delete(wider, 4).max()


def test_cells_that_are_not_square_stretch_the_covariances(points):
    codec = KEYPOINT_CODECS.build(
        dict(type='HeatmapPAF', input_size=(128, 192), heatmap_size=(32, 24), sigma=1.5)
    )
    found = codec.decode_maps(maps_of(codec, points)[None])[0]['keypoint_covariances'][0]
    assert np.median(found[:, 1, 1] / found[:, 0, 0]) == pytest.approx(4, rel=0.1)


def test_heatmaps_alone_are_decoded_without_a_calibration(points):
    codec = calibrated(build())
    found = codec.decode_maps(maps_of(codec, points, absent=[2])[None, :24])[0]
    assert found['calibrated'].tolist() == [False]
    assert found['keypoints_visible'].min() == 1
    assert np.isnan(found['keypoint_presence']).all()
    assert not found['keypoint_support'].all()
    assert found['interval_scales'].max() < 2
    present = [index for index in range(24) if index != 2]
    np.testing.assert_allclose(found['keypoints'][0, present], points[0, present], atol=0.2)


# Without a calibration


@pytest.mark.parametrize('evidence', DECIDERS)
@pytest.mark.parametrize('faint', [1.0, 0.5])
def test_without_a_calibration_a_fixed_limit_rejects_the_absent(evidence, faint, points):
    codec = build(evidence=evidence)
    decoded = codec.decode(faint * maps_of(codec, points, absent=[4, 17]))
    assert np.flatnonzero(decoded.keypoints_visible == 0).tolist() == [4, 17]


def test_while_the_head_trains_every_landmark_is_reported(points):
    codec = build()
    maps = maps_of(codec, points, absent=[4, 17])
    codec.learning = True
    assert codec.decode(maps).keypoints_visible.min() == 1
    assert build(mode='paper').deciding()[0].threshold == PAPER_THRESHOLD


def test_what_decides_in_the_place_of_a_calibration_is_said():
    codec = build()
    assert re.search('no calibration: a fixed limit .*unsct calibrate', codec.notice())
    codec.learning = True
    assert re.search('being trained .* reports every .*unsct calibrate', codec.notice())
    assert calibrated(build()).notice() is None
    assert build(threshold=0.4).notice() is None
    assert 'up to 0.365' in build(mode='paper').notice()


# The paper's decision


def test_the_papers_mode_is_the_fields_of_all_relations_and_the_entropy_as_printed(points):
    codec = build(mode='paper')
    spelled = build(
        evidence='paf', entropy='paper', aggregation='paper', evidence_relations='full',
        threshold=PAPER_THRESHOLD,
    )  # fmt: skip
    maps = maps_of(codec, points) * torch.linspace(0.3, 1, 128)[:, None, None]
    maps[40:60] *= 0.3
    for name, value in codec.decode_maps(maps[None])[0].items():
        np.testing.assert_array_equal(value, spelled.decode_maps(maps[None])[0][name], err_msg=name)
    aligned = codec.gather(maps[None]).alignment
    entropy = alignment_entropy(aligned, 'paper').numpy()
    decoded = codec.decode(maps)
    np.testing.assert_allclose(decoded.keypoint_uncertainties, entropy)
    np.testing.assert_array_equal(decoded.keypoints_visible, entropy <= PAPER_THRESHOLD)
    assert 0 < decoded.keypoints_visible.sum() < 24


def test_the_papers_weights_of_relations_are_an_argument(points):
    weights = np.linspace(0.5, 2, 52).tolist()
    codec, even = build(mode='paper', relation_weights=weights), build(mode='paper')
    same = build(mode='paper', relation_weights=[3.0] * 52)
    maps = maps_of(codec, points) + 0.2 * noise(1)[0]
    found, plain, scaled = (
        kind.decode(maps).keypoint_uncertainties for kind in (codec, even, same)
    )
    np.testing.assert_allclose(scaled, plain, atol=1e-6)
    assert np.abs(found - plain).max() > 1e-3


@pytest.mark.parametrize('stored', ['core', 'full'])
def test_a_calibration_for_other_settings_gives_way_to_the_papers_threshold(stored, points):
    codec, plain = build(mode='paper'), build(mode='paper')
    codec.calibration = calibrated(build(evidence_relations=stored)).calibration
    maps = maps_of(codec, points, absent=[3])
    np.testing.assert_array_equal(
        codec.decode(maps).keypoints_visible, plain.decode(maps).keypoints_visible
    )
    assert 'a calibration for other settings only' in codec.notice()
    assert codec.decode_maps(maps[None])[0]['calibrated'].tolist() == [stored == 'full']


def test_the_papers_mode_takes_a_calibration_for_it_and_above_all_a_threshold(points):
    codec = build(mode='paper')
    codec.calibration = replace(
        calibrated(build(evidence_relations='full'), 0.25).calibration,
        entropy='paper',
        aggregation='paper',
    )
    assert codec.notice() is None
    maps = maps_of(codec, points)
    entropy = codec.decode(maps).keypoint_uncertainties
    np.testing.assert_array_equal(codec.decode(maps).keypoints_visible, entropy <= 0.25)
    codec.decision = replace(codec.decision, threshold=0.1)
    np.testing.assert_array_equal(codec.decode(maps).keypoints_visible, entropy <= 0.1)


def test_explicit_settings_need_a_threshold_beside_a_calibration_for_others(points):
    settings = dict(evidence='paf', entropy='paper', aggregation='paper')
    stored = calibrated(build()).calibration
    maps = maps_of(build(), points)
    codec, helped = build(**settings), build(**settings, threshold=0.3)
    codec.calibration = helped.calibration = stored
    with pytest.raises(ValueError, match='give HeatmapPAF a threshold'):
        codec.decode(maps)
    decoded = helped.decode(maps)
    np.testing.assert_array_equal(decoded.keypoints_visible, decoded.keypoint_uncertainties <= 0.3)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(mode='papers'), "unknown mode 'papers'"),
        (dict(mode='paper', entropy='mirror'), "means entropy='paper', not 'mirror'"),
        (dict(mode='paper', evidence='fused'), "means evidence='paf', not 'fused'"),
        (dict(mode='paper', aggregation='peel'), "means aggregation='paper', not 'peel'"),
        (dict(mode='paper', evidence_relations='core'), "means evidence_relations='full'"),
        (dict(mode='paper', relations='core'), "means relations='full', not 'core'"),
        (dict(mode='paper', relation_weights=[1.0] * 34), '34 relation_weights for the 52'),
        (dict(relation_weights=[1.0] * 34), "belong to evidence 'paf', not 'fused'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_in_words(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


# Maps that no network should give


@pytest.mark.parametrize('value', [0.0, 0.5, -1.0])
def test_constant_maps_give_finite_values_and_no_pelvis(value):
    codec = build()
    maps = torch.full((2, 128, 24, 32), value)
    for row in codec.decode_maps(maps):
        finite = {k: v for k, v in row.items() if k != 'keypoint_presence'}
        assert all(np.isfinite(v).all() for v in finite.values())
    maps[:, 24:] = 0
    for row in calibrated(codec).decode_maps(maps):
        assert all(np.isfinite(v).all() for v in row.values())
        assert row['image_state'].tolist() == [2]
        assert not row['keypoints_visible'].any()


def test_of_an_image_with_one_landmark_nothing_is_reported(points):
    codec = calibrated(build())
    found = codec.decode_maps(maps_of(codec, points, absent=range(1, 24))[None])[0]
    assert found['image_state'].tolist() == [2]
    assert not found['keypoints_visible'].any()
    np.testing.assert_allclose(found['keypoints'][0, 0], points[0, 0], atol=0.2)
    assert np.flatnonzero(found['keypoint_decisions'][0, :, 0]).tolist() == [0]


def test_a_diverged_network_is_named():
    codec = build()
    for channel, message in ((7, 'heatmap 7 of image 1'), (30, 'field channel 6 of image 1')):
        maps = noise(2)
        maps[1, channel, 3, 4] = torch.nan
        with pytest.raises(ValueError, match=message):
            codec.batch_decode(maps)


def test_a_calibration_for_other_relations_is_refused(points):
    codec = build()
    codec.calibration = calibrated(build(evidence_relations='full')).calibration
    with pytest.raises(ValueError, match='for 52 relations and the model has 34'):
        codec.decode(maps_of(codec, points))


def test_the_core_relations_make_fewer_channels():
    codec = KEYPOINT_CODECS.build(dict(type='HeatmapPAF', relations='core', **SIZE))
    assert 2 * len(codec.relations) == 68


@pytest.mark.parametrize('shape', [(2, 24, 2), (1, 17, 2)])
def test_other_than_one_pelvis_is_refused(codec, shape):
    with pytest.raises(ValueError, match='one instance of 24 landmarks'):
        codec.encode(np.zeros(shape))


@pytest.mark.parametrize('size', [(16, 16), (24, 20)])
def test_drawn_late_the_fractions_make_the_maps_of_drawn_early_at_any_size(points, size):
    present = np.ones((1, 24), np.float32)
    present[0, 3] = 0
    sized = build()
    sized.heatmap_size = size
    early = sized.encode(points, present)
    late = build(draw_late=True).encode(points, present)
    assert 'heatmaps' not in late
    names = ('keypoint_fractions', 'keypoint_shown')
    fractions, shown = (torch.from_numpy(late[name]) for name in names)
    heatmaps, pafs = build().draw_fractions(fractions, shown, size[::-1])
    np.testing.assert_allclose(heatmaps[0].numpy(), early['heatmaps'], atol=1e-5)
    np.testing.assert_allclose(pafs[0].numpy(), early['pafs'], atol=1e-5)
    for name in ('keypoint_weights', 'relation_weights'):
        np.testing.assert_array_equal(late[name], early[name])
