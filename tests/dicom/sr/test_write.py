"""A structured report holds what it was given, in DICOM's own terms, and nothing else."""

import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ComprehensiveSRStorage

from unsct_mmpose.anatomy import (
    LANDMARK_CLASSES,
    LANDMARK_NAMES,
    LandmarkEstimate,
    Measurement,
    index_of,
)
from unsct_mmpose.dicom import RadiographError
from unsct_mmpose.dicom.sr import Algorithm, read_structured_report, write_structured_report
from unsct_mmpose.dicom.writer import write_radiograph
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES, REFERENCE_LINES, interval, measure

pytest.importorskip('highdicom')

WIDTH, HEIGHT = 120, 90
MODEL = Algorithm('UNSCT-HRNet', '0.3', 'sha256:aa', 'sha256:bb', ('flip test',))
NAME, PATIENT_ID = 'SECRETNAME^GIVEN', 'SECRETID77'
REJECTED = 'left_fovea'
ABSENT = f'{REJECTED} is absent'
SIDES = {'7771000': 'left', '24028007': 'right'}


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp('source') / 'image.dcm'
    write_radiograph(
        path,
        np.zeros((HEIGHT, WIDTH), np.uint16),
        spacing_xy_mm=(0.5, 0.75),
        magnification=1.15,
        source_detector_mm=1150.0,
        patient_id=PATIENT_ID,
        patient_sex='F',
        uid_seed='a report',
    )
    dataset = dcmread(path)
    dataset.PatientName = NAME
    del dataset.SyntheticData, dataset.SeriesDescription, dataset.ImageComments
    dataset.save_as(path)
    return path


@pytest.fixture(scope='module')
def landmarks():
    """All landmarks at places of their own, one of them rejected."""
    rng = np.random.default_rng(3)
    places = rng.uniform((0, 0), (WIDTH - 1, HEIGHT - 1), (24, 2)).astype(np.float32).tolist()
    found = [
        LandmarkEstimate(name, x, y, presence=0.875)
        for name, (x, y) in zip(LANDMARK_NAMES, places, strict=True)
    ]
    x, y = places[index_of(REJECTED)]
    found[index_of(REJECTED)] = LandmarkEstimate(
        REJECTED, x, y, reported=False, presence=0.125, reason='hidden, größer: 股'
    )
    return found


@pytest.fixture(scope='module')
def measurements(landmarks):
    """What ``functional.clinical`` measures there, each with an interval."""
    points = np.array([(landmark.x, landmark.y) for landmark in landmarks])
    present = np.array([landmark.reported for landmark in landmarks])
    covariances = np.tile(np.eye(2), (24, 1, 1))
    found = measure(points, present, (0.5, 0.75), covariances_px=covariances, magnification=1.15)
    result = []
    for name in MEASUREMENT_NAMES:
        one = found[name]
        if one.value is not None:
            low, high = (float(end) for end in interval(one.value, one.standard_error))
            line = found.reference_line if 'sharp' in name else None
            one = replace(one, low=low, high=high, reference_line=line)
        result.append(one)
    return result


@pytest.fixture(scope='module')
def settings(landmarks, measurements):
    return dict(
        landmarks=landmarks,
        measurements=measurements,
        algorithm=MODEL,
        lengths_at='bone',
        magnification=1.15,
    )


@pytest.fixture(scope='module')
def written(source, settings, tmp_path_factory):
    """A report, to be read only."""
    out = tmp_path_factory.mktemp('written') / 'report.dcm'
    write_structured_report(source, out, **settings)
    return out


@pytest.fixture
def out(tmp_path):
    return tmp_path / 'report.dcm'


def items(parent):
    """All content items below one, with it."""
    yield parent
    for child in parent.get('ContentSequence', ()):
        yield from items(child)


def concept(item):
    return item.ConceptNameCodeSequence[0].CodeMeaning


def same(left, right):
    """Compare two records field by field; NaN is like NaN, numbers to double precision."""
    assert type(left) is type(right)
    for field, a in vars(left).items():
        b = getattr(right, field)
        if isinstance(a, float):
            assert a == pytest.approx(b, rel=1e-12, abs=1e-12, nan_ok=True), field
        else:
            assert a == b, field


