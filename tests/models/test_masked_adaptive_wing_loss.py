import pytest
import torch
from mmpose.registry import MODELS

from unsct_mmpose.maps.adaptive_wing import masked_adaptive_wing


def test_the_registered_loss_is_the_function_times_its_weight():
    output, target = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    weights = torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    loss = MODELS.build(dict(type='MaskedAdaptiveWingLoss', mask_weight=4.0, loss_weight=2.0))
    expected = 2.0 * masked_adaptive_wing(output, target, weights, mask_weight=4.0)
    torch.testing.assert_close(loss(output, target, weights), expected)


def test_without_a_mask_a_wrong_one_costs_what_the_reference_says():
    loss = MODELS.build(dict(type='MaskedAdaptiveWingLoss', mask_weight=0.0))
    assert loss(torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)).item() == pytest.approx(
        8.4959, abs=1e-3
    )
