import ast
import sys
from pathlib import Path

import pytest

from unsct_mmpose import anatomy
from unsct_mmpose.anatomy import (
    FLIP_INDICES,
    LANDMARK_CLASSES,
    LANDMARK_NAMES,
    NUM_LANDMARKS,
    index_of,
    side_index,
)

# Table 1 of the paper, in its own words and order.
TABLE_1 = [
    'Innermost point of the ilium',
    'Center of the Y-shaped cartilage',
    'Upper edge of the acetabular surface',
    'Lower edge of the acetabular surface',
    'Fovea of the ligamentum teres',
    'Center of the femoral head',
    'Tip of the greater trochanter',
    'Lower edge of the teardrop',
    'Bottom of the ischium',
    'Distal midpoint of the femoral neck',
    'Proximal midpoint of the femoral shaft',
    'Distal midpoint of the femoral shaft',
]


def test_the_classes_are_those_of_table_1_in_its_order():
    assert [kind.description for kind in LANDMARK_CLASSES] == TABLE_1
    assert [kind.number for kind in LANDMARK_CLASSES] == list(range(1, 13))


def test_all_left_landmarks_come_before_all_right_ones():
    assert NUM_LANDMARKS == len(set(LANDMARK_NAMES)) == 24
    assert all(name.startswith('left_') for name in LANDMARK_NAMES[:12])
    assert all(name.startswith('right_') for name in LANDMARK_NAMES[12:])


def test_both_sides_name_the_same_classes():
    names = [kind.name for kind in LANDMARK_CLASSES]
    assert [name.removeprefix('left_') for name in LANDMARK_NAMES[:12]] == names
    assert [name.removeprefix('right_') for name in LANDMARK_NAMES[12:]] == names


def test_mirroring_swaps_the_side_and_keeps_the_class():
    for index, name in enumerate(LANDMARK_NAMES):
        side, rest = name.split('_', 1)
        other = {'left': 'right', 'right': 'left'}[side]
        assert LANDMARK_NAMES[FLIP_INDICES[index]] == f'{other}_{rest}'


def test_mirroring_twice_changes_nothing():
    assert [FLIP_INDICES[flipped] for flipped in FLIP_INDICES] == list(range(24))


def test_every_femoral_point_is_on_the_femur():
    femur = {kind.number for kind in LANDMARK_CLASSES if kind.bone == 'femur'}
    assert femur == {5, 6, 7, 10, 11, 12}
    assert {kind.bone for kind in LANDMARK_CLASSES} == {'pelvis', 'femur'}


def test_a_name_and_a_side_with_its_number_lead_to_the_same_position():
    for landmark in LANDMARK_CLASSES:
        for side in ('left', 'right'):
            assert index_of(f'{side}_{landmark.name}') == side_index(side, landmark.number)
    assert LANDMARK_NAMES[side_index('left', 12)] == 'left_femoral_shaft_distal_midpoint'


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(KeyError, match=r"'fovea'.*left_innermost_ilium.*right_femoral_shaft"):
        index_of('fovea')


@pytest.mark.parametrize(
    ('side', 'number', 'message'),
    [
        ('Left', 1, "'left' or 'right'"),
        ('', 1, "'left' or 'right'"),
        ('left', 0, '1 to 12'),
        ('left', 13, '1 to 12'),
        ('right', -1, '1 to 12'),
    ],
)
def test_a_side_or_number_that_does_not_exist_is_refused(side, number, message):
    with pytest.raises(ValueError, match=message):
        side_index(side, number)


def test_the_package_imports_the_standard_library_and_files_alone():
    for file in Path(anatomy.__file__).parent.glob('*.py'):
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            else:
                continue
            for name in names:
                known = name.split('.')[0] in sys.stdlib_module_names
                assert known or name == 'unsct_mmpose.files', f'{file.name}: {name}'
