"""Headers that are damaged or absurd: one kind of error, in words, and never NaN on a display."""

import struct

import numpy as np
import pytest
from pydicom import Dataset, Sequence
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from unsct_mmpose.dicom import (
    NoRadiographError,
    Radiograph,
    RadiographError,
    radiograph_from_bytes,
    radiograph_from_dataset,
)
from unsct_mmpose.dicom.display import DisplayError
from unsct_mmpose.research.torture import dicom_cases as cases

RAMP = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
WINDOW = dict(WindowCenter=2048, WindowWidth=4096)


def read(content):
    return radiograph_from_bytes(content, 'x.dcm')


def refused(content, words):
    with pytest.raises(RadiographError, match=words) as caught:
        read(content)
    assert str(caught.value).isprintable()


def raw_element(tag, vr, value):
    """An element as bytes in explicit little endian, whatever sense it makes."""
    head = struct.pack('<HH2s', tag >> 16, tag & 0xFFFF, vr)
    if vr in (b'OB', b'OW', b'SQ', b'UN', b'UT', b'UC', b'UR', b'OF', b'OD', b'OL', b'OV'):
        return head + struct.pack('<HI', 0, len(value)) + value
    return head + struct.pack('<H', len(value)) + value


def with_raw(content, tag, vr, value):
    """Replace one element of a file of 16-bit pixels by bytes of our own."""
    dataset = radiograph_parts(content)
    parts = [(t, b) for t, b in dataset if t != tag]
    parts.append((tag, raw_element(tag, vr, value)))
    start = 144 + struct.unpack_from('<I', content, 140)[0]
    return content[:start] + b''.join(body for _, body in sorted(parts))


def radiograph_parts(content):
    """Split the data set of an uncompressed explicit file into its elements."""
    position = 144 + struct.unpack_from('<I', content, 140)[0]
    while position < len(content):
        group, element, vr = struct.unpack_from('<HH2s', content, position)
        if vr in (b'OB', b'OW', b'SQ', b'UN'):
            (length,) = struct.unpack_from('<I', content, position + 8)
            end = position + 12 + length
        else:
            (length,) = struct.unpack_from('<H', content, position + 6)
            end = position + 8 + length
        yield group << 16 | element, content[position:end]
        position = end


# Never NaN, never outside [0, 1]


@pytest.mark.parametrize(
    'pixels',
    [
        np.full((2, 2), np.nan, np.float32),
        np.array([[0, np.inf]], np.float32),
        np.array([[0, 1.001]], np.float32),
        np.array([[-0.001, 1]], np.float32),
        np.zeros((0, 2), np.float32),
        np.zeros(4, np.float32),
        np.zeros((2, 2)),
    ],
)
def test_nothing_that_is_no_display_becomes_a_radiograph(pixels):
    with pytest.raises(DisplayError):
        Radiograph(pixels, None, 'none', None, 1.0, 'unknown')


def table(descriptor, data, vr='US'):
    item = Dataset()
    if descriptor is not None:
        item.LUTDescriptor = descriptor
        item['LUTDescriptor'].VR = 'US'
    if data is not None:
        item.LUTData = data
        item['LUTData'].VR = vr
    return Sequence([item])


TABLES = ['ModalityLUTSequence', 'VOILUTSequence']


@pytest.mark.parametrize('keyword', TABLES)
@pytest.mark.parametrize(
    'descriptor, data, words',
    [
        ([4096, 0, 12], None, 'LUTData'),
        ([4096, 0, 12], [], 'LUTData'),
        (None, [0, 1, 2], 'LUTDescriptor'),
        ([4096, 0], [0, 1, 2], 'LUTDescriptor'),
        ([4096, 0, 0], [0, 1, 2], 'bits'),
        ([4096, 0, 99], [0, 1, 2], 'bits'),
    ],
)
def test_half_a_table_is_refused(keyword, descriptor, data, words):
    refused(cases.make(RAMP, bits=12, **{keyword: table(descriptor, data)}), words)


