"""Soft tissue: smooth trunk and thighs as a thickness on the detector, with fat and bowel gas."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .projection import ConeBeam
from .shapes import FloatArray

SMALL = 4  # soft tissue is smooth: it is computed on every fourth pixel


@dataclass(frozen=True)
class Habitus:
    """How a person is built.

    Attributes:
        depth_mm: thickness of the trunk from front to back.
        waist_mm: half width at the iliac crests.
        hips_mm: half width at the trochanters.
        thigh_mm: half width of a thigh.
        fat_mm: width of the layer under the skin, which absorbs less.
    """

    depth_mm: float
    waist_mm: float
    hips_mm: float
    thigh_mm: float
    fat_mm: float


def sample_habitus(rng: np.random.Generator, between_heads_mm: float) -> Habitus:
    """Draw a habitus from slender to obese."""
    weight = float(np.clip(rng.normal(0.0, 1.0), -1.6, 2.2))
    scale = between_heads_mm / 173.0
    return Habitus(
        depth_mm=205.0 + 24.0 * weight,
        waist_mm=scale * (148.0 + 13.0 * weight),
        hips_mm=scale * (178.0 + 12.0 * weight),
        thigh_mm=scale * (82.0 + 8.0 * weight),
        fat_mm=16.0 + 7.0 * weight,
    )


def _step(values: FloatArray, low: float, high: float) -> FloatArray:
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share))


def tissue_path(
    habitus: Habitus,
    beam: ConeBeam,
    shafts_mm: FloatArray,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Return the path through soft tissue for every pixel, mm of water.

    Args:
        habitus: of the person.
        beam: geometry.
        shafts_mm: ``(2, 2, 3)`` for each side, left first: two points on the axis of the femoral
            shaft, world frame; the thighs follow them.
        rng: for muscles and bowel gas.

    Returns:
        ``(H, W)``.
    """
    height, width = beam.size_hw
    rows, columns = -(-height // SMALL) + 1, -(-width // SMALL) + 1
    scale = np.asarray(beam.spacing_xy_mm) / beam.magnification
    x = (np.arange(columns) * SMALL - beam.foot_px[0]) * scale[0] + beam.aim_mm[0]
    y = (np.arange(rows) * SMALL - beam.foot_px[1]) * scale[1] + beam.aim_mm[1]
    x, y = np.meshgrid(x, y)
    half = habitus.waist_mm + (habitus.hips_mm - habitus.waist_mm) * _step(y, -130.0, 10.0)
    trunk = habitus.depth_mm * _chord(x / half, habitus.fat_mm / half)
    trunk *= 1.0 - 0.15 * _step(y, -60.0, -150.0)
    trunk *= 1.0 - _step(y + 0.0012 * x * x, 45.0, 105.0)
    path = trunk
    for start, end in shafts_mm:
        middle = start[0] + (y - start[1]) * (end[0] - start[0]) / (end[1] - start[1])
        side = np.sign(start[0])
        # Thighs taper downwards, so that the gap between them is an arch.
        radius = habitus.thigh_mm * (1.2 - 0.28 * _step(y, 50.0, 190.0))
        middle = middle - side * (0.2 * habitus.thigh_mm + 0.9 * (radius - habitus.thigh_mm))
        thigh = 0.78 * habitus.depth_mm * _chord((x - middle) / radius, habitus.fat_mm / radius)
        thigh *= _step(y, -70.0, 40.0)
        path = np.sqrt(path**2 + thigh**2) - 0.45 * np.minimum(path, thigh) * _step(y, 150.0, 0.0)
    path = path * (1.0 + 0.045 * _blobs(rng, path.shape, 12.0 / SMALL / scale[0]))
    path = np.maximum(path - _gas(rng, x, y), 0.0)
    big = cv2.resize(
        path.astype(np.float32), (columns * SMALL, rows * SMALL), interpolation=cv2.INTER_LINEAR
    )
    # cv2.resize puts the coarse samples at the middles of blocks; shift them back to the corners.
    shift = (SMALL - 1) / 2.0
    return np.asarray(
        cv2.warpAffine(
            big,
            np.array([[1.0, 0.0, shift], [0.0, 1.0, shift]]),
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )


def _chord(place: FloatArray, fat: FloatArray | float) -> FloatArray:
    """Return the chord of an ellipse with a less dense rim, 1 in the middle."""
    outer = np.maximum(1.0 - np.abs(place) ** 2.5, 0.0) ** 0.5
    inner = np.maximum(1.0 - np.abs(place / (1.0 - fat)) ** 2.5, 0.0) ** 0.5 * (1.0 - fat)
    return 0.80 * outer + 0.20 * inner


def _blobs(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> FloatArray:
    """Return smooth noise of unit spread."""
    noise = rng.standard_normal(shape).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), max(sigma, 0.5), borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth / max(float(smooth.std()), 1e-6))


def _gas(rng: np.random.Generator, x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the path through bowel gas, mm: soft ellipses in the abdomen and the rectum."""
    gas = np.zeros_like(x)
    for _ in range(int(rng.integers(2, 9))):
        angle = rng.uniform(0, np.pi)
        cx, cy = rng.uniform(-105, 105), rng.uniform(-190, -35)
        if abs(cx) > 60 and cy > -70:
            cy -= 50.0
        a, b = rng.uniform(8, 22), rng.uniform(6, 14)
        u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        bend = v + 0.012 * u * u * rng.uniform(-1, 1)
        inside = np.maximum(1.0 - (u / a) ** 2 - (bend / b) ** 2, 0.0)
        gas = np.maximum(gas, rng.uniform(15, 45) * inside**0.8)
    return gas
