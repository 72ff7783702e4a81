import math

import numpy as np
import pytest

from unsct_mmpose.anatomy import index_of
from unsct_mmpose.anatomy.parameters import split_side
from unsct_mmpose.functional import agreement
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES, measure_many

METRIC = 'THAClinicalMetric'
OUTPUTS = list(dict.fromkeys(split_side(name)[1] for name in MEASUREMENT_NAMES))
COUNTS = ('n', 'prediction_undefined', 'truth_undefined', 'both_undefined')


def noisy(sample, count=6, noise=2.0, **kwargs):
    samples = []
    for seed in range(count):
        data_sample = sample(seed=seed, ours=True, **kwargs)
        rng = np.random.default_rng(100 + seed)
        data_sample['pred_instances']['keypoints'][0] += rng.normal(0, noise, (24, 2))
        samples.append(data_sample)
    return samples


def measured(samples):
    """Measure without the metric: values of the prediction and of the truth, ``(N, M)``."""
    points = [np.stack([sample['pred_instances']['keypoints'][0] for sample in samples]),
              np.stack([sample['raw_ann_info']['points'] for sample in samples])]  # fmt: skip
    everything = np.ones((len(samples), 24), bool)
    return [measure_many(point, everything, (0.5, 0.5))[0] for point in points]


def test_every_parameter_is_compared_with_its_sides_pooled(sample, evaluate):
    samples = noisy(sample)
    figures, (pred, true) = evaluate(samples), measured(samples)
    for output in OUTPUTS:
        columns = [i for i, name in enumerate(MEASUREMENT_NAMES) if split_side(name)[1] == output]
        ours, theirs = pred[:, columns].ravel(), true[:, columns].ravel()
        both = np.isfinite(ours) & np.isfinite(theirs)
        ours, theirs = ours[both], theirs[both]
        assert figures[f'clinical/all/{output}/n'] == len(ours) == 6 * len(columns)
        found = {key.split('/')[3]: value for key, value in figures.items()
                 if key.startswith(f'clinical/all/{output}/')}  # fmt: skip
        assert found['MAE'] == pytest.approx(np.abs(ours - theirs).mean())
        limits = agreement.bland_altman(ours, theirs)
        assert found['bias'] == pytest.approx(limits.bias.value)
        assert (found['LoA_lower'], found['LoA_upper']) == pytest.approx(
            (limits.lower.value, limits.upper.value)
        )
        icc = agreement.icc_agreement(np.transpose([ours, theirs]))
        assert (found['ICC_A1'], found['ICC_A1_ci_low'], found['ICC_A1_ci_high']) == pytest.approx(
            icc
        )
        assert found['PCC'] == pytest.approx(agreement.pearson(ours, theirs).value)
        assert found['t_test_p'] == pytest.approx(agreement.paired_t(ours, theirs).p)


def test_a_perfect_prediction_agrees(sample, evaluate):
    figures = evaluate([sample(seed=seed) for seed in range(5)])
    for output in OUTPUTS:
        assert figures[f'clinical/all/{output}/MAE'] == pytest.approx(0, abs=1e-9)
        assert figures[f'clinical/all/{output}/ICC_A1'] == pytest.approx(1)
        assert figures[f'clinical/all/{output}/prediction_undefined'] == 0


def test_undefined_values_are_counted_by_who_lacks_them(sample, evaluate):
    tip = index_of('left_greater_trochanter_tip')
    reported = np.ones(24)
    reported[tip] = 0
    cases = {
        'n': sample(seed=0),
        'prediction_undefined': sample(seed=1, reported=reported),
        'truth_undefined': sample(seed=2, absent=[tip]),
        'both_undefined': sample(seed=3, absent=[tip], reported=reported),
    }
    for name, data_sample in cases.items():
        figures = evaluate([data_sample])
        found = {key: figures[f'clinical/all/skinner_height_mm/{key}'] for key in COUNTS}
        expected = dict.fromkeys(COUNTS, 0.0) | {'n': 1.0}  # the right side
        expected[name] += 1.0
        assert found == expected
    together = evaluate(list(cases.values()))
    assert [together[f'clinical/all/skinner_height_mm/{key}'] for key in COUNTS] == [5, 1, 1, 1]