def test_what_is_written_is_read_back(source, out, settings):
    write_structured_report(source, out, **settings, interval_level=0.9)
    found = read_structured_report(out)
    assert len(found.landmarks) == 24 and len(found.measurements) == len(MEASUREMENT_NAMES)
    for given in settings['landmarks']:
        back = found.landmarks[index_of(given.name)]
        if not given.reported:
            given = replace(given, x=math.nan, y=math.nan)
        # Graphic Data are single precision
        assert back.x == pytest.approx(given.x, abs=1e-5, nan_ok=True)
        assert back.y == pytest.approx(given.y, abs=1e-5, nan_ok=True)
        same(replace(back, x=given.x, y=given.y), given)
    by_name = {measurement.name: measurement for measurement in found.measurements}
    for given in settings['measurements']:
        same(by_name[given.name], given)
    assert {measurement.reason for measurement in found.measurements} == {None, ABSENT}
    assert found.algorithm == MODEL
    assert (found.lengths_at, found.magnification) == ('bone', 1.15)
    assert found.interval_level == pytest.approx(0.9)
    assert not found.verified and not found.simulated
    header = dcmread(source)
    assert found.image_uid == header.SOPInstanceUID and found.study_uid == header.StudyInstanceUID


def test_the_centre_of_the_first_pixel_is_half_a_pixel_from_its_corner(source, out):
    corners = [('left_fovea', 0.0, 0.0), ('right_fovea', WIDTH - 0.5, HEIGHT - 0.5)]
    landmarks = [LandmarkEstimate(*corner) for corner in corners]
    write_structured_report(source, out, landmarks=landmarks, measurements=[], algorithm=MODEL)
    regions = [node for node in items(dcmread(out)) if node.get('ValueType') == 'SCOORD']
    assert [list(region.GraphicData) for region in regions] == [[0.5, 0.5], [WIDTH, HEIGHT]]
    assert {region.GraphicType for region in regions} == {'POINT'}
    assert read_structured_report(out).landmarks[0].x == 0.0


def test_sides_and_places_agree_with_what_a_foreign_reader_finds(written, settings):
    highdicom = pytest.importorskip('highdicom')
    report = highdicom.sr.srread(written).content
    meanings = {landmark.description: landmark.name for landmark in LANDMARK_CLASSES}
    places = {}
    for group in report.get_planar_roi_measurement_groups():
        (site,) = group.finding_sites
        name = f'{SIDES[site.laterality.value]}_{meanings[group.finding_type.meaning]}'
        places[name] = group.roi.value[0] - 0.5
    reported = {landmark.name: landmark for landmark in settings['landmarks'] if landmark.reported}
    assert places.keys() == reported.keys()
    for name, place in places.items():
        np.testing.assert_allclose(place, (reported[name].x, reported[name].y), atol=1e-5)
    groups = report.get_image_measurement_groups()
    sides = {
        SIDES.get(group.finding_sites[0].laterality.value): group
        for group in groups
        if group.get_measurements()
    }
    assert sides.keys() == {'left', 'right', None}
    by_name = {measurement.name: measurement for measurement in settings['measurements']}
    for side in ('left', 'right'):
        values = {
            measurement.name.meaning: measurement for measurement in sides[side].get_measurements()
        }
        given = by_name[f'{side}_sharp_angle_deg']
        assert values['Sharp angle'].value == given.value
        assert values['Sharp angle'].unit.value == 'deg'
        assert values['Sharp angle'].method.meaning == 'Read against the line 8L-8R'
        assert values['Femoral offset'].unit.value == 'mm'
        assert values['Femoral offset'].unit.scheme_designator == 'UCUM'


def test_a_rejected_landmark_has_a_reason_and_no_place(written, settings):
    found = dcmread(written)
    rejected = settings['landmarks'][index_of(REJECTED)]
    place = np.array([rejected.x, rejected.y]) + 0.5
    for item in items(found):
        if item.get('ValueType') == 'SCOORD':
            distance = np.abs(np.reshape(item.GraphicData, (-1, 2)) - place).max(axis=1)
            assert (distance > 1e-3).all()
    listed = [node for node in items(found) if node.get('ValueType') == 'CODE']
    (only,) = [node for node in listed if node.ConceptCodeSequence[0].CodeValue == 'NOT-REPORTED']
    assert concept(only) == 'Fovea of the ligamentum teres'
    assert only.ContentSequence[0].TextValue == rejected.reason


