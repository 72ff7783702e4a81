"""Shifted test sets on disk: states, names, licence, same bytes, resuming."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.golden_hip import PELVIS_MM
from tests.phantom.digests import digests
from unsct_mmpose.anatomy import LANDMARK_NAMES
from unsct_mmpose.annotations import (
    AnnotatedRadiograph,
    LandmarkStates,
    infer_subset,
    read_annotations,
    write_annotations,
)
from unsct_mmpose.dicom import read_radiograph
from unsct_mmpose.phantom import make_shifts as module
from unsct_mmpose.phantom.make_shifts import make_shifts
from unsct_mmpose.phantom.shifts import SHIFTS

ROOT = Path(__file__).resolve().parents[2]
SPACING = (2.0, 2.0)
SIZE_WH = (215, 200)
ABSENT, UNLABELLED = LANDMARK_NAMES.index('left_fovea'), LANDMARK_NAMES.index('right_fovea')


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """Three pictures; the second lacks one landmark, two have one that nobody looked for."""
    folder = tmp_path_factory.mktemp('source') / 'data'
    (folder / 'images' / 'b').mkdir(parents=True)
    points = (1.17 * PELVIS_MM + [215, 180]) / SPACING
    cases = []
    for number, name in enumerate(('one.png', 'two.png', 'b/three.png'), 1):
        image = np.random.default_rng(number).integers(0, 256, SIZE_WH[::-1], np.uint8)
        cv2.imwrite(str(folder / 'images' / name), image)
        present, absent = np.ones(24, bool), np.zeros(24, bool)
        present[UNLABELLED] = number == 1
        if number == 2:
            present[ABSENT], absent[ABSENT] = False, True
        moved = np.where(present[:, None], points + [number, 0], 0.0)
        states = LandmarkStates(moved, present, absent)
        cases.append(
            AnnotatedRadiograph(
                image_id=10 * number,
                file_name=name,
                size_wh=SIZE_WH,
                states=states,
                subset=infer_subset(states),
                spacing_xy_mm=SPACING,
                magnification=1.17,
                patient_id=f'p{number}',
                extra={'pose': {'tilt': 3.0}, 'photometric': 'X'},
            )
        )
    info = {'description': 'bones of nobody', 'licence': 'CC BY-NC-SA 4.0', 'seed': 77}
    write_annotations(folder / 'test.json', cases, info=info)
    return folder


@pytest.fixture(scope='module')
def made(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp('shifted') / 'out'
    paths = make_shifts(source, folder, split='test.json', seed=5, progress=False)
    assert paths == {kind: folder / f'{kind}.json' for kind in SHIFTS}
    return folder


def read(folder, kind):
    return read_annotations(
        folder / f'{kind}.json', image_root=folder / 'images', require_spacing=True
    )


@pytest.mark.parametrize('kind', SHIFTS)
def test_every_file_passes_the_reader_and_its_pictures_have_the_size_it_says(made, kind):
    file = read(made, kind)
    assert [case.file_name for case in file.cases] == [
        f'{kind}/{name}.png' for name in ('one', 'two', 'three')
    ]
    for case, number in zip(file.cases, (1, 2, 3), strict=True):
        radiograph = read_radiograph(made / 'images' / case.file_name)
        assert radiograph.size_wh == case.size_wh
        assert radiograph.provenance['bits_stored'] == 8
        assert case.image_id == 10 * number
        assert (case.patient_id, case.spacing_xy_mm) == (f'p{number}', SPACING)
        assert case.magnification == 1.17


@pytest.mark.parametrize('kind', SHIFTS)
def test_hidden_landmarks_are_absent_and_the_others_stay_what_they_were(source, made, kind):
    before = read_annotations(source / 'test.json').cases
    for old, new in zip(before, read(made, kind).cases, strict=True):
        hidden = old.states.present & ~new.states.present
        assert not (new.states.present & ~old.states.present).any()
        np.testing.assert_array_equal(new.states.absent, old.states.absent | hidden)
        np.testing.assert_array_equal(new.states.labelled, old.states.labelled)
        assert new.extra['shift_hidden'] == [LANDMARK_NAMES[i] for i in np.flatnonzero(hidden)]
        assert new.subset == infer_subset(new.states)
        if kind in ('occluder', 'cut_side'):
            assert hidden.any() and new.subset == 'unstructured'
        if kind in ('clean', 'contrast', 'noise'):
            np.testing.assert_allclose(new.states.points, old.states.points, atol=1e-3)
        assert new.extra['shift'] == kind and new.extra['shift_source'] == old.file_name
        assert new.extra['pose'] == {'tilt': 3.0} and 'photometric' not in new.extra


def test_clean_pictures_are_those_of_the_source_and_mirrored_ones_their_mirror_image(source, made):
    for old, clean, mirror in zip(
        read_annotations(source / 'test.json').cases,
        read(made, 'clean').cases,
        read(made, 'mirror').cases,
        strict=True,
    ):
        image, same, flipped = (
            read_radiograph(folder / 'images' / case.file_name).pixels
            for folder, case in ((source, old), (made, clean), (made, mirror))
        )
        np.testing.assert_array_equal(same, image)
        np.testing.assert_array_equal(flipped, image[:, ::-1])


def test_contrast_is_not_undone_when_a_picture_is_read(made):
    image = read_radiograph(made / 'images' / read(made, 'contrast').cases[0].file_name)
    assert image.provenance['window'] == 'as stored: 0 to 255'


def test_the_file_says_that_it_is_simulated_and_keeps_the_licence(made):
    for kind in SHIFTS:
        info = read(made, kind).info
        assert 'Simulated' in info['description'] and 'bones of nobody' in info['description']
        assert info['simulated'] is True and info['shift'] == kind and info['seed'] == 5
        assert info['licence'] == 'CC BY-NC-SA 4.0'
        assert 'derivative' in info['licence_note']
        assert info['source_info']['seed'] == 77
    readme = (made / 'README.md').read_text()
    assert 'CC BY-NC-SA 4.0' in readme and 'simulated' in readme


def test_the_same_seed_gives_the_same_bytes_however_the_work_is_divided(source, made, tmp_path):
    folder, kinds = tmp_path / 'out', list(SHIFTS)
    for part in (kinds[4:], kinds[:4][::-1]):
        for limit in (1, None):
            make_shifts(source, folder, split='test.json', kinds=part, seed=5, limit=limit,
                        progress=False)  # fmt: skip
    assert digests(folder) == digests(made)


def test_a_limit_takes_the_first_images_and_structured_only_those_without_absence(source, tmp_path):
    options = dict(split='test.json', kinds=['clean'], progress=False)
    make_shifts(source, tmp_path / 'a', limit=2, **options)
    assert [case.image_id for case in read(tmp_path / 'a', 'clean').cases] == [10, 20]
    make_shifts(source, tmp_path / 'b', structured_only=True, limit=2, **options)
    assert [case.image_id for case in read(tmp_path / 'b', 'clean').cases] == [10, 30]


def test_kinds_of_an_image_do_not_share_their_randomness_nor_do_images(made):
    how = [case.extra['shift_how'] for case in read(made, 'rotation').cases]
    assert len(set(how)) == len(how)


def test_an_interrupted_run_leaves_whole_files_and_is_continued(
    source, made, tmp_path, monkeypatch
):
    folder, true_write, done = tmp_path / 'out', module._write, []

    def stops(*arguments):
        if len(done) == 9:
            raise KeyboardInterrupt
        done.append(arguments)
        true_write(*arguments)

    monkeypatch.setattr(module, '_write', stops)
    with pytest.raises(KeyboardInterrupt):
        make_shifts(source, folder, split='test.json', seed=5, progress=False)
    finished = sorted((folder / 'images').rglob('*.png'))
    assert len(finished) == 9 and not list(folder.glob('*/*.json'))
    times = {path: path.stat().st_mtime_ns for path in finished}

    again = []
    monkeypatch.setattr(module, '_write', lambda *a: (again.append(a), true_write(*a)))
    make_shifts(source, folder, split='test.json', seed=5, progress=False)
    assert len(again) == 3 * len(SHIFTS) - 9
    assert {path: path.stat().st_mtime_ns for path in finished} == times
    assert digests(folder) == digests(made)


def test_damaged_and_left_over_files_are_made_again(source, made, tmp_path):
    folder = tmp_path / 'out'
    make_shifts(source, folder, split='test.json', seed=5, progress=False)
    broken = folder / 'images' / 'noise' / 'two.png'
    broken.write_bytes(broken.read_bytes()[:100])
    (folder / 'images' / 'noise' / '.one.png.99999999.tmp').write_bytes(b'half')
    make_shifts(source, folder, split='test.json', seed=5, progress=False)
    assert digests(folder) == digests(made)


def copied(source, target, change=lambda case: case, images=None):
    """Copy the source with changed records."""
    file = read_annotations(source / 'test.json')
    (target / 'images' / 'b').mkdir(parents=True)
    for case in file.cases:
        content = (source / 'images' / case.file_name).read_bytes()
        (target / 'images' / case.file_name).write_bytes(content)
    write_annotations(target / 'test.json', [change(case) for case in file.cases], info=file.info)
    return target


def test_a_changed_source_picture_is_shifted_again(source, tmp_path):
    data, folder = copied(source, tmp_path / 'data'), tmp_path / 'out'
    options = dict(split='test.json', kinds=['mirror'], progress=False)
    make_shifts(data, folder, **options)
    image = np.full(SIZE_WH[::-1], 7, np.uint8)
    cv2.imwrite(str(data / 'images' / 'two.png'), image)
    make_shifts(data, folder, **options)
    assert (cv2.imread(str(folder / 'images/mirror/two.png'), cv2.IMREAD_UNCHANGED) == 7).all()


def test_images_of_one_name_in_two_folders_do_not_overwrite_each_other(source, tmp_path):
    data = copied(source, tmp_path / 'data')
    (data / 'images' / 'one.png').rename(data / 'images' / 'b' / 'two.png')
    text = (data / 'test.json').read_text().replace('"one.png"', '"b/two.png"')
    (data / 'test.json').write_text(text)
    make_shifts(data, tmp_path / 'out', split='test.json', kinds=['clean'], progress=False)
    names = [case.file_name for case in read(tmp_path / 'out', 'clean').cases]
    assert names == ['clean/two-10.png', 'clean/two-20.png', 'clean/three-30.png']


def test_another_seed_or_source_in_the_same_folder_is_refused(source, made, tmp_path):
    before = digests(made)
    with pytest.raises(ValueError, match='seed is 5 there, 6 here'):
        make_shifts(source, made, split='test.json', seed=6, progress=False)
    data = copied(source, tmp_path / 'data', lambda case: replace(case, patient_id='other'))
    with pytest.raises(ValueError, match='annotations_sha256'):
        make_shifts(data, made, split='test.json', seed=5, progress=False)
    assert digests(made) == before


def test_a_folder_with_foreign_files_is_refused(source, tmp_path):
    (tmp_path / 'thesis.txt').write_text('mine')
    with pytest.raises(ValueError, match='not empty'):
        make_shifts(source, tmp_path, split='test.json', progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ['thesis.txt']


@pytest.mark.parametrize('place', ['', 'shifted', 'images/shifted', 'new/deep'])
def test_it_does_not_write_inside_the_source(source, place):
    before = digests(source)
    with pytest.raises(ValueError, match='inside the source'):
        make_shifts(source, source / place, split='test.json', progress=False)
    assert digests(source) == before
    assert not (source / 'new').exists()


def test_it_does_not_write_inside_the_source_through_links(source, tmp_path):
    data = tmp_path / 'linked'
    data.mkdir()
    (data / 'images').symlink_to(source / 'images')
    (data / 'test.json').write_bytes((source / 'test.json').read_bytes())
    before = digests(source)
    for out in (source / 'images' / 'new', tmp_path / 'door' / 'new'):
        if 'door' in str(out):
            out.parent.symlink_to(source / 'images')
        with pytest.raises(ValueError, match='inside the source'):
            make_shifts(data, out, split='test.json', progress=False)
    assert digests(source) == before


def test_errors_name_file_field_and_cure(source, tmp_path):
    def attempt(name, change, **options):
        data = copied(source, tmp_path / name, change)
        with pytest.raises(ValueError) as caught:
            make_shifts(data, tmp_path / f'{name}-out', split='test.json', progress=False,
                        **options)  # fmt: skip
        return str(caught.value)

    text = attempt('spacing', lambda case: replace(case, spacing_xy_mm=None))
    assert 'test.json' in text and 'pixel_spacing' in text and 'one.png' in text
    text = attempt('size', lambda case: replace(case, size_wh=(300, 300)))
    assert 'one.png' in text and "'width' and 'height'" in text and 'correct' in text
    with pytest.raises(ValueError, match=r'val\.json.*No such file'):
        make_shifts(source, tmp_path / 'no', progress=False)
    assert not (tmp_path / 'no').exists()


def test_where_no_place_is_found_the_image_is_named(source, tmp_path, monkeypatch):
    monkeypatch.setattr('unsct_mmpose.phantom.shifts.EDGE_MM', 1e4)
    with pytest.raises(ValueError, match=r"one\.png: no shift 'cut_side'.*leave"):
        make_shifts(source, tmp_path / 'out', split='test.json', kinds=['cut_side'], progress=False)


@pytest.mark.parametrize(
    'options, words',
    [
        ({'kinds': ['clean', 'rotate']}, "unknown kinds 'rotate'; choose from clean"),
        ({'kinds': []}, 'no kinds'),
        ({'kinds': ['clean', 'clean']}, 'twice'),
        ({'seed': -1}, 'seed'),
        ({'limit': 0}, 'limit'),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(source, tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        make_shifts(source, tmp_path / 'out', split='test.json', progress=False, **options)
    assert not (tmp_path / 'out').exists()


def test_the_tool_explains_itself_and_goes_on_with_its_own_options_only(source, tmp_path, unsct):
    text = unsct('shifts', '--help').stdout
    assert all(kind in text for kind in SHIFTS) and '--structured-only' in text
    common = ('shifts', source, '--split', 'test.json', '--out', tmp_path / 'out')
    done = unsct(*common, '--kinds', 'mirror', 'clean', '--limit', '1')
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / 'out' / 'mirror.json').read_text())['info']['seed'] == 0
    assert '2/2' in done.stderr
    again = unsct(*common, '--seed', '3', '--quiet')
    assert again.returncode == 1 and 'another source or seed' in again.stderr
    assert 'Traceback' not in again.stderr and 'image/s' not in again.stderr
