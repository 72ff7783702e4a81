"""Drawn errors whose direction and correlation are known."""

import numpy as np
import pytest
import torch

from unsct_mmpose.anatomy import FLIP_INDICES, LandmarkSet, index_of
from unsct_mmpose.functional.error_structure import (
    class_residuals,
    direction_shapes,
    error_correlation,
    error_products,
    peak_power,
    peak_variances,
    shaped,
    side_shapes,
    whitened,
)


def positive(count, seed=0):
    values = np.random.default_rng(seed).normal(size=(count, 24, 2, 2))
    return values @ np.swapaxes(values, -1, -2) + 0.1 * np.eye(2)


def people(patients, images):
    return np.repeat([f'p{index:03d}' for index in range(patients)], images)


def test_a_shape_turns_what_a_whitened_error_says():
    covariances, shapes = positive(3), side_shapes(positive(1, seed=1)[0, :12])
    changed = shaped(covariances, shapes)
    inverse = np.linalg.inv(changed)
    error = np.random.default_rng(2).normal(size=(3, 24, 2))
    plain = whitened(error, covariances)
    direct = np.einsum('nki,nkij,nkj->nk', error, inverse, error)
    np.testing.assert_allclose(
        np.einsum('nki,kij,nkj->nk', plain, np.linalg.inv(shapes), plain), direct, rtol=1e-8
    )
    same = shaped(covariances, np.tile(np.eye(2), (24, 1, 1)))
    np.testing.assert_allclose(same, covariances, atol=1e-10)


def test_an_error_is_whitened_by_its_own_covariance():
    covariances = np.tile(np.diag([4.0, 9.0]), (1, 24, 1, 1))
    error = np.full((1, 24, 2), 6.0)
    error[0, 3] = np.nan
    residuals = whitened(error, covariances)
    np.testing.assert_allclose(residuals[0, 0], [3.0, 2.0])
    assert np.isnan(residuals[0, 3]).all()


def test_the_direction_of_errors_is_found_mirrored_on_the_right():
    rng = np.random.default_rng(3)
    along = np.array([0.6, 0.8])
    error = 0.3 * rng.standard_normal((400, 24, 2))
    error += (
        2
        * rng.standard_normal((400, 24, 1))
        * np.where(np.arange(24)[:, None] < 12, along, along * [-1, 1])
    )
    shapes, others = direction_shapes(class_residuals(error, people(100, 4)))
    for shape in side_shapes(shapes)[:12]:
        values, vectors = np.linalg.eigh(shape)
        assert abs(vectors[:, 1] @ along) > 0.99
        assert values[1] > 5 * values[0]
    np.testing.assert_allclose(np.linalg.det(shapes), 1)
    np.testing.assert_allclose(side_shapes(shapes)[12:, 0, 1], -shapes[:, 0, 1])
    assert others.shape == (12, 100, 2, 2)


def test_three_patients_say_nothing_of_a_direction_and_ten_that_agree_nearly_all():
    error = np.random.default_rng(4).standard_normal((300, 24, 2)) * [3.0, 1.0]
    few, _ = direction_shapes(class_residuals(error[:30], people(3, 10)))
    np.testing.assert_array_equal(few, np.tile(np.eye(2), (12, 1, 1)))
    many, others = direction_shapes(class_residuals(error[:100], people(10, 10)))
    # 3 is the truth
    assert np.median(many[:, 0, 0]) > 2.6 and np.median(others[..., 0, 0]) > 2.6


def test_patients_with_one_image_tell_of_a_direction_by_agreeing():
    error = np.random.default_rng(6).standard_normal((12, 24, 2)) * [3.0, 1.0]
    shapes, _ = direction_shapes(class_residuals(error, people(12, 1)))
    assert np.median(shapes[:, 0, 0]) > 2  # 3 is the truth


def test_patients_who_disagree_say_nothing_of_a_direction():
    rng = np.random.default_rng(5)
    turn = rng.uniform(0, np.pi, (8, 24)).repeat(5, axis=0)
    along = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    error = 3 * rng.standard_normal((40, 24, 1)) * along + rng.standard_normal((40, 24, 2))
    shapes, _ = direction_shapes(class_residuals(error, people(8, 5)))
    longest = np.linalg.eigvalsh(shapes)[:, 1]
    assert np.median(longest) < 1.1  # each patient alone has about 3
    assert (longest < 1.02).sum() >= 4


