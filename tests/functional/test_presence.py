import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from unsct_mmpose.functional.presence import (
    absent_share,
    area_under_risk_coverage,
    area_under_sparsification_error,
    auprc_absent,
    auroc_absent,
    brier_score,
    expected_calibration_error,
    presence_rates,
    region_coverage,
    region_radii,
    region_score,
    reliability_curve,
    risk_coverage,
    spearman,
    squared_mahalanobis,
)

T, F = True, False


def case(seed=0, images=8, landmarks=6, levels=None):
    """Uncertainties (rounded to few levels when asked for ties), presence, labels, errors."""
    rng = np.random.default_rng(seed)
    present = rng.random((images, landmarks)) < 0.6
    uncertainty = rng.random((images, landmarks)) + 0.4 * ~present
    if levels:
        uncertainty = np.round(uncertainty * levels) / levels
    return (
        uncertainty,
        present,
        rng.random((images, landmarks)) < 0.8,
        rng.exponential(3, present.shape),
    )


# figure(uncertainty, present, mask): each reads all that it is given
FIGURES = {
    'rates': lambda u, p, m: np.array(presence_rates(p, u < 0.5, m)),
    'share': lambda u, p, m: absent_share(p, m),
    'auroc': auroc_absent,
    'auprc': auprc_absent,
    'aurc': lambda u, p, m: area_under_risk_coverage(10 * u, u**2, m),
    'ause': lambda u, p, m: area_under_sparsification_error(10 * u, np.abs(u - 0.5), m),
    'spearman': lambda u, p, m: spearman(u, np.abs(u - 0.5), m),
    'brier': lambda u, p, m: brier_score(u / 2, p, m),
    'ece': lambda u, p, m: expected_calibration_error(u / 2, p, m),
    'region': lambda u, p, m: region_coverage(5 * u, m, 0.9),
}
EACH = pytest.mark.parametrize('figure', FIGURES.values(), ids=FIGURES)


# What all figures share


@EACH
def test_a_figure_of_nothing_is_nan(figure):
    u, present, mask, _ = case()
    assert np.isnan(figure(u, present, np.zeros_like(mask))).all()
    assert np.isnan(figure(u[:0], present[:0], mask[:0])).all()


@EACH
def test_what_is_not_labelled_counts_nowhere(figure):
    u, present, mask, _ = case()
    wild = np.where(mask, u, np.random.default_rng(1).uniform(-9, 9, u.shape))
    wild[~mask & (np.arange(6) < 3)] = np.nan
    with np.errstate(invalid='ignore'):
        np.testing.assert_equal(figure(wild, present ^ ~mask, mask), figure(u, present, mask))
    assert np.isfinite(figure(u, present, mask)).all()


@EACH
def test_a_figure_depends_on_neither_order_nor_shape(figure):
    u, present, mask, _ = case(levels=5)
    order = np.random.default_rng(2).permutation(u.size)
    mixed = (values.ravel()[order] for values in (u, present, mask))
    np.testing.assert_allclose(figure(*mixed), figure(u, present, mask), rtol=1e-12)


@EACH
def test_shapes_and_masks_must_fit(figure):
    u, present, mask, _ = case()
    with pytest.raises(ValueError, match='disagree'):
        figure(u, present, mask[:1])
    with pytest.raises(ValueError, match='must be boolean'):
        figure(u, present, mask.astype(int))


@pytest.mark.parametrize('name', ['auroc', 'auprc', 'aurc', 'ause', 'spearman', 'region'])
def test_a_nan_that_counts_is_refused(name):
    u, present, mask, _ = case()
    u[0, 0], mask[0, 0] = np.nan, True
    with pytest.raises(ValueError, match='counts is'):
        FIGURES[name](u, present, mask)


# Rates


def test_rates_are_their_counts():
    _, present, labelled, errors = case()
    reported = errors < 3
    rates = presence_rates(present, reported, labelled)
    tp = fp = fn = tn = 0
    for p, k in zip(present[labelled], reported[labelled], strict=True):
        tp, fp, fn, tn = tp + (p and k), fp + (k and not p), fn + (p and not k), tn + (not p | k)
    assert rates == pytest.approx(
        (tp / (tp + fp), tp / (tp + fn), tn / (tn + fp), 2 * tp / (2 * tp + fp + fn))
    )
    assert rates.f1 == pytest.approx(stats.hmean([rates.precision, rates.recall]))


