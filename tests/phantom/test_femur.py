"""The femur: landmarks reproduce the dimensions and lie where they belong."""

import numpy as np
import pytest

from unsct_mmpose.phantom.dimensions import sample_dimensions
from unsct_mmpose.phantom.femur import femur, femur_points
from unsct_mmpose.phantom.volume import evaluate


@pytest.mark.parametrize('seed', range(6))
def test_points_have_the_sampled_angle_and_offset(seed):
    side = sample_dimensions(np.random.default_rng(seed)).right
    points = femur_points(side)
    neck = points['head'] - points['neck_base']
    shaft = points['shaft_distal'] - points['shaft_proximal']
    cosine = neck @ shaft / np.linalg.norm(neck) / np.linalg.norm(shaft)
    assert np.degrees(np.arccos(cosine)) == pytest.approx(side.neck_shaft_deg)
    assert points['shaft_proximal'][0] == pytest.approx(side.femoral_offset_mm)
    assert np.linalg.norm(shaft) == pytest.approx(42.0)
    fovea = points['fovea_direction']
    assert np.hypot(fovea[0], fovea[1]) == pytest.approx(0.70)


@pytest.fixture(scope='module')
def sampled():
    person = sample_dimensions(np.random.default_rng(11))
    bone = femur(person, person.left)
    return person.left, bone, evaluate(bone, (1.0, 1.0, 1.0))


def values_at(grid, points):
    index = np.round((np.asarray(points) - grid.origin_mm) / grid.voxel_mm).astype(int)
    return grid.values[index[..., 2], index[..., 1], index[..., 0]]


def test_landmarks_lie_in_the_middle_or_on_the_surface(sampled):
    side, bone, grid = sampled
    p = bone.points
    assert values_at(grid, p['head']) == pytest.approx(-side.head_radius_mm, abs=1.5)
    assert values_at(grid, p['neck_base']) < -9
    assert values_at(grid, p['shaft_distal']) == pytest.approx(-side.shaft_radius_mm, abs=2.0)
    assert abs(values_at(grid, p['fovea'])) < 1.2


def test_the_fovea_is_a_dent(sampled):
    side, bone, grid = sampled
    rim = side.head_radius_mm * bone.points['fovea_direction']
    opposite = side.head_radius_mm * np.array([-0.3, -0.9, -0.3]) / np.linalg.norm([0.3, 0.9, 0.3])
    assert values_at(grid, rim) > 0.8
    assert abs(values_at(grid, opposite)) < 0.9


def test_proximal_shaft_sections_are_centred_on_their_landmarks(sampled):
    _, bone, grid = sampled
    for name in ('shaft_proximal', 'shaft_distal'):
        point = bone.points[name]
        row = round((point[1] - grid.origin_mm[1]) / grid.voxel_mm[1])
        z, x = np.nonzero(grid.values[:, row] < 0)
        middle = np.array([x.mean(), z.mean()]) * grid.voxel_mm[[0, 2]] + grid.origin_mm[[0, 2]]
        assert np.allclose(middle, point[[0, 2]], atol=1.0)


def test_the_neck_is_narrower_than_head_and_base(sampled):
    _, bone, grid = sampled
    base = bone.points['neck_base']
    axis = base / np.linalg.norm(base)
    square = np.array([axis[1], -axis[0], 0.0])
    widths = []
    for share in (0.0, 0.62, 1.1):
        line = share * base + np.arange(-40, 40, 0.5)[:, None] * square
        low, high = (
            grid.origin_mm,
            grid.origin_mm + grid.voxel_mm * (np.array(grid.values.shape[::-1]) - 1),
        )
        line = line[np.all((line >= low) & (line <= high), axis=1)]
        widths.append((values_at(grid, line) < 0).sum() * 0.5)
    assert widths[1] < 0.85 * widths[0] and widths[1] < 0.85 * widths[2]


def test_the_trochanter_reaches_its_height(sampled):
    side, _, grid = sampled
    x = np.arange(grid.values.shape[2]) * grid.voxel_mm[0] + grid.origin_mm[0]
    lateral = grid.values[:, :, x > side.femoral_offset_mm - 12]
    top = (
        np.flatnonzero((lateral < 0).any(axis=(0, 2))).min() * grid.voxel_mm[1] + grid.origin_mm[1]
    )
    assert -top == pytest.approx(side.tip_height_mm, abs=3.5)
