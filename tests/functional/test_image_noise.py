"""The noise of an image over its contrast, and what must not change it."""

import numpy as np
import pytest
import torch

from unsct_mmpose.functional.image_noise import relative_noise


def bones(shape=(96, 128)):
    """Return an image of slopes, an upright and a level edge and a round one."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(float)
    image = 60 + 0.5 * columns + 0.3 * rows + 40 * (columns > 50) + 30 * (rows > 40)
    return image + 50 * (np.hypot(rows - 30, columns - 90) < 15)


def grain(shape=(96, 128), seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_it_is_what_the_grain_is_over_the_contrast():
    """Of means of four, grain has half its deviation; E|n| is sqrt(2 / pi) of it."""
    image = bones((512, 512)) + 12 * grain((512, 512))
    expected = 12 / 2 * np.sqrt(2 / np.pi) / image.std()
    assert relative_noise(image) == pytest.approx(expected, rel=0.06)


def test_more_grain_is_more_noise():
    levels = [relative_noise(bones() + sigma * grain()) for sigma in (0, 2, 4, 8, 16)]
    assert (np.diff(levels) > 0).all()
    assert levels[3] > 2.5 * levels[0]


def test_slopes_and_edges_along_the_grid_are_no_noise():
    rows, columns = np.mgrid[:64, :64].astype(float)
    assert relative_noise(columns + 3 * rows + 90 * (rows > 31) + 50 * (columns > 20)) < 1e-12


def test_window_and_brightness_do_not_matter():
    image = bones() + 4 * grain()
    assert relative_noise(0.3 * image + 40) == pytest.approx(relative_noise(image), rel=1e-6)


def test_an_image_of_one_grey_level_has_none():
    assert relative_noise(np.full((8, 8), 255, np.uint8)) == 0


@pytest.mark.parametrize('shape', [(96, 128), (95, 128), (96, 127), (4, 4), (5, 7)])
def test_numpy_and_torch_measure_alike_whatever_the_type_and_the_batch(shape):
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    each = [relative_noise(image) for image in images]
    np.testing.assert_allclose(relative_noise(images), each, rtol=1e-12)
    single = relative_noise(torch.from_numpy(images.astype(np.float32)))
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single, each, rtol=1e-4)
