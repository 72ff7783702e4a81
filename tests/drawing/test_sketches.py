"""What is drawn is what was measured."""

import numpy as np
import pytest

from unsct_mmpose.anatomy import side_index, split_side
from unsct_mmpose.anatomy.parameters import REPORTED
from unsct_mmpose.drawing.sketches import REFERENCE, sketch_measurements
from unsct_mmpose.functional.clinical import measure
from unsct_mmpose.functional.geometry import signed_angle_deg

SPACING = np.array([0.5, 0.7])
DRAWN = [row.name for row in REPORTED if row.drawing]
SIDES = pytest.mark.parametrize('side', ['left', 'right'])
NECK = 'neck_shaft_angle_deg'


@pytest.fixture
def points(hips_mm):
    noise = np.random.default_rng(1).normal(0, 3, hips_mm.shape)
    return (hips_mm + noise + 250) / SPACING


def everything():
    return np.ones(24, bool)


def sketches_of(points, present=None):
    present = everything() if present is None else present
    return sketch_measurements(points, present, SPACING)


def values_of(points):
    return measure(points, everything(), SPACING)


def in_mm(ends):
    return (ends[1] - ends[0]) * SPACING


def test_every_drawing_is_on_both_sides(points):
    expected = {f'{side}_{name}' for side in ('left', 'right') for name in DRAWN}
    assert sketches_of(points).keys() == {REFERENCE, *expected}


@SIDES
@pytest.mark.parametrize('output', ['center_edge_angle_deg', 'sharp_angle_deg', NECK])
def test_the_angle_between_the_lines_is_the_measured_one(points, side, output):
    first, second = sketches_of(points)[f'{side}_{output}'].lines
    drawn = abs(float(signed_angle_deg(in_mm(first), in_mm(second))))
    value = values_of(points)[f'{side}_{output}'].value
    # the neck is drawn away from the head, the shaft downwards
    assert drawn == pytest.approx(180 - value if output == NECK else abs(value), abs=1e-6)


@SIDES
@pytest.mark.parametrize('output', ['center_edge_angle_deg', 'sharp_angle_deg', NECK])
def test_the_arc_is_the_measured_angle_around_the_corner_of_the_lines(points, side, output):
    sketch = sketches_of(points)[f'{side}_{output}']
    first, second = (ends * SPACING for ends in sketch.lines)
    directions = [ends[1] - ends[0] for ends in (first, second)]
    along = np.linalg.solve(np.stack(directions, 1) * [1, -1], second[0] - first[0])[0]
    corner = first[0] + along * directions[0]
    arc = sketch.arc * SPACING - corner
    assert np.linalg.norm(arc, axis=1) == pytest.approx(18.0)
    value = values_of(points)[f'{side}_{output}'].value
    assert abs(float(signed_angle_deg(arc[0], arc[-1]))) == pytest.approx(abs(value), abs=1e-6)
    for radius, line in zip(arc[[0, -1]], directions, strict=True):
        assert np.cross(radius, line) == pytest.approx(0, abs=1e-6)


@SIDES
@pytest.mark.parametrize(
    'output', ['femoral_offset_mm', 'acetabular_offset_mm', 'hip_center_height_mm']
)
def test_the_drawn_length_is_the_measured_one(points, side, output):
    length, along = map(in_mm, sketches_of(points)[f'{side}_{output}'].lines)
    value = values_of(points)[f'{side}_{output}'].value
    assert np.linalg.norm(length) == pytest.approx(abs(value))
    assert length @ along == pytest.approx(0, abs=1e-6)  # a right angle in mm


def test_only_an_angle_between_two_lines_has_an_arc(points):
    sketches = sketches_of(points)
    with_arc = {split_side(name)[1] for name in sketches if sketches[name].arc is not None}
    assert with_arc == {'center_edge_angle_deg', 'sharp_angle_deg', NECK}


def test_what_is_absent_is_not_drawn(points):
    present = everything()
    present[side_index('left', 6)] = False
    left = {name for name in sketches_of(points, present) if name.startswith('left')}
    assert left == {'left_sharp_angle_deg', 'left_koehler_angle_deg'}
    assert sketches_of(points, ~everything()) == {}


def test_an_absent_landmark_s_place_is_not_read(points):
    present = everything()
    present[side_index('right', 9)] = False
    before = sketches_of(points, present)
    points[side_index('right', 9)] = np.nan
    after = sketches_of(points, present)
    for name, sketch in before.items():
        np.testing.assert_array_equal(sketch.lines, after[name].lines)


def test_a_neck_along_the_shaft_still_has_its_arc_near_the_hip(points):
    shaft = points[side_index('left', 12)] - points[side_index('left', 11)]
    neck = side_index('left', 10)
    points[neck] = points[side_index('left', 6)] + 0.4 * shaft
    arc = sketches_of(points)['left_neck_shaft_angle_deg'].arc
    assert np.linalg.norm((arc - points[neck]) * SPACING, axis=1) == pytest.approx(18.0)


def test_axes_that_meet_far_away_have_their_arc_at_the_neck(points):
    head, neck, top, end = (side_index('left', number) for number in (6, 10, 11, 12))
    shaft = (points[end] - points[top]) * SPACING
    turn = np.radians(8)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ shaft
    points[neck] = points[head] + 0.3 * turned / SPACING
    arc = sketches_of(points)['left_neck_shaft_angle_deg'].arc
    assert np.linalg.norm((arc - points[neck]) * SPACING, axis=1) == pytest.approx(18.0)


def test_the_reference_line_runs_through_the_teardrops(points):
    (line,) = sketches_of(points)[REFERENCE].lines
    for side in ('left', 'right'):
        away = (points[side_index(side, 8)] - line[0]) * SPACING
        assert np.cross(away, in_mm(line)) == pytest.approx(0, abs=1e-6)
        assert 0 < away @ in_mm(line) < in_mm(line) @ in_mm(line)


def test_without_a_pair_there_is_no_reference_line(points):
    sketches = sketches_of(points, np.arange(24) < 12)
    assert REFERENCE not in sketches and sketches
