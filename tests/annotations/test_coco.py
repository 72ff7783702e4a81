import json

import numpy as np
import pytest

from unsct_mmpose.anatomy import LANDMARK_NAMES
from unsct_mmpose.annotations import (
    AnnotatedRadiograph,
    AnnotationError,
    LandmarkStates,
    infer_subset,
    read_annotations,
    write_annotations,
)


def _case(number, patient='p1', seed=0, unlabelled=()):
    rng = np.random.default_rng([seed, number])
    kinds = rng.permutation(np.repeat([0, 1], [20, 4]))
    absent = kinds == 1
    present = ~absent
    for index in unlabelled:
        present[index] = absent[index] = False
    points = np.where(present[:, None], rng.uniform(0, 90, (24, 2)), 0.0)
    states = LandmarkStates(points, present, absent)
    return AnnotatedRadiograph(
        image_id=number,
        file_name=f'{number}.dcm',
        size_wh=(100, 120),
        states=states,
        subset=infer_subset(states),
        spacing_xy_mm=(0.2, 0.3),
        magnification=1.15,
        patient_id=patient,
        extra={'cause': 'cut', 'pose': {'tilt': 1.5}},
    )


@pytest.fixture
def document(tmp_path):
    """A correct file as a dictionary."""
    path = tmp_path / 'good.json'
    write_annotations(path, [_case(number) for number in (1, 2, 3)])
    return json.loads(path.read_text())


def _read(tmp_path, document, **arguments):
    path = tmp_path / 'file.json'
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_annotations(path, **arguments)


def _problems(tmp_path, document, **arguments):
    with pytest.raises(AnnotationError) as caught:
        _read(tmp_path, document, **arguments)
    assert 'file.json' in str(caught.value)
    return caught.value.problems


def test_what_is_written_is_read_back(tmp_path):
    cases = [_case(1), _case(2, unlabelled=(0, 5)), _case(3, patient=None)]
    write_annotations(tmp_path / 'a.json', cases, info={'description': 'Prüfung'})
    found = read_annotations(tmp_path / 'a.json', require_spacing=True)
    assert found.info == {'description': 'Prüfung'} and len(found.cases) == 3
    for case, copy in zip(cases, found.cases, strict=True):
        np.testing.assert_array_equal(copy.states.points, case.states.points)
        np.testing.assert_array_equal(copy.states.present, case.states.present)
        np.testing.assert_array_equal(copy.states.absent, case.states.absent)
        for name in ('image_id', 'file_name', 'size_wh', 'spacing_xy_mm', 'magnification'):
            assert getattr(copy, name) == getattr(case, name)
        for name in ('patient_id', 'subset', 'extra'):
            assert getattr(copy, name) == getattr(case, name)


def test_the_same_cases_give_the_same_bytes(tmp_path):
    for name in ('a', 'b'):
        write_annotations(tmp_path / f'{name}.json', [_case(1), _case(2)])
    assert (tmp_path / 'a.json').read_bytes() == (tmp_path / 'b.json').read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.json', 'b.json']


def test_a_wrong_case_is_not_written(tmp_path):
    with pytest.raises(AnnotationError, match='unique'):
        write_annotations(tmp_path / 'a.json', [_case(1), _case(1)])
    assert list(tmp_path.iterdir()) == []


def test_the_simulated_radiographs_are_read(shared_data):
    folder = shared_data / 'vsd_ap'
    for split, images, unstructured in (('train', 160, 24), ('val', 45, 16)):
        found = read_annotations(
            folder / f'{split}.json', image_root=folder / 'images', require_spacing=True
        )
        assert len(found.cases) == len(found.images) == images
        assert sum(case.subset == 'unstructured' for case in found.cases) == unstructured
        for case, image in zip(found.cases, found.images, strict=True):
            assert case.states.labelled.all()
            assert case.subset == infer_subset(case.states)
            gone = {LANDMARK_NAMES[index] for index in np.flatnonzero(case.states.absent)}
            assert gone == set(image['absent'])
            assert case.extra['cause'] == image['cause']


