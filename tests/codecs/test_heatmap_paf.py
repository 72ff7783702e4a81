import numpy as np
import pytest
import torch
from mmpose.registry import KEYPOINT_CODECS

from unsct_mmpose.anatomy import FLIP_INDICES, relation_set
from unsct_mmpose.functional.heatmap import flip_heatmaps
from unsct_mmpose.functional.paf import flip_paf

SIZE = dict(input_size=(128, 96), heatmap_size=(32, 24))


@pytest.fixture
def codec():
    return KEYPOINT_CODECS.build(dict(type='HeatmapPAF', sigma=1.5, **SIZE))


@pytest.fixture
def points():
    return np.random.default_rng(0).uniform((12, 12), (115, 83), (1, 24, 2))


def test_a_landmark_survives_encoding_and_decoding(codec, points):
    decoded, scores = codec.decode(codec.encode(points)['heatmaps'])
    assert decoded.shape == (1, 24, 2)
    np.testing.assert_allclose(decoded, points, atol=0.2)
    assert scores.min() > 0.8


def test_targets_have_the_documented_shapes(codec, points):
    encoded = codec.encode(points)
    assert encoded['heatmaps'].shape == (24, 24, 32)
    assert encoded['pafs'].shape == (104, 24, 32)
    assert encoded['keypoint_weights'].shape == (1, 24)
    assert encoded['relation_weights'].shape == (1, 52)
    assert codec.num_outputs == 128
    assert all(value.dtype == np.float32 for value in encoded.values())


def test_an_absent_landmark_is_supervised_to_be_silent(codec, points):
    visible = np.ones((1, 24))
    visible[0, 5] = 0
    encoded = codec.encode(points, visible)
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


def test_a_batch_decodes_like_its_images(codec):
    maps = torch.rand(3, codec.num_outputs, 24, 32, generator=torch.Generator().manual_seed(0))
    batch_points, batch_scores = codec.batch_decode(maps)
    for image, points, scores in zip(maps, batch_points, batch_scores, strict=True):
        single_points, single_scores = codec.decode(image.numpy())
        np.testing.assert_allclose(points, single_points, atol=1e-5)
        np.testing.assert_allclose(scores, single_scores, atol=1e-6)


@pytest.mark.parametrize(('threshold', 'reported'), [(None, [1, 1, 1]), (0.5, [0, 1, 1])])
def test_the_presence_threshold_decides_what_is_reported(threshold, reported):
    codec = KEYPOINT_CODECS.build(dict(type='HeatmapPAF', presence_threshold=threshold, **SIZE))
    assert codec.reported(np.array([[0.1, 0.5, 0.9]])).tolist() == [reported]


def test_the_core_relations_make_fewer_channels():
    codec = KEYPOINT_CODECS.build(dict(type='HeatmapPAF', relations='core', **SIZE))
    assert codec.num_outputs == 24 + 68


@pytest.mark.parametrize('shape', [(2, 24, 2), (1, 17, 2)])
def test_other_than_one_pelvis_is_refused(codec, shape):
    with pytest.raises(ValueError, match='one pelvis of 24 landmarks'):
        codec.encode(np.zeros(shape))
