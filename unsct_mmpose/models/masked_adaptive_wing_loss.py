"""Loss ``MaskedAdaptiveWingLoss``: equations (5)-(8) of the paper."""

from __future__ import annotations

from mmpose.registry import MODELS
from torch import Tensor, nn

from unsct_mmpose.maps.adaptive_wing import masked_adaptive_wing


@MODELS.register_module()
class MaskedAdaptiveWingLoss(nn.Module):
    """Adaptive wing loss, weighted up around the landmarks.

    Args:
        alpha: exponent; above the largest target value.
        omega: scale of the logarithmic part.
        epsilon: width of the logarithmic part.
        theta: error at which the linear part begins.
        mask_weight: W of equation (8); 0 switches the mask off.
        mask_threshold: dilated target value above which the mask is 1.
        loss_weight: factor of the result, W1 of equation (9).
    """

    def __init__(
        self,
        alpha: float = 2.1,
        omega: float = 14.0,
        epsilon: float = 1.0,
        theta: float = 0.5,
        mask_weight: float = 10.0,
        mask_threshold: float = 0.2,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.settings = dict(
            alpha=alpha,
            omega=omega,
            epsilon=epsilon,
            theta=theta,
            mask_weight=mask_weight,
            threshold=mask_threshold,
        )
        self.loss_weight = loss_weight

    def forward(
        self, output: Tensor, target: Tensor, target_weights: Tensor | None = None
    ) -> Tensor:
        """Return the mean loss of the supervised channels.

        Args:
            output: ``(B, K, H, W)`` predicted heatmaps.
            target: ``(B, K, H, W)`` target heatmaps.
            target_weights: ``(B, K)``; 0 leaves a channel out. ``None``: all count.
        """
        loss = masked_adaptive_wing(output, target, target_weights, **self.settings)
        return self.loss_weight * loss
