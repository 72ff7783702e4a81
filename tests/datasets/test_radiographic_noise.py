import numpy as np
from mmpose.registry import TRANSFORMS


def vary(img, seed=0, **kwargs):
    np.random.seed(seed)
    transform = TRANSFORMS.build(dict(type='RadiographicNoise', **kwargs))
    return transform.transform(dict(img=img))['img']


def make_image():
    return np.repeat(np.linspace(0, 255, 32 * 32).reshape(32, 32, 1), 3, axis=2).astype(np.uint8)


def test_the_image_keeps_its_shape_and_its_equal_channels():
    varied = vary(make_image())
    assert varied.shape == (32, 32, 3)
    assert varied.dtype == np.uint8
    np.testing.assert_array_equal(varied[..., 0], varied[..., 2])
    assert not np.array_equal(varied, make_image())


def test_probability_0_changes_nothing_and_the_input_stays():
    img = make_image()
    assert vary(img, prob=0.0) is img
    vary(img)
    np.testing.assert_array_equal(img, make_image())


def test_numpy_seeds_decide_as_mmengine_expects():
    np.testing.assert_array_equal(vary(make_image(), seed=1), vary(make_image(), seed=1))
    assert not np.array_equal(vary(make_image(), seed=1), vary(make_image(), seed=2))
