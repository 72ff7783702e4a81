import json
import math

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from unsct_mmpose.dicom.spacing import (
    check_magnification,
    check_spacing,
    given_spacing,
    read_number,
    read_spacing,
)

MM_AT_BONE = (0.16, 0.15)
FACTOR = 1.2


def _header(**elements):
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def _at_bone(spacing):
    return tuple(mm / spacing.magnification for mm in spacing.spacing_xy_mm)


def test_row_and_column_distances_become_x_and_y():
    assert read_spacing(_header(PixelSpacing=[0.3, 0.2])).spacing_xy_mm == (0.2, 0.3)
    assert read_spacing(_header(ImagerPixelSpacing=[0.3, 0.2])).spacing_xy_mm == (0.2, 0.3)


@pytest.mark.parametrize(
    'spacings',
    [
        dict(ImagerPixelSpacing=[0.18, 0.192]),
        dict(ImagerPixelSpacing=[0.18, 0.192], PixelSpacing=[0.18, 0.192]),
        dict(ImagerPixelSpacing=[0.18, 0.192], PixelSpacing=[0.15, 0.16]),
        dict(
            ImagerPixelSpacing=[0.18, 0.192],
            PixelSpacing=[0.15, 0.16],
            PixelSpacingCalibrationType='FIDUCIAL',
        ),
        dict(PixelSpacing=[0.15, 0.16], PixelSpacingCalibrationType='GEOMETRY'),
        dict(PixelSpacing=[0.18, 0.192]),
        dict(NominalScannedPixelSpacing=[0.18, 0.192]),
    ],
    ids=['imager', 'equal', 'smaller', 'fiducial', 'geometry', 'pixel', 'scanned'],
)
def test_all_ways_to_say_the_same_give_the_same_mm_at_the_bone(spacings):
    header = _header(EstimatedRadiographicMagnificationFactor=FACTOR, **spacings)
    found = read_spacing(header)
    assert _at_bone(found) == pytest.approx(MM_AT_BONE)
    assert found.problem is None


def test_calibration_at_the_patient_is_said_and_needs_no_magnification():
    header = _header(
        PixelSpacing=[0.15, 0.16],
        ImagerPixelSpacing=[0.18, 0.192],
        EstimatedRadiographicMagnificationFactor=FACTOR,
    )
    found = read_spacing(header)
    assert found.magnification == 1.0
    assert 'patient' in found.source and 'patient' in found.magnification_source


@pytest.mark.parametrize('estimated', [None, 0, -1.2, 40])
def test_distances_give_the_magnification_when_its_own_tag_does_not(estimated):
    header = _header(
        ImagerPixelSpacing=[0.15, 0.15],
        DistanceSourceToDetector=1200,
        DistanceSourceToPatient=1000,
    )
    if estimated is not None:
        header.EstimatedRadiographicMagnificationFactor = estimated
    found = read_spacing(header)
    assert found.magnification == pytest.approx(1.2)
    assert found.magnification_source.startswith('DistanceSourceToDetector')


@pytest.mark.parametrize('patient', [0, -5, 1500, 10])
def test_impossible_distances_leave_the_magnification_unknown(patient):
    header = _header(DistanceSourceToDetector=1200, DistanceSourceToPatient=patient)
    found = read_spacing(header)
    assert (found.magnification, found.magnification_source) == (1.0, 'unknown')


@pytest.mark.parametrize(
    'value', [[0, 0], [-0.2, 0.2], [math.nan, 0.2], [1, 1], [33.3, 33.3], [0.001, 0.001], 0.2]
)
def test_an_unusable_spacing_is_reported_and_never_guessed(value):
    found = read_spacing(_header(PixelSpacing=value))
    assert found.spacing_xy_mm is None
    assert found.source == 'none'
    assert 'PixelSpacing' in found.problem


def test_no_spacing_at_all_is_reported():
    found = read_spacing(Dataset())
    assert found.spacing_xy_mm is None
    assert found.problem == 'the file has no pixel spacing'


def test_a_dummy_gives_way_to_the_imager_and_is_mentioned():
    found = read_spacing(_header(PixelSpacing=[1, 1], ImagerPixelSpacing=[0.15, 0.15]))
    assert found.spacing_xy_mm == (0.15, 0.15)
    assert found.source == 'ImagerPixelSpacing'
    assert 'dummy' in found.problem


def test_one_millimetre_that_the_imager_confirms_is_no_dummy():
    found = read_spacing(_header(PixelSpacing=[1, 1], ImagerPixelSpacing=[1, 1]))
    assert (found.spacing_xy_mm, found.source) == ((1.0, 1.0), 'PixelSpacing')
    assert 'do not know' in found.problem  # questioned all the same