def test_rejecting_everything_has_no_precision_and_no_recall():
    rates = presence_rates([T, T, F], [F, F, F], [T, T, T])
    assert math.isnan(rates.precision)
    assert rates[1:] == (0.0, 1.0, 0.0)


def test_keeping_all_has_recall_one_and_specificity_zero():
    assert presence_rates([T, T, F, F], [T] * 4, [T] * 4) == (0.5, 1.0, 0.0, pytest.approx(2 / 3))


def test_nothing_present_and_nothing_said_is_only_specific():
    rates = presence_rates([F, F], [F, F], [T, T])
    assert rates.specificity == 1.0
    assert np.isnan([rates.precision, rates.recall, rates.f1]).all()


# Ranking


@pytest.mark.parametrize('levels', [None, 3])
def test_auroc_is_the_share_of_pairs_in_order(levels):
    u, present, labelled, _ = case(levels=levels)
    absent, there = u[labelled & ~present], u[labelled & present]
    pairs = [(a > p) + 0.5 * (a == p) for a in absent for p in there]
    auroc = auroc_absent(u, present, labelled)
    assert auroc == pytest.approx(np.mean(pairs))
    assert auroc == pytest.approx(
        stats.mannwhitneyu(absent, there).statistic / len(absent) / len(there)
    )


@pytest.mark.parametrize('levels', [None, 3])
def test_auprc_is_its_sum_over_thresholds(levels):
    u, present, labelled, _ = case(levels=levels)
    scores, absent = u[labelled], ~present[labelled]
    area, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        flagged = scores >= threshold
        recall = (absent & flagged).sum() / absent.sum()
        area += (recall - before) * (absent & flagged).sum() / flagged.sum()
        before = recall
    assert auprc_absent(u, present, labelled) == pytest.approx(area)


def test_the_best_and_the_worst_order():
    present, labelled = np.array([T, T, T, F]), np.ones(4, bool)
    assert auroc_absent([0, 1, 2, 3], present, labelled) == 1.0
    assert auprc_absent([0, 1, 2, 3], present, labelled) == 1.0
    assert auroc_absent([3, 2, 1, 0], present, labelled) == 0.0
    assert auprc_absent([3, 2, 1, 0], present, labelled) == 0.25


def test_an_uncertainty_that_says_nothing_is_chance():
    present, labelled = np.array([T, T, T, F]), np.ones(4, bool)
    assert auroc_absent([1] * 4, present, labelled) == 0.5
    assert auprc_absent([1] * 4, present, labelled) == absent_share(present, labelled) == 0.25


@pytest.mark.parametrize('figure', [auroc_absent, auprc_absent])
def test_ranking_needs_both_kinds_and_only_their_order(figure):
    u, present, labelled, _ = case(levels=4)
    assert math.isnan(figure(u, np.ones_like(present), labelled))
    assert math.isnan(figure(u, np.zeros_like(present), labelled))
    assert figure(np.exp(3 * u), present, labelled) == pytest.approx(figure(u, present, labelled))
    far = np.where(u == u.max(), np.inf, u)
    assert figure(far, present, labelled) == pytest.approx(figure(u, present, labelled))


# Selective prediction


def test_the_curve_answers_the_most_certain_first():
    u, present, labelled, errors = case()
    mask = present & labelled
    curve = risk_coverage(errors, u, mask)
    order = np.argsort(u[mask])
    expected = [errors[mask][order][:n].mean() for n in range(1, mask.sum() + 1)]
    np.testing.assert_allclose(curve.risk, expected)
    np.testing.assert_allclose(curve.coverage, np.arange(1, mask.sum() + 1) / mask.sum())
    assert area_under_risk_coverage(errors, u, mask) == pytest.approx(np.mean(expected))


def test_ties_give_the_mean_over_all_their_orders():
    losses, u, mask = np.array([1.0, 2.0, 6.0, 7.0]), np.array([0, 1, 1, 2]), np.ones(4, bool)
    orders = [[1, 2, 6, 7], [1, 6, 2, 7]]
    expected = np.mean([np.cumsum(order) / np.arange(1, 5) for order in orders], axis=0)
    np.testing.assert_allclose(risk_coverage(losses, u, mask).risk, expected)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, 7, elements=st.just(0.0) | st.floats(1e-6, 100)),
    arrays(np.float64, 7, elements=st.integers(0, 4).map(float)),
)
def test_no_order_beats_the_true_one(losses, u):
    mask = np.ones(7, bool)
    best = area_under_risk_coverage(losses, losses, mask)
    assert area_under_risk_coverage(losses, u, mask) >= best - 1e-9
    excess = area_under_sparsification_error(losses, u, mask)
    assert math.isnan(excess) if losses.max() == 0 else excess >= -1e-9
    worst = area_under_sparsification_error(losses, -losses, mask)
    assert math.isnan(excess) or excess <= worst + 1e-9


