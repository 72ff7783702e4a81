"""Uncertainty falls as alignment rises, and an absent landmark leaves its neighbours alone."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unsct_mmpose.anatomy import RELATION_SETS, relation_set
from unsct_mmpose.maps.heatmap import draw_heatmaps
from unsct_mmpose.maps.paf import draw_paf, segment_alignment
from unsct_mmpose.maps.uncertainty import (
    AGGREGATIONS,
    ENTROPY_MODES,
    alignment_entropy,
    certainty_map,
    landmark_alignment,
)

MODES = pytest.mark.parametrize('mode', ENTROPY_MODES)
BOTH = pytest.mark.parametrize('aggregation', AGGREGATIONS)
FALLING = pytest.mark.parametrize('mode', [mode for mode in ENTROPY_MODES if mode != 'paper'])


def grid(low=0.0, high=1.0, count=4001):
    return torch.linspace(low, high, count, dtype=torch.float64)


def random_case(seed, landmarks=7, relations=11, batch=3):
    """Return alignments, relations, weights and fallbacks."""
    rng = np.random.default_rng(seed)
    pairs = [rng.choice(landmarks, 2, replace=False).tolist() for _ in range(relations)]
    arrays = (
        rng.uniform(-1, 1, (batch, relations)),
        rng.uniform(0.2, 3, relations),
        rng.uniform(0, 1, (batch, landmarks)),
    )
    aligned, weights, fallback = (torch.from_numpy(array) for array in arrays)
    return aligned, pairs, weights, fallback


def left_by_peeling(alignment, pairs, weights, fallback, threshold):
    """Peel one image, in the words of domain.md: drop the smallest w below the threshold, repeat.

    Of two that have only each other left, the one with the lower fallback goes first.
    """
    left = set(range(len(fallback)))
    while left:
        score = {}
        for one in left:
            edges = [i for i, pair in enumerate(pairs) if one in pair and set(pair) <= left]
            score[one] = fallback[one]
            if edges:
                score[one] = np.average(alignment[edges], weights=weights[edges])
        worst = min(left, key=lambda one: (round(score[one], 9), fallback[one]))
        if score[worst] >= threshold:
            break
        left.remove(worst)
    return left


# Entropy


def test_mirrored_entropy_has_the_values_of_the_design():
    entropy = alignment_entropy(torch.tensor([0, 0.2, 0.5, 0.8, 1], dtype=torch.float64))
    assert entropy.tolist() == pytest.approx([0.7358, 0.4139, 0.3466, 0.1785, 0], abs=5e-5)
    assert entropy[0].item() == pytest.approx(2 / math.e)


def test_mirrored_entropy_is_equation_1_above_1_over_e():
    w = grid(1 / math.e, 1)
    np.testing.assert_allclose(alignment_entropy(w), -w * np.log(w), atol=1e-15)


def test_mirrored_entropy_is_equation_1_upside_down_below_1_over_e():
    w = grid(1e-9, 1 / math.e - 1e-9)
    np.testing.assert_allclose(alignment_entropy(w) - 1 / math.e, 1 / math.e + w * np.log(w))


def test_value_and_slope_meet_at_1_over_e():
    # The slope of -w log w is zero there, so that both sides leave 1/e by a square.
    for step in (1e-2, 1e-3, 1e-4):
        sides = torch.tensor([1 / math.e - step, 1 / math.e + step], dtype=torch.float64)
        below, above = alignment_entropy(sides).tolist()
        assert 0 < below - 1 / math.e < 2 * step**2
        assert 0 < 1 / math.e - above < 2 * step**2


@FALLING
def test_uncertainty_falls_strictly_as_alignment_rises(mode):
    assert (alignment_entropy(grid(), mode).diff() < 0).all()


def test_entropy_as_printed_takes_an_absent_limb_for_a_sure_one():
    entropy = alignment_entropy(grid(), 'paper')
    assert entropy[0] == 0
    assert entropy[-1].item() == pytest.approx(0, abs=2e-6)
    assert grid()[entropy.argmax()].item() == pytest.approx(1 / math.e, abs=1e-3)
    assert entropy.max().item() == pytest.approx(1 / math.e, abs=1e-5)


def test_the_other_modes_are_the_formulas_of_the_design():
    w = grid(0, 1, 11)
    np.testing.assert_allclose(alignment_entropy(w, 'paper'), -w * np.log(w + 1e-6))
    np.testing.assert_allclose(alignment_entropy(w, 'surprisal'), -np.log(w + 1e-6))
    np.testing.assert_allclose(alignment_entropy(w, 'linear'), 1 - w)


@MODES
def test_alignments_beyond_0_and_1_count_as_0_and_1(mode):
    entropy = alignment_entropy(torch.tensor([-1.0, -0.2, 0.0, 1.0, 1.3]), mode)
    assert torch.isfinite(entropy).all()
    assert entropy[0] == entropy[1] == entropy[2]
    assert entropy[3] == entropy[4]


@MODES
def test_entropy_keeps_the_shape_and_the_precision(mode):
    for dtype in (torch.float32, torch.float64):
        entropy = alignment_entropy(torch.rand(2, 3, 4, dtype=dtype), mode)
        assert (entropy.shape, entropy.dtype) == ((2, 3, 4), dtype)


def test_an_unknown_mode_is_named_beside_the_known_ones():
    with pytest.raises(ValueError, match=r"'shannon'; choose from .*mirror"):
        alignment_entropy(torch.zeros(1), 'shannon')


# Aggregation


def test_paper_aggregation_is_the_weighted_mean_of_a_landmarks_relations():
    aligned, pairs, weights, fallback = random_case(0)
    landmarks = landmark_alignment(
        aligned, pairs, 8, aggregation='paper', weights=weights,
        fallback=torch.cat([fallback, fallback[:, :1]], dim=1),
    )  # fmt: skip
    for index in range(7):
        edges = [i for i, pair in enumerate(pairs) if index in pair]
        expected = np.average(aligned[:, edges], axis=1, weights=weights[edges])
        np.testing.assert_allclose(landmarks.alignment[:, index], expected)
        assert landmarks.support[:, index].tolist() == [len(edges)] * 3
    np.testing.assert_array_equal(landmarks.alignment[:, 7], fallback[:, 0])
    assert not landmarks.support[:, 7].any()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 8), st.integers(1, 14))
def test_a_threshold_leaves_exactly_what_peeling_leaves(seed, landmarks, relations):
    aligned, pairs, weights, fallback = random_case(seed, landmarks, relations, batch=1)
    found = landmark_alignment(
        aligned, pairs, landmarks, weights=weights, fallback=fallback
    ).alignment[0].numpy()  # fmt: skip
    values = np.concatenate([found, aligned[0], fallback[0], [-1, 1]])
    for threshold in (*(values - 1e-6), *(values + 1e-6)):
        expected = left_by_peeling(
            aligned[0].numpy(), pairs, weights.numpy(), fallback[0].numpy(), threshold
        )
        assert set(np.flatnonzero(found >= threshold)) == expected


@pytest.mark.parametrize('relations', RELATION_SETS.values(), ids=RELATION_SETS)
def test_a_threshold_leaves_what_peeling_leaves_of_a_whole_pelvis(relations):
    rng = np.random.default_rng(1)
    aligned, peak = rng.uniform(-0.2, 1, (2, len(relations))), rng.uniform(0, 1, (2, 24))
    found = landmark_alignment(
        torch.from_numpy(aligned), relations.pairs, 24, fallback=torch.from_numpy(peak)
    ).alignment.numpy()
    even = np.ones(len(relations))
    for image in range(2):
        for threshold in np.linspace(-0.2, 1, 25):
            expected = left_by_peeling(
                aligned[image], relations.pairs, even, peak[image], threshold
            )
            assert set(np.flatnonzero(found[image] >= threshold)) == expected


def test_absent_landmarks_drag_their_neighbours_only_in_the_papers_mean():
    pairs = relation_set('full').pairs
    present = np.ones((1, 24), bool)
    present[0, [2, 10, 11, 20]] = False
    aligned = torch.from_numpy(
        present[:, [a for a, _ in pairs]] & present[:, [b for _, b in pairs]]
    )
    aligned = aligned.double()
    peeled = landmark_alignment(aligned, pairs, 24).alignment.numpy()
    paper = landmark_alignment(aligned, pairs, 24, aggregation='paper').alignment.numpy()
    np.testing.assert_allclose(peeled, present.astype(float))
    assert paper[present].min() < 0.7
    assert (paper[present] < 0.99).mean() > 0.4


def test_support_counts_the_relations_left_when_peeling_arrives():
    # 2 goes first, with its one relation; 0 and 1 are left with theirs; then the last with none.
    landmarks = landmark_alignment(torch.tensor([[0.9, 0.1]]), [(0, 1), (1, 2)], 3)
    assert landmarks.support.tolist() == [[1, 0, 1]]


def test_a_landmark_that_lost_its_relations_falls_back_on_its_peak():
    # 0 and 1 agree; 2 hangs on 3 only, and 3 is absent.
    aligned, pairs = torch.tensor([[0.9, 0.0]], dtype=torch.float64), [(0, 1), (2, 3)]
    peak = torch.tensor([[0.95, 0.95, 0.7, 0.0]], dtype=torch.float64)
    without = landmark_alignment(aligned, pairs, 4)
    landmarks = landmark_alignment(aligned, pairs, 4, fallback=peak)
    assert without.alignment[0].tolist() == pytest.approx([0.9, 0.9, 0, 0])
    # 2 and 3 are equally bad; the darker one goes first
    assert landmarks.alignment[0].tolist() == pytest.approx([0.9, 0.95, 0.7, 0])
    assert landmarks.support[0, 2:].tolist() == [0, 1]


def test_the_survivor_of_an_absent_pair_is_judged_by_its_peak():
    aligned, pairs = torch.tensor([[0.1, 0.3]]), [(0, 1), (1, 2)]
    landmarks = landmark_alignment(aligned, pairs, 3, fallback=torch.tensor([[0.2, 0.4, 0.8]]))
    assert landmarks.alignment[0].tolist() == pytest.approx([0.1, 0.3, 0.8])
    assert landmarks.support[0].tolist() == [1, 1, 0]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_rounding_does_not_choose_among_two_that_have_only_each_other(dtype):
    # 2 goes first, and its relations leave different rounding in the means of 0 and 1.
    generator = torch.Generator().manual_seed(0)
    aligned = torch.rand(500, 5, generator=generator, dtype=dtype) * 0.3
    aligned[:, 1:] -= 0.6
    peak = torch.rand(500, 3, generator=generator, dtype=dtype) * 0.5 + 0.4
    pairs = [(0, 1), (0, 2), (2, 1), (2, 1), (2, 1)]
    found = landmark_alignment(aligned, pairs, 3, fallback=peak).alignment
    assert (found[:, 2] < 0).all()
    torch.testing.assert_close(found[:, :2].amin(dim=1), aligned[:, 0])
    torch.testing.assert_close(found[:, :2].amax(dim=1), peak[:, :2].amax(dim=1))
    assert torch.equal(found[:, :2].argmax(dim=1), peak[:, :2].argmax(dim=1))


@BOTH
def test_a_landmark_without_any_relation_has_its_fallback_or_nothing(aggregation):
    aligned, pairs = torch.tensor([[0.9]]), [(0, 1)]
    landmarks = landmark_alignment(
        aligned, pairs, 3, aggregation=aggregation, fallback=torch.tensor([[0.0, 0.0, 0.6]])
    )
    assert landmarks.alignment[0, 2].item() == pytest.approx(0.6)
    assert landmarks.support[0, 2] == 0
    assert landmark_alignment(aligned, pairs, 3, aggregation=aggregation).alignment[0, 2] == 0


@BOTH
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_names_of_landmarks_and_order_of_relations_do_not_matter(aggregation, seed):
    aligned, pairs, weights, fallback = random_case(seed)
    rng = np.random.default_rng(seed)
    names, order = rng.permutation(7), rng.permutation(11)
    renamed = [names[pairs[i]][::-1].tolist() for i in order]
    moved = torch.empty_like(fallback)
    moved[:, names] = fallback
    plain = landmark_alignment(
        aligned, pairs, 7, aggregation=aggregation, weights=weights, fallback=fallback
    )
    other = landmark_alignment(
        aligned[:, order], renamed, 7, aggregation=aggregation, weights=weights[order],
        fallback=moved,
    )  # fmt: skip
    for before, after in zip(plain, other, strict=True):
        torch.testing.assert_close(after[:, names], before)


@BOTH
def test_a_batch_reads_like_its_images(aggregation):
    aligned, pairs, weights, fallback = random_case(3, batch=5)
    kind = dict(aggregation=aggregation, weights=weights)
    whole = landmark_alignment(aligned, pairs, 7, fallback=fallback, **kind)
    for row in range(5):
        one = slice(row, row + 1)
        single = landmark_alignment(aligned[one], pairs, 7, fallback=fallback[one], **kind)
        for many, alone in zip(whole, single, strict=True):
            torch.testing.assert_close(many[one], alone)


@BOTH
def test_only_the_ratio_of_weights_matters(aggregation):
    aligned, pairs, weights, fallback = random_case(4)
    kind = dict(aggregation=aggregation, fallback=fallback)
    landmarks = landmark_alignment(aligned, pairs, 7, weights=weights, **kind)
    scaled = landmark_alignment(aligned, pairs, 7, weights=7 * weights, **kind)
    plain = landmark_alignment(aligned, pairs, 7, **kind)
    even = landmark_alignment(aligned, pairs, 7, weights=torch.full((11,), 0.3), **kind)
    torch.testing.assert_close(scaled, landmarks)
    torch.testing.assert_close(even, plain)
    assert (landmarks.alignment - plain.alignment).abs().max() > 0.05


def test_reading_leaves_its_inputs_alone():
    case = random_case(5)
    aligned, pairs, weights, fallback = case
    copies = [one.clone() for one in (aligned, weights, fallback)]
    landmark_alignment(aligned, pairs, 7, weights=weights, fallback=fallback)
    for one, copy in zip((aligned, weights, fallback), copies, strict=True):
        assert torch.equal(one, copy)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(aggregation='mean'), "unknown aggregation 'mean'"),
        (dict(relations=[(0, 1)]), 'does not fit 1 relations'),
        (dict(alignment=torch.zeros(2)), 'does not fit 2 relations'),
        (dict(fallback=torch.zeros(1, 4)), 'does not fit 3 landmarks'),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    good = dict(alignment=torch.zeros(1, 2), relations=[(0, 1), (1, 2)], num_landmarks=3)
    with pytest.raises(ValueError, match=message):
        landmark_alignment(**{**good, **change})


# The map of the paper's Figure 9


def scene():
    points = torch.tensor([[[3.0, 2.0], [10.0, 3.0], [5.0, 8.0]]], dtype=torch.float64)
    present, pairs = torch.ones(1, 3, dtype=torch.bool), [(0, 1), (1, 2), (2, 0)]
    maps = draw_heatmaps(points, present, (11, 14), 1.5)
    return maps, draw_paf(points, present, pairs, (11, 14)), points, pairs


@pytest.mark.parametrize('mode', ['mirror', 'linear'])
def test_a_certainty_map_places_each_landmark_in_each_cell(mode):
    maps, field, points, pairs = scene()
    generator = torch.Generator().manual_seed(0)
    field = field + 0.3 * torch.randn(field.shape, dtype=field.dtype, generator=generator)
    expected = np.zeros((11, 14))
    most = alignment_entropy(torch.zeros(()), mode).item()
    for index in range(3):
        edges = [i for i, pair in enumerate(pairs) if index in pair]
        for y in range(11):
            for x in range(14):
                moved = points.clone()
                moved[0, index] = torch.tensor([x, y])
                mean = segment_alignment(field, moved, pairs, 12)[0, edges].mean()
                sure = 1 - alignment_entropy(mean, mode).item() / most
                expected[y, x] = max(expected[y, x], maps[0, index, y, x].item() * sure)
    found = certainty_map(maps, field, points, pairs, mode=mode, samples=12)
    np.testing.assert_allclose(found[0], expected, atol=1e-7)


def test_a_certainty_map_is_bright_at_landmarks_that_fit_and_dark_without_fields():
    maps, field, points, pairs = scene()
    sure = certainty_map(maps, field, points, pairs)[0]
    assert sure.min() >= 0 and sure.max() <= 1
    assert all(sure[int(y), int(x)] > 0.9 for x, y in points[0])
    assert certainty_map(maps, torch.zeros_like(field), points, pairs).max() < 1e-6
    assert certainty_map(maps, -field, points, pairs).max() < 1e-3


@pytest.mark.parametrize('mode', ['paper', 'surprisal', 'other'])
def test_a_certainty_map_needs_a_bounded_monotone_entropy(mode):
    with pytest.raises(ValueError, match='bounded, monotone entropy'):
        certainty_map(*scene(), mode=mode)
