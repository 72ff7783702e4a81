"""Obstacles and blades hide what lies under them, entirely."""

import numpy as np
import pytest

from unsct_mmpose.anatomy import side_index
from unsct_mmpose.phantom.occlusion import (
    Field,
    Obstacle,
    Stroke,
    blades,
    block,
    clearance,
    cover,
    shield,
    side_plate,
    write_letter,
)

SIZE = (120, 140)


def pictures():
    rng = np.random.default_rng(0)
    return rng.random(SIZE, dtype=np.float32), rng.random(SIZE, dtype=np.float32)


def hip_points():
    points = np.full((24, 2), 20.0)
    for number, place in ((6, (70, 30)), (10, (85, 45)), (11, (95, 75)), (12, (95, 100))):
        points[side_index('left', number)] = place
    return points


OBSTACLES = {
    'block': block(np.array([60.0, 50.0]), 0.8, np.random.default_rng(1)),
    'shield': shield(np.array([60.0, 50.0]), 0.8, np.random.default_rng(2)),
    'side_plate': side_plate(hip_points(), 'left', 1.0, np.random.default_rng(3)),
}


@pytest.mark.parametrize('name', OBSTACLES)
def test_what_is_covered_does_not_depend_on_the_picture(name):
    obstacle, field = OBSTACLES[name], Field(None, SIZE)
    a, b = (cover(p, field, [obstacle]) for p in pictures())
    y, x = np.indices(SIZE)
    grid = np.stack([x.ravel(), y.ravel()], 1).astype(float)
    free = clearance(grid, field, [obstacle]).reshape(SIZE)
    hidden = free < -0.6
    interior = obstacle.distance(grid).reshape(SIZE) > 0.6
    assert hidden.sum() > 50
    assert np.array_equal(a[hidden], b[hidden])
    assert np.array_equal(a[interior], pictures()[0][interior])


def test_outside_the_blades_the_image_is_black():
    corners = blades(np.array([15.0, 10.0]), np.array([110.0, 90.0]), 3.0)
    field = Field(corners, SIZE)
    image = cover(pictures()[0], field, [])
    y, x = np.indices(SIZE)
    free = field.clearance(np.stack([x.ravel(), y.ravel()], 1).astype(float)).reshape(SIZE)
    assert not image[free < -1].any()
    inside = free > 1.5
    assert np.array_equal(image[inside], pictures()[0][inside])


def test_clearance_is_the_distance_to_the_edge_of_the_detector():
    points = np.array([[5.0, 60.0], [70.0, 118.0], [-4.0, 60.0], [137.0, 60.0]])
    assert clearance(points, Field(None, SIZE), []).tolist() == [5.0, 1.0, -4.0, 2.0]


def test_blades_without_a_turn_are_the_rectangle():
    corners = blades(np.array([1.0, 2.0]), np.array([9.0, 8.0]), 0.0)
    assert np.allclose(corners, [[1, 2], [9, 2], [9, 8], [1, 8]])


@pytest.mark.parametrize('seed', range(6))
def test_a_hip_screw_hides_the_base_of_the_neck_and_not_the_shaft(seed):
    points = hip_points()
    plate = side_plate(points, 'left', 1.0, np.random.default_rng(seed))
    assert plate.distance(points[[side_index('left', 10)]])[0] < -4
    # A screw may touch it, but cannot hide it.
    assert plate.distance(points[[side_index('left', 12)]])[0] > -2


def test_an_obstacle_is_the_union_of_its_strokes():
    parts = (Stroke(np.array([[0.0, 0], [10, 0]]), 2.0), Stroke(np.array([[0.0, 20], [10, 20]]), 3))
    obstacle = Obstacle('x', parts)
    assert obstacle.distance(np.array([[5.0, 4.0], [5.0, 15.0]])).tolist() == [2.0, 2.0]


@pytest.mark.parametrize('seed', range(8))
def test_a_letter_keeps_clear_of_landmarks(seed):
    picture = pictures()[0]
    points = np.array([[70.0, 60.0], [100.0, 30.0], [30.0, 90.0]])
    image = write_letter(picture, points, Field(None, SIZE), 0.9, np.random.default_rng(seed))
    changed = np.argwhere(image != picture)[:, ::-1]
    if len(changed):
        gaps = np.linalg.norm(changed[:, None] - points[None], axis=-1)
        assert gaps.min() > 8


def test_the_picture_is_not_changed_in_place():
    picture = pictures()[0]
    before = picture.copy()
    cover(picture, Field(blades(np.zeros(2), np.full(2, 50.0), 0.0), SIZE), [OBSTACLES['block']])
    assert np.array_equal(picture, before)
