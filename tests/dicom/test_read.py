import hashlib
import math
import os
import struct
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom import Dataset, Sequence, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import JPEG2000Lossless, RLELossless

from unsct_mmpose.anatomy import index_of
from unsct_mmpose.annotations import read_annotations
from unsct_mmpose.dicom import RadiographError, read_radiograph
from unsct_mmpose.dicom.writer import write_radiograph

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
WINDOW = dict(WindowCenter=2048, WindowWidth=4096)


def _testdata(name):
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f'this pydicom does not ship {name}')
    return Path(path)


def test_pixels_are_float32_display_values_that_nobody_can_change(make_dicom):
    pixels = read_radiograph(make_dicom(RAMP, 12, **WINDOW)).pixels
    assert pixels.dtype == np.float32 and pixels.shape == (64, 64)
    np.testing.assert_allclose(pixels, RAMP / 4095, atol=1e-7)
    with pytest.raises(ValueError, match='read-only'):
        pixels[0, 0] = 1


@pytest.mark.parametrize('header', [WINDOW, {}], ids=['window', 'no window'])
def test_monochrome1_is_the_exact_inverse_of_monochrome2(make_dicom, header):
    normal = read_radiograph(make_dicom(RAMP, 12, **header)).pixels
    inverse = read_radiograph(
        make_dicom(RAMP, 12, PhotometricInterpretation='MONOCHROME1', **header)
    ).pixels
    np.testing.assert_array_equal(inverse, 1 - normal)


@pytest.mark.parametrize('shape', ['INVERSE', 'IDENTITY', None])
@pytest.mark.parametrize('photometric', ['MONOCHROME1', 'MONOCHROME2'])
def test_the_photometric_interpretation_alone_decides_on_one_inversion(
    make_dicom, shape, photometric
):
    header = dict(PhotometricInterpretation=photometric, **WINDOW)
    if shape:
        header['PresentationLUTShape'] = shape
    pixels = read_radiograph(make_dicom(RAMP, 12, **header)).pixels
    expected = RAMP / 4095 if photometric == 'MONOCHROME2' else 1 - RAMP / 4095
    np.testing.assert_allclose(pixels, expected, atol=1e-7)


def test_the_two_chest_radiographs_are_exact_inverses(shared_data):
    folder = shared_data / 'dicom'
    normal = read_radiograph(folder / 'txv_cr_chest_mono2.dcm')
    inverse = read_radiograph(folder / 'txv_cr_chest_fake_mono1.dcm')
    np.testing.assert_array_equal(inverse.pixels, 1 - normal.pixels)
    assert normal.pixels.std() > 0.1
    assert normal.spacing_xy_mm == inverse.spacing_xy_mm == (0.168, 0.168)


@pytest.mark.parametrize('name', ['966_fixed.dcm', 'highdicom_dx_image.dcm'])
def test_real_monochrome1_radiographs_show_air_dark_and_bone_bright(shared_data, name):
    pixels = read_radiograph(shared_data / 'dicom' / name).pixels
    height, width = pixels.shape
    centre = pixels[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3]
    corners = np.concatenate([pixels[:8, :8].ravel(), pixels[-8:, :8].ravel()])
    assert centre.mean() > corners.mean() + 0.15


def test_a_damaged_radiograph_is_refused_in_words(shared_data):
    path = shared_data / 'dicom' / '966.dcm'
    with pytest.raises(RadiographError) as caught:
        read_radiograph(path)
    assert str(caught.value).startswith(f'{path}: ')
    assert 'JPEG 2000' in str(caught.value) and 'damaged' in str(caught.value)
    assert 'NoneType' not in str(caught.value)


def test_dummy_spacing_of_the_infant_pelves_is_reported(shared_data):
    for path in sorted((shared_data / 'dicom' / 'radoss_ddh_pelvis' / 'dicom').iterdir()):
        radiograph = read_radiograph(path)
        assert radiograph.pixels.shape == (331, 331) and radiograph.pixels.max() > 0.5
        assert radiograph.spacing_xy_mm is None
        assert 'dummy' in radiograph.spacing_problem


