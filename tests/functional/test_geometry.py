"""Vectors, never slopes: every direction is as good as any other."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unsct_mmpose.functional import geometry
from unsct_mmpose.functional.geometry import (
    angle_deg,
    cross,
    distance,
    dot,
    foot_of_point,
    length,
    perpendicular,
    perpendicular_towards,
    quadratic_form,
    regions_of,
    signed_angle_deg,
    symmetric_root,
    to_mm,
    unit,
    wrap_deg,
)

NUMBER = st.floats(-300, 300, allow_subnormal=False)
POINT = st.tuples(NUMBER, NUMBER).map(np.array)
ANGLE = st.floats(-180, 180)


def direction(degrees):
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def test_pixels_become_mm_along_each_axis_and_then_shrink_to_the_patient():
    assert to_mm([[10.0, 20.0]], [0.1, 0.3], 1.5).tolist() == [pytest.approx([2 / 3, 4.0])]


def test_images_have_spacings_of_their_own():
    points = np.ones((2, 3, 2))
    found = to_mm(points, np.array([[1.0, 2.0], [3.0, 4.0]])[:, None], np.array([[1.0], [2.0]]))
    assert found[0].tolist() == [[1.0, 2.0]] * 3
    assert found[1].tolist() == [[1.5, 2.0]] * 3


@pytest.mark.parametrize('bad', [0.0, -1.0, np.nan, np.inf])
def test_lengths_of_nothing_are_refused(bad):
    with pytest.raises(ValueError, match='spacing_xy_mm must be positive'):
        to_mm([1.0, 1.0], [1.0, bad])
    with pytest.raises(ValueError, match='magnification must be positive'):
        to_mm([1.0, 1.0], [1.0, 1.0], bad)


@given(POINT)
@settings(deadline=None)
def test_a_direction_has_length_one(vector):
    if length(vector) > 0:
        assert length(unit(vector)) == pytest.approx(1)
        assert cross(unit(vector), vector) == pytest.approx(0, abs=1e-9)
        assert dot(unit(vector), vector) > 0


def test_no_length_has_no_direction():
    assert np.isnan(unit([0.0, 0.0])).all()
    assert np.isnan(signed_angle_deg([0.0, 0.0], [1.0, 0.0]))
    assert np.isnan(foot_of_point([1.0, 1.0], [2.0, 2.0], [2.0, 2.0])).all()


def test_from_x_to_y_is_a_positive_turn():
    assert perpendicular([1.0, 0.0]).tolist() == [0.0, 1.0]
    assert signed_angle_deg([1.0, 0.0], [0.0, 1.0]) == pytest.approx(90)


@given(ANGLE, ANGLE, st.floats(0.1, 100), st.floats(0.1, 100))
@settings(deadline=None)
def test_the_angle_between_two_directions_is_the_shorter_way_round(a, b, size_a, size_b):
    angle = signed_angle_deg(size_a * direction(a), size_b * direction(b))
    assert wrap_deg(angle - (b - a)) == pytest.approx(0, abs=1e-6)
    assert -180 <= angle <= 180


@pytest.mark.parametrize('tiny', [1e-9, 1e-12])
def test_small_angles_keep_their_digits(tiny):
    # An arccosine would return 0 here.
    assert signed_angle_deg([1.0, 0.0], [1.0, tiny]) == pytest.approx(np.degrees(tiny), rel=1e-9)


@given(st.floats(-1000, 1000))
@settings(deadline=None)
def test_a_wrapped_angle_is_the_same_direction(angle):
    found = wrap_deg(angle)
    assert -180 <= found < 180 or found == pytest.approx(180)
    assert direction(found) == pytest.approx(direction(angle), abs=1e-9)


def test_an_angle_of_nothing_is_nan():
    assert np.isnan(angle_deg(0.0, 0.0))
    assert angle_deg(-1.0, 0.0) == pytest.approx(-90)


@given(POINT, POINT)
@settings(deadline=None)
def test_the_perpendicular_looks_to_the_asked_side(vector, towards):
    found = perpendicular_towards(vector, towards)
    assert dot(found, vector) == pytest.approx(0, abs=1e-6)
    assert dot(found, towards) >= 0 or dot(perpendicular(vector), towards) == 0
    assert length(found) == pytest.approx(length(vector))


@given(POINT, POINT, POINT)
@settings(deadline=None)
def test_the_foot_is_the_nearest_point_of_the_line(point, a, b):
    if distance(a, b) < 1:
        return
    foot = foot_of_point(point, a, b)
    assert dot(point - foot, b - a) / distance(a, b) == pytest.approx(0, abs=1e-6)
    assert cross(foot - a, b - a) / distance(a, b) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize('end', [(0.0, 9.0), (9.0, 0.0), (0.0, -9.0), (-9.0, 0.0)])
def test_upright_lines_are_lines_too(end):
    end = np.array(end)
    assert foot_of_point([3.0, 4.0], [0.0, 0.0], end) == pytest.approx(
        [0.0, 4.0] if end[0] == 0 else [3.0, 0.0]
    )


def test_a_quadratic_form_is_the_product_with_both_sides():
    rng = np.random.default_rng(0)
    vectors, matrices = rng.normal(size=(5, 3, 2)), rng.normal(size=(5, 3, 2, 2))
    form = quadratic_form(vectors, matrices)
    assert form == pytest.approx(np.einsum('abi,abij,abj->ab', vectors, matrices, vectors))


ONE = (unit, perpendicular, length)
TWO = (dot, cross, distance, signed_angle_deg, perpendicular_towards)
THREE = (foot_of_point,)


@pytest.mark.parametrize(
    'function, count',
    [(function, 1) for function in ONE]
    + [(function, 2) for function in TWO]
    + [(function, 3) for function in THREE],
)
def test_many_at_once_are_the_same_as_one_by_one_and_nothing_is_changed(function, count):
    arrays = np.random.default_rng(1).normal(size=(count, 4, 3, 2))
    before = arrays.copy()
    found = function(*arrays)
    assert (arrays == before).all()
    for i in range(4):
        for j in range(3):
            assert found[i, j] == pytest.approx(function(*arrays[:, i, j]))
    # A single vector is broadcast.
    if count > 1:
        alone = function(*arrays[:-1], arrays[-1, 0, 0])
        assert alone[0, 0] == pytest.approx(found[0, 0]) and alone.shape == found.shape


def test_the_region_holds_its_share_of_a_normal_distribution():
    covariance = np.array([[5.0, 2.0], [2.0, 3.0]])
    (region,) = regions_of(covariance[None], 0.9)
    points = np.random.default_rng(0).multivariate_normal((0, 0), covariance, 20000)
    angle = np.radians(region.angle_deg)
    along = points @ [np.cos(angle), np.sin(angle)]
    across = points @ [-np.sin(angle), np.cos(angle)]
    inside = (along / region.semi_axes_px[0]) ** 2 + (across / region.semi_axes_px[1]) ** 2 <= 1
    assert inside.mean() == pytest.approx(0.9, abs=0.01)


def test_roots_are_symmetric_and_square_to_the_matrix():
    values = np.random.default_rng(0).normal(size=(5, 24, 2, 2))
    matrices = values @ np.swapaxes(values, -1, -2) + 0.1 * np.eye(2)
    root = symmetric_root(matrices)
    np.testing.assert_allclose(root @ root, matrices, atol=1e-10)
    np.testing.assert_allclose(root, np.swapaxes(root, -1, -2), atol=1e-12)
    np.testing.assert_allclose(symmetric_root(torch.from_numpy(matrices)).numpy(), root, atol=1e-12)


def test_every_public_function_is_tested_here():
    public = {
        name
        for name, function in vars(geometry).items()
        if inspect.isfunction(function)
        and function.__module__ == geometry.__name__
        and not name.startswith('_')
    }
    assert public <= set(globals())
