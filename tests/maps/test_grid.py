import numpy as np
import pytest
import torch

from unsct_mmpose.maps.grid import cells_to_pixels, coarsen_heatmaps, pixels_to_cells

SIZES = [((256, 256), (64, 64)), ((384, 256), (96, 32)), ((30, 50), (30, 50))]


@pytest.mark.parametrize(('input_wh', 'map_wh'), SIZES)
def test_cells_and_pixels_are_inverse(input_wh, map_wh):
    points = np.random.default_rng(0).uniform(-5, 300, (4, 24, 2))
    back = cells_to_pixels(pixels_to_cells(points, input_wh, map_wh), input_wh, map_wh)
    np.testing.assert_allclose(back, points)


@pytest.mark.parametrize(('input_wh', 'map_wh'), SIZES)
def test_mirroring_pixels_mirrors_cells_without_a_shift(input_wh, map_wh):
    points = np.random.default_rng(1).uniform(0, 200, (24, 2))
    mirrored = points * [-1, 1] + [input_wh[0] - 1, 0]
    expected = pixels_to_cells(points, input_wh, map_wh) * [-1, 1] + [map_wh[0] - 1, 0]
    np.testing.assert_allclose(pixels_to_cells(mirrored, input_wh, map_wh), expected)


def test_the_first_cell_is_centred_on_its_block_of_pixels():
    assert cells_to_pixels(np.zeros(2), (256, 128), (64, 32)).tolist() == [1.5, 1.5]


def test_coarse_heatmaps_keep_every_peak_in_its_block():
    heatmaps = torch.zeros(2, 3, 16, 16)
    heatmaps[0, 1, 5, 14] = 1.0
    coarse = coarsen_heatmaps(heatmaps, (4, 4))
    assert coarse.shape == (2, 3, 4, 4)
    assert coarse[0, 1, 1, 3] == 1.0
    assert coarse.sum() == 1.0


def test_the_same_size_returns_the_same_heatmaps():
    heatmaps = torch.rand(1, 2, 8, 8)
    assert coarsen_heatmaps(heatmaps, (8, 8)) is heatmaps