def test_the_shape_without_a_patient_is_that_of_the_others():
    error = np.random.default_rng(5).standard_normal((12, 24, 2))
    error[4:6, 7] = np.nan
    names = people(6, 2)
    # no error is gross here, so that none is cut by a median that the patient has a part in
    _, others = direction_shapes(class_residuals(error / 10, names))
    rest = names != 'p003'
    alone, _ = direction_shapes(class_residuals(error[rest] / 10, names[rest]))
    np.testing.assert_allclose(others[:, 3], alone, rtol=0.15, atol=0.1)


def test_landmarks_that_err_together_are_found():
    rng = np.random.default_rng(6)
    four, two = index_of('left_acetabulum_lower_edge'), index_of('left_y_cartilage_center')
    error = rng.standard_normal((600, 24, 2))
    for first, second in ((four, two), (FLIP_INDICES[four], FLIP_INDICES[two])):
        error[:, second] = 0.8 * error[:, first] + 0.6 * error[:, second]
    correlation = error_correlation(error_products(error, people(200, 3)))
    # four of 1104 pairs: the others' chance draws them down, too
    assert 0.5 < correlation[2 * four, 2 * two] < 0.9
    assert 0.5 < correlation[2 * four + 1, 2 * two + 1] < 0.9
    other = correlation[2 * index_of('left_fovea')]
    assert np.abs(np.delete(other, 2 * index_of('left_fovea'))).max() < 0.15
    assert np.linalg.eigvalsh(correlation).min() > -1e-9
    np.testing.assert_allclose(np.diag(correlation), 1)


def test_a_correlation_is_the_same_in_the_mirror():
    rng = np.random.default_rng(7)
    error = rng.standard_normal((60, 24, 2)) + rng.standard_normal((60, 1, 2))
    mirrored = error[:, list(FLIP_INDICES)] * [-1, 1]
    names = people(20, 3)
    np.testing.assert_allclose(
        error_correlation(error_products(error, names)),
        error_correlation(error_products(mirrored, names)),
        atol=1e-9,
    )


@pytest.mark.parametrize('patients, images', [(4, 30), (12, 10), (40, 3)])
def test_independent_errors_are_left_nearly_independent(patients, images):
    error = np.random.default_rng(8).standard_normal((patients * images, 24, 2))
    correlation = error_correlation(error_products(error, people(patients, images)))
    assert np.abs(correlation - np.eye(48)).max() < 0.12


def test_two_patients_say_nothing_of_correlation():
    error = np.random.default_rng(9).standard_normal((2, 1, 2)) * np.ones((2, 24, 2))
    correlation = error_correlation(error_products(np.repeat(error, 9, axis=0), people(2, 9)))
    assert (correlation == np.eye(48)).all()


def test_gaps_count_nowhere():
    rng = np.random.default_rng(10)
    error = rng.standard_normal((40, 24, 2)) + rng.standard_normal((40, 1, 2))
    error[rng.random((40, 24)) < 0.2] = np.nan
    error[:, 5] = np.nan
    correlation = error_correlation(error_products(error, people(10, 4)))
    assert np.isfinite(correlation).all()
    assert correlation[2 * 5 + 1, 2 * 8] == 0 or abs(correlation[2 * 5 + 1, 2 * 8]) < 1


def test_a_peak_shows_how_far_the_centres_of_its_gaussians_lie_apart():
    x, y = np.meshgrid(*[np.arange(-60.0, 61.0)] * 2)
    for sigma, apart in ((2.0, 0.0), (2.0, 1.5), (3.0, 6.0)):
        centres = np.random.default_rng(0).normal(scale=apart, size=(4000, 2))
        heights = np.exp(-(centres**2).sum(axis=1) / (2 * sigma**2)).mean()
        wide = sigma**2 + apart**2
        mean = sigma**2 / wide * np.exp(-(x**2 + y**2) / (2 * wide))
        assert heights == pytest.approx(mean.max(), rel=0.05)  # the height is the theory's
        found = peak_variances(np.array(mean.max())) - peak_variances(np.array(1.0))
        assert found == pytest.approx(apart**2 / sigma**2)


def test_numpy_and_torch_agree_on_peaks_and_high_or_missing_ones_stay_finite():
    peaks = np.array([-0.2, 0.0, 0.1, 0.5, 1.0, 1.4])
    variances = peak_variances(peaks)
    np.testing.assert_allclose(peak_variances(torch.from_numpy(peaks)).numpy(), variances)
    assert np.isfinite(variances).all() and (np.diff(variances) <= 0).all() and variances[-1] > 0