def test_simulated_radiographs_of_every_encoding_are_read(shared_data):
    cases = read_annotations(shared_data / 'vsd_ap' / 'train.json')
    kinds = {
        (image['transfer_syntax'], image['photometric']): (image, case)
        for image, case in zip(cases.images, cases.cases, strict=True)
        if case.subset == 'structured'  # others may have a bright border of lead
    }
    assert len(kinds) >= 5
    for image, case in kinds.values():
        radiograph = read_radiograph(shared_data / 'vsd_ap' / 'images' / image['file_name'])
        assert radiograph.size_wh == (image['width'], image['height'])
        expected = [mm / image['magnification'] for mm in image['pixel_spacing']]
        assert radiograph.bone_spacing_xy_mm == pytest.approx(expected, rel=1e-3)
        assert radiograph.laterality == 'B'
        assert radiograph.provenance['photometric'] == image['photometric']
        air = np.median(radiograph.pixels[:, [0, -1]])
        x, y = np.rint(case.states.points[index_of('left_femoral_head_center')]).astype(int)
        assert radiograph.pixels[y, x] > air + 0.15


def test_columns_are_x_and_rows_are_y(shared_data):
    radiograph = read_radiograph(shared_data / 'dicom' / 'highdicom_dx_image.dcm')
    assert radiograph.size_wh == (211, 169)
    assert radiograph.spacing_xy_mm == pytest.approx((1.2012, 1.2))
    assert radiograph.laterality == 'L'


def test_padding_is_black_and_takes_no_contrast(make_dicom):
    stored = RAMP.astype(np.int16) // 8 + 1000
    stored[:2] = -2000  # 3 % of the pixels: no plateau
    for photometric in ('MONOCHROME1', 'MONOCHROME2'):
        path = make_dicom(stored, PixelPaddingValue=-2000, PhotometricInterpretation=photometric)
        pixels = read_radiograph(path).pixels
        assert (pixels[:2] == 0).all()
        assert pixels[2:].min() == 0 and pixels[2:].max() == 1 and pixels[2:].std() > 0.25


def test_a_range_of_padding_is_padding(make_dicom):
    stored = RAMP.copy()
    path = make_dicom(stored, 12, PixelPaddingValue=0, PixelPaddingRangeLimit=99, **WINDOW)
    pixels = read_radiograph(path).pixels
    assert (pixels[stored <= 99] == 0).all()
    np.testing.assert_allclose(pixels[stored > 99], stored[stored > 99] / 4095, atol=1e-7)


def test_an_image_that_is_all_padding_is_no_padding(make_dicom):
    path = make_dicom(np.full((4, 4), 4095, dtype=np.uint16), 12, PixelPaddingValue=4095)
    assert read_radiograph(path).pixels.shape == (4, 4)


def test_the_modality_comes_before_the_window(make_dicom):
    header = dict(RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=500.5, WindowWidth=1001)
    pixels = read_radiograph(make_dicom(RAMP, 12, **header)).pixels
    np.testing.assert_allclose(pixels, np.clip((2 * RAMP - 1000.0) / 1000, 0, 1), atol=1e-6)


def test_what_the_caller_says_wins(make_dicom):
    header = dict(PixelSpacing=[0.2, 0.2], EstimatedRadiographicMagnificationFactor=1.1, **WINDOW)
    path = make_dicom(RAMP, 12, **header)
    radiograph = read_radiograph(
        path, spacing_xy_mm=(0.1, 0.3), magnification=1.2, window=(100.5, 101)
    )
    assert radiograph.spacing_xy_mm == (0.1, 0.3) and radiograph.spacing_source == 'caller'
    assert radiograph.magnification == 1.2 and radiograph.magnification_source == 'caller'
    np.testing.assert_allclose(radiograph.pixels, np.clip((RAMP - 50.0) / 100, 0, 1), atol=1e-7)


