import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from unsct_mmpose.functional.agreement import (
    bland_altman,
    icc_agreement,
    interval_coverage,
    interval_score,
    mean_absolute_error,
    nearest_turn,
    paired_t,
    pearson,
)

# Shrout & Fleiss 1979, table 2: six targets, four judges
SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]
# eight wines, four judges: the example of pingouin's documentation
WINE = np.transpose(
    [
        [1, 1, 3, 6, 6, 7, 8, 9],
        [2, 3, 8, 4, 5, 5, 7, 9],
        [0, 3, 1, 3, 5, 6, 7, 9],
        [1, 2, 4, 3, 6, 2, 9, 8],
    ]
)
# Bland & Altman 1986: peak expiratory flow, first readings of a Wright and of a mini Wright meter
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
PEFR = np.transpose([WRIGHT, MINI])
# a made-up pair of methods; its figures were computed by hand from the formulas of domain.md
HAND = np.array([33, 28.5, 41.2, 25, 36.7, 30.1, 19.8, 44.3])
OTHER = HAND + [1.2, -0.4, 2.1, 0.3, -1.5, 0.9, 1.8, -0.2]


# Intraclass correlation


@pytest.mark.parametrize(
    ('ratings', 'value', 'interval'),
    [
        (SHROUT_FLEISS, 0.28976377952755916, (0.02, 0.76)),
        (WINE, 0.7276887871853546, (0.43, 0.93)),
        (PEFR, 0.9459284055773102, (0.86, 0.98)),
    ],
)
def test_icc_agrees_with_pingouin(ratings, value, interval):
    icc = icc_agreement(ratings)
    assert icc.value == pytest.approx(value, abs=1e-12)
    assert (round(icc.low, 2), round(icc.high, 2)) == interval


@pytest.mark.parametrize(
    ('ratings', 'expected'),
    [
        (SHROUT_FLEISS, (0.2898, 0.0188, 0.7611)),
        (np.transpose([HAND, OTHER]), (0.9882, 0.9470, 0.9976)),
    ],
)
def test_icc_intervals_to_four_decimals(ratings, expected):
    assert icc_agreement(ratings) == pytest.approx(expected, abs=5e-5)


def test_a_constant_shift_spoils_agreement():
    shifted = np.transpose([HAND, HAND + 5])
    icc = icc_agreement(shifted)
    assert icc.value < 0.9
    assert icc.low < icc.value < icc.high < 1


def test_what_only_noise_parts_agrees_by_the_share_of_the_variance():
    noise = np.random.default_rng(0).normal(0, 1, (400, 2))
    ratings = np.random.default_rng(1).normal(0, 3, (400, 1)) + noise
    assert icc_agreement(ratings).value == pytest.approx(0.9, abs=0.02)


def test_perfect_agreement_is_one_without_doubt():
    assert icc_agreement(np.transpose([HAND, HAND])) == (1.0, 1.0, 1.0)
    rounded = np.transpose([HAND, (HAND * 0.1 + 0.3) * 10 - 3])
    assert icc_agreement(rounded) == pytest.approx((1.0, 1.0, 1.0))


def test_icc_does_not_depend_on_unit_origin_or_order():
    ratings = np.array(SHROUT_FLEISS, float)
    plain = icc_agreement(ratings)
    assert icc_agreement(0.1 * ratings + 700) == pytest.approx(plain)
    assert icc_agreement(ratings[::-1]) == pytest.approx(plain)
    assert icc_agreement(ratings[:, ::-1]) == pytest.approx(plain)


@pytest.mark.parametrize(
    'ratings', [np.zeros((0, 2)), [[1.0, 2.0]], [[1.0], [2.0], [3.0]], np.full((5, 2), 0.1)]
)
def test_icc_of_too_little_is_nan(ratings):
    assert np.isnan(icc_agreement(ratings)).all()


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, (6, 3), elements=st.integers(-50, 50).map(float)))
def test_the_interval_holds_the_value(ratings):
    icc = icc_agreement(ratings)
    assert np.isnan(icc.value) or icc.value <= 1 + 1e-12
    if not np.isnan(icc.low):
        assert icc.low <= icc.value + 1e-9 and icc.value <= icc.high + 1e-9


