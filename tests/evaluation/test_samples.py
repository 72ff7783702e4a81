"""What every metric must survive, and what it must not count."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from mmpose.registry import METRICS
from mmpose.structures import PoseDataSample

from unsct_mmpose.datasets import THADataset
from unsct_mmpose.evaluation.samples import SampleMetric, stack, unpack

NAMES = ('THALandmarkMetric', 'THAPresenceMetric', 'THASetErrorMetric', 'THAClinicalMetric',
         'THAPaperMetric')  # fmt: skip
PREFIX_OF = dict(zip(NAMES, ('', 'presence', 'set_error', 'clinical', 'paper'), strict=True))
EACH = pytest.mark.parametrize('name', NAMES)


@pytest.fixture
def cohort(sample):
    """Return a function that makes eight images of four patients, some landmarks absent."""

    def make(ours=True):
        samples = []
        for seed in range(8):
            absent = [] if seed % 2 else [seed, 23 - seed]
            reported = np.ones(24)
            reported[[(5 * seed) % 24, *absent[:1]]] = 0
            samples.append(
                sample(
                    np.random.default_rng(seed).normal(0, 5, (24, 2)),
                    seed=seed,
                    absent=absent,
                    reported=reported,
                    ours=ours,
                    subset='structured' if seed % 2 else 'unstructured',
                    patient_id=f'p{seed // 2}',
                )
            )
        return samples

    return make


def close(figures):
    return pytest.approx(figures, rel=1e-9, abs=1e-9, nan_ok=True)


# The figures of any metric


@EACH
@pytest.mark.parametrize('ours', [False, True])
def test_figures_are_floats_by_subset(evaluate_any, cohort, name, ours):
    figures = evaluate_any(name, cohort(ours))
    assert all(type(value) is float for value in figures.values())
    keys = {key.removeprefix(f'{PREFIX_OF[name]}/') for key in figures}
    assert {key.split('/')[0] for key in keys} == {'all', 'structured', 'unstructured'}
    per_subset = [{key.split('/', 1)[1] for key in keys if key.startswith(f'{subset}/')}
                  for subset in ('all', 'structured', 'unstructured')]  # fmt: skip
    assert per_subset[0] == per_subset[1] == per_subset[2]
    assert sum(not math.isnan(value) for value in figures.values()) > len(figures) / 3


@EACH
def test_nothing_gives_the_same_keys_and_no_value(evaluate_any, sample, name):
    usual, figures = evaluate_any(name, [sample()]), evaluate_any(name, [])
    assert figures.keys() == usual.keys()
    assert all(math.isnan(value) or value == 0 for value in figures.values())


@EACH
@pytest.mark.parametrize('ours', [False, True])
@pytest.mark.parametrize(
    'case',
    [
        dict(absent=range(24)),
        dict(absent=range(24), reported=np.zeros(24)),
        dict(absent=range(1, 24)),
        dict(reported=np.zeros(24)),
        dict(unlabelled=range(24)),
        dict(unlabelled=range(1, 24), reported=np.zeros(24)),
        dict(absent=range(12), unlabelled=range(12, 24)),
    ],
    ids=['all absent', 'rightly rejected', 'one present', 'all rejected', 'unlabelled',
         'one unlabelled', 'half of each'],
)  # fmt: skip
@pytest.mark.parametrize('count', [1, 3])
def test_extreme_images_are_survived(evaluate_any, sample, name, ours, case, count):
    samples = [sample((1.0, 1.0), seed=seed, ours=ours, **case) for seed in range(count)]
    figures = evaluate_any(name, samples, bootstrap=3)
    usual = evaluate_any(name, [sample(ours=ours)], bootstrap=3)
    assert figures.keys() == usual.keys()
    assert not any(math.isinf(value) for value in figures.values())


@EACH
def test_coincident_landmarks_are_survived(evaluate_any, sample, name):
    data_sample = sample(ours=True)
    data_sample['pred_instances']['keypoints'][:] = 100.0
    other = sample(seed=1, ours=True)
    other['raw_ann_info']['points'][:] = 0.0
    figures = evaluate_any(name, [data_sample, other])
    assert not any(math.isinf(value) for value in figures.values())


@EACH
def test_what_nobody_looked_for_counts_nowhere(evaluate_any, cohort, name):
    def hide(samples, wild):
        rng = np.random.default_rng(0)
        for index, sample in enumerate(samples):
            hidden = [index, index + 9]
            truth, pred = sample['raw_ann_info'], sample['pred_instances']
            truth['labelled'][hidden] = truth['present'][hidden] = False
            if wild:
                truth['points'][hidden] = rng.uniform(0, 9999, (2, 2))
                truth['present'][hidden] = True
                pred['keypoints'][0, hidden] = rng.uniform(0, 9999, (2, 2))
                pred['keypoints_visible'][0, hidden] = 1 - pred['keypoints_visible'][0, hidden]
                pred['keypoint_decisions'][0, hidden] ^= True
                pred['keypoint_presence'][0, hidden] = np.nan
                for field in ('keypoint_uncertainties', 'keypoint_evidences'):
                    pred[field][0, hidden] = np.nan
                pred['keypoint_covariances'][0, hidden] *= 77
        return samples

    calm, wild = (evaluate_any(name, hide(cohort(), flag), bootstrap=5) for flag in (False, True))
    assert wild == close(calm)
    assert wild != close(evaluate_any(name, cohort(), bootstrap=5))


@EACH
def test_gathered_results_give_the_same_figures(cohort, name):
    whole, left, right = (METRICS.build(dict(type=name, bootstrap=10)) for _ in range(3))
    whole.process({}, cohort())
    left.process({}, cohort()[0::2])
    right.process({}, cohort()[1::2])
    expected = whole.compute_metrics(whole.results)
    gathered = [pickle.loads(pickle.dumps(result)) for result in left.results + right.results]
    assert left.compute_metrics(gathered) == close(expected)


@EACH
def test_each_image_leaves_one_result_and_padding_is_dropped(cohort, name):
    samples = cohort()
    metric = METRICS.build(dict(type=name))
    metric.process({}, samples[:5])
    metric.process({}, samples[5:])
    assert len(metric.results) == 8
    expected = metric.evaluate(8)
    metric.process({}, samples)
    metric.process({}, samples[:2])  # a sampler pads with images that were there already
    assert metric.evaluate(8) == close(expected)


@EACH
def test_there_is_no_memory_but_the_results(cohort, name):
    metric = METRICS.build(dict(type=name))
    before = copy.deepcopy({key: value for key, value in vars(metric).items() if key != 'results'})
    metric.process({}, cohort())
    first = metric.evaluate(8)
    after = {key: value for key, value in vars(metric).items() if key != 'results'}
    assert after == before and metric.results == []
    metric.process({}, cohort())
    assert metric.evaluate(8) == close(first)


@EACH
def test_tensors_and_arrays_are_alike_and_left_as_they_are(evaluate_any, cohort, name):
    arrays, tensors = cohort(), cohort()
    for sample in tensors:
        pred = sample['pred_instances']
        for key, value in pred.items():
            pred[key] = torch.as_tensor(value)
    before = copy.deepcopy(arrays)
    assert evaluate_any(name, tensors) == close(evaluate_any(name, arrays))
    for old, new in zip(before, arrays, strict=True):
        np.testing.assert_equal(new, old)


@EACH
def test_intervals_are_by_patient_and_repeatable(evaluate_any, cohort, name):
    figures = evaluate_any(name, cohort(), bootstrap=50)
    assert evaluate_any(name, cohort(), bootstrap=50) == close(figures)
    assert {key: figures[key] for key in evaluate_any(name, cohort())} == close(
        evaluate_any(name, cohort())
    )
    lows = [key for key in figures if key.endswith('_low') and not key.endswith('_ci_low')]
    assert len(lows) >= 12
    wide = 0
    for key in lows:
        low, high = figures[key], figures[f'{key.removesuffix("_low")}_high']
        assert math.isnan(low) == math.isnan(high)
        wide += high > low
        assert math.isnan(low) or low <= high
    assert wide > len(lows) / 3


@EACH
def test_one_patient_has_no_interval(evaluate_any, cohort, name):
    samples = cohort()
    for sample in samples:
        sample['raw_ann_info']['patient_id'] = 'p'
    figures = evaluate_any(name, samples, bootstrap=5)
    lows = [key for key in figures if key.endswith('_low') and not key.endswith('_ci_low')]
    assert lows and all(math.isnan(figures[key]) for key in lows)
    for index, sample in enumerate(samples):  # unknown patients: every file is one
        sample['raw_ann_info']['patient_id'] = None if index % 2 else ''
    figures = evaluate_any(name, samples, bootstrap=5)
    assert not all(math.isnan(figures[key]) for key in lows)


@EACH
def test_a_missing_spacing_names_the_file(evaluate_any, sample, name):
    with pytest.raises(ValueError, match=r'0\.dcm: no pixel_spacing'):
        evaluate_any(name, [sample(pixel_spacing=None)])


@EACH
@pytest.mark.parametrize('instances', [0, 2])
def test_a_radiograph_has_one_instance(evaluate_any, sample, name, instances):
    data_sample = sample()
    pred = data_sample['pred_instances']
    for key, value in pred.items():
        pred[key] = np.repeat(value, instances, axis=0)
    with pytest.raises(ValueError, match=r'0\.dcm: predicted keypoints are .* needs one instance'):
        evaluate_any(name, [data_sample])


@EACH
def test_a_prefix_and_a_number_of_resamples(evaluate_any, sample, name):
    figures = evaluate_any(name, [sample()], prefix='test')
    assert all(key.startswith('test/') for key in figures)
    with pytest.raises(ValueError, match='bootstrap must be'):
        evaluate_any(name, [sample()], bootstrap=-1)


@EACH
def test_a_subset_of_another_name_counts_in_all_only(evaluate_any, sample, name):
    figures = evaluate_any(name, [sample(subset='odd'), sample((8.0, 8.0), seed=1)])
    alone = evaluate_any(name, [sample((8.0, 8.0), seed=1)])
    part = {key: value for key, value in figures.items() if 'structured/' in key}
    assert part == close({key: alone[key] for key in part})
    assert figures != close(alone)


def test_all_metrics_run_together_on_what_mmpose_hands_over(sample):
    data = PoseDataSample(metainfo=dict(raw_ann_info=sample()['raw_ann_info']))
    data.pred_instances = InstanceData(**sample(ours=True)['pred_instances'])
    evaluator = Evaluator([METRICS.build(dict(type=name, bootstrap=3)) for name in NAMES])
    evaluator.process([data], None)
    figures = evaluator.evaluate(1)  # refuses two metrics that share a name
    assert figures['set_error/all/E_20'] == figures['all/MRE'] == pytest.approx(0)
    assert figures['all/recall'] == figures['presence/all/recall'] == 1
    assert (
        figures['paper/all/MRE'] == figures['clinical/all/sharp_angle_deg/MAE'] == pytest.approx(0)
    )


# Unpacking


def test_a_model_of_any_kind_is_unpacked(sample):
    data_sample = sample(reported=None)
    data_sample['pred_instances']['keypoint_scores'] = np.linspace(0, 1, 24)[None]
    row = unpack(data_sample)
    assert row['reported'].all()
    np.testing.assert_allclose(row['uncertainty'], 1 - np.linspace(0, 1, 24))
    assert not {'presence', 'covariance', 'evidence', 'decisions'} & row.keys()


def test_a_landmark_is_kept_above_one_half(sample):
    reported = np.full(24, 0.5)
    reported[[2, 7]] = 0.51
    row = unpack(sample(reported=reported, unlabelled=[7]))
    assert np.flatnonzero(row['reported']).tolist() == [2]


def test_a_stock_model_that_repeats_its_scores_reports_every_landmark(sample):
    data_sample = sample()
    pred = data_sample['pred_instances']
    pred['keypoint_scores'] = np.linspace(0, 1, 24, dtype=np.float32)[None]
    pred['keypoints_visible'] = pred['keypoint_scores'].copy()
    assert unpack(data_sample)['reported'].all()
    np.testing.assert_allclose(
        unpack(data_sample)['uncertainty'], 1 - np.linspace(0, 1, 24), atol=1e-6
    )
    data_sample['raw_ann_info']['labelled'][[2, 20]] = False
    assert np.flatnonzero(~unpack(data_sample)['reported']).tolist() == [2, 20]


def test_what_is_no_copy_of_the_scores_decides(sample):
    data_sample = sample()
    pred = data_sample['pred_instances']
    pred['keypoint_scores'] = np.linspace(0, 1, 24)[None]
    pred['keypoints_visible'] = np.linspace(0, 1, 24)[None].copy()
    pred['keypoints_visible'][0, 0] = 0.1
    assert np.flatnonzero(unpack(data_sample)['reported']).tolist() == [*range(12, 24)]
    pred['keypoints_visible'] = pred['keypoint_scores'].copy()
    pred['keypoint_uncertainties'] = 1 - pred['keypoint_scores']  # a head of ours has decided
    assert np.flatnonzero(unpack(data_sample)['reported']).tolist() == [*range(12, 24)]


def test_half_precision_tensors_are_unpacked(sample):
    data_sample = sample(ours=True)
    for key in ('keypoint_scores', 'keypoint_uncertainties'):
        data_sample['pred_instances'][key] = torch.as_tensor(
            data_sample['pred_instances'][key]
        ).bfloat16()
    assert unpack(data_sample)['uncertainty'] == pytest.approx(0.1, abs=1e-3)


def test_a_column_that_some_results_lack_is_left_out(sample):
    results = [dict(unpack(sample(ours=ours)), scale=(1.0, 1.0)) for ours in (True, False)]
    for order in (results, results[::-1]):
        table = stack(order)
        assert 'covariance' not in table and table['pred'].shape == (2, 24, 2)


def test_a_calibration_is_held_once_as_long_as_it_is_the_same(sample):
    def samples():
        made = [sample(np.full((24, 2), k), seed=k, ours=True) for k in range(4)]
        for index, each in enumerate(made):
            size = 0.3 if index == 2 else 0.0
            each['pred_instances']['error_correlation'] = np.eye(48)[None] * (1 - size) + size
        return made

    metric = METRICS.build(dict(type='THAClinicalMetric'))
    metric.process({}, samples())
    held = [result['error_correlation'] for result in metric.results]
    assert [each is held[0] for each in held] == [True, True, False, False]
    assert held[2][0, 1] == 0.3 and held[3] is not held[2] and held[3][0, 1] == 0
    alike = stack(metric.results[:2])['error_correlation']
    assert alike.shape == (2, 48, 48) and np.array_equal(alike, np.stack(held[:2]))


@EACH
def test_a_metric_holds_only_what_it_reads(cohort, name):
    metric = METRICS.build(dict(type=name))
    metric.dataset_meta = THADataset.METAINFO
    metric.process({}, cohort())
    usual = {'patient', 'subset', 'pred', 'true', 'reported', 'present', 'labelled', 'scale'}
    assert all(result.keys() <= usual | set(metric.reads) for result in metric.results)
    figures = metric.compute_metrics(metric.results)
    whole = [dict(unpack(each), scale=(1.0, 1.0)) for each in cohort()]
    for row, result in zip(whole, metric.results, strict=True):
        row['scale'] = result['scale']
    assert metric.compute_metrics(whole) == pytest.approx(figures, nan_ok=True, rel=0, abs=0)


def test_the_shared_class_itself_summarises_nothing():
    with pytest.raises(NotImplementedError):
        SampleMetric().compute_metrics([])
