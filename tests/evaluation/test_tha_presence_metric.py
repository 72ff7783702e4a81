import math

import numpy as np
import pytest
from scipy import stats

from unsct_mmpose.functional import presence

METRIC = 'THAPresenceMetric'


def test_decisions_are_counted_over_all_images(sample, evaluate):
    reported = np.ones(24)
    reported[[0, 1, 2]] = 0
    figures = evaluate(
        [sample(absent=[0, 5], reported=reported), sample(seed=1, absent=[3], reported=reported)]
    )
    tp, fp, fn, tn = 20 + 20, 1 + 1, 2 + 3, 1 + 0
    assert figures['presence/all/precision'] == pytest.approx(tp / (tp + fp))
    assert figures['presence/all/recall'] == pytest.approx(tp / (tp + fn))
    assert figures['presence/all/specificity'] == pytest.approx(tn / (tn + fp))
    assert figures['presence/all/F1'] == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert (
        figures['presence/all/present_landmarks'] == 45
        and figures['presence/all/absent_landmarks'] == 3
    )
    assert figures['presence/all/AUPRC_chance'] == pytest.approx(3 / 48)


def test_rejecting_everything_has_no_precision_and_recall_0(sample, evaluate):
    figures = evaluate([sample(absent=[0], reported=np.zeros(24), ours=True)])
    assert math.isnan(figures['presence/all/precision'])
    assert (
        figures['presence/all/recall'],
        figures['presence/all/F1'],
        figures['presence/all/specificity'],
    ) == (0, 0, 1)
    assert math.isnan(figures['presence/all/coverage@0.9'])


def test_the_uncertainty_is_ranked_against_absence(sample, evaluate):
    data_sample = sample(absent=[3, 4, 20], ours=True)
    u = np.random.default_rng(0).random((1, 24))
    data_sample['pred_instances']['keypoint_uncertainties'] = u
    figures = evaluate([data_sample])
    absent = np.isin(np.arange(24), [3, 4, 20])
    expected = stats.mannwhitneyu(u[0, absent], u[0, ~absent]).statistic / 3 / 21
    assert figures['presence/all/AUROC'] == pytest.approx(expected)


def test_without_an_uncertainty_the_score_stands_in(sample, evaluate):
    data_sample = sample(absent=[3])
    data_sample['pred_instances']['keypoint_scores'][0, 3] = 0.1
    figures = evaluate([data_sample])
    assert figures['presence/all/AUROC'] == figures['presence/all/AUPRC'] == 1.0
    assert math.isnan(figures['presence/all/ECE']) and math.isnan(
        figures['presence/all/coverage@0.5']
    )
    assert 'presence/all/paf/AUROC' not in figures


def test_each_evidence_is_ranked_by_itself(sample, evaluate):
    data_sample = sample(absent=[3], ours=True)
    evidence = data_sample['pred_instances']['keypoint_evidences']
    evidence[0, :, 0] = 0.5
    evidence[0, 3, 1] = 0.9
    evidence[0, 3, 2] = 0.0
    figures = evaluate([data_sample])
    assert [figures[f'presence/all/{name}/AUROC'] for name in ('peak', 'paf', 'fused')] == [
        0.5,
        1.0,
        0.0,
    ]


def test_risk_is_of_present_landmarks_whether_reported_or_not(sample, evaluate):
    data_sample = sample(absent=[3], reported=np.zeros(24), ours=True)
    pred = data_sample['pred_instances']
    errors = np.random.default_rng(1).exponential(3, 24)
    pred['keypoints'][0, :, 0] += 2 * errors  # 2 px are a mm
    u = pred['keypoint_uncertainties'] = errors[None] + np.random.default_rng(2).random((1, 24))
    figures = evaluate([data_sample])
    present = np.arange(24) != 3
    expected = presence.area_under_risk_coverage(errors, u[0], present)
    assert figures['presence/all/AURC'] == pytest.approx(expected)
    assert figures['presence/all/spearman'] == pytest.approx(
        stats.spearmanr(errors[present], u[0, present]).statistic
    )
    assert 0 < figures['presence/all/AUSE'] < 1
    assert evaluate([data_sample], unit='px')['presence/all/AURC'] == pytest.approx(2 * expected)
    assert evaluate([data_sample], plane='bone')['presence/all/AURC'] == pytest.approx(
        expected / 1.25
    )


def test_probabilities_are_held_against_presence(sample, evaluate):
    reported = np.ones(24)
    reported[[0, 1]] = 0  # P(present) is 0.95 where reported and 0.05 elsewhere
    figures = evaluate([sample(absent=[0, 2], reported=reported, ours=True)])
    assert figures['presence/all/Brier'] == pytest.approx(np.mean([0.05**2] * 22 + [0.95**2] * 2))
    expected = 22 / 24 * abs(0.95 - 21 / 22) + 2 / 24 * abs(0.05 - 1 / 2)
    assert figures['presence/all/ECE'] == pytest.approx(expected)


def test_a_probability_that_is_missing_is_not_passed_over(sample, evaluate):
    data_sample = sample(ours=True)
    data_sample['pred_instances']['keypoint_presence'][0, 7] = np.nan
    figures = evaluate([data_sample])
    assert math.isnan(figures['presence/all/ECE']) and math.isnan(figures['presence/all/Brier'])


def test_regions_are_held_against_the_truth_in_image_pixels(sample, evaluate):
    # covariance 4 px^2: 2 px off is 1 in squared Mahalanobis distance, 5 px off 6.25
    near, far = sample((2.0, 0.0), ours=True), sample((5.0, 0.0), seed=1, ours=True)
    figures = evaluate([near, far])
    assert [figures[f'presence/all/coverage@{level}'] for level in (0.5, 0.9, 0.95)] == [
        0.5,
        0.5,
        0.5,
    ]
    figures = evaluate([near, far], levels=(0.3, 0.99))
    assert [figures[f'presence/all/coverage@{level}'] for level in (0.3, 0.99)] == [0.0, 1.0]


def test_the_radius_of_a_region_is_in_mm(sample, evaluate):
    data_sample = sample(ours=True, pixel_spacing=(0.5, 0.125))
    radius = math.sqrt(stats.chi2.ppf(0.95, 2)) * 2 * math.sqrt(0.5 * 0.125)
    assert evaluate([data_sample])['presence/all/radius@0.95'] == pytest.approx(radius)


def test_only_reported_landmarks_have_a_region(sample, evaluate):
    reported = np.ones(24)
    reported[0] = 0
    data_sample = sample((2.0, 0.0), reported=reported, absent=[1], ours=True)
    data_sample['pred_instances']['keypoints'][0, :2] += 500.0
    data_sample['pred_instances']['keypoint_covariances'][0, :2] = np.nan
    assert evaluate([data_sample])['presence/all/coverage@0.5'] == 1.0
    data_sample['pred_instances']['keypoint_covariances'][0, 2] = np.nan
    assert math.isnan(evaluate([data_sample])['presence/all/coverage@0.5'])
