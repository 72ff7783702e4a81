"""Which way a radiograph lies: turned to the standard display, refused, or doubted."""

import itertools

import cv2
import numpy as np
import pytest
from pydicom import Dataset

from unsct_mmpose.dicom import (
    RadiographError,
    radiograph_from_array,
    radiograph_from_bytes,
    radiograph_from_dataset,
)
from unsct_mmpose.dicom.decode import DecodeError, parse_dicom
from unsct_mmpose.dicom.placement import Placement, Turn, read_orientation
from unsct_mmpose.research.torture import dicom_cases as cases

STANDARD = np.random.default_rng(0).integers(0, 4096, (20, 30)).astype(np.uint16)
WINDOW = dict(WindowCenter=2048, WindowWidth=4096)
TURNS = [Turn(*flags) for flags in itertools.product([False, True], repeat=3)]
# rows run to the right of the display when their direction is the patient's left
DIRECTIONS = [pair for pair in itertools.product('LRHF', repeat=2)
              if (pair[0] in 'LR') != (pair[1] in 'LR')]  # fmt: skip


def lay(directions):
    """Return the standard image as a file would store it with these PatientOrientation values."""
    right, down = directions
    image = STANDARD
    transposed = right in 'HF'
    across, along = (down, right) if transposed else (right, down)
    image = image[:, ::-1] if across == 'R' else image
    image = image[::-1] if along == 'H' else image
    return np.ascontiguousarray(image.T if transposed else image)


def read(stored, **header):
    mirrored = header.pop('mirrored', None)
    content = cases.make(stored, bits=12, **WINDOW, **header)
    return radiograph_from_bytes(content, 'x.dcm', mirrored=mirrored)


EXPECTED = read(STANDARD).pixels


@pytest.mark.parametrize('directions', DIRECTIONS, ids='-'.join)
def test_every_patient_orientation_comes_to_the_standard_display(directions):
    stored = lay(directions)
    found = read(stored, PatientOrientation=list(directions), PixelSpacing=[0.3, 0.2])
    np.testing.assert_array_equal(found.pixels, EXPECTED)
    assert (found.placement is None) == (directions == ('L', 'F'))
    assert '\\'.join(directions) in found.provenance['orientation']
    swapped = directions[0] in 'HF'
    assert found.spacing_xy_mm == ((0.3, 0.2) if swapped else (0.2, 0.3))
    if found.placement is not None:
        points = np.array([[0, 0], [29, 0], [0, 19], [7, 3]])
        x, y = np.rint(found.placement.to_stored(points)).astype(int).T
        np.testing.assert_array_equal(stored[y, x], STANDARD[points[:, 1], points[:, 0]])


@pytest.mark.parametrize('turn', TURNS, ids=lambda turn: turn.words())
def test_points_go_to_the_file_and_back(turn):
    turned = turn.apply(STANDARD)
    placement = Placement(turn, turned.shape[::-1])
    assert placement.stored_size_wh == (30, 20)
    points = np.random.default_rng(1).uniform(-0.5, 19.5, (5, 2))
    np.testing.assert_allclose(placement.from_stored(placement.to_stored(points)), points)
    x, y = np.rint(placement.from_stored(np.array([[4.0, 9.0]]))).astype(int)[0]
    assert turned[y, x] == STANDARD[9, 4]


@pytest.mark.parametrize('value', [['LF', 'FR'], ['L', 'FP'], ['l', 'f'], ['LA', 'FP']])
def test_oblique_directions_count_by_their_first_letter(value):
    dataset = Dataset()
    dataset.PatientOrientation = value
    assert not read_orientation(dataset).turn


@pytest.mark.parametrize('value', [['', ''], '', None])
def test_an_empty_orientation_says_nothing(value):
    found = read(STANDARD, PatientOrientation=value)
    assert found.placement is None and 'does not say' in found.provenance['orientation']
    assert 'sides' not in found.provenance


