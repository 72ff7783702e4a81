import numpy as np
from mmpose.registry import TRANSFORMS


def sample():
    rng = np.random.default_rng(0)
    return dict(
        img=np.full((128, 128, 3), 128, np.uint8),
        transformed_keypoints=rng.uniform(5, 122, (1, 24, 2)),
        keypoints_visible=np.ones((1, 24, 2), np.float32),
    )


def test_hidden_landmarks_become_absent_and_doubtful_ones_unlabelled():
    np.random.seed(0)
    transform = TRANSFORMS.build(dict(type='RandomCover', prob=1.0))
    absent = unlabelled = 0
    for _ in range(30):
        results = transform(sample())
        visible = results['keypoints_visible'][0]
        columns, rows = results['transformed_keypoints'][0].astype(int).T
        changed = (results['img'][..., 0] != 128)[rows, columns]
        assert not changed[(visible[:, 0] > 0) & (visible[:, 1] > 0)].any()
        absent += (visible[:, 0] == 0).sum()
        unlabelled += (visible[:, 1] == 0).sum()
    assert absent > 20
    assert unlabelled > 5


def test_an_absent_landmark_stays_absent_and_known():
    np.random.seed(1)
    transform = TRANSFORMS.build(dict(type='RandomCover', prob=1.0))
    for _ in range(20):
        results = sample()
        results['keypoints_visible'][0, :, 0] = 0
        visible = transform(results)['keypoints_visible'][0]
        assert (visible[:, 0] == 0).all()
        assert (visible[:, 1] == 1).all()


def test_nothing_happens_without_luck():
    results = TRANSFORMS.build(dict(type='RandomCover', prob=0.0))(sample())
    assert (results['img'] == 128).all()
    assert results['keypoints_visible'].all()
