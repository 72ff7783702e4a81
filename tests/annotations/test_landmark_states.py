import pickle

import numpy as np
import pytest

from unsct_mmpose.anatomy import LANDMARK_NAMES, index_of
from unsct_mmpose.annotations import AnnotationError, LandmarkStates, infer_subset, landmark_states
from unsct_mmpose.annotations.landmark_states import unknown_names

FOVEA = index_of('left_fovea')


def _keypoints(**visible):
    """24 keypoints with v=0, but those named."""
    table = np.zeros((24, 3))
    for name, (x, y, v) in visible.items():
        table[index_of(name)] = x, y, v
    return table.ravel().tolist()


def test_every_landmark_is_exactly_one_of_present_absent_and_unlabelled():
    states = landmark_states(
        {'absent': ['right_fovea']},
        {'keypoints': _keypoints(left_fovea=(3, 4, 2), right_fovea=(0, 0, 0))},
    )
    unlabelled = ~states.labelled
    total = states.present.astype(int) + states.absent.astype(int) + unlabelled.astype(int)
    assert (total == 1).all()
    assert states.present.sum() == states.absent.sum() == 1 and unlabelled.sum() == 22


@pytest.mark.parametrize('visibility', [1, 2])
def test_a_placed_landmark_is_present_even_when_hidden(visibility):
    states = landmark_states({}, {'keypoints': _keypoints(left_fovea=(3.5, 4.25, visibility))})
    assert np.flatnonzero(states.present).tolist() == [FOVEA]
    assert states.points[FOVEA].tolist() == [3.5, 4.25]
    assert states.points.dtype == np.float64 and states.points.shape == (24, 2)


@pytest.mark.parametrize(
    'image, annotation',
    [
        ({'absent': ['left_fovea']}, {}),
        ({'labelled': ['left_fovea']}, {}),
        ({}, {'labelled': ['left_fovea']}),
        ({'absent': []}, {'labelled': ['left_fovea']}),
    ],
)
def test_a_landmark_looked_for_and_not_found_is_absent(image, annotation):
    states = landmark_states(image, {'keypoints': _keypoints(), **annotation})
    assert np.flatnonzero(states.absent).tolist() == [FOVEA]
    assert not states.present.any()


def test_a_landmark_nobody_looked_for_is_unlabelled():
    states = landmark_states({'absent': [], 'labelled': None}, {'keypoints': _keypoints()})
    assert not states.labelled.any()


def test_looked_for_and_found_is_present():
    annotation = {'keypoints': _keypoints(left_fovea=(1, 2, 2)), 'labelled': list(LANDMARK_NAMES)}
    states = landmark_states({}, annotation)
    assert states.present[FOVEA] and not states.absent[FOVEA] and states.absent.sum() == 23


def test_the_position_of_a_landmark_that_is_not_there_is_dropped():
    states = landmark_states({}, {'keypoints': _keypoints(left_fovea=(3, 4, 0))})
    assert (states.points == 0).all()


def test_an_annotation_without_keypoints_places_nothing():
    states = landmark_states({'absent': list(LANDMARK_NAMES)}, {})
    assert states.absent.all()


def test_placed_and_named_absent_is_a_contradiction():
    with pytest.raises(AnnotationError, match=r'left_fovea.*absent'):
        landmark_states({'absent': ['left_fovea']}, {'keypoints': _keypoints(left_fovea=(1, 2, 2))})


@pytest.mark.parametrize(
    'image, keypoints, word',
    [
        ({}, [0] * 71, '71 numbers, not 72'),
        ({}, None, '72'),
        ({}, ['x'] * 72, 'numbers only'),
        ({}, _keypoints(left_fovea=(1, 2, 3)), 'v=3'),
        ({}, _keypoints(left_fovea=(float('nan'), 2, 2)), 'finite'),
        ({'absent': ['left_foeva']}, _keypoints(), "did you mean 'left_fovea'"),
        ({'labelled': ['nose']}, _keypoints(), "unknown landmark 'nose'"),
        ({'absent': 'left_fovea'}, _keypoints(), 'list'),
    ],
)
def test_malformed_records_say_what_to_do(image, keypoints, word):
    with pytest.raises(AnnotationError, match=word):
        landmark_states(image, {'keypoints': keypoints})


def test_all_problems_come_together():
    with pytest.raises(AnnotationError) as caught:
        landmark_states({'absent': ['a', 'b']}, {'keypoints': [0]})
    assert len(caught.value.problems) == 3


def test_the_subset_is_unstructured_when_anything_is_absent():
    nothing = np.zeros(24, dtype=bool)
    some = np.eye(24, dtype=bool)[3]
    points = np.zeros((24, 2))
    assert infer_subset(LandmarkStates(points, nothing, some)) == 'unstructured'
    assert infer_subset(LandmarkStates(points, some, nothing)) == 'structured'
    assert infer_subset(LandmarkStates(points, nothing, nothing)) == 'structured'


def test_known_names_are_not_reported():
    assert unknown_names(LANDMARK_NAMES) == []


def test_a_long_list_of_problems_is_cut_in_the_message_only():
    error = AnnotationError('a.json', [f'problem {index}' for index in range(30)])
    assert 'problem 19' in str(error) and 'problem 20' not in str(error)
    assert '30 problems' in str(error) and '10 more' in str(error)
    assert len(error.problems) == 30


def test_the_error_survives_the_way_out_of_a_worker_process():
    error = AnnotationError('a.json', ['one', 'two'])
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.path, copy.problems, str(copy)) == (error.path, error.problems, str(error))
    assert str(AnnotationError('a.json: text')) == 'a.json: text'
