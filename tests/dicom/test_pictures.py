import struct

import cv2
import numpy as np
import pytest

from unsct_mmpose.dicom.decode import DecodeError
from unsct_mmpose.dicom.pictures import _is_cut_off, decode_picture, picture_format

GREY = np.arange(256, dtype=np.uint8).reshape(8, 32)


def _encode(extension, array, *options):
    done, content = cv2.imencode(extension, array, list(options))
    assert done
    return content.tobytes()


def _tiff(array, photometric, order='<'):
    """The smallest TIFF file that holds a grey image."""
    height, width = array.shape
    data = array.astype(array.dtype.newbyteorder(order)).tobytes()
    entries = [
        (256, 3, width),
        (257, 3, height),
        (258, 3, 8 * array.dtype.itemsize),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 3, height),
        (279, 4, len(data)),
    ]
    directory = struct.pack(f'{order}H', len(entries))
    for tag, kind, value in entries:
        content = (value, 0) if kind == 3 else (value,)
        field = struct.pack(f'{order}HH' if kind == 3 else f'{order}I', *content)
        directory += struct.pack(f'{order}HHI', tag, kind, 1) + field
    directory += struct.pack(f'{order}I', 0)
    head = b'II*\0' if order == '<' else b'MM\0*'
    return head + struct.pack(f'{order}I', 8 + len(data)) + data + directory


@pytest.mark.parametrize('extension, name', [('.png', 'PNG'), ('.jpg', 'JPEG'), ('.tif', 'TIFF')])
def test_the_format_is_told_by_the_first_bytes(extension, name):
    assert picture_format(_encode(extension, GREY)) == name
    assert picture_format(b'DICM') is None


@pytest.mark.parametrize('extension', ['.png', '.tif'])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_grey_values_come_back_as_they_are(extension, dtype):
    array = GREY.astype(dtype) * (1 if dtype == np.uint8 else 200)
    picture = decode_picture(_encode(extension, array))
    assert picture.grey.dtype == dtype and picture.transparent is None and not picture.inverted
    np.testing.assert_array_equal(picture.grey, array)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_equal_channels_keep_their_value(dtype):
    array = GREY.astype(dtype)
    picture = decode_picture(_encode('.png', cv2.merge([array] * 3)))
    np.testing.assert_array_equal(picture.grey, array)


def test_colour_becomes_luma():
    colour = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    picture = decode_picture(_encode('.png', colour))
    expected = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY).astype(int)
    assert np.abs(picture.grey - expected).max() <= 1


def test_only_full_transparency_hides():
    alpha = np.full_like(GREY, 255)
    alpha[0], alpha[1] = 0, 1
    picture = decode_picture(_encode('.png', cv2.merge([GREY, GREY, GREY, alpha])))
    np.testing.assert_array_equal(picture.grey, GREY)
    np.testing.assert_array_equal(picture.transparent, alpha == 0)


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_a_tiff_whose_lowest_value_is_white_comes_out_inverted(order, dtype):
    white = np.iinfo(dtype).max
    array = GREY.astype(dtype) * (white // 255)
    for photometric, expected in ((1, array), (0, white - array)):
        picture = decode_picture(_tiff(array, photometric, order))
        shown = white - picture.grey if picture.inverted else picture.grey
        np.testing.assert_array_equal(shown, expected)


def test_several_pages_need_a_choice():
    done, content = cv2.imencodemulti('.tif', [GREY, 255 - GREY])
    assert done
    with pytest.raises(DecodeError, match=r'2 pages.*frame=0 \.\. 1'):
        decode_picture(content.tobytes())
    np.testing.assert_array_equal(decode_picture(content.tobytes(), frame=1).grey, 255 - GREY)
    with pytest.raises(DecodeError, match='no frame 2'):
        decode_picture(content.tobytes(), frame=2)


@pytest.mark.parametrize('extension', ['.png', '.jpg', '.tif'])
@pytest.mark.parametrize('share', [0.1, 0.5, 0.9, 0.99])
def test_a_picture_that_is_cut_off_is_refused(extension, share):
    content = _encode(extension, np.tile(GREY, (8, 4)))
    with pytest.raises(DecodeError, match='cut off'):
        decode_picture(content[: int(len(content) * share)])


@pytest.mark.parametrize('extension, name', [('.png', 'PNG'), ('.jpg', 'JPEG')])
def test_the_end_is_looked_for_since_older_decoders_fill_in_what_is_missing(extension, name):
    content = _encode(extension, np.tile(GREY, (8, 4)))
    assert not _is_cut_off(content, name)
    assert _is_cut_off(content[:-2] if name == 'JPEG' else content[:-12], name)


def test_values_that_are_not_finite_are_refused():
    array = np.ones((4, 4), dtype=np.float32)
    array[0, 0] = np.nan
    with pytest.raises(DecodeError, match='finite'):
        decode_picture(_encode('.tif', array))
