"""The heatmap's own spread: how wide, which way, and never without a size."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unsct_mmpose.maps.heatmap import draw_heatmaps, find_peaks, refine_peaks
from unsct_mmpose.maps.moments import local_moments

CELL = 1 / 12


def blob(size_hw, centre, deviations=(2.0, 2.0), degrees=0.0):
    """Return a Gaussian whose first axis is turned by an angle from x towards y."""
    y, x = np.mgrid[: size_hw[0], : size_hw[1]] - np.array(centre)[::-1, None, None]
    turn = math.radians(degrees)
    along = x * math.cos(turn) + y * math.sin(turn)
    across = -x * math.sin(turn) + y * math.cos(turn)
    values = np.exp(-0.5 * ((along / deviations[0]) ** 2 + (across / deviations[1]) ** 2))
    return torch.from_numpy(values)[None, None]


def at(*points):
    return torch.tensor([points], dtype=torch.float64)


def slow_moments(heatmap, column, row, sigma):
    """Sum cell by cell over the window, with what counts in it."""
    reach = max(2, math.ceil(3 * sigma))
    height, width = heatmap.shape
    cells = [
        (x, y, heatmap[y, x])
        for y in range(max(0, row - reach), min(height, row + reach + 1))
        for x in range(max(0, column - reach), min(width, column + reach + 1))
    ]
    top = max(value for _, _, value in cells)
    x, y, value = np.array([cell for cell in cells if cell[2] >= 0.1 * top and cell[2] > 0]).T
    covariance = np.cov(np.stack([x, y]), aweights=value, ddof=0) + np.eye(2) * CELL
    room = [min(column, width - 1 - column), min(row, height - 1 - row)]
    mean = [
        np.average(axis[abs(axis - own) <= far], weights=value[abs(axis - own) <= far])
        for axis, own, far in zip((x, y), (column, row), room, strict=True)
    ]
    return mean, covariance


# Against a plain reading


@pytest.mark.parametrize('sigma', [0.5, 1.3, 2.0])
def test_moments_are_the_weighted_sums_over_the_window(sigma):
    rng = np.random.default_rng(0)
    maps = rng.normal(0.3, 0.4, (2, 5, 17, 23))
    columns, rows = rng.integers(0, 23, (2, 5)), rng.integers(0, 17, (2, 5))
    columns[0, :2], rows[0, :2] = (0, 22), (0, 16)
    cells = torch.from_numpy(np.stack([columns, rows], axis=-1)).double()
    mean, covariance = local_moments(torch.from_numpy(maps), cells, sigma)
    for image in range(2):
        for index in range(5):
            expected = slow_moments(
                maps[image, index], columns[image, index], rows[image, index], sigma
            )
            np.testing.assert_allclose(mean[image, index], expected[0], atol=1e-9)
            np.testing.assert_allclose(covariance[image, index], expected[1], atol=1e-9)


def test_a_round_gaussian_has_nearly_its_own_variance():
    for sigma in (1.0, 2.0, 3.0):
        moments = local_moments(blob((41, 41), (20, 20), (sigma, sigma)), at((20, 20)), sigma)
        variances = moments.covariance[0, 0].diagonal() - CELL
        assert (variances > 0.65 * sigma**2).all() and (variances < sigma**2).all()
        assert moments.covariance[0, 0, 0, 1].item() == pytest.approx(0, abs=1e-12)


def test_a_single_cell_has_the_size_of_a_cell():
    maps = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    maps[0, 0, 4, 6] = 0.7
    mean, covariance = local_moments(maps, at((6, 4)), 2.0)
    assert mean.tolist() == [[[6, 4]]]
    torch.testing.assert_close(covariance[0, 0], torch.eye(2, dtype=torch.float64) * CELL)


def test_faint_values_do_not_count():
    maps = blob((31, 31), (15, 15), (1.5, 1.5))
    noise = torch.rand(maps.shape, generator=torch.Generator().manual_seed(0)) * 0.09
    quiet = torch.where(maps >= 0.1, maps, torch.zeros_like(maps))
    loud = torch.where(maps >= 0.1, maps, noise)
    for clean, dirty in zip(
        local_moments(quiet, at((15, 15)), 2.0), local_moments(loud, at((15, 15)), 2.0), strict=True
    ):
        torch.testing.assert_close(dirty, clean)


# How moments follow the map


@pytest.mark.parametrize('degrees', [0, 20, 45, 90, 130, 170])
def test_a_long_blob_has_its_own_axes(degrees):
    maps = blob((41, 41), (20, 20), (3.0, 1.2), degrees)
    covariance = local_moments(maps, at((20, 20)), 2.5).covariance[0, 0].numpy()
    values, vectors = np.linalg.eigh(covariance)
    angle = math.degrees(math.atan2(vectors[1, 1], vectors[0, 1])) % 180
    assert min(abs(angle - degrees), 180 - abs(angle - degrees)) < 2
    assert values[1] / values[0] > 3.5


def test_a_quarter_turn_of_the_map_turns_the_moments():
    maps = blob((25, 25), (11, 14), (2.5, 1.0), 30) + 0.3 * blob((25, 25), (15, 10))
    mean, covariance = local_moments(maps, at((11, 14)), 1.7)
    # rot90 takes (x, y) to (y, 24 - x)
    turned = local_moments(torch.rot90(maps, 1, (2, 3)), at((14, 24 - 11)), 1.7)
    turn = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(turned.mean, mean @ turn.T + torch.tensor([0.0, 24.0]))
    torch.testing.assert_close(turned.covariance, turn @ covariance @ turn.T)


def test_transposing_the_map_swaps_the_axes():
    maps = blob((20, 30), (13, 8), (2.5, 1.2), 25)
    mean, covariance = local_moments(maps, at((13, 8)), 1.5)
    swapped = local_moments(maps.transpose(2, 3), at((8, 13)), 1.5)
    torch.testing.assert_close(swapped.mean, mean.flip(-1))
    torch.testing.assert_close(swapped.covariance, covariance.flip(-1).flip(-2))


def test_moving_the_map_by_whole_cells_moves_the_mean_alone():
    maps = blob((40, 40), (15.3, 17.8), (2.2, 1.1), 60)
    mean, covariance = local_moments(maps, at((15, 18)), 1.5)
    moved = local_moments(torch.roll(maps, (5, 3), (2, 3)), at((18, 23)), 1.5)
    torch.testing.assert_close(moved.mean, mean + torch.tensor([3.0, 5.0]))
    torch.testing.assert_close(moved.covariance, covariance)


def test_brightness_does_not_matter():
    maps = blob((25, 25), (12.2, 11.7), (2.0, 1.3), 30)
    for bright, plain in zip(
        local_moments(7 * maps, at((12, 12)), 2.0), local_moments(maps, at((12, 12)), 2.0),
        strict=True,
    ):  # fmt: skip
        torch.testing.assert_close(bright, plain)


def test_a_second_peak_within_reach_widens_the_covariance_towards_it():
    maps = blob((31, 31), (15, 15), (1.0, 1.0))
    double = maps + 0.8 * blob((31, 31), (19, 15), (1.0, 1.0))
    one, two = (local_moments(m, at((15, 15)), 1.5).covariance[0, 0] for m in (maps, double))
    assert two[0, 0] > 3 * one[0, 0]
    assert two[1, 1].item() == pytest.approx(one[1, 1].item(), rel=0.05)


def test_what_lies_beyond_three_sigma_is_not_read():
    maps = blob((15, 40), (8, 7), (1.0, 1.0))
    far = maps + blob((15, 40), (30, 7), (1.0, 1.0))
    torch.testing.assert_close(local_moments(far, at((8, 7)), 2.0)[1],
                               local_moments(maps, at((8, 7)), 2.0)[1])  # fmt: skip


# Never without a size


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    kind=st.sampled_from(['noise', 'constant', 'zero', 'negative', 'spike']),
    sigma=st.floats(0.3, 4),
)
def test_a_covariance_is_positive_definite_whatever_the_map(seed, height, width, kind, sigma):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(1, 4, height, width, generator=generator)
    if kind in ('constant', 'zero', 'negative'):
        maps = torch.full_like(maps, dict(constant=0.4, zero=0.0, negative=-0.3)[kind])
    if kind == 'spike':
        maps = torch.where(maps > 1, 1e4 * maps, torch.zeros_like(maps))
    corners = [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)]
    cells = torch.tensor([corners], dtype=torch.float32)
    mean, covariance = local_moments(maps, cells, sigma)
    assert torch.isfinite(mean).all()
    assert torch.linalg.eigvalsh(covariance).min() > 0.9 * CELL
    torch.testing.assert_close(covariance, covariance.transpose(-1, -2))
    assert (mean - cells).abs().max() == 0  # at a corner there is no other side to weigh against


# As a refinement


def test_the_mean_reads_landmarks_between_cells():
    points = torch.rand(1, 300, 2, generator=torch.Generator().manual_seed(0)) * 15 + 12
    maps = draw_heatmaps(points, torch.ones(1, 300, dtype=torch.bool), (40, 40), 2.0)
    peaks, _ = find_peaks(maps)
    errors = refine_peaks(maps, peaks, 'integral', 2.0) - points
    assert errors.norm(dim=-1).max() < 0.08
    assert errors.norm(dim=-1).mean() < 0.1 * (peaks - points).norm(dim=-1).mean()
    assert errors.mean(dim=1).abs().max() < 0.01


def test_the_border_does_not_pull_the_mean():
    y, x = torch.meshgrid(torch.arange(20), torch.arange(26), indexing='ij')
    points = torch.stack([x, y], dim=-1).reshape(1, -1, 2).double()
    maps = draw_heatmaps(points, torch.ones(points.shape[:2], dtype=torch.bool), (20, 26), 2.0)
    torch.testing.assert_close(local_moments(maps, points, 2.0).mean, points)


def test_near_the_border_the_mean_errs_by_no_more_than_the_peak():
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(1, 400, 2, generator=generator) * torch.tensor([25.0, 4.0])
    maps = draw_heatmaps(points, torch.ones(1, 400, dtype=torch.bool), (20, 26), 2.0)
    peaks, _ = find_peaks(maps)
    error = (local_moments(maps, peaks, 2.0).mean - points).abs()
    assert (error <= (peaks - points).abs() + 0.06).all()


def test_a_batch_reads_like_its_images():
    maps = torch.rand(3, 4, 12, 15, generator=torch.Generator().manual_seed(0))
    cells, _ = find_peaks(maps)
    whole = local_moments(maps, cells, 1.5)
    for row in range(3):
        alone = local_moments(maps[row : row + 1], cells[row : row + 1], 1.5)
        for many, single in zip(whole, alone, strict=True):
            torch.testing.assert_close(many[row : row + 1], single)
