import json
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from unsct_mmpose.dicom.find_inputs import find_inputs
from unsct_mmpose.dicom.sr import read_structured_report
from unsct_mmpose.dicom.writer import write_radiograph
from unsct_mmpose.inference.predict import PredictOptions, predict_files
from unsct_mmpose.report.prediction import Prediction
from unsct_mmpose.report.structured_report import report_prediction

pytest.importorskip('highdicom')


@pytest.fixture
def found(tmp_path, make_backend):
    """Return a DICOM file, its prediction, and the report that the run wrote."""
    source, out = tmp_path / 'in' / 'hip.dcm', tmp_path / 'out'
    source.parent.mkdir()
    pixels = np.random.default_rng(0).integers(0, 4095, (400, 430), dtype=np.uint16)
    write_radiograph(source, pixels, patient_id='secret-7', uid_seed='7', spacing_xy_mm=(1.2, 1.2),
                     magnification=1.2, source_detector_mm=1150.0)  # fmt: skip
    options = PredictOptions(jobs=0, report=False, structured_report=True, progress=False)
    result = predict_files(make_backend(), find_inputs([str(source)]), out, options)
    assert not result.errors
    prediction = Prediction.from_dict(json.loads((out / 'hip.json').read_text()))
    return source, prediction, out / 'hip.sr.dcm'


def test_the_report_says_what_the_json_says(found):
    _, prediction, path = found
    report = read_structured_report(path)
    places = {landmark.name: landmark for landmark in report.landmarks}
    for landmark in prediction.landmarks:
        assert places[landmark.name].reported == landmark.reported
        if landmark.reported:
            assert places[landmark.name].x == pytest.approx(landmark.x, abs=1e-3)
    values = {measurement.name: measurement for measurement in report.measurements}
    for measurement in prediction.measurements:
        if measurement.value is None:
            assert values[measurement.name].value is None
            assert values[measurement.name].reason
        else:
            assert values[measurement.name].value == pytest.approx(measurement.value, rel=1e-6)
            assert values[measurement.name].low == pytest.approx(
                measurement.low, rel=1e-5, abs=1e-6
            )
    assert report.algorithm.model_hash == prediction.model['weights_sha256']
    assert report.lengths_at == prediction.spacing.plane


def test_the_lines_are_those_that_values_were_read_against(found):
    values = {
        measurement.name: measurement
        for measurement in read_structured_report(found[2]).measurements
    }
    assert values['left_neck_shaft_angle_deg'].reference_line is None
    assert values['left_center_edge_angle_deg'].reference_line == '8L-8R'
    assert values['left_acetabular_index_roof_deg'].reference_line == '2L-2R'


def test_a_landmark_outside_the_image_has_no_place_and_carries_no_value(found, tmp_path):
    source, prediction, _ = found
    landmarks = tuple(
        replace(landmark, x=-9.0) if landmark.name == 'left_femoral_head_center' else landmark
        for landmark in prediction.landmarks
    )
    report_prediction(replace(prediction, landmarks=landmarks), source, tmp_path / 'sr.dcm')
    report = read_structured_report(tmp_path / 'sr.dcm')
    gone = next(
        landmark for landmark in report.landmarks if landmark.name == 'left_femoral_head_center'
    )
    assert not gone.reported
    assert 'outside' in gone.reason
    values = {measurement.name: measurement for measurement in report.measurements}
    assert values['left_center_edge_angle_deg'].value is None
    assert math.isfinite(values['right_center_edge_angle_deg'].value)


def test_no_identity_is_written_unless_it_was_asked_for(found):
    assert b'secret-7' not in found[2].read_bytes()


def test_a_picture_that_is_no_dicom_gets_no_report_and_is_no_error(tmp_path, make_backend):
    cv2.imwrite(str(tmp_path / 'hip.png'), np.full((400, 430), 90, np.uint8))
    options = PredictOptions(jobs=0, report=False, structured_report=True, progress=False)
    inputs = find_inputs([str(tmp_path / 'hip.png')])
    result = predict_files(make_backend(), inputs, tmp_path / 'out', options)
    assert result.predicted == 1
    assert not result.errors
    assert not list((tmp_path / 'out').glob('*.sr.dcm'))
