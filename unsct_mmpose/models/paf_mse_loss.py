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
        """Return the mean loss of the supervised relations.

        Args:
            output: ``(B, 2 L, H, W)`` predicted fields.
            target: ``(B, 2 L, H, W)`` target fields.
            target_weights: ``(B, L)``; 0 leaves a relation out. ``None``: all count.
        """
        return self.loss_weight * paf_mse(output, target, target_weights)