@pytest.mark.parametrize('value', [['L', 'R'], ['X', 'F'], ['L'], ['L', 'F', 'P'], ['H', 'F']])
def test_an_orientation_that_is_none_is_refused_with_the_cure(value):
    with pytest.raises(RadiographError, match=r'PatientOrientation.*--mirrored, --no-mirrored'):
        read(STANDARD, PatientOrientation=value)
    assert read(STANDARD, PatientOrientation=value, mirrored=False).placement is None


@pytest.mark.parametrize('value', [['A', 'F'], ['P', 'F'], ['L', 'P'], ['AL', 'FR']])
def test_another_view_leaves_the_sides_in_doubt(value):
    assert 'cannot be told' in read(STANDARD, PatientOrientation=value).provenance['sides']


@pytest.mark.parametrize(
    'header',
    [dict(FieldOfViewHorizontalFlip='YES'), dict(FieldOfViewRotation=90),
     dict(FieldOfViewRotation=180), dict(FieldOfViewHorizontalFlip='YES', FieldOfViewRotation=270)],
)  # fmt: skip
def test_a_detector_image_that_was_turned_needs_to_say_how_the_patient_lies(header):
    with pytest.raises(RadiographError, match=r'FieldOfView.*--mirrored'):
        read(STANDARD, **header)
    # PatientOrientation is that of the stored pixels, after flip and rotation
    np.testing.assert_array_equal(
        read(STANDARD, PatientOrientation=['L', 'F'], **header).pixels, EXPECTED
    )
    mirrored = read(lay('RF'), PatientOrientation=['R', 'F'], **header)
    np.testing.assert_array_equal(mirrored.pixels, EXPECTED)


@pytest.mark.parametrize(
    'header', [dict(FieldOfViewHorizontalFlip='NO'), dict(FieldOfViewRotation=0),
               dict(FieldOfViewRotation=360)]
)  # fmt: skip
def test_a_detector_image_that_was_not_turned_is_taken(header):
    assert read(STANDARD, **header).placement is None


def test_the_view_from_behind_is_doubted_where_nothing_says_how_it_lies():
    assert 'PA' in read(STANDARD, ViewPosition='PA').provenance['sides']
    assert 'sides' not in read(STANDARD, ViewPosition='AP').provenance
    said = read(STANDARD, ViewPosition='PA', PatientOrientation=['L', 'F'])
    assert 'sides' not in said.provenance


@pytest.mark.parametrize('header', [{}, dict(PatientOrientation=['L', 'F']),
                                    dict(FieldOfViewHorizontalFlip='YES'),
                                    dict(ViewPosition='PA')])  # fmt: skip
def test_the_callers_word_takes_the_place_of_the_headers(header):
    found = read(lay('RF'), mirrored=True, **header)
    np.testing.assert_array_equal(found.pixels, EXPECTED)
    assert found.provenance['orientation'] == 'mirrored left to right (caller)'
    assert 'sides' not in found.provenance
    same = read(STANDARD, mirrored=False, **header)
    assert same.provenance['orientation'] == 'as stored (caller)'
    np.testing.assert_array_equal(same.pixels, EXPECTED)


def test_arrays_datasets_and_pictures_may_be_mirrored_too():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    found = radiograph_from_array(pixels, mirrored=True)
    np.testing.assert_array_equal(found.pixels, pixels[:, ::-1].astype(np.float32) / 255)
    content = cases.make(lay('RF'), bits=12, PatientOrientation=['R', 'F'], **WINDOW)
    dataset = parse_dicom(content)
    np.testing.assert_array_equal(radiograph_from_dataset(dataset).pixels, EXPECTED)
    picture = cv2.imencode('.png', pixels)[1].tobytes()
    found = radiograph_from_bytes(picture, mirrored=True)
    np.testing.assert_array_equal(found.pixels, pixels[:, ::-1].astype(np.float32) / 255)
    assert found.placement.turn == Turn(flip_x=True)


# EXIF and TIFF: Pillow writes them, and is the oracle of what they ask for


