import hashlib
import json

import cv2
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.uid import JPEG2000Lossless

from unsct_mmpose.dicom import decode
from unsct_mmpose.dicom.decode import DecodeError, decode_frame, parse_dicom, transfer_syntax_name


def _testdata(name):
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f'this pydicom does not ship {name}')
    with open(path, 'rb') as file:
        return file.read()


def test_every_decoded_fact_of_the_manifest_holds(shared_data):
    manifest = json.loads((shared_data / 'dicom' / 'manifest.json').read_text())
    checked = 0
    for name, facts in manifest.items():
        dataset = parse_dicom((shared_data / 'dicom' / name).read_bytes())
        if 'decoded' not in facts:
            with pytest.raises(DecodeError, match=r'JPEG 2000.*damaged'):
                decode_frame(dataset)
            continue
        stored, white, _ = decode_frame(dataset)
        decoded = facts['decoded']
        assert white is None
        assert list(stored.shape) == decoded['shape'] and str(stored.dtype) == decoded['dtype']
        # Decoders of lossy JPEG may round differently.
        lossless = facts['transfer_syntax'] != '1.2.840.10008.1.2.4.50'
        tolerance = 0 if lossless else 1.5
        assert abs(stored.min() - decoded['min']) <= tolerance
        assert abs(stored.max() - decoded['max']) <= tolerance
        assert stored.mean() == pytest.approx(decoded['mean'], abs=5e-5 + tolerance)
        if lossless:
            digest = hashlib.sha256(np.ascontiguousarray(stored).tobytes()).hexdigest()
            assert digest.startswith(decoded['sha256'])
        checked += 1
    assert checked == 5


@pytest.mark.parametrize(
    'name',
    [
        'MR_small_RLE.dcm',
        'MR_small_bigendian.dcm',
        'MR_small_implicit.dcm',
        'MR_small_jp2klossless.dcm',
        'MR_small_jpeg_ls_lossless.dcm',
        'MR_small_padded.dcm',
    ],
)
@pytest.mark.filterwarnings('ignore:The pixel data is')
def test_one_image_in_every_lossless_syntax_is_one_image(name):
    expected, *_ = decode_frame(parse_dicom(_testdata('MR_small.dcm')))
    dataset = parse_dicom(_testdata(name))
    np.testing.assert_array_equal(decode_frame(dataset)[0], expected)


@pytest.mark.parametrize(
    'name, syntax',
    [
        ('image_dfl.dcm', 'Deflated'),
        ('JPGExtended.dcm', 'JPEG Extended'),
        ('SC_rgb_jpeg_gdcm.dcm', 'JPEG Lossless'),
        ('SC_rgb_jpeg_dcmtk.dcm', 'JPEG Baseline'),
        ('JPEGLSNearLossless_16.dcm', 'JPEG-LS'),
        ('693_J2KI.dcm', 'JPEG 2000'),
        ('SC_rgb_rle_16bit.dcm', 'RLE'),
    ],
)
def test_other_syntaxes_are_decoded(name, syntax):
    dataset = parse_dicom(_testdata(name))
    assert transfer_syntax_name(dataset).startswith(syntax)
    stored, *_ = decode_frame(dataset)
    assert stored.shape == (dataset.Rows, dataset.Columns) and stored.max() > stored.min()


@pytest.mark.parametrize(
    'name',
    ['SC_rgb_dcmtk_+eb+cy+np.dcm', 'SC_rgb_jpeg_dcmtk.dcm', 'SC_ybr_full_422_uncompressed.dcm'],
)
def test_luma_of_ybr_is_luma_of_rgb(name):
    expected, white, _ = decode_frame(parse_dicom(_testdata('SC_rgb_rle.dcm')))
    grey, *_ = decode_frame(parse_dicom(_testdata(name)))
    assert white == 255
    assert np.median(np.abs(grey - expected)) < 2


def test_equal_channels_keep_their_value(make_dicom):
    grey = np.arange(240, dtype=np.uint8).reshape(12, 20)
    path = make_dicom(
        grey,
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation='RGB',
        PixelData=np.repeat(grey[..., None], 3, axis=2).tobytes(),
    )
    decoded, white, _ = decode_frame(parse_dicom(path.read_bytes()))
    np.testing.assert_array_equal(decoded, grey)
    assert white == 255


def test_colour_becomes_luma(make_dicom):
    colour = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    path = make_dicom(
        colour[..., 0],
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation='RGB',
        PixelData=colour.tobytes(),
    )
    decoded, *_ = decode_frame(parse_dicom(path.read_bytes()))
    expected = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY).astype(float)
    np.testing.assert_allclose(decoded, expected, atol=0.51)


