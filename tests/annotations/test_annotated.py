"""Images and annotations are brought to the standard display together."""

import itertools
import json

import numpy as np
import pytest
from pydicom import dcmread

from unsct_mmpose.anatomy import LANDMARK_NAMES
from unsct_mmpose.annotations import (
    AnnotatedRadiograph,
    AnnotationError,
    LandmarkStates,
    read_annotations,
    write_annotations,
)
from unsct_mmpose.annotations.annotated import read_annotated
from unsct_mmpose.annotations.check import check_data
from unsct_mmpose.annotations.convert import RunOptions, convert, find_sources
from unsct_mmpose.annotations.landmark_checks import sides_problem
from unsct_mmpose.dicom.placement import Placement, Turn
from unsct_mmpose.dicom.writer import write_radiograph

SIZE = (96, 80)
LEFT = np.array([name.startswith('left') for name in LANDMARK_NAMES])
# how the file's pixels come to the display: PatientOrientation to its turn
TURNS = {
    'LF': Turn(),
    'RF': Turn(flip_x=True),
    'LH': Turn(flip_y=True),
    'RH': Turn(flip_x=True, flip_y=True),
    'FL': Turn(transpose=True),
    'FR': Turn(transpose=True, flip_x=True),
    'HL': Turn(transpose=True, flip_y=True),
    'HR': Turn(transpose=True, flip_x=True, flip_y=True),
}


def write_case(folder, turn, header, mirrored=None):
    """Write an image as a turn brings it to the display, and its record in pixels of the file."""
    rows, columns = np.mgrid[5:75:18, 50:95:8]
    places = np.stack([columns.ravel(), rows.ravel()], axis=1)[: LEFT.sum()]
    points = np.zeros((24, 2))
    points[LEFT], points[~LEFT] = places, places * [-1, 1] + [SIZE[0] - 1, 0]
    shown = np.random.default_rng(0).integers(0, 900, SIZE[::-1], dtype=np.uint16)
    x, y = points.T.astype(int)
    shown[y, x] = 1000 + 100 * np.arange(24)
    placement = Placement(turn, SIZE)
    width, height = placement.stored_size_wh
    to_display = np.mgrid[:height, :width][::-1].reshape(2, -1).T
    x, y = placement.from_stored(to_display).astype(int).T
    stored = shown[y, x].reshape(height, width)
    folder.mkdir()
    path = folder / 'hip.dcm'
    write_radiograph(path, stored, spacing_xy_mm=(0.4, 0.4), magnification=1.1, patient_id='x',
                     source_detector_mm=1100.0, uid_seed='x')  # fmt: skip
    dataset = dcmread(path)
    dataset.PatientOrientation = list(header)
    dataset.save_as(path)
    states = LandmarkStates(placement.to_stored(points), np.ones(24, bool), np.zeros(24, bool))
    case = AnnotatedRadiograph(1, path.name, (width, height), states, 'structured',
                               spacing_xy_mm=(0.4, 0.4), magnification=1.1, patient_id='p',
                               mirrored=mirrored)  # fmt: skip
    write_annotations(folder / 'train.json', [case])
    return path, points


@pytest.mark.parametrize('mirrored', [None, 'as it is'])
@pytest.mark.parametrize('directions', TURNS)
def test_a_turned_image_is_taken_whether_or_not_its_record_says_it_again(
    tmp_path, directions, mirrored
):
    turn = TURNS[directions]
    path, points = write_case(
        tmp_path / 'data', turn, directions, None if mirrored is None else turn.flip_x
    )
    for options in (dict(), dict(image_root=path.parent)):
        (case,) = read_annotations(path.parent / 'train.json', **options).cases
    radiograph, laid = read_annotated(path, case)
    np.testing.assert_allclose(laid.states.points, points)
    x, y = laid.states.points.astype(int).T
    np.testing.assert_array_equal(radiograph.pixels[y, x], np.sort(radiograph.pixels, None)[-24:])
    checked = check_data(path.parent, jobs=0)
    assert not checked.errors and 'landmarks lie as in an image that is not' not in str(checked)
    result = convert(find_sources([str(path.parent)]), tmp_path / 'out', b'k' * 32,
                     RunOptions(split='none', progress=False))  # fmt: skip
    assert not result.errors and len(result.written) == 1


@pytest.mark.parametrize(('directions', 'mirrored'), itertools.product(('LF', 'LH'), (True, False)))
def test_sides_said_by_hand_keep_what_the_header_says_of_head_and_feet(
    tmp_path, directions, mirrored
):
    """The header is wrong about left and right, and right about head and feet."""
    turn = Turn(flip_x=mirrored, flip_y=directions[1] == 'H')
    wrong = ('L' if mirrored else 'R') + directions[1]
    path, points = write_case(tmp_path / 'data', turn, wrong, mirrored)
    (case,) = read_annotations(path.parent / 'train.json').cases
    radiograph, laid = read_annotated(path, case)
    np.testing.assert_allclose(laid.states.points, points)
    assert ('caller' in radiograph.provenance['orientation']) and sides_problem(laid.states) is None


def test_an_image_that_is_kept_mirrored_is_upright_all_the_same(tmp_path):
    path, points = write_case(tmp_path / 'data', Turn(flip_x=True, flip_y=True), 'RH', 'kept')
    (case,) = read_annotations(path.parent / 'train.json').cases
    radiograph, laid = read_annotated(path, case)
    np.testing.assert_allclose(laid.states.points, points * [-1, 1] + [SIZE[0] - 1, 0])
    assert radiograph.placement.turn == Turn(flip_y=True)


@pytest.mark.parametrize(('directions', 'looks_right'), [('LF', False), ('LH', False),
                                                         ('RF', True), ('RH', True)])  # fmt: skip
def test_exchanged_names_are_refused_however_the_image_lies(tmp_path, directions, looks_right):
    """By the reader of the json where they look exchanged in the file, else with the image."""
    path, _ = write_case(tmp_path / 'data', TURNS[directions], directions)
    labels = path.parent / 'train.json'
    content = json.loads(labels.read_text())
    names = content['categories'][0]['keypoints']
    content['categories'][0]['keypoints'] = names[12:] + names[:12]
    labels.write_text(json.dumps(content))
    if not looks_right:
        with pytest.raises(AnnotationError, match='exchanged'):
            read_annotations(labels)
        return
    (case,) = read_annotations(labels).cases
    with pytest.raises(ValueError, match='every left landmark lies'):
        read_annotated(path, case)
    assert 'landmarks lie as in an image that is not' in str(check_data(path.parent, jobs=0))
