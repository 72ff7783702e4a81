import math

import numpy as np
import pytest

METRIC = 'THAPaperMetric'


def test_every_key_says_whose_protocol_it_is(sample, evaluate):
    figures = evaluate([sample()])
    assert all(key.startswith('paper/') for key in figures)
    assert 'paper/all/images' in figures


def test_four_outcomes_have_four_prices(sample, evaluate):
    reported = np.ones(24)
    reported[[0, 1]] = 0
    data_sample = sample((6.0, 8.0), absent=[1, 2], reported=reported)
    figures = evaluate([data_sample])
    to_corner = np.hypot(*(0.5 * data_sample['raw_ann_info']['points'][0]))
    false_positive = np.hypot(*(0.5 * data_sample['pred_instances']['keypoints'][0, 2]))
    assert figures['paper/all/MRE'] == pytest.approx((21 * 5 + to_corner + 0 + false_positive) / 24)
    assert figures['paper/all/SDR@2mm'] == pytest.approx(1 / 24)


def test_ori_is_the_same_model_keeping_everything(sample, evaluate):
    reported = np.ones(24)
    reported[[1, 2]] = 0
    figures = evaluate([sample((1.0, 1.0), absent=[1, 2], reported=reported)])
    everything = evaluate([sample((1.0, 1.0), absent=[1, 2])])
    for key in ('MRE', 'NME', 'SDR@2mm', 'SDR_images@2mm', 'PCC', 'ICC', 't_test_p'):
        assert figures[f'paper/all/keep_all/{key}'] == everything[f'paper/all/{key}']
    assert figures['paper/all/MRE'] < 1 < 5 < figures['paper/all/keep_all/MRE']
    assert figures['paper/all/keep_all/PCC'] < 0.95 < figures['paper/all/PCC']
    assert figures['paper/all/SDR_images@2mm'] == 1 and figures['paper/all/keep_all/SDR@2mm'] < 1


def test_where_all_is_present_it_is_the_error_of_the_other_metric(sample, evaluate, evaluate_any):
    samples = [sample((3.0, 4.0)), sample((0.0, 2.0), seed=1)]
    figures = evaluate(samples, radii=(2.0, 4.0))
    usual = evaluate_any('THALandmarkMetric', samples, norm_scale=0.5)
    for key in ('MRE', 'NME', 'SDR@2mm', 'SDR@4mm'):
        assert figures[f'paper/all/{key}'] == pytest.approx(usual[f'all/{key}'])
    assert figures['paper/all/SDR_images@2mm'] == 0.5


def test_lengths_are_on_the_detector(sample, evaluate):
    figures = evaluate([sample((3.0, 4.0), magnification=2.0)])
    assert figures['paper/all/MRE'] == pytest.approx(2.5)


def test_rejecting_everything_is_far_off(sample, evaluate):
    rejected = evaluate([sample((3.0, 4.0), absent=[1, 2], reported=np.zeros(24))])
    reported = evaluate([sample((3.0, 4.0), absent=[1, 2])])
    assert rejected['paper/all/MRE'] > 2 * reported['paper/all/MRE']
    assert math.isnan(rejected['paper/all/PCC'])


def test_images_without_a_reference_are_counted(sample, evaluate):
    figures = evaluate([sample(absent=[5, 7]), sample(seed=1)])
    assert figures['paper/all/NME_dropped_images'] == 1
    assert figures['paper/all/images'] == 2
