"""A data set as JPEG: what is drawn in an image stays under its landmark, in mm too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from unsct_mmpose.apis import pack_images as module
from unsct_mmpose.apis.pack_images import PackOptions, pack_images, packed_size
from unsct_mmpose.imaging import (
    AnnotatedRadiograph,
    LandmarkStates,
    infer_subset,
    read_annotations,
    read_radiograph,
    write_annotations,
)

ROOT = Path(__file__).resolve().parents[2]
ABSENT, UNLABELLED = 4, 16
SIZE_WH = (600, 480)


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
        extra={'pose': {'tilt': 3.0}, 'transfer_syntax': 'X'},
    )


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """Two images with a bright disc under each landmark; the first is fine, the second coarse."""
    folder = tmp_path_factory.mktemp('source') / 'data'
    (folder / 'images' / 'b').mkdir(parents=True)
    for split, one in (
        ('train.json', case(1, 'fine.png', 0.25)),
        ('val.json', case(2, 'b/coarse.png', 0.64)),
    ):
        image = np.full(SIZE_WH[::-1], 40, np.uint8)
        for x, y in one.states.points[one.states.present].astype(int):
            cv2.circle(image, (int(x), int(y)), 8, 220, -1)
        cv2.imwrite(str(folder / 'images' / one.file_name), image)
        write_annotations(folder / split, [one], info={'licence': 'CC BY-NC-SA 4.0'})
    return folder


@pytest.fixture(scope='module')
def packed(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp('packed') / 'out'
    written = pack_images(source, folder, progress=False)
    assert list(written) == ['train.json', 'val.json']  # there is no test.json
    return folder


def read(folder, split):
    return read_annotations(folder / split, image_root=folder / 'images', require_spacing=True)


def test_a_fine_image_shrinks_and_a_coarse_one_keeps_its_size(packed):
    (fine,), (coarse,) = read(packed, 'train.json').cases, read(packed, 'val.json').cases
    assert fine.size_wh == (224, 179)  # 600 x 480 at 0.25 mm, to 0.67 mm
    assert coarse.size_wh == SIZE_WH
    for one in (fine, coarse):
        radiograph = read_radiograph(packed / 'images' / one.file_name)
        assert radiograph.size_wh == one.size_wh
        assert radiograph.provenance['bits_stored'] == 8
    assert (fine.file_name, coarse.file_name) == ('fine.jpg', 'b/coarse.jpg')


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
    for one in (0, 1):
        extent = after.size_wh[one] * after.spacing_xy_mm[one]
        assert extent == pytest.approx(before.size_wh[one] * before.spacing_xy_mm[one])
    seen = before.states.present
    old, new = (c.states.points[seen] * c.spacing_xy_mm for c in (before, after))
    np.testing.assert_allclose(np.diff(new, axis=0), np.diff(old, axis=0), atol=2e-3)
    assert after.magnification == before.magnification


@pytest.mark.parametrize('split', ['train.json', 'val.json'])
def test_boxes_are_the_whole_image(packed, split):
    known = json.loads((packed / split).read_text())
    (image,), (annotation,) = known['images'], known['annotations']
    assert annotation['bbox'] == [0, 0, image['width'], image['height']]


def test_states_patients_and_licence_stay_and_the_file_says_what_was_done(source, packed):
    (before,), (after,) = read(source, 'train.json').cases, read(packed, 'train.json').cases
    np.testing.assert_array_equal(after.states.present, before.states.present)
    np.testing.assert_array_equal(after.states.absent, before.states.absent)
    assert not after.states.labelled[UNLABELLED]
    assert (after.image_id, after.patient_id, after.subset) == (1, 'p1', before.subset)
    assert after.extra == {'pose': {'tilt': 3.0}}
    info = read(packed, 'train.json').info
    assert info['licence'] == 'CC BY-NC-SA 4.0' and 'JPEG of quality 96' in info['packed']


def test_an_image_without_spacing_keeps_its_size():
    assert packed_size((3000, 2000), None, PackOptions()) == (3000, 2000)


def test_an_interrupted_run_leaves_whole_files_only(source, tmp_path, monkeypatch):
    def stops(path, content):
        if path.name == 'coarse.jpg':
            raise KeyboardInterrupt
        path.write_bytes(content)

    monkeypatch.setattr(module, 'replace_file', stops)
    with pytest.raises(KeyboardInterrupt):
        pack_images(source, tmp_path / 'out', progress=False)
    assert (tmp_path / 'out' / 'train.json').is_file()
    assert not (tmp_path / 'out' / 'val.json').exists()
    monkeypatch.undo()
    pack_images(source, tmp_path / 'out', progress=False)
    assert [path for path in (tmp_path / 'out').rglob('*') if path.suffix == '.tmp'] == []
    assert read(tmp_path / 'out', 'val.json').cases


def test_two_images_that_would_get_one_name_are_refused_before_anything_is_written(
    source, tmp_path
):
    data = tmp_path / 'data'
    (data / 'images').mkdir(parents=True)
    picture = (source / 'images' / 'fine.png').read_bytes()
    for name in ('a.png', 'a.bmp'):
        (data / 'images' / name).write_bytes(picture)
    write_annotations(data / 'train.json', [case(1, 'a.png', 0.6), case(2, 'a.bmp', 0.6)])
    with pytest.raises(ValueError, match=r'a\.png and a\.bmp would both become a\.jpg'):
        pack_images(data, tmp_path / 'out', progress=False)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('where', ['.', 'images', 'images/b'])
def test_the_source_is_never_written_to(source, where):
    with pytest.raises(ValueError, match='choose another one'):
        pack_images(source, source / where, progress=False)


@pytest.mark.parametrize(
    'wrong', [dict(pixel_mm=0.4), dict(finer_than_mm=0.0), dict(quality=0), dict(quality=101)]
)
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        PackOptions(**wrong)


def test_the_command_packs_and_a_wrong_folder_is_an_error_in_words(source, tmp_path):
    tool = [sys.executable, ROOT / 'tools' / 'pack_images.py']
    out = tmp_path / 'out'
    how = dict(
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(ROOT)}
    )
    done = subprocess.run([*tool, source, '--out', out, '--quiet'], **how)
    assert done.returncode == 0, done.stderr
    assert f'val.json: {out / "val.json"}' in done.stdout and 'MiB' in done.stdout
    done = subprocess.run([*tool, tmp_path / 'no', '--out', out], **how)
    assert done.returncode == 1
    assert 'nothing to pack' in done.stderr and 'Traceback' not in done.stderr