def test_the_interval_encloses_the_value_in_its_own_unit(written):
    for item in items(dcmread(written)):
        if item.get('ValueType') != 'NUM' or 'ContentSequence' not in item:
            continue
        unit = item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue
        ranges = [node for node in item.ContentSequence if 'uncertainty' in concept(node)]
        found = {concept(node)[0]: node.MeasuredValueSequence[0] for node in ranges}
        assert found['+'].NumericValue >= 0 and found['-'].NumericValue >= 0
        for end in '+-':
            assert found[end].MeasurementUnitsCodeSequence[0].CodeValue == unit


def test_what_has_no_value_has_no_number(written, settings):
    absent = [measurement for measurement in settings['measurements'] if measurement.value is None]
    assert len(absent) == 2  # both Skinner values of the left side
    report = dcmread(written)
    for item in items(report):
        for value in item.get('MeasuredValueSequence', ()):
            assert math.isfinite(value.NumericValue)
            assert math.isfinite(value.get('FloatingPointValue', 0.0))
    failures = [
        item
        for item in items(report)
        if item.get('ValueType') == 'CODE' and item.ConceptCodeSequence[0].CodeValue == '114006'
    ]
    assert [failure.ContentSequence[0].TextValue for failure in failures] == [ABSENT] * 2
    numbers = sum(
        'Skinner' in concept(node) for node in items(report) if node.get('ValueType') == 'NUM'
    )
    assert numbers == 2  # of the right side


def test_it_is_unverified_research_in_the_study_of_its_image(source, out, settings):
    uid = write_structured_report(source, out, **settings, observer='Doe^Jane')
    report, image = dcmread(out), dcmread(source)
    assert report.SOPClassUID == ComprehensiveSRStorage and report.SOPInstanceUID == uid
    assert (report.VerificationFlag, report.PreliminaryFlag) == ('UNVERIFIED', 'PRELIMINARY')
    assert report.ContentQualification == 'RESEARCH'
    assert report.StudyInstanceUID == image.StudyInstanceUID
    assert report.SeriesInstanceUID != image.SeriesInstanceUID
    assert report.ContentTemplateSequence[0].TemplateIdentifier == '1500'
    texts = [node.TextValue for node in items(report) if node.get('ValueType') == 'TEXT']
    assert sum('not a diagnosis' in text for text in texts) == 1
    assert not any('imulated' in text for text in texts)
    people = [node.PersonName for node in items(report) if node.get('ValueType') == 'PNAME']
    assert people == ['Doe^Jane']
    images = [node for node in items(report) if node.get('ValueType') == 'IMAGE']
    assert {node.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for node in images} == {
        image.SOPInstanceUID
    }


@pytest.mark.parametrize('told', [True, False])
def test_a_simulated_image_is_called_so_by_the_caller_or_by_itself(
    source, tmp_path, out, settings, told
):
    if not told:
        image = dcmread(source)
        image.SyntheticData = 'YES'
        source = tmp_path / 'synthetic.dcm'
        image.save_as(source)
    write_structured_report(source, out, **settings, simulated=told)
    found = read_structured_report(out)
    assert found.simulated and any('Simulated' in text for text in found.statements)
    assert dcmread(out).SeriesDescription.startswith('SIMULATED')