@pytest.mark.parametrize(
    'arguments',
    [
        dict(spacing_xy_mm=(0, 1)),
        dict(magnification=-1),
        dict(window=(1, 0)),
        dict(window=(math.nan, 5)),
    ],
)
def test_impossible_arguments_are_refused(make_dicom, arguments):
    with pytest.raises(ValueError, match='must be') as caught:
        read_radiograph(make_dicom(RAMP), **arguments)
    assert not isinstance(caught.value, RadiographError)


def test_a_malformed_table_is_refused(make_dicom):
    table = Dataset()
    table.LUTDescriptor = [4, 0, 16]
    table.LUTData = [1, 2, 3, 4]
    table['LUTData'].VR = 'US'
    path = make_dicom(RAMP, 12, VOILUTSequence=Sequence([table]))
    content = path.read_bytes()
    assert content.count(b'\x02\x30US\x06\x00') == 1
    path.write_bytes(content.replace(b'\x02\x30US\x06\x00', b'\x02\x30UL\x06\x00'))
    with pytest.raises(RadiographError, match='LUTDescriptor'):
        read_radiograph(path)


def test_a_frame_is_chosen_by_number():
    path = _testdata('SC_rgb_rle_2frame.dcm')
    with pytest.raises(RadiographError, match='frame=0'):
        read_radiograph(path)
    assert read_radiograph(path, frame=1).pixels.shape == (100, 100)


def test_missing_files_and_folders_are_told_apart(tmp_path):
    with pytest.raises(RadiographError, match='no such file'):
        read_radiograph(tmp_path / 'nothing.dcm')
    with pytest.raises(RadiographError, match='folder'):
        read_radiograph(tmp_path)
    empty = tmp_path / 'empty.dcm'
    empty.touch()
    with pytest.raises(RadiographError, match='empty'):
        read_radiograph(empty)
    empty.write_text('not an image')
    with pytest.raises(RadiographError, match='neither'):
        read_radiograph(empty)


