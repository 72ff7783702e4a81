"""Radiographic variation: what exposure, processing and the detector do to an image."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_LEVELS = np.arange(256, dtype=np.float32) / np.float32(255)
_LEAST_STOCK = 2**20


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
    image: NDArray[np.uint8], ranges: NoiseRanges, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Vary window, gamma, sharpness and noise of a radiograph.

    Noise comes before the window, as on a detector, and grows with the display value: bone lets
    the fewest quanta through. What depends on the grey level alone is looked up.

    Args:
        image: ``(H, W)`` grey levels, bone bright.
        ranges: the amounts.
        rng: source of randomness.

    Returns:
        ``(H, W)`` grey levels.

    Example:
        >>> flat = np.full((8, 8), 128, np.uint8)
        >>> silent = NoiseRanges(0.0, 1.0, 0.0, 0.0, 0.0)
        >>> bool((vary_radiograph(flat, silent, np.random.default_rng(0)) == 128).all())
        True
    """
    blur_px = rng.uniform(0.0, ranges.blur_px)
    blurred = cv2.GaussianBlur(image, (0, 0), blur_px) if blur_px > 0.3 else image
    quantum = rng.uniform(0.0, ranges.quantum)
    electronic = rng.uniform(0.0, ranges.electronic)
    low = rng.uniform(-ranges.window, ranges.window)
    high = 1.0 + rng.uniform(-ranges.window, ranges.window)
    exponent = float(ranges.gamma ** rng.uniform(-1.0, 1.0))
    windowed = (_LEVELS - np.float32(low)) / np.float32(high - low)
    if quantum == 0 and electronic == 0:
        shown = np.clip(windowed, 0, 1) ** np.float32(exponent)
        return np.asarray(cv2.LUT(blurred, np.rint(shown * 255).astype(np.uint8)))
    deviation = np.sqrt(quantum**2 * _LEVELS + electronic**2, dtype=np.float32)
    deviation /= np.float32(high - low)
    varied = cv2.multiply(cv2.LUT(blurred, deviation), white_noise(image.shape, rng))
    varied = cv2.add(varied, cv2.LUT(blurred, windowed), dst=varied)
    cv2.threshold(varied, 0, 0, cv2.THRESH_TOZERO, dst=varied)
    cv2.pow(varied, exponent, dst=varied)
    return np.asarray(cv2.convertScaleAbs(varied, alpha=255))


def white_noise(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return ``(H, W)`` standard normal noise: some of a stock that a process draws once.

    Drawing takes longer than all else that augmentation does. Where in the stock an image's noise
    begins is drawn; it is never less than four times the image.
    """
    height, width = shape
    stock = _noise_stock(max(_LEAST_STOCK, 2 ** (4 * height * width - 1).bit_length()))
    start = rng.integers(stock.size - height * width + 1)
    return stock[start : start + height * width].reshape(height, width)


@functools.lru_cache(maxsize=2)
def _noise_stock(size: int) -> NDArray[np.float32]:
    stock = np.random.default_rng(size).standard_normal(size, dtype=np.float32)
    stock.flags.writeable = False
    return stock
