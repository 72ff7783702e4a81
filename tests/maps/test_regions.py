"""Factors find their landmark, and covariances change with the size of a cell."""

from dataclasses import replace

import numpy as np
import pytest

from unsct_mmpose.anatomy import LANDMARK_CLASSES, LANDMARK_NAMES
from unsct_mmpose.anatomy.parameters import split_side
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES
from unsct_mmpose.maps.calibration import Calibration, SystematicOffset
from unsct_mmpose.maps.fusion import Fusion, MonotoneLogistic
from unsct_mmpose.maps.regions import (
    calibrated_covariances,
    covariances_to_px,
    error_correlations,
    interval_offsets,
    interval_scales,
    region_factors,
)

OUTPUTS = list(dict.fromkeys(split_side(name)[1] for name in MEASUREMENT_NAMES))


HIGH = np.ones((3, 24))


def calibration(regions, intervals):
    return Calibration(
        rule='recall',
        entropy='mirror',
        aggregation='peel',
        relations='full',
        thresholds={},
        fusion=Fusion((), MonotoneLogistic(0.0, (), (), (), ()), ()),
        region_level=0.95,
        region_scales=regions,
        interval_level=0.95,
        interval_scales=intervals,
        typical_agreement=0.0,
        typical_quorum=0.0,
    )


def test_both_sides_of_a_landmark_have_the_factor_of_its_class():
    scales = {landmark.name: 1.0 + landmark.number for landmark in LANDMARK_CLASSES}
    found = dict(zip(LANDMARK_NAMES, region_factors(calibration(scales, {})), strict=True))
    for landmark in LANDMARK_CLASSES:
        assert (
            found[f'left_{landmark.name}'] == found[f'right_{landmark.name}'] == 1 + landmark.number
        )


def test_each_measurement_has_the_scale_of_its_output_on_either_side():
    scales = {output: 2.0 + index for index, output in enumerate(OUTPUTS)}
    found = interval_scales(calibration({}, scales))
    assert found.shape == (len(MEASUREMENT_NAMES),)
    for name, scale in zip(MEASUREMENT_NAMES, found, strict=True):
        assert scale == scales[split_side(name)[1]]


def test_an_output_without_a_scale_has_that_of_a_normal_distribution():
    scales = interval_scales(calibration({}, {OUTPUTS[0]: 3.0}))
    assert set(scales.round(4)) == {3.0, 1.96}
    assert (scales == 3).sum() == sum(
        split_side(name)[1] == OUTPUTS[0] for name in MEASUREMENT_NAMES
    )


def test_without_a_calibration_nothing_is_scaled():
    assert region_factors(None).tolist() == [1.0] * 24
    assert interval_scales(None) == pytest.approx([1.959964] * len(MEASUREMENT_NAMES))


def spread(count=2, landmarks=3, seed=0):
    """Return covariances and many points that have them."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(0, 1, (count, landmarks, 2, 2))
    return roots @ roots.transpose(0, 1, 3, 2)


def test_covariances_change_as_those_of_scaled_points_do():
    covariances, cell = spread(), np.array([4.0, 2.5])
    expected = np.diag(cell) @ covariances @ np.diag(cell)
    np.testing.assert_allclose(covariances_to_px(covariances, cell), expected)


def test_images_have_cells_of_their_own_and_landmarks_factors_of_their_own():
    covariances, cells = spread(), np.array([[4.0, 2.5], [1.0, 3.0]])
    factors = np.array([1.0, 2.0, 0.5])
    found = covariances_to_px(covariances, cells, factors)
    for image in range(2):
        for landmark in range(3):
            scale = np.diag(cells[image])
            expected = factors[landmark] * scale @ covariances[image, landmark] @ scale
            np.testing.assert_allclose(found[image, landmark], expected)


def test_one_factor_may_hold_for_all_and_twice_the_cell_is_four_times_the_area():
    covariances = spread()
    np.testing.assert_allclose(covariances_to_px(covariances, (1, 1), 3.0), 3 * covariances)
    np.testing.assert_allclose(covariances_to_px(covariances, (2, 2)), 4 * covariances)


def test_a_calibration_without_shapes_scales_and_turns_nothing():
    plain = np.random.default_rng(0).normal(size=(3, 24, 2, 2))
    plain = plain @ np.swapaxes(plain, -1, -2)
    scales = {landmark.name: 1.0 + landmark.number for landmark in LANDMARK_CLASSES}
    one = calibration(scales, {})
    factors = region_factors(one)[:, None, None]
    np.testing.assert_allclose(calibrated_covariances(plain, one, HIGH), plain * factors)
    np.testing.assert_array_equal(calibrated_covariances(plain, None, 0 * HIGH), plain)


def test_a_low_peak_is_less_sure_of_its_place_alone():
    scales = {landmark.name: 1.0 for landmark in LANDMARK_CLASSES}
    one = replace(calibration(scales, {}), peak_power=1.5)
    peaks = np.ones((3, 24))
    peaks[1, 7] = 0.5
    plain = np.tile(np.eye(2), (3, 24, 1, 1))
    covariances = calibrated_covariances(plain, one, peaks)
    assert covariances[1, 7] == pytest.approx(
        covariances[1, 6] * 11**1.5
    )  # 1.1 and 0.1 of sigma squared
    assert (np.delete(covariances.reshape(-1, 2, 2), 24 + 7, axis=0) == covariances[0, 0]).all()
    np.testing.assert_array_equal(
        calibrated_covariances(plain, replace(one, peak_power=0.0), peaks), plain
    )


def test_a_shape_is_mirrored_on_the_right():
    scales = {landmark.name: 2.0 for landmark in LANDMARK_CLASSES}
    one = replace(calibration(scales, {}), region_shapes=dict(fovea=(2.0, 0.5, 1.0)))
    found = calibrated_covariances(np.tile(np.eye(2), (1, 24, 1, 1)), one, HIGH[:1])[0]
    left, right = (LANDMARK_NAMES.index(f'{side}_fovea') for side in ('left', 'right'))
    np.testing.assert_allclose(found[left], [[4.0, 1.0], [1.0, 2.0]], atol=1e-9)
    np.testing.assert_allclose(found[right], [[4.0, -1.0], [-1.0, 2.0]], atol=1e-9)
    others = np.delete(np.arange(24), [left, right])
    np.testing.assert_allclose(found[others], np.tile(2 * np.eye(2), (22, 1, 1)), atol=1e-9)


def test_only_significant_offsets_are_taken_from_the_centre():
    offsets = {
        OUTPUTS[0]: SystematicOffset(2.0, 1.0, 3.0, 9, True),
        OUTPUTS[1]: SystematicOffset(5.0, -1.0, 11.0, 9, False),
    }
    found = interval_offsets(replace(calibration({}, {}), offsets=offsets))
    for name, value in zip(MEASUREMENT_NAMES, found, strict=True):
        assert value == (2.0 if split_side(name)[1] == OUTPUTS[0] else 0.0)


def test_a_correlation_is_put_together_as_it_was_taken_apart():
    whole = np.random.default_rng(1).uniform(-1, 1, (48, 48))
    whole = (whole + whole.T) / 2
    np.fill_diagonal(whole, 1.0)
    upper = tuple(whole[np.triu_indices(48, 1)].tolist())
    correlations = error_correlations(replace(calibration({}, {}), correlation=upper))
    np.testing.assert_array_equal(correlations, whole)
