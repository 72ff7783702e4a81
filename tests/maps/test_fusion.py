"""More evidence never lowers a probability, and the fit is that of a plain logistic regression."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unsct_mmpose.maps.evidence import Evidence
from unsct_mmpose.maps.fusion import (
    DEFAULT_FEATURES,
    FEATURE_SIGNS,
    Fusion,
    MonotoneLogistic,
    fit_fusion,
    fit_logistic,
    fusion_features,
    normalised_alignment,
    relation_reference,
)
from unsct_mmpose.maps.uncertainty import landmark_alignment

COUNT = 8
PAIRS = [(start, (start + step) % COUNT) for step in (1, 3) for start in range(COUNT)]
STRENGTHS = (0.9, 0.5, 0.8, 0.3, 0.7, 0.6, 0.9, 0.4, 0.9, 0.5, 0.8, 0.3, 0.7, 0.6, 0.9, 0.4)
SIGNS = (1, -1, 1)


def simulated(count, slopes, intercept=0.3, seed=0):
    """Draw features and outcomes of a known logistic model."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (count, len(slopes))) * [1.0, 3.0, 0.2][: len(slopes)]
    p = 1 / (1 + np.exp(-(x @ slopes + intercept)))
    return x, rng.random(count) < p


def newton(x, y, penalty=0.0):
    """Fit by Newton's method, on standardised features; return log odds at ``x``."""
    z = np.c_[np.ones(len(x)), (x - x.mean(axis=0)) / x.std(axis=0)]
    ridge = penalty * np.diag([0.0] + [1.0] * x.shape[1])
    beta = np.zeros(z.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-z @ beta))
        hessian = (z * (p * (1 - p))[:, None]).T @ z + ridge
        beta += np.linalg.solve(hessian, z.T @ (y - p) - ridge @ beta)
    return z @ beta


def random_evidence(count=40, seed=0):
    """Return evidence in which a landmark is now and then absent, and who is present."""
    rng = np.random.default_rng(seed)
    present = rng.random((count, COUNT)) < 0.75
    both = present[:, [a for a, _ in PAIRS]] & present[:, [b for _, b in PAIRS]]
    aligned = np.where(both, STRENGTHS, 0.05) + rng.normal(0, 0.05, both.shape)
    peak = np.where(present, 0.8, 0.2) + rng.normal(0, 0.15, present.shape)
    arrays = dict(
        points=np.zeros((count, COUNT, 2)),
        covariances=np.tile(np.eye(2), (count, COUNT, 1, 1)),
        peak=np.clip(peak, -0.1, 1.1),
        rival=np.clip(np.where(present, 0.1, 0.4) + rng.normal(0, 0.1, present.shape), 0, 0.5),
        spread=np.exp(np.where(present, 0, 0.5) + rng.normal(0, 0.3, present.shape)),
        alignment=np.zeros((count, COUNT)),
        peeled=np.zeros((count, COUNT)),
        support=np.zeros((count, COUNT)),
        relation_alignment=aligned,
        noise=np.zeros(count),
    )
    return Evidence(**{k: torch.from_numpy(v).float() for k, v in arrays.items()}), present


def columns_of(evidence, reference=STRENGTHS, names=tuple(FEATURE_SIGNS)):
    return dict(
        zip(names, fusion_features(evidence, PAIRS, reference, names).unbind(-1), strict=True)
    )


# The logistic model


def test_log_odds_are_the_formula_of_the_class():
    model = MonotoneLogistic(0.3, (2.0, 0.5), (1.0, -1.0), (4.0, 0.5), (1, -1))
    x = torch.tensor([[[3.0, 2.0]], [[1.0, -1.0]]], dtype=torch.float64)
    first = 0.3 + 2 * (3 - 1) / 4 - 0.5 * (2 + 1) / 0.5
    assert model.log_odds(x).shape == (2, 1)
    assert model.log_odds(x).flatten().tolist() == pytest.approx([first, 0.3])


def test_a_known_model_is_found_again():
    x, y = simulated(40_000, [1.5, -0.4, 2.0])
    model = fit_logistic(x, y, SIGNS)
    slopes = np.array(model.weights) * model.signs / model.scales
    assert slopes == pytest.approx([1.5, -0.4, 2.0], rel=0.08)
    assert model.intercept - slopes @ model.centres == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize('penalty', [0.0, 1.0, 30.0])
