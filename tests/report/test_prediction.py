"""A prediction: what it says, when it is silent, and that its json keeps to the schema."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from unsct_mmpose.anatomy import LANDMARK_NAMES
from unsct_mmpose.dicom import radiograph_from_array
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES
from unsct_mmpose.inference.interpret import interpret
from unsct_mmpose.report.html import render_report
from unsct_mmpose.report.prediction import Backend, Prediction, prediction_schema
from unsct_mmpose.report.writers.table import table_rows

SPACING = (1.0001, 1.0001)  # not 1 x 1, which is questioned


def valid(prediction):
    document = json.loads(prediction.to_json())
    Draft202012Validator(prediction_schema()).validate(document)
    assert Prediction.from_dict(document).to_dict() == document
    return document


@pytest.fixture
def predict(make_backend):
    def predict(spacing=SPACING, magnification=None, provenance=(), **changes):
        backend = make_backend(**changes)
        radiograph = radiograph_from_array(
            np.zeros((400, 430), np.uint8), spacing_xy_mm=spacing, magnification=magnification
        )
        radiograph = replace(radiograph, provenance={**radiograph.provenance, **dict(provenance)})
        return interpret(radiograph, backend.fields(), backend.identity, 'x.dcm')

    return predict


def codes(prediction):
    return [warning.code for warning in prediction.warnings]


def test_the_schema_is_one_and_knows_every_name():
    Draft202012Validator.check_schema(prediction_schema())
    defs = prediction_schema()['$defs']
    assert defs['landmark']['properties']['name']['enum'] == list(LANDMARK_NAMES)
    assert defs['measurement']['properties']['name']['enum'] == list(MEASUREMENT_NAMES)


def test_a_usual_image_is_measured_with_intervals(predict):
    found = predict(magnification=1.0)
    angle = found['left_center_edge_angle_deg']
    assert angle.value == pytest.approx(32.856, abs=1e-3)
    assert angle.high - angle.value == pytest.approx(2.0 * angle.standard_error)
    assert angle.value - angle.low == pytest.approx(2.0 * angle.standard_error)
    assert found.reference_line == '8L-8R' and found.spacing.plane == 'bone'
    assert codes(found) == []
    valid(found)


def test_lengths_shrink_with_the_magnification_and_angles_do_not(predict):
    one, more = predict(magnification=1.0), predict(magnification=1.25)
    name = 'right_femoral_offset_mm'
    assert more[name].value * 1.25 == pytest.approx(one[name].value)
    name = 'right_sharp_angle_deg'
    assert more[name].value == pytest.approx(one[name].value)
    assert np.allclose(
        np.array(more.landmarks[0].covariance_mm2) * 1.25**2, one.landmarks[0].covariance_mm2
    )


def test_without_a_spacing_nothing_is_measured_and_the_cure_is_named(predict):
    found = predict(spacing=None)
    assert {measurement.reason for measurement in found.measurements} == {
        'the pixel spacing is unknown'
    }
    assert all(landmark.covariance_mm2 is None for landmark in found.landmarks)
    assert codes(found) == ['no_spacing'] and '--spacing' in found.warnings[0].words
    assert valid(found)['scale']['plane'] is None


def test_an_unknown_magnification_is_warned_of(predict):
    found = predict()
    assert (found.spacing.plane, found.spacing.known_magnification) == ('detector', None)
    assert codes(found) == ['uncalibrated_spacing']
    assert valid(found)['scale']['magnification'] is None


def test_without_a_pelvis_nothing_is_reported_or_measured(predict):
    found = predict(image_state=2)
    assert not any(landmark.reported for landmark in found.landmarks)
    assert {measurement.value for measurement in found.measurements} == {None}
    assert {measurement.reason for measurement in found.measurements} == {
        'no pelvis was found in the image'
    }
    assert codes(found) == ['no_pelvis']
    valid(found)


def test_an_image_out_of_range_is_measured_and_warned_of(predict):
    found = predict(image_state=1, magnification=1.1)
    assert codes(found) == ['out_of_range']
    assert all(measurement.value is not None for measurement in found.measurements)


def test_a_rejected_landmark_leaves_its_measurements_undefined_with_the_reason(predict):
    visible = np.ones(24)
    visible[LANDMARK_NAMES.index('left_fovea')] = 0
    found = predict(keypoints_visible=visible, magnification=1.0)
    assert found['left_skinner_height_mm'].reason == 'left_fovea is absent'
    assert found['left_skinner_height_mm'].value is None
    assert found['right_skinner_height_mm'].value is not None
    assert codes(found) == ['unstructured', 'undefined']
    assert 'left fovea' in found.warnings[0].words
    valid(found)


def test_what_is_not_finite_is_null_and_never_reported(predict):
    def points():
        return np.full((24, 2), np.nan)

    found = predict(keypoints=points, keypoint_covariances=np.full((24, 2, 2), np.nan))
    assert not any(landmark.reported for landmark in found.landmarks)
    document = valid(found)
    assert document['landmarks'][0]['x'] is None and document['landmarks'][0]['region'] is None
    assert np.isnan(Prediction.from_dict(document).landmarks[0].x)


def test_without_a_calibration_no_probability_is_given(predict):
    found = predict(calibrated=False, keypoint_presence=np.full(24, np.nan), magnification=1.0)
    assert codes(found) == ['no_calibration']
    assert {landmark.presence for landmark in found.landmarks} == {None}
    assert 'cannot tell' in found.image_words
    valid(found)


def test_an_infinite_scale_leaves_the_interval_open(predict):
    found = predict(interval_scales=np.full(len(MEASUREMENT_NAMES), np.inf), magnification=1.0)
    assert {measurement.low for measurement in found.measurements} == {None}
    assert found['left_sharp_angle_deg'].value is not None
    valid(found)


def test_what_the_file_says_about_itself_is_passed_on(predict):
    found = predict(
        provenance=dict(simulated='SyntheticData', BodyPartExamined='CHEST', ViewPosition='PA'),
        magnification=1.0,
    )
    assert found.simulated is True
    assert codes(found) == ['body_part', 'view']
    assert predict().simulated is None


def test_a_patient_is_named_only_where_asked_for(predict):
    found = predict()
    assert 'patient' not in found.to_dict()
    assert found.with_patient({'PatientID': '7'}).to_dict()['patient'] == {'PatientID': '7'}
    valid(found.with_patient({'PatientID': '7'}))


def test_another_version_is_refused_by_name(predict):
    document = predict().to_dict() | {'schema': 'unsct_mmpose/prediction-0'}
    with pytest.raises(ValueError, match=r"a\.json: schema 'unsct_mmpose/prediction-0'"):
        Prediction.from_dict(document, 'a.json')


def test_the_protocol_takes_a_backend(make_backend):
    assert isinstance(make_backend(), Backend)


def test_everything_but_the_pytorch_backend_imports_without_torch_and_mmpose():
    modules = (
        'report.prediction report.html report.picture inference.interpret inference.inferencer '
        'inference.predict inference.onnx_model dicom.find_inputs dicom.read_ahead serve.app'
    )
    code = (
        'import sys, importlib\n'
        f'for name in {modules.split()!r}:\n'
        "    importlib.import_module('unsct_mmpose.' + name)\n"
        "heavy = 'torch', 'mmpose', 'mmengine', 'scipy.stats'\n"
        'found = [m for m in sys.modules if m.startswith(heavy)]\n'
        'assert not found, found[:5]'
    )
    environment = {'PATH': '', 'PYTHONPATH': ':'.join(filter(None, sys.path))}
    subprocess.run([sys.executable, '-c', code], check=True, env=environment)


def test_a_systematic_error_moves_the_interval_and_not_the_value(predict):
    name = 'left_center_edge_angle_deg'
    offsets = np.where(np.array(MEASUREMENT_NAMES) == name, 3.0, 0.0)
    plain, moved = predict(magnification=1.0), predict(magnification=1.0, interval_offsets=offsets)
    assert moved[name].value == plain[name].value
    assert moved[name].low == pytest.approx(plain[name].low - 3.0)
    assert moved[name].high == pytest.approx(plain[name].high - 3.0)
    assert (moved[name].systematic_error, plain[name].systematic_error) == (3.0, 0.0)
    valid(moved)


def test_correlated_errors_change_the_intervals(predict):
    together = np.kron(np.ones((24, 24)), np.eye(2))
    plain, moved = predict(), predict(error_correlation=together)
    for before, other in zip(plain.measurements, moved.measurements, strict=True):
        assert other.value == before.value
        assert other.standard_error < before.standard_error


@pytest.mark.parametrize(
    'patients, words',
    [(3, '95 % (by a model of 3 patients; 75 % without)'), (53, '95 % (by 53 patients)')],
)
def test_the_promise_says_how_many_patients_stand_behind_it(make_backend, patients, words):
    backend = make_backend()
    backend.identity['calibration']['fewest_patients'] = patients
    radiograph = radiograph_from_array(np.zeros((400, 430), np.uint8), spacing_xy_mm=SPACING)
    found = interpret(radiograph, backend.fields(), backend.identity, 'x.dcm')
    assert found.interval_promise == found.region_promise == words
    assert f'intervals: {words}' in render_report([(found, radiograph)])
    rows = list(table_rows(found, 'x'))
    assert {row['promise'] for row in rows} == {words}


def test_a_calibration_of_before_promises_images_only(predict):
    assert predict().interval_promise == '95 % (of new images of known patients)'
    assert predict(calibrated=False).interval_promise == '95 % (not calibrated)'