@pytest.mark.parametrize('keyword', TABLES)
@pytest.mark.parametrize('descriptor, data', [(None, None), ([], []), (None, [])])
def test_an_item_without_descriptor_and_data_is_no_table(keyword, descriptor, data):
    plain = read(cases.make(RAMP, bits=12, **WINDOW))
    found = read(cases.make(RAMP, bits=12, **WINDOW, **{keyword: table(descriptor, data)}))
    np.testing.assert_array_equal(found.pixels, plain.pixels)


@pytest.mark.parametrize('keyword', TABLES)
def test_a_table_of_one_entry_is_finite(keyword):
    shown = read(cases.make(RAMP, bits=12, **{keyword: table([1, 0, 8], [7])})).pixels
    assert np.isfinite(shown).all()


@pytest.mark.parametrize('slope', ['1e305', '-1e305', '1e37', '9.9e307'])
def test_an_absurd_slope_is_refused(slope):
    refused(cases.make(RAMP, bits=12, RescaleSlope=slope, RescaleIntercept='0'), 'RescaleSlope')


@pytest.mark.parametrize(
    'tag, name', [(0x00281053, 'RescaleSlope'), (0x00281052, 'RescaleIntercept')]
)
@pytest.mark.parametrize('value', [b'abc ', b'1,5 ', b'nan ', b'1e999 ', b'\x1b[31m '])
def test_an_unreadable_slope_or_intercept_is_not_replaced(tag, name, value):
    content = with_raw(cases.make(RAMP, bits=12, **WINDOW), tag, b'DS', value)
    refused(content, name)
    if value == b'1,5 ':
        refused(content, r'a comma is no decimal point, write 1\.5')


def test_a_slope_of_zero_is_said_and_an_empty_one_is_missing():
    content = cases.make(RAMP, bits=12, RescaleSlope='0', RescaleIntercept='7')
    refused(content, r'RescaleSlope \(0028,1053\) is 0')
    empty = with_raw(cases.make(RAMP, bits=12, **WINDOW), 0x00281053, b'DS', b'')
    np.testing.assert_allclose(read(empty).pixels, RAMP / 4095, atol=1e-7)


# Padding