def test_the_true_order_has_no_sparsification_error_and_no_unit():
    _, present, labelled, errors = case()
    mask = present & labelled
    assert area_under_sparsification_error(errors, errors**3, mask) == pytest.approx(0, abs=1e-12)
    u = case(5)[0]
    assert area_under_sparsification_error(25.4 * errors, u, mask) == pytest.approx(
        area_under_sparsification_error(errors, u, mask)
    )
    constant = area_under_risk_coverage(errors, np.zeros_like(u), mask)
    assert constant == pytest.approx(errors[mask].mean())


def test_an_infinite_loss_is_refused():
    with pytest.raises(ValueError, match='a loss that counts is not finite'):
        risk_coverage([1.0, np.inf], [0.0, 1.0], [T, T])


@pytest.mark.parametrize('levels', [None, 3])
def test_spearman_agrees_with_scipy(levels):
    u, present, labelled, errors = case(levels=levels)
    mask = present & labelled
    expected = stats.spearmanr(u[mask], errors[mask]).statistic
    assert spearman(u, errors, mask) == pytest.approx(expected)


def test_spearman_of_what_does_not_vary_is_nan():
    assert math.isnan(spearman([1.0] * 4, [1, 2, 3, 4], [T] * 4))
    assert math.isnan(spearman([1.0, 2.0], [1.0, 2.0], [T, T]))


# Calibration


def test_brier_is_its_formula():
    u, present, labelled, _ = case()
    claim = u / 2
    expected = np.mean((claim[labelled] - present[labelled]) ** 2)
    assert brier_score(claim, present, labelled) == pytest.approx(expected)


@pytest.mark.parametrize('bins', [1, 4, 10])
def test_calibration_is_its_formula(bins):
    u, present, labelled, _ = case(images=40)
    claim = u / 2
    curve = reliability_curve(claim, present, labelled, bins)
    gap = 0.0
    for index in range(bins):
        chosen = labelled & (claim >= index / bins) & (claim < (index + 1) / bins)
        assert curve.landmarks[index] == chosen.sum()
        if not chosen.any():
            assert np.isnan([curve.claimed[index], curve.observed[index]]).all()
            continue
        assert curve.claimed[index] == pytest.approx(claim[chosen].mean())
        assert curve.observed[index] == pytest.approx(present[chosen].mean())
        gap += chosen.sum() * abs(claim[chosen].mean() - present[chosen].mean())
    ece = expected_calibration_error(claim, present, labelled, bins)
    assert ece == pytest.approx(gap / labelled.sum())


def test_certainty_belongs_to_the_last_bin():
    assert reliability_curve([0.0, 1.0], [F, T], [T, T], 5).landmarks.tolist() == [1, 0, 0, 0, 1]
    assert expected_calibration_error([0.0, 1.0], [F, T], [T, T]) == 0.0
    assert expected_calibration_error([0.0, 1.0], [T, F], [T, T]) == 1.0


def test_an_honest_claim_is_calibrated_and_a_bold_one_is_not():
    rng = np.random.default_rng(0)
    claim = rng.random(20000)
    present, labelled = rng.random(20000) < claim, np.ones(20000, bool)
    assert expected_calibration_error(claim, present, labelled) < 0.02
    bold = np.where(claim > 0.5, 0.99, 0.01)
    assert expected_calibration_error(bold, present, labelled) > 0.2
    assert brier_score(bold, present, labelled) > brier_score(claim, present, labelled)


@pytest.mark.parametrize('wrong', [-0.01, 1.01, math.nan])
@pytest.mark.parametrize('figure', [brier_score, expected_calibration_error])
def test_a_claim_must_be_a_probability(figure, wrong):
    with pytest.raises(ValueError, match=r'not in \[0, 1\]'):
        figure([wrong, 0.5], [T, F], [T, T])
    assert not math.isnan(figure([wrong, 0.5], [T, F], [F, T]))
    with pytest.raises(ValueError, match='bins must be positive'):
        reliability_curve([0.5], [T], [T], 0)