def test_a_prediction_measures_with_what_it_reports(sample, evaluate):
    reported = np.ones(24)
    reported[index_of('left_greater_trochanter_tip')] = 0
    data_sample = sample(reported=reported)
    data_sample['pred_instances']['keypoints'][0, index_of('left_greater_trochanter_tip')] += 500.0
    figures = evaluate([data_sample])
    assert figures['clinical/all/skinner_height_mm/MAE'] == pytest.approx(0, abs=1e-9)
    assert figures['clinical/all/skinner_height_mm/n'] == 1


def test_what_nobody_looked_for_is_undefined_on_both_sides(sample, evaluate):
    figures = evaluate([sample(unlabelled=[index_of('left_greater_trochanter_tip')])])
    assert [figures[f'clinical/all/skinner_height_mm/{key}'] for key in COUNTS] == [1, 0, 0, 1]


def test_mm_are_of_the_detector_unless_asked_otherwise(sample, evaluate):
    samples = noisy(sample)
    detector, bone = evaluate(samples), evaluate(samples, plane='bone')
    key = 'clinical/all/femoral_offset_mm/MAE'
    assert bone[key] == pytest.approx(detector[key] / 1.25)
    key = 'clinical/all/center_edge_angle_deg/MAE'
    assert bone[key] == pytest.approx(detector[key])


def test_angles_are_compared_the_short_way_round(sample, evaluate):
    edge, head = index_of('left_acetabulum_upper_edge'), index_of('left_femoral_head_center')
    data_sample = sample()
    for which, offset in (('true', (1.0, 30.0)), ('pred', (-1.0, 30.0))):
        points = (data_sample['raw_ann_info']['points'] if which == 'true'
                  else data_sample['pred_instances']['keypoints'][0])  # fmt: skip
        points[edge] = points[head] + offset
    figures = evaluate([data_sample])
    assert figures['clinical/all/center_edge_angle_deg/MAE'] < 5  # of nearly +-180 degrees


def test_honest_intervals_hold_the_truth(sample, evaluate):
    samples = noisy(sample, count=60, noise=2.0)  # the covariances say 2 px, too
    figures = evaluate(samples)
    for output in OUTPUTS:
        assert figures[f'clinical/all/{output}/interval_coverage'] == pytest.approx(0.95, abs=0.09)
    for data_sample in samples:
        data_sample['pred_instances']['interval_scales'][:] = 0.6745
    figures = evaluate(samples)
    coverage = [figures[f'clinical/all/{output}/interval_coverage'] for output in OUTPUTS]
    assert np.mean(coverage) == pytest.approx(0.5, abs=0.07)


def test_each_measurement_has_its_own_scale(sample, evaluate):
    samples = noisy(sample, noise=6.0)
    for data_sample in samples:
        scales = data_sample['pred_instances']['interval_scales']
        for index, name in enumerate(MEASUREMENT_NAMES):
            scales[0, index] = np.inf if split_side(name)[1] == 'sharp_angle_deg' else 1e-6
    figures = evaluate(samples)
    assert figures['clinical/all/sharp_angle_deg/interval_coverage'] == 1
    assert figures['clinical/all/femoral_offset_mm/interval_coverage'] == 0


def test_without_scales_a_normal_interval_stands_in(sample, evaluate):
    samples = noisy(sample, count=20)
    usual = evaluate(samples)
    for data_sample in samples:
        del data_sample['pred_instances']['interval_scales']
    assert evaluate(samples) == pytest.approx(usual, nan_ok=True)


def test_a_model_without_covariances_has_no_intervals(sample, evaluate):
    figures = evaluate([sample(seed=seed) for seed in range(3)])
    assert all(
        math.isnan(figures[f'clinical/all/{output}/interval_coverage']) for output in OUTPUTS
    )


def test_one_pair_of_hips_has_errors_but_hardly_any_agreement(sample, evaluate):
    figures = evaluate(noisy(sample, count=1))
    key = 'clinical/all/pelvic_obliquity_deg'
    assert figures[f'{key}/n'] == 1 and figures[f'{key}/MAE'] > 0
    assert all(math.isnan(figures[f'{key}/{name}'])
               for name in ('LoA_lower', 'ICC_A1', 'ICC_A1_ci_low', 'PCC', 't_test_p'))  # fmt: skip


def test_rejecting_everything_measures_nothing(sample, evaluate):
    figures = evaluate([sample(reported=np.zeros(24))])
    for output in OUTPUTS:
        assert figures[f'clinical/all/{output}/n'] == 0
        assert figures[f'clinical/all/{output}/prediction_undefined'] > 0
        assert math.isnan(figures[f'clinical/all/{output}/MAE'])
