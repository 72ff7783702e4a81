"""Simulated patients whose errors are known: what is promised for the next one must hold."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from unsct_mmpose.functional.hierarchical import (
    MANY_PATIENTS,
    allowed_level,
    by_patient,
    hierarchical_quantile,
    holm_significant,
    left_out_offsets,
    new_patient_most,
    new_patient_radius,
    promise_words,
    random_effects_radius,
    systematic_offset,
)
from unsct_mmpose.maps.calibration import conformal_quantile

IMAGES = 12
LEVELS = (0.5, 0.8, 0.9, 0.95)
CORRELATIONS = (0.0, 0.3, 0.6, 0.9)


def draw(repeats, patients, correlation, axes=1, seed=0):
    """Return standard normal residuals ``(R, P, n, D)`` with an intraclass correlation."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((repeats, patients, 1, axes))
    own = rng.standard_normal((repeats, patients, IMAGES, axes))
    return math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own


def held(radius, axes=1):
    """Return the share of new patients' residuals within each radius, exactly, and its mean."""
    return float(stats.chi2.cdf(np.asarray(radius) ** 2, axes).mean())


def over_images(residuals, level):
    """Return what a quantile over images as if they were independent promises."""
    flat = np.sort(np.abs(residuals[..., 0]).reshape(len(residuals), -1), axis=1)
    rank = math.ceil((flat.shape[1] + 1) * level - 1e-9)
    return flat[:, min(rank, flat.shape[1]) - 1]


@pytest.mark.parametrize('level', LEVELS)
@pytest.mark.parametrize('correlation', CORRELATIONS)
@pytest.mark.parametrize('patients, repeats', [(3, 800), (10, 250), (50, 60)])
def test_intervals_hold_for_new_patients(patients, repeats, correlation, level):
    residuals = draw(repeats, patients, correlation)[:, None]  # repeats, and one group in each
    assert held(random_effects_radius(residuals, level)) == pytest.approx(level, abs=0.03)
    assert held(new_patient_radius(residuals, level).value) == pytest.approx(level, abs=0.03)


@pytest.mark.parametrize('level', LEVELS)
@pytest.mark.parametrize('correlation', CORRELATIONS)
@pytest.mark.parametrize('patients, repeats', [(3, 500), (10, 150), (50, 40)])
def test_regions_hold_for_new_patients(patients, repeats, correlation, level):
    residuals = draw(repeats, patients, correlation, axes=2, seed=1)[:, None]
    found = held(new_patient_radius(residuals, level).value, axes=2)
    # which way the error of a patient goes is no more than one number: cautious with few
    assert level - 0.03 <= found <= level + (0.07 if patients == 3 else 0.03)


def test_a_quantile_over_images_fails_where_patients_differ():
    assert held(over_images(draw(1000, 3, 0.9), 0.95)) < 0.91
    assert held(over_images(draw(1000, 3, 0.9), 0.9)) < 0.86


def test_a_quantile_over_images_holds_where_they_do_not():
    assert held(over_images(draw(500, 10, 0.0), 0.95)) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize('correlation', [0.0, 0.9])
@pytest.mark.parametrize('level', [0.5, 0.8, 0.95])
def test_the_patients_alone_promise_at_least_the_level(correlation, level):
    residuals = draw(300, 20, correlation, seed=2)
    found = held(hierarchical_quantile(np.abs(residuals[..., 0]), level))
    assert level - 0.01 <= found <= level + 1 / 21 + 0.01


def test_rare_gross_errors_do_not_widen_everything():
    clean = draw(200, 10, 0.3, seed=3)
    rng = np.random.default_rng(4)
    gross = np.where(rng.random(clean.shape) < 0.01, 100 * rng.standard_normal(clean.shape), clean)
    for level in (0.5, 0.8, 0.95):
        bound = math.sqrt(stats.chi2.ppf(level + 0.025, 1))
        assert np.median(random_effects_radius(gross, level)) < bound


@pytest.mark.parametrize('level', [0.5, 0.9])
def test_heavy_tails_are_followed(level):
    rng = np.random.default_rng(5)
    shared, own = (rng.standard_t(3, (200, 14, n, 1)) for n in (1, IMAGES))
    new = np.abs(rng.standard_t(3, 100_000) + rng.standard_t(3, 100_000))
    radius = random_effects_radius(shared + own, level)
    found = np.searchsorted(np.sort(new), radius).mean() / len(new)
    assert found == pytest.approx(level, abs=0.03)


