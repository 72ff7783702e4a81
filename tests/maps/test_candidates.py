"""A heatmap may have several peaks; the fields tell which ones belong to one body."""

from itertools import product

import numpy as np
import pytest
import torch

from unsct_mmpose.maps.candidates import Candidates, choose_candidates, find_candidates
from unsct_mmpose.maps.heatmap import draw_heatmaps
from unsct_mmpose.maps.paf import draw_paf, segment_alignment

SIZES = pytest.mark.parametrize('size_hw', [(32, 48), (32, 43), (33, 32), (7, 90)])
CHAIN, STAR, TRIANGLE = [(0, 1), (1, 2), (2, 3)], [(0, 1), (0, 2), (0, 3)], [(0, 1), (1, 2), (2, 0)]


def slow_candidates(heatmap, count, radius):
    """Take the highest cell, wipe out the disc around it, and so on."""
    rest, found = heatmap.copy(), []
    y, x = np.mgrid[: heatmap.shape[0], : heatmap.shape[1]]
    for _ in range(count):
        row, column = np.unravel_index(rest.argmax(), rest.shape)
        found.append(((column, row), rest[row, column]))
        rest[(x - column) ** 2 + (y - row) ** 2 <= radius**2] = 0
    return [one if one[1] > 0 else (found[0][0], 0) for one in found]


def random_maps(size_hw, seed=0, batch=3, landmarks=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, landmarks, *size_hw, generator=generator)


def random_choice_problem(seed, pairs, landmarks=4, places=3):
    """Return candidates at random places, as good as equal, and a field of random vectors."""
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(rng.integers(0, 16, (2, landmarks, places, 2))).double()
    values = torch.from_numpy(rng.uniform(0.3, 1, (2, landmarks, places)))
    values = values.sort(dim=-1, descending=True).values
    field = torch.from_numpy(rng.normal(0, 1, (2, 2 * len(pairs), 16, 16)))
    return Candidates(points, values), field


def all_scores(candidates, field, pairs, coupling):
    """Return every choice and its score in each image: log values and positive alignments."""
    number, places = candidates.values.shape[1:]
    combinations = list(product(range(places), repeat=2))
    edges = [(a * places + i, b * places + j) for a, b in pairs for i, j in combinations]
    fields = field.unflatten(1, (-1, 2)).repeat_interleave(len(combinations), dim=1).flatten(1, 2)
    aligned = segment_alignment(fields, candidates.points.flatten(1, 2), edges, 8).clamp(min=0)
    aligned = aligned.unflatten(1, (len(pairs), places, places)).numpy()
    choices = np.array(list(product(range(places), repeat=number)))
    own = np.log(candidates.values.numpy())[:, range(number), choices].sum(axis=-1)
    joint = sum(
        aligned[:, index, choices[:, a], choices[:, b]] for index, (a, b) in enumerate(pairs)
    )
    return choices, own + coupling * joint


# Finding


@pytest.mark.parametrize('radius', [0.0, 3.0, 6.0, 7.3])
def test_maps_of_any_size_are_searched_like_cell_by_cell(radius):
    maps = random_maps((19, 26))
    found = find_candidates(maps, 4, radius)
    for image in range(3):
        for landmark in range(4):
            expected = slow_candidates(maps[image, landmark].numpy(), 4, radius)
            for rank, (point, value) in enumerate(expected):
                assert found.points[image, landmark, rank].tolist() == list(point)
                assert found.values[image, landmark, rank] == value


