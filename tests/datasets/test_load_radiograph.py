import cv2
import numpy as np
import pytest
from mmpose.registry import TRANSFORMS

from unsct_mmpose.imaging import RadiographError, read_radiograph


def load(results, **kwargs):
    return TRANSFORMS.build(dict(type='LoadRadiograph', **kwargs)).transform(results)


def test_a_dicom_becomes_three_equal_8_bit_channels(tiny_set):
    path = tiny_set / 'images' / 'train-0.dcm'
    results = load(dict(img_path=str(path)))
    expected = np.rint(read_radiograph(path).pixels * 255)
    assert results['img'].dtype == np.uint8
    assert results['img_shape'] == results['ori_shape'] == (80, 96)
    for channel in range(3):
        np.testing.assert_array_equal(results['img'][..., channel], expected)


def test_an_array_is_taken_as_it_is():
    gray = np.arange(12, dtype=np.uint8).reshape(3, 4)
    img = load(dict(img=cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)))['img']
    np.testing.assert_array_equal(img[..., 0], gray)


def test_a_16_bit_array_is_stretched_to_8_bits():
    img = load(dict(img=np.array([[0, 4095], [2048, 1024]], np.uint16)))['img'][..., 0]
    assert img.tolist() == [[0, 255], [128, 64]]


def test_a_cached_image_is_read_once_and_never_changed(tiny_set):
    path = tiny_set / 'images' / 'train-0.dcm'
    transform = TRANSFORMS.build(dict(type='LoadRadiograph', cache_mb=1))
    first = transform.transform(dict(img_path=str(path)))['img']
    before = first.copy()
    path.unlink()
    first[:] = 0
    np.testing.assert_array_equal(transform.transform(dict(img_path=str(path)))['img'], before)


def test_the_cache_is_bounded(tiny_set):
    transform = TRANSFORMS.build(dict(type='LoadRadiograph', cache_mb=0.01))
    for index in range(3):
        transform.transform(dict(img_path=str(tiny_set / 'images' / f'train-{index}.dcm')))
    assert transform._cached_bytes <= 0.01 * 2**20
    assert len(transform._cache) == 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RadiographError, match=r'gone\.dcm'):
        load(dict(img_path=str(tmp_path / 'gone.dcm')))
