"""MMCV, Pillow and MMPose's inferencers read DICOM as LoadRadiograph does."""

import io
from types import SimpleNamespace

import cv2
import mmcv
import numpy as np
import pytest
from mmcv.image import imread
from mmpose.apis.inferencers import MMPoseInferencer, Pose2DInferencer
from mmpose.registry import TRANSFORMS
from PIL import Image, UnidentifiedImageError
from pydicom import dcmread

from unsct_mmpose.datasets import read_dicom_everywhere
from unsct_mmpose.dicom import RadiographError


@pytest.fixture
def dicom(tiny_set):
    return tiny_set / 'images' / 'val-0.dcm'


@pytest.fixture
def gray(dicom):
    load = TRANSFORMS.build(dict(type='LoadRadiograph'))
    return load(dict(img_path=str(dicom)))['img'][..., 0]


def bare(path):
    """The same file without preamble and file meta information."""
    content, header = io.BytesIO(), dcmread(path)
    del header.file_meta
    header.preamble = None
    header.save_as(content, implicit_vr=False, little_endian=True, enforce_file_format=False)
    assert content.getvalue()[128:132] != b'DICM'
    return content.getvalue()


@pytest.mark.parametrize('read', [
    lambda path: mmcv.imread(str(path)),
    lambda path: imread(path, channel_order='rgb'),
    lambda path: mmcv.imfrombytes(path.read_bytes(), 'unchanged'),
    lambda path: mmcv.imfrombytes(path.read_bytes(), flag='color', backend='pillow'),
    lambda path: mmcv.imfrombytes(bare(path)),
    lambda path: TRANSFORMS.build(dict(type='LoadImage'))(dict(img_path=str(path)))['img'],
])  # fmt: skip
def test_three_equal_channels_bone_bright(dicom, gray, read):
    np.testing.assert_array_equal(read(dicom), np.dstack([gray] * 3))


def test_one_channel_where_it_is_asked_for(dicom, gray):
    np.testing.assert_array_equal(mmcv.imread(dicom, 'grayscale'), gray)


def test_pillow_opens_it_and_knows_its_size_before_it_decodes(dicom, gray, monkeypatch):
    from unsct_mmpose.datasets import stock_readers

    decode = stock_readers._decode
    monkeypatch.setattr(stock_readers, '_decode', lambda *args: pytest.fail('decoded'))
    image = Image.open(dicom)
    assert image.size == (96, 80)
    monkeypatch.setattr(stock_readers, '_decode', decode)
    np.testing.assert_array_equal(np.asarray(image), gray)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(bare(dicom)))), gray)


def test_pillow_knows_the_size_of_an_image_that_lies_on_its_side(dicom):
    header = dcmread(dicom)
    header.PatientOrientation = ['F', 'L']
    header.save_as(dicom)
    image = Image.open(dicom)
    assert image.size == (80, 96) == np.asarray(image).shape[::-1]


@pytest.mark.parametrize('read', [mmcv.imfrombytes, lambda one: Image.open(io.BytesIO(one)).load()])
def test_a_damaged_file_says_so(dicom, read):
    with pytest.raises(RadiographError, match='cut off'):
        read(dicom.read_bytes()[:3000])


def test_pictures_and_other_files_are_read_as_before(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (8, 9, 3), np.uint8)
    for suffix in ('.png', '.bmp'):
        path = tmp_path / f'a{suffix}'
        cv2.imwrite(str(path), picture)
        np.testing.assert_array_equal(mmcv.imread(path), picture)
        np.testing.assert_array_equal(np.asarray(Image.open(path))[..., ::-1], picture)
    (tmp_path / 'notes').write_bytes(b'\x08\x00 no header ' * 20)
    assert mmcv.imfrombytes((tmp_path / 'notes').read_bytes()) is None
    with pytest.raises(UnidentifiedImageError):
        Image.open(tmp_path / 'notes')


def test_an_inferencer_takes_files_and_folders_with_and_without_suffix(tiny_set, dicom):
    inferencer = SimpleNamespace()
    listed = Pose2DInferencer._inputs_to_list
    bare_name = tiny_set / 'images' / 'IM0001'
    dicom.rename(bare_name)
    (tiny_set / 'images' / 'notes.md').write_text('no image')
    assert listed(inferencer, str(bare_name)) == [str(bare_name)]
    assert inferencer._video_input is False
    names = [path.rsplit('/', 1)[-1] for path in listed(inferencer, str(tiny_set / 'images'))]
    assert names == ['IM0001', 'train-0.dcm', 'train-1.dcm', 'train-2.dcm', 'val-1.dcm']
    assert listed(inferencer, ['a.png', 'b.dcm']) == ['a.png', 'b.dcm']


def test_teaching_again_changes_nothing():
    before = mmcv.imfrombytes, MMPoseInferencer._inputs_to_list
    read_dicom_everywhere()
    assert before == (mmcv.imfrombytes, MMPoseInferencer._inputs_to_list)