@pytest.mark.parametrize('syntax', [None, RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize('share', [0.0005, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_refused(tmp_path, syntax, share):
    whole = tmp_path / 'whole.dcm'
    write_radiograph(
        whole,
        np.random.default_rng(0).integers(0, 4096, (64, 64), dtype=np.uint16),
        spacing_xy_mm=(0.1, 0.1),
        magnification=1.2,
        source_detector_mm=1100,
        patient_id='p',
        uid_seed='s',
    )
    if syntax is not None:
        dataset = dcmread(whole)
        dataset.compress(syntax)
        dataset.save_as(whole)
    content = whole.read_bytes()
    half = tmp_path / 'half.dcm'
    half.write_bytes(content[: max(1, int(len(content) * share))])
    with pytest.raises(RadiographError) as caught:
        read_radiograph(half)
    assert caught.value.path == os.fspath(half)


def test_nothing_personal_leaves_the_file(make_dicom, tmp_path):
    secret = 'MUELLERSOHN'
    header = dict(
        PatientName=f'{secret}^ANNA',
        PatientID=secret,
        InstitutionName=secret,
        ImageComments=secret,
        StudyDescription=secret,
    )
    path = make_dicom(RAMP, 12, **header, **WINDOW)
    assert secret not in repr(read_radiograph(path))
    dataset = dcmread(path)
    dataset.PixelSpacing = [0.111, 0.111]
    damaged = tmp_path / 'damaged.dcm'
    dataset.save_as(damaged)
    content = damaged.read_bytes()
    spacing, name = b'0.111\\0.111 ', secret.encode() + b' '
    assert content.count(spacing) == 1 and len(spacing) == len(name)
    damaged.write_bytes(content.replace(spacing, name))
    radiograph = read_radiograph(damaged)
    assert radiograph.spacing_xy_mm is None and secret not in repr(radiograph)
    frames = make_dicom(RAMP, 12, NumberOfFrames='1', **header)
    content = frames.read_bytes()
    assert content.count(b'IS\x02\x001 ') == 1
    frames.write_bytes(content.replace(b'IS\x02\x001 ', b'IS\x02\x00M '))
    with pytest.raises(RadiographError) as caught:
        read_radiograph(frames)
    assert "'M'" not in str(caught.value) and caught.value.__cause__ is None


def test_warnings_of_the_parser_are_counted_and_not_printed(make_dicom, capfd):
    path = make_dicom(RAMP, 12)
    kind = b'1.2.840.10008.5.1.4.1.1.7\0'
    content = path.read_bytes()
    path.write_bytes(content.replace(kind, kind.replace(b'7', b'x')))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        radiograph = read_radiograph(path)
    assert radiograph.provenance['warnings'] >= 1
    assert capfd.readouterr() == ('', '')


def test_what_is_odd_about_the_data_is_noted():
    radiograph = read_radiograph(_testdata('MR_small_padded.dcm'))
    assert '128 bytes of padding' in radiograph.provenance['notes']


def test_provenance_names_the_file_by_its_content(make_dicom):
    path = make_dicom(RAMP, 12, Modality='DX', ViewPosition='AP', **WINDOW)
    provenance = read_radiograph(path).provenance
    assert provenance['sha256'] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert provenance['transfer_syntax'] == 'Explicit VR Little Endian'
    assert (provenance['photometric'], provenance['bits_stored']) == ('MONOCHROME2', 12)
    assert (provenance['Modality'], provenance['ViewPosition']) == ('DX', 'AP')
    assert 'centre 2048, width 4096' in provenance['window']


@pytest.mark.parametrize('extension', ['.png', '.tif'])
def test_an_8_bit_picture_is_taken_as_it_is(tmp_path, extension):
    grey = np.arange(50, 178, dtype=np.uint8).reshape(8, 16)
    path = tmp_path / f'picture{extension}'
    cv2.imwrite(str(path), grey)
    radiograph = read_radiograph(path, spacing_xy_mm=(0.1, 0.2), magnification=1.15)
    np.testing.assert_allclose(radiograph.pixels, grey / 255, atol=1e-7)
    assert radiograph.spacing_xy_mm == (0.1, 0.2) and radiograph.magnification == 1.15
    windowed = read_radiograph(path, window=(100.5, 101))
    np.testing.assert_allclose(windowed.pixels, np.clip((grey - 50.0) / 100, 0, 1), atol=1e-7)


def test_a_picture_without_a_given_spacing_has_none(tmp_path):
    path = tmp_path / 'picture.png'
    cv2.imwrite(str(path), np.eye(9, dtype=np.uint8))
    radiograph = read_radiograph(path)
    assert radiograph.spacing_xy_mm is None and 'picture' in radiograph.spacing_problem


def test_a_16_bit_picture_is_windowed_and_its_transparent_part_black(tmp_path):
    grey = np.arange(1000, 2024, dtype=np.uint16).reshape(32, 32)
    grey[:8] = 60000
    alpha = np.full_like(grey, 65535)
    alpha[:8] = 0
    path = tmp_path / 'picture.png'
    cv2.imwrite(str(path), cv2.merge([grey, grey, grey, alpha]))
    pixels = read_radiograph(path).pixels
    assert (pixels[:8] == 0).all()
    assert pixels[8].max() < 0.1 and pixels[-1].min() > 0.9


def test_a_16_bit_tiff_whose_lowest_value_is_white_is_inverted(tmp_path):
    path = tmp_path / 'picture.tif'
    cv2.imwrite(str(path), RAMP, [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    normal = read_radiograph(path)
    black, white = (struct.pack('<HHIHH', 262, 3, 1, value, 0) for value in (1, 0))
    content = path.read_bytes()
    assert content.count(black) == 1
    path.write_bytes(content.replace(black, white))
    inverse = read_radiograph(path)
    np.testing.assert_array_equal(inverse.pixels, 1 - normal.pixels)
    assert inverse.provenance['photometric'] == 'MONOCHROME1'


def test_a_dicom_file_with_the_preamble_of_a_tiff_is_a_dicom_file(make_dicom):
    path = make_dicom(RAMP, 12, **WINDOW)
    content = bytearray(path.read_bytes())
    content[:4] = b'II*\0'
    path.write_bytes(content)
    assert read_radiograph(path).provenance['format'] == 'DICOM'
