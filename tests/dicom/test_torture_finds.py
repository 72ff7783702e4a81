"""What `make torture` found in the doors of files, each by its kind."""

import struct
import warnings

import numpy as np
import pytest

from unsct_mmpose.dicom import RadiographError
from unsct_mmpose.dicom.identity import (
    identifying_words,
    patient_identity,
    patient_key,
    peek_orientation,
    peek_size_wh,
)
from unsct_mmpose.dicom.marker import find_markers
from unsct_mmpose.dicom.sr.read import read_structured_report
from unsct_mmpose.dicom.sr.source import read_source
from unsct_mmpose.research.torture import dicom_cases as cases

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)


def element(tag, vr, value):
    return struct.pack('<HH2sH', tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def damaged(*elements, **header):
    """Return a file into which elements were put as they are, in front of its pixels."""
    content = cases.make(GREY, PatientName='Secret^Name', PatientID='Secret-7', **header)
    at = content.index(struct.pack('<HH', 0x0028, 0x0002))
    return content[:at] + b''.join(elements) + content[at:]


ODD = {
    'numbers of an odd length': element(0x00181164, b'US', b'123'),
    'an unknown type': element(0x00189999, b'ZZ', b'what'),
    'a delimiter of a sequence': struct.pack('<HHI', 0xFFFE, 0xE0DD, 0),
    'floats cut short': element(0x00189998, b'FD', b'12345'),
    'a UID that is none': element(0x00200052, b'UI', b'no uid\xff\x1b'),
    'a name in no encoding': element(0x00104000, b'LT', b'\xff\xfe\x1b$B'),
}


@pytest.mark.parametrize('name', ODD)
def test_every_door_takes_elements_that_cannot_be_converted(tmp_path, name):
    content = damaged(ODD[name])
    path = tmp_path / 'x.dcm'
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # they may quote the header
        assert {'secret', 'name'} <= identifying_words(content)
        assert patient_key(content) == 'PatientID|Secret-7|'
        assert patient_identity(path)['PatientName'] == 'Secret^Name'
        assert peek_size_wh(path) == (8, 8) and peek_orientation(path) is not None
        with pytest.raises(RadiographError, match='no structured report'):
            read_structured_report(path)
        with pytest.raises(RadiographError, match='StudyInstanceUID is missing'):
            read_source(path, keep_identity=True)


def test_words_of_unreadable_elements_count_as_identity():
    content = damaged(element(0x00100021, b'ZZ', b'Issuer'), element(0x00100040, b'PN', b'Hidden'))
    assert 'hidden' in identifying_words(content)


@pytest.mark.parametrize(
    ('keyword', 'value'),
    [('StudyInstanceUID', b'\xff\xff'), ('SOPInstanceUID', b'a\\b'), ('StudyInstanceUID', b'')],
)
def test_a_report_refuses_an_image_whose_uid_is_none(tmp_path, keyword, value):
    content = cases.make(GREY, StudyInstanceUID='1.2.3', SeriesInstanceUID='1.2.4')
    old = dict(StudyInstanceUID=0x0020000D, SOPInstanceUID=0x00080018)[keyword]
    at = content.rindex(struct.pack('<HH', old >> 16, old & 0xFFFF))
    (length,) = struct.unpack_from('<H', content, at + 6)
    value += b'\0' * (len(value) % 2)
    changed = content[:at] + element(old, b'UI', value) + content[at + 8 + length :]
    path = tmp_path / 'x.dcm'
    path.write_bytes(changed)
    with pytest.raises(RadiographError, match=f'{keyword} is'):
        read_source(path, keep_identity=False)


@pytest.mark.parametrize('lengths', [['0.1', 'x'], ['1e400', '0.1'], ['0.1']])
def test_a_report_takes_no_spacing_that_is_none(tmp_path, lengths):
    text = '\\'.join(lengths).encode()
    content = damaged(
        element(0x00181164, b'DS', text + b' ' * (len(text) % 2)),
        element(0x00200020, b'CS', b'L\\F '),
        StudyInstanceUID='1.2.3', SeriesInstanceUID='1.2.4', Modality='DX',
    )  # fmt: skip
    (tmp_path / 'x.dcm').write_bytes(content)
    source = read_source(tmp_path / 'x.dcm', keep_identity=False)
    assert 'ImagerPixelSpacing' not in source and source.Modality == 'OT'


@pytest.mark.parametrize('shape', [(1, 65535), (3, 20000), (65535, 1), (1, 1), (2, 15)])
def test_no_letter_is_looked_for_in_what_is_no_radiograph(shape):
    pixels = np.random.default_rng(0).random(shape, dtype=np.float32)
    assert find_markers(pixels) == []
