"""Splines and swept tubes."""

from itertools import pairwise

import numpy as np

from unsct_mmpose.phantom.curves import smooth_curve, swept_tube


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
