"""How noisy an image is, beside what it shows."""

from __future__ import annotations

from typing import Any, TypeVar

Array = TypeVar('Array', bound=Any)

_BLACK = 1e-6  # keeps an image of one grey level from dividing by nothing


def relative_noise(pixels: Array) -> Array:
    """Return the noise of images over their contrast.

    Noise is the mean magnitude of the mixed difference ``a - b - c + d`` of neighbours, which is 0
    on slopes and along edges that are upright or level, as J. Immerkaer does ("Fast noise variance
    estimation", Computer Vision and Image Understanding 64, 1996); contrast is the standard
    deviation, so that brightness and window do not matter. Pixels are means of two by two first:
    the finest grain depends on how an image was resampled, and a network averages it away.

    By operations that numpy, torch and an exporter share.

    Args:
        pixels: ``(..., H, W)`` grey levels, at least 4 each way; an odd last row or column is
            left out.

    Returns:
        ``(...)``; 0 for an image of one grey level.

    Example:
        >>> import numpy as np
        >>> slope = np.add.outer(np.arange(64.0), np.arange(64.0))
        >>> float(relative_noise(slope)) < 1e-12
        True
        >>> grain = np.random.default_rng(0).normal(size=slope.shape)
        >>> bool(relative_noise(slope + 4 * grain) > 3 * relative_noise(slope + grain) > 0)
        True
    """
    values = pixels * 1.0
    upper = values[..., :-1:2, :-1:2] + values[..., :-1:2, 1::2]
    blocks = (upper + values[..., 1::2, :-1:2] + values[..., 1::2, 1::2]) / 4
    rows = blocks[..., :-1, :] - blocks[..., 1:, :]
    noise = abs(rows[..., :-1] - rows[..., 1:]).mean((-2, -1)) / 2
    away = blocks - blocks.mean((-2, -1))[..., None, None]
    return noise / ((away * away).mean((-2, -1)) ** 0.5 + _BLACK)