@given(st.integers(1, 60), st.floats(0.05, 0.95), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_one_score_each_is_the_conformal_quantile(patients, level, seed):
    scores = np.random.default_rng(seed).random(patients)
    assert hierarchical_quantile(scores[:, None], level) == conformal_quantile(scores, level)
    radius = new_patient_radius(scores[:, None, None], level)
    if math.isfinite(conformal_quantile(scores, level)):
        assert radius.value == conformal_quantile(scores, level)
        assert not radius.by_model


@given(st.integers(1, 8), st.integers(1, 5), st.floats(0.1, 0.99), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_the_quantile_is_the_weighted_one_by_counting(patients, images, level, seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 9, (patients, images)).astype(float)
    scores[rng.random(scores.shape) < 0.3] = np.nan
    people = [row[~np.isnan(row)] for row in scores if not np.isnan(row).all()]
    values = sorted({value for row in people for value in row.tolist()})
    reached = [
        value
        for value in values
        if sum((row <= value).mean() for row in people) / (len(people) + 1) >= level - 1e-9
    ]
    assert hierarchical_quantile(scores, level) == (reached[0] if reached else math.inf)


def test_no_level_beyond_what_patients_allow():
    scores = np.abs(draw(1, 3, 0.5)[0, ..., 0])
    assert np.isfinite(hierarchical_quantile(scores, allowed_level(3)))
    assert hierarchical_quantile(scores, allowed_level(3) + 0.01) == math.inf


@pytest.mark.parametrize('patients', [MANY_PATIENTS - 1, MANY_PATIENTS])
def test_many_patients_need_no_model(patients):
    radius = new_patient_radius(draw(2, patients, 0.5), 0.95)
    assert radius.by_model.tolist() == [patients < MANY_PATIENTS] * 2
    assert radius.patients.tolist() == [patients] * 2


def test_copies_of_images_make_no_patients():
    patient = draw(1, 3, 0.0)[0, :, :1]
    copied = np.repeat(patient, 40, axis=1)
    assert random_effects_radius(copied, 0.95) > 1.5 * random_effects_radius(
        draw(1, 3, 0.0)[0] * np.sqrt((patient**2).mean()), 0.95
    )


@given(st.floats(0.01, 100), st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_a_radius_has_the_unit_of_the_residuals(scale, seed):
    residuals = draw(1, 5, 0.5, axes=2, seed=seed)[0]
    plain = random_effects_radius(residuals, 0.9)
    assert random_effects_radius(scale * residuals, 0.9) == pytest.approx(scale * plain)
    assert random_effects_radius(residuals[::-1, ::-1], 0.9) == pytest.approx(plain)


def test_groups_are_done_at_once_and_gaps_count_nowhere():
    residuals = draw(4, 6, 0.5, seed=6)
    residuals[1, :, 5:] = np.nan
    residuals[2, 4:] = np.nan
    residuals[3] = np.nan
    together = new_patient_radius(residuals[:, None], 0.9)
    parts = [residuals[0], residuals[1, :, :5], residuals[2, :4]]
    each = [new_patient_radius(part, 0.9).value for part in parts]
    assert together.value[:3, 0] == pytest.approx(np.array(each))
    assert np.isnan(together.value[3])
    assert together.patients[:, 0].tolist() == [6, 6, 4, 0]
    # as groups of the same patients: what is not there changes nothing
    groups = new_patient_radius(residuals, 0.9).value
    assert groups[:3] == pytest.approx(new_patient_radius(residuals[:3], 0.9).value)
    assert np.isnan(groups[3])


def heavy(repeats, groups, patients, axes, seed):
    """Draw t residuals of 3 degrees of freedom, of one image of each patient."""
    rng = np.random.default_rng(seed)
    return rng.standard_t(3, size=(repeats, groups, patients, 1, axes))


@pytest.mark.parametrize('patients', [3, 5, 10])
def test_groups_tell_each_other_of_heavy_tails(patients):
    residuals = heavy(60, 12, patients, 1, seed=11)
    for level in (0.5, 0.8, 0.95):
        radius = random_effects_radius(residuals, level)
        found = (2 * stats.t.cdf(radius, 3) - 1).mean()
        assert found == pytest.approx(level, abs=0.035)
    alone = random_effects_radius(residuals[:, :1], 0.5)
    together = random_effects_radius(residuals, 0.5)
    nominal = stats.t.ppf(0.75, 3)
    assert np.median(together) == pytest.approx(nominal, rel=0.25)
    assert np.median(alone) > np.median(together)


def test_a_group_is_hardly_told_of_what_many_patients_say_themselves():
    normal = np.random.default_rng(12).standard_normal((1, 1, 300, 1, 1))
    tails = heavy(1, 11, 300, 1, seed=13)
    alone = random_effects_radius(normal, 0.95)[0, 0]
    among = random_effects_radius(np.concatenate([normal, tails], axis=1), 0.95)[0, 0]
    assert among == pytest.approx(alone, rel=0.03)


def test_perfect_residuals_have_no_radius():
    assert new_patient_radius(np.zeros((3, 4, 1)), 0.95).value == 0


def test_an_offset_is_found_and_its_interval_holds():
    rng = np.random.default_rng(7)
    shared = 1.0 + rng.standard_normal((2000, 5, 1))
    offset = systematic_offset(shared + 0.3 * rng.standard_normal((2000, 5, 8)))
    assert offset.value.mean() == pytest.approx(1.0, abs=0.05)
    assert ((offset.low <= 1) & (offset.high >= 1)).mean() == pytest.approx(0.95, abs=0.02)


def test_a_test_over_patients_is_not_fooled_by_images():
    rng = np.random.default_rng(8)
    shared = rng.standard_normal((2000, 4, 1)) + 0.1 * rng.standard_normal((2000, 4, 50))
    assert (systematic_offset(shared).p < 0.05).mean() == pytest.approx(0.05, abs=0.02)


def test_one_patient_says_nothing_of_an_offset():
    offset = systematic_offset([[1.0, 2.0]])
    assert offset.value == 1.5
    assert np.isnan([offset.low, offset.high, offset.p]).all()


def test_left_out_offsets_leave_the_doubt_in():
    rng = np.random.default_rng(9)
    errors = 2 + rng.standard_normal((3000, 4, 1)) * np.ones((1, 1, 6))
    left = errors - left_out_offsets(errors)[..., None]
    # variance of a new patient about a mean of three others
    assert left[..., 0].var() == pytest.approx(1 + 1 / 3, abs=0.05)


def test_a_family_of_nothing_finds_little():
    rng = np.random.default_rng(10)
    families = np.array([holm_significant(rng.random(17)).any() for _ in range(2000)])
    assert families.mean() < 0.065
    assert holm_significant([1e-9, np.nan, 0.9]).tolist() == [True, False, False]


@pytest.mark.parametrize('patients', [3, 12])
def test_few_new_patients_exceed_what_is_usual(patients):
    draws, images = 400, 4
    rng = np.random.default_rng(patients)
    values = rng.normal(size=(draws, patients + 1, 1))
    values = values + rng.normal(size=(draws, patients + 1, images)) / 2
    names = np.repeat(np.arange(patients), images)
    beyond, beyond_seen = 0, 0
    for draw in values:
        known, new = draw[:-1].ravel(), draw[-1].max()
        limit = new_patient_most(known, names)
        assert limit >= known.max()
        beyond, beyond_seen = beyond + (new > limit), beyond_seen + (new > known.max())
    assert beyond / draws < 0.05 + 0.02
    assert beyond_seen / draws > 0.6 / (patients + 1)  # else it says nothing


def test_what_one_patient_showed_is_usual():
    assert new_patient_most([1.0, 3.0, 2.0], ['a'] * 3) == 3.0


def test_rows_are_gathered_whole():
    names = np.array(['b', 'a', 'c', 'b', 'b'])
    values = np.arange(10.0).reshape(5, 2)
    rows = by_patient(values, names)
    assert rows.shape == (3, 3, 2)
    assert rows[1].tolist() == values[names == 'b'].tolist()
    assert np.isnan(rows[0, 1:]).all()
    with pytest.raises(ValueError, match='disagree'):
        by_patient(values, names[:2])


@pytest.mark.parametrize('level', [0.0, 1.0, 95])
def test_levels_are_shares(level):
    for method in (hierarchical_quantile, random_effects_radius):
        with pytest.raises(ValueError, match='level'):
            method(np.ones((2, 2, 1)), level)


@pytest.mark.parametrize(
    'level, patients, words',
    [
        (0.95, 3, '95 % (by a model of 3 patients; 75 % without)'),
        (0.95, 14, '95 % (by a model of 14 patients; 93 % without)'),
        (0.95, 1, '95 % (by a model of 1 patient; 50 % without)'),
        (0.95, 53, '95 % (by 53 patients)'),
        (0.95, 30, '95 % (by a model of 30 patients)'),
        (0.99, 53, '99 % (by a model of 53 patients; 98 % without)'),
        (0.975, None, '97.5 % (of new images of known patients)'),
        (0.95, 0, '95 % (by no patient)'),
    ],
)
def test_a_promise_names_what_stands_behind_it(level, patients, words):
    assert promise_words(level, patients) == words
    assert promise_words(level, patients, calibrated=False).endswith('(not calibrated)')
