import math

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    JPEG2000Lossless,
    RLELossless,
)

from unsct_mmpose.dicom import RadiographError, read_radiograph
from unsct_mmpose.dicom.writer import AP, PELVIS, write_radiograph

PIXELS = np.random.default_rng(0).integers(0, 4096, (37, 50), dtype=np.uint16)
BASE = dict(
    spacing_xy_mm=(0.143, 0.151),
    magnification=1.17,
    source_detector_mm=1123.4,
    patient_id='p7',
    uid_seed='seed 7',
)

# Type 1 in the DX Image IOD (PS3.3, A.26): present, and with a value.
TYPE_1 = [
    'SOPClassUID',
    'SOPInstanceUID',
    'StudyInstanceUID',
    'SeriesInstanceUID',
    'Modality',
    'PresentationIntentType',
    'ImageType',
    'SamplesPerPixel',
    'PhotometricInterpretation',
    'Rows',
    'Columns',
    'BitsAllocated',
    'BitsStored',
    'HighBit',
    'PixelRepresentation',
    'PixelData',
    'PixelIntensityRelationship',
    'PixelIntensityRelationshipSign',
    'RescaleIntercept',
    'RescaleSlope',
    'RescaleType',
    'PresentationLUTShape',
    'LossyImageCompression',
    'BurnedInAnnotation',
    'ImageLaterality',
    'ImagerPixelSpacing',
    'WindowCenter',
    'WindowWidth',
    'PatientOrientation',
    'AnatomicRegionSequence',
]
TYPE_2 = [
    'PatientName',
    'PatientID',
    'PatientBirthDate',
    'PatientSex',
    'StudyDate',
    'StudyTime',
    'AccessionNumber',
    'StudyID',
    'ReferringPhysicianName',
    'SeriesNumber',
    'InstanceNumber',
    'Manufacturer',
    'DetectorType',
    'PositionerType',
    'AcquisitionContextSequence',
    'ContentDate',
    'ContentTime',
]


def _write(path, pixels=PIXELS, **changes):
    write_radiograph(path, pixels, **{**BASE, **changes})
    return path


@pytest.mark.parametrize('photometric', ['MONOCHROME1', 'MONOCHROME2'])
@pytest.mark.parametrize('syntax', [None, RLELossless, JPEG2000Lossless])
def test_what_is_written_is_read_back(tmp_path, syntax, photometric):
    path = _write(tmp_path / 'a.dcm', photometric=photometric)
    if syntax is not None:
        compressed = dcmread(path)
        compressed.compress(syntax)
        compressed.save_as(path)
    radiograph = read_radiograph(path)
    np.testing.assert_array_equal(np.rint(radiograph.pixels * 4095), PIXELS)
    np.testing.assert_allclose(radiograph.pixels, PIXELS / 4095, atol=1e-7)
    assert radiograph.spacing_xy_mm == BASE['spacing_xy_mm']
    assert radiograph.magnification == BASE['magnification']
    assert radiograph.spacing_problem is None
    assert radiograph.laterality == 'B'
    assert radiograph.provenance['warnings'] == 0


@pytest.mark.parametrize('plane', [None, 'detector', 'patient'])
def test_mm_at_the_bone_do_not_depend_on_how_the_spacing_is_written(tmp_path, plane):
    radiograph = read_radiograph(_write(tmp_path / 'a.dcm', pixel_spacing=plane))
    expected = [mm / BASE['magnification'] for mm in BASE['spacing_xy_mm']]
    assert radiograph.bone_spacing_xy_mm == pytest.approx(expected, rel=1e-9)
    assert radiograph.spacing_problem is None


def test_distances_alone_give_the_same_magnification(tmp_path):
    path = _write(tmp_path / 'a.dcm')
    dataset = dcmread(path)
    del dataset.EstimatedRadiographicMagnificationFactor
    dataset.save_as(path)
    assert read_radiograph(path).magnification == pytest.approx(1.17, rel=1e-9)


