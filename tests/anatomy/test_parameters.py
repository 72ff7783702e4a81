import re

import pytest

from unsct_mmpose.anatomy import CLINICAL_PARAMETERS, parameter

# Table 2 of the paper.
TABLE_2 = {
    'skinner_line': (5, 7, 11, 12),
    'neck_shaft_angle': (6, 10, 11, 12),
    'femoral_offset': (6, 11, 12),
    'acetabular_offset': (6, 8),
    'center_edge_angle': (3, 6),
    'acetabular_index': (2, 3, 4),
    'sharp_angle': (3, 8),
    'koehler_line': (1, 9),
}
EACH = pytest.mark.parametrize('one', CLINICAL_PARAMETERS, ids=lambda one: one.name)


def test_the_parameters_are_those_of_table_2_in_its_order():
    assert {one.name: one.landmarks for one in CLINICAL_PARAMETERS} == TABLE_2
    assert [one.name for one in CLINICAL_PARAMETERS] == list(TABLE_2)


@EACH
def test_a_parameter_is_found_by_its_name(one):
    assert parameter(one.name) is one


def test_an_unknown_parameter_lists_the_known_ones():
    with pytest.raises(KeyError, match=r"'extrusion_index'.*skinner_line.*koehler_line"):
        parameter('extrusion_index')


@EACH
def test_every_output_carries_its_unit(one):
    assert one.outputs
    assert all(name.endswith(('_deg', '_mm')) for name in one.outputs)


def test_no_two_parameters_yield_the_same_output():
    outputs = [name for one in CLINICAL_PARAMETERS for name in one.outputs]
    assert len(outputs) == len(set(outputs))


@EACH
def test_the_definition_names_only_landmarks_of_the_table(one):
    named = {int(number) for number in re.findall(r'P(\d+)', one.definition)}
    assert named <= set(one.landmarks)
    assert named


@EACH
def test_only_femoral_parameters_do_without_the_pelvis(one):
    assert one.frame in ('pelvis', 'femur')
    if one.frame == 'femur':
        assert set(one.landmarks) <= {5, 6, 7, 10, 11, 12}


@EACH
def test_a_reference_range_is_ordered_and_says_where_it_comes_from(one):
    for reference in one.references:
        assert reference.label and reference.source
        assert reference.low is not None or reference.high is not None
        if reference.low is not None and reference.high is not None:
            assert reference.low < reference.high


def test_the_golden_hip_is_in_a_range_of_the_literature():
    # Domain page, golden case: CE 32.856, Sharp 43.025, NSA 128.111, femoral offset 41.467.
    def labels(name, value):
        return [
            one.label
            for one in parameter(name).references
            if (one.low is None or one.low <= value) and (one.high is None or value <= one.high)
        ]

    assert labels('center_edge_angle', 32.856) == ['usual']
    assert labels('neck_shaft_angle', 128.111) == ['usual']
    assert labels('femoral_offset', 41.467) == ['usual']
    assert labels('sharp_angle', 43.025) == ['dysplasia']
