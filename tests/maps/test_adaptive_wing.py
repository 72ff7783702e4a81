import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import grey_dilation

from unsct_mmpose.maps.adaptive_wing import adaptive_wing, dilated_mask, masked_adaptive_wing

ALPHA, OMEGA, EPSILON, THETA = 2.1, 14.0, 1.0, 0.5
LEVELS = pytest.mark.parametrize('level', [0.0, 0.2, 0.5, 0.9, 1.0])


def printed(pred, gt, alpha=ALPHA, omega=OMEGA, epsilon=EPSILON, theta=THETA):
    """Equations (5)-(7), as the paper prints them."""
    error = np.abs(pred - gt)
    p = alpha - gt
    a = omega * (1 / (1 + (theta / epsilon) ** p)) * p * (theta / epsilon) ** (p - 1) / epsilon
    c = theta * a - omega * np.log(1 + (theta / epsilon) ** p)
    return np.where(error <= theta, omega * np.log(1 + (error / epsilon) ** p), a * error - c)


def values(count=4000, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 2, count), rng.uniform(0, 1, count)


def maps(seed=0, shape=(3, 4, 9, 11)):
    """Return predictions and targets with a blob in most channels and none in some."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[2], : shape[3]]
    centre = rng.uniform(0, 9, (*shape[:2], 2, 1, 1))
    target = np.exp(-((x - centre[:, :, 0]) ** 2 + (y - centre[:, :, 1]) ** 2) / 3)
    target[rng.random(shape[:2]) < 0.2] = 0
    return torch.from_numpy(rng.uniform(-0.2, 1.1, shape)), torch.from_numpy(target)


# The loss of an element


@pytest.mark.parametrize('settings_', [(2.1, 14, 1, 0.5), (2.5, 8, 0.7, 0.3), (3.0, 14, 2, 0.9)])
def test_the_loss_is_that_of_the_printed_equations(settings_):
    pred, target = values()
    loss = adaptive_wing(torch.from_numpy(pred), torch.from_numpy(target), *settings_)
    np.testing.assert_allclose(loss.numpy(), printed(pred, target, *settings_), 1e-10, 1e-13)


@pytest.mark.parametrize(
    ('target', 'error', 'expected'),
    [
        (0.0, 0.1, 0.111),
        (0.0, 0.5, 2.935),
        (0.0, 1.0, 8.496),
        (1.0, 0.1, 1.070),
        (1.0, 0.5, 5.361),
        (1.0, 1.0, 10.259),
    ],
)
def test_the_loss_takes_its_published_values(target, error, expected):
    target = torch.tensor([target])
    assert adaptive_wing(target + error, target).item() == pytest.approx(expected, abs=1e-3)
    assert adaptive_wing(target - error, target).item() == pytest.approx(expected, abs=1e-3)


def test_all_ones_against_nothing_costs_the_reference_mean():
    assert adaptive_wing(torch.ones(2, 8), torch.zeros(2, 8)).mean().item() == pytest.approx(
        8.4959, abs=1e-4
    )


@LEVELS
@pytest.mark.parametrize('epsilon', [0.5, 1.0, 2.0])
def test_value_and_slope_meet_at_theta(level, epsilon):
    error = THETA + torch.tensor([-1e-6, 1e-6], dtype=torch.float64)
    target = torch.full_like(error, level)
    pred = (target + error).requires_grad_()
    loss = adaptive_wing(pred, target, epsilon=epsilon)
    (slope,) = torch.autograd.grad(loss.sum(), pred)
    assert (loss[1] - loss[0]).item() == pytest.approx(slope[0].item() * 2e-6, rel=1e-3)
    assert slope[1].item() == pytest.approx(slope[0].item(), rel=1e-4)


@LEVELS
def test_beyond_theta_the_loss_is_a_straight_line(level):
    error = torch.tensor([0.6, 1.0, 5.0, 100.0], dtype=torch.float64)
    target = torch.full_like(error, level)
    loss = adaptive_wing(target + error, target)
    steps = loss.diff() / error.diff()
    torch.testing.assert_close(steps, steps[:1].expand(3))


def test_the_straight_line_has_the_published_slope():
    target = torch.tensor([0.0, 1.0], dtype=torch.float64)
    slope = adaptive_wing(target + 2, target) - adaptive_wing(target + 1, target)
    assert slope.tolist() == pytest.approx([11.121, 9.798], abs=1e-3)


def test_a_small_error_costs_more_where_the_target_is_high():
    target = torch.linspace(0, 1, 11)
    assert (adaptive_wing(target + 0.05, target).diff() > 0).all()


def test_no_error_costs_nothing_and_its_gradient_is_zero():
    target = torch.rand(50)
    pred = target.clone().requires_grad_()
    loss = adaptive_wing(pred, target)
    loss.sum().backward()
    assert not loss.any()
    assert torch.equal(pred.grad, torch.zeros(50))


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1), st.floats(1e-3, 3), st.floats(1e-4, 1))
def test_the_loss_grows_with_the_error_on_either_side(level, error, more):
    target = torch.full((3,), level, dtype=torch.float64)
    errors = torch.tensor([error, error + more, -error], dtype=torch.float64)
    near, far, other = adaptive_wing(target + errors, target).tolist()
    assert 0 < near < far
    assert other == pytest.approx(near, rel=1e-6)


def test_the_gradient_is_that_of_finite_differences():
    pred, target = (torch.from_numpy(array) for array in values(60))
    pred.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: adaptive_wing(p, target), (pred,))


def test_the_gradient_keeps_its_sign_and_scale_through_the_chain():
    pred, target = (torch.from_numpy(array) for array in values(100))
    pred.requires_grad_()
    weight = torch.linspace(-2, 2, 100, dtype=torch.float64)
    (plain,) = torch.autograd.grad(adaptive_wing(pred, target).sum(), pred)
    (weighted,) = torch.autograd.grad((adaptive_wing(pred, target) * weight).sum(), pred)
    torch.testing.assert_close(weighted, plain * weight)
    assert torch.equal(plain.sign(), (pred - target).sign())


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single_precision(dtype):
    pred = torch.tensor([0.0, 1e-4, 0.3, 300.0, -300.0], dtype=dtype).requires_grad_()
    target = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0], dtype=dtype)
    loss = adaptive_wing(pred, target)
    assert loss.dtype == torch.float32
    expected = printed(pred.detach().double().numpy(), target.double().numpy())
    np.testing.assert_allclose(loss.detach().numpy(), expected, rtol=1e-4, atol=1e-7)
    loss.sum().backward()
    assert pred.grad.dtype == dtype
    assert torch.isfinite(pred.grad).all()


def test_a_huge_error_has_a_finite_gradient():
    pred = torch.tensor([1e30, -1e30, float('inf')], requires_grad=True)
    adaptive_wing(pred, torch.zeros(3)).sum().backward()
    assert pred.grad.tolist() == pytest.approx([11.121, -11.121, 11.121], abs=1e-3)


def test_inputs_are_left_alone():
    pred, target = maps()
    copies = pred.clone(), target.clone()
    pred.requires_grad_()
    masked_adaptive_wing(pred, target).backward()
    assert torch.equal(pred.detach(), copies[0]) and torch.equal(target, copies[1])


# The mask


@pytest.mark.parametrize('kernel', [1, 3, 5, 7])
@pytest.mark.parametrize('threshold', [0.0, 0.2, 0.6])
def test_the_mask_is_the_thresholded_grey_dilation(kernel, threshold):
    _, target = maps(seed=1)
    expected = grey_dilation(target.numpy(), size=(1, 1, kernel, kernel), mode='nearest')
    found = dilated_mask(target, threshold, kernel)
    np.testing.assert_array_equal(found.numpy(), expected > threshold)


def test_a_lone_cell_marks_its_eight_neighbours():
    target = torch.zeros(1, 1, 5, 7)
    target[0, 0, 2, 3] = 0.3
    assert dilated_mask(target)[0, 0].nonzero().tolist() == [
        [y, x] for y in (1, 2, 3) for x in (2, 3, 4)
    ]


def test_a_value_at_the_threshold_marks_nothing():
    assert not dilated_mask(torch.full((1, 1, 3, 3), 0.2), threshold=0.2).any()


def test_no_channel_marks_another():
    target = torch.zeros(2, 3, 5, 5)
    target[1, 2] = 1
    mask = dilated_mask(target)
    assert mask[1, 2].all()
    assert mask.sum() == 25


def test_a_kernel_wider_than_the_map_is_no_error():
    target = torch.zeros(1, 1, 2, 1)
    target[0, 0, 0] = 1
    assert dilated_mask(target, kernel=9).all()


@pytest.mark.parametrize('kernel', [0, 2, -3])
def test_a_kernel_without_a_middle_is_refused(kernel):
    with pytest.raises(ValueError, match='kernel must be odd'):
        dilated_mask(torch.zeros(1, 1, 3, 3), kernel=kernel)


# The masked mean


def test_the_masked_loss_is_equation_8_averaged_over_supervised_elements():
    pred, target = maps()
    weights = np.random.default_rng(2).integers(0, 2, (3, 4))
    mask = grey_dilation(target.numpy(), size=(1, 1, 3, 3), mode='nearest') > 0.2
    each = printed(pred.numpy(), target.numpy()) * (10 * mask + 1)
    expected = each[weights.astype(bool)].mean()
    loss = masked_adaptive_wing(pred, target, torch.from_numpy(weights))
    assert loss.item() == pytest.approx(expected, rel=1e-10)


def test_without_weights_every_landmark_counts():
    pred, target = maps()
    everything = masked_adaptive_wing(pred, target, torch.ones(3, 4))
    torch.testing.assert_close(masked_adaptive_wing(pred, target), everything)


def test_the_mask_multiplies_outside_the_non_linearity():
    # One wrong cell in the mask costs 11 times its loss, not the loss of 11 times its error.
    target = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    lone = adaptive_wing(target - 0.1, target).item()
    assert masked_adaptive_wing(target - 0.1, target).item() == pytest.approx(11 * lone)


def test_a_mask_weight_of_zero_switches_the_mask_off():
    pred, target = maps()
    loss = masked_adaptive_wing(pred, target, mask_weight=0.0)
    torch.testing.assert_close(loss, adaptive_wing(pred, target).mean())


def test_an_absent_landmark_teaches_silence_and_an_unlabelled_one_nothing():
    pred = torch.full((1, 2, 4, 4), 0.5, requires_grad=True)
    loss = masked_adaptive_wing(pred, torch.zeros(1, 2, 4, 4), torch.tensor([[1.0, 0.0]]))
    loss.backward()
    assert (pred.grad[:, 0] > 0).all()
    assert not pred.grad[:, 1].any()


def test_unlabelled_landmarks_do_not_dilute_the_mean():
    pred, target = maps()
    weights = torch.ones(3, 4)
    weights[:, 2:] = 0
    loss = masked_adaptive_wing(pred, target, weights)
    torch.testing.assert_close(loss, masked_adaptive_wing(pred[:, :2], target[:, :2]))


def test_nothing_supervised_costs_nothing_and_stays_in_the_graph():
    pred, target = maps()
    pred.requires_grad_()
    loss = masked_adaptive_wing(pred, target, torch.zeros(3, 4))
    loss.backward()
    assert loss.item() == 0
    assert pred.grad is not None and not pred.grad.any()


def test_the_masked_gradient_is_that_of_finite_differences():
    pred, target = maps(shape=(2, 2, 4, 5))
    pred.requires_grad_()
    weights = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert torch.autograd.gradcheck(lambda p: masked_adaptive_wing(p, target, weights), (pred,))


def test_the_graph_can_be_walked_twice():
    pred, target = maps()
    pred.requires_grad_()
    loss = masked_adaptive_wing(pred, target)
    first = torch.autograd.grad(loss, pred, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(loss, pred)[0], first)


def test_gradient_descent_reaches_the_target():
    _, target = maps()
    pred = torch.zeros_like(target).requires_grad_()
    optimiser = torch.optim.Adam([pred], lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        masked_adaptive_wing(pred, target).backward()
        optimiser.step()
    assert (pred - target).abs().max() < 0.05


# Refusals


@pytest.mark.parametrize(
    ('settings_', 'message'),
    [
        (dict(alpha=2.0), 'alpha must exceed 2'),
        (dict(omega=0.0), 'must be positive'),
        (dict(epsilon=-1.0), 'must be positive'),
        (dict(theta=0.0), 'must be positive'),
        (dict(mask_weight=-1.0), 'mask_weight'),
        (dict(weights=torch.ones(1, 3)), r'weights must be \(B, K\)'),
    ],
)
def test_a_setting_out_of_range_is_refused(settings_, message):
    with pytest.raises(ValueError, match=message):
        masked_adaptive_wing(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 3), **settings_)


@pytest.mark.parametrize('loss', [adaptive_wing, masked_adaptive_wing])
def test_prediction_and_target_must_have_one_shape_and_the_target_no_gradient(loss):
    with pytest.raises(ValueError, match='disagree'):
        loss(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 4))
    with pytest.raises(ValueError, match='detach'):
        loss(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 3, requires_grad=True))
