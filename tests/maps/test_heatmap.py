import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unsct_mmpose.anatomy import FLIP_INDICES
from unsct_mmpose.maps.heatmap import (
    decode_heatmaps,
    draw_heatmaps,
    find_peaks,
    flip_heatmaps,
    refine_peaks,
)

SIGMAS = pytest.mark.parametrize('sigma', [1.5, 2.0, 3.0])
REFINED = pytest.mark.parametrize('method', ['dark', 'quadratic'])
ALL_METHODS = pytest.mark.parametrize('method', ['dark', 'quadratic', 'integral', 'none'])


def scatter(count, low, high, seed=0):
    """Return ``(count, 1, 2)`` random points and their presence."""
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(rng.uniform(low, high, (count, 1, 2))).float()
    return points, torch.ones(count, 1, dtype=torch.bool)


def drawn(points, size_hw, sigma=2.0):
    points = torch.as_tensor(points, dtype=torch.float32).reshape(1, -1, 2)
    return draw_heatmaps(points, torch.ones(points.shape[:2], dtype=torch.bool), size_hw, sigma)


def distances(found, true):
    return (found - true).norm(dim=-1)


# Drawing


def test_every_cell_holds_the_gaussian_of_its_distance_from_the_landmark():
    rng = np.random.default_rng(0)
    points = rng.uniform(-3, 14, (2, 5, 2))
    maps = draw_heatmaps(torch.from_numpy(points), torch.ones(2, 5) > 0, (9, 12), 1.7).numpy()
    y, x = np.mgrid[:9, :12]
    for image in range(2):
        for landmark in range(5):
            px, py = points[image, landmark]
            expected = np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 1.7**2))
            np.testing.assert_allclose(maps[image, landmark], expected, rtol=1e-9)


def test_x_runs_along_the_width_and_y_along_the_height():
    maps = drawn([[5, 2]], (4, 9))
    assert maps.shape == (1, 1, 4, 9)
    assert maps[0, 0, 2, 5] == 1
    assert (maps == 1).sum() == 1


def test_an_absent_landmark_draws_nothing_whatever_its_point_says():
    points = torch.tensor([[[3.0, 3.0], [float('nan'), float('inf')]]])
    maps = draw_heatmaps(points, torch.tensor([[True, False]]), (8, 8))
    assert maps[0, 1].abs().sum() == 0
    assert maps[0, 0, 3, 3] == 1


def test_a_landmark_outside_the_map_shows_only_its_tail():
    maps = drawn([[-2.0, 4.0]], (9, 9))
    assert maps.amax() == maps[0, 0, 4, 0] == pytest.approx(np.exp(-0.5))


def test_drawing_leaves_its_inputs_alone_and_takes_whole_numbers():
    points = torch.tensor([[[3, 2], [1, 1]]])
    present = torch.tensor([[True, False]])
    maps = draw_heatmaps(points, present, (5, 5))
    assert maps.dtype == torch.float32
    assert points.tolist() == [[[3, 2], [1, 1]]] and present.tolist() == [[True, False]]


def test_a_present_point_that_is_not_finite_is_named():
    points = torch.zeros(2, 3, 2)
    points[1, 2, 0] = float('nan')
    with pytest.raises(ValueError, match='landmark 2 of image 1 is marked present'):
        draw_heatmaps(points, torch.ones(2, 3) > 0, (5, 5))


@pytest.mark.parametrize(
    ('points', 'present'), [((1, 3, 3), (1, 3)), ((3, 2), (3,)), ((1, 3, 2), (1, 4))]
)
def test_points_and_presence_must_fit(points, present):
    with pytest.raises(ValueError, match=r'\(B, K, 2\)'):
        draw_heatmaps(torch.zeros(points), torch.ones(present) > 0, (5, 5))


def test_a_gaussian_needs_a_width():
    with pytest.raises(ValueError, match='sigma must be positive'):
        draw_heatmaps(torch.zeros(1, 1, 2), torch.ones(1, 1) > 0, (5, 5), 0.0)


# Peaks


def test_the_peak_is_the_highest_cell_as_x_and_y_with_its_value():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(3, 4, 7, 11))
    points, scores = find_peaks(torch.from_numpy(maps))
    for image in range(3):
        for landmark in range(4):
            row, column = np.unravel_index(maps[image, landmark].argmax(), (7, 11))
            assert points[image, landmark].tolist() == [column, row]
            assert scores[image, landmark] == maps[image, landmark].max()


def test_the_first_of_equal_cells_is_the_peak():
    points, scores = find_peaks(torch.full((1, 1, 3, 4), 0.25))
    assert points.tolist() == [[[0.0, 0.0]]]
    assert scores.tolist() == [[0.25]]


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@ALL_METHODS
def test_a_map_that_cannot_be_read_is_named(method, value):
    maps = torch.zeros(2, 3, 5, 5)
    maps[1, 2, 4, 0] = value
    with pytest.raises(ValueError, match='heatmap 2 of image 1 peaks at'):
        decode_heatmaps(maps, method)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_maps_are_read_in_single_precision(dtype):
    maps = drawn([[20.3, 9.6]], (32, 32)).to(dtype)
    points, scores = decode_heatmaps(maps)
    assert points.dtype == scores.dtype == torch.float32
    assert distances(points, torch.tensor([[[20.3, 9.6]]])).item() < 0.05


