"""Landmarks that contradict their image are found, and sound ones are left in peace."""

import json

import numpy as np
import pytest

from tests.golden_hip import GOLDEN_MM
from unsct_mmpose.anatomy import FLIP_INDICES, LANDMARK_NAMES
from unsct_mmpose.annotations import AnnotationError, LandmarkStates, read_annotations
from unsct_mmpose.annotations.coco import find_problems
from unsct_mmpose.annotations.landmark_checks import (
    PLAUSIBLE_HEAD_MM,
    contradictions,
    doubts,
    head_diameters_mm,
    sides_problem,
)

SPACING, SIZE = (0.5, 0.5), (860, 760)
POINTS = GOLDEN_MM / SPACING


def states(points=POINTS, present=None):
    present = np.ones(24, bool) if present is None else present
    return LandmarkStates(np.where(present[:, None], points, 0.0), present, ~present)


def document(points=POINTS, visible=2, category=(), **image):
    keypoints = np.c_[points, np.full(24, visible)].ravel().tolist()
    record = dict(id=1, file_name='a.dcm', width=SIZE[0], height=SIZE[1],
                  pixel_spacing=list(SPACING), magnification=1.15)  # fmt: skip
    return dict(
        images=[{**record, **image}],
        annotations=[dict(id=1, image_id=1, category_id=1, keypoints=keypoints)],
        categories=[dict(id=1, name='pelvis', keypoints=list(LANDMARK_NAMES)), *category],
    )


def problems(tmp_path, **changes):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(document(**changes)))
    return path, find_problems(path)[1]


def test_sound_landmarks_have_neither_errors_nor_doubts(tmp_path):
    assert problems(tmp_path)[1] == []
    assert contradictions(states(), SIZE) == [] and sides_problem(states()) is None
    assert doubts(states(), SPACING, 1.15) == []


@pytest.mark.parametrize('key', ['id', 'file_name'])
@pytest.mark.parametrize('value', [{}, [1], None, 1.5])
def test_what_cannot_name_an_image_is_a_problem_and_no_end(tmp_path, key, value):
    path, found = problems(tmp_path, **{key: value})
    ((record, _),) = find_problems(path)[0]
    assert found and record[key] == value


@pytest.mark.parametrize(
    'changes, words',
    [
        (dict(points=np.zeros((24, 2))), r'all 24 landmarks lie at \(0, 0\)'),
        (dict(points=np.full((24, 2), 55.0)), r'all 24 landmarks lie at \(55, 55\)'),
        (dict(points=POINTS / SIZE), 'normalised coordinates'),
        (dict(points=POINTS[list(FLIP_INDICES)]), 'left and right are exchanged'),
        (dict(points=POINTS * 2), 'outside its 860 x 760 image'),
        (dict(pixel_spacing=[143, 143]), 'in micrometres it would be 0.143'),
        (dict(pixel_spacing=[0.0143, 0.0143]), 'in centimetres it would be 0.143'),
        (dict(pixel_spacing=['0,5', '0,5']), 'decimal point and no comma'),
        (dict(magnification=115), 'percentage'),
        (dict(magnification=0.5), 'not a plausible magnification'),
        (dict(category=[dict(id=2, name='screw')]), "category 2 has no 'keypoints'"),
        (dict(mirrored='yes'), "field 'mirrored'"),
    ],
)
def test_a_contradiction_is_refused_by_every_reader(tmp_path, changes, words):
    path, found = problems(tmp_path, **changes)
    assert any(not problem.is_doubt for problem in found)
    with pytest.raises(AnnotationError, match=words):
        read_annotations(path)


@pytest.mark.parametrize(
    'changes, words',
    [
        (dict(pixel_spacing=[1.0, 1.0]), 'do not know the spacing'),
        (dict(pixel_spacing=[2.0, 0.5]), 'times as wide'),
        (dict(pixel_spacing=[0.25, 0.25]), 'femoral head would have a diameter of about 2'),
        (dict(pixel_spacing=[0.9, 0.9]), 'femoral head would have a diameter of about 7'),
    ],
)
def test_a_doubt_is_told_and_refuses_nothing(tmp_path, changes, words):
    path, found = problems(tmp_path, **changes)
    assert found and all(problem.is_doubt for problem in found)
    assert any(words in problem.words for problem in found)
    assert words in ' '.join(read_annotations(path).doubts)


def test_one_exchanged_pair_is_a_doubt():
    points = POINTS.copy()
    points[[4, 16]] = points[[16, 4]]
    assert sides_problem(states(points)) is None
    assert 'exchanged in fovea' in doubts(states(points), None, 1.0)[0]


def test_mirrored_pixels_make_the_names_right():
    mirrored = POINTS * [-1, 1] + [SIZE[0] - 1, 0]
    assert sides_problem(states(mirrored)) is not None
    assert sides_problem(states(mirrored), mirrored=True) is None
    assert sides_problem(states(), mirrored=True) is not None


@pytest.mark.parametrize('said', [True, 'kept'])
def test_a_record_may_say_that_its_pixels_are_mirrored(tmp_path, said):
    path, found = problems(tmp_path, points=POINTS * [-1, 1] + [859, 0], mirrored=said)
    assert found == []
    (case,) = read_annotations(path).cases
    assert case.is_mirrored and case.read_mirrored == (said is True)


def test_few_pairs_prove_nothing():
    present = np.zeros(24, bool)
    present[[0, 12, 1, 13]] = True
    assert sides_problem(states(POINTS[list(FLIP_INDICES)], present)) is None


def test_heads_of_bones_are_plausible_and_half_their_spacing_is_not(shared_data):
    file = read_annotations(shared_data / 'vsd_ap' / 'train.json')
    assert file.doubts == ()
    low, high = PLAUSIBLE_HEAD_MM
    for case in file.cases[::10]:
        at_bone = case.states.points * case.spacing_xy_mm / case.magnification
        for side in ('left', 'right'):
            found = head_diameters_mm(at_bone, case.states.present, side)
            assert np.isnan(found) or (low < found < high and not low < found / 2 < high)
