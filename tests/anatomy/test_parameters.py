import re

import pytest

from unsct_mmpose.anatomy import CLINICAL_PARAMETERS, parameter
from unsct_mmpose.anatomy.parameters import EXTRA_PARAMETERS, ReferenceRange, parameter_of_output

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
ALL = CLINICAL_PARAMETERS + EXTRA_PARAMETERS
EACH = pytest.mark.parametrize('one', ALL, ids=lambda one: one.name)


def test_the_parameters_are_those_of_table_2_in_its_order():
    assert {one.name: one.landmarks for one in CLINICAL_PARAMETERS} == TABLE_2
    assert [one.name for one in CLINICAL_PARAMETERS] == list(TABLE_2)


@EACH
def test_a_parameter_is_found_by_its_name(one):
    assert parameter(one.name) is one


def test_an_unknown_parameter_lists_the_known_ones():
    with pytest.raises(KeyError, match=r"'extrusion_index'.*skinner_line.*koehler_line"):
        parameter('extrusion_index')
    with pytest.raises(KeyError, match=r"'extrusion_mm'.*skinner_height_mm.*gt_leg_length"):
        parameter_of_output('extrusion_mm')


@EACH
def test_an_output_leads_back_to_its_parameter(one):
    assert all(parameter_of_output(output) is one for output in one.outputs)


@EACH
def test_the_landmarks_of_the_outputs_cover_those_of_the_parameter(one):
    needed = [set(one.needs(output)) for output in one.outputs]
    assert set().union(*needed) >= set(one.landmarks)
    assert all(needed)
    with pytest.raises(ValueError, match=f"{one.name} yields .* not 'width_mm'"):
        one.needs('width_mm')


def test_outputs_that_need_other_landmarks_than_their_parameter():
    assert parameter('koehler_line').needs('koehler_angle_deg') == (1, 9)
    assert parameter('koehler_line').needs('koehler_head_mm') == (1, 6, 9)
    assert parameter('koehler_line').needs('koehler_teardrop_mm') == (1, 8, 9)
    assert parameter('acetabular_index').needs('acetabular_index_roof_deg') == (3, 4)
    assert parameter('skinner_line').needs('skinner_distance_mm') == (5, 7, 11, 12)


def test_what_these_points_cannot_give_is_not_claimed():
    claims = ' '.join(output for one in ALL for output in one.outputs)
    for word in ('trochanter', 'extrusion', 'joint_space', 'alpha', 'version', 'crowe', 'dorr'):
        assert word not in claims


@EACH
def test_every_output_carries_its_unit(one):
    assert one.outputs
    assert all(name.endswith(('_deg', '_mm')) for name in one.outputs)


def test_no_two_parameters_yield_the_same_output():
    outputs = [name for one in ALL for name in one.outputs]
    assert len(outputs) == len(set(outputs))


@EACH
def test_the_definition_names_only_landmarks_of_the_table(one):
    named = {int(number) for number in re.findall(r'P(\d+)', one.definition)}
    assert named <= set(one.landmarks).union(*map(one.needs, one.outputs))
    assert named


@EACH
def test_only_femoral_parameters_do_without_the_pelvis(one):
    assert one.frame in ('pelvis', 'femur', 'image')
    if one.frame == 'femur':
        assert set(one.landmarks) <= {5, 6, 7, 10, 11, 12}


@EACH
def test_a_reference_range_is_ordered_and_says_where_it_comes_from(one):
    for reference in one.references:
        assert reference.label and reference.source
        assert reference.low is not None or reference.high is not None
        if reference.low is not None and reference.high is not None:
            assert reference.low < reference.high
        assert reference.output in (one.outputs if len(one.outputs) > 1 else (None,))


@pytest.mark.parametrize(
    'low, high, inside, outside',
    [(20, 25, (20, 25), (19.9, 25.1)), (None, 20, (19.9,), (20, 30)), (44, None, (44.1,), (44,))],
)
def test_only_a_closed_range_holds_its_ends(low, high, inside, outside):
    one = ReferenceRange('named', low, high, 'someone')
    assert not one.is_usual
    assert all(map(one.contains, inside)) and not any(map(one.contains, outside))
    assert not one.contains(float('nan'))


def test_the_golden_hip_is_in_a_range_of_the_literature():
    # Domain page, golden case: CE 32.856, Sharp 43.025, NSA 128.111, femoral offset 41.467.
    def labels(name, value):
        return [one.label for one in parameter(name).references if one.contains(value)]

    assert labels('center_edge_angle', 32.856) == ['usual']
    assert labels('neck_shaft_angle', 128.111) == ['usual']
    assert labels('femoral_offset', 41.467) == ['usual']
    assert labels('sharp_angle', 43.025) == ['dysplasia']
