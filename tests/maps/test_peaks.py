"""The strongest peaks of heatmaps."""

import numpy as np
import pytest
import torch

from unsct_mmpose.maps.evidence import find_peaks
from unsct_mmpose.maps.heatmap import draw_heatmaps

SIZES = pytest.mark.parametrize('size_hw', [(32, 48), (32, 43), (33, 32), (7, 90)])


def slow_peaks(heatmap, count, radius):
    """Take the highest cell, wipe out the disc around it, and so on."""
    rest, found = heatmap.copy(), []
    y, x = np.mgrid[: heatmap.shape[0], : heatmap.shape[1]]
    for _ in range(count):
        row, column = np.unravel_index(rest.argmax(), rest.shape)
        found.append(((column, row), rest[row, column]))
        rest[(x - column) ** 2 + (y - row) ** 2 <= radius**2] = 0
    return [peak if peak[1] > 0 else (found[0][0], 0) for peak in found]


def random_maps(size_hw, seed=0, batch=3, landmarks=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, landmarks, *size_hw, generator=generator)


@pytest.mark.parametrize('radius', [0.0, 3.0, 6.0, 7.3])
def test_maps_of_any_size_are_searched_like_cell_by_cell(radius):
    maps = random_maps((19, 26))
    peaks = find_peaks(maps, 4, radius)
    for image in range(3):
        for landmark in range(4):
            expected = slow_peaks(maps[image, landmark].numpy(), 4, radius)
            for rank, (point, value) in enumerate(expected):
                assert peaks.points[image, landmark, rank].tolist() == list(point)
                assert peaks.values[image, landmark, rank] == value


@SIZES
def test_peaks_far_apart_are_found_exactly_and_the_strongest_first(size_hw):
    height, width = size_hw
    places = np.array([[1, 2], [width - 1, height - 1], [width // 2, height // 3]])
    heights = np.array([0.7, 0.95, 0.4])
    points = torch.from_numpy(places[None]).double()
    blobs = draw_heatmaps(points, torch.ones(1, 3, dtype=torch.bool), size_hw, 1.5)
    maps = (blobs * torch.from_numpy(heights)[:, None, None]).amax(dim=1, keepdim=True)
    peaks = find_peaks(maps, 3, 5.0)
    order = np.argsort(-heights)
    assert peaks.points[0, 0].tolist() == places[order].tolist()
    assert peaks.values[0, 0].tolist() == pytest.approx(heights[order])
    assert slow_peaks(maps[0, 0].numpy(), 3, 5.0)[2][0] == tuple(places[2])


@SIZES
def test_peaks_lie_farther_apart_than_the_radius_and_where_their_values_are(size_hw):
    maps = random_maps(size_hw, batch=20)
    peaks = find_peaks(maps, 3, 6.0)
    apart = (peaks.points[..., :, None, :] - peaks.points[..., None, :, :]).norm(dim=-1)
    assert apart[..., [0, 0, 1], [1, 2, 2]].min() > 6
    x, y = peaks.points.long().unbind(-1)
    at = maps[torch.arange(20)[:, None, None], torch.arange(4)[:, None], y, x]
    assert torch.equal(at, peaks.values)
    assert torch.equal(peaks.values[..., 0], maps.flatten(2).amax(dim=-1))
    assert (peaks.values.diff(dim=-1) <= 0).all()


@SIZES
def test_a_map_of_one_value_has_its_first_cell_and_others_far_from_it(size_hw):
    peaks = find_peaks(torch.full((1, 1, *size_hw), 0.25), 2, 6.0)
    assert peaks.points[0, 0, 0].tolist() == [0, 0]
    assert peaks.points[0, 0, 1].norm() > 6
    assert peaks.values.tolist() == [[[0.25, 0.25]]]


@SIZES
@pytest.mark.parametrize('value', [0.0, -0.5])
def test_a_map_without_a_peak_repeats_its_first_place_with_value_0(size_hw, value):
    peaks = find_peaks(torch.full((1, 2, *size_hw), value), 3)
    assert peaks.points.shape == (1, 2, 3, 2)
    assert not peaks.points.any()
    assert peaks.values[..., 0].unique().tolist() == [value]
    assert not peaks.values[..., 1:].any()


@SIZES
def test_a_map_of_one_peak_repeats_it_with_value_0(size_hw):
    maps = torch.zeros(1, 1, *size_hw)
    maps[0, 0, 5, 9] = 0.8
    peaks = find_peaks(maps, 3)
    assert peaks.points.tolist() == [[[[9, 5]] * 3]]
    assert peaks.values[0, 0].tolist() == pytest.approx([0.8, 0, 0])


def test_a_map_smaller_than_the_radius_has_one_place():
    maps = random_maps((4, 4))
    assert not find_peaks(maps, 2, 6.0).values[..., 1].any()


def test_of_equal_peaks_each_is_a_peak():
    maps = torch.zeros(1, 1, 16, 32)
    maps[0, 0, 3, 30] = maps[0, 0, 12, 2] = 0.5
    peaks = find_peaks(maps, 2)
    assert sorted(peaks.points[0, 0].tolist()) == [[2, 12], [30, 3]]
    assert peaks.values.tolist() == [[[0.5, 0.5]]]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_maps_give_whole_cells_in_single_precision(dtype):
    maps = torch.zeros(1, 1, 8, 400, dtype=dtype)
    maps[0, 0, 3, 301] = 1
    peaks = find_peaks(maps, 1)
    assert peaks.points.dtype == torch.float32
    assert peaks.points.tolist() == [[[[301, 3]]]]


def test_a_map_with_nan_peaks_at_nan_and_does_not_hide_it():
    maps = random_maps((8, 8))
    maps[1, 2, 5, 5] = torch.nan
    bad = find_peaks(maps, 2).values[..., 0].isnan()
    assert bad.nonzero().tolist() == [[1, 2]]


def test_finding_leaves_the_maps_alone():
    maps = random_maps((16, 16))
    copy = maps.clone()
    find_peaks(maps, 3)
    assert torch.equal(maps, copy)
