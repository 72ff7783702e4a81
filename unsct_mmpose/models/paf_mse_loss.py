"""Loss ``PAFMSELoss``: the field term of the paper's equation (9)."""

from __future__ import annotations

from mmpose.registry import MODELS
from torch import Tensor, nn

from unsct_mmpose.maps.paf import paf_mse


@MODELS.register_module()
class PAFMSELoss(nn.Module):
    """Mean squared error between predicted and drawn part affinity fields.

    Args:
        loss_weight: factor of the result, W2 of equation (9).
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(
        self, output: Tensor, target: Tensor, target_weights: Tensor | None = None
    ) -> Tensor:
        """Return the mean loss of the relations that ``(B, L)`` weights supervise; None: all."""
        return self.loss_weight * paf_mse(output, target, target_weights)
