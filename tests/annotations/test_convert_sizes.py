"""Conversion to smaller images: what is drawn stays under its landmark, in mm too."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from unsct_mmpose.annotations import (
    AnnotatedRadiograph,
    AnnotationError,
    LandmarkStates,
    infer_subset,
    read_annotations,
    write_annotations,
)
from unsct_mmpose.annotations.convert import ConvertOptions, RunOptions, convert, find_sources
from unsct_mmpose.annotations.convert_check import check_conversion
from unsct_mmpose.annotations.convert_one import packed_size
from unsct_mmpose.dicom import read_radiograph

KEY = b'k' * 32
ABSENT, UNLABELLED = 4, 16
SIZE_WH = (600, 480)
PACKED = ConvertOptions(form='jpeg', quality=96, pixel_mm=0.67)


def points_in(size_wh):
    """Return 24 places within an image, far from each other and its edge."""
    x, y = np.meshgrid(np.linspace(0.1, 0.9, 6), np.linspace(0.15, 0.85, 4))
    return np.round(np.stack([x.ravel() * size_wh[0], y.ravel() * size_wh[1]], 1))


def case(number, name, spacing):
    present, absent = np.ones(24, bool), np.zeros(24, bool)
    present[[ABSENT, UNLABELLED]], absent[ABSENT] = False, True
    points = np.where(present[:, None], points_in(SIZE_WH), 0)
    states = LandmarkStates(points, present, absent)
    return AnnotatedRadiograph(
        image_id=number,
        file_name=name,
        size_wh=SIZE_WH,
        states=states,
        subset=infer_subset(states),
        spacing_xy_mm=(spacing, spacing),
        magnification=1.18,
        patient_id=f'p{number}',
    )


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """Two images with a bright disc under each landmark; the first is fine, the second coarse."""
    folder = tmp_path_factory.mktemp('source') / 'data'
    (folder / 'images' / 'b').mkdir(parents=True)
    for split, record in (
        ('train.json', case(1, 'fine.png', 0.25)),
        ('val.json', case(2, 'b/coarse.png', 0.64)),
    ):
        image = np.full(SIZE_WH[::-1], 40, np.uint8)
        for x, y in record.states.points[record.states.present].astype(int):
            cv2.circle(image, (int(x), int(y)), 8, 220, -1)
        cv2.imwrite(str(folder / 'images' / record.file_name), image)
        write_annotations(folder / split, [record], info={'licence': 'CC BY-NC-SA 4.0'})
    return folder


def run(source, out, picture=PACKED):
    sources = find_sources([str(source)], leave_out=out)
    result = convert(sources, out, KEY, RunOptions(picture, split='keep', progress=False))
    return result, sources


@pytest.fixture(scope='module')
def packed(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp('packed') / 'out'
    result, _ = run(source, folder)
    assert [path.name for path in result.written] == ['train.json', 'val.json']  # no test.json
    return folder


def read(folder, split):
    return read_annotations(folder / split, image_root=folder / 'images', require_spacing=True)


def test_a_fine_image_shrinks_and_a_coarse_one_keeps_its_size(packed):
    (fine,), (coarse,) = read(packed, 'train.json').cases, read(packed, 'val.json').cases
    assert fine.size_wh == (224, 179)  # 600 x 480 at 0.25 mm, to 0.67 mm
    assert coarse.size_wh == SIZE_WH
    for converted in (fine, coarse):
        radiograph = read_radiograph(packed / 'images' / converted.file_name)
        assert radiograph.size_wh == converted.size_wh
        assert radiograph.provenance['bits_stored'] == 8
        assert Path(converted.file_name).suffix == '.jpg'


@pytest.mark.parametrize('split', ['train.json', 'val.json'])
def test_landmarks_stay_on_what_they_mark(packed, split):
    (one,) = read(packed, split).cases
    image = read_radiograph(packed / 'images' / one.file_name).pixels
    radius = 5 if split == 'train.json' else 12
    for x, y in one.states.points[one.states.present]:
        column, row = round(x), round(y)
        rows, columns = np.mgrid[
            row - radius : row + radius + 1, column - radius : column + radius + 1
        ]
        weight = np.clip(image[rows, columns] - 0.3, 0, None)
        centre = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
        np.testing.assert_allclose(centre, (x, y), atol=0.1)


@pytest.mark.parametrize('split', ['train.json', 'val.json'])
def test_spacings_follow_so_that_lengths_in_mm_stay(source, packed, split):
    (before,), (after,) = read(source, split).cases, read(packed, split).cases
    for axis in (0, 1):
        extent = after.size_wh[axis] * after.spacing_xy_mm[axis]
        assert extent == pytest.approx(before.size_wh[axis] * before.spacing_xy_mm[axis])
    seen = before.states.present
    old, new = (c.states.points[seen] * c.spacing_xy_mm for c in (before, after))
    np.testing.assert_allclose(np.diff(new, axis=0), np.diff(old, axis=0), atol=2e-3)
    assert after.magnification == before.magnification


@pytest.mark.parametrize('split', ['train.json', 'val.json'])
def test_boxes_are_the_whole_image(packed, split):
    known = json.loads((packed / split).read_text())
    (image,), (annotation,) = known['images'], known['annotations']
    assert annotation['bbox'] == [0, 0, image['width'], image['height']]


def test_states_and_licence_stay_and_the_file_says_what_was_done(source, packed):
    (before,), (after,) = read(source, 'train.json').cases, read(packed, 'train.json').cases
    np.testing.assert_array_equal(after.states.present, before.states.present)
    np.testing.assert_array_equal(after.states.absent, before.states.absent)
    assert not after.states.labelled[UNLABELLED]
    assert after.subset == before.subset
    info = read(packed, 'train.json').info
    assert info['licence'] == 'CC BY-NC-SA 4.0' and 'JPEG of quality 96' in info['converted']


def test_landmarks_of_smaller_images_map_back_onto_themselves(source, tmp_path):
    for form in ('png', 'png16', 'jpeg'):
        out = tmp_path / form
        _, sources = run(source, out, ConvertOptions(form=form, pixel_mm=0.67))
        checked = check_conversion(sources, out, KEY, progress=False)
        assert checked.problems == () and checked.landmarks_px < 1e-9


def test_an_image_without_spacing_keeps_its_size():
    assert packed_size((3000, 2000), None, PACKED) == (3000, 2000)


def test_a_record_of_another_size_costs_its_image_only(source, tmp_path):
    data = tmp_path / 'data'
    (data / 'images').mkdir(parents=True)
    picture = (source / 'images' / 'fine.png').read_bytes()
    for name in ('a.png', 'b.png'):
        (data / 'images' / name).write_bytes(picture)
    wrong = case(2, 'b.png', 0.6)
    object.__setattr__(wrong, 'size_wh', (601, 480))
    write_annotations(data / 'train.json', [case(1, 'a.png', 0.6), wrong])
    result, _ = run(data, tmp_path / 'out')
    ((number, cause),) = result.errors
    assert number == 2 and "fields 'width' and 'height'" in cause
    assert len(read(tmp_path / 'out', 'train.json').cases) == 1


def test_what_is_wrong_with_an_annotation_file_is_said_before_anything_is_written(source, tmp_path):
    content = json.loads((source / 'train.json').read_text())
    content['images'][0]['absent'] = ['left_foeva']
    (tmp_path / 'train.json').write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match="did you mean 'left_fovea'"):
        run(tmp_path, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_an_image_that_two_annotation_files_name_is_refused(source):
    twice = [source / 'train.json', source / 'train.json']
    with pytest.raises(ValueError, match='name 1 images more than once'):
        find_sources([str(source)], twice)


@pytest.mark.parametrize('where', ['images', 'images/b'])
def test_the_source_is_never_written_to(source, where):
    with pytest.raises(ValueError, match='choose another one'):
        run(source, source / where)


@pytest.mark.parametrize(
    'wrong',
    [
        dict(pixel_mm=0.4),
        dict(pixel_mm=0.67, finer_than_mm=0.0),
        dict(quality=0),
        dict(quality=101),
        dict(form='gif'),
    ],
)
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        ConvertOptions(**wrong)
