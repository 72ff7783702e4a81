import numpy as np
import pytest

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.drawing.grids import heatmap_grid, paf_grid

PAIRS = relation_set('core').pairs


@pytest.fixture
def image():
    return np.zeros((80, 100), np.float32)


def test_a_grid_is_as_wide_as_asked(image):
    picture = heatmap_grid(image, np.zeros((24, 8, 8)), width_px=600)
    assert picture.shape[1] == 600 and picture.dtype == np.uint8


def test_each_heatmap_has_a_place_of_its_own(image):
    nothing = heatmap_grid(image, np.zeros((24, 8, 8)), width_px=600, columns=6)
    places = []
    for index in (0, 5, 18):
        maps = np.zeros((24, 8, 8))
        maps[index, 4, 4] = 1
        changed = (heatmap_grid(image, maps, width_px=600, columns=6) != nothing).any(axis=-1)
        rows, columns = np.nonzero(changed)
        places.append((rows.mean() // (len(nothing) / 4), columns.mean() // 100))
    assert places == [(0, 0), (0, 5), (3, 0)]


def test_each_relation_has_a_place_of_its_own(image):
    fields = np.zeros((2 * len(PAIRS), 8, 8))
    nothing = paf_grid(image, fields, PAIRS, width_px=800, columns=8)
    fields[2 * 9] = 1
    changed = (paf_grid(image, fields, PAIRS, width_px=800, columns=8) != nothing).any(axis=-1)
    rows, columns = np.nonzero(changed)
    assert (rows.mean() // (len(nothing) / 5), columns.mean() // 100) == (1, 1)


def test_maps_without_names_are_refused(image):
    with pytest.raises(ValueError, match='24 heatmaps'):
        heatmap_grid(image, np.zeros((17, 8, 8)))
    with pytest.raises(ValueError, match='channels'):
        paf_grid(image, np.zeros((24, 8, 8)), PAIRS)
