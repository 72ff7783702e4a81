import numpy as np
import pytest
import torch
from mmpose.registry import KEYPOINT_CODECS, MODELS
from mmpose.structures import PoseDataSample

from unsct_mmpose.anatomy import FLIP_INDICES

SIZE = dict(input_size=(128, 96), heatmap_size=(32, 24), sigma=1.5)
MIRROR = list(FLIP_INDICES)


def build(**kwargs):
    return KEYPOINT_CODECS.build(dict(type='LandmarkHeatmap', **SIZE, **kwargs))


@pytest.fixture
def points():
    return np.random.default_rng(0).uniform((16, 16), (111, 79), (1, 24, 2))


def mirrored(points):
    return points[:, MIRROR] * [-1, 1] + [127, 0]


def test_a_landmark_survives_encoding_and_decoding(points):
    codec = build()
    keypoints, scores = codec.decode(codec.encode(points)['heatmaps'])
    assert keypoints.shape == (1, 24, 2)
    assert scores.shape == (1, 24)
    np.testing.assert_allclose(keypoints, points, atol=0.05)
    assert scores.min() > 0.8 and scores.max() <= 1


def test_a_refinement_can_be_chosen(points):
    codec = build(refinement='none')
    keypoints, _ = codec.decode(codec.encode(points)['heatmaps'])
    np.testing.assert_allclose(keypoints, np.floor((points + 0.5) / 4) * 4 + 1.5, atol=1e-6)
    with pytest.raises(ValueError, match="unknown refinement 'other'"):
        build(refinement='other').decode(codec.encode(points)['heatmaps'])


def test_targets_have_the_documented_shapes(points):
    encoded = build().encode(points)
    assert {name: value.shape for name, value in encoded.items()} == dict(
        heatmaps=(24, 24, 32), keypoint_weights=(1, 24)
    )
    assert all(value.dtype == np.float32 for value in encoded.values())


def test_absence_is_ignored(points):
    codec = build()
    present = np.ones((1, 24))
    present[0, 5] = 0
    points[0, 3] = (-4.0, 40.0)  # outside the image
    encoded = codec.encode(points, present)
    assert encoded['heatmaps'][[3, 5]].max() == 0
    assert encoded['keypoint_weights'][0, [3, 5]].tolist() == [0, 0]
    assert np.delete(encoded['keypoint_weights'], [3, 5]).min() == 1
    assert np.delete(encoded['heatmaps'], [3, 5], axis=0).max(axis=(1, 2)).min() > 0.5


def test_an_unlabelled_landmark_is_left_alone(points):
    labelled = np.ones((1, 24))
    labelled[0, 5] = 0
    for present in (labelled, np.ones((1, 24))):
        encoded = build().encode(points, present, labelled)
        np.testing.assert_array_equal(encoded['keypoint_weights'], labelled)


def test_what_is_not_given_counts_as_present_and_labelled(points):
    plain, ones = build().encode(points), np.ones((1, 24))
    for name, value in build().encode(points, ones, ones).items():
        np.testing.assert_array_equal(plain[name], value)


def test_targets_are_those_of_our_own_codec(points):
    ours = KEYPOINT_CODECS.build(dict(type='HeatmapPAF', **SIZE))
    present, labelled = np.ones((1, 24)), np.ones((1, 24))
    present[0, [5, 6]], labelled[0, 6] = 0, 0
    points[0, 4] = (127.4, 40.0)
    arguments = (points, present, labelled)
    wanted = ours.encode(*arguments)
    np.testing.assert_array_equal(build().encode(*arguments)['heatmaps'], wanted['heatmaps'])
    keypoints, scores = build().decode(wanted['heatmaps'])
    decoded = ours.decode(wanted['heatmaps'])
    shown = present[0] > 0
    np.testing.assert_allclose(keypoints[0, shown], decoded.keypoints[0, shown], atol=1e-4)
    np.testing.assert_array_equal(scores, decoded.keypoint_scores)


def test_a_batch_decodes_like_its_images():
    codec = build()
    maps = torch.rand(3, 24, 24, 32, generator=torch.Generator().manual_seed(0))
    points, scores = codec.batch_decode(maps)
    assert len(points) == len(scores) == 3
    for index, image in enumerate(maps):
        keypoints, peaks = codec.decode(image.numpy())
        np.testing.assert_allclose(points[index], keypoints, atol=1e-5)
        np.testing.assert_array_equal(scores[index], peaks)


def test_maps_that_need_gradients_or_are_of_half_precision_are_decoded(points):
    codec = build()
    maps = torch.from_numpy(codec.encode(points)['heatmaps'])[None]
    for given in (maps.requires_grad_(), maps.detach().bfloat16()):
        keypoints, scores = codec.batch_decode(given)
        assert keypoints[0].dtype == np.float64
        np.testing.assert_allclose(keypoints[0], points, atol=0.3)
        assert scores[0].dtype == np.float32


@pytest.mark.parametrize('shape', [(2, 24, 2), (1, 17, 2)])
def test_other_than_one_pelvis_is_refused(shape):
    with pytest.raises(ValueError, match='one instance of 24 landmarks'):
        build().encode(np.full(shape, 20.0))


# Mirrored images


def test_mirrored_landmarks_give_the_mirrored_maps(points):
    maps, others = (build().encode(side)['heatmaps'] for side in (points, mirrored(points)))
    np.testing.assert_allclose(others, maps[MIRROR][:, :, ::-1], atol=1e-5)


def predict_with_flip_test(points, codec_cfg, **options):
    """Let MMPose's own head decode the perfect maps of an image and of its mirror image."""
    head = MODELS.build(
        dict(
            type='HeatmapHead',
            in_channels=8,
            out_channels=24,
            deconv_out_channels=None,
            decoder=codec_cfg,
        )
    )
    drawn = [
        torch.from_numpy(head.decoder.encode(side, np.ones((1, 24), np.float32))['heatmaps'])
        for side in (points.astype(np.float32), mirrored(points).astype(np.float32))
    ]
    head.forward = lambda maps: maps
    sample = PoseDataSample(metainfo=dict(flip_indices=MIRROR))
    test_cfg = dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False, **options)
    return head.predict([maps[None] for maps in drawn], [sample], test_cfg), drawn


def test_a_stock_heads_flip_test_is_unbiased_without_a_shift(points):
    codec = dict(type='LandmarkHeatmap', **SIZE)
    ((pred,), (field,)), drawn = predict_with_flip_test(points, codec, output_heatmaps=True)
    torch.testing.assert_close(field.heatmaps, drawn[0], atol=1e-5, rtol=0)
    np.testing.assert_allclose(pred.keypoints, points, atol=0.05)


def test_mmposes_own_codec_is_biased_there(points):
    """Why this codec exists: the other's grid starts at the corner of the image."""
    ((pred,), _), _ = predict_with_flip_test(
        points, dict(type='MSRAHeatmap', unbiased=True, **SIZE), output_heatmaps=True
    )
    assert abs((pred.keypoints - points)[..., 0].mean()) > 1