def test_more_confidence_is_a_wider_interval():
    narrow, wide = icc_agreement(WINE, 0.5), icc_agreement(WINE, 0.99)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(3)
    truth = 2**2 / (2**2 + 1)
    held = 0
    for _ in range(400):
        ratings = rng.normal(0, 2, (20, 1)) + rng.normal(0, 1, (20, 2))
        icc = icc_agreement(ratings)
        held += icc.low <= truth <= icc.high
    assert held / 400 == pytest.approx(0.95, abs=0.035)


# Pearson


def test_pearson_agrees_with_scipy():
    for first, second in ((HAND, OTHER), (WRIGHT, MINI)):
        expected = stats.pearsonr(first, second)
        correlation = pearson(first, second)
        assert correlation.value == pytest.approx(expected.statistic, abs=1e-12)
        assert correlation[1:] == pytest.approx(
            tuple(expected.confidence_interval(0.95)), abs=1e-10
        )
    assert pearson(HAND, OTHER).value == pytest.approx(0.98914, abs=5e-6)
    assert pearson(WRIGHT, MINI).value == pytest.approx(0.9432794468909461)


def test_a_straight_line_is_one_without_doubt():
    for scale in (3, 0.1, 1e-9, 1e9):
        assert pearson(HAND, scale * HAND - 7) == pytest.approx((1.0, 1.0, 1.0))
        assert pearson(HAND, -scale * HAND) == pytest.approx((-1.0, -1.0, -1.0))


def test_pearson_of_too_little_is_nan():
    for first, second in (
        ([], []),
        ([1, 2], [1, 2]),
        ([1, 2, 3], [5, 5, 5]),
        ([0.1] * 4, range(4)),
    ):
        assert np.isnan(pearson(first, list(second))).all()
    assert pearson([1, 2, 4], [1, 2, 3]).value > 0.9
    assert math.isnan(pearson([1, 2, 4], [1, 2, 3]).low)


# Bland-Altman


def test_bland_altman_agrees_with_the_paper_of_1986():
    agreement = bland_altman(WRIGHT, MINI)
    assert agreement.n == 17
    assert agreement.bias == pytest.approx((-2.1176470588, -22.04883769664, 17.81354357900))
    assert agreement.sd == pytest.approx(38.76512987360738)
    assert (agreement.lower.value, agreement.upper.value) == pytest.approx(
        (-78.0973016, 73.8620075), 1e-8
    )
    t = stats.t.ppf(0.975, 16)
    for limit in (agreement.lower, agreement.upper):
        assert limit.high - limit.value == pytest.approx(t * 16.39510798471452)
        assert limit.value - limit.low == pytest.approx(t * 16.39510798471452)


def test_bland_altman_of_the_second_example():
    agreement = bland_altman(OTHER, HAND)
    assert agreement.bias.value == pytest.approx(0.525)
    assert (agreement.lower.value, agreement.upper.value) == pytest.approx(
        (-1.845, 2.895), abs=5e-4
    )


def test_changing_places_changes_the_sign():
    one, other = bland_altman(HAND, OTHER), bland_altman(OTHER, HAND)
    assert one.bias.value == -other.bias.value
    assert one.upper == pytest.approx(tuple(-x for x in (other.lower[0], *other.lower[:0:-1])))


def test_the_bias_of_one_pair_has_no_spread():
    agreement = bland_altman([3.0], [1.0])
    assert (agreement.n, agreement.bias.value) == (1, 2.0)
    assert np.isnan([agreement.bias.low, agreement.sd, *agreement.lower, *agreement.upper]).all()
    nothing = bland_altman([], [])
    assert nothing.n == 0 and math.isnan(nothing.bias.value)


# Paired t


@pytest.mark.parametrize(('first', 'second'), [(HAND, OTHER), (WRIGHT, MINI)])
def test_paired_t_agrees_with_scipy(first, second):
    expected = stats.ttest_rel(first, second)
    assert paired_t(first, second) == pytest.approx((len(first), *expected))


def test_paired_t_of_the_examples():
    assert paired_t(OTHER, HAND).p == pytest.approx(0.25912, abs=5e-6)
    assert paired_t(WRIGHT, MINI)[1:] == pytest.approx((-0.22523547656814485, 0.8246476735303766))


