"""The lead letter: read where it is plain, silent where it is not."""

import cv2
import numpy as np
import pytest

from unsct_mmpose.dicom import read_radiograph
from unsct_mmpose.dicom.marker import find_markers


def film(letter='R', x=60, y=400, height=600):
    rng = np.random.default_rng(0)
    soft = cv2.GaussianBlur(rng.random((height, 700)).astype(np.float32), (0, 0), 60)
    soft = (soft - soft.min()) / np.ptp(soft) * 0.3
    drawn = np.zeros(soft.shape, np.uint8)
    if letter:
        cv2.putText(drawn, letter, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2, cv2.LINE_AA)
    return np.clip(soft + drawn / 400 + rng.normal(0, 0.004, soft.shape), 0, 1).astype(np.float32)


@pytest.mark.parametrize('letter, x', [('R', 60), ('L', 620)])
def test_a_letter_is_read_and_its_mirror_image_contradicts(letter, x):
    image = film(letter, x)
    (found,) = find_markers(image)
    assert (found.letter, found.mirrored, found.contradicts) == (letter, False, False)
    (found,) = find_markers(image[:, ::-1])
    assert (found.letter, found.mirrored, found.contradicts) == (letter, True, True)


@pytest.mark.parametrize('letter, x', [('R', 620), ('L', 60)])
def test_a_letter_on_the_other_side_contradicts(letter, x):
    (found,) = find_markers(film(letter, x))
    assert not found.mirrored and found.contradicts


@pytest.mark.parametrize('letter', ['', 'O', 'X', 'T', '8', 'I'])
def test_other_letters_and_none_say_nothing(letter):
    assert find_markers(film(letter)) == []


def test_a_wide_image_shows_its_letter_and_as_many_specks_as_it_likes():
    image = np.pad(film('R', 60), ((0, 0), (0, 2900)), constant_values=0.1)
    assert [marker.letter for marker in find_markers(image)] == ['R']
    specks = np.zeros((600, 4700), np.float32)
    specks[::2, ::2] = 1
    specks[:, :200] = image[:, :200]
    assert [marker.letter for marker in find_markers(specks)] == ['R']


def test_a_blank_and_a_tiny_image_say_nothing():
    for shape in ((600, 700), (3, 5), (1, 1)):
        assert find_markers(np.zeros(shape, np.float32)) == []


def test_simulated_radiographs_raise_no_false_alarm(shared_data):
    paths = sorted((shared_data / 'vsd_ap' / 'images').glob('*.dcm'))[::16]
    assert len(paths) == 13
    for path in paths:
        assert not any(marker.contradicts for marker in find_markers(read_radiograph(path).pixels))