# Regions


def test_the_distance_is_that_of_the_inverse_covariance():
    rng = np.random.default_rng(0)
    pred, true = rng.normal(0, 5, (2, 4, 3, 2))
    root = rng.normal(0, 2, (4, 3, 2, 2))
    spread = root @ root.swapaxes(-1, -2)
    difference = pred - true
    expected = np.einsum('...i,...ij,...j', difference, np.linalg.inv(spread), difference)
    np.testing.assert_allclose(squared_mahalanobis(pred, true, spread), expected, rtol=1e-6)


@pytest.mark.parametrize('level', [0.5, 0.9, 0.95])
def test_honest_regions_hold_what_they_claim(level):
    rng = np.random.default_rng(1)
    spread = np.array([[9.0, 4.0], [4.0, 3.0]])
    true = rng.multivariate_normal([3, 4], spread, 4000)
    pred = np.broadcast_to([3.0, 4.0], true.shape)
    distance = squared_mahalanobis(pred, true, np.broadcast_to(spread, (4000, 2, 2)))
    everything = np.ones(4000, bool)
    assert region_coverage(distance, everything, level) == pytest.approx(level, abs=0.02)
    assert region_coverage(4 * distance, everything, level) < level - 0.1
    edge = stats.chi2.ppf(level, 2)
    assert region_coverage([edge - 1e-9, edge + 1e-9], [T, T], level) == 0.5


def test_a_region_without_area_holds_nothing_and_none_is_nan():
    flat, odd = [[1.0, 1.0], [1.0, 1.0]], [[-1.0, 0.0], [0.0, -1.0]]
    missing = np.full((2, 2), np.nan)
    squared = squared_mahalanobis(np.zeros((3, 2)), np.zeros((3, 2)), [flat, odd, missing])
    np.testing.assert_array_equal(squared, [np.inf, np.inf, np.nan])


def test_regions_must_fit_their_points():
    with pytest.raises(ValueError, match='disagree'):
        squared_mahalanobis(np.zeros((3, 2)), np.zeros((3, 2)), np.zeros((3, 2)))
    for level in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match='level must lie inside'):
            region_coverage([1.0], [T], level)


@pytest.mark.parametrize('level', [0.5, 0.95])
def test_the_radius_is_that_of_the_area(level):
    rng = np.random.default_rng(2)
    root = rng.normal(0, 2, (5, 2, 2))
    spread = root @ root.swapaxes(-1, -2)
    axes = np.sqrt(stats.chi2.ppf(level, 2) * np.linalg.eigvalsh(spread))
    np.testing.assert_allclose(region_radii(spread, level) ** 2, axes.prod(axis=-1), rtol=1e-6)
    np.testing.assert_allclose(region_radii(9 * spread, level), 3 * region_radii(spread, level))


def test_a_region_without_area_has_no_radius():
    odd = [[[1.0, 1.0], [1.0, 1.0]], [[1.0, 3.0], [3.0, 1.0]], np.full((2, 2), np.nan)]
    np.testing.assert_array_equal(region_radii(odd, 0.9), [0.0, 0.0, np.nan])
    with pytest.raises(ValueError, match='must be'):
        region_radii([1.0, 2.0], 0.9)
    with pytest.raises(ValueError, match='level must lie inside'):
        region_radii(np.eye(2), 1.0)


def test_a_region_score_is_a_diameter_and_what_lies_outside():
    bound = -2 * math.log1p(-0.9)
    inside = region_score([0.5 * bound], [3.0], [True], 0.9)
    assert inside == pytest.approx(6.0)
    outside = region_score([4 * bound], [3.0], [True], 0.9)
    assert outside == pytest.approx(6.0 + 2 / 0.1 * 3.0)
    assert math.isnan(region_score([1.0], [1.0], [False], 0.9))


def test_the_region_score_is_least_for_the_honest_size():
    rng = np.random.default_rng(0)
    squared = (rng.standard_normal((100_000, 2)) ** 2).sum(axis=1)
    everywhere = np.ones(len(squared), bool)
    scores = []
    for factor in (0.6, 1.0, 1.6):
        radius = np.full(len(squared), factor * math.sqrt(-2 * math.log1p(-0.9)))
        scores.append(region_score(squared / factor**2, radius, everywhere, 0.9))
    assert scores[1] < min(scores[0], scores[2])
