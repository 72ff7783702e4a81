"""Landmarks that are not the hip's: named in every report, and no measurement is made up."""

import json

import numpy as np
import pytest
from jsonschema import Draft202012Validator, ValidationError

from unsct_mmpose.anatomy import LandmarkSet
from unsct_mmpose.dicom import radiograph_from_array
from unsct_mmpose.drawing.strokes import FAIR, REJECTED, SURE
from unsct_mmpose.inference.interpret import interpret
from unsct_mmpose.report.html import render_report
from unsct_mmpose.report.picture import draw_prediction
from unsct_mmpose.report.prediction import Prediction, prediction_schema
from unsct_mmpose.report.structured_report import report_prediction
from unsct_mmpose.report.writers.table import table_rows

FACE = LandmarkSet.from_dict(
    dict(
        name='face',
        names=['sella', 'left_porion', 'right_porion'],
        pairs=[['left_porion', 'right_porion']],
        labels=['S', 'PoL', 'PoR'],
        descriptions=['Middle of the sella', 'Porion', 'Porion'],
        relations=dict(full=[['sella', 'left_porion'], ['sella', 'right_porion']]),
    )
)


@pytest.fixture
def radiograph():
    return radiograph_from_array(np.zeros((80, 100), np.uint8), spacing_xy_mm=(0.5, 0.5))


@pytest.fixture
def prediction(make_backend, radiograph):
    backend = make_backend(
        keypoints=np.array([[20.0, 20.0], [50.0, 50.0], [80.0, 60.0]]),
        keypoint_scores=np.ones(3),
        keypoint_uncertainties=np.zeros(3),
        keypoint_presence=np.array([0.999, 0.95, 0.1]),
        keypoints_visible=np.array([1, 1, 0]),
        keypoint_covariances=np.tile(np.eye(2), (3, 1, 1)),
        keypoint_evidences=np.zeros((3, 3)),
        keypoint_support=np.ones(3),
        interval_scales=np.zeros(0),
        interval_offsets=np.zeros(0),
        error_correlation=np.eye(6),
    )
    identity = backend.identity | dict(landmarks=FACE.to_dict())
    return interpret(radiograph, backend.fields(), identity, 'face.png')


def test_the_json_names_them_and_is_read_back(prediction):
    content = json.loads(prediction.to_json())
    assert [landmark['name'] for landmark in content['landmarks']] == list(FACE.names)
    assert content['measurements'] == [] and content['reference_line'] is None
    assert Prediction.from_dict(content).landmark_set == FACE
    Draft202012Validator(prediction_schema(FACE)).validate(content)
    with pytest.raises(ValidationError):
        Draft202012Validator(prediction_schema()).validate(content)


def test_nothing_is_said_about_measurements_but_that_there_are_none(prediction, radiograph):
    assert [warning.code for warning in prediction.warnings] == ['unstructured']
    html = render_report([(prediction, radiograph)])
    assert 'Nothing was measured: no clinical parameter is defined on these landmarks.' in html
    assert 'The 3 landmarks' in html and 'Middle of the sella' in html
    assert '>PoR<' in html and 'Porion, right' in html
    assert 'Sharp' not in html and '>Reference line<' not in html
    assert {row['kind'] for row in table_rows(prediction, 'face')} == {'landmark'}
    assert [row['side'] for row in table_rows(prediction, 'face')] == [None, 'left', 'right']


def test_they_are_drawn_at_their_places(prediction, radiograph):
    picture = draw_prediction(prediction, radiograph, 1000)
    for (x, y), level in zip([(20, 20), (50, 50), (80, 60)], (SURE, FAIR, REJECTED), strict=True):
        assert tuple(picture[round(y * 10 + 4.5), round(x * 10 + 4.5)]) == level.rgb


def test_a_structured_report_has_no_codes_for_them(prediction, tmp_path):
    pytest.importorskip('highdicom')
    with pytest.raises(ValueError, match=r"structured report needs .*'hip', not on 'face'"):
        report_prediction(prediction, tmp_path / 'in.dcm', tmp_path / 'out.dcm')


def test_another_number_of_places_is_refused_by_name(make_backend, radiograph):
    backend = make_backend()
    with pytest.raises(ValueError, match=r"\(3, 2\) for the landmarks 'face', not \(24, 2\)"):
        identity = dict(landmarks=FACE.to_dict())
        interpret(radiograph, backend.fields(), identity, 'face.png')
