"""What is drawn is what was measured."""

import numpy as np
import pytest

from tests.golden_hip import PELVIS_MM
from unsct_mmpose.drawing.construction import REFERENCE, construction_lines
from unsct_mmpose.functional.clinical import measure
from unsct_mmpose.functional.geometry import signed_angle_deg

SPACING = np.array([0.5, 0.4])
TURN = np.radians(7.0)
ROTATION = np.array([[np.cos(TURN), np.sin(TURN)], [-np.sin(TURN), np.cos(TURN)]])
POINTS_MM = PELVIS_MM @ ROTATION + [215, 200]
POINTS = POINTS_MM / SPACING
ALL = np.ones(24, bool)


def vectors(name, present=ALL):
    """The drawn segments of a measurement, as vectors in mm."""
    lines = construction_lines(POINTS, present, SPACING)
    return [
        (np.array(one.end_px) - one.start_px) * SPACING for one in lines if one.measurement == name
    ]


@pytest.mark.parametrize('side', ['left', 'right'])
@pytest.mark.parametrize(
    'output', ['center_edge_angle_deg', 'sharp_angle_deg', 'neck_shaft_angle_deg']
)
def test_the_drawn_angle_is_the_measured_one(side, output):
    name = f'{side}_{output}'
    first, second = vectors(name)
    drawn = abs(float(signed_angle_deg(first, second)))
    value = measure(POINTS, ALL, SPACING)[name].value
    # the neck is drawn away from the head, the shaft downwards
    assert drawn == pytest.approx(180 - value if 'neck' in output else value, abs=1e-6)


@pytest.mark.parametrize('side', ['left', 'right'])
@pytest.mark.parametrize(
    'output', ['femoral_offset_mm', 'acetabular_offset_mm', 'hip_center_height_mm']
)
def test_the_drawn_length_is_the_measured_one(side, output):
    name = f'{side}_{output}'
    length, along = vectors(name)
    assert np.linalg.norm(length) == pytest.approx(measure(POINTS, ALL, SPACING)[name].value)
    assert length @ along == pytest.approx(0, abs=1e-6)  # a right angle in mm


def test_the_reference_line_runs_through_both_teardrops():
    (line,) = vectors(REFERENCE)
    assert abs(float(signed_angle_deg(line, POINTS_MM[7] - POINTS_MM[19]))) == pytest.approx(0)


def test_what_is_absent_is_not_drawn():
    present = ALL.copy()
    present[5] = False
    names = {one.measurement for one in construction_lines(POINTS, present, SPACING)}
    assert 'left_center_edge_angle_deg' not in names and 'right_center_edge_angle_deg' in names
    assert construction_lines(POINTS, ~ALL, SPACING) == ()