def test_an_image_without_annotation_stays(tmp_path, document):
    del document['annotations'][1]
    document['images'][1].update(absent=list(LANDMARK_NAMES), subset='unstructured')
    case = _read(tmp_path, document).cases[1]
    assert case.states.absent.all() and not case.states.present.any()


def test_optional_fields_may_be_missing(tmp_path, document):
    for image in document['images']:
        for field in ('pixel_spacing', 'magnification', 'patient_id', 'subset'):
            del image[field]
    case = _read(tmp_path, document).cases[0]
    assert (case.spacing_xy_mm, case.magnification, case.patient_id) == (None, 1.0, None)
    assert case.subset == 'unstructured'


def test_keypoints_in_another_order_are_reordered_by_name(tmp_path, document):
    expected = _read(tmp_path, document).cases
    order = np.random.default_rng(0).permutation(24)
    document['categories'][0]['keypoints'] = [LANDMARK_NAMES[index] for index in order]
    for annotation in document['annotations']:
        table = np.array(annotation['keypoints']).reshape(24, 3)
        annotation['keypoints'] = table[order].ravel().tolist()
    for case, copy in zip(expected, _read(tmp_path, document).cases, strict=True):
        np.testing.assert_array_equal(copy.states.points, case.states.points)
        np.testing.assert_array_equal(copy.states.present, case.states.present)


def test_images_are_looked_for_on_disk(tmp_path, document):
    for number in (1, 3):
        (tmp_path / f'{number}.dcm').touch()
    (problem,) = _problems(tmp_path, document, image_root=tmp_path)
    assert '2.dcm' in problem and 'no such file' in problem
    (tmp_path / '2.dcm').touch()
    assert len(_read(tmp_path, document, image_root=tmp_path).cases) == 3


def test_spacing_is_required_only_where_mm_are_asked_for(tmp_path, document):
    document['images'][1]['pixel_spacing'] = None
    assert _read(tmp_path, document).cases[1].spacing_xy_mm is None
    (problem,) = _problems(tmp_path, document, require_spacing=True)
    assert '2.dcm' in problem and 'pixel_spacing' in problem and '[x, y] in mm' in problem


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(pixel_spacing=[0, 0.1]), ['pixel_spacing']),
        (dict(pixel_spacing=[-0.1, 0.1]), ['pixel_spacing']),
        (dict(pixel_spacing=0.1), ['pixel_spacing']),
        (dict(pixel_spacing=[0.1]), ['pixel_spacing']),
        (dict(pixel_spacing=[float('nan'), 0.1]), ['pixel_spacing']),
        (dict(pixel_spacing=[float('inf'), 0.1]), ['pixel_spacing']),
        (dict(pixel_spacing=['0.1', '0.1']), ['pixel_spacing']),
        (dict(magnification=0), ['magnification', 'positive']),
        (dict(magnification='1.2'), ['magnification']),
        (dict(subset='test'), ['subset', 'structured or unstructured']),
        (dict(subset='structured'), ['subset', 'absent']),
        (dict(width=0), ['width']),
        (dict(height=None), ['height']),
        (dict(width=10.5), ['width']),
        (dict(id='2'), ['id', 'integer']),
        (dict(file_name=None), ['file_name']),
        (dict(absent=['left_foeva']), ['absent', 'left_foeva', 'left_fovea']),
        (dict(absent='left_fovea'), ['absent', 'list']),
        (dict(labelled=['nose']), ['labelled', 'nose']),
        (dict(width=50), ['outside', '50 x 120']),
    ],
)
def test_a_wrong_image_field_is_named_with_its_image(tmp_path, document, change, words):
    document['images'][1].update(change)
    problems = '\n'.join(_problems(tmp_path, document))
    assert 'image ' in problems and ('2.dcm' in problems or 'file_name' in change)
    for word in words:
        assert word in problems


def test_a_landmark_on_the_rim_of_its_image_is_inside(tmp_path, document):
    table = np.array(document['annotations'][0]['keypoints']).reshape(24, 3)
    first, second = np.flatnonzero(table[:, 2])[:2]
    table[first, :2], table[second, :2] = (-0.5, -0.5), (99.5, 119.5)
    document['annotations'][0]['keypoints'] = table.ravel().tolist()
    assert len(_read(tmp_path, document).cases) == 3
    table[first, 0] = -0.6
    document['annotations'][0]['keypoints'] = table.ravel().tolist()
    (problem,) = _problems(tmp_path, document)
    assert 'outside' in problem and LANDMARK_NAMES[first] in problem


