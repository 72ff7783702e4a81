import math

import numpy as np
import pytest

METRIC = 'THASetErrorMetric'
FIGURES = ('E_10', 'E_20', 'E_50', 'LRP')


def test_the_headline_weighs_place_and_presence(sample, evaluate):
    reported = np.ones(24)
    reported[[0, 1]] = 0
    figures = evaluate([sample((6.0, 8.0), absent=[1, 2], reported=reported)])  # 10 px are 5 mm
    hits, missed, false_positives = 21, 1, 1
    for cutoff in (10, 20, 50):
        expected = (hits * 5 + cutoff * (missed + false_positives)) / 23
        assert figures[f'set_error/all/E_{cutoff}'] == pytest.approx(expected)
    assert figures['set_error/all/LRP'] == pytest.approx((hits * 5 / 20 + 2) / 23)


def test_images_weigh_alike_in_the_set_error_and_landmarks_in_lrp(sample, evaluate):
    reported = np.zeros(24)
    reported[0] = 1
    lonely = sample(absent=range(1, 24), reported=reported)
    figures = evaluate([lonely, sample((8.0, 0.0), seed=1)])
    assert figures['set_error/all/E_20'] == pytest.approx((0 + 4) / 2)
    assert figures['set_error/all/LRP'] == pytest.approx(24 * 0.2 / 25)


@pytest.mark.parametrize('absent', [[], [3, 4], range(1, 24)])
def test_rejecting_everything_scores_the_worst_and_never_beats_a_sensible_prediction(
    sample, evaluate, absent
):
    rejected = evaluate([sample(absent=absent, reported=np.zeros(24))])
    for key, worst in zip(FIGURES, (10, 20, 50, 1), strict=True):
        assert (
            rejected[f'set_error/all/{key}']
            == rejected[f'set_error/all/reject_all/{key}']
            == pytest.approx(worst)
        )
        talkative = evaluate([sample((6.0, 8.0), absent=absent)])
        assert talkative[f'set_error/all/{key}'] < worst
    if len(absent):
        assert rejected['set_error/all/recovered_E_20'] < 0


def test_an_image_with_nothing_and_nothing_said_has_no_set_error(sample, evaluate):
    empty = sample(absent=range(24), reported=np.zeros(24))
    assert all(math.isnan(evaluate([empty])[f'set_error/all/{key}']) for key in FIGURES)
    false_positives = evaluate([sample(absent=range(24))])
    assert false_positives['set_error/all/E_20'] == 20 and false_positives['set_error/all/LRP'] == 1
    both = evaluate([empty, sample((8.0, 0.0), seed=1)])
    assert both['set_error/all/E_20'] == pytest.approx(4)


def test_baselines_are_other_decisions_about_the_same_points(sample, evaluate):
    reported = np.ones(24)
    reported[5] = 0
    data_sample = sample((6.0, 8.0), absent=[1, 2], reported=reported, ours=True)
    decisions = data_sample['pred_instances']['keypoint_decisions']
    decisions[:] = True
    decisions[0, 1, 0] = False  # the peak finds one of two absent landmarks
    decisions[0, [1, 2], 1] = False  # the fields find both
    decisions[0, [1, 2, 3], 2] = False  # fused, one too many
    figures = evaluate([data_sample])

    def expected(hits, wrong):
        return pytest.approx((hits * 5 + 20 * wrong) / (hits + wrong))

    assert figures['set_error/all/keep_all/E_20'] == expected(22, 2)
    assert figures['set_error/all/oracle/E_20'] == expected(22, 0)
    assert figures['set_error/all/peak/E_20'] == expected(22, 1)
    assert figures['set_error/all/paf/E_20'] == expected(22, 0)
    assert figures['set_error/all/fused/E_20'] == expected(21, 1)
    assert figures['set_error/all/E_20'] == expected(21, 3)
    assert figures['set_error/all/paf/recovered_E_20'] == pytest.approx(1)
    assert 0 < figures['set_error/all/fused/recovered_E_20'] < 1
    assert figures['set_error/all/recovered_E_20'] < 0


def test_recovery_is_read_off_the_headlines(sample, evaluate):
    reported = np.ones(24)
    reported[[2, 9]] = 0
    samples = [
        sample((seed, 8.0), seed=seed, absent=[2, 3], reported=reported, ours=True)
        for seed in range(4)
    ]
    figures = evaluate(samples)
    for cutoff in (10, 20, 50):
        keep_all, ours, oracle = (
            figures[f'set_error/all/{name}E_{cutoff}'] for name in ('keep_all/', '', 'oracle/')
        )
        expected = (keep_all - ours) / (keep_all - oracle)
        assert figures[f'set_error/all/recovered_E_{cutoff}'] == pytest.approx(expected)


def test_a_structured_set_has_nothing_to_recover(sample, evaluate):
    figures = evaluate([sample((1.0, 1.0), ours=True)])
    assert math.isnan(figures['set_error/structured/recovered_E_20'])
    assert (
        figures['set_error/structured/keep_all/E_20'] == figures['set_error/structured/oracle/E_20']
    )


def test_a_model_without_decisions_has_the_baselines_that_need_none(sample, evaluate):
    figures = evaluate([sample(absent=[2])])
    names = {key.split('/')[2] for key in figures if key.count('/') == 3}
    assert names == {'keep_all', 'reject_all', 'oracle'}
    assert figures['set_error/all/E_20'] == figures['set_error/all/keep_all/E_20']


def test_no_decision_beats_the_oracle(sample, evaluate):
    rng = np.random.default_rng(0)
    for seed in range(20):
        absent = np.flatnonzero(rng.random(24) < 0.2)
        data_sample = sample(
            rng.normal(0, 30, 2), seed=seed, absent=absent, reported=rng.random(24) < 0.8
        )
        figures = evaluate([data_sample])
        for cutoff in (10, 20, 50):
            assert (
                figures[f'set_error/all/oracle/E_{cutoff}']
                <= figures[f'set_error/all/E_{cutoff}'] + 1e-9
            )
            assert figures[f'set_error/all/E_{cutoff}'] <= cutoff + 1e-9


def test_cutoffs_units_and_planes(sample, evaluate):
    data_sample = sample((6.0, 8.0))
    assert evaluate([data_sample], cutoffs=(4,))['set_error/all/E_4'] == 4
    assert evaluate([data_sample], unit='px')['set_error/all/E_20px'] == pytest.approx(10)
    assert evaluate([data_sample], plane='bone')['set_error/all/E_20'] == pytest.approx(4)
    assert evaluate([data_sample], lrp_cutoff=4.0)['set_error/all/LRP'] == 1


def test_the_intervals_of_the_headline_are_by_patient(sample, evaluate):
    samples = [
        sample((4.0 * (seed // 2), 0.0), seed=seed, patient_id=f'p{seed // 2}')
        for seed in range(12)
    ]
    figures = evaluate(samples, bootstrap=300)
    assert (
        figures['set_error/all/E_20_low']
        < figures['set_error/all/E_20']
        < figures['set_error/all/E_20_high']
    )
    for index, data_sample in enumerate(samples):
        data_sample['raw_ann_info']['patient_id'] = f'q{index}'
    finer = evaluate(samples, bootstrap=300)
    width, finer_width = (
        figure['set_error/all/E_20_high'] - figure['set_error/all/E_20_low']
        for figure in (figures, finer)
    )
    assert finer_width < 0.85 * width
    assert figures['set_error/all/keep_all/E_20_low'] == figures['set_error/all/E_20_low']
