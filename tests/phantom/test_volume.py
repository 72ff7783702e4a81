"""Grids of distances: unions, cuts, tiles."""

import numpy as np
import pytest

from unsct_mmpose.phantom import volume
from unsct_mmpose.phantom.plate import curved_plate
from unsct_mmpose.phantom.shapes import Ellipsoid, HalfSpace
from unsct_mmpose.phantom.volume import Bone, evaluate, smooth_minimum

VOXEL = (1.0, 1.0, 1.5)


def filled_mm3(grid):
    occupied = np.clip(0.5 - grid.values / grid.voxel_mm.mean(), 0, 1).sum()
    return float(occupied * np.prod(grid.voxel_mm))


def test_a_sampled_ball_has_its_volume():
    bone = Bone('ball', solids=[(Ellipsoid.ball([3.3, 0.2, -1.1], 15.0), 0.0)])
    assert filled_mm3(evaluate(bone, VOXEL)) == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.01)


def test_a_cut_takes_half_of_a_ball_away():
    half = HalfSpace(np.zeros(3), np.array([0.0, 1.0, 0.0]), 40.0)
    bone = Bone('half', solids=[(Ellipsoid.ball(np.zeros(3), 15.0), 0.0)], cuts=[(half, 0.0)])
    assert filled_mm3(evaluate(bone, VOXEL)) == pytest.approx(2 / 3 * np.pi * 15**3, rel=0.02)


def test_a_cut_passes_over_empty_space_only(monkeypatch):
    half = HalfSpace(np.array([0.0, 3.0, 0.0]), np.array([0.3, 1.0, 0.2]), 40.0)
    hole = Ellipsoid.ball([6.0, 0.0, 0.0], 7.0)
    solids = [(Ellipsoid.ball([x, 0.0, 0.5 * x], 9.0), 4.0) for x in (-24.0, 0.0, 8.0)]
    bone = Bone('cut', solids=solids, cuts=[(half, 2.0), (hole, 1.0)])
    quick = evaluate(bone, VOXEL)
    monkeypatch.setattr(volume, '_occupied', lambda grid, window, margin: window)
    whole = evaluate(bone, VOXEL)
    near = np.minimum(quick.values, whole.values) < 4.0
    assert 2000 < near.sum() < near.size / 2
    assert np.array_equal(quick.values[near], whole.values[near])
    assert not np.array_equal(quick.values, whole.values)


def test_the_box_of_a_window_limits_the_grid():
    bone = Bone('ball', solids=[(Ellipsoid.ball(np.zeros(3), 15.0), 0.0)])
    grid = evaluate(bone, VOXEL, clip=(np.full(3, -50.0), np.array([50.0, 0.0, 50.0])))
    assert filled_mm3(grid) == pytest.approx(2 / 3 * np.pi * 15**3, rel=0.06)


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_tiles_around_a_plate_miss_nothing(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    outline = [[-30, -20, 2], [0, -25, 6], [30, -20, 0], [30, 20, -6], [0, 24, 3], [-30, 20, 8]]
    plate = curved_plate(outline, [[0, 0, 10]], middle_mm=4, edge_mm=6,
                         swellings=[([10, 0, 0], 10.0, 9.0)])  # fmt: skip
    bone = Bone('plate', solids=[(plate.moved(turn, rng.normal(size=3)), 0.0)])
    tiled = evaluate(bone, VOXEL)
    monkeypatch.setattr(volume, 'Plate', type(None))
    whole = evaluate(bone, VOXEL)
    near = whole.values < 1.5
    assert near.sum() > 2000
    assert np.array_equal(tiled.values[near], whole.values[near])
    assert tiled.values[~near].min() >= 1.5


def test_positions_of_voxels_agree_with_their_coordinates():
    bone = Bone('ball', solids=[(Ellipsoid.ball([1.0, 2, 3], 6.0), 0.0)])
    grid = evaluate(bone, VOXEL)
    flat = grid.inside
    x, y, z = grid.positions(flat)
    away = np.sqrt((x - 1) ** 2 + (y - 2) ** 2 + (z - 3) ** 2) - 6
    assert np.allclose(away, grid.values.ravel()[flat], atol=1e-4)


def test_moving_a_bone_moves_its_points():
    bone = Bone('b', points={'tip': np.array([1.0, 2, 3])})
    moved = bone.moved(np.diag([-1.0, 1, 1]), np.array([10.0, 0, 0]))
    assert moved.points['tip'].tolist() == [9.0, 2.0, 3.0]
    assert bone.points['tip'].tolist() == [1.0, 2.0, 3.0]


def test_the_smooth_minimum_is_the_minimum_away_from_the_seam():
    a, b = np.array([0.0, 5.0, 1.0, 2.0]), np.array([5.0, 0.0, 1.0, 3.0])
    out = smooth_minimum(a, b, 4.0)
    assert out[:2].tolist() == [0.0, 0.0]
    assert np.all(out <= np.minimum(a, b))
    assert np.array_equal(out, smooth_minimum(b, a, 4.0))
    assert np.array_equal(smooth_minimum(a, b, 0.0), np.minimum(a, b))