def test_the_same_arguments_give_the_same_bytes(tmp_path):
    first = _write(tmp_path / 'a.dcm').read_bytes()
    second = _write(tmp_path / 'b.dcm').read_bytes()
    other = _write(tmp_path / 'c.dcm', uid_seed='seed 8').read_bytes()
    assert first == second != other


def test_identifiers_come_from_the_seed_and_differ_from_each_other(tmp_path):
    dataset = dcmread(_write(tmp_path / 'a.dcm'))
    other = dcmread(_write(tmp_path / 'b.dcm', uid_seed='seed 8'))
    names = ('StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID')
    uids = [source[name].value for source in (dataset, other) for name in names]
    assert len(set(uids)) == 6 and all(uid.is_valid for uid in uids)
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID


@pytest.mark.parametrize('photometric', ['MONOCHROME1', 'MONOCHROME2'])
def test_it_is_a_whole_dx_object(tmp_path, photometric):
    path = _write(tmp_path / 'a.dcm', photometric=photometric)
    dataset = dcmread(path)
    assert dataset.SOPClassUID == DigitalXRayImageStorageForPresentation
    for keyword in TYPE_1:
        assert keyword in dataset and dataset[keyword].VM > 0, keyword
    for keyword in TYPE_2:
        assert keyword in dataset, keyword
    inverse = photometric == 'MONOCHROME1'
    assert dataset.PresentationLUTShape == ('INVERSE' if inverse else 'IDENTITY')
    assert dataset.PixelIntensityRelationshipSign == (1 if inverse else -1)
    assert dataset.ImagerPixelSpacing == [0.151, 0.143]
    assert (dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit) == (16, 12, 11)


def test_codes_are_those_of_the_standard():
    assert PELVIS[0] == codes.cid4.Pelvis.value
    assert AP[0] == codes.cid4010.AnteroPosterior.value


def test_synthetic_images_say_so_where_machines_and_people_look(tmp_path):
    dataset = dcmread(_write(tmp_path / 'a.dcm'))
    assert dataset.SyntheticData == 'YES'
    assert 'ynthetic' in dataset.ImageComments and dataset.SeriesDescription == 'SYNTHETIC'


@pytest.mark.parametrize('bits', [8, 10, 16])
def test_other_depths_use_their_whole_range(tmp_path, bits):
    pixels = np.array([[0, 2**bits - 1], [1, 2]], dtype=np.uint16)
    radiograph = read_radiograph(_write(tmp_path / 'a.dcm', pixels, bits_stored=bits))
    np.testing.assert_allclose(radiograph.pixels, pixels / (2**bits - 1), atol=1e-7)


def test_the_callers_array_stays_as_it_is(tmp_path):
    pixels = PIXELS.copy()
    _write(tmp_path / 'a.dcm', pixels, photometric='MONOCHROME1')
    np.testing.assert_array_equal(pixels, PIXELS)


@pytest.mark.parametrize(
    'changes, word',
    [
        (dict(spacing_xy_mm=(0, 0.1)), 'spacing_xy_mm'),
        (dict(magnification=0), 'magnification'),
        (dict(source_detector_mm=math.nan), 'source_detector_mm'),
        (dict(bits_stored=17), 'bits_stored'),
        (dict(bits_stored=10), 'pixels reach'),
        (dict(photometric='RGB'), 'photometric'),
        (dict(pixel_spacing='film'), 'pixel_spacing'),
        (dict(pixels=PIXELS.astype(np.float32)), 'unsigned'),
        (dict(pixels=PIXELS[None]), r'\(H, W\)'),
        (dict(pixels=PIXELS[:0]), r'\(H, W\)'),
    ],
)
def test_impossible_arguments_write_nothing(tmp_path, changes, word):
    with pytest.raises(ValueError, match=word):
        _write(tmp_path / 'a.dcm', **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(RadiographError, match='cannot be written'):
        _write(tmp_path / 'nowhere' / 'a.dcm')