# Refinement


@SIGMAS
@REFINED
def test_a_gaussian_is_read_back_anywhere_inside(sigma, method):
    points, present = scatter(500, 8, 24)
    found, _ = decode_heatmaps(draw_heatmaps(points, present, (32, 32), sigma), method)
    assert distances(found, points).max() < 0.02
    assert (found - points).mean(dim=0).abs().max() < 2e-3  # and without a bias


@SIGMAS
@REFINED
def test_a_gaussian_at_the_border_is_not_pulled_inside(sigma, method):
    low, present = scatter(300, -0.45, 3.0, seed=1)
    for points in (low, 31 - low, low * torch.tensor([1, -1]) + torch.tensor([0, 31])):
        found, _ = decode_heatmaps(draw_heatmaps(points, present, (32, 32), sigma), method)
        assert distances(found, points).max() < 0.02


@pytest.mark.parametrize('size_hw', [(3, 3), (3, 40), (40, 3), (4, 5)])
@REFINED
def test_three_cells_along_an_axis_are_enough(size_hw, method):
    truth = [[size_hw[1] / 2 - 0.3, size_hw[0] / 2 - 0.8]]
    points, _ = decode_heatmaps(drawn(truth, size_hw), method)
    assert distances(points, torch.tensor([truth])).item() < 0.02


@pytest.mark.parametrize('size_hw', [(1, 1), (1, 2), (2, 2), (2, 1)])
@ALL_METHODS
def test_too_few_cells_give_the_whole_cell(size_hw, method):
    maps = torch.rand(2, 3, *size_hw, generator=torch.Generator().manual_seed(0))
    points, _ = decode_heatmaps(maps, method)
    torch.testing.assert_close(points, find_peaks(maps)[0])


@pytest.mark.parametrize('size_hw', [(1, 20), (2, 20)])
@REFINED
def test_an_axis_of_too_few_cells_does_not_spoil_the_other(size_hw, method):
    points, _ = decode_heatmaps(drawn([[9.3, 0.0]], size_hw), method)
    assert points[0, 0].tolist() == pytest.approx([9.3, 0.0], abs=0.02)


@ALL_METHODS
@pytest.mark.parametrize('value', [-1.0, 0.0, 0.7])
def test_a_flat_map_gives_its_first_cell(method, value):
    points, scores = decode_heatmaps(torch.full((1, 2, 6, 9), value), method)
    assert points.abs().sum() == 0
    torch.testing.assert_close(scores, torch.full((1, 2), value))


@ALL_METHODS
def test_a_single_lit_cell_is_its_own_answer(method):
    maps = torch.zeros(1, 1, 9, 9)
    maps[0, 0, 2, 6] = 1e-3
    points, _ = decode_heatmaps(maps, method)
    assert points[0, 0].tolist() == pytest.approx([6, 2], abs=1e-4)


@REFINED
def test_a_slope_without_a_top_stays_at_its_highest_cell(method):
    ramp = torch.exp(torch.arange(9.0) * 0.5).expand(1, 1, 9, 9).contiguous()
    points, _ = decode_heatmaps(ramp, method)
    torch.testing.assert_close(points, find_peaks(ramp)[0])


@REFINED
def test_a_ridge_does_not_send_the_peak_far_away(method):
    y, x = torch.meshgrid(torch.arange(15.0), torch.arange(15.0), indexing='ij')
    ridge = torch.exp(-((x - y) ** 2) / 4 - 1e-3 * (x + y - 14) ** 2)[None, None]
    points, _ = decode_heatmaps(ridge, method)
    assert (points - find_peaks(ridge)[0]).abs().max() <= 1


def test_a_valley_below_its_highest_cell_does_not_attract_it():
    # A lone cell tops a wide ring; blurred, the map is a valley there, and a slanted one.
    y, x = torch.meshgrid(torch.arange(21.0), torch.arange(21.0), indexing='ij')
    radius = torch.hypot(x - 10, y - 10)
    maps = torch.where((radius > 2) & (radius < 7), 0.7 + 0.015 * (x + y - 20), 0.1)
    maps[10, 10] = 1.5
    points, _ = decode_heatmaps(maps[None, None], 'dark', blur=1.5)
    assert points[0, 0].tolist() == [10, 10]


def test_a_saddle_does_not_attract_its_highest_cell():
    logs = torch.tensor([[-0.01, -1.0, -10.0], [-1.2, 0.0, -1.0], [-10.0, -1.1, -0.01]])
    points, _ = decode_heatmaps(logs.exp()[None, None], 'dark')
    assert points[0, 0].tolist() == [1, 1]


@REFINED
def test_a_neighbour_at_or_below_zero_still_tells_the_side(method):
    maps = torch.zeros(1, 1, 3, 3)
    maps[0, 0, 1] = torch.tensor([-0.1, 1.0, 0.5])
    x, y = decode_heatmaps(maps, method, blur=0.0)[0][0, 0].tolist()
    assert 0.2 < x - 1 < 0.5
    assert y == 1