def test_identity_stays_behind_unless_it_is_asked_for(source, tmp_path, settings):
    without, within = tmp_path / 'without.dcm', tmp_path / 'within.dcm'
    image = dcmread(source)
    image.SpecificCharacterSet = 'ISO_IR 100'
    image.PatientName = 'SECRETNAME^Jürgen'
    image.PatientBirthDate = '19500714'
    image.StudyDate = '20210305'
    image.AccessionNumber = 'SECRETACC'
    image.ReferringPhysicianName = 'SECRETDOC'
    image.InstitutionName = 'SECRETHOSPITAL'
    image.StudyDescription = 'SECRETSTUDY'
    image.PatientComments = 'SECRETCOMMENT'
    image.save_as(tmp_path / 'image.dcm')
    write_structured_report(tmp_path / 'image.dcm', without, **settings)
    content = without.read_bytes()
    for secret in (b'SECRET', b'19500714', b'20210305', PATIENT_ID.encode()):
        assert secret not in content
    anonymous = dcmread(without)
    assert anonymous.PatientID == anonymous.PatientName == anonymous.PatientSex == ''
    assert anonymous.PatientIdentityRemoved == 'YES'
    assert anonymous.StudyInstanceUID == image.StudyInstanceUID
    write_structured_report(tmp_path / 'image.dcm', within, **settings, keep_identity=True)
    named = dcmread(within)
    assert named.PatientName == image.PatientName and named.PatientID == PATIENT_ID
    assert (named.PatientSex, named.PatientBirthDate) == ('F', '19500714')
    assert (named.StudyDate, named.AccessionNumber) == ('20210305', 'SECRETACC')
    assert 'PatientIdentityRemoved' not in named
    assert b'SECRETHOSPITAL' not in within.read_bytes()


def test_a_failing_write_leaves_what_was_there(source, out, settings, monkeypatch):
    out.write_bytes(b'old')

    def fail(source, destination):
        raise OSError(28, 'disk full')

    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(RadiographError, match=r'report\.dcm: it cannot be written'):
        write_structured_report(source, out, **settings)
    assert out.read_bytes() == b'old' and list(out.parent.iterdir()) == [out]


@pytest.mark.skipif(not shutil.which('dsrdump'), reason='dcmtk is not installed')
def test_dcmtk_reads_it_without_complaint(written):
    # +Ev would hide violations of relationships; without it they are errors.
    done = subprocess.run(['dsrdump', '+Pn', written], capture_output=True, text=True, check=True)
    assert 'Verification Flag   : UNVERIFIED' in done.stdout
    assert done.stdout.count('"Image Region")=(POINT') == 23
    complaints = [line for line in done.stderr.splitlines() if 'Character Set' not in line]
    assert not complaints


def test_real_headers_make_reports(shared_data, out):
    """CR, DX and secondary capture, with and without spacing, orientation or character set."""
    files = sorted((shared_data / 'dicom').glob('**/*.dcm'))[:8]
    assert files
    for file in files:
        image = dcmread(file, stop_before_pixels=True)
        landmarks = (LandmarkEstimate('left_fovea', image.Columns - 1.0, 1.0),)
        given = dict(landmarks=landmarks, measurements=(), algorithm=MODEL)
        write_structured_report(file, out, **given)
        assert read_structured_report(out).landmarks == landmarks
        assert dcmread(out).PatientID == ''
        if len(image.get('PatientBirthDate') or '') > 8:
            with pytest.raises(RadiographError, match='PatientBirthDate is malformed'):
                write_structured_report(file, out, **given, keep_identity=True)
        else:
            write_structured_report(file, out, **given, keep_identity=True)
            assert dcmread(out).PatientID == image.PatientID


def test_no_warning_quotes_the_header(source, tmp_path, out, recwarn, caplog):
    image = dcmread(source)
    image.PatientName = 'SECRETNAME'  # highdicom doubts a name of one component
    image.AccessionNumber = 'SECRET' * 9
    image.save_as(tmp_path / 'image.dcm')
    recwarn.clear()
    caplog.clear()
    given = dict(
        landmarks=[LandmarkEstimate('left_fovea', 1.0, 1.0)], measurements=[], algorithm=MODEL
    )
    write_structured_report(tmp_path / 'image.dcm', out, **given, keep_identity=True)
    assert 'SECRET' not in caplog.text + ''.join(str(warning.message) for warning in recwarn.list)
    image.StudyDate = '2021'
    image.save_as(tmp_path / 'image.dcm')
    with pytest.raises(RadiographError, match='StudyDate is malformed') as caught:
        write_structured_report(tmp_path / 'image.dcm', out, **given, keep_identity=True)
    assert '2021' not in str(caught.value)


@pytest.mark.parametrize('keyword', ['StudyInstanceUID', 'SeriesInstanceUID', 'Rows'])
@pytest.mark.parametrize('value', [None, 'not a uid'])
def test_a_source_without_references_is_refused_with_the_attribute(
    source, tmp_path, out, settings, keyword, value
):
    image = dcmread(source)
    del image[keyword]
    if value and keyword != 'Rows':
        with pytest.warns(UserWarning):
            setattr(image, keyword, value)
    path = tmp_path / 'poor.dcm'
    image.save_as(path)
    with pytest.raises(RadiographError, match=rf'poor\.dcm: {keyword} is'):
        write_structured_report(path, out, **settings)
    assert not out.exists()


