"""What was done to bring an image to the standard display stands in json, report and SR."""

import json

import numpy as np
import pydicom
import pytest
from jsonschema import Draft202012Validator

from unsct_mmpose.dicom import radiograph_from_array
from unsct_mmpose.dicom.find_inputs import find_inputs
from unsct_mmpose.dicom.placement import Placement, Turn
from unsct_mmpose.dicom.read_ahead import FileOptions
from unsct_mmpose.dicom.sr import read_structured_report
from unsct_mmpose.dicom.writer import write_radiograph
from unsct_mmpose.inference.inferencer import Inferencer
from unsct_mmpose.inference.predict import PredictOptions, predict_files, predict_one
from unsct_mmpose.report.prediction import Prediction, prediction_schema

SIZE = (86, 80)
AS_STORED = Turn()
SIDES = ('left_femoral_head_center', 'right_femoral_head_center')


class Finder:
    """Finds the left femoral head where the image is brightest, all else where it always is."""

    def __init__(self, fake):
        self.identity, self._fake = fake.identity, fake

    def infer(self, images):
        found = []
        for image in images:
            fields = self._fake.fields(image.shape)
            y, x = np.unravel_index(image.argmax(), image.shape)
            points = fields['keypoints'].copy()
            points[5] = x, y
            found.append({**fields, 'keypoints': points})
        return found


@pytest.fixture
def backend(make_backend):
    return Finder(make_backend())


@pytest.fixture
def hip(tmp_path):
    """Return a function that writes the radiograph as a file stores it after a turn."""

    def hip(turn=AS_STORED, spacing=(0.6, 0.6), name='hip.dcm', **header):
        pixels = np.random.default_rng(0).integers(0, 2000, SIZE[::-1], dtype=np.uint16)
        pixels[42, 62] = 4000  # on the patient's left
        path = tmp_path / 'in' / name
        path.parent.mkdir(exist_ok=True)
        write_radiograph(
            path, turn.apply(pixels), spacing_xy_mm=spacing, magnification=1.1,
            source_detector_mm=1100, patient_id='x', uid_seed='x',
        )  # fmt: skip
        dataset = pydicom.dcmread(path)
        dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
        for keyword, value in header.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)
        dataset.save_as(path)
        return path

    return hip


def run(backend, path, out, mirrored=None, **options):
    settings = dict(jobs=0, progress=False, read=FileOptions(mirrored=mirrored), **options)
    return predict_files(backend, find_inputs([str(path)]), out, PredictOptions(**settings))


def codes(prediction):
    return [one.code for one in prediction.warnings]


@pytest.mark.parametrize(
    'turn, orientation',
    [(Turn(flip_x=True), ['R', 'F']), (Turn(flip_x=True, flip_y=True), ['R', 'H']),
     (Turn(transpose=True), ['F', 'L']), (Turn(True, True, False), ['H', 'L'])],
    ids=str,
)  # fmt: skip
def test_a_turned_file_is_measured_as_the_one_that_lies_right(
    hip, backend, tmp_path, turn, orientation
):
    pytest.importorskip('highdicom')
    right = predict_one(hip(name='right.dcm'), backend).prediction
    assert codes(right) == [] and right.image.turn is None
    path = hip(turn, PatientOrientation=orientation)
    assert run(backend, path, tmp_path / 'out', structured_report=True).exit_status == 0
    document = json.loads((tmp_path / 'out/hip.json').read_text())
    Draft202012Validator(prediction_schema()).validate(document)
    found = Prediction.from_dict(document)
    assert codes(found) == ['turned']
    assert found.warnings[0].words.count('PatientOrientation') == 1
    for one, other in zip(found.measurements, right.measurements, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-6)
    assert (found.image.width, found.image.height) == SIZE
    # the picture is turned; a report refers to the pixels of the file
    place = Placement(Turn(**found.image.turn), SIZE)
    stored = pydicom.dcmread(path).pixel_array
    report = read_structured_report(tmp_path / 'out/hip.sr.dcm')
    places = {one.name: one for one in report.landmarks}
    left = places[SIDES[0]]
    assert stored[round(left.y), round(left.x)] == 4000
    mine = found[SIDES[0]]
    assert place.to_stored(np.array([mine.x, mine.y])) == pytest.approx((left.x, left.y), abs=1e-2)
    assert any('PatientOrientation' in text for text in report.algorithm.parameters)
    page = (tmp_path / 'out/report.html').read_text()
    assert 'PatientOrientation' in page


