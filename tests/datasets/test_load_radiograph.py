import cv2
import numpy as np
import pytest
from mmpose.registry import TRANSFORMS

from unsct_mmpose.datasets import load_radiograph
from unsct_mmpose.dicom import RadiographError, read_radiograph


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


@pytest.mark.parametrize('kind', [np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize('channels', [0, 1, 3, 4])
def test_an_array_of_any_type_is_shown_by_its_own_range(kind, channels):
    ramp = np.tile(np.linspace(0, 4095, 256), (40, 1)).astype(kind)
    array = np.stack([ramp] * channels, axis=-1) if channels else ramp
    if channels == 4:
        array[..., 3] = 4095
    transform = TRANSFORMS.build(dict(type='LoadRadiograph'))
    images = [transform(dict(img=array))['img'] for _ in range(2)]
    assert images[0].shape == (40, 256, 3)
    np.testing.assert_allclose(images[1][0, :, 2], np.arange(256), atol=3)


def test_a_guessed_white_is_said_once(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(load_radiograph, 'print_log', lambda words, **_: said.append(words))
    deep, flat = tmp_path / 'deep.png', tmp_path / 'flat.png'
    picture = np.tile(np.arange(0, 4096, 16, dtype=np.uint16), (40, 1))
    cv2.imwrite(str(deep), picture)
    cv2.imwrite(str(flat), (picture >> 4).astype(np.uint8))
    transform = TRANSFORMS.build(dict(type='LoadRadiograph'))
    transform(dict(img_path=str(flat)))
    transform(dict(img=picture.astype(np.float32) / 4095))
    assert not said
    transform(dict(img_path=str(deep)))
    transform(dict(img=picture))
    assert len(said) == 1
    assert said[0].startswith(f'{deep}: nothing says')


def test_an_array_that_is_no_picture_is_refused():
    with pytest.raises(RadiographError, match=r'shape is \(4,\)'):
        load(dict(img=np.zeros(4)))


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


def test_an_image_of_another_size_than_its_annotation_is_refused(tiny_set):
    path = tiny_set / 'images' / 'train-0.dcm'
    with pytest.raises(RadiographError, match=r'96 x 80 pixels.*say 48 x 40.*shrunk by 2'):
        load(dict(img_path=str(path), raw_ann_info=dict(size_wh=(48, 40))))
    assert load(dict(img_path=str(path), raw_ann_info=dict(size_wh=(96, 80))))['img'].shape[0] == 80


def sample(path, spacing=(4.0, 4.0), mirrored=None):
    """A sample as THADataset makes it: one landmark on the brightest pixel of the file."""
    x, y, width, height = 60.0, 20.0, 96, 80
    points, present = np.zeros((24, 2)), np.zeros(24, bool)
    points[3], present[3] = (x, y), True
    return dict(
        img_path=str(path),
        bbox=np.array([[0, 0, width, height]], np.float32),
        keypoints=points[None].astype(np.float32),
        raw_ann_info=dict(points=points, present=present, pixel_spacing=spacing,
                          file_spacing=spacing, size_wh=(width, height), mirrored=mirrored),
    )  # fmt: skip


def bright(path, orientation, spacing=(4.0, 4.0)):
    import pydicom

    from unsct_mmpose.dicom.writer import write_radiograph

    pixels = np.random.default_rng(0).integers(0, 2000, (80, 96), dtype=np.uint16)
    pixels[19:22, 59:62] = 4000
    write_radiograph(path, pixels, spacing_xy_mm=spacing, magnification=1.1,
                     source_detector_mm=1100, patient_id='x', uid_seed='x')  # fmt: skip
    dataset = pydicom.dcmread(path)
    dataset.PatientOrientation = orientation
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    dataset.save_as(path)
    return path


@pytest.mark.parametrize('orientation', [['L', 'F'], ['R', 'F'], ['R', 'H'], ['F', 'L']])
@pytest.mark.parametrize('spacing', [(4.0, 4.0), (4.0, 2.0)])
def test_what_is_annotated_goes_along_when_an_image_is_turned(tmp_path, orientation, spacing):
    path = bright(tmp_path / 'x.dcm', orientation, spacing)
    before = sample(path, spacing)
    after = load(dict(before))
    img = after['img'][..., 0]
    x, y = after['keypoints'][0, 3]
    assert img[round(float(y)), round(float(x))] > 200
    np.testing.assert_allclose(after['raw_ann_info']['points'][3], (x, y), atol=1e-4)
    assert after['bbox'][0].tolist() == [0, 0, img.shape[1], img.shape[0]]
    width_mm, height_mm = np.array(after['raw_ann_info']['pixel_spacing'])
    assert width_mm == pytest.approx(height_mm)
    wanted = [96 * spacing[0], 80 * spacing[1]]
    wanted = wanted[::-1] if orientation[0] == 'F' else wanted
    assert [img.shape[1] * width_mm, img.shape[0] * height_mm] == pytest.approx(wanted)
    assert before['raw_ann_info']['points'][3].tolist() == [60, 20]  # nothing was changed in place


def test_a_record_that_says_mirrored_is_turned_and_one_that_keeps_it_is_not(tmp_path):
    path = bright(tmp_path / 'x.dcm', ['L', 'F'])
    turned = load(sample(path, mirrored=True))
    assert turned['keypoints'][0, 3].tolist() == [35, 20]
    kept = load(sample(bright(tmp_path / 'y.dcm', ['R', 'F']), mirrored=False))
    assert kept['keypoints'][0, 3].tolist() == [60, 20]


def test_a_large_image_is_averaged_in_blocks_once_and_its_landmarks_go_along(tmp_path):
    rows, columns = np.mgrid[:300, :401]
    blob = 255 * np.exp(-((rows - 120) ** 2 + (columns - 260.5) ** 2) / 200)
    cv2.imwrite(str(tmp_path / 'large.png'), blob.astype(np.uint8))
    sample = dict(
        img_path=str(tmp_path / 'large.png'),
        keypoints=np.array([[[260.5, 120.0]]], np.float32),
        bbox=np.array([[0, 0, 401, 300]], np.float32),
    )
    for most, size in ((None, (300, 401)), (201, (300, 401)), (200, (150, 200)), (100, (75, 100))):
        results = load(dict(sample), shrink_to=most)
        assert results['img'].shape == (*size, 3)
        np.testing.assert_allclose(results['bbox'], [[0, 0, size[1], size[0]]], atol=1e-3)
        seen = results['img'][..., 0].astype(float)
        rows, columns = np.mgrid[: size[0], : size[1]]
        centre = (seen * columns).sum() / seen.sum(), (seen * rows).sum() / seen.sum()
        np.testing.assert_allclose(results['keypoints'][0, 0], centre, atol=0.05)