@pytest.mark.parametrize('photometric', ['MONOCHROME1', 'MONOCHROME2'])
@pytest.mark.parametrize(
    'dtype, bits, padding, written',
    [
        (np.int16, 16, -2000, ('US', 63536)),
        (np.int16, 16, -2000, ('SS', -2000)),
        (np.int16, 12, -2000, ('US', 63536)),
        (np.int16, 12, -2000, ('US', 2096)),
        (np.uint16, 16, 65535, ('SS', -1)),
        (np.uint16, 16, 40000, ('SS', 40000 - 65536)),
        (np.uint16, 12, 4095, ('SS', -1)),
        (np.uint8, 8, 255, ('SS', -1)),
    ],
)
def test_padding_of_either_sign_is_black(photometric, dtype, bits, padding, written):
    stored = (RAMP // 32 + 60).astype(dtype)
    stored[:3] = padding
    vr, value = written
    form = '<H' if vr == 'US' else '<h'
    content = cases.make(stored, bits=bits, PhotometricInterpretation=photometric)
    if dtype == np.uint8:
        content = cases.make(stored, PhotometricInterpretation=photometric)
    content = with_raw(content, 0x00280120, vr.encode(), struct.pack(form, value))
    shown = read(content).pixels
    assert (shown[:3] == 0).all()
    assert shown[3:].min() == 0 and shown[3:].max() == 1 and shown[3:].std() > 0.25


# Damage is our own error


def damaged_headers():
    base = cases.make(RAMP, bits=12, Modality='DX', ImageComments='x', **WINDOW)
    for tag, _ in radiograph_parts(base):
        if tag == 0x7FE00010:
            continue
        for vr, value in [
            (b'SQ', b'\xff\xff\xff\xff'),
            (b'UI', b'\x1b[31mevil'),
            (b'IS', b'M '),
            (b'DS', b'1\\x '),
            (b'FD', b'\0\0\0'),
            (b'AT', b'\0' * 6),
            (b'US', b'\1'),
            (b'PN', b'Mueller^Anna\\=='),
            (b'OB', b'\x1b]0;x\x07'),
            (b'ZZ', b'1.2'),
        ]:
            yield pytest.param(with_raw(base, tag, vr, value), id=f'{tag:08x}-{vr.decode()}')


@pytest.mark.parametrize('content', list(damaged_headers()))
def test_an_element_of_another_kind_raises_nothing_of_others(content):
    try:
        read(content)
    except RadiographError as error:
        assert str(error).isprintable() and 'Mueller' not in str(error)


@pytest.mark.parametrize('vr', [b'UI', b'OB', b'IS', b'SQ', b'FD', b'ZZ'])
@pytest.mark.parametrize('value', [b'', b'\0', b'1.2.x', b'\xff\xff\xff\xff\xff\xff'])
def test_a_damaged_transfer_syntax_raises_nothing_of_others(vr, value):
    content = cases.make(RAMP, bits=12)
    place = content.index(b'\x02\x00\x10\x00UI')
    length = struct.unpack_from('<H', content, place + 6)[0]
    changed = raw_element(0x00020010, vr, value)
    content = content[:place] + changed + content[place + 8 + length :]
    try:
        read(content)
    except RadiographError as error:
        assert str(error).isprintable()


def test_one_byte_anywhere_in_a_header_raises_nothing_of_others():
    rng = np.random.default_rng(0)
    for syntax in ('explicit', 'implicit', 'big', 'rle', 'jpegls', 'j2k', 'deflated'):
        content = cases.make(RAMP, syntax, bits=12, PixelSpacing=[0.2, 0.2], **WINDOW)
        for _ in range(60):
            mutant = bytearray(content)
            for place in rng.integers(132, min(len(mutant), 900), rng.integers(1, 4)):
                mutant[place] = rng.integers(256)
            try:
                pixels = read(bytes(mutant)).pixels
            except RadiographError as error:
                assert str(error).isprintable()
            else:
                assert np.isfinite(pixels).all() and 0 <= pixels.min() <= pixels.max() <= 1


@pytest.mark.parametrize('name', ['\x1b[31mred.dcm', 'two\nlines.dcm', 'lone\udcff.dcm'])
def test_a_file_name_prints_no_control_characters(name):
    with pytest.raises(RadiographError) as caught:
        radiograph_from_bytes(b'nothing', name)
    assert str(caught.value).isprintable() and caught.value.path == name


# Files that hold no image


@pytest.mark.parametrize(
    'uid, kind',
    [
        ('1.2.840.10008.5.1.4.1.1.88.33', 'Comprehensive SR'),
        ('1.2.840.10008.5.1.4.1.1.11.1', 'Presentation State'),
        ('1.2.840.10008.5.1.4.1.1.481.5', 'RT Plan'),
        ('1.2.840.10008.1.3.10', 'Directory'),
        ('1.2.840.10008.5.1.4.1.1.104.1', 'PDF'),
    ],
)
def test_a_file_of_another_kind_is_told_from_a_failure(uid, kind):
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = uid, '1.2.3'
    content = cases.write(dataset, ExplicitVRLittleEndian)
    with pytest.raises(NoRadiographError, match=kind) as caught:
        read(content)
    assert kind in caught.value.kind
    dataset.file_meta = FileMetaDataset()
    with pytest.raises(NoRadiographError):
        radiograph_from_dataset(dataset)


def test_a_directory_without_a_class_of_its_own_is_one():
    dataset = Dataset()
    dataset.SOPInstanceUID = '1.2.3'
    dataset.SOPClassUID = '1.2.840.10008.1.3.10'
    content = cases.write(dataset, ExplicitVRLittleEndian)
    start = 144 + struct.unpack_from('<I', content, 140)[0]
    with pytest.raises(NoRadiographError, match='Directory'):
        read(content[:start] + raw_element(0x00041130, b'CS', b'SET '))


def test_an_image_that_lost_its_pixels_is_a_failure():
    content = cases.make(RAMP, bits=12, PixelData=None, SOPClassUID='1.2.840.10008.5.1.4.1.1.1')
    with pytest.raises(RadiographError, match='cut off') as caught:
        read(content)
    assert not isinstance(caught.value, NoRadiographError)
