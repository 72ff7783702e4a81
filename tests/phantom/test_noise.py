from dataclasses import replace

import numpy as np
import pytest

from unsct_mmpose.phantom.noise import NoiseRanges, vary_radiograph

SILENT = NoiseRanges(window=0.0, gamma=1.0, quantum=0.0, electronic=0.0, blur_px=0.0)


@pytest.fixture
def image():
    return np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(48, 64)


def vary(image, seed=0, **ranges):
    return vary_radiograph(image, replace(SILENT, **ranges), np.random.default_rng(seed))


def test_no_range_changes_nothing(image):
    np.testing.assert_allclose(vary(image), image, atol=1e-6)


def test_display_values_stay_between_0_and_1_and_the_input_is_left_alone(image):
    before = image.copy()
    for seed in range(20):
        varied = vary_radiograph(image, NoiseRanges(), np.random.default_rng(seed))
        assert varied.dtype == np.float32
        assert varied.shape == image.shape
        assert 0.0 <= varied.min() <= varied.max() <= 1.0
    np.testing.assert_array_equal(image, before)


def test_the_same_seed_gives_the_same_image(image):
    ranges = NoiseRanges()
    first, again, other = (
        vary_radiograph(image, ranges, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_window_and_gamma_keep_the_order_of_brightness(image):
    varied = vary(image, window=0.2, gamma=2.0).ravel()
    assert np.all(np.diff(varied) >= 0)


def test_quantum_noise_grows_with_brightness_and_electronic_noise_does_not():
    halves = np.concatenate([np.full((64, 64), 0.2), np.full((64, 64), 0.8)]).astype(np.float32)
    quantum = vary(halves, seed=1, quantum=0.05)
    electronic = vary(halves, seed=1, electronic=0.05)
    assert quantum[64:].std() / quantum[:64].std() == pytest.approx(2.0, rel=0.1)
    assert electronic[64:].std() / electronic[:64].std() == pytest.approx(1.0, rel=0.1)


def test_blur_moves_nothing():
    image = np.zeros((41, 41), np.float32)
    image[20, 12] = 1.0
    varied = vary(image, seed=2, blur_px=3.0)
    assert varied.max() < 0.5
    rows, columns = np.mgrid[:41, :41]
    centre = (varied * rows).sum() / varied.sum(), (varied * columns).sum() / varied.sum()
    np.testing.assert_allclose(centre, (20, 12), atol=1e-3)
