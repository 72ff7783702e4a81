from dataclasses import replace

import cv2
import numpy as np
import pytest

from unsct_mmpose.phantom.noise import NoiseRanges, vary_radiograph, white_noise

SILENT = NoiseRanges(window=0.0, gamma=1.0, quantum=0.0, electronic=0.0, blur_px=0.0)


@pytest.fixture
def image():
    return np.linspace(0, 255, 64 * 48).round().astype(np.uint8).reshape(48, 64)


def vary(image, seed=0, **ranges):
    return vary_radiograph(image, replace(SILENT, **ranges), np.random.default_rng(seed))


def test_no_range_changes_nothing(image):
    np.testing.assert_array_equal(vary(image), image)


def test_the_input_is_left_alone(image):
    before = image.copy()
    for seed in range(20):
        varied = vary_radiograph(image, NoiseRanges(), np.random.default_rng(seed))
        assert varied.dtype == np.uint8
        assert varied.shape == image.shape
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
    assert np.all(np.diff(varied.astype(int)) >= 0)


def test_quantum_noise_grows_with_brightness_and_electronic_noise_does_not():
    halves = np.repeat(np.array([51, 204], np.uint8), 64)[:, None].repeat(64, axis=1)
    quantum = vary(halves, seed=1, quantum=0.05)
    electronic = vary(halves, seed=1, electronic=0.05)
    assert quantum[64:].std() / quantum[:64].std() == pytest.approx(2.0, rel=0.1)
    assert electronic[64:].std() / electronic[:64].std() == pytest.approx(1.0, rel=0.1)


def test_blur_moves_nothing():
    image = np.zeros((41, 41), np.uint8)
    image[20, 12] = 255
    varied = vary(image, seed=2, blur_px=3.0)
    assert varied.max() < 128
    rows, columns = np.mgrid[:41, :41]
    centre = (varied * rows).sum() / varied.sum(), (varied * columns).sum() / varied.sum()
    np.testing.assert_allclose(centre, (20, 12), atol=1e-3)


def literally(image, ranges, rng, noise):
    """The same in float64, number by number, of the amounts that are drawn in the same order."""
    blur, quantum = rng.uniform(0, ranges.blur_px), rng.uniform(0, ranges.quantum)
    electronic = rng.uniform(0, ranges.electronic)
    low, high = (end + rng.uniform(-ranges.window, ranges.window) for end in (0, 1))
    exponent = ranges.gamma ** rng.uniform(-1, 1)
    value = image.astype(float) / 255
    value = cv2.GaussianBlur(value, (0, 0), blur) if blur > 0.3 else value
    value = value + np.sqrt(quantum**2 * value + electronic**2) * noise(image.shape, rng)
    return 255 * np.clip((value - low) / (high - low), 0, 1) ** exponent


def test_what_is_looked_up_is_what_the_formulas_say(image):
    for seed in range(20):
        varied = vary_radiograph(image, NoiseRanges(), np.random.default_rng(seed))
        expected = literally(image, NoiseRanges(), np.random.default_rng(seed), white_noise)
        # a blurred image is rounded to grey levels before a gamma that is steep near black
        bright = expected > 40
        assert np.abs(varied - expected)[bright].max() < 2
        assert np.abs(varied - expected).mean() < 0.6


def test_the_noise_is_normal_white_and_another_one_each_time():
    rng = np.random.default_rng(0)
    first, second = white_noise((256, 300), rng), white_noise((256, 300), rng)
    assert first.mean() == pytest.approx(0, abs=0.01)
    assert first.std() == pytest.approx(1, abs=0.01)
    assert np.mean(np.abs(first) > 1.96) == pytest.approx(0.05, abs=0.005)
    neighbours = [first[:, 1:] * first[:, :-1], first[1:] * first[:-1], first * second]
    assert max(abs(product.mean()) for product in neighbours) < 0.02


def test_an_image_larger_than_the_stock_of_noise_has_a_larger_one():
    assert white_noise((1100, 1000), np.random.default_rng(0)).shape == (1100, 1000)
