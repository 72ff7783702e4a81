"""The data set on disk: shares, patients, same bytes, resuming."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.phantom.digests import digests
from unsct_mmpose.annotations import check_patient_splits, read_annotations
from unsct_mmpose.dicom import read_radiograph
from unsct_mmpose.phantom import make_phantom as module
from unsct_mmpose.phantom.contact_sheet import contact_sheet
from unsct_mmpose.phantom.make_phantom import (
    SPLITS,
    PhantomOptions,
    make_phantom,
    plan_split,
)

ROOT = Path(__file__).resolve().parents[2]
FEW = PhantomOptions(train=3, val=2, test=1, seed=3, size=220)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('phantom') / 'data'
    make_phantom(folder, FEW, jobs=1, progress=False)
    return folder


@pytest.mark.parametrize(
    'split, total, hidden', [('train', 257, 32), ('val', 53, 18), ('test', 53, 18)]
)
def test_the_default_data_set_has_the_shares_of_the_paper(split, total, hidden):
    plans = plan_split(PhantomOptions(), split)
    assert len(plans) == total
    assert sum(plan.subset == 'unstructured' for plan in plans) == hidden


def test_patients_come_several_times_and_never_cross_splits():
    ids = {split: [p.patient_id for p in plan_split(PhantomOptions(), split)] for split in SPLITS}
    assert all(len(set(names)) < len(names) for names in ids.values())
    assert not set(ids['train']) & set(ids['val'])
    assert not (set(ids['train']) | set(ids['val'])) & set(ids['test'])


def test_every_patient_comes_as_often_as_asked_for():
    plans = plan_split(PhantomOptions(val=20, images_per_patient=5), 'val')
    assert [plan.patient for plan in plans] == sorted([0, 1, 2, 3] * 5)
    assert len({plan.name for plan in plans}) == 20
    # the file of a data set without the option is what it was before there was one
    assert 'images_per_patient' not in repr(PhantomOptions())


def test_the_plan_follows_from_the_seed_alone():
    assert plan_split(PhantomOptions(), 'val') == plan_split(PhantomOptions(size=256), 'val')
    assert plan_split(PhantomOptions(), 'val') != plan_split(PhantomOptions(seed=4), 'val')


def test_the_annotations_pass_every_check_of_the_reader(made):
    total = 0
    for split in SPLITS:
        file = read_annotations(
            made / f'{split}.json', image_root=made / 'images', require_spacing=True
        )
        assert len(file.cases) == getattr(FEW, split)
        assert file.info['simulated'] is True and file.info['seed'] == 3
        for case in file.cases:
            assert case.states.labelled.all()
            assert case.states.absent.any() == (case.subset == 'unstructured')
            total += 1
    assert total == 6
    check_patient_splits({split: made / f'{split}.json' for split in SPLITS})


def test_the_images_read_back_with_their_geometry(made):
    file = read_annotations(made / 'train.json')
    seen = set()
    for case in file.cases:
        radiograph = read_radiograph(made / 'images' / case.file_name)
        assert radiograph.pixels.shape == (220, 220)
        assert radiograph.pixels.min() >= 0 and radiograph.pixels.max() <= 1
        if radiograph.magnification != 1.0:
            assert radiograph.spacing_xy_mm == pytest.approx(case.spacing_xy_mm, rel=1e-6)
            assert radiograph.magnification == pytest.approx(case.magnification, rel=1e-6)
        else:
            at_patient = np.array(case.spacing_xy_mm) / case.magnification
            assert radiograph.spacing_xy_mm == pytest.approx(at_patient, rel=1e-6)
        # Bone bright, whatever the photometric interpretation.
        x, y = case.states.points[5].round().astype(int)
        assert radiograph.pixels[y, x] > np.median(radiograph.pixels)
        seen.add(case.extra['photometric'])
    assert seen <= {'MONOCHROME1', 'MONOCHROME2'}


def test_the_number_of_jobs_does_not_change_a_byte(made, tmp_path):
    make_phantom(tmp_path / 'again', FEW, jobs=2, progress=False)
    assert digests(tmp_path / 'again') == digests(made)


def test_an_interrupted_run_leaves_whole_files_and_is_continued(made, tmp_path, monkeypatch):
    folder, true_make = tmp_path / 'data', module._make_case
    done = []

    def stops(plan, **options):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(plan)
        true_make(plan, **options)

    monkeypatch.setattr(module, '_make_case', stops)
    with pytest.raises(KeyboardInterrupt):
        make_phantom(folder, FEW, jobs=1, progress=False)
    finished = sorted((folder / 'images').iterdir())
    assert len(finished) == 3 and not list(folder.rglob('*.tmp'))
    assert not (folder / 'train.json').exists()
    times = {path: path.stat().st_mtime_ns for path in finished}

    again = []
    monkeypatch.setattr(
        module,
        '_make_case',
        lambda plan, **options: (again.append(plan), true_make(plan, **options)),
    )
    make_phantom(folder, FEW, jobs=1, progress=False)
    assert len(again) == 3
    assert {path: path.stat().st_mtime_ns for path in finished} == times
    assert digests(folder) == digests(made)


def test_damaged_and_left_over_files_are_made_again(made, tmp_path):
    folder = tmp_path / 'data'
    make_phantom(folder, FEW, jobs=1, progress=False)
    broken = folder / 'images' / 'val_0001.dcm'
    broken.write_bytes(broken.read_bytes()[:1000])
    (folder / 'images' / '.val_0000.dcm.99999999.tmp').write_bytes(b'half')
    make_phantom(folder, FEW, jobs=1, progress=False)
    assert digests(folder) == digests(made)


def test_a_folder_with_other_options_is_refused(made):
    before = digests(made)
    with pytest.raises(ValueError, match='seed is 3 there, 4 here'):
        make_phantom(made, PhantomOptions(train=3, val=2, test=1, seed=4, size=220), progress=False)
    assert digests(made) == before


def test_a_folder_with_foreign_files_is_refused(tmp_path):
    (tmp_path / 'thesis.txt').write_text('mine')
    with pytest.raises(ValueError, match='not empty'):
        make_phantom(tmp_path, FEW, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ['thesis.txt']


@pytest.mark.parametrize(
    'options, words',
    [
        ({'train': -1}, 'negative'),
        ({'size': 0}, 'at least 1 pixel'),
        ({'size': 64}, 'choose 86 or more'),
        ({'spacing_mm': 0.0}, 'positive'),
        ({'spacing_mm': 0.5}, 'too small'),
        ({'bits': 8}, '12 to 16'),
        ({'seed': -1}, 'seed'),
        ({'images_per_patient': 0}, 'images_per_patient'),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        PhantomOptions(**options)


def test_empty_splits_make_no_files(tmp_path):
    paths = make_phantom(tmp_path / 'd', PhantomOptions(train=1, val=0, test=0, size=96), jobs=1,
                         progress=False)  # fmt: skip
    assert list(paths) == ['train']
    assert not (tmp_path / 'd' / 'val.json').exists()
    assert json.loads((tmp_path / 'd' / 'phantom.json').read_text())['train'] == 1


def test_the_tool_explains_itself_and_goes_on_with_its_own_options_only(tmp_path, unsct):
    assert '--contact-sheet' in unsct('phantom', '--help').stdout
    out = unsct('phantom', '--out', tmp_path / 'd', '--train', '1', '--val', '0', '--test', '0',
                '--size', '96', '--jobs', '1')  # fmt: skip
    assert out.returncode == 0, out.stderr
    assert (tmp_path / 'd' / 'train.json').exists()
    again = unsct('phantom', '--out', tmp_path / 'd', '--train', '2', '--size', '96')
    assert again.returncode == 1 and 'other options' in again.stderr
    assert 'Traceback' not in again.stderr


def test_what_a_worker_loads_is_little():
    """Each process loads it anew, before its first image."""
    program = (
        'import sys, unsct_mmpose.phantom.make_phantom\n'
        "heavy = {'matplotlib', 'mmengine', 'scipy', 'torch'} & set(sys.modules)\n"
        'assert not heavy, heavy'
    )
    subprocess.run([sys.executable, '-c', program], check=True, cwd=ROOT)


def test_the_contact_sheet_is_a_picture(tmp_path):
    contact_sheet(tmp_path / 'sheet.png', columns=1, tile=64)
    assert (tmp_path / 'sheet.png').read_bytes()[:4] == b'\x89PNG'
