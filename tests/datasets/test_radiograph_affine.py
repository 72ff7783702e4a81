import numpy as np
import pytest
from mmpose.registry import TRANSFORMS

from unsct_mmpose.functional.crop import footprint_px
from unsct_mmpose.functional.image_noise import relative_noise


def warp(img, size, kind='RadiographAffine', keypoints=None, marks=()):
    height, width = img.shape[:2]
    results = dict(
        img=img,
        bbox_center=np.array([[width / 2, height / 2]], np.float32),
        bbox_scale=np.array([[width, height]], np.float32),
        keypoints=np.zeros((1, 24, 2), np.float32) if keypoints is None else keypoints,
        **dict(marks),
    )
    return TRANSFORMS.build(dict(type=kind, input_size=size)).transform(results)


def test_noise_is_averaged_where_the_image_shrinks():
    noise = np.random.default_rng(0).integers(0, 255, (512, 512, 3), dtype=np.uint8)
    ours = warp(noise, (64, 64))['img'].std()
    stock = warp(noise, (64, 64), kind='TopdownAffine')['img'].std()
    assert ours < stock / 4


@pytest.mark.parametrize('shape', [(512, 512), (400, 512), (300, 128)])
def test_averaging_moves_nothing(shape):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    blob = 255 * np.exp(-((rows - 0.4 * shape[0]) ** 2 + (columns - 0.6 * shape[1]) ** 2) / 800)
    img = np.repeat(blob[..., None], 3, axis=2).astype(np.uint8)
    keypoints = np.full((1, 24, 2), (0.6 * shape[1], 0.4 * shape[0]), np.float32)
    results = warp(img, (128, 128), keypoints=keypoints)
    warped = results['img'][..., 0].astype(float)
    rows, columns = np.mgrid[:128, :128]
    centre = (warped * columns).sum() / warped.sum(), (warped * rows).sum() / warped.sum()
    np.testing.assert_allclose(centre, results['transformed_keypoints'][0, 0], atol=0.1)


def test_an_image_that_does_not_shrink_is_warped_as_mmpose_does():
    img = np.random.default_rng(1).integers(0, 255, (100, 100, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        warp(img, (128, 128))['img'], warp(img, (128, 128), kind='TopdownAffine')['img']
    )


def test_the_noise_of_what_the_network_is_given_is_packed_beside_the_rest():
    img = np.random.default_rng(1).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    results = dict(warp(img, (64, 64)), bbox=np.zeros((1, 4)), head_size=np.ones(1))
    sample = TRANSFORMS.build(dict(type='PackPoseInputs')).transform(results)['data_samples']
    noise = relative_noise(results['img'][..., 0].astype(float))
    assert sample.gt_instances.image_noise == pytest.approx(noise, rel=1e-5)
    assert relative_noise(img[..., 0]) > 1.1 * noise
    assert {'bboxes', 'keypoints', 'head_size'} <= set(sample.gt_instances.keys())


def test_footprints_are_odd_and_grow():
    sides = [footprint_px(shrink) for shrink in np.linspace(0.1, 20, 100)]
    assert all(side % 2 == 1 for side in sides)
    assert sides == sorted(sides)
    assert sides[0] == 1


def test_one_channel_is_warped_where_all_are_equal_and_all_where_they_are_not():
    rng = np.random.default_rng(2)
    grey = np.repeat(rng.integers(0, 255, (300, 260, 1), dtype=np.uint8), 3, axis=2)
    marked = warp(grey, (64, 64), marks=dict(grey=True))['img']
    np.testing.assert_array_equal(marked, warp(grey, (64, 64))['img'])
    assert marked.flags.writeable
    coloured = rng.integers(0, 255, (300, 260, 3), dtype=np.uint8)
    warped = warp(coloured, (64, 64), marks=dict(grey=True))['img']
    np.testing.assert_array_equal(warped, warp(coloured, (64, 64))['img'])
    assert not np.array_equal(warped[..., 0], warped[..., 1])
