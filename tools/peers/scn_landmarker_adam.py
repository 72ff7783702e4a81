"""Train the network of `scn_landmarker.py` with the optimizer of our own `cpu` budget.

A variant, not its authors' recipe: Adam at 1e-3 after 50 steps of warm-up, down a cosine to 1e-5,
gradients clipped at a norm of 10, as every other row of that budget.
"""

from __future__ import annotations

import math

import torch
from scn_landmarker import main
from torch import nn

WARM_UP, RATE, LAST, CLIP = 50, 1e-3, 1e-5, 10.0


def rate_at(step: int, steps: int) -> float:
    """Return the learning rate as a share of the largest, at a step from 0 on."""
    warm = min(1.0, 0.01 + 0.99 * step / WARM_UP)
    least = LAST / RATE
    return warm * (least + (1 - least) * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0))))


class OurSteps:
    """Adam with warm-up and cosine."""

    def __init__(self, network: nn.Module, targets: nn.Module, steps: int) -> None:
        self.parameters = [*network.parameters(), *targets.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=RATE)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: rate_at(step, steps)
        )

    def step(self) -> None:
        """Change the weights, and forget the gradients."""
        nn.utils.clip_grad_norm_(self.parameters, CLIP)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()

    def end_epoch(self, loss: float) -> None:
        """Hear the mean loss of an epoch; the rate does not depend on it."""


if __name__ == '__main__':
    main(OurSteps)