def test_the_quadratic_refinement_is_not_blurred():
    maps = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    sharp = decode_heatmaps(maps, 'quadratic', blur=0.0)[0]
    assert torch.equal(decode_heatmaps(maps, 'quadratic', blur=2.0)[0], sharp)


def test_dark_follows_a_tilted_blob_where_one_axis_at_a_time_does_not():
    y, x = torch.meshgrid(torch.arange(21.0), torch.arange(21.0), indexing='ij')
    u, v = (x - 10.4) + (y - 9.7), (x - 10.4) - (y - 9.7)
    blob = torch.exp(-(u**2) / 40 - v**2 / 8)[None, None]
    truth = torch.tensor([[[10.4, 9.7]]])
    assert distances(decode_heatmaps(blob, 'dark')[0], truth).item() < 0.02
    assert distances(decode_heatmaps(blob, 'quadratic')[0], truth).item() > 0.1


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    seed=st.integers(0, 10_000),
    method=st.sampled_from(['dark', 'quadratic']),
    scale=st.sampled_from([1e-20, 1.0, 1e20]),
)
def test_whatever_the_map_the_point_is_finite_near_its_peak_and_on_the_map(
    height, width, seed, method, scale
):
    maps = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed)) * scale
    peaks, _ = find_peaks(maps)
    refined = refine_peaks(maps, peaks, method)
    assert torch.isfinite(refined).all()
    assert (refined - peaks).abs().max() <= 1
    assert (refined >= -0.5).all()
    assert (refined <= torch.tensor([width, height]) - 0.5).all()


def test_blurring_tames_noise():
    points, present = scatter(400, 8, 24)
    clean = draw_heatmaps(points, present, (32, 32), 2.0)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    maps = clean + 0.02 * noise
    peaks, _ = find_peaks(maps)
    errors = {
        blur: distances(refine_peaks(maps, peaks, 'dark', blur), points).mean().item()
        for blur in (0.0, 1.5)
    }
    assert errors[1.5] < 0.03 < 0.08 < errors[0.0]
    assert errors[0.0] < distances(peaks, points).mean().item()


@REFINED
def test_the_height_of_a_heatmap_does_not_move_its_landmark(method):
    maps = drawn([[7.3, 5.8], [1.2, 0.4]], (16, 16))
    points, _ = decode_heatmaps(maps, method)
    torch.testing.assert_close(decode_heatmaps(maps * 1e-3, method)[0], points)


@ALL_METHODS
def test_each_map_is_decoded_as_if_it_were_alone(method):
    points, present = scatter(6, -0.4, 15.4, seed=3)
    maps = draw_heatmaps(points, present, (16, 16)).reshape(2, 3, 16, 16)
    found, scores = decode_heatmaps(maps, method)
    for image in range(2):
        for landmark in range(3):
            alone = decode_heatmaps(maps[image, landmark][None, None], method)
            torch.testing.assert_close(found[image, landmark], alone[0][0, 0])
            torch.testing.assert_close(scores[image, landmark], alone[1][0, 0])


@REFINED
def test_decoding_commutes_with_transposing_the_map(method):
    maps = drawn([[7.3, 5.8], [1.2, 0.4]], (12, 16))
    points, _ = decode_heatmaps(maps, method)
    turned, _ = decode_heatmaps(maps.transpose(-1, -2), method)
    torch.testing.assert_close(turned, points.flip(-1))


def test_without_refinement_the_peak_stays_whole():
    peaks, _ = decode_heatmaps(drawn([[7.4, 5.6]], (16, 16)), 'none')
    assert peaks[0, 0].tolist() == [7.0, 6.0]


def test_an_unknown_refinement_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'udp'.*'dark', 'quadratic', 'integral', 'none'"):
        refine_peaks(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 2), 'udp')


def test_a_negative_blur_is_refused():
    with pytest.raises(ValueError, match='blur'):
        refine_peaks(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 2), 'dark', -1.0)


# Mirroring


def test_mirrored_heatmaps_are_the_heatmaps_of_the_mirrored_landmarks():
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.uniform(0, 20, (2, 24, 2)))
    present = torch.from_numpy(rng.random((2, 24)) > 0.2)
    maps = draw_heatmaps(points, present, (20, 17))
    mirrored = points * torch.tensor([-1, 1]) + torch.tensor([16, 0])
    flip = list(FLIP_INDICES)
    expected = draw_heatmaps(mirrored[:, flip], present[:, flip], (20, 17))
    torch.testing.assert_close(flip_heatmaps(maps, FLIP_INDICES), expected)


def test_mirroring_twice_changes_nothing():
    maps = torch.rand(2, 24, 5, 6)
    assert torch.equal(flip_heatmaps(flip_heatmaps(maps, FLIP_INDICES), FLIP_INDICES), maps)


def test_flip_indices_must_fit_the_maps():
    with pytest.raises(ValueError, match='2 flip indices do not fit 3 heatmaps'):
        flip_heatmaps(torch.zeros(1, 3, 2, 2), (1, 0))
