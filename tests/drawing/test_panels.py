import numpy as np
import pytest
import torch

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.drawing.canvas import direction_colors
from unsct_mmpose.drawing.panels import (
    certainty_panel,
    field_vectors,
    heatmap_panel,
    paf_panel,
    strongest_vectors,
)
from unsct_mmpose.maps.heatmap import draw_heatmaps
from unsct_mmpose.maps.paf import draw_paf

PAIRS = relation_set('full').pairs
SIDE = 320


@pytest.fixture
def image():
    return np.zeros((128, 128), np.uint16)


@pytest.fixture
def points():
    return torch.from_numpy(np.random.default_rng(0).uniform(8, 24, (1, 24, 2)))


def brightness(picture):
    return picture[:SIDE].max(axis=-1).astype(int)


def test_a_heatmap_is_brightest_at_its_landmark(image):
    point = torch.tensor([[[10.0, 20.0]]])
    maps = draw_heatmaps(point, torch.ones(1, 1, dtype=torch.bool), (32, 32), 1.5)[0].numpy()
    bright = heatmap_panel(image, maps, long_side_px=SIDE)[:SIDE].sum(axis=-1, dtype=int)
    rows, columns = np.nonzero(bright > 0.95 * bright.max())
    assert abs(columns.mean() - 104.5) < 2 and abs(rows.mean() - 204.5) < 2  # 10 px a cell


def test_silent_maps_leave_the_radiograph_as_it_is(image):
    for picture in (
        heatmap_panel(image, np.zeros((24, 32, 32)), long_side_px=SIDE),
        paf_panel(image, np.zeros((104, 32, 32)), PAIRS, long_side_px=SIDE),
        certainty_panel(image, np.zeros((32, 32)), long_side_px=SIDE),
    ):
        assert brightness(picture).max() == 0


def test_a_map_of_half_the_image_stays_in_its_half(image):
    box = (-0.5, -0.5, 63.5, 127.5)
    bright = brightness(heatmap_panel(image, np.ones((1, 8, 8)), box=box, long_side_px=SIDE))
    assert bright[:, :150].min() > 100
    assert bright[:, 170:].max() == 0


def test_certain_is_bright(image):
    certainty = np.tile(np.linspace(0, 1, 32), (32, 1))
    bright = certainty_panel(image, certainty, long_side_px=SIDE)[:SIDE].sum(axis=-1)[160]
    assert (np.diff(bright[::20].astype(int)) > 0).all()


def test_opposite_directions_have_complementary_colours():
    vectors = np.array([[1.0, 0.0], [-1.0, 0.0]])
    right, left = direction_colors(vectors)[:, :3]
    np.testing.assert_allclose(right + left, 1.25, atol=1e-6)


def test_a_short_vector_is_transparent():
    assert direction_colors(np.array([[0.2, 0.0]]))[0, 3] == pytest.approx(0.2)


def test_vectors_of_a_drawn_field_point_from_tail_to_head(points):
    field = draw_paf(points, torch.ones(1, 24, dtype=torch.bool), PAIRS, (32, 32))[0].numpy()
    vectors = field_vectors(field, PAIRS)
    tail, head = points[0, PAIRS[0][0]].numpy(), points[0, PAIRS[0][1]].numpy()
    x, y = np.rint(tail).astype(int)
    np.testing.assert_allclose(
        vectors[0, y, x], (head - tail) / np.linalg.norm(head - tail), atol=1e-6
    )


def test_the_strongest_vector_of_a_cell_wins():
    vectors = np.zeros((3, 1, 1, 2))
    vectors[:, 0, 0] = [(0.3, 0.0), (0.0, -0.9), (0.5, 0.5)]
    assert strongest_vectors(vectors)[0, 0].tolist() == [0.0, -0.9]


def test_arrows_are_drawn_on_a_field(image, points):
    field = draw_paf(points, torch.ones(1, 24, dtype=torch.bool), PAIRS, (32, 32))[0].numpy()
    picture = paf_panel(image, field, PAIRS, long_side_px=SIDE)
    assert (picture[:SIDE] == 255).all(axis=-1).any()


def test_fields_that_do_not_fit_the_relations_are_refused(image):
    with pytest.raises(ValueError, match='104 channels'):
        paf_panel(image, np.zeros((68, 8, 8)), PAIRS)
    with pytest.raises(ValueError, match='channels, h, w'):
        heatmap_panel(image, np.zeros((8, 8)))
