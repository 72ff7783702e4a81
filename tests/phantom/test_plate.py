"""Thin plates and the distance to a polygon."""

import numpy as np
import pytest

from unsct_mmpose.phantom.plate import curved_plate, polygon_distance


def at(shape, points):
    x, y, z = (np.asarray(points, np.float32)[:, i].reshape(-1, 1) for i in range(3))
    return shape.distance(x, y, z).ravel()


def flat(**options):
    corners = [[-30, -20, 0], [0, -22, 0], [30, -20, 0], [32, 0, 0], [30, 20, 0], [0, 22, 0],
               [-30, 20, 0], [-32, 0, 0]]  # fmt: skip
    return curved_plate(corners, [], **{'middle_mm': 4.0, 'edge_mm': 4.0, **options})


def test_a_flat_plate_has_its_thickness():
    distance = at(flat(), [[0, 0, 0], [0, 0, 2], [5, 5, -2], [0, 0, 7]])
    assert np.allclose(distance, [-2.0, 0.0, 0.0, 5.0], atol=0.05)


def test_a_plate_ends_at_its_outline():
    distance = at(flat(), [[45, 0, 0], [0, 30, 0], [0, 15, 0]])
    assert distance[0] > 4 and distance[1] > 4 and distance[2] < 0


def test_the_edge_and_the_swellings_are_thicker():
    plate = flat(middle_mm=3.0, edge_mm=8.0, fade_mm=4.0, swellings=[([0, 0, 0], 12.0, 6.0)])
    middle, between, edge = at(plate, [[0, 0, 0], [21, 0, 0], [30, 0, 0]])
    assert middle == pytest.approx(-4.5, abs=0.2)
    assert middle < between and edge < between


def test_a_curved_plate_follows_its_points():
    ring = np.linspace(0, 2 * np.pi, 13)[:-1]
    radius = 80.0  # a cap of a sphere
    rim = [[25 * np.cos(a), 25 * np.sin(a), 0] for a in ring]
    rise = radius - np.sqrt(radius**2 - 25**2)
    plate = curved_plate(rim, [[0, 0, rise]], middle_mm=4.0, edge_mm=4.0)
    here = 12.0
    height = np.sqrt(radius**2 - here**2) - (radius - rise)
    assert at(plate, [[0, 0, rise]])[0] == pytest.approx(-2.0, abs=0.15)
    assert at(plate, [[here, 0, height]])[0] == pytest.approx(-2.0, abs=0.35)


def test_polygon_distance_agrees_with_opencv():
    cv2 = pytest.importorskip('cv2')
    rng = np.random.default_rng(3)
    polygon = np.array([[0, 0], [10, 2], [12, 9], [6, 5], [-2, 8]], float)
    points = rng.uniform(-6, 16, (200, 2))
    expected = [
        -cv2.pointPolygonTest(polygon.astype(np.float32), (float(x), float(y)), True)
        for x, y in points
    ]
    assert np.allclose(polygon_distance(polygon, points), expected, atol=1e-4)


def test_a_polygon_of_two_corners_is_a_segment():
    segment = np.array([[0.0, 0.0], [4.0, 0.0]])
    distance = polygon_distance(segment, np.array([[2.0, 3.0], [7.0, 4.0]]))
    assert distance.tolist() == [3.0, 5.0]