@pytest.mark.parametrize(
    'pixel', [[0.4, 0.4], [0.05, 0.05], [0.15, 0.18]], ids=['larger', 'tiny', 'skewed']
)
def test_spacings_that_contradict_each_other_give_none(pixel):
    found = read_spacing(_header(PixelSpacing=pixel, ImagerPixelSpacing=[0.18, 0.18]))
    assert found.spacing_xy_mm is None
    assert 'contradict' in found.problem


def test_a_ratio_that_is_not_the_stated_magnification_is_mentioned():
    header = _header(
        PixelSpacing=[0.12, 0.12],
        ImagerPixelSpacing=[0.18, 0.18],
        EstimatedRadiographicMagnificationFactor=1.15,
    )
    found = read_spacing(header)
    assert found.spacing_xy_mm == (0.12, 0.12)
    assert '1.500' in found.problem and '1.150' in found.problem


def test_a_calibration_that_changed_nothing_is_mentioned():
    header = _header(
        PixelSpacing=[0.18, 0.18],
        ImagerPixelSpacing=[0.18, 0.18],
        PixelSpacingCalibrationType='GEOMETRY',
        EstimatedRadiographicMagnificationFactor=1.15,
    )
    found = read_spacing(header)
    assert found.magnification == 1.15
    assert 'GEOMETRY' in found.problem


def test_a_calibration_without_known_magnification_holds_at_the_patient():
    header = _header(
        PixelSpacing=[0.18, 0.18],
        ImagerPixelSpacing=[0.18, 0.18],
        PixelSpacingCalibrationType='FIDUCIAL',
    )
    found = read_spacing(header)
    assert found.magnification == 1.0 and 'FIDUCIAL' in found.source


def test_the_callers_spacing_wins_and_the_files_magnification_stays():
    header = _header(PixelSpacing=[1, 1], EstimatedRadiographicMagnificationFactor=1.2)
    found = read_spacing(header, (0.1, 0.2))
    assert (found.spacing_xy_mm, found.source, found.problem) == ((0.1, 0.2), 'caller', None)
    assert found.magnification == 1.2


def test_the_callers_magnification_wins_and_applies_at_the_detector():
    header = _header(
        PixelSpacing=[0.15, 0.15],
        ImagerPixelSpacing=[0.18, 0.18],
        EstimatedRadiographicMagnificationFactor=1.2,
    )
    found = read_spacing(header, magnification=1.25)
    assert found.spacing_xy_mm == (0.18, 0.18)
    assert (found.magnification, found.magnification_source) == (1.25, 'caller')
    assert found.problem is None


def test_magnifying_what_holds_at_the_patient_is_mentioned():
    header = _header(PixelSpacing=[0.15, 0.15], PixelSpacingCalibrationType='GEOMETRY')
    found = read_spacing(header, magnification=1.25)
    assert found.magnification == 1.25
    assert 'again' in found.problem


@pytest.mark.parametrize('bad', [(0, 1), (-1, 1), (math.nan, 1), (math.inf, 1), (1, 1, 1)])
def test_a_wrong_spacing_of_the_caller_is_an_error(bad):
    with pytest.raises(ValueError, match='spacing_xy_mm'):
        check_spacing(bad)
    with pytest.raises(ValueError, match='spacing_xy_mm'):
        read_spacing(Dataset(), bad)


@pytest.mark.parametrize('bad', [0, -1, math.nan, math.inf])
def test_a_wrong_magnification_of_the_caller_is_an_error(bad):
    with pytest.raises(ValueError, match='magnification'):
        read_spacing(Dataset(), None, bad)


def test_a_picture_has_what_the_caller_says():
    assert given_spacing(None, None, 'why').problem == 'why'
    found = given_spacing((0.1, 0.2), 1.2, 'why')
    assert (found.spacing_xy_mm, found.magnification, found.problem) == ((0.1, 0.2), 1.2, None)


def test_every_simulated_radiograph_agrees_with_its_annotation(shared_data):
    sources = set()
    for split in ('train', 'val'):
        text = (shared_data / 'vsd_ap' / f'{split}.json').read_text()
        for image in json.loads(text)['images']:
            path = shared_data / 'vsd_ap' / 'images' / image['file_name']
            found = read_spacing(dcmread(path, stop_before_pixels=True))
            expected = [mm / image['magnification'] for mm in image['pixel_spacing']]
            assert _at_bone(found) == pytest.approx(expected, rel=1e-3), path.name
            assert found.problem is None
            sources.add(found.source.split(',')[0])
    assert sources == {'PixelSpacing', 'ImagerPixelSpacing'}