def test_mirrored_by_hand_exchanges_the_sides_and_is_remembered(hip, backend, tmp_path):
    right = predict_one(hip(name='right.dcm'), backend).prediction
    path, out = hip(Turn(flip_x=True)), tmp_path / 'out'
    for mirrored, x in ((None, 23), (True, 62), (False, 23)):
        result = run(backend, path, out, mirrored, report=False)
        assert result.predicted == 1  # another word on the sides is another reading
        found = Prediction.from_dict(json.loads((out / 'hip.json').read_text()))
        assert found[SIDES[0]].x == pytest.approx(x, abs=0.1)
        assert run(backend, path, out, mirrored, report=False).already_there == 1
    assert predict_one(path, backend, mirrored=True).prediction[
        'left_center_edge_angle_deg'
    ].value == (right['left_center_edge_angle_deg'].value)
    assert Inferencer(backend)(str(path), mirrored=True).image.turn is not None


def test_sides_in_doubt_and_images_for_processing_are_warned_of(hip, backend):
    path = hip(PatientOrientation=None, ViewPosition='PA')
    assert 'sides' in codes(predict_one(path, backend).prediction)
    path = hip(PresentationIntentType='FOR PROCESSING', PixelIntensityRelationshipSign=-1)
    assert 'processing' in codes(predict_one(path, backend).prediction)


@pytest.mark.parametrize('spacing', [(0.6, 0.3), (0.2, 0.6), (0.6, 0.6)])
def test_the_model_sees_square_pixels_and_points_come_back(hip, make_backend, spacing):
    fake, seen = make_backend(), []

    class Spy(Finder):
        def infer(self, images):
            seen.extend(one.shape for one in images)
            return super().infer(images)

    found = predict_one(hip(spacing=spacing), Spy(fake)).prediction
    ((height, width),) = seen
    assert width / height == pytest.approx(SIZE[0] * spacing[0] / (SIZE[1] * spacing[1]), rel=0.02)
    assert width * height >= SIZE[0] * SIZE[1]
    left = found[SIDES[0]]
    assert (left.x, left.y) == pytest.approx((62, 42), abs=0.5)
    assert ('resampled' in codes(found)) == (spacing[0] != spacing[1])
    fields = fake.fields()
    shrink = np.array([SIZE[0] / width, SIZE[1] / height])
    expected = fields['keypoint_covariances'][5] * np.outer(shrink, shrink)
    assert np.array(left.covariance_px2) == pytest.approx(expected, rel=0.02)


def test_an_aspect_ratio_without_a_spacing_is_enough(hip, make_backend):
    path = hip(ImagerPixelSpacing=None, PixelAspectRatio=[2, 1])
    seen = []

    class Spy(Finder):
        def infer(self, images):
            seen.extend(one.shape for one in images)
            return super().infer(images)

    predict_one(path, Spy(make_backend()))
    assert seen == [(160, 86)]


def test_files_that_are_no_images_are_counted_and_change_no_status(hip, backend, tmp_path):
    hip()
    for number, uid in enumerate(('1.2.840.10008.5.1.4.1.1.88.33', '1.2.840.10008.1.3.10')):
        dataset = pydicom.dcmread(tmp_path / 'in/hip.dcm')
        del dataset.PixelData
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid
        dataset.save_as(tmp_path / f'in/other{number}.dcm')
    result = run(backend, tmp_path / 'in', tmp_path / 'out')
    assert result.exit_status == 0 and result.errors == () and result.predicted == 1
    assert sorted(kind for _, kind in result.no_images) == [
        'Comprehensive SR Storage', 'Media Storage Directory Storage',
    ]  # fmt: skip
    errors = json.loads((tmp_path / 'out/errors.json').read_text())
    assert len(errors['no_images']) == 2 and errors['errors'] == []
    (tmp_path / 'in/cut.dcm').write_bytes((tmp_path / 'in/hip.dcm').read_bytes()[:900])
    assert run(backend, tmp_path / 'in', tmp_path / 'out').exit_status == 1


def test_the_caller_may_not_give_another_unit(backend):
    with pytest.raises(ValueError, match='micrometres'):
        radiograph_from_array(np.zeros((4, 4), np.uint8), spacing_xy_mm=(143, 143))