@pytest.mark.parametrize('power', [0.0, 0.7, 1.5])
def test_the_power_of_the_peaks_is_found_whatever_the_classes_sizes(power):
    rng = np.random.default_rng(11)
    peaks = rng.uniform(0.3, 1.0, (300, 24))
    size = np.tile(rng.uniform(0.2, 5.0, 12), 2)[:, None]
    error = (
        rng.standard_normal((300, 24, 2)) * size * peak_variances(peaks)[..., None] ** (power / 2)
    )
    error[rng.random((300, 24)) < 0.2] = np.nan
    error[:, 3] = np.nan
    found = peak_power(error, peaks, people(100, 3))
    assert found == pytest.approx(power + 5 / 105 * (1 - power), abs=0.07)
    # patients with one image and with five, and classes that are a thousand times as large
    uneven = np.repeat(people(100, 1), [1, 5] * 50)
    larger = np.where(np.arange(24)[:, None] % 12 < 4, 1e3, 1.0)
    assert peak_power(error * larger, peaks, uneven) == pytest.approx(
        peak_power(error, peaks, uneven)
    )


def test_a_patient_of_many_images_says_of_peaks_what_one_of_few_does():
    rng = np.random.default_rng(13)
    peaks = rng.uniform(0.3, 1.0, (600, 24))
    power = np.where(np.arange(600) < 300, 0.0, 1.5)[:, None, None]  # the first patient's is 0
    error = rng.standard_normal((600, 24, 2)) * peak_variances(peaks)[..., None] ** (power / 2)
    names = np.r_[['many'] * 300, people(60, 5)]
    assert peak_power(error, peaks, names) > 1.3


def test_few_patients_are_drawn_to_theory_and_none_is_theory():
    rng = np.random.default_rng(12)
    peaks = rng.uniform(0.3, 1.0, (60, 24))
    error = rng.standard_normal((60, 24, 2)) * peak_variances(peaks)[..., None]  # the power is 2
    assert peak_power(error, peaks, people(3, 20)) == pytest.approx(1 + 3 / 8, abs=0.1)
    assert peak_power(np.full_like(error, np.nan), peaks, people(3, 20)) == 1.0
    assert peak_power(error, np.full_like(peaks, 1.0), people(3, 20)) == 1.0
    wrong = rng.standard_normal((60, 24, 2)) / peak_variances(peaks)[..., None]
    assert peak_power(wrong, peaks, people(60, 1)) == 0.0


MIXED = LandmarkSet.from_dict(
    dict(
        name='mixed',
        names=['middle', 'right_eye', 'left_eye'],
        pairs=[['right_eye', 'left_eye']],
        relations=dict(full=[['middle', 'right_eye'], ['middle', 'left_eye']]),
    )
)


def test_a_landmark_without_a_twin_tells_of_itself_alone():
    names = people(60, 2)
    error = np.random.default_rng(0).normal(size=(120, 3, 2))
    error[:, 0, 1] += 2 * error[:, 0, 0]  # along one diagonal
    error[:, 1, 1] += 2 * error[:, 1, 0]
    error[:, 2, 1] -= 2 * error[:, 2, 0]  # the mirror image
    residuals = class_residuals(error, names, MIXED)
    assert residuals.shape == (2, 60, 4, 2)
    assert np.isnan(residuals[0]).all(axis=-1).sum() == 120
    assert not np.isnan(residuals[1]).any()
    middle, right, left = side_shapes(direction_shapes(residuals)[0], MIXED)
    assert middle[0, 1] > 0.5 < right[0, 1]
    np.testing.assert_allclose(left, right * [[1, -1], [-1, 1]])


def test_products_stand_in_the_order_of_the_landmarks():
    error = np.random.default_rng(0).uniform(-1, 1, (5, 3, 2))
    flat = error.reshape(5, 6)
    size = np.sqrt((flat**2).mean(axis=0))
    expected = flat[:, :, None] * flat[:, None] / size[:, None] / size
    np.testing.assert_allclose(error_products(error, people(5, 1), MIXED), expected)


def test_correlations_are_mirrored_only_where_there_are_twins():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(200, 1))
    error = rng.normal(size=(200, 3, 2)) * 0.3
    error[:, 0, 0] += common[:, 0]
    error[:, 1, 1] += common[:, 0]  # x of one with y of another: gone in a mirror
    content = MIXED.to_dict() | dict(pairs=[])
    alone = LandmarkSet.from_dict(content)
    correlation = error_correlation(error_products(error, people(200, 1), alone), alone)
    assert correlation[0, 3] > 0.8
    correlation = error_correlation(error_products(error, people(200, 1), MIXED), MIXED)
    assert correlation[0, 3] == pytest.approx(-correlation[0, 5])
