"""Json that was edited or damaged is refused in words that name the file and the field."""

import copy
import json
import math

import pytest

from unsct_mmpose.anatomy import HIP, landmark_set
from unsct_mmpose.annotations.landmark_files import read_landmarks
from unsct_mmpose.annotations.landmark_states import AnnotationError
from unsct_mmpose.files import JsonError, read_json, read_record
from unsct_mmpose.report.prediction import Prediction
from unsct_mmpose.report.run_files import read_result
from unsct_mmpose.research.torture.documents import sound_prediction

TEXTS = {
    'nested': ('[' * 200_000, 'nested too deeply'),
    'endless number': ('9' * 6000, 'too long'),
    'cut off': ('{"a": ', 'invalid JSON at line 1'),
}


@pytest.mark.parametrize('name', TEXTS)
def test_a_text_that_is_no_json_is_refused_at_every_door(tmp_path, name):
    text, words = TEXTS[name]
    path = tmp_path / 'x.json'
    path.write_text(text)
    with pytest.raises(JsonError, match=words) as caught:
        read_json(path)
    assert str(path) in str(caught.value)
    for read, error in ((read_landmarks, AnnotationError), (landmark_set, ValueError)):
        with pytest.raises(error, match=words):
            read(str(path))
    assert read_record(path) is None and read_result(path) is None


def changed(place, value):
    document = copy.deepcopy(sound_prediction().to_dict())
    holder = document
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return document


@pytest.mark.parametrize(
    ('place', 'value', 'words'),
    [
        (('region_level',), {}, 'region_level is no float'),
        (('landmarks', 3, 'region', 'semi_axes_px', 0), -1, 'semi_axes_px is'),
        (('landmarks', 3, 'covariance_px2'), None, 'covariance_mm2 without covariance_px2'),
        (('scale', 'spacing_xy_mm', 1), math.nan, 'spacing_xy_mm is'),
        (('model', 'calibration'), '1', 'model.calibration is no object'),
        (('landmarks', 3, 'x'), 'left', r'landmarks\[3\].x is no float'),
        (('landmarks', 3, 'presence'), 10**400, r'landmarks\[3\].presence'),
        (('landmarks', 0, 'reported'), 1, 'reported is no bool'),
        (('measurements', 0, 'value'), [], r'measurements\[0\].value is no float'),
        (('image', 'width'), 'wide', 'image.width is no int'),
        (('warnings',), {'a': 1}, 'malformed'),
        (('landmarks', 0, 'evidence'), [], 'evidence is no object'),
        (('landmarks', 0), {'\x1b[31m': 1}, 'malformed'),
        (('landmarks', 3, 'name'), 'left_knee', 'not those of the model'),
        (('measurements', 0, 'name'), 'left_width_mm', "'left_width_mm', which is none"),
    ],
)
def test_a_prediction_that_was_edited_is_refused_by_its_field(tmp_path, place, value, words):
    document = changed(place, value)
    with pytest.raises(ValueError, match=words) as caught:
        Prediction.from_dict(document, 'x.json')
    assert str(caught.value).startswith('x.json: ') and str(caught.value).isprintable()
    path = tmp_path / 'x.json'
    path.write_text(json.dumps(document))
    assert read_result(path) is None  # an earlier run's: predicted anew


def test_a_sound_prediction_comes_back_as_it_was():
    prediction = sound_prediction()
    assert Prediction.from_dict(prediction.to_dict()).to_dict() == prediction.to_dict()


def test_a_landmark_set_whose_scale_names_one_landmark_is_refused():
    content = HIP.to_dict()
    content['normalise_by'] = [[]]
    with pytest.raises(ValueError, match='landmarks'):
        landmark_set(content)


def test_the_info_of_a_coco_file_must_be_an_object(tmp_path):
    path = tmp_path / 'x.json'
    path.write_text(json.dumps(dict(info=7, images=[], annotations=[], categories=[])))
    with pytest.raises(AnnotationError, match="field 'info' must be a JSON object"):
        read_landmarks(path)
