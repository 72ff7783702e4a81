"""Trabecular texture."""

import numpy as np
import pytest

from unsct_mmpose.phantom.texture import STEP_MM, TILE, trabecular_texture


def places(count=20000):
    points = np.random.default_rng(0).uniform(-90, 90, (count, 3)).astype(np.float32)
    return points[:, 0], points[:, 1], points[:, 2]


def test_factors_are_about_one_and_positive():
    factors = trabecular_texture(np.random.default_rng(1))(places())
    assert factors.mean() == pytest.approx(1.0, abs=0.05)
    assert 0.3 < factors.std() < 0.6
    assert factors.min() > 0


def test_neighbours_are_alike_and_distant_places_are_not():
    texture = trabecular_texture(np.random.default_rng(1))
    x, y, z = places()
    here, near, far = texture((x, y, z)), texture((x + 1.0, y, z)), texture((x + 20.0, y, z))
    assert np.corrcoef(here, near)[0, 1] > 0.4
    assert abs(np.corrcoef(here, far)[0, 1]) < 0.15


def test_the_texture_is_periodic():
    texture = trabecular_texture(np.random.default_rng(1))
    x, y, z = (np.round(p) + np.float32(0.25) for p in places(500))
    again = texture((x + TILE * STEP_MM, y, z))
    assert np.corrcoef(texture((x, y, z)), again)[0, 1] > 0.9


def test_each_bone_has_its_own_texture_from_its_seed():
    a, b, c = (trabecular_texture(np.random.default_rng(seed))(places(100)) for seed in (1, 1, 2))
    assert np.array_equal(a, b) and not np.array_equal(a, c)
