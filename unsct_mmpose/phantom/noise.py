"""Radiographic variation: what exposure, processing and the detector do to an image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class NoiseRanges:
    """How much a radiograph may vary; each amount is drawn uniformly.

    Attributes:
        window: shift of either end of the display window, share of the full scale.
        gamma: largest factor, and its inverse, of the display's gamma.
        quantum: largest standard deviation of the signal-dependent noise at full scale.
        electronic: largest standard deviation of the signal-independent noise.
        blur_px: largest standard deviation of the blur, pixels.
    """

    window: float = 0.15
    gamma: float = 1.5
    quantum: float = 0.05
    electronic: float = 0.02
    blur_px: float = 1.0


def vary_radiograph(
    image: NDArray[np.float32], ranges: NoiseRanges, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Vary window, gamma, sharpness and noise of a radiograph.

    Noise comes before the window, as on a detector, and grows with the display value: bone lets
    the fewest quanta through.

    Args:
        image: ``(H, W)`` display values in [0, 1], bone bright.
        ranges: the amounts.
        rng: source of randomness.

    Returns:
        ``(H, W)`` display values in [0, 1].

    Example:
        >>> flat = np.full((8, 8), 0.5, np.float32)
        >>> silent = NoiseRanges(0.0, 1.0, 0.0, 0.0, 0.0)
        >>> bool(np.allclose(vary_radiograph(flat, silent, np.random.default_rng(0)), 0.5))
        True
    """
    blur_px = rng.uniform(0.0, ranges.blur_px)
    varied = cv2.GaussianBlur(image, (0, 0), blur_px) if blur_px > 0.3 else image.copy()
    quantum = rng.uniform(0.0, ranges.quantum)
    electronic = rng.uniform(0.0, ranges.electronic)
    if quantum > 0 or electronic > 0:
        deviation = np.sqrt(quantum**2 * varied + electronic**2, dtype=np.float32)
        varied += deviation * rng.standard_normal(varied.shape, dtype=np.float32)
    low = rng.uniform(-ranges.window, ranges.window)
    high = 1.0 + rng.uniform(-ranges.window, ranges.window)
    exponent = ranges.gamma ** rng.uniform(-1.0, 1.0)
    windowed = np.clip((varied - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return np.asarray(np.power(windowed, np.float32(exponent)), dtype=np.float32)