def test_the_fit_is_the_penalised_maximum_likelihood_of_newtons_method(penalty):
    x, y = simulated(500, [1.5, -0.4, 2.0])
    found = fit_logistic(x, y, SIGNS, penalty).log_odds(torch.from_numpy(x))
    np.testing.assert_allclose(found, newton(x, y, penalty), atol=2e-4)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    signs=st.lists(st.sampled_from([-1, 1]), min_size=3, max_size=3),
    which=st.integers(0, 2),
)
def test_raising_a_feature_never_moves_the_probability_against_its_sign(seed, signs, which):
    x, y = simulated(60, [1.5, -0.4, 2.0], seed=seed)  # whatever the data would say
    model = fit_logistic(x, y, signs)
    assert min(model.weights) >= 0
    before = torch.from_numpy(x)
    after = before.clone()
    after[:, which] += 0.7
    change = model.log_odds(after) - model.log_odds(before)
    assert (signs[which] * change >= 0).all()


def test_evidence_against_its_sign_is_not_used():
    x, y = simulated(2000, [1.5, -0.4])
    model = fit_logistic(x, y, [-1, 1])
    assert model.weights == (0, 0)
    assert model.intercept == pytest.approx(math.log(y.mean() / (1 - y.mean())), abs=1e-4)


def test_a_wrong_sign_leaves_the_other_features_their_own_best_fit():
    x, y = simulated(2000, [1.5, -0.4])
    found = fit_logistic(x, y, [1, 1], penalty=1.0).log_odds(torch.from_numpy(x))
    np.testing.assert_allclose(found, newton(x[:, :1], y, 1.0), atol=2e-3)


def test_outcomes_that_can_be_separated_keep_the_weights_finite():
    x = np.r_[np.linspace(-2, -1, 30), np.linspace(1, 2, 30)][:, None]
    weights = [fit_logistic(x, x[:, 0] > 0, [1], penalty).weights[0] for penalty in (0.1, 1, 10)]
    assert np.isfinite(weights).all()
    assert weights[0] > weights[1] > weights[2] > 0.5
    model = fit_logistic(x, x[:, 0] > 0, [1])
    assert model.log_odds(torch.tensor([[-1.0], [1.0]])).sign().tolist() == [-1, 1]


def test_the_unit_of_a_feature_does_not_matter():
    x, y = simulated(300, [1.5, -0.4, 2.0])
    plain = fit_logistic(x, y, SIGNS).log_odds(torch.from_numpy(x))
    other = x * [1000, 0.01, 3] + [5, -7, 100]
    scaled = fit_logistic(other, y, SIGNS).log_odds(torch.from_numpy(other))
    torch.testing.assert_close(scaled, plain, atol=1e-3, rtol=1e-3)


def test_a_feature_that_never_changes_says_nothing():
    x, y = simulated(300, [1.5])
    model = fit_logistic(np.c_[x, np.full(300, 7.0)], y, [1, 1])
    assert model.weights[1] == 0
    assert model.scales[1] == 1
    alone = fit_logistic(x, y, [1])
    assert model.weights[0] == pytest.approx(alone.weights[0], abs=1e-4)


@pytest.mark.parametrize(('outcome', 'word'), [(True, 'present'), (False, 'absent')])
def test_one_kind_of_outcome_cannot_be_learnt_from(outcome, word):
    with pytest.raises(ValueError, match=f'every one of the 5 outcomes is {word}'):
        fit_logistic(np.zeros((5, 1)), [outcome] * 5, [1])


@pytest.mark.parametrize(
    ('shape', 'outcomes', 'signs'), [((5,), 5, 1), ((5, 2), 4, 2), ((5, 2), 5, 1)]
)
def test_shapes_must_fit(shape, outcomes, signs):
    with pytest.raises(ValueError, match='disagree'):
        fit_logistic(np.zeros(shape), np.arange(outcomes) > 1, [1] * signs)


# Reference and features


