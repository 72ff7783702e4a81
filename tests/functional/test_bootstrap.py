import math

import numpy as np
import pytest

from unsct_mmpose.functional.bootstrap import (
    bootstrap_interval,
    bootstrap_intervals,
    share_by_patient,
)


def mean(table):
    return float(np.mean(table['e'])) if len(table['e']) else math.nan


def case(seed=0, patients=30, images=4, spread=3.0):
    """Errors of some images of each patient, who share a patient effect."""
    rng = np.random.default_rng(seed)
    effect = rng.normal(10, spread, patients)
    return (
        {'e': (effect[:, None] + rng.normal(0, 0.5, (patients, images))).ravel()},
        np.repeat([f'p{index}' for index in range(patients)], images),
    )


def test_the_same_seed_gives_the_same_interval():
    table, patients = case()
    interval = bootstrap_interval(table, mean, patients, 200, seed=3)
    assert interval == bootstrap_interval(table, mean, patients, 200, seed=3)
    assert interval == bootstrap_interval(table, mean, patients, 200, seed=np.random.default_rng(3))
    assert interval != bootstrap_interval(table, mean, patients, 200, seed=4)


def test_the_value_is_that_of_the_data_and_lies_inside():
    table, patients = case()
    interval = bootstrap_interval(table, mean, patients, 300)
    assert interval.value == mean(table)
    assert interval.low < interval.value < interval.high


def test_the_order_of_the_images_does_not_matter():
    table, patients = case()
    order = np.random.default_rng(1).permutation(len(patients))
    mixed = bootstrap_interval({'e': table['e'][order]}, mean, patients[order], 100)
    assert mixed == pytest.approx(bootstrap_interval(table, mean, patients, 100))


def test_whole_patients_are_drawn():
    table = {'e': np.array([1.0, 3.0, 10.0, 20.0]), 'who': np.array(['a', 'a', 'b', 'b'])}

    def both_or_none(rows):
        for who, values in (('a', [1.0, 3.0]), ('b', [10.0, 20.0])):
            found = rows['e'][rows['who'] == who]
            assert sorted(found) == sorted(values * (len(found) // 2))
        assert len(rows['e']) == 4
        return mean(rows)

    found = bootstrap_interval(table, both_or_none, table['who'], 200)
    assert found == (8.5, 2.0, 15.0)


def test_images_of_one_patient_are_not_independent():
    table, patients = case()
    by_patient = bootstrap_interval(table, mean, patients, 500)
    by_image = bootstrap_interval(table, mean, np.arange(len(patients)), 500)
    assert by_patient.high - by_patient.low > 1.5 * (by_image.high - by_image.low)


def test_the_interval_has_the_width_of_theory():
    table, patients = case(patients=200, images=1)
    interval = bootstrap_interval(table, mean, patients, 2000)
    half = 1.96 * table['e'].std(ddof=1) / math.sqrt(200)
    assert (interval.high - interval.low) / 2 == pytest.approx(half, rel=0.08)
    narrow = bootstrap_interval(table, mean, patients, 2000, confidence=0.5)
    assert (narrow.high - narrow.low) / 2 == pytest.approx(half * 0.6745 / 1.96, rel=0.1)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    held = 0
    for seed in range(200):
        table, patients = case(seed, patients=40, images=2)
        interval = bootstrap_interval(table, mean, patients, 150)
        held += interval.low <= 10 <= interval.high
    assert held / 200 == pytest.approx(0.94, abs=0.05)


def test_many_figures_share_their_resamples():
    table, patients = case()
    intervals = bootstrap_intervals(
        table, lambda rows: {'mean': mean(rows), 'twice': 2 * mean(rows)}, patients, 100
    )
    assert list(intervals) == ['mean', 'twice']
    assert intervals['mean'] == bootstrap_interval(table, mean, patients, 100)
    assert intervals['twice'] == pytest.approx(tuple(2 * number for number in intervals['mean']))


@pytest.mark.parametrize('count', [0, 1, 5])
def test_one_patient_has_no_interval(count):
    table = {'e': np.arange(float(count))}
    interval = bootstrap_interval(table, mean, np.zeros(count), 50)
    assert interval.value == pytest.approx(mean(table), nan_ok=True)
    assert math.isnan(interval.low) and math.isnan(interval.high)


def test_undefined_resamples_are_left_out_unless_they_are_most():
    table, patients = {'e': np.arange(10.0)}, np.arange(10)

    def needs(least):
        return lambda rows: mean(rows) if (rows['e'] == 0).sum() >= least else math.nan

    often, seldom = (bootstrap_interval(table, needs(n), patients, 400) for n in (1, 2))
    assert often.low < 4.5 < often.high  # a patient is drawn with probability 0.65
    assert math.isnan(seldom.low) and math.isnan(seldom.high)


def test_a_statistic_may_change_its_rows_but_not_the_table():
    table, patients = case()
    before = table['e'].copy()

    def careless(rows):
        found = mean(rows)
        if rows is not table:
            rows['e'][:] = 0
        return found

    assert bootstrap_interval(table, careless, patients, 20).low > 0
    np.testing.assert_array_equal(table['e'], before)


def test_rows_and_settings_must_make_sense():
    table, patients = case()
    for wrong in (patients[:-1], np.stack([patients] * 2)):
        with pytest.raises(ValueError, match='disagree'):
            bootstrap_interval(table, mean, wrong)
    with pytest.raises(ValueError, match='resamples must be positive'):
        bootstrap_interval(table, mean, patients, 0)
    with pytest.raises(ValueError, match='confidence must lie'):
        bootstrap_interval(table, mean, patients, confidence=95)


def test_a_share_is_that_of_resampled_patients():
    rng = np.random.default_rng(5)
    patients = np.repeat(np.arange(25), 4)
    counts = rng.integers(0, 5, 100)
    hits = rng.binomial(counts, np.repeat(rng.beta(8, 2, 25), 4))
    quick = share_by_patient(hits, counts, patients, 4000)
    slow = bootstrap_interval(
        {'h': hits, 'n': counts}, lambda t: t['h'].sum() / t['n'].sum(), patients, 2000
    )
    assert quick.value == pytest.approx(slow.value)
    assert quick.low == pytest.approx(slow.low, abs=0.01)
    assert quick.high == pytest.approx(slow.high, abs=0.01)


def test_a_share_of_nothing_or_of_one_patient_has_no_interval():
    assert all(math.isnan(share_of) for share_of in share_by_patient([0], [0], ['a']))
    share = share_by_patient([1, 2], [2, 2], ['a', 'a'])
    assert share.value == 0.75 and math.isnan(share.low)
    with pytest.raises(ValueError, match='disagree'):
        share_by_patient([1], [2, 3], ['a', 'b'])
