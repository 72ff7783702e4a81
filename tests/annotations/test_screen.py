"""What the pass over the whole file lets by is what a look at each image finds nothing in."""

import json

import numpy as np
import pytest

from tests.golden_hip import GOLDEN_MM
from unsct_mmpose.anatomy import FLIP_INDICES, HIP, LANDMARK_NAMES
from unsct_mmpose.annotations import coco
from unsct_mmpose.annotations.screen import screen

SIZE, SPACING = (860, 760), [0.5, 0.5]
POINTS = GOLDEN_MM / SPACING


def move(points, seen, image, rng):
    points[rng.integers(24)] += rng.normal(0, 150, 2)


def swap(points, seen, image, rng):
    k = rng.integers(24)
    points[[k, FLIP_INDICES[k]]] = points[[FLIP_INDICES[k], k]]


def put_on_one_place(points, seen, image, rng):
    points[:] = rng.choice([0.0, 55.0])


def put_one_in_the_corner(points, seen, image, rng):
    points[rng.integers(24)] = 0


def normalise(points, seen, image, rng):
    points /= SIZE


def hide(points, seen, image, rng):
    seen[rng.random(24) < rng.choice([0.2, 0.95])] = 0
    image['absent'] = [LANDMARK_NAMES[k] for k in np.flatnonzero(seen == 0)]


def break_a_number(points, seen, image, rng):
    points[rng.integers(24), 0] = rng.choice([np.nan, np.inf])


def break_a_state(points, seen, image, rng):
    seen[rng.integers(24)] = 3


def record(**changes):
    def change(points, seen, image, rng):
        image.update(changes)

    return change


CHANGES = [
    move, swap, put_on_one_place, put_one_in_the_corner, normalise, hide, break_a_number,
    break_a_state, record(), record(mirrored=True), record(mirrored='kept'),
    record(pixel_spacing=[0.3, 0.3]), record(pixel_spacing=['0,5', '0,5']),
    record(pixel_spacing=None), record(magnification=1.9), record(magnification='large'),
    record(width='860'), record(width=300), record(absent=['left_foeva']),
    record(absent=[LANDMARK_NAMES[0]]), record(labelled=[LANDMARK_NAMES[0]], subset='structured'),
]  # fmt: skip


def document(rounds, broken=()):
    rng, images, annotations = np.random.default_rng(0), [], []
    for index, change in enumerate(CHANGES * rounds):
        image = dict(id=index, file_name=f'{index}.png', width=SIZE[0], height=SIZE[1],
                     pixel_spacing=SPACING, magnification=1.15)  # fmt: skip
        points, seen = POINTS.copy(), np.full(24, 2.0)
        change(points, seen, image, rng)
        keypoints = np.c_[np.where(seen[:, None] > 0, points, 0), seen].ravel().tolist()
        images.append(image)
        annotations.append(dict(image_id=index, category_id=1, keypoints=keypoints))
    annotations += [dict(image_id=len(images) + k, keypoints=row) for k, row in enumerate(broken)]
    images += [
        {**images[8], 'id': len(images) + k, 'file_name': f'b{k}'} for k in range(len(broken))
    ]
    category = dict(id=1, name='pelvis', keypoints=list(LANDMARK_NAMES))
    return dict(images=images, annotations=annotations, categories=[category])


def outcome(path):
    cases, problems = coco.find_problems(path)
    told = [
        None if case is None
        else (case.states.points.tolist(), case.states.present.tolist(),
              case.states.absent.tolist(), case.subset)
        for _, case in cases
    ]  # fmt: skip
    return told, list(map(str, problems))


@pytest.mark.parametrize('broken', [(), ([], [1.0] * 71, ['x'] * 72, [None] * 72, None)])
def test_problems_doubts_and_cases_are_those_of_a_look_at_each(tmp_path, monkeypatch, broken):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(document(6, broken)))
    quick = outcome(path)

    def trust_nothing(images, annotations, landmarks):
        points, present, sound = screen(images, annotations, landmarks)
        return points, present, np.zeros_like(sound)

    monkeypatch.setattr(coco, 'screen', trust_nothing)
    slow = outcome(path)
    assert quick == slow
    assert len(slow[1]) > 60 and sum(case is not None for case in slow[0]) > 30


def test_sound_images_are_not_looked_at_again():
    content = document(1)
    *_, sound = screen(content['images'], content['annotations'], HIP)
    unchanged = CHANGES.index(next(change for change in CHANGES if change.__name__ == 'change'))
    assert sound[unchanged] and sound.sum() >= 5
    assert not sound[1:5].any()