@SIZES
def test_peaks_far_apart_are_found_exactly_and_the_strongest_first(size_hw):
    height, width = size_hw
    places = np.array([[1, 2], [width - 1, height - 1], [width // 2, height // 3]])
    heights = np.array([0.7, 0.95, 0.4])
    points = torch.from_numpy(places[None]).double()
    blobs = draw_heatmaps(points, torch.ones(1, 3, dtype=torch.bool), size_hw, 1.5)
    maps = (blobs * torch.from_numpy(heights)[:, None, None]).amax(dim=1, keepdim=True)
    found = find_candidates(maps, 3, 5.0)
    order = np.argsort(-heights)
    assert found.points[0, 0].tolist() == places[order].tolist()
    assert found.values[0, 0].tolist() == pytest.approx(heights[order])
    assert slow_candidates(maps[0, 0].numpy(), 3, 5.0)[2][0] == tuple(places[2])


@SIZES
def test_candidates_lie_farther_apart_than_the_radius_and_where_their_values_are(size_hw):
    maps = random_maps(size_hw, batch=20)
    found = find_candidates(maps, 3, 6.0)
    apart = (found.points[..., :, None, :] - found.points[..., None, :, :]).norm(dim=-1)
    assert apart[..., [0, 0, 1], [1, 2, 2]].min() > 6
    x, y = found.points.long().unbind(-1)
    at = maps[torch.arange(20)[:, None, None], torch.arange(4)[:, None], y, x]
    assert torch.equal(at, found.values)
    assert torch.equal(found.values[..., 0], maps.flatten(2).amax(dim=-1))
    assert (found.values.diff(dim=-1) <= 0).all()


@SIZES
def test_a_map_of_one_value_has_its_first_cell_and_others_far_from_it(size_hw):
    found = find_candidates(torch.full((1, 1, *size_hw), 0.25), 2, 6.0)
    assert found.points[0, 0, 0].tolist() == [0, 0]
    assert found.points[0, 0, 1].norm() > 6
    assert found.values.tolist() == [[[0.25, 0.25]]]


@SIZES
@pytest.mark.parametrize('value', [0.0, -0.5])
def test_a_map_without_a_peak_repeats_its_first_place_with_value_0(size_hw, value):
    found = find_candidates(torch.full((1, 2, *size_hw), value), 3)
    assert found.points.shape == (1, 2, 3, 2)
    assert not found.points.any()
    assert found.values[..., 0].unique().tolist() == [value]
    assert not found.values[..., 1:].any()


@SIZES
def test_a_map_of_one_peak_repeats_it_with_value_0(size_hw):
    maps = torch.zeros(1, 1, *size_hw)
    maps[0, 0, 5, 9] = 0.8
    found = find_candidates(maps, 3)
    assert found.points.tolist() == [[[[9, 5]] * 3]]
    assert found.values[0, 0].tolist() == pytest.approx([0.8, 0, 0])


def test_a_map_smaller_than_the_radius_has_one_place():
    maps = random_maps((4, 4))
    assert not find_candidates(maps, 2, 6.0).values[..., 1].any()


def test_of_equal_peaks_each_is_a_candidate():
    maps = torch.zeros(1, 1, 16, 32)
    maps[0, 0, 3, 30] = maps[0, 0, 12, 2] = 0.5
    found = find_candidates(maps, 2)
    assert sorted(found.points[0, 0].tolist()) == [[2, 12], [30, 3]]
    assert found.values.tolist() == [[[0.5, 0.5]]]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_maps_give_whole_cells_in_single_precision(dtype):
    maps = torch.zeros(1, 1, 8, 400, dtype=dtype)
    maps[0, 0, 3, 301] = 1
    found = find_candidates(maps, 1)
    assert found.points.dtype == torch.float32
    assert found.points.tolist() == [[[[301, 3]]]]


def test_a_map_with_nan_peaks_at_nan_and_does_not_hide_it():
    maps = random_maps((8, 8))
    maps[1, 2, 5, 5] = torch.nan
    bad = find_candidates(maps, 2).values[..., 0].isnan()
    assert bad.nonzero().tolist() == [[1, 2]]


def test_finding_leaves_the_maps_alone():
    maps = random_maps((16, 16))
    copy = maps.clone()
    find_candidates(maps, 3)
    assert torch.equal(maps, copy)


# Choosing


@pytest.mark.parametrize('coupling', [0.3, 1.0, 3.0])
@pytest.mark.parametrize('pairs', [CHAIN, STAR, CHAIN[::-1], [(3, 1), (1, 0), (2, 1)]])
def test_on_a_tree_the_best_of_all_choices_is_found(pairs, coupling):
    differ = 0
    for seed in range(8):
        candidates, field = random_choice_problem(seed, pairs)
        choices, scores = all_scores(candidates, field, pairs, coupling)
        expected = choices[scores.argmax(axis=1)]
        found = choose_candidates(candidates, field, pairs, coupling=coupling, iterations=40)
        assert found.tolist() == expected.tolist()
        differ += (expected > 0).any(axis=1).sum()
    assert differ >= 4


def test_ten_rounds_are_enough_for_most_trees():
    right = 0
    for seed in range(40):
        candidates, field = random_choice_problem(seed, CHAIN)
        choices, scores = all_scores(candidates, field, CHAIN, 1.0)
        found = choose_candidates(candidates, field, CHAIN).numpy()
        right += (found == choices[scores.argmax(axis=1)]).all(axis=1).sum()
    assert right >= 78


def test_on_a_cycle_the_choice_is_never_worse_than_the_strongest_peaks():
    best_found = []
    for seed, iterations in product(range(30), (1, 10)):
        candidates, field = random_choice_problem(seed, TRIANGLE, landmarks=3)
        found = choose_candidates(candidates, field, TRIANGLE, coupling=2.0, iterations=iterations)
        choices, scores = all_scores(candidates, field, TRIANGLE, 2.0)
        for image in range(2):
            score = scores[image, (choices == found[image].numpy()).all(axis=1)].item()
            first, best = scores[image, 0], scores[image].max()
            assert score >= first - 1e-9
            if iterations == 10:
                best_found.append(best - score < 1e-9)
    assert np.mean(best_found) > 0.8


def test_without_coupling_the_strongest_peaks_are_chosen():
    candidates, field = random_choice_problem(0, CHAIN)
    assert not choose_candidates(candidates, field, CHAIN, coupling=0.0).any()


def test_a_batch_chooses_like_its_images():
    candidates, field = random_choice_problem(1, CHAIN)
    whole = choose_candidates(candidates, field, CHAIN, coupling=3.0)
    for row in range(2):
        one = Candidates(*(part[row : row + 1] for part in candidates))
        alone = choose_candidates(one, field[row : row + 1], CHAIN, coupling=3.0)
        assert torch.equal(alone[0], whole[row])


def test_reversing_a_relation_and_its_field_changes_no_choice():
    candidates, field = random_choice_problem(2, CHAIN)
    back = [pair[::-1] for pair in CHAIN]
    for coupling in (1.0, 3.0):
        forth = choose_candidates(candidates, field, CHAIN, coupling=coupling)
        assert torch.equal(choose_candidates(candidates, -field, back, coupling=coupling), forth)


def scene_with_decoy():
    """Return a triangle and its fields, with a brighter false peak of landmark 2."""
    points = torch.tensor([[[6.0, 6.0], [26.0, 8.0], [15.0, 26.0]]])
    present = torch.ones(1, 3, dtype=torch.bool)
    maps = draw_heatmaps(points, present, (32, 32), 1.5)
    decoy = draw_heatmaps(torch.tensor([[[28.0, 26.0]]]), present[:, :1], (32, 32), 1.5)[0, 0]
    maps[0, 2] = torch.maximum(0.7 * maps[0, 2], decoy)
    return maps, draw_paf(points, present, TRIANGLE, (32, 32)), points


def test_the_fields_overrule_a_brighter_decoy():
    maps, field, points = scene_with_decoy()
    places = find_candidates(maps, 3, 5.0)
    assert places.points[0, 2, 0].tolist() == [28, 26]
    choice = choose_candidates(places, field, TRIANGLE)
    assert choice.tolist() == [[0, 0, 1]]
    assert places.points[0, 2, 1].tolist() == points[0, 2].tolist()
    assert choose_candidates(places, torch.zeros_like(field), TRIANGLE).tolist() == [[0, 0, 0]]


def test_a_field_abest_foundt_a_segment_counts_no_more_than_silence():
    maps, field, _ = scene_with_decoy()
    assert not choose_candidates(find_candidates(maps, 3, 5.0), -field, TRIANGLE).any()