def test_the_reference_is_the_median_where_both_ends_are_present():
    rng = np.random.default_rng(0)
    aligned, present = rng.uniform(0.1, 1, (50, 16)), rng.random((50, COUNT)) < 0.6
    reference = relation_reference(aligned, present, PAIRS)
    for index, (a, b) in enumerate(PAIRS):
        values = [aligned[i, index] for i in range(50) if present[i, a] and present[i, b]]
        assert reference[index] == pytest.approx(np.median(values))


def test_a_relation_that_is_never_there_takes_the_median_of_all():
    aligned = np.array([[0.2, 0.9, 0.4], [0.4, 0.9, 0.6]])
    present = np.array([[True, True, False, True]] * 2)
    reference = relation_reference(aligned, present, [(0, 1), (1, 2), (0, 3)])
    assert reference.tolist() == pytest.approx([0.3, 0.4, 0.5])


def test_a_reference_is_never_tiny_and_is_1_without_any_image():
    pairs, present = [(0, 1)], np.ones((3, 2), bool)
    for value in (-0.4, 0.0, 0.01):
        assert relation_reference(np.full((3, 1), value), present, pairs).tolist() == [0.05]
    assert relation_reference(np.zeros((3, 1)), ~present, pairs).tolist() == [1.0]


def test_alignments_are_divided_by_their_reference_and_clipped():
    evidence, _ = random_evidence(1)
    values = torch.tensor([[0.45, -0.9, 0.3, 0.1, 0.0]])
    evidence = replace(evidence, relation_alignment=values)
    normalised = normalised_alignment(evidence, (0.9, 0.3, 0.1, 0.2, 0.05))
    assert normalised[0].tolist() == pytest.approx([0.5, -1, 1.5, 0.5, 0])


def test_features_are_log_odds_a_logarithm_and_gathered_alignments():
    evidence, _ = random_evidence()
    columns = columns_of(evidence)

    def odds(share):
        share = np.clip(share, 0.001, 0.999)
        return np.log(share / (1 - share))

    peak = evidence.peak.double().numpy()
    usual = np.quantile(peak.clip(max=1), 0.75, axis=1, keepdims=True).clip(0.3, 0.95)
    np.testing.assert_allclose(columns['peak'], odds(peak), atol=1e-3)
    np.testing.assert_allclose(columns['standout'], odds(peak) - odds(usual), atol=1e-3)
    np.testing.assert_allclose(columns['rival'], odds(evidence.rival.double().numpy()), atol=1e-3)
    np.testing.assert_allclose(columns['spread'], np.log(evidence.spread), atol=1e-6)
    aligned = normalised_alignment(evidence, STRENGTHS)
    level = np.quantile(aligned.double().numpy(), 0.75, axis=1, keepdims=True).clip(0.3, 1)
    aligned = (aligned.double() / torch.from_numpy(level)).clamp(-1, 1.5)
    mean = landmark_alignment(aligned, PAIRS, COUNT, aggregation='paper').alignment
    fallback = evidence.peak.clamp(0, 1).double()
    peel = landmark_alignment(aligned, PAIRS, COUNT, fallback=fallback).alignment
    np.testing.assert_allclose(columns['aligned'], mean, atol=1e-5)
    np.testing.assert_allclose(columns['supported'], peel, atol=1e-5)
    assert (columns['supported'] - columns['aligned']).abs().max() > 0.2


def test_a_faint_relation_counts_like_a_bright_one_after_division():
    evidence, present = random_evidence(400)
    reference = relation_reference(evidence.relation_alignment.numpy(), present, PAIRS)
    assert reference == pytest.approx(STRENGTHS, abs=0.03)
    whole = torch.from_numpy(present.all(axis=1))
    found = normalised_alignment(evidence, reference)[whole].mean(dim=0)
    assert found.tolist() == pytest.approx([1] * len(PAIRS), abs=0.08)


