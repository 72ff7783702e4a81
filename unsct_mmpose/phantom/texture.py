"""Trabecular texture: periodic band-limited noise that every bone samples at its own offset."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .volume import Place

TILE = 64
STEP_MM = 1.5
_STRENGTH = 0.45


@lru_cache(maxsize=1)
def _tile() -> npt.NDArray[np.float32]:
    """Return ``(64, 64, 64)`` periodic noise of zero mean and unit spread (a fixed table)."""
    rng = np.random.default_rng(20240917)
    spectrum = np.fft.rfftn(rng.standard_normal((TILE, TILE, TILE)))
    f = np.fft.fftfreq(TILE)
    g = np.fft.rfftfreq(TILE)
    radius = np.sqrt(f[:, None, None] ** 2 + f[None, :, None] ** 2 + g[None, None] ** 2)
    shaped = spectrum * np.exp(-((radius / 0.22) ** 2)) / (0.07 + radius)
    noise = np.fft.irfftn(shaped, s=(TILE, TILE, TILE), axes=(0, 1, 2))
    return np.asarray((noise - noise.mean()) / noise.std(), np.float32)


@lru_cache(maxsize=1)
def _factors() -> npt.NDArray[np.float32]:
    """Return the factor of every cell of the tile, flat."""
    return np.clip(np.float32(1.0) + np.float32(_STRENGTH) * _tile().ravel(), 0.05, 2.5)


def trabecular_texture(
    rng: np.random.Generator,
) -> Callable[[Place], npt.NDArray[np.float32]]:
    """Return a function from positions x, y, z, mm, to factors about 1, placed by ``rng``."""
    offset = rng.uniform(0, TILE * STEP_MM, 3)
    factors = _factors()

    def texture(place: Place) -> npt.NDArray[np.float32]:
        flat: npt.NDArray[np.int32] | None = None
        for line, shift in zip(place, offset, strict=True):
            cell = ((line + np.float32(shift)) * np.float32(1 / STEP_MM)).astype(np.int32)
            cell &= TILE - 1
            flat = cell if flat is None else flat * np.int32(TILE) + cell
        assert flat is not None
        return factors[flat]

    return texture
