import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unsct_mmpose.anatomy import index_of
from unsct_mmpose.functional.errors import (
    image_success_rate,
    localisation_recall_precision,
    mean_radial_error,
    mean_set_error,
    median_radial_error,
    normalised_mean_error,
    radial_errors_mm,
    recall,
    recovered_error,
    reference_distances_mm,
    sdr_all,
    set_error,
    success_detection_rate,
)

T, F = True, False
MASKED = {
    'mean': mean_radial_error,
    'median': median_radial_error,
    'sdr': lambda errors, mask: success_detection_rate(errors, mask, 2.0),
    'images': lambda errors, mask: image_success_rate(errors, mask, 2.0),
    'sdr_all': lambda errors, mask: sdr_all(errors, mask, mask, 2.0),
    'set': lambda errors, mask: mean_set_error(errors, mask, mask),
    'nme': lambda errors, mask: normalised_mean_error(errors, mask, np.ones(len(errors))).value,
}
EACH = pytest.mark.parametrize('summary', MASKED.values(), ids=MASKED)


def case(seed=0, images=6, landmarks=5):
    rng = np.random.default_rng(seed)
    errors = rng.exponential(4, (images, landmarks))
    present, reported = rng.random((2, images, landmarks)) < 0.7
    return errors, present, reported


# Radial errors


def test_each_axis_is_converted_with_its_own_spacing():
    pred = np.array([[[13.0, 24.0]]])
    true = np.array([[[10.0, 20.0]]])
    assert radial_errors_mm(pred, true, [[1, 1]])[0, 0] == 5
    assert radial_errors_mm(pred, true, [[2, 1]])[0, 0] == pytest.approx(math.hypot(6, 4))
    assert radial_errors_mm(pred, true, [[1, 2]])[0, 0] == pytest.approx(math.hypot(3, 8))


def test_each_image_has_its_own_spacing_and_magnification():
    pred = np.tile([[3.0, 4.0]], (3, 2, 1))
    distances = radial_errors_mm(
        pred, np.zeros_like(pred), [[1, 1], [0.5, 0.5], [1, 1]], [1, 1, 1.25]
    )
    np.testing.assert_allclose(distances, [[5, 5], [2.5, 2.5], [4, 4]])


def test_a_magnified_image_has_smaller_errors_in_the_patient():
    pred, true = np.random.default_rng(0).uniform(0, 100, (2, 4, 24, 2))
    plain = radial_errors_mm(pred, true, (0.14, 0.15))
    np.testing.assert_allclose(radial_errors_mm(pred, true, (0.14, 0.15), 1.2), plain / 1.2)


def test_errors_do_not_change_when_both_move_or_change_places():
    pred, true = np.random.default_rng(1).uniform(0, 100, (2, 4, 24, 2))
    plain = radial_errors_mm(pred, true, (0.14, 0.15))
    np.testing.assert_allclose(radial_errors_mm(pred + 7, true + 7, (0.14, 0.15)), plain)
    np.testing.assert_allclose(radial_errors_mm(true, pred, (0.14, 0.15)), plain)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((np.zeros((2, 3, 2)), np.zeros((2, 4, 2)), (1, 1)), 'disagree'),
        ((np.zeros((3, 2)), np.zeros((3, 2)), (1, 1)), r'\(N, K, 2\)'),
        ((np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), [[1, 1]] * 3), r'must be \(2, 2\) or \(2,\)'),
        ((np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), 0.14), 'spacing_xy_mm must be'),
        ((np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), (0, 1)), 'positive and finite'),
        ((np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), (1, np.nan)), 'positive and finite'),
        ((np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), (1, 1), 0.0), 'magnification must be positive'),
        (
            (np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), (1, 1), [1, 1, 1]),
            r'magnification must be \(',
        ),
    ],
)
def test_radial_errors_refuse_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        radial_errors_mm(*arguments)


# What all summaries share


@EACH
def test_a_summary_of_nothing_is_nan(summary):
    assert math.isnan(summary(np.zeros((2, 3)), np.zeros((2, 3), bool)))
    assert math.isnan(summary(np.zeros((0, 3)), np.zeros((0, 3), bool)))


@EACH
def test_errors_outside_the_mask_are_not_read(summary):
    errors, mask, _ = case()
    wild = np.where(mask, errors, np.random.default_rng(5).uniform(-1e9, 1e9, errors.shape))
    wild[~mask & (np.arange(5) == 2)] = np.nan
    assert summary(wild, mask) == summary(errors, mask)


@EACH
def test_a_masked_error_that_is_not_finite_is_located(summary):
    errors, mask = np.ones((2, 3)), np.ones((2, 3), bool)
    errors[1, 2] = np.nan
    with pytest.raises(ValueError, match=r'the error at \(1, 2\) is nan'):
        summary(errors, mask)