def test_what_dims_a_whole_image_changes_little_but_its_own_peaks():
    # Noise and poor contrast lower all peaks and fields together: an odds ratio, a factor.
    evidence, _ = random_evidence()
    odds = torch.logit(evidence.peak.clamp(0.05, 0.9))
    bright = replace(evidence, peak=torch.sigmoid(odds))
    dim = replace(
        evidence,
        peak=torch.sigmoid(odds - 0.5),
        relation_alignment=0.6 * evidence.relation_alignment,
    )
    before, after = columns_of(bright), columns_of(dim)
    torch.testing.assert_close(after['peak'], before['peak'] - 0.5)
    usual = torch.quantile(bright.peak, 0.75, dim=1) > 0.5
    torch.testing.assert_close(
        after['standout'][usual], before['standout'][usual], atol=0.05, rtol=0.02
    )
    level = torch.quantile(normalised_alignment(evidence, STRENGTHS), 0.75, dim=1)
    inside = (level > 0.55) & (level < 1)
    assert inside.sum() > 10
    torch.testing.assert_close(after['aligned'][inside], before['aligned'][inside])


def test_an_image_without_anything_is_not_lifted_to_the_usual_level():
    evidence, _ = random_evidence(1)
    empty = replace(
        evidence,
        peak=torch.full((1, COUNT), 0.05),
        relation_alignment=torch.full((1, len(PAIRS)), 0.03),
    )
    columns = columns_of(empty)
    assert columns['standout'].max() < -2
    assert columns['aligned'].max() < 0.4
    assert columns['supported'].max() < 0.4


def test_an_unknown_feature_is_named_beside_the_known_ones():
    evidence, _ = random_evidence(1)
    with pytest.raises(ValueError, match=r"\['colour'\]; choose from \['peak'"):
        fusion_features(evidence, PAIRS, STRENGTHS, ('peak', 'colour'))


# The whole fusion


def test_fusion_tells_present_from_absent_landmarks_of_new_images():
    evidence, present = random_evidence(200)
    fusion = fit_fusion(evidence, present, np.ones_like(present), PAIRS)
    assert fusion.features == DEFAULT_FEATURES
    other, truth = random_evidence(200, seed=1)
    odds = fusion.log_odds(other, PAIRS).numpy()
    assert ((odds > 0) == truth).mean() > 0.97
    # what it calls p happens in a share p of cases
    assert (1 / (1 + np.exp(-odds))).mean() == pytest.approx(truth.mean(), abs=0.01)


def test_both_together_are_better_than_either():
    evidence, present = random_evidence(400)
    labelled, other = np.ones_like(present), random_evidence(400, seed=1)

    def loss(features):
        fusion = fit_fusion(evidence, present, labelled, PAIRS, features)
        odds = fusion.log_odds(other[0], PAIRS).numpy()
        return np.logaddexp(0, np.where(other[1], -odds, odds)).mean()

    both = loss(('peak', 'supported'))
    assert both < loss(('peak',)) and both < loss(('supported',))


def test_what_is_not_labelled_counts_nowhere():
    evidence, present = random_evidence(100)
    labelled = np.random.default_rng(5).random(present.shape) < 0.7
    fusion = fit_fusion(evidence, present, labelled, PAIRS)
    again = fit_fusion(evidence, present ^ ~labelled, labelled, PAIRS)
    assert again.reference == fusion.reference
    assert again.model == fusion.model


@pytest.mark.parametrize(('name', 'sign'), [('peak', 1), ('rival', -1), ('spread', -1)])
def test_a_better_peak_never_lowers_the_probability_of_its_landmark(name, sign):
    evidence, present = random_evidence(100)
    features = ('peak', 'standout', 'rival', 'spread', 'aligned')
    fusion = fit_fusion(evidence, present, np.ones_like(present), PAIRS, features)
    before = fusion.log_odds(evidence, PAIRS)
    for index in range(COUNT):
        raised = getattr(evidence, name).clone()
        raised[:, index] += 0.1
        change = (
            fusion.log_odds(replace(evidence, **{name: raised}), PAIRS)[:, index] - before[:, index]
        )
        assert (sign * change >= -1e-5).all()
        assert change.abs().max() > 0.05


def test_a_fusion_survives_json():
    evidence, present = random_evidence()
    fusion = fit_fusion(evidence, present, np.ones_like(present), PAIRS, ('spread', 'supported'))
    again = Fusion.from_dict(json.loads(json.dumps(asdict(fusion))))
    assert again == fusion
    assert torch.equal(again.log_odds(evidence, PAIRS), fusion.log_odds(evidence, PAIRS))
    assert again.model.signs == (-1, 1)
