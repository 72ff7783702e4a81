import math

import numpy as np
import pytest
from scipy import stats

from unsct_mmpose.functional import errors
from unsct_mmpose.functional.agreement import icc_agreement
from unsct_mmpose.functional.paper_protocol import (
    paper_errors_mm,
    paper_figures,
    with_sentinel,
)

SPACING = (0.5, 0.4)


def case(seed=0, images=5, noise=2.0, absent=0.1, reported=0.9):
    rng = np.random.default_rng(seed)
    true = rng.uniform(100, 900, (images, 24, 2))
    present = rng.random((images, 24)) >= absent
    return dict(
        pred=true + rng.normal(0, noise, true.shape),
        reported=rng.random((images, 24)) < reported,
        true=true,
        present=present,
        labelled=np.ones((images, 24), bool),
        spacing_xy_mm=SPACING,
    )


def figures(**changes):
    return paper_figures(**{**case(), **changes})


def test_the_sentinel_replaces_what_is_not_shown():
    points = np.full((1, 2, 2), 7.0)
    points[0, 1] = np.nan
    assert with_sentinel(points, np.array([[True, False]])).tolist() == [[[7, 7], [0, 0]]]
    assert np.isnan(points[0, 1]).all()


def test_four_outcomes_have_four_prices():
    pred, true = np.full((1, 4, 2), [30.0, 40.0]), np.full((1, 4, 2), [30.0, 45.0])
    reported, present = (
        np.array([[True, True, False, False]]),
        np.array([[True, False, True, False]]),
    )
    distances = paper_errors_mm(pred, reported, true, present, (1.0, 1.0))
    hit, false_positive, missed = 5.0, 50.0, math.hypot(30, 45)
    np.testing.assert_allclose(distances, [[hit, false_positive, missed, 0.0]])


def test_keeping_an_absent_landmark_costs_its_way_to_the_corner_in_mm():
    data = case()
    absent = ~data['present']
    reported = np.ones_like(absent)
    distance = paper_errors_mm(data['pred'], reported, data['true'], data['present'], SPACING, 1.25)
    corner = np.hypot(*np.moveaxis(data['pred'] * SPACING, -1, 0)) / 1.25
    np.testing.assert_allclose(distance[absent], corner[absent])
    assert absent.any()


def test_where_all_is_present_and_kept_it_is_the_masked_protocol():
    everything = np.ones((5, 24), bool)
    data = {**case(), 'present': everything, 'reported': everything}
    found = paper_figures(**data)
    distance = errors.radial_errors_mm(data['pred'], data['true'], SPACING)
    reference = errors.reference_distances_mm(data['true'], everything, SPACING)
    assert found.mre == errors.mean_radial_error(distance, everything)
    assert found.nme == pytest.approx((distance / (0.5 * reference[:, None])).mean())
    assert found.sdr_landmarks == (pytest.approx((distance <= 2).mean()),)
    assert found.sdr_images == (pytest.approx((distance.mean(axis=1) <= 2).mean()),)


def test_coordinates_are_compared_with_their_sentinels():
    data = case()
    found = paper_figures(**data)
    ours = np.where(data['reported'][..., None], data['pred'], 0).ravel()
    theirs = np.where(data['present'][..., None], data['true'], 0).ravel()
    assert found.pcc.value == pytest.approx(stats.pearsonr(ours, theirs).statistic)
    assert found.t_test_p == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
    assert found.icc == icc_agreement(np.transpose([ours, theirs]))


def test_deciding_rightly_beats_keeping_all_as_in_the_papers_table_5():
    data = case(images=40, absent=0.1)
    all_reported = paper_figures(**{**data, 'reported': np.ones_like(data['present'])})
    decided = paper_figures(**{**data, 'reported': data['present']})
    assert decided.mre < 2 < 30 < all_reported.mre
    assert all_reported.pcc.value < 0.8 < 0.99 < decided.pcc.value
    assert all_reported.sdr_images[0] < decided.sdr_images[0] == 1.0
    assert decided.nme < all_reported.nme


def test_rejecting_everything_never_pays():
    data = case(absent=0.1)
    rejected = paper_figures(**{**data, 'reported': np.zeros_like(data['present'])})
    decided = paper_figures(**{**data, 'reported': data['present']})
    assert rejected.mre > 100 * decided.mre
    assert rejected.sdr_images == (0.0,)
    assert rejected.sdr_landmarks[0] == pytest.approx((~data['present']).mean())
    assert math.isnan(rejected.pcc.value)


def test_what_nobody_looked_for_counts_nowhere():
    data = case()
    labelled = np.random.default_rng(1).random((5, 24)) < 0.7
    data['present'] &= labelled
    wild = {**data, 'labelled': labelled, 'reported': data['reported'] ^ ~labelled}
    wild['pred'] = np.where(labelled[..., None], data['pred'], 1e6)
    assert paper_figures(**wild) == paper_figures(**{**data, 'labelled': labelled})
    assert paper_figures(**wild) != paper_figures(**data)


def test_several_radii_and_scales():
    found = figures(radii_mm=(0.0, 2.0, 1e6), norm_scale=1.0)
    assert len(found.sdr_landmarks) == len(found.sdr_images) == 3
    assert found.sdr_landmarks[0] < found.sdr_landmarks[1] < found.sdr_landmarks[2] == 1.0
    assert figures().nme == pytest.approx(2 * found.nme)


def test_an_image_without_a_reference_is_dropped_from_the_nme_and_counted():
    data = case()
    data['present'][0] = False
    found = paper_figures(**data)
    assert found.nme_dropped_images == 1
    assert found.mre == errors.mean_radial_error(
        paper_errors_mm(data['pred'], data['reported'], data['true'], data['present'], SPACING),
        data['labelled'],
    )


@pytest.mark.parametrize('images', [0, 3])
def test_nothing_labelled_is_nan(images):
    data = case(images=images)
    found = paper_figures(**{**data, 'labelled': np.zeros((images, 24), bool)})
    numbers = [found.mre, found.nme, *found.sdr_landmarks, *found.sdr_images, *found.pcc,
               *found.icc, found.t_test_p]  # fmt: skip
    assert np.isnan(numbers).all()


def test_masks_must_fit_their_points():
    with pytest.raises(ValueError, match='disagree'):
        with_sentinel(np.zeros((2, 24, 2)), np.ones((2, 23), bool))
    with pytest.raises(ValueError, match='disagree'):
        with_sentinel(np.zeros((2, 24, 2)), np.ones((2, 24)))