def test_a_palette_is_applied():
    dataset = parse_dicom(_testdata('examples_palette.dcm'))
    grey, white, _ = decode_frame(dataset)
    assert white == 65535 and grey.shape == (350, 800) and len(np.unique(grey)) > 50


def test_several_frames_need_a_choice():
    content = _testdata('SC_rgb_rle_2frame.dcm')
    with pytest.raises(DecodeError, match=r'2 frames.*frame=0 \.\. 1'):
        decode_frame(parse_dicom(content))
    first, *_ = decode_frame(parse_dicom(content), frame=0)
    second, *_ = decode_frame(parse_dicom(content), frame=1)
    assert first.shape == second.shape == (100, 100) and not np.array_equal(first, second)
    with pytest.raises(DecodeError, match='no frame 2'):
        decode_frame(parse_dicom(content), frame=2)


def test_one_frame_may_be_chosen_too():
    dataset = parse_dicom(_testdata('MR_small.dcm'))
    np.testing.assert_array_equal(decode_frame(dataset, frame=0)[0], decode_frame(dataset)[0])


def test_a_file_without_meta_information_is_read(make_dicom):
    stored = np.arange(12, dtype=np.uint16).reshape(3, 4)
    content = make_dicom(stored).read_bytes()
    start = content.index(b'\x08\x00\x16\x00UI')
    np.testing.assert_array_equal(decode_frame(parse_dicom(content[start:]))[0], stored)


@pytest.mark.parametrize('keyword', ['Rows', 'Columns'])
@pytest.mark.parametrize('value', [0, None])
def test_an_image_without_size_is_refused(make_dicom, keyword, value):
    path = make_dicom(np.ones((3, 4), dtype=np.uint16), **{keyword: value})
    with pytest.raises(DecodeError, match=rf'{keyword} \(0028,001[01]\) is (0|missing)'):
        decode_frame(parse_dicom(path.read_bytes()))


def test_an_image_without_pixels_is_told_from_another_kind_of_file(make_dicom):
    path = make_dicom(np.ones((3, 4), dtype=np.uint16), PixelData=None)
    with pytest.raises(DecodeError, match='cut off'):
        decode_frame(parse_dicom(path.read_bytes()))
    with pytest.raises(DecodeError, match='no pixel data: it is a Basic Text SR'):
        decode_frame(parse_dicom(_testdata('reportsi.dcm')))


def test_an_unknown_photometric_interpretation_is_refused(make_dicom):
    path = make_dicom(np.ones((3, 4), dtype=np.uint16), PhotometricInterpretation='HSV')
    with pytest.raises(DecodeError):
        decode_frame(parse_dicom(path.read_bytes()))


@pytest.mark.parametrize('available', [('gdcm', 'pylibjpeg'), ('pylibjpeg', 'gdcm', 'pillow')])
def test_gdcm_is_not_asked_where_pylibjpeg_can_be(monkeypatch, available):
    # GDCM ends the process on some damaged streams.
    class Decoder:
        available_plugins = available
        is_available = True

    monkeypatch.setattr(decode, 'get_decoder', lambda uid: Decoder)
    assert decode._choose_plugin(JPEG2000Lossless, 'JPEG 2000') == 'pylibjpeg'
    Decoder.available_plugins = ('gdcm',)
    assert decode._choose_plugin(JPEG2000Lossless, 'JPEG 2000') == ''


def test_an_unsupported_transfer_syntax_is_named():
    dataset = parse_dicom(_testdata('MR_small.dcm'))
    dataset.file_meta.TransferSyntaxUID = '1.2.840.10008.1.2.4.100'
    with pytest.raises(DecodeError, match='MPEG2'):
        decode_frame(dataset)


def test_an_overlay_in_the_spare_bits_is_not_part_of_the_image(make_dicom):
    stored = np.arange(12, dtype=np.uint16).reshape(3, 4)
    marked = stored | (1 << 12)
    overlay = Dataset()
    overlay.add_new(0x60000102, 'US', 12)
    path = make_dicom(marked, bits=12)
    dataset = parse_dicom(path.read_bytes())
    dataset.update(overlay)
    np.testing.assert_array_equal(decode_frame(dataset)[0], stored)


@pytest.mark.parametrize('content', [b'hello', b'\x08\x00', b'\x00' * 200, b'PK\x03\x04'])
def test_what_is_no_dicom_file_is_refused(content):
    with pytest.raises(DecodeError):
        decode_frame(parse_dicom(content))