def test_paired_t_of_too_little_is_nan():
    for first, second in (([], []), ([1.0], [2.0]), ([1.0, 2.0], [1.0, 2.0])):
        found = paired_t(first, second)
        assert math.isnan(found.t) and math.isnan(found.p)


def test_a_shift_without_noise_is_beyond_doubt():
    assert paired_t([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])[1:] == (-math.inf, 0.0)


# Differences


def test_the_mean_absolute_error_has_no_sign():
    assert mean_absolute_error(HAND, OTHER) == pytest.approx(np.abs(HAND - OTHER).mean())
    assert mean_absolute_error([1.0, 3.0], [3.0, 1.0]) == 2.0
    assert math.isnan(mean_absolute_error([], []))


@given(st.floats(-720, 720), st.floats(-180, 180))
def test_angles_are_compared_the_short_way_round(angle, reference):
    found = float(nearest_turn(angle, reference))
    assert abs(found - reference) <= 180 + 1e-9
    turns = (found - angle) / 360
    assert turns == pytest.approx(round(turns), abs=1e-9)


def test_an_angle_without_a_partner_stays_as_it_is():
    np.testing.assert_array_equal(
        nearest_turn([200.0, np.nan, np.nan], [np.nan, 1.0, np.nan]), [200.0, np.nan, np.nan]
    )


# Intervals


def test_an_interval_holds_its_ends():
    assert interval_coverage([0, 0, 0, 0], [1, 1, 2, 2], [1, -1, 2.5, -0.5]) == 0.75
    assert interval_coverage([0, 0], [np.inf, 0], [9, 0]) == 1.0
    assert math.isnan(interval_coverage([], [], []))


@pytest.mark.parametrize('widths', [[1.0], [1.0, -0.1], [1.0, math.nan]])
def test_half_widths_must_fit(widths):
    with pytest.raises(ValueError, match='must be 0 or more'):
        interval_coverage([0, 0], widths, [0, 0])


@pytest.mark.parametrize('statistic', [pearson, bland_altman, paired_t, mean_absolute_error])
def test_only_finite_pairs_are_compared(statistic):
    with pytest.raises(ValueError, match='are not pairs'):
        statistic([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match='are not pairs'):
        statistic([[1.0]], [[1.0]])
    with pytest.raises(ValueError, match='leave undefined measurements out'):
        statistic([1.0, math.nan], [1.0, 2.0])


def test_icc_needs_a_finite_table():
    with pytest.raises(ValueError, match='must be'):
        icc_agreement([1.0, 2.0])
    with pytest.raises(ValueError, match='not finite'):
        icc_agreement([[1.0, math.inf], [1.0, 2.0]])


def test_two_targets_that_disagree_have_an_interval_without_overflow():
    icc = icc_agreement([[45.0, 23.0], [19.0, 53.0]])  # the F quantile is near 1e308
    assert icc.value == pytest.approx(-19.5)
    assert math.isfinite(icc.low) and math.isfinite(icc.high)
    assert icc.low <= icc.high


def test_the_interval_score_is_least_for_the_true_quantiles():
    rng = np.random.default_rng(0)
    error = rng.standard_normal(200_000)
    zero = np.zeros_like(error)
    for level, best in ((0.5, 0.674), (0.95, 1.96)):
        widths = best * np.array([0.6, 0.8, 1.0, 1.25, 1.6])
        scores = [interval_score(zero, np.full_like(error, w), error, level) for w in widths]
        assert int(np.argmin(scores)) == 2


def test_an_interval_score_is_its_width_and_what_it_misses():
    assert interval_score([0.0, 0.0], [1.0, 2.0], [0.5, -3.0], 0.8) == pytest.approx(
        (2 + 4 + 2 / 0.2 * 1) / 2
    )
    assert math.isnan(interval_score([], [], [], 0.95))
    with pytest.raises(ValueError, match='level'):
        interval_score([0.0], [1.0], [0.0], 95)
    with pytest.raises(ValueError, match='half widths'):
        interval_score([0.0], [-1.0], [0.0], 0.9)
