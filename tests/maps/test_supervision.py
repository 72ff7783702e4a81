import pytest
import torch

from unsct_mmpose.maps.adaptive_wing import masked_adaptive_wing
from unsct_mmpose.maps.paf import paf_mse
from unsct_mmpose.maps.supervision import supervised_mean

SCALES = [1.0, 65536.0, 2.0**24]
"""What multiplies a loss: nothing, the first scale of a GradScaler, and one that has grown."""


@pytest.mark.parametrize('scale', SCALES)
def test_a_mean_of_nothing_is_zero_and_so_is_each_gradient_whatever_multiplies_it(scale):
    values = torch.tensor([1.0, 1e30], requires_grad=True)
    loss = 30 * scale * supervised_mean(values, torch.zeros(2))
    loss.backward()
    assert loss.item() == 0
    assert values.grad.tolist() == [0, 0]


@pytest.mark.parametrize('total', [3.0, 1.0, 0.75, 1e-3, 1e-30])
def test_fractions_whose_sum_is_below_one_still_give_a_weighted_mean(total):
    values = torch.tensor([4.0, 8.0, 100.0], dtype=torch.float64)
    weights = torch.tensor([0.75, 0.25, 0.0], dtype=torch.float64) * total
    assert supervised_mean(values, weights).item() == pytest.approx(5.0)


def test_the_mean_of_values_that_count_alike_is_that_of_torch():
    values = torch.rand(6, 4)
    weights = torch.tensor([1, 0, 1, 1, 0, 1])[:, None].expand(6, 4)
    torch.testing.assert_close(supervised_mean(values, weights), values[weights.bool()].mean())


def test_weights_of_whole_numbers_and_of_half_precision_do_as_well():
    values = torch.tensor([1.0, 2.0, 6.0])
    for dtype in (torch.bool, torch.int64, torch.float16, torch.float64):
        mean = supervised_mean(values, torch.tensor([1, 1, 0]).to(dtype))
        assert mean.item() == 1.5 and mean.dtype == torch.float32


@pytest.mark.parametrize('scale', SCALES)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(('loss', 'weight'), [(masked_adaptive_wing, 1.0), (paf_mse, 30.0)])
def test_a_loss_of_nothing_labelled_is_zero_in_every_precision(loss, weight, dtype, scale):
    pred = (100 * torch.randn(2, 4, 5, 5)).to(dtype).requires_grad_()
    channels = 4 if loss is masked_adaptive_wing else 2
    value = scale * weight * loss(pred, torch.rand(2, 4, 5, 5), torch.zeros(2, channels))
    value.backward()
    assert value.item() == 0
    assert torch.equal(pred.grad, torch.zeros_like(pred))
