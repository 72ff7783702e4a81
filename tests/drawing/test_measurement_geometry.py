import numpy as np
import pytest
from unsct_mmpose.drawing.measurement_geometry import (
    reference_ends,
    shaft_axes,
    sketch_measurements,
)

from unsct_mmpose.anatomy import side_index
from unsct_mmpose.functional.clinical import measure

SPACING = np.array([0.5, 0.7])


@pytest.fixture
def points(hips_mm):
    noise = np.random.default_rng(1).normal(0, 3, hips_mm.shape)
    return (hips_mm + noise + 250) / SPACING


def everything():
    return np.ones(24, bool)


def sketches_of(points, present=None, **kwargs):
    present = everything() if present is None else present
    found = measure(points, present, SPACING, **kwargs)
    return found, sketch_measurements(found, points, present, SPACING, **kwargs)


def test_all_five_are_drawn_on_both_sides(points):
    _, sketches = sketches_of(points)
    assert len(sketches) == 10


@pytest.mark.parametrize('magnification', [1.0, 1.2])
def test_the_drawn_lengths_are_the_measured_ones(points, magnification):
    found, sketches = sketches_of(points, magnification=magnification)
    for name, sketch in sketches.items():
        if name.endswith('_mm'):
            drawn = np.linalg.norm((sketch.value[1] - sketch.value[0]) * SPACING) / magnification
            assert drawn == pytest.approx(abs(found[name].value))


def test_the_drawn_arcs_are_the_measured_angles(points):
    found, sketches = sketches_of(points)
    for name, sketch in sketches.items():
        if name.endswith('_deg'):
            arc = sketch.value * SPACING
            corner = {'center': sketch.lines[0][0], 'sharp_': sketch.lines[1][0]}.get(
                name.split('_', 1)[1][:6], sketch.lines[0][1]
            )
            radii = arc[[0, -1]] - corner * SPACING
            cosine = radii[0] @ radii[1] / np.prod(np.linalg.norm(radii, axis=1))
            assert np.rad2deg(np.arccos(cosine)) == pytest.approx(found[name].value, abs=1e-6)


def test_what_was_not_measured_is_not_drawn(points):
    present = everything()
    present[side_index('left', 6)] = False
    found, sketches = sketches_of(points, present)
    assert {name for name in sketches if name.startswith('left')} == {'left_sharp_angle_deg'}
    assert all(np.isfinite(found[name].value) for name in sketches)


def test_an_absent_landmark_s_place_is_not_read(points):
    present = everything()
    present[side_index('right', 9)] = False
    _, before = sketches_of(points, present)
    points[side_index('right', 9)] = np.nan
    _, after = sketches_of(points, present)
    for name, sketch in before.items():
        np.testing.assert_array_equal(sketch.value, after[name].value)


def test_a_neck_along_the_shaft_still_has_its_arc_near_the_hip(points):
    shaft = points[side_index('left', 12)] - points[side_index('left', 11)]
    points[side_index('left', 10)] = points[side_index('left', 6)] + 0.4 * shaft
    _, sketches = sketches_of(points)
    arc = sketches['left_neck_shaft_angle_deg'].value
    assert np.linalg.norm(arc - points[side_index('left', 10)], axis=1).max() < 60


def test_the_reference_line_runs_through_the_teardrops(points):
    found, _ = sketches_of(points)
    expected = points[[side_index('left', 8), side_index('right', 8)]]
    np.testing.assert_array_equal(reference_ends(found, points), expected)


def test_without_a_pair_there_is_no_reference_line(points):
    present = np.arange(24) < 12
    found, sketches = sketches_of(points, present)
    assert reference_ends(found, points) is None
    assert sketches


def test_a_shaft_axis_needs_both_ends(points):
    present = everything()
    assert len(shaft_axes(points, present)) == 2
    present[side_index('left', 12)] = False
    assert len(shaft_axes(points, present)) == 1
