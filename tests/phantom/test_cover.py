import numpy as np
import pytest

from unsct_mmpose.phantom.cover import cover_part


@pytest.mark.parametrize('seed', range(40))
def test_hidden_landmarks_lie_under_the_cover_and_clear_ones_do_not(seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(20, 60, (96, 128), dtype=np.uint8)
    points = rng.integers((2, 2), (126, 94), (24, 2)).astype(float)
    covered = cover_part(pixels, points, rng)
    changed = covered.pixels != pixels
    under = changed[points[:, 1].astype(int), points[:, 0].astype(int)]
    assert under[covered.hidden].all()
    assert not under[~covered.hidden & ~covered.doubtful].any()
    assert not (covered.hidden & covered.doubtful).any()


def test_the_zone_of_doubt_widens_with_its_setting():
    doubtful = []
    for edge in (0.0, 0.02, 0.1):
        count = 0
        for seed in range(60):
            rng = np.random.default_rng(seed)
            points = np.random.default_rng(seed + 1000).uniform(0, 95, (24, 2))
            count += cover_part(np.zeros((96, 96), np.uint8), points, rng, edge=edge).doubtful.sum()
        doubtful.append(count)
    assert doubtful[0] == 0
    assert doubtful[0] < doubtful[1] < doubtful[2]


def test_the_input_stays_as_it_was():
    pixels = np.full((64, 64), 128, np.uint8)
    cover_part(pixels, np.full((24, 2), 30.0), np.random.default_rng(0))
    assert (pixels == 128).all()