@EACH
def test_a_mask_that_does_not_fit_is_refused(summary):
    with pytest.raises(ValueError, match='disagree'):
        summary(np.ones((2, 3)), np.ones((2, 4), bool))


@EACH
def test_a_mask_of_numbers_is_refused(summary):
    with pytest.raises(ValueError, match='must be boolean, got float64'):
        summary(np.ones((2, 3)), np.ones((2, 3)))


@EACH
def test_inputs_are_left_alone(summary):
    errors, mask, _ = case()
    copies = errors.copy(), mask.copy()
    summary(errors, mask)
    assert np.array_equal(errors, copies[0]) and np.array_equal(mask, copies[1])


# Localisation


def test_mean_and_median_are_those_of_the_masked_errors():
    errors, mask, _ = case()
    chosen = sorted(errors[mask])
    middle = (chosen[(len(chosen) - 1) // 2] + chosen[len(chosen) // 2]) / 2
    assert mean_radial_error(errors, mask) == pytest.approx(math.fsum(chosen) / len(chosen))
    assert median_radial_error(errors, mask) == pytest.approx(middle)


def test_the_columns_of_one_landmark_can_be_summarised_alone():
    assert mean_radial_error(np.array([1.0, 9.0, 3.0]), np.array([T, F, T])) == 2


def test_an_error_on_the_radius_is_a_success():
    assert success_detection_rate([[2.0, 2.000001]], [[T, T]], 2.0) == 0.5


def test_a_larger_radius_never_detects_less():
    errors, mask, reported = case(images=40)
    rates = [
        (success_detection_rate(errors, mask & reported, r), sdr_all(errors, mask, reported, r))
        for r in (0, 1, 2, 4, 8, 1e9)
    ]
    assert rates == sorted(rates)
    assert rates[-1] == (1.0, recall(mask, reported))


def test_sdr_all_is_sdr_of_the_true_positives_times_recall():
    errors, present, reported = case(images=40)
    rate = sdr_all(errors, present, reported, 3.0)
    product = success_detection_rate(errors, present & reported, 3.0) * recall(present, reported)
    assert rate == pytest.approx(product)


def test_rejecting_the_bad_ones_helps_sdr_but_not_sdr_all():
    errors, present = np.array([[1.0, 9.0, 9.0]]), np.array([[T, T, T]])
    everything, honest = np.array([[T, T, T]]), np.array([[T, F, F]])
    assert success_detection_rate(errors, present & honest, 2.0) == 1
    assert sdr_all(errors, present, honest, 2.0) == sdr_all(errors, present, everything, 2.0)


def test_an_image_succeeds_by_the_mean_of_its_own_errors():
    errors = np.array([[1.0, 2.9], [1.0, 3.2], [50.0, 2.0], [9.0, 9.0]])
    mask = np.array([[T, T], [T, T], [F, T], [F, F]])
    assert image_success_rate(errors, mask, 2.0) == pytest.approx(2 / 3)


def test_recall_counts_present_landmarks_only():
    assert recall([[T, T, T, F]], [[T, F, F, T]]) == pytest.approx(1 / 3)
    assert math.isnan(recall([[F, F]], [[T, T]]))
    assert math.isnan(sdr_all([[0.0, 0.0]], [[F, F]], [[T, T]], 2.0))


def test_presence_masks_must_fit_each_other():
    for summary in (recall, lambda p, k: sdr_all(np.zeros((1, 2)), p, k, 2.0)):
        with pytest.raises(ValueError, match='disagree'):
            summary([[T, T]], [[T, T, T]])


# Set error


def test_the_set_error_is_its_formula():
    errors, present, reported = case()
    for cutoff in (3.0, 10.0, 20.0):
        distances = set_error(errors, present, reported, cutoff)
        for image in range(len(errors)):
            cost, members = 0.0, 0
            for e, p, k in zip(errors[image], present[image], reported[image], strict=True):
                members += bool(p or k)
                cost += min(e, cutoff) if p and k else cutoff * (p or k)
            assert distances[image] == pytest.approx(cost / members)


@pytest.mark.parametrize('cutoff', [10.0, 20.0, 50.0])
def test_rejecting_everything_scores_the_worst(cutoff):
    errors, present, _ = case()
    present[:, 0] = True
    distances = set_error(errors, present, np.zeros_like(present), cutoff)
    assert distances.tolist() == [cutoff] * len(errors)


def test_false_positives_alone_scores_the_worst():
    errors, _, reported = case()
    reported[:, 0] = True
    assert set_error(errors, np.zeros_like(reported), reported).tolist() == [20.0] * len(errors)


@settings(max_examples=80, deadline=None)
@given(
    arrays(np.float64, (3, 6), elements=st.floats(0, 100)),
    arrays(np.bool_, (3, 6)),
    arrays(np.bool_, (3, 6)),
    st.floats(0.1, 60),
)
def test_the_set_error_lies_between_zero_and_the_cutoff(errors, present, reported, cutoff):
    distances = set_error(errors, present, reported, cutoff)
    empty = ~(present | reported).any(axis=1)
    assert np.array_equal(np.isnan(distances), empty)
    assert (distances[~empty] >= 0).all() and (distances[~empty] <= cutoff * (1 + 1e-12)).all()


def test_dropping_a_landmark_that_is_there_never_helps():
    errors, present, reported = case()
    present[0, 0] = reported[0, 0] = True
    fewer = reported.copy()
    fewer[0, 0] = False
    assert set_error(errors, present, fewer)[0] >= set_error(errors, present, reported)[0]


def test_dropping_a_landmark_that_is_not_there_helps():
    errors, present, reported = np.array([[1.0, 0.0]]), np.array([[T, F]]), np.array([[T, T]])
    fewer = np.array([[T, F]])
    assert set_error(errors, present, fewer)[0] == 1.0
    assert set_error(errors, present, reported)[0] == 10.5


def test_the_mean_set_error_skips_images_without_landmarks():
    errors = np.array([[4.0, 4.0], [0.0, 0.0], [8.0, 0.0]])
    present = np.array([[T, T], [F, F], [T, F]])
    assert mean_set_error(errors, present, present) == 6.0


def test_a_cutoff_must_be_positive():
    for cutoff in (0.0, -1.0, float('nan')):
        with pytest.raises(ValueError, match='cutoff must be positive'):
            set_error([[1.0]], [[T]], [[T]], cutoff)


# Normalised mean error


def hips(images=2):
    points = np.zeros((images, 24, 2))
    points[:, index_of('left_femoral_head_center')] = [300, 240]
    points[:, index_of('right_femoral_head_center')] = [100, 200]
    points[:, index_of('left_teardrop_lower_edge')] = [250, 230]
    points[:, index_of('right_teardrop_lower_edge')] = [150, 230]
    return points, np.ones((images, 24), bool)


def test_the_reference_is_the_distance_of_the_head_centres_in_mm():
    points, present = hips()
    distances = reference_distances_mm(points, present, [[0.5, 0.5], [0.5, 1.0]], 1.25)
    expected = [math.hypot(100, 20) / 1.25, math.hypot(100, 40) / 1.25]
    np.testing.assert_allclose(distances, expected)


@pytest.mark.parametrize('side', ['left', 'right'])
def test_without_a_head_centre_the_teardrops_stand_in(side):
    points, present = hips()
    present[1, index_of(f'{side}_femoral_head_center')] = False
    distances = reference_distances_mm(points, present, (0.5, 0.5))
    np.testing.assert_allclose(distances, [math.hypot(100, 20), 1.5 * 50])


def test_without_either_pair_there_is_no_reference():
    points, present = hips(1)
    present[0, index_of('left_femoral_head_center')] = False
    present[0, index_of('right_teardrop_lower_edge')] = False
    assert np.isnan(reference_distances_mm(points, present, (1, 1))).all()


def test_the_reference_needs_a_presence_that_fits():
    points, present = hips()
    with pytest.raises(ValueError, match='disagree'):
        reference_distances_mm(points, present[:1], (1, 1))


def test_each_error_is_divided_by_the_distance_of_its_own_image():
    errors = np.array([[10.0, 99.0], [20.0, 40.0]])
    mask = np.array([[T, F], [T, T]])
    error = normalised_mean_error(errors, mask, [100.0, 200.0])
    assert error.value == pytest.approx((0.1 + 0.1 + 0.2) / 3)
    assert error.dropped_images == 0


def test_half_the_distance_doubles_the_error():
    errors, mask, _ = case()
    distances = np.linspace(100, 200, 6)
    whole = normalised_mean_error(errors, mask, distances).value
    assert normalised_mean_error(errors, mask, distances, 0.5).value == pytest.approx(2 * whole)


@pytest.mark.parametrize('missing', [np.nan, 0.0, np.inf])
def test_an_image_without_a_distance_is_dropped_and_counted(missing):
    errors, mask, _ = case(images=3)
    error = normalised_mean_error(errors, mask, [150.0, missing, 160.0])
    rest = normalised_mean_error(errors[[0, 2]], mask[[0, 2]], [150.0, 160.0])
    assert error == (pytest.approx(rest.value), 1)


def test_the_error_does_not_depend_on_the_unit():
    errors, mask, _ = case()
    distances = np.linspace(100, 200, 6)
    in_mm = normalised_mean_error(errors, mask, distances).value
    assert normalised_mean_error(errors / 10, mask, distances / 10).value == pytest.approx(in_mm)


def test_distances_and_scale_must_make_sense():
    with pytest.raises(ValueError, match='do not fit 1 images'):
        normalised_mean_error([[1.0]], [[T]], [100.0, 100.0])
    with pytest.raises(ValueError, match='norm_scale must be positive'):
        normalised_mean_error([[1.0]], [[T]], [100.0], 0.0)


# Localisation-recall-precision, and what a decision recovers


def test_the_lrp_error_is_its_formula():
    errors, present, reported = case()
    for cutoff in (3.0, 10.0, 20.0):
        cost, count = 0.0, 0
        for e, p, k in zip(errors.flat, present.flat, reported.flat, strict=True):
            if p and k and e <= cutoff:
                cost, count = cost + e / cutoff, count + 1
            else:
                cost, count = cost + p + k, count + p + k
        lrp = localisation_recall_precision(errors, present, reported, cutoff)
        assert lrp == pytest.approx(cost / count)


def test_the_lrp_error_of_perfection_is_0_and_of_nothing_nan():
    present = np.array([[T, F, T]])
    assert localisation_recall_precision(np.zeros((1, 3)), present, present) == 0.0
    nothing = np.zeros((1, 3), bool)
    assert math.isnan(localisation_recall_precision(np.zeros((1, 3)), nothing, nothing))


def test_the_lrp_error_pools_all_landmarks():
    errors, present, reported = case()
    together = localisation_recall_precision(errors, present, reported)
    flat = (values.reshape(1, -1) for values in (errors, present, reported))
    assert localisation_recall_precision(*flat) == together


def test_the_lrp_error_refuses_what_set_error_refuses():
    with pytest.raises(ValueError, match='cutoff must be positive'):
        localisation_recall_precision([[1.0]], [[T]], [[T]], 0.0)
    with pytest.raises(ValueError, match='disagree'):
        localisation_recall_precision([[1.0]], [[T]], [[T, T]])
    with pytest.raises(ValueError, match='is nan'):
        localisation_recall_precision([[np.nan]], [[T]], [[T]])


@settings(max_examples=80, deadline=None)
@given(
    arrays(np.float64, (3, 6), elements=st.floats(0, 100)),
    arrays(np.bool_, (3, 6)),
    arrays(np.bool_, (3, 6)),
    st.floats(0.1, 60),
)
def test_rejecting_everything_never_beats_any_prediction(errors, present, reported, cutoff):
    nothing = np.zeros_like(reported)
    if present.any():
        assert localisation_recall_precision(errors, present, nothing, cutoff) == 1.0
        assert mean_set_error(errors, present, nothing, cutoff) == pytest.approx(cutoff)
    for figure, worst in ((localisation_recall_precision, 1.0), (mean_set_error, cutoff)):
        found = figure(errors, present, reported, cutoff)
        assert math.isnan(found) or -1e-12 <= found <= worst * (1 + 1e-12)
    if (present & reported & (errors < 0.9 * cutoff)).any():
        assert localisation_recall_precision(errors, present, reported, cutoff) < 1.0
        assert mean_set_error(errors, present, reported, cutoff) < cutoff


@settings(max_examples=80, deadline=None)
@given(
    arrays(np.float64, (3, 6), elements=st.floats(0, 100)),
    arrays(np.bool_, (3, 6)),
    arrays(np.bool_, (3, 6)),
    st.floats(0.1, 60),
)
def test_no_decision_beats_the_oracle(errors, present, reported, cutoff):
    present[:, 0] = True  # every image shows something
    everything = np.ones_like(reported)
    keep_all, ours, oracle = (
        mean_set_error(errors, present, decision, cutoff)
        for decision in (everything, reported, present)
    )
    assert oracle <= ours * (1 + 1e-12) and oracle <= keep_all * (1 + 1e-12)
    share = recovered_error(keep_all, ours, oracle)
    assert math.isnan(share) or share <= 1 + 1e-6


def test_recovery_counts_from_keeping_all_to_the_oracle():
    assert recovered_error(10.0, 10.0, 5.0) == 0.0
    assert recovered_error(10.0, 5.0, 5.0) == 1.0
    assert recovered_error(10.0, 20.0, 5.0) == -2.0
    assert math.isnan(recovered_error(5.0, 6.0, 5.0))
    assert math.isnan(recovered_error(10.0, math.nan, 5.0))
