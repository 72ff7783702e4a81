import re

import pytest

from unsct_mmpose.anatomy import MEASUREMENT_NAMES, Measurement, parameter, split_side
from unsct_mmpose.anatomy.parameters import (
    CLINICAL_PARAMETERS,
    EXTRA_PARAMETERS,
    GROUPS,
    PARAMETERS,
    REPORTED,
    Corner,
    Foot,
    ReferenceRange,
)

# Table 2 of the paper: the landmarks without which each value cannot be measured.
TABLE_2 = {
    'skinner_height_mm': (5, 7, 11, 12),
    'skinner_distance_mm': (5, 7, 11, 12),
    'neck_shaft_angle_deg': (6, 10, 11, 12),
    'femoral_offset_mm': (6, 11, 12),
    'acetabular_offset_mm': (6, 8),
    'center_edge_angle_deg': (3, 6),
    'acetabular_index_roof_deg': (3, 4),
    'acetabular_index_hilgenreiner_deg': (2, 3),
    'sharp_angle_deg': (3, 8),
    'koehler_angle_deg': (1, 9),
    'koehler_head_mm': (1, 6, 9),
    'koehler_teardrop_mm': (1, 8, 9),
}
ALL = CLINICAL_PARAMETERS + EXTRA_PARAMETERS
EACH = pytest.mark.parametrize('row', ALL, ids=lambda row: row.name)


def test_the_parameters_are_those_of_table_2_in_its_order():
    assert {row.name: row.landmarks for row in CLINICAL_PARAMETERS} == TABLE_2
    assert [row.name for row in CLINICAL_PARAMETERS] == list(TABLE_2)


@EACH
def test_a_parameter_is_found_by_its_name(row):
    assert parameter(row.name) is row
    assert parameter(f'left_{row.name}') is row


def test_an_unknown_parameter_lists_the_known_ones():
    with pytest.raises(KeyError, match=r"'extrusion_mm'.*skinner_height_mm.*gt_leg_length"):
        parameter('extrusion_mm')


def test_what_these_points_cannot_give_is_not_claimed():
    claims = ' '.join(PARAMETERS)
    for word in ('trochanter', 'extrusion', 'joint_space', 'alpha', 'version', 'crowe', 'dorr'):
        assert word not in claims


@EACH
def test_every_parameter_carries_its_unit(row):
    assert row.name.endswith(f'_{row.unit}') and row.unit in ('deg', 'mm')


def test_no_two_parameters_are_the_same():
    assert len(PARAMETERS) == len(ALL)
    assert len({row.code for row in ALL}) == len({row.title for row in ALL}) == len(ALL)


def test_a_reader_finds_every_parameter_once_in_its_group():
    assert sorted(REPORTED, key=ALL.index) == list(ALL)
    assert len({(row.group, row.rank) for row in ALL}) == len(ALL)
    assert list(dict.fromkeys(row.group for row in REPORTED)) == list(GROUPS)


@EACH
def test_vectors_and_drawings_use_only_the_landmarks_of_the_parameter(row):
    used = {number for pair in row.vectors for number in pair}
    for line in row.drawing.lines if row.drawing else ():
        for place in (line.start, line.end):
            if isinstance(place, Foot):
                used |= {place.of, *place.line}
            elif isinstance(place, Corner):
                used |= {place.start, place.level_with}
            elif not isinstance(place, str):
                used.add(place)
    assert row.vectors and used <= set(row.landmarks)


def test_a_measurement_says_what_its_name_says():
    for name in MEASUREMENT_NAMES:
        measurement = Measurement(name, 1.0)
        assert (measurement.side, measurement.parameter) == split_side(
            name
        ) and measurement.unit == parameter(name).unit
        sides = {'left', 'right'} if measurement.side is None else {measurement.side}
        assert {landmark.split('_')[0] for landmark in measurement.landmarks} == sides
        assert len(measurement.landmarks) == len(sides) * len(parameter(name).landmarks)


@EACH
def test_the_definition_names_only_landmarks_of_the_table(row):
    named = {int(number) for number in re.findall(r'P(\d+)', row.definition)}
    same = [other for other in ALL if other.definition == row.definition]
    assert named <= set().union(*(other.landmarks for other in same))
    assert named


@EACH
def test_only_femoral_parameters_do_without_the_pelvis(row):
    assert row.frame in ('pelvis', 'femur', 'image')
    if row.frame == 'femur':
        assert set(row.landmarks) <= {5, 6, 7, 10, 11, 12}


@EACH
def test_a_reference_range_is_ordered_and_says_where_it_comes_from(row):
    assert bool(row.usual_ranges) == bool(row.references)
    for reference in row.references:
        assert reference.label and reference.source
        assert reference.low is not None or reference.high is not None
        if reference.low is not None and reference.high is not None:
            assert reference.low < reference.high


@pytest.mark.parametrize(
    'low, high, inside, outside',
    [(20, 25, (20, 25), (19.9, 25.1)), (None, 20, (19.9,), (20, 30)), (44, None, (44.1,), (44,))],
)
def test_only_a_closed_range_holds_its_ends(low, high, inside, outside):
    limits = ReferenceRange('named', low, high, 'someone')
    assert not limits.is_usual
    assert all(map(limits.contains, inside)) and not any(map(limits.contains, outside))
    assert not limits.contains(float('nan'))


def test_the_golden_hip_is_in_a_range_of_the_literature():
    # Domain page, golden case: CE 32.856, Sharp 43.025, NSA 128.111, femoral offset 41.467.
    def labels(name, value):
        return [
            reference.label for reference in parameter(name).references if reference.contains(value)
        ]

    assert labels('center_edge_angle_deg', 32.856) == ['usual']
    assert labels('neck_shaft_angle_deg', 128.111) == ['usual']
    assert labels('femoral_offset_mm', 41.467) == ['usual']
    assert labels('sharp_angle_deg', 43.025) == ['dysplasia']
