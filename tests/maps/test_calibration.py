"""Thresholds and quantiles keep what they promise, on draws that they were not fitted to."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unsct_mmpose.maps.calibration import (
    Calibration,
    SystematicOffset,
    conformal_quantile,
    conformal_risk_threshold,
    equal_cost_threshold,
    grouped_scales,
    pack_calibration,
    recall_threshold,
    unpack_calibration,
    youden_threshold,
)
from unsct_mmpose.maps.fusion import Fusion, MonotoneLogistic

RULES = (recall_threshold, youden_threshold, conformal_risk_threshold, equal_cost_threshold)
EACH_RULE = pytest.mark.parametrize('rule', RULES, ids=lambda rule: rule.__name__)


def images(count, rng, landmarks=6):
    """Draw exchangeable images: some are hard, and some lack landmarks."""
    hard = rng.normal(0, 1, (count, 1))
    present = rng.random((count, landmarks)) < 0.75
    labelled = rng.random((count, landmarks)) < 0.9
    logit = np.where(present, -1.5, 1.5) + hard + rng.normal(0, 1, present.shape)
    return 1 / (1 + np.exp(-logit)), present, labelled


@st.composite
def graded_images(draw, rows=None):
    """Images whose uncertainties take few values, so that many are equal."""
    count = rows or draw(st.integers(2, 12))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    uncertainty = rng.integers(0, draw(st.integers(2, 20)), (count, 3)) / 20
    present, labelled = rng.random((2, count, 3)) < [[[0.6]], [[0.8]]]
    present[0, 0], present[1, 1], labelled[0, 0], labelled[1, 1] = True, False, True, True
    return uncertainty, present, labelled


def lost(uncertainty, present, labelled, threshold):
    """Return the share of present landmarks that each image loses; NaN where it has none."""
    counted = present & labelled
    share = (counted & (uncertainty > threshold)).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    return np.where(counted.any(axis=1), share, np.nan)


def calibration(**changes):
    model = MonotoneLogistic(0.1, (1.5, 0.0), (0.2, 3.0), (1.0, 2.5), (1, -1))
    fields = dict(
        rule='recall',
        entropy='mirror',
        aggregation='peel',
        relations='core',
        thresholds=dict(peak=dict(recall=0.4, conformal=math.inf), paf=dict(recall=0.7)),
        fusion=Fusion(('peak', 'spread'), model, (0.9, 0.05, 1.0)),
        region_level=0.95,
        region_scales=dict(fovea=1.25, teardrop_lower_edge=math.inf),
        interval_level=0.95,
        interval_scales=dict(sharp=2.2),
        typical_agreement=0.81,
        typical_quorum=0.93,
        settings=dict(recall=0.99, alpha=0.05),
        provenance=dict(images=12, data='phantom', parts=['a', 'b'], nested=dict(flip_test=True)),
    )
    return Calibration(**{**fields, **changes})


# Recall


@settings(max_examples=100, deadline=None)
@given(graded_images(), st.floats(0.02, 1))
def test_the_recall_threshold_is_the_smallest_that_keeps_the_share(case, recall):
    uncertainty, present, labelled = case
    values = uncertainty[present & labelled]
    enough = [t for t in values if (values <= t).mean() >= recall - 1e-9]
    assert recall_threshold(*case, recall) == min(enough)


def test_a_recall_of_one_keeps_every_present_landmark():
    uncertainty, present, labelled = images(50, np.random.default_rng(0))
    threshold = recall_threshold(uncertainty, present, labelled, 1.0)
    assert threshold == uncertainty[present & labelled].max()


def test_three_quarters_of_four_are_three_whatever_the_rounding():
    everything = np.ones((1, 10), bool)
    u = np.arange(10)[None] / 10
    for tenths in range(1, 11):
        assert recall_threshold(u, everything, everything, tenths / 10) == (tenths - 1) / 10
        assert recall_threshold(u, everything, everything, 0.1 * tenths) == (tenths - 1) / 10


@pytest.mark.parametrize('recall', [0, -0.1, 1.01])
def test_a_recall_must_be_a_share(recall):
    with pytest.raises(ValueError, match=r'recall must lie in \(0, 1\]'):
        recall_threshold([[0.1]], [[True]], [[True]], recall)


def test_without_a_present_landmark_there_is_no_recall():
    with pytest.raises(ValueError, match='no landmark is present'):
        recall_threshold([[0.1, 0.2]], [[False, True]], [[True, False]])


# Youden


@settings(max_examples=100, deadline=None)
@given(graded_images())
def test_youdens_threshold_has_the_largest_index_of_all(case):
    uncertainty, present, labelled = case
    here, gone = uncertainty[present & labelled], uncertainty[~present & labelled]

    def index(threshold):
        return (here <= threshold).mean() - (gone <= threshold).mean()

    found = youden_threshold(*case)
    assert index(found) == pytest.approx(max(index(t) for t in [*here, *gone]))
    levels = np.unique([*here, *gone])
    if index(levels[-1]) < index(found):  # else the best is to keep all
        assert np.abs(levels - found).min() > 0.02


def test_youdens_threshold_lies_midway_between_the_two_kinds():
    u = [[0.1, 0.2, 0.7, 0.8, 0.4]]
    present, labelled = [[True, True, False, False, True]], [[True, True, True, True, False]]
    assert youden_threshold(u, present, labelled) == pytest.approx(0.45)


@pytest.mark.parametrize(('present', 'message'), [(True, '2 .* 0 absent'), (False, '0 .* 2 abs')])
def test_youden_needs_both_kinds(present, message):
    with pytest.raises(ValueError, match=message):
        youden_threshold([[0.1, 0.2]], [[present, present]], [[True, True]])


# Equal cost


def test_at_the_equal_cost_threshold_presence_is_as_likely_as_absence():
    # P(present | u) = sigmoid(3 - 10 u): even odds at 0.3
    rng = np.random.default_rng(0)
    u = rng.random((4000, 5))
    present = rng.random(u.shape) < 1 / (1 + np.exp(10 * u - 3))
    labelled = rng.random(u.shape) < 0.8
    threshold = equal_cost_threshold(u, np.where(labelled, present, ~present), labelled)
    assert threshold == pytest.approx(0.3, abs=0.01)


def test_the_equal_cost_threshold_makes_as_few_mistakes_as_any():
    uncertainty, present, labelled = images(3000, np.random.default_rng(1))
    found = equal_cost_threshold(uncertainty, present, labelled)

    def mistakes(threshold):
        return ((uncertainty <= threshold) != present)[labelled].mean()

    assert mistakes(found) < min(mistakes(t) for t in np.linspace(0, 1, 201)) + 0.005


def test_an_uncertainty_that_rises_with_presence_decides_nothing():
    u = np.linspace(0, 1, 20)[None]
    assert equal_cost_threshold(u, u > 0.5, np.ones_like(u, bool)) == math.inf
    assert 0.3 < equal_cost_threshold(u, u < 0.5, np.ones_like(u, bool)) < 0.7


# Conformal risk control


@settings(max_examples=60, deadline=None)
@given(graded_images(), st.floats(0.02, 0.9))
def test_the_conformal_threshold_is_the_smallest_that_the_bound_allows(case, alpha):
    losses = [lost(*case, t) for t in np.unique(case[0])]
    n = np.isfinite(losses[0]).sum()
    allowed = [
        t
        for t, loss in zip(np.unique(case[0]), losses, strict=True)
        if n / (n + 1) * np.nanmean(loss) + 1 / (n + 1) <= alpha + 1e-12
    ]
    assert conformal_risk_threshold(*case, alpha) == (min(allowed) if allowed else math.inf)


@pytest.mark.parametrize(('count', 'alpha'), [(20, 0.1), (25, 0.3)])
def test_conformal_risk_control_bounds_the_loss_of_new_images_and_is_not_idle(count, alpha):
    rng = np.random.default_rng(0)
    means = []
    for _ in range(1000):
        threshold = conformal_risk_threshold(*images(count, rng), alpha)
        means.append(np.nanmean(lost(*images(40, rng), threshold)))
    error = np.std(means) / np.sqrt(len(means))
    assert np.mean(means) <= alpha + 2.5 * error
    # the loss of a continuous uncertainty stays within 2 / (n + 1) of alpha
    assert np.mean(means) >= alpha - 2 / (count + 1) - 2.5 * error
    assert error < 0.15 / count


def test_too_few_images_promise_nothing():
    uncertainty, present, labelled = images(200, np.random.default_rng(0))
    present[:, 0] = labelled[:, 0] = True
    for alpha, least in ((0.05, 19), (0.1, 9), (0.25, 3)):
        for number in (1, least - 1):
            rows = slice(number)
            threshold = conformal_risk_threshold(
                uncertainty[rows], present[rows], labelled[rows], alpha
            )
            assert threshold == math.inf
        rows = slice(least)
        threshold = conformal_risk_threshold(
            uncertainty[rows], present[rows], labelled[rows], alpha
        )
        # with just enough, no loss at all is allowed
        assert threshold == uncertainty[rows][present[rows] & labelled[rows]].max()


def test_images_without_a_present_landmark_promise_nothing():
    uncertainty, present, labelled = images(60, np.random.default_rng(0))
    threshold = conformal_risk_threshold(uncertainty, present, labelled, 0.1)
    more = [np.r_[array, array] for array in (uncertainty, present, labelled)]
    more[1][60:] = False
    assert conformal_risk_threshold(*more, 0.1) == threshold
    assert conformal_risk_threshold(uncertainty, np.zeros_like(present), labelled) == math.inf


def test_a_smaller_risk_needs_a_larger_threshold():
    case = images(300, np.random.default_rng(2))
    found = [conformal_risk_threshold(*case, alpha) for alpha in (0.02, 0.05, 0.1, 0.2)]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]


@pytest.mark.parametrize('alpha', [0, 1, -0.2, 1.5])
def test_a_risk_must_be_a_share(alpha):
    with pytest.raises(ValueError, match='alpha must lie in'):
        conformal_risk_threshold(np.zeros((3, 1)), np.ones((3, 1)), np.ones((3, 1)), alpha)


# All rules


@EACH_RULE
def test_what_is_not_labelled_does_not_move_a_threshold(rule):
    uncertainty, present, labelled = images(80, np.random.default_rng(3))
    found = rule(uncertainty, present, labelled)
    assert 0 < found < 1
    other = np.where(labelled, uncertainty, 0.999)
    assert rule(other, present ^ ~labelled, labelled) == pytest.approx(found)


@EACH_RULE
def test_the_order_of_images_does_not_move_a_threshold(rule):
    case = images(80, np.random.default_rng(4))
    order = np.random.default_rng(5).permutation(80)
    assert rule(*(array[order] for array in case)) == pytest.approx(rule(*case))


@pytest.mark.parametrize('rule', [recall_threshold, youden_threshold, conformal_risk_threshold])
def test_shapes_and_nan_are_named(rule):
    two, three = np.ones((2, 2), bool), np.ones((2, 3), bool)
    with pytest.raises(ValueError, match='disagree'):
        rule(np.zeros((2, 2)), two, three)
    with pytest.raises(ValueError, match='an uncertainty is NaN'):
        rule([[0.1, np.nan]], [[True, False]], [[True, True]])
    # but one that is not labelled may be anything
    u = [[0.1, 0.3, np.nan]]
    rule(u, [[True, False, True]], [[True, True, False]])


# Conformal quantiles


@pytest.mark.parametrize(('count', 'level'), [(19, 0.95), (30, 0.9), (50, 0.95), (12, 0.5)])
def test_a_new_score_falls_below_the_quantile_with_the_promised_probability(count, level):
    rng = np.random.default_rng(0)
    scores = rng.exponential(1, (4000, count + 1))
    held = [last <= conformal_quantile(rest, level) for *rest, last in scores]
    error = math.sqrt(level * (1 - level) / 4000)
    assert np.mean(held) >= level - 2.5 * error
    assert np.mean(held) <= level + 1 / (count + 1) + 2.5 * error


@pytest.mark.parametrize(
    ('count', 'level', 'rank'), [(19, 0.95, 19), (18, 0.95, None), (99, 0.95, 95), (9, 0.5, 5),
                                 (10, 0.5, 6), (9, 0.9, 9), (8, 0.9, None), (999, 0.1, 100)]
)  # fmt: skip
def test_the_quantile_is_one_of_the_scores(count, level, rank):
    scores = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert conformal_quantile(scores, level) == (rank or math.inf)


def test_scores_may_be_missing_or_infinite_or_of_any_shape():
    scores = np.r_[np.arange(1.0, 10), [np.nan] * 5]
    assert conformal_quantile(scores, 0.5) == 5
    assert conformal_quantile(scores.reshape(2, 7), 0.5) == 5
    assert conformal_quantile(np.r_[scores, [np.inf] * 10], 0.4) == 8
    assert conformal_quantile(np.r_[scores, [np.inf] * 10], 0.5) == math.inf
    assert conformal_quantile([], 0.5) == math.inf


@pytest.mark.parametrize('level', [0, 1, 1.2])
def test_a_level_must_be_a_probability(level):
    with pytest.raises(ValueError, match='level must lie in'):
        conformal_quantile([1.0], level)


def test_each_group_has_its_own_scale_and_small_ones_share():
    rng = np.random.default_rng(0)
    scores = {'wide': rng.chisquare(2, 500) * 4, 'few': rng.chisquare(2, 20), 'none': []}
    each, pooled = grouped_scales(scores, 0.9, 4.605)
    assert each['wide'] == pytest.approx(conformal_quantile(scores['wide'], 0.9) / 4.605)
    assert each['wide'] == pytest.approx(4, rel=0.2)
    together = conformal_quantile(np.r_[scores['wide'], scores['few']], 0.9) / 4.605
    assert each['few'] == each['none'] == pooled == pytest.approx(together)
    assert grouped_scales(scores, 0.9, 4.605, least=20)[0]['few'] < 2


def test_scales_leave_out_what_is_not_finite():
    clean = np.random.default_rng(0).chisquare(2, (10, 6))
    dirty = np.where(np.arange(6) < 5, clean, np.nan)
    assert grouped_scales(dict(a=dirty), 0.9, 1.0) == grouped_scales(dict(a=clean[:, :5]), 0.9, 1.0)


def test_a_group_too_small_for_the_level_takes_the_pooled_scale():
    rng = np.random.default_rng(0)
    scores = {'a': rng.chisquare(2, 50), 'b': rng.chisquare(2, 500)}
    each, pooled = grouped_scales(scores, 0.99, 9.21, least=40)
    assert each['a'] == pooled < math.inf


def test_too_few_scores_in_all_give_the_largest_and_none_give_one():
    assert grouped_scales(dict(a=[1.0, 6.0], b=[3.0]), 0.95, 2.0) == (dict(a=3.0, b=3.0), 3.0)
    assert grouped_scales(dict(a=[], b=[np.nan]), 0.95, 2.0) == (dict(a=1.0, b=1.0), 1.0)
    assert grouped_scales({}, 0.95, 2.0) == ({}, 1.0)


# The record


def test_a_threshold_is_that_of_the_rule():
    one = calibration()
    assert one.threshold('peak') == 0.4
    assert one.threshold('peak', 'conformal') == math.inf
    assert replace(one, rule='conformal').threshold('peak') == math.inf


@pytest.mark.parametrize(('evidence', 'rule'), [('fused', None), ('paf', 'conformal')])
def test_a_threshold_that_is_not_there_is_named(evidence, rule):
    with pytest.raises(ValueError, match=f'no threshold for evidence {evidence!r}'):
        calibration().threshold(evidence, rule)


def test_a_calibration_survives_json_with_its_infinities():
    one = calibration()
    text = json.dumps(one.to_dict(), allow_nan=False)
    again = Calibration.from_dict(json.loads(text))
    assert again == one
    assert again.thresholds['peak']['conformal'] == math.inf
    assert again.region_scales['teardrop_lower_edge'] == math.inf


def test_numpy_numbers_become_plain_ones():
    one = calibration(
        typical_agreement=np.float64(0.5),
        settings=dict(alpha=np.float32(0.25)),
        provenance=dict(images=np.int64(3)),
    )
    content = json.loads(json.dumps(one.to_dict(), allow_nan=False))
    assert content['typical_agreement'] == 0.5
    assert content['settings'] == dict(alpha=0.25)
    assert content['provenance'] == dict(images=3)


def test_a_calibration_survives_packing_into_a_tensor(tmp_path):
    packed = pack_calibration(calibration())
    assert packed.dtype == torch.uint8 and packed.ndim == 1
    torch.save(packed, tmp_path / 'packed.pth')
    again = torch.load(tmp_path / 'packed.pth', weights_only=True)
    assert unpack_calibration(again) == calibration()


@pytest.mark.parametrize('number', [None, 0, 4, '1'])
def test_another_format_is_refused_with_what_to_do(number):
    content = {**calibration().to_dict(), 'format': number}
    with pytest.raises(ValueError, match=r'best.json: format .* unsct calibrate'):
        Calibration.from_dict(content, 'best.json')


@pytest.mark.parametrize('name', ['rule', 'fusion', 'region_scales', 'thresholds', 'entropy'])
def test_a_missing_field_is_named(name):
    content = calibration().to_dict()
    del content[name]
    with pytest.raises(ValueError, match=f'best.json: field missing.*{name}'):
        Calibration.from_dict(content, 'best.json')


def test_missing_parts_of_the_fusion_and_unknown_fields_are_named():
    content = calibration().to_dict()
    del content['fusion']['model']['scales']
    with pytest.raises(ValueError, match='scales'):
        Calibration.from_dict(content)
    with pytest.raises(ValueError, match='colour'):
        Calibration.from_dict({**calibration().to_dict(), 'colour': 1})


@pytest.mark.parametrize('text', [b'', b'{"format": 1', b'\xff\xfe', b'[]', b'3', b'{}'])
def test_a_tensor_that_holds_no_calibration_is_refused(text):
    packed = torch.tensor(list(text), dtype=torch.uint8)
    with pytest.raises(ValueError, match='calibration'):
        unpack_calibration(packed)


# By patient


def by_person(people, images, rng):
    """Draw images of patients who are hard or easy as a whole."""
    hard = np.repeat(rng.normal(0, 1.5, people), images)[:, None]
    present = rng.random((people * images, 6)) < 0.8
    logit = np.where(present, -1.5, 1.5) + hard + rng.normal(0, 0.5, present.shape)
    names = np.repeat(np.arange(people), images)
    return (1 / (1 + np.exp(-logit)), present, np.ones_like(present)), names


@pytest.mark.parametrize('count', [20, 40])
def test_the_loss_of_a_new_patient_is_bounded_where_images_are_not_independent(count):
    rng = np.random.default_rng(20)
    ours, before = [], []
    for _ in range(150):
        case, names = by_person(count, 8, rng)
        new, _whose = by_person(30, 8, rng)
        for found, threshold in (
            (ours, conformal_risk_threshold(*case, 0.1, names)),
            (before, conformal_risk_threshold(*case, 0.1)),
        ):
            found.append(np.nanmean(lost(*new, threshold)))
    assert np.mean(ours) <= 0.1 + 2.5 * np.std(ours) / np.sqrt(len(ours))
    assert np.mean(before) > np.mean(ours)


def test_three_patients_allow_no_small_risk_however_many_images():
    case, names = by_person(3, 200, np.random.default_rng(21))
    assert conformal_risk_threshold(*case, 0.05) < 1
    assert conformal_risk_threshold(*case, 0.05, names) == math.inf
    assert conformal_risk_threshold(*case, 0.25, names) < math.inf


def test_single_images_are_patients():
    case = images(60, np.random.default_rng(22))
    assert conformal_risk_threshold(*case, 0.1, np.arange(60)) == conformal_risk_threshold(
        *case, 0.1
    )


def test_a_recall_holds_for_the_next_patient_where_patients_allow_it():
    rng = np.random.default_rng(23)
    ours, before = [], []
    for _ in range(200):
        case, names = by_person(12, 5, rng)
        (uncertainty, present, _), _ = by_person(30, 5, rng)
        for found, threshold in (
            (ours, recall_threshold(*case, 0.9, names)),
            (before, recall_threshold(*case, 0.9)),
        ):
            found.append((uncertainty <= threshold)[present].mean())
    assert np.mean(ours) >= 0.9 - 0.005
    assert np.mean(before) < np.mean(ours)


def test_a_recall_beyond_what_patients_allow_is_theirs():
    case, names = by_person(4, 30, np.random.default_rng(24))
    threshold = recall_threshold(*case, 0.95, names)
    shares = [
        (case[0][names == name] <= threshold)[case[1][names == name]].mean()
        for name in np.unique(names)
    ]
    assert 0.95 <= np.mean(shares) < 0.97


# The record of what is promised


def test_a_calibration_of_format_1_is_read_and_promises_nothing_for_patients():
    content = calibration().to_dict()
    for name in ('patients', 'region_shapes', 'offsets', 'correlation', 'allowed_level'):
        del content[name]
    restored = Calibration.from_dict({**content, 'format': 1})
    assert restored == calibration()
    assert restored.patients is None and restored.allowed_level is None


@pytest.mark.parametrize('factor, expected', [(1.5, 1.5), (0.8, 1.0)])
def test_of_format_2_every_image_is_as_wide_as_incomplete_ones_were(factor, expected):
    content = calibration(region_scales=dict(fovea=2.0, sharp=3.0)).to_dict()
    for name in ('peak_power', 'typical_peak'):
        del content[name]
    restored = Calibration.from_dict({**content, 'format': 2, 'incomplete_factor': factor})
    assert restored.region_scales == dict(fovea=2.0 * expected, sharp=3.0 * expected)
    assert (restored.peak_power, restored.typical_peak) == (0.0, 0.0)


def test_noise_that_was_not_noted_has_no_limit():
    content = calibration().to_dict()
    assert content['typical_noise'] is None
    assert unpack_calibration(pack_calibration(calibration())) == calibration()
    del content['typical_noise']  # of format 3, too, before it was measured
    assert Calibration.from_dict(content).typical_noise == math.inf
    assert Calibration.from_dict({**content, 'typical_noise': 0.02}).typical_noise == 0.02


def test_what_patients_allow_is_written_down():
    one = calibration(
        typical_noise=0.02,
        patients=3,
        region_shapes=dict(fovea=(1.2, 0.1, 0.9)),
        offsets=dict(sharp=SystematicOffset(1.0, math.nan, math.nan, 1, False)),
        correlation=(0.25,) * 1128,
    )
    content = json.loads(json.dumps(one.to_dict(), allow_nan=False))
    assert content['allowed_level'] == 0.75 and content['format'] == 3
    assert content['offsets']['sharp']['low'] is None
    assert Calibration.from_dict(content) == one
    assert unpack_calibration(pack_calibration(one)) == one
