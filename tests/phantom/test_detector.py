"""From path lengths to pixel values."""

from dataclasses import replace

import numpy as np
import pytest

from unsct_mmpose.phantom.detector import (
    CORTEX_EXTRA_PER_MM,
    WATER_PER_MM,
    Exposure,
    display,
    quantise,
    sample_exposure,
)

PLAIN = Exposure(photons=1e12, scatter_share=0.0, scatter_mm=20.0, blur_px=0.05, equalisation=0.0,
                 window=(0.0, 1.0), gamma=1.0)  # fmt: skip


def shown(water, bone, exposure=PLAIN, seed=0):
    return display(water.astype(np.float32), bone.astype(np.float32), exposure, 1.0,
                   np.random.default_rng(seed))  # fmt: skip


def ramp():
    water = np.full((64, 80), 150.0)
    bone = np.tile(np.linspace(0, 40, 80), (64, 1))
    return water, bone


def test_without_noise_and_scatter_the_display_is_the_attenuation():
    water, bone = ramp()
    depth = WATER_PER_MM * water + CORTEX_EXTRA_PER_MM * bone
    low = 0.97 * np.quantile(depth[bone > 4][::7], 0.02)
    image = shown(water, bone, replace(PLAIN, window=(0.9, 1.0)))
    dense = np.quantile(depth[::4, ::4], 0.995)
    expected = np.clip((depth - min(low, 0.9 * dense)) / (dense - min(low, 0.9 * dense)), 0, 1)
    assert np.abs(image - expected).max() < 0.02


def test_more_bone_is_brighter():
    water, bone = ramp()
    for seed in range(5):
        exposure = sample_exposure(np.random.default_rng(seed))
        rows = shown(water, bone, exposure).mean(0)
        assert np.all(np.diff(rows[2:-2:6]) >= -1e-3)
        assert rows[-3] > rows[20] + 0.1


def test_bone_does_not_turn_black():
    water = np.full((80, 80), 200.0)
    bone = np.zeros((80, 80))
    bone[:, 40:] = 40.0
    water[:, :10], bone[:, :10] = 20.0, 10.0  # a trochanter under thin soft tissue
    image = shown(water, bone, replace(PLAIN, window=(0.6, 1.0)))
    assert image[:, 2:8].mean() > 0.0


def test_fewer_photons_are_noisier():
    water, bone = ramp()
    spread = []
    for photons in (5e3, 5e4, 5e5):
        exposure = replace(PLAIN, photons=photons)
        spread.append(np.std(shown(water, bone, exposure) - shown(water, bone)))
    assert spread[0] > 2 * spread[1] > 4 * spread[2] > 0


def test_scatter_lowers_contrast():
    water, bone = ramp()
    plain = np.ptp(shown(water, bone).mean(0))
    hazy = np.ptp(shown(water, bone, replace(PLAIN, scatter_share=0.8)).mean(0))
    assert hazy < plain


def test_values_stay_between_zero_and_one():
    water, bone = ramp()
    image = shown(water, 3 * bone, sample_exposure(np.random.default_rng(3)))
    assert image.min() >= 0.0 and image.max() <= 1.0 and np.isfinite(image).all()


@pytest.mark.parametrize('bits', [12, 14, 16])
def test_all_bits_are_used(bits):
    stored = quantise(np.linspace(0, 1, 2**bits, dtype=np.float32)[None], bits)
    assert stored.dtype == np.uint16
    assert stored.min() == 0 and stored.max() == 2**bits - 1


@pytest.mark.parametrize('bits', [8, 17])
def test_other_depths_are_refused(bits):
    with pytest.raises(ValueError, match='12 to 16'):
        quantise(np.zeros((2, 2), np.float32), bits)
