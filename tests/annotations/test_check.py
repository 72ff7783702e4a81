"""unsct check: all problems of a data set at once, as text and json."""

import json

import numpy as np
import pytest

from tests.golden_hip import GOLDEN_MM
from unsct_mmpose.anatomy import LANDMARK_NAMES
from unsct_mmpose.annotations.check import check_data
from unsct_mmpose.dicom.writer import write_radiograph

SPACING, SIZE = (2.0, 2.0), (215, 190)
POINTS = GOLDEN_MM / SPACING


@pytest.fixture
def data(tmp_path):
    """A sound data set of two splits, and a function that writes their records changed."""
    (tmp_path / 'images').mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 4096, SIZE[::-1], dtype=np.uint16)
        write_radiograph(
            tmp_path / 'images' / f'{number}.dcm', pixels, spacing_xy_mm=SPACING,
            magnification=1.1, source_detector_mm=1100, patient_id='p', uid_seed=str(number),
        )  # fmt: skip

    def write(**changes):
        for split, numbers in (('train', (0, 1)), ('val', (2, 3))):
            images, annotations = [], []
            for number in numbers:
                image = dict(
                    id=number, file_name=f'{number}.dcm', width=SIZE[0], height=SIZE[1],
                    pixel_spacing=list(SPACING), magnification=1.1, patient_id=f'p{number}',
                )  # fmt: skip
                points = POINTS
                if number == 3:
                    points = changes.get('points', POINTS)
                    image |= {k: v for k, v in changes.items() if k != 'points'}
                images.append(image)
                keypoints = np.c_[points, np.full(24, 2)].ravel().tolist()
                annotations.append(
                    dict(id=number, image_id=number, category_id=1, keypoints=keypoints)
                )
            categories = [dict(id=1, name='pelvis', keypoints=list(LANDMARK_NAMES))]
            content = dict(images=images, annotations=annotations, categories=categories)
            (tmp_path / f'{split}.json').write_text(json.dumps(content))
        return tmp_path

    return write


def found(folder, **options):
    result = check_data(folder, jobs=0, **options)
    document = json.loads(result.to_json())
    assert document['errors'] + document['doubts'] == len(document['problems'])
    assert result.to_text().count('\n') == len(document['problems']) + 1
    return [(problem.kind, problem.image, problem.words) for problem in result.problems]


def test_a_sound_data_set_has_no_problems(data):
    folder = data()
    assert found(folder) == []
    assert found(folder / 'train.json') == []
    assert check_data(folder, jobs=0).images == 4


@pytest.mark.parametrize(
    'changes, kind, words',
    [
        (dict(width=430, height=380, points=POINTS * 2), 'error', 'enlarged by 2'),
        (dict(width=190, height=215, points=POINTS - [30, 0]), 'error', 'exchanged, or the image'),
        (dict(width=214), 'error', 'has 215 x 190 pixels'),
        (dict(points=POINTS / SIZE), 'error', 'normalised'),
        (dict(points=POINTS[::-1].reshape(2, 12, 2)[:, ::-1].reshape(24, 2)), 'error', 'exchanged'),
        (dict(pixel_spacing=[2000, 2000]), 'error', 'spacing'),
        (dict(pixel_spacing=[1.8, 1.8]), 'doubt', 'lengths 0.9 times those of the file'),
        (dict(pixel_spacing=[1.0, 1.0], magnification=1.0), 'doubt', 'femoral head'),
        (dict(patient_id='p0'), 'error', "patient 'p0'"),
        (dict(file_name='none.dcm'), 'error', 'no such file'),
        (dict(file_name='0.dcm'), 'error', 'the content of'),
        (dict(mirrored=True), 'error', 'exchanged'),
    ],
)
def test_every_kind_of_contradiction_is_found(data, changes, kind, words):
    folder = data(**changes)
    problems = found(folder)
    assert any(problem[0] == kind and words in problem[2] for problem in problems), problems


def test_all_problems_come_at_once(data):
    folder = data(width=430, height=380, points=POINTS * 5, pixel_spacing=[200, 200])
    words = ' '.join(problem[2] for problem in found(folder))
    for part in ('outside its', 'micrometres', 'has 215 x 190 pixels'):
        assert part in words


def test_an_unreadable_image_is_an_error_and_no_end(data):
    folder = data(width=430, height=380, points=POINTS * 2)
    image = folder / 'images' / '0.dcm'
    image.write_bytes(image.read_bytes()[:2000])
    words = ' '.join(problem[2] for problem in found(folder))
    assert 'cannot be read' in words and 'enlarged by 2' in words
    assert not any('cannot be read' in problem[2] for problem in found(folder, decode=False))


def test_the_tool_prints_writes_and_says_how_it_went(data, unsct, tmp_path_factory):
    folder, out = data(width=214), tmp_path_factory.mktemp('out') / 'check.json'
    done = unsct('check', folder, '--json', out, '--jobs', '0')
    assert done.returncode == 1 and '1 errors, 0 doubts' in done.stdout, done.stderr
    assert json.loads(out.read_text())['errors'] == 1
    assert unsct('check', data(), '--jobs', '0').returncode == 0
    nothing = unsct('check', out.parent / 'none')
    assert nothing.returncode == 2 and 'no such folder' in nothing.stderr
