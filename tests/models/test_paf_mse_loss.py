import pytest
import torch
from mmpose.registry import MODELS


def test_the_loss_is_the_mean_square_of_the_supervised_relations():
    output, target = torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 2, 2)
    target[:, :2] = 1.0
    target[:, 2:] = 3.0
    loss = MODELS.build(dict(type='PAFMSELoss', loss_weight=2.0))
    assert loss(output, target).item() == pytest.approx(2.0 * 5.0, rel=1e-6)
    first = loss(output, target, torch.tensor([[1.0, 0.0]])).item()
    assert first == pytest.approx(2.0 * 1.0, rel=1e-6)