def picture(orientation, form, mode='L'):
    from io import BytesIO

    from PIL import Image

    grey = np.arange(40 * 64).reshape(40, 64) * 25
    image = Image.fromarray(grey.astype(np.uint16) if mode == '16' else (grey // 256).astype('u1'))
    image = image.convert('RGB') if mode == 'RGB' else image
    buffer = BytesIO()
    if form == 'TIFF':
        image.save(buffer, form, tiffinfo={274: orientation})
    else:
        exif = Image.Exif()
        exif[274] = orientation
        image.save(buffer, form, exif=exif, **({'quality': 100} if form == 'JPEG' else {}))
    return buffer.getvalue()


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize(
    'form, mode',
    [('PNG', 'L'), ('PNG', '16'), ('JPEG', 'L'), ('TIFF', 'L'), ('TIFF', '16'), ('TIFF', 'RGB')],
)
def test_pictures_are_laid_as_their_orientation_asks(orientation, form, mode):
    from io import BytesIO

    from PIL import Image, ImageOps

    content = picture(orientation, form, mode)
    found = radiograph_from_bytes(content)
    if mode == '16':  # Pillow does not transpose 16 bits
        eight = picture(orientation, 'PNG', 'L')
        expected = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(eight))), float)
        assert found.pixels.shape == expected.shape
        inner = np.corrcoef(found.pixels.ravel(), expected.ravel())[0, 1]
        assert inner > 0.98
    else:
        expected = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(content))).convert('L'))
        np.testing.assert_allclose(found.pixels * 255, expected, atol=2.5)
    assert found.placement is None  # annotations of pictures see them laid
    assert ('laid' in found.provenance) == (orientation != 1)


def test_a_tiff_whose_pages_run_in_a_circle_is_refused():
    content = bytearray(picture(1, 'TIFF'))
    start = int.from_bytes(content[4:8], 'little')
    entries = int.from_bytes(content[start : start + 2], 'little')
    after = start + 2 + 12 * entries
    content[after : after + 4] = start.to_bytes(4, 'little')
    with pytest.raises(RadiographError, match='circle'):
        radiograph_from_bytes(bytes(content))


@pytest.mark.parametrize('form', ['PNG', 'JPEG', 'TIFF'])
def test_a_picture_that_promises_too_much_is_refused_unread(monkeypatch, form):
    monkeypatch.setenv('UNSCT_MAX_PIXELS', '2000')
    with pytest.raises(RadiographError, match=r'64 x 40 pixels.*UNSCT_MAX_PIXELS'):
        radiograph_from_bytes(picture(1, form))


# Bone bright


@pytest.mark.parametrize('photometric', ['MONOCHROME1', 'MONOCHROME2'])
@pytest.mark.parametrize('sign', [1, -1])
def test_an_image_for_processing_shows_bone_bright(photometric, sign):
    # what is behind bone gets less intensity: a low value with sign 1, a high one with -1
    attenuation = STANDARD
    stored = 4095 - attenuation if sign == 1 else attenuation
    found = read(
        stored,
        PresentationIntentType='FOR PROCESSING',
        PixelIntensityRelationshipSign=sign,
        PhotometricInterpretation=photometric,
    )
    np.testing.assert_allclose(found.pixels, attenuation / 4095, atol=1e-6)
    was_dark = (sign == 1) == (photometric == 'MONOCHROME2')
    assert ('inverted' in found.provenance['processing']) == was_dark


@pytest.mark.parametrize('sign', [None, 0])
def test_an_image_for_processing_that_does_not_say_so_is_refused(sign):
    header = {} if sign is None else dict(PixelIntensityRelationshipSign=sign)
    with pytest.raises(RadiographError, match=r'FOR PRESENTATION.*PixelIntensityRelationshipSign'):
        read(STANDARD, PresentationIntentType='FOR PROCESSING', **header)


def test_an_image_for_presentation_is_not_touched():
    found = read(
        STANDARD, PresentationIntentType='FOR PRESENTATION', PixelIntensityRelationshipSign=1
    )
    np.testing.assert_array_equal(found.pixels, EXPECTED)


def test_the_reader_of_orientations_raises_its_own_error():
    dataset = Dataset()
    dataset.FieldOfViewHorizontalFlip = 'YES'
    with pytest.raises(DecodeError):
        read_orientation(dataset)
