from collections import Counter

import pytest

from unsct_mmpose.anatomy import (
    FLIP_INDICES,
    RELATION_SETS,
    relation_set,
    side_index,
)
from unsct_mmpose.anatomy.parameters import CLINICAL_PARAMETERS

# The project's decision, by the numbers of Table 1: on each side, and across.
FULL = (
    '11-12 7-11 5-7 7-12 6-10 10-11 7-10 6-11 6-12 6-7 5-6 5-8 '
    '3-6 4-6 6-8 3-8 3-4 2-3 2-4 1-9 1-2 2-8 8-9'
)
FULL_ACROSS = '8 6 2 9 1 7'
CORE = '11-12 6-10 10-11 7-11 5-6 5-7 6-12 3-6 6-8 3-8 3-4 2-3 2-4 1-9 8-9'
CORE_ACROSS = '8 6 2 1'

SETS = pytest.mark.parametrize('relations', RELATION_SETS.values(), ids=RELATION_SETS)


def test_the_sets_have_the_sizes_that_the_networks_are_built_for():
    assert len(relation_set('full')) == 52
    assert len(relation_set('core')) == 34


@pytest.mark.parametrize(
    ('name', 'side', 'across'), [('full', FULL, FULL_ACROSS), ('core', CORE, CORE_ACROSS)]
)
def test_the_relations_are_the_decided_ones_in_their_direction_and_order(name, side, across):
    pairs = [tuple(int(number) - 1 for number in pair.split('-')) for pair in side.split()]
    expected = pairs + [(tail + 12, head + 12) for tail, head in pairs]
    expected += [(int(number) - 1, int(number) + 11) for number in across.split()]
    assert list(relation_set(name).pairs) == expected


def test_core_is_a_part_of_full():
    assert set(relation_set('core').pairs) <= set(relation_set('full').pairs)


@SETS
def test_no_relation_occurs_twice_in_either_direction(relations):
    unordered = [frozenset(pair) for pair in relations.pairs]
    assert len(set(unordered)) == len(relations) == len(relations.pairs)
    assert all(len(pair) == 2 for pair in unordered)


@SETS
def test_left_relations_come_first_then_right_then_those_across(relations):
    def group(pair):
        sides = {position // 12 for position in pair}
        return 2 if len(sides) == 2 else sides.pop()

    groups = [group(pair) for pair in relations.pairs]
    assert groups == sorted(groups)
    assert groups.count(0) == groups.count(1)


@SETS
def test_right_relations_are_the_left_ones_mirrored_in_the_same_order(relations):
    half = relations.is_cross.index(True) // 2
    for left, right in zip(relations.pairs[:half], relations.pairs[half : 2 * half], strict=True):
        assert right == (FLIP_INDICES[left[0]], FLIP_INDICES[left[1]])


@SETS
def test_a_relation_across_runs_from_the_left_landmark_to_its_own_mirror_image(relations):
    crossing = [
        pair for pair, cross in zip(relations.pairs, relations.is_cross, strict=True) if cross
    ]
    assert crossing
    for tail, head in crossing:
        assert tail < 12 <= head
        assert head == FLIP_INDICES[tail]


@SETS
def test_a_mirrored_relation_joins_the_mirrored_landmarks(relations):
    for index, (tail, head) in enumerate(relations.pairs):
        mirrored = relations.pairs[relations.flip_indices[index]]
        expected = (FLIP_INDICES[tail], FLIP_INDICES[head])
        if relations.is_cross[index]:
            assert relations.flip_indices[index] == index
            assert mirrored == expected[::-1]
        else:
            assert mirrored == expected


@SETS
def test_mirroring_the_relations_twice_changes_nothing(relations):
    flip = relations.flip_indices
    assert [flip[index] for index in flip] == list(range(len(relations)))


def test_each_landmark_takes_part_in_three_relations_of_the_full_set_at_least():
    degree = Counter(position for pair in relation_set('full').pairs for position in pair)
    assert set(degree) == set(range(24))
    assert min(degree.values()) >= 3


def test_each_landmark_takes_part_in_a_core_relation():
    degree = Counter(position for pair in relation_set('core').pairs for position in pair)
    assert set(degree) == set(range(24))


@pytest.mark.parametrize(
    'parameter',
    # the head's distance is taken from the Koehler line, whose ends are those of its angle
    [row for row in CLINICAL_PARAMETERS if row.name != 'koehler_head_mm'],
    ids=lambda row: row.name,
)
def test_the_landmarks_of_a_clinical_parameter_are_tied_together_in_the_full_set(parameter):
    wanted = {side_index('left', number) for number in parameter.landmarks}
    edges = [set(pair) for pair in relation_set('full').pairs if set(pair) <= wanted]
    reached = {min(wanted)}
    for _ in wanted:
        reached |= {end for edge in edges if edge & reached for end in edge}
    assert reached == wanted


def test_an_unknown_set_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'half'.*'core', 'full'"):
        relation_set('half')
