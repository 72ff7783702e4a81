"""Implicit shapes: distances against geometry, and rigid motion."""

from itertools import pairwise

import numpy as np
import pytest

from unsct_mmpose.phantom.plate import curved_plate
from unsct_mmpose.phantom.shapes import (
    Block,
    Cap,
    Ellipsoid,
    HalfSpace,
    Limb,
    frame_about,
    smooth_curve,
    swept_tube,
    unit,
)

SHAPES = {
    'ball': Ellipsoid.ball([3.0, -2.0, 5.0], 12.0),
    'ellipsoid': Ellipsoid.at([1.0, 2.0, 3.0], [6.0, 9.0, 14.0], axis=[1, 1, 0.3], side=[0, 1, 1]),
    'round limb': Limb(np.zeros(3), np.array([20.0, 5, 3]), np.eye(3)[1], (5, 5), (8, 8)),
    'flat limb': Limb(np.zeros(3), np.array([20.0, 5, 3]), np.eye(3)[1], (3, 7), (4, 9)),
    'cap': Cap(np.array([0.0, 1, 2]), 11.0, unit([1.0, 1.0, -0.5]), 2.0),
    'block': Block(np.eye(3)[0], np.array([12.0, 9, 7]), frame_about([0, 1, 1], [1, 0, 0])),
    'plate': curved_plate(
        [[-20, -15, 0], [20, -15, 3], [20, 15, 0], [-20, 15, 3]], [[0, 0, 4]], middle_mm=4,
        edge_mm=6,
    ),
}  # fmt: skip


def turn(seed: int = 0, mirrored: bool = False) -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    q *= np.sign(np.linalg.det(q))
    return q @ np.diag([-1.0, 1, 1]) if mirrored else q


def at(shape, points):
    x, y, z = (points[:, i].astype(np.float32).reshape(-1, 1) for i in range(3))
    return shape.distance(x, y, z).ravel()


def cloud(count=400, spread=18.0):
    return np.random.default_rng(5).uniform(-spread, spread, (count, 3))


@pytest.mark.parametrize('mirrored', [False, True])
@pytest.mark.parametrize('name', SHAPES)
def test_moving_a_shape_moves_its_distances(name, mirrored):
    shape, rotation, shift = SHAPES[name], turn(1, mirrored), np.array([30.0, -8.0, 4.0])
    points = cloud()
    moved = at(shape.moved(rotation, shift), points @ rotation.T + shift)
    assert np.allclose(moved, at(shape, points), atol=2e-3)


@pytest.mark.parametrize('name', SHAPES)
def test_everything_inside_lies_in_the_bounds(name):
    shape = SHAPES[name].moved(turn(2), np.array([5.0, 0.0, -3.0]))
    low, high = shape.bounds()
    points = cloud(20000, 45.0)
    inside = points[at(shape, points) < 0]
    assert len(inside) > 20
    assert np.all(inside >= low) and np.all(inside <= high)


def test_the_distance_of_a_ball_is_exact():
    points = cloud()
    expected = np.linalg.norm(points - [3.0, -2.0, 5.0], axis=1) - 12.0
    assert np.allclose(at(SHAPES['ball'], points), expected, atol=1e-4)


def test_the_distance_of_a_capsule_is_exact():
    start, end = np.array([-10.0, 2.0, 1.0]), np.array([12.0, -4.0, 6.0])
    limb = Limb(start, end, np.array([0.0, 1.0, 0.0]), (5, 5), (5, 5))
    points = cloud()
    share = np.clip((points - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
    expected = np.linalg.norm(points - start - share[:, None] * (end - start), axis=1) - 5
    assert np.allclose(at(limb, points), expected, atol=1e-4)


@pytest.mark.parametrize('name', ['ellipsoid', 'flat limb', 'block'])
def test_distances_grow_by_about_a_millimetre_per_millimetre_at_the_surface(name):
    shape, points = SHAPES[name], cloud(60000)
    near = points[np.abs(at(shape, points)) < 0.3]
    step = 0.05
    slope = np.stack(
        [
            (at(shape, near + step * np.eye(3)[i]) - at(shape, near - step * np.eye(3)[i]))
            / (2 * step)
            for i in range(3)
        ],
        axis=1,
    )
    size = np.linalg.norm(slope, axis=1)
    assert np.median(size) == pytest.approx(1.0, abs=0.08)


def test_the_surface_of_an_ellipsoid_is_at_zero():
    shape = SHAPES['ellipsoid']
    direction = cloud(100)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    surface = shape.center + (direction * shape.radii) @ shape.axes
    assert np.allclose(at(shape, surface), 0.0, atol=1e-4)


def test_a_cap_ends_at_its_plane():
    cap = SHAPES['cap']
    beyond = cap.center + (cap.height + 0.5) * cap.normal
    before = cap.center + (cap.height - 0.5) * cap.normal
    assert at(cap, beyond[None])[0] == pytest.approx(0.5, abs=1e-4)
    assert at(cap, before[None])[0] == pytest.approx(-0.5, abs=1e-4)


def test_a_half_space_is_behind_its_normal():
    half = HalfSpace(np.array([1.0, 0, 0]), np.array([2.0, 0, 0]), 10.0)
    assert at(half, np.array([[4.0, 7, 7], [-1.0, 3, 3]])).tolist() == [3.0, -2.0]


def test_a_frame_is_right_handed_and_orthonormal():
    frame = frame_about([1, 2, 3], [1, 0, 0])
    assert np.allclose(frame @ frame.T, np.eye(3))
    assert np.linalg.det(frame) == pytest.approx(1.0)
    assert np.allclose(frame[2], unit([1, 2, 3]))


def test_the_curve_passes_through_every_control_point():
    points = np.random.default_rng(0).normal(size=(6, 3))
    curve = smooth_curve(points, 4)
    assert len(curve) == 21
    assert np.allclose(curve[::4], points)


def test_a_closed_curve_starts_again_at_its_first_point():
    points = np.array([[0.0, 0], [4, 0], [4, 4], [0, 4]])
    curve = smooth_curve(points, 3, closed=True)
    assert len(curve) == 12
    assert np.allclose(curve[::3], points)
    rolled = smooth_curve(np.roll(points, -1, axis=0), 3, closed=True)
    assert np.allclose(np.roll(curve, -3, axis=0), rolled)


def test_a_straight_curve_stays_straight_and_even():
    curve = smooth_curve(np.array([[0.0, 1], [1, 3], [2, 5], [3, 7]]), 5)
    assert np.allclose(np.diff(curve, axis=0), [0.2, 0.4])


def test_limbs_of_a_tube_join_in_place_and_width():
    tube = swept_tube([[0, 0, 0], [10, 0, 0], [20, 5, 0]], [3.0, 4.0, 2.0])
    for first, second in pairwise(tube):
        assert np.array_equal(first.end, second.start)
        assert first.end_radii == second.start_radii
    assert np.allclose(tube[-1].end, [20, 5, 0])
    assert tube[0].start_radii == (3.0, 3.0)


def test_radii_never_vanish():
    tube = swept_tube([[0, 0, 0], [10, 0, 0], [20, 0, 0]], [5.0, 0.0, 5.0])
    assert min(min(limb.start_radii + limb.end_radii) for limb in tube) >= 0.5