# One range everywhere, and guesses at what was meant


@pytest.mark.parametrize(
    'pair, guess',
    [
        ((143, 143), 'in micrometres it would be 0.143 x 0.143 mm'),
        ((0.0143, 0.0143), 'in centimetres it would be 0.143 x 0.143 mm'),
        ((0.000143, 0.000143), 'in metres it would be 0.143 x 0.143 mm'),
        ((0.0056, 0.0056), 'in centimetres'),
        ((9, 9), 'not a plausible spacing'),
        ((0.2, 200), 'not a plausible spacing'),
    ],
)
def test_another_unit_is_refused_with_a_guess(pair, guess):
    with pytest.raises(ValueError, match=guess):
        check_spacing(pair)
    with pytest.raises(ValueError, match=guess):
        given_spacing(pair, None, '')
    found = read_spacing(_header(PixelSpacing=[pair[1], pair[0]]))
    assert found.spacing_xy_mm is None and guess in found.problem


@pytest.mark.parametrize('value', [0.05, 2.1, 115, 0.87])
def test_an_impossible_magnification_is_refused(value):
    with pytest.raises(ValueError, match='not a plausible magnification'):
        given_spacing((0.2, 0.2), value, '')


def test_a_magnification_in_per_cent_or_upside_down_is_guessed():
    with pytest.raises(ValueError, match=r'percentage it would be 1\.15'):
        check_magnification(115)
    with pytest.raises(ValueError, match=r'other way round it would be 1\.149'):
        check_magnification(0.87)


@pytest.mark.parametrize(
    'pair, words',
    [((1.0, 1.0), 'do not know the spacing'), ((0.8, 0.2), '4 times as wide as high'),
     ((0.1, 0.5), '5 times as high as wide')],
)  # fmt: skip
def test_odd_spacings_are_questioned_whoever_gives_them(pair, words):
    assert words in given_spacing(pair, None, '').problem
    assert words in read_spacing(_header(), pair).problem
    header = _header(ImagerPixelSpacing=[pair[1], pair[0]])
    assert words in read_spacing(header).problem
    assert read_spacing(header).spacing_xy_mm == pair


@pytest.mark.parametrize('pair', [(0.143, 0.143), (0.143, 0.15), (0.2, 0.6), (2.0, 2.0)])
def test_usual_spacings_are_not_questioned(pair):
    assert given_spacing(pair, None, '').problem is None


@pytest.mark.parametrize(
    'content, words',
    [
        (b'0,143\\0,143 ', r'a comma is no decimal point, write 0.143\0.143'),
        (b'abc\\0.1 ', 'holds something that is no number'),
        (b'Mueller ', 'holds something that is no number'),
        (b'0.1\\nan ', 'no number'),
        (b'0.1 ', 'not two numbers'),
    ],
)
def test_an_unreadable_spacing_is_said_and_nothing_else_is_repeated(content, words):
    dataset = Dataset()
    tag = Tag('PixelSpacing')
    dataset._dict[tag] = RawDataElement(tag, 'DS', len(content), content, 0, False, True)
    found = read_spacing(dataset)
    assert found.spacing_xy_mm is None and words in found.problem
    assert 'Mueller' not in found.problem


@pytest.mark.parametrize(
    'kind',
    [dict(Modality='CT'), dict(Modality='MR'), dict(Modality='PT'),
     dict(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
     dict(SOPClassUID='1.2.840.10008.5.1.4.1.1.2'),
     dict(SOPClassUID='1.2.840.10008.5.1.4.1.1.4.1'),
     dict(SOPClassUID='1.2.840.10008.5.1.4.1.1.128')],
    ids=str,
)  # fmt: skip
def test_a_slice_is_not_magnified_by_its_tube(kind):
    tube = dict(DistanceSourceToDetector=949.0, DistanceSourceToPatient=541.0)
    estimate = dict(EstimatedRadiographicMagnificationFactor=1.5)
    for more in (tube, estimate):
        found = read_spacing(_header(PixelSpacing=[0.5, 0.5], **kind, **more))
        assert found.magnification == 1.0 and 'slice' in found.magnification_source
        projection = read_spacing(_header(PixelSpacing=[0.5, 0.5], Modality='DX', **more))
        assert projection.magnification > 1.4


def test_what_is_typed_with_a_comma_is_named():
    assert read_number('0.143') == 0.143
    with pytest.raises(ValueError, match=r'comma is no decimal point, write 0\.143'):
        read_number('0,143')
    with pytest.raises(ValueError, match='no number'):
        read_number('wide')
