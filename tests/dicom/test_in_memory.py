"""Arrays and parsed DICOM files become what the same file on disk becomes."""

import hashlib

import cv2
import numpy as np
import pydicom
import pytest

from unsct_mmpose.dicom import (
    RadiographError,
    looks_like_radiograph,
    patient_identity,
    radiograph_from_array,
    radiograph_from_dataset,
    read_radiograph,
)
from unsct_mmpose.dicom.display import ranges_itself
from unsct_mmpose.dicom.writer import write_radiograph


@pytest.fixture
def path(tmp_path):
    target = tmp_path / 'x.dcm'
    pixels = np.random.default_rng(0).integers(0, 4095, (40, 50), dtype=np.uint16)
    write_radiograph(
        target,
        pixels,
        spacing_xy_mm=(0.5, 0.4),
        magnification=1.2,
        source_detector_mm=1150.0,
        patient_id='id-7',
        uid_seed='x',
    )
    dataset = pydicom.dcmread(target)
    dataset.PatientName = 'Doe^Jane'
    dataset.save_as(target)
    return target


def test_a_dataset_is_displayed_as_its_file_is(path):
    on_disk, parsed = read_radiograph(path), radiograph_from_dataset(pydicom.dcmread(path))
    np.testing.assert_array_equal(parsed.pixels, on_disk.pixels)
    for name in ('spacing_xy_mm', 'spacing_source', 'magnification', 'laterality'):
        assert getattr(parsed, name) == getattr(on_disk, name)
    assert parsed.provenance['simulated'] == on_disk.provenance['simulated'] == 'SyntheticData'
    assert (parsed.provenance['sha256_of'], 'sha256_of' in on_disk.provenance) == (
        'pixel data',
        False,
    )


def test_a_dataset_without_file_meta_is_displayed_too(path):
    dataset = pydicom.dcmread(path)
    del dataset.file_meta
    np.testing.assert_array_equal(
        radiograph_from_dataset(dataset).pixels, read_radiograph(path).pixels
    )


def test_a_dataset_without_pixels_is_refused_in_words(path):
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    with pytest.raises(RadiographError, match=r'^hip: .*pixel data'):
        radiograph_from_dataset(dataset, name='hip')


@pytest.mark.parametrize('kind', [np.uint8, np.uint16, np.float32, np.float64])
def test_white_is_the_largest_value_of_the_type(kind):
    white = np.iinfo(kind).max if np.issubdtype(kind, np.integer) else 1
    array = np.array([[0, white], [white, 0]], kind)
    radiograph = radiograph_from_array(array, spacing_xy_mm=(0.2, 0.3))
    assert radiograph.pixels.tolist() == [[0, 1], [1, 0]] and radiograph.pixels.dtype == np.float32
    assert radiograph.provenance['sha256'] == hashlib.sha256(array.tobytes()).hexdigest()
    assert (radiograph.spacing_xy_mm, radiograph.magnification_source) == ((0.2, 0.3), 'unknown')
    with pytest.raises(ValueError, match='read-only'):
        radiograph.pixels[0, 0] = 1
    array[0, 0] = white  # the caller's array stays the caller's
    assert radiograph.pixels[0, 0] == 0


@pytest.mark.parametrize(
    ('array', 'cause'),
    [
        (np.zeros(4), 'shape'),
        (np.zeros((0, 3)), 'shape'),
        (np.zeros((2, 2, 5)), 'shape'),
        (np.full((2, 2), np.nan), 'not finite'),
        (np.full((2, 2), np.inf, np.float32), 'not finite'),
        (np.zeros((2, 2), complex), 'type is complex128'),
        (np.array([['a', 'b']]), 'type is <U1'),
        (np.arange(12, dtype=np.uint8).reshape(2, 2, 3), 'channels differ'),
    ],
)
def test_what_is_no_grey_image_is_refused(array, cause):
    with pytest.raises(RadiographError, match=cause):
        radiograph_from_array(array)


def wedge(bits, low=0):
    """A smooth ramp between black and white borders, as a detector of so many bits stores it."""
    ramp = np.linspace(low, 2**bits - 1, 200)
    return np.rint(np.tile(ramp, (100, 1)))


@pytest.mark.parametrize('kind', [np.uint16, np.int16, np.uint32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize('bits', [10, 12, 14])
def test_values_without_a_fixed_white_are_shown_by_their_own_range(kind, bits):
    radiograph = radiograph_from_array(wedge(bits).astype(kind))
    np.testing.assert_allclose(radiograph.pixels, wedge(bits) / (2**bits - 1), atol=0.02)
    assert ranges_itself(radiograph.provenance['window'])


@pytest.mark.parametrize('offset', [-(2**40), -1024, 2**31])
def test_far_away_values_are_shown_all_the_same(offset):
    far = wedge(12).astype(np.int64) + offset
    np.testing.assert_allclose(radiograph_from_array(far).pixels, wedge(12) / 4095, atol=0.02)


@pytest.mark.parametrize('kind', [np.uint8, np.uint16])
def test_an_array_is_shown_as_the_same_picture_on_disk(kind, tmp_path):
    array = wedge(8 if kind == np.uint8 else 12, low=40).astype(kind)
    opacity = np.full_like(array, np.iinfo(kind).max)
    opacity[:20] = 0
    for number, channels in enumerate([[array], [array] * 3, [array] * 3 + [opacity]]):
        picture = cv2.merge(channels)
        path = tmp_path / f'{number}.png'
        assert cv2.imwrite(str(path), picture)
        for given in (picture, picture[..., None]) if picture.ndim == 2 else (picture,):
            shown = radiograph_from_array(given)
            np.testing.assert_array_equal(shown.pixels, read_radiograph(path).pixels)
        assert (shown.pixels[:20] == 0).all() == (len(channels) == 4)


def test_identity_is_given_to_those_who_ask(path, tmp_path):
    assert patient_identity(path) == {'PatientID': 'id-7', 'PatientName': 'Doe^Jane'}
    assert 'id-7' not in str(read_radiograph(path).provenance)
    with pytest.raises(RadiographError, match='cannot be read'):
        patient_identity(tmp_path / 'nowhere.dcm')


def test_radiographs_are_known_by_their_first_bytes(path, tmp_path):
    bare = tmp_path / 'IM0001'
    bare.write_bytes(path.read_bytes())
    (tmp_path / 'notes.png').write_text('no picture')
    found = [looks_like_radiograph(one) for one in (path, bare, tmp_path / 'notes.png', tmp_path)]
    assert found == [True, True, False, False]
