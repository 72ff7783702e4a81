import json
from collections import Counter

import numpy as np
import pytest

from unsct_mmpose.annotations import AnnotationError, check_patient_splits, split_by_patient
from unsct_mmpose.annotations.splits import PAPER_IMAGES, paper_shares


def _file(tmp_path, name, patients):
    images = [
        {'id': number, 'file_name': f'{name}_{number}.dcm', 'patient_id': patient}
        for number, patient in enumerate(patients)
    ]
    path = tmp_path / f'{name}.json'
    path.write_text(json.dumps({'images': images, 'annotations': [], 'categories': []}))
    return path


def test_splits_without_common_patients_pass(tmp_path):
    splits = {'train': _file(tmp_path, 'train', 'aab'), 'val': _file(tmp_path, 'val', 'ccd')}
    check_patient_splits(splits)


def test_a_common_patient_is_named_with_both_splits(tmp_path):
    splits = {
        'train': _file(tmp_path, 'train', 'aab'),
        'val': _file(tmp_path, 'val', 'cb'),
        'test': _file(tmp_path, 'test', 'd'),
    }
    with pytest.raises(AnnotationError, match="patient 'b' is in train and val") as caught:
        check_patient_splits(splits)
    assert len(caught.value.problems) == 1


def test_numbers_and_text_are_the_same_patient(tmp_path):
    splits = {'train': _file(tmp_path, 'train', [7]), 'val': _file(tmp_path, 'val', ['7 '])}
    with pytest.raises(AnnotationError, match='train and val'):
        check_patient_splits(splits)


@pytest.mark.parametrize('patient', [None, '', ' '])
def test_an_image_without_patient_is_an_error(tmp_path, patient):
    splits = {'train': _file(tmp_path, 'train', ['a', patient]), 'val': _file(tmp_path, 'val', 'b')}
    with pytest.raises(AnnotationError, match=r"'train'.*train_1\.dcm.*patient_id"):
        check_patient_splits(splits)


def test_the_simulated_radiographs_are_split_by_patient(shared_data):
    folder = shared_data / 'vsd_ap'
    check_patient_splits({'train': folder / 'train.json', 'val': folder / 'val.json'})
    with pytest.raises(AnnotationError, match='12 problems'):
        check_patient_splits({'train': folder / 'train.json', 'again': folder / 'train.json'})


@pytest.mark.parametrize('seed', range(5))
def test_every_image_is_in_one_split_and_every_patient_too(seed):
    images = [{'id': n, 'patient_id': f'p{n * n % 23}'} for n in range(200)]
    parts = split_by_patient(images, {'train': 0.6, 'val': 0.2, 'test': 0.2}, seed)
    assert sorted(image['id'] for part in parts.values() for image in part) == list(range(200))
    homes = Counter(
        patient for part in parts.values() for patient in {image['patient_id'] for image in part}
    )
    assert set(homes.values()) == {1}
    for part in parts.values():
        assert part and [image['id'] for image in part] == sorted(image['id'] for image in part)


def test_shares_are_close_to_the_fractions():
    images = [{'patient_id': n // 2} for n in range(400)]
    parts = split_by_patient(images, {'train': 0.7, 'val': 0.1, 'test': 0.2}, seed=3)
    assert len(parts['train']) == pytest.approx(280, abs=4)
    assert len(parts['val']) == pytest.approx(40, abs=4)


def test_a_split_depends_on_the_seed_only():
    images = [{'patient_id': f'p{n}'} for n in range(40)]
    fractions = {'train': 0.5, 'val': 0.5}
    first = split_by_patient(images, fractions, 1)
    assert first == split_by_patient(images, fractions, 1) != split_by_patient(images, fractions, 2)
    shuffled = split_by_patient(images[::-1], fractions, 1)
    key = str
    assert sorted(map(key, shuffled['val'])) == sorted(map(key, first['val']))


@pytest.mark.parametrize('fractions', [{'a': 0.5}, {'a': 0.7, 'b': 0.7}, {'a': 1.2, 'b': -0.2}])
def test_fractions_must_add_up(fractions):
    with pytest.raises(ValueError, match='add up to 1'):
        split_by_patient([{'patient_id': 'a'}, {'patient_id': 'b'}], fractions, 0)


def test_fewer_patients_than_splits_is_an_error():
    with pytest.raises(AnnotationError, match='1 patients'):
        split_by_patient([{'patient_id': 'a'}] * 9, {'train': 0.5, 'val': 0.5}, 0)


def test_images_without_patient_cannot_be_split():
    with pytest.raises(AnnotationError, match='patient_id'):
        split_by_patient([{'patient_id': None}], {'train': 1.0}, 0)


def paper_like(seed):
    """310 images of 204 patients, 50 of them unstructured: the paper's data."""
    rng = np.random.default_rng(seed)
    patients = [*range(204), *rng.choice(204, 106).tolist()]
    subsets = ['unstructured'] * 50 + ['structured'] * 260
    rng.shuffle(subsets)
    return [
        {'id': n, 'patient_id': f'p{patient}', 'subset': subset}
        for n, (patient, subset) in enumerate(zip(patients, subsets, strict=True))
    ]


@pytest.mark.parametrize('seed', range(8))
def test_the_papers_numbers_come_out_of_data_like_the_papers(seed):
    images = paper_like(seed)
    parts = split_by_patient(images, paper_shares(), seed)
    for name, wanted in PAPER_IMAGES.items():
        counts = Counter(image['subset'] for image in parts[name])
        for subset, number in wanted.items():
            assert abs(counts[subset] - number) <= 1, (name, subset, counts)
    patients = [{image['patient_id'] for image in part} for part in parts.values()]
    assert not patients[0] & patients[1]


def test_a_validation_split_is_taken_from_the_training_images():
    parts = split_by_patient(paper_like(0), paper_shares(0.2), 1)
    assert list(parts) == ['train', 'val', 'test']
    assert len(parts['val']) == pytest.approx(0.2 * 257, abs=2)
    assert len(parts['test']) == pytest.approx(53, abs=2)


@pytest.mark.parametrize('patients', [2, 3, 5])
def test_no_split_stays_without_a_patient(patients):
    images = [{'patient_id': n, 'subset': 'structured'} for n in range(patients)]
    for seed in range(10):
        assert all(split_by_patient(images, paper_shares(), seed).values())


def test_a_subset_without_a_share_is_an_error():
    with pytest.raises(AnnotationError, match="subset 'odd' has no share"):
        split_by_patient([{'patient_id': 1, 'subset': 'odd'}] * 3, paper_shares(), 0)


@pytest.mark.parametrize('validation', [-0.1, 1.0])
def test_a_validation_share_outside_0_to_1_is_refused(validation):
    with pytest.raises(ValueError, match='validation must be a share'):
        paper_shares(validation)
