"""From line integrals to stored pixel values: absorption, scatter, noise, log display, window."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

WATER_PER_MM = 0.0195
CORTEX_EXTRA_PER_MM = 0.046
"""Attenuation of cortical bone beyond that of the soft tissue that it displaces."""


EQUALISATION_MM = 28.0
"""How slow the brightness changes are that digital systems take away."""

LEAST_BONE_MM = 4.0
"""Bone path that the display must not turn black."""


@dataclass(frozen=True)
class Exposure:
    """How an image was taken and displayed.

    Attributes:
        photons: per pixel without a patient.
        scatter_share: scattered over primary intensity.
        scatter_mm: spread of the scattered radiation on the detector.
        blur_px: spread of the detector's response.
        equalisation: share of the slow brightness changes that the display takes away.
        window: lower and upper end of the display, as shares between air and the dense bone.
        gamma: of the display curve.
    """

    photons: float
    scatter_share: float
    scatter_mm: float
    blur_px: float
    equalisation: float
    window: tuple[float, float]
    gamma: float


def sample_exposure(rng: np.random.Generator) -> Exposure:
    """Draw an exposure and a display as a radiographer might choose them."""
    return Exposure(
        photons=float(np.exp(rng.uniform(np.log(6e4), np.log(4e5)))),
        scatter_share=float(rng.uniform(0.05, 0.25)),
        scatter_mm=float(rng.uniform(18.0, 40.0)),
        blur_px=float(rng.uniform(0.3, 0.6)),
        equalisation=float(rng.uniform(0.25, 0.65)),
        window=(float(rng.uniform(0.32, 0.50)), float(rng.uniform(0.97, 1.10))),
        gamma=float(rng.uniform(0.85, 1.35)),
    )


def display(
    water_mm: npt.NDArray[np.float32],
    bone_mm: npt.NDArray[np.float32],
    exposure: Exposure,
    spacing_mm: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Turn path lengths into display values, 0 black to 1 white, bone bright.

    Beer-Lambert for one photon energy, blurred primary intensity as scatter, Poisson noise
    (normal approximation), logarithm, window and gamma.

    Args:
        water_mm: ``(H, W)`` path through soft tissue.
        bone_mm: ``(H, W)`` path through bone, as mm of cortical bone.
        exposure: of this image.
        spacing_mm: detector pixel.
        rng: source of the noise.

    Returns:
        ``(H, W)`` in [0, 1].
    """
    depth = WATER_PER_MM * water_mm + CORTEX_EXTRA_PER_MM * bone_mm
    primary = cv2.GaussianBlur(np.exp(-depth), (0, 0), max(exposure.blur_px, 0.05))
    # Scatter is smooth: blur a small copy.
    small = cv2.resize(primary, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    sigma = max(exposure.scatter_mm / spacing_mm / 8.0, 0.3)
    # Scatter comes from the patient, so the open field does not count.
    small = cv2.GaussianBlur(np.minimum(small, 0.06), (0, 0), sigma)
    scatter = exposure.scatter_share * cv2.resize(
        small, primary.shape[::-1], interpolation=cv2.INTER_LINEAR
    )
    counts = exposure.photons * (primary + scatter)
    counts = counts + np.sqrt(counts) * rng.standard_normal(counts.shape, dtype=np.float32)
    image = -np.log(np.maximum(counts, 1.0) / exposure.photons)
    slow = cv2.resize(depth, small.shape[::-1], interpolation=cv2.INTER_AREA)
    slow = cv2.GaussianBlur(slow, (0, 0), max(EQUALISATION_MM / spacing_mm / 8.0, 0.3))
    slow = np.maximum(slow - float(np.median(slow)), 0.0) * exposure.equalisation
    slow = cv2.resize(slow, depth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    image, depth = image - slow, depth - slow
    dense = float(np.quantile(depth[::4, ::4], 0.995))
    low, high = exposure.window[0] * dense, exposure.window[1] * dense
    thick = depth[bone_mm > LEAST_BONE_MM]
    if thick.size:
        # No one windows an image so that bone turns black.
        low = min(low, 0.97 * float(np.quantile(thick[::7], 0.02)))
    shown = np.clip((image - low) / (high - low), 0.0, 1.0)
    return np.asarray(shown**exposure.gamma, np.float32)


def quantise(shown: npt.NDArray[np.float32], bits: int) -> npt.NDArray[np.uint16]:
    """Store display values in [0, 1] as unsigned integers of 12 to 16 bits.

    Example:
        >>> quantise(np.array([[0.0, 1.0]], np.float32), 12).tolist()
        [[0, 4095]]
    """
    if not 12 <= bits <= 16:
        raise ValueError(f'bits must be 12 to 16, not {bits}')
    top = 2**bits - 1
    return np.asarray(np.rint(shown.astype(np.float64) * top), np.uint16)
