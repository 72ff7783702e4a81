import math

import numpy as np
import pytest

METRIC = 'THALandmarkMetric'
KEYS = ('MRE', 'median', 'SDR@2mm', 'SDR_all@2mm', 'NME', 'recall')


def test_errors_are_in_mm_on_the_detector(sample, evaluate):
    figures = evaluate([sample((3.0, 4.0))])
    assert figures['all/MRE'] == pytest.approx(2.5)
    assert figures['all/SDR@2mm'] == 0.0
    assert figures['all/SDR@2.5mm'] == pytest.approx(1.0)
    assert figures['all/recall'] == 1.0


def test_lengths_at_the_bone_are_divided_by_the_magnification(sample, evaluate):
    assert evaluate([sample((3.0, 4.0))], plane='bone')['all/MRE'] == pytest.approx(2.0)


def test_spacing_differs_along_x_and_y(sample, evaluate):
    figures = evaluate([sample((3.0, 4.0), pixel_spacing=(1.0, 0.25))])
    assert figures['all/MRE'] == pytest.approx(math.hypot(3.0, 1.0))


def test_subsets_are_summarised_apart(sample, evaluate):
    figures = evaluate([sample((2.0, 0.0)), sample((6.0, 0.0), subset='unstructured')])
    assert [figures[f'{name}/MRE'] for name in ('structured', 'unstructured', 'all')] == [
        pytest.approx(1.0), pytest.approx(3.0), pytest.approx(2.0)
    ]  # fmt: skip
    assert figures['structured/images'] == 1


def test_an_empty_subset_is_nan_and_never_perfect(sample, evaluate):
    figures = evaluate([sample()])
    assert all(math.isnan(figures[f'unstructured/{key}']) for key in KEYS)


def test_an_image_without_landmarks_is_nan_and_counts(sample, evaluate):
    figures = evaluate([sample(absent=range(24))])
    assert figures['all/images'] == 1
    assert all(math.isnan(figures[f'all/{key}']) for key in KEYS)


def test_absent_and_unlabelled_landmarks_do_not_enter_the_error(sample, evaluate):
    far = sample(absent=[0], unlabelled=[1])
    far['pred_instances']['keypoints'][0, :2] += 1000.0
    assert evaluate([far])['all/MRE'] == pytest.approx(0.0, abs=1e-9)


def test_rejecting_lowers_the_error_but_not_unseen(sample, evaluate):
    bad = sample(reported=np.ones(24))
    bad['pred_instances']['keypoints'][0, 3] += 100.0
    better = sample(reported=np.where(np.arange(24) == 3, 0, 1))
    reported, rejected = evaluate([bad]), evaluate([better])
    assert rejected['all/MRE'] < reported['all/MRE']
    assert rejected['all/recall'] == pytest.approx(23 / 24)
    assert rejected['all/SDR_all@2mm'] == reported['all/SDR_all@2mm'] == pytest.approx(23 / 24)


def test_rejecting_everything_is_nan_with_recall_0(sample, evaluate):
    figures = evaluate([sample(reported=np.zeros(24))])
    assert math.isnan(figures['all/MRE'])
    assert figures['all/recall'] == 0.0
    assert figures['all/SDR_all@10mm'] == 0.0


def test_a_missing_spacing_refuses_mm_and_names_the_file(sample, evaluate):
    with pytest.raises(ValueError, match=r"0\.dcm: no pixel_spacing.*unit='px'"):
        evaluate([sample(pixel_spacing=None)])


def test_pixels_work_without_spacing(sample, evaluate):
    figures = evaluate([sample((3.0, 4.0), pixel_spacing=None)], unit='px')
    assert figures['all/MRE'] == pytest.approx(5.0)
    assert 'all/SDR@2px' in figures


def test_each_landmark_is_reported_on_request(sample, evaluate):
    data_sample = sample()
    data_sample['pred_instances']['keypoints'][0, 0] += (8.0, 0.0)
    figures = evaluate([data_sample], per_landmark=True)
    assert figures['landmark/left_innermost_ilium/MRE'] == pytest.approx(4.0)
    assert figures['landmark/right_fovea/MRE'] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize('wrong', [dict(unit='inch'), dict(plane='moon')])
def test_unknown_units_and_planes_are_refused(sample, evaluate, wrong):
    with pytest.raises(ValueError, match='must be'):
        evaluate([sample()], **wrong)


def test_patients_give_intervals_on_request(sample, evaluate):
    samples = [sample((shift, 0.0), seed=shift) for shift in range(1, 9)]
    plain, figures = evaluate(samples), evaluate(samples, bootstrap=200)
    assert 'all/MRE_low' not in plain
    assert figures['all/MRE_low'] < plain['all/MRE'] < figures['all/MRE_high']
    assert {key: figures[key] for key in plain} == pytest.approx(plain, nan_ok=True)
    assert 'all/images_low' not in figures


def test_each_landmark_is_reported_without_results_too(evaluate):
    figures = evaluate([], per_landmark=True)
    assert math.isnan(figures['landmark/left_fovea/MRE'])