def test_the_file_meta_information_may_stand_in_for_the_uid_of_the_image(
    source, tmp_path, out, settings
):
    image = dcmread(source)
    uid = image.SOPInstanceUID
    del image.SOPInstanceUID
    image.save_as(tmp_path / 'poor.dcm')
    write_structured_report(tmp_path / 'poor.dcm', out, **settings)
    assert read_structured_report(out).image_uid == uid


def test_a_picture_is_refused(tmp_path, out, settings):
    cv2 = pytest.importorskip('cv2')
    path = tmp_path / 'image.png'
    cv2.imwrite(str(path), np.zeros((4, 4), np.uint8))
    with pytest.raises(RadiographError, match=r'image\.png: it is PNG; .* give the DICOM file'):
        write_structured_report(path, out, **settings)


def test_reading_another_object_says_so(source):
    with pytest.raises(RadiographError, match='no structured report of unsct_mmpose'):
        read_structured_report(source)


def test_a_frame_of_several_is_named_in_every_reference(source, tmp_path, out):
    image = dcmread(source)
    image.NumberOfFrames = 3
    path = tmp_path / 'frames.dcm'
    image.save_as(path)
    given = dict(
        landmarks=[LandmarkEstimate('left_fovea', 1.0, 2.0)], measurements=[], algorithm=MODEL
    )
    with pytest.raises(RadiographError, match='3 frames; choose one'):
        write_structured_report(path, out, **given)
    with pytest.raises(ValueError, match='between 0 and 2'):
        write_structured_report(path, out, **given, frame=3)
    write_structured_report(path, out, **given, frame=1)
    regions = [node for node in items(dcmread(out)) if node.get('ValueType') == 'SCOORD']
    references = [region.ContentSequence[0].ReferencedSOPSequence[0] for region in regions]
    assert [reference.ReferencedFrameNumber for reference in references] == [2]


def test_a_unit_that_is_not_that_of_the_measurement_is_damage(written, out):
    report = dcmread(written)
    item = next(
        node
        for node in items(report)
        if node.get('ValueType') == 'NUM' and concept(node) == 'Sharp angle'
    )
    item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue = 'mm'
    report.save_as(out)
    with pytest.raises(RadiographError, match='damaged'):
        read_structured_report(out)


def test_arguments_that_cannot_be_true_are_refused(source, out, settings):
    def refused(message, **changes):
        with pytest.raises(ValueError, match=message):
            write_structured_report(source, out, **{**settings, **changes})
        assert not out.exists()

    refused("say lengths_at='bone' or 'detector'", lengths_at=None)
    refused('magnification must be positive', magnification=0.0)
    refused('interval_level', interval_level=95)
    refused('nothing to report', landmarks=[], measurements=[])
    refused('a name and a version', algorithm=Algorithm('', '1'))
    with pytest.raises(ValueError, match='out is the image itself'):
        write_structured_report(source, source, **settings)


def test_highdicom_is_named_where_it_is_missing_and_only_then(source, out, settings, monkeypatch):
    for name in [name for name in sys.modules if name.startswith('unsct_mmpose.dicom.sr.')]:
        if name.endswith(('content', 'document')):
            monkeypatch.delitem(sys.modules, name)
    import unsct_mmpose.dicom.sr as package

    for name in ('content', 'document'):
        monkeypatch.delattr(package, name, raising=False)
    for name in [name for name in sys.modules if name.split('.')[0] == 'highdicom']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'highdicom', None)
    with pytest.raises(ImportError, match=r'unsct-mmpose\[report\]'):
        write_structured_report(source, out, **settings)


def test_every_reference_line_survives(source, out, landmarks):
    for line in REFERENCE_LINES:
        given = Measurement('right_sharp_angle_deg', 40.0, reference_line=line)
        write_structured_report(
            source, out, landmarks=landmarks, measurements=[given], algorithm=MODEL
        )
        (found,) = read_structured_report(out).measurements
        assert found.reference_line == line
