"""Shell, trabecular bone and marrow; surface points."""

import numpy as np
import pytest

from unsct_mmpose.phantom.material import (
    STEP_MM,
    TILE,
    density,
    surface_points,
    trabecular_texture,
)
from unsct_mmpose.phantom.shapes import Ellipsoid, Limb
from unsct_mmpose.phantom.volume import Bone, evaluate

VOXEL = (1.0, 1.0, 1.0)


def ball(**options):
    return Bone('ball', solids=[(Ellipsoid.ball(np.zeros(3), 20.0), 0.0)], **options)


def volume(bone, grid, texture=None):
    filled = np.stack(list(density(bone, grid, texture)))
    assert filled.shape == grid.values.shape and filled.dtype == np.float32
    return filled


def test_a_shell_surrounds_the_trabecular_bone():
    bone = ball(cortex_mm=2.0, trabecular=0.3)
    grid = evaluate(bone, VOXEL)
    filled = volume(bone, grid)
    assert np.allclose(filled[grid.values < -3.0], 0.3, atol=1e-6)
    assert np.allclose(filled[(grid.values < -0.6) & (grid.values > -1.4)], 1.0, atol=1e-6)
    assert filled[grid.values > 0.6].max() == 0.0


def test_the_mass_is_that_of_shell_and_core():
    bone = ball(cortex_mm=3.0, trabecular=0.25)
    mass = volume(bone, evaluate(bone, VOXEL)).sum()
    core = 4 / 3 * np.pi * 17**3
    assert mass == pytest.approx(4 / 3 * np.pi * 20**3 - 0.75 * core, rel=0.01)


def test_a_bump_thickens_the_cortex_there_only():
    bone = ball(cortex_mm=1.0, bumps=[(np.array([0.0, -20.0, 0.0]), 8.0, 4.0)])
    grid = evaluate(bone, VOXEL)
    filled = volume(bone, grid)
    middle = (np.array([0.0, 0, 0]) - grid.origin_mm).round().astype(int)
    column = filled[middle[2], :, middle[0]]
    # The wall is seen from above (thick) and from below (thin).
    top, bottom = (column[: middle[1]] > 0.9).sum(), (column[middle[1] :] > 0.9).sum()
    assert top >= bottom + 3


def test_the_diaphysis_holds_marrow_and_a_thick_wall():
    shaft = (np.zeros(3), np.array([0.0, 1.0, 0.0]), 5.0)
    limb = Limb(np.array([0.0, -20, 0]), np.array([0.0, 100, 0]), np.eye(3)[0], (13, 13), (13, 13))
    bone = Bone('shaft', solids=[(limb, 0.0)], shaft=shaft, cortex_mm=1.0, trabecular=0.3)
    grid = evaluate(bone, VOXEL)
    filled = volume(bone, grid)
    x, y, z = ((np.array(p) - grid.origin_mm).round().astype(int) for p in
               ([0, -10, 0], [0, 80, 0], [-10, 80, 0]))  # fmt: skip
    assert filled[x[2], x[1], x[0]] == pytest.approx(0.3, abs=0.01)
    assert filled[y[2], y[1], y[0]] < 0.05
    assert filled[z[2], z[1], z[0]] == pytest.approx(1.0)


def test_texture_changes_the_core_and_not_the_shell():
    bone = ball(cortex_mm=3.0, trabecular=0.3)
    grid = evaluate(bone, VOXEL)
    plain = volume(bone, grid)
    rough = volume(bone, grid, lambda place: np.full(place[0].shape, 1.5, np.float32))
    deep = grid.values < -4
    assert np.allclose(rough[deep], 1.5 * plain[deep])
    shell = (grid.values < -0.6) & (grid.values > -2.4)
    assert np.allclose(rough[shell], plain[shell])


def test_surface_points_lie_on_the_surface():
    points = surface_points(evaluate(ball(), (1.0, 1.0, 1.5)))
    assert len(points) > 1000
    assert np.allclose(np.linalg.norm(points, axis=1), 20.0, atol=0.08)
    assert points[:, 1].max() == pytest.approx(20.0, abs=0.1)


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