def test_short_keypoints_are_named_with_their_image(tmp_path, document):
    document['annotations'][2]['keypoints'] = [1, 2, 2]
    (problem,) = _problems(tmp_path, document)
    assert '3.dcm' in problem and 'keypoints' in problem and '72' in problem


@pytest.mark.parametrize('field', ['id', 'file_name'])
def test_what_must_be_unique_is(tmp_path, document, field):
    document['images'][1][field] = document['images'][0][field]
    problems = '\n'.join(_problems(tmp_path, document))
    assert f'2 images have {field}' in problems


def test_an_image_has_one_annotation_and_an_annotation_one_image(tmp_path, document):
    document['annotations'][1]['image_id'] = 1
    document['annotations'][2]['image_id'] = 99
    problems = '\n'.join(_problems(tmp_path, document))
    assert 'image 1 has 2 annotations' in problems and 'image_id 99' in problems


@pytest.mark.parametrize(
    'names, word',
    [
        (None, "no 'keypoints'"),
        (list(LANDMARK_NAMES[:-1]), f'add {LANDMARK_NAMES[-1]}'),
        ([*LANDMARK_NAMES[:-1], 'nose'], "unknown landmark 'nose'"),
        ([*LANDMARK_NAMES, LANDMARK_NAMES[0]], 'more than once'),
    ],
)
def test_a_category_must_name_the_24_landmarks(tmp_path, document, names, word):
    document['categories'][0]['keypoints'] = names
    assert word in '\n'.join(_problems(tmp_path, document))


def test_an_annotation_of_an_unknown_category_is_a_problem(tmp_path, document):
    document['annotations'][0]['category_id'] = 7
    (problem,) = _problems(tmp_path, document)
    assert 'category_id' in problem and '7' in problem


@pytest.mark.parametrize(
    'text, word',
    [
        ('{"images": [', 'line 1'),
        ('[]', 'JSON object'),
        ('{}', "'images'"),
        ('{"images": [], "annotations": []}', "'categories'"),
        ('{"images": [1], "annotations": [], "categories": []}', "'images' must hold"),
        ('{"images": [], "annotations": [], "categories": []}', "'categories' is empty"),
    ],
)
def test_what_is_no_coco_file_is_refused(tmp_path, text, word):
    assert word in '\n'.join(_problems(tmp_path, text))


def test_a_missing_or_foreign_file_is_refused(tmp_path):
    with pytest.raises(AnnotationError, match='cannot be read'):
        read_annotations(tmp_path / 'nothing.json')
    (tmp_path / 'a.json').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(AnnotationError, match='UTF-8'):
        read_annotations(tmp_path / 'a.json')


def test_all_problems_of_a_file_come_together(tmp_path, document):
    document['images'][0]['pixel_spacing'] = [0, 0]
    document['images'][1]['subset'] = 'test'
    document['annotations'][2]['keypoints'] = []
    problems = _problems(tmp_path, document)
    assert len(problems) == 3
    for number, problem in enumerate(problems, 1):
        assert f'{number}.dcm' in problem


JUNK = [None, True, -1, 1e400, 'x', '', [], {}, [[1]], [None, None], {'a': 1}, [float('nan')] * 72]


def _places(value, path=()):
    """Every place in a document that holds something."""
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value[:1])
        for key, inner in items:
            yield (*path, key)
            yield from _places(inner, (*path, key))


def test_whatever_a_field_holds_the_answer_is_a_case_or_a_problem(tmp_path, document):
    text = json.dumps(document)
    refused = 0
    for place in list(_places(document)):
        for junk in JUNK:
            changed = json.loads(text)
            holder = changed
            for key in place[:-1]:
                holder = holder[key]
            holder[place[-1]] = junk
            try:
                _read(tmp_path, changed)
            except AnnotationError as error:
                assert error.problems
                refused += 1
    assert refused > 150
