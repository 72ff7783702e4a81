"""The hip bone: its landmarks reproduce the dimensions, and its parts are there."""

from dataclasses import replace

import numpy as np
import pytest

from unsct_mmpose.phantom.dimensions import sample_dimensions
from unsct_mmpose.phantom.pelvis import acetabular_points, hip_bone
from unsct_mmpose.phantom.volume import evaluate

VOXEL = (1.5, 1.5, 1.5)


def angle(vector):
    return np.degrees(np.arctan2(-vector[1], vector[0]))


@pytest.mark.parametrize('seed', range(8))
def test_acetabular_points_have_the_sampled_angles(seed):
    person = sample_dimensions(np.random.default_rng(seed))
    side, points = person.left, acetabular_points(person, person.left)
    edge = points['upper_edge'] - points['center']
    assert 90 - angle(edge) == pytest.approx(side.center_edge_deg)
    roof = points['upper_edge'] - points['lower_edge']
    assert angle(roof) == pytest.approx(side.roof_index_deg, abs=0.01) or (
        not 26 < side.center_edge_deg + 2 * side.roof_index_deg < 62
    )
    teardrop = points['teardrop']
    assert points['center'][0] - teardrop[0] == pytest.approx(side.acetabular_offset_mm)
    if 9.01 < teardrop[1] < 23.99:
        assert angle(points['upper_edge'] - teardrop) == pytest.approx(side.sharp_deg)


@pytest.fixture(scope='module')
def hip():
    person = sample_dimensions(np.random.default_rng(11))
    bone = hip_bone(person, person.left)
    return person, bone, evaluate(bone, (1.0, 1.0, 1.0))


def distance_at(grid, point):
    index = np.round((np.asarray(point) - grid.origin_mm) / grid.voxel_mm).astype(int)
    return float(grid.values[index[2], index[1], index[0]])


@pytest.mark.parametrize('name', ['upper_edge', 'lower_edge', 'cartilage', 'teardrop'])
def test_landmarks_lie_on_the_surface(hip, name):
    _, bone, grid = hip
    assert abs(distance_at(grid, bone.points[name])) < 2.0


def test_the_cup_is_empty_and_its_roof_is_bone(hip):
    person, bone, grid = hip
    side, center = person.left, bone.points['center']
    cup = side.head_radius_mm + side.joint_space_mm
    assert distance_at(grid, center) > 10
    roof = center + (cup + 3.0) * np.array([0.1, -0.995, 0.0])
    assert distance_at(grid, roof) < 0
    for turn in np.radians([0, 60, 120, 180, 240, 300]):
        inside = center + (side.head_radius_mm + 0.5) * np.array([np.cos(turn), np.sin(turn), 0])
        assert distance_at(grid, inside) > 0


def test_the_obturator_foramen_is_a_hole_seen_from_the_front(hip):
    _, _, grid = hip
    shadow = (grid.values < 0).any(axis=0)
    x, y = 42.0, 33.0
    row, column = (round((v - grid.origin_mm[i]) / grid.voxel_mm[i]) for v, i in ((y, 1), (x, 0)))
    assert not shadow[row, column]
    assert shadow[row, :column].any() and shadow[row, column:].any()
    assert shadow[:row, column].any() and shadow[row:, column].any()


def test_height_and_ischium_follow_the_dimensions(hip):
    person, _, grid = hip
    rows = np.flatnonzero((grid.values < 0).any(axis=(0, 2))) * grid.voxel_mm[1] + grid.origin_mm[1]
    assert rows.max() == pytest.approx(person.ischium_drop_mm, abs=4.0)
    assert rows.max() - rows.min() == pytest.approx(person.pelvic_height_mm, abs=10.0)


def test_the_symphysis_stays_open(hip):
    person, _, grid = hip
    columns = np.flatnonzero((grid.values < 0).any(axis=(0, 1)))
    first = columns.min() * grid.voxel_mm[0] + grid.origin_mm[0]
    assert first == pytest.approx(person.symphysis_gap_mm / 2, abs=1.2)


def test_a_smaller_centre_edge_angle_uncovers_the_head():
    person = sample_dimensions(np.random.default_rng(3))
    edges = [
        acetabular_points(person, replace(person.left, center_edge_deg=value))['upper_edge']
        for value in (10.0, 25.0, 40.0)
    ]
    assert edges[0][0] < edges[1][0] < edges[2][0]
