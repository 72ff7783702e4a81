"""How far off: factors of the heatmap covariances and of the parameters' standard errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from unsct_mmpose.anatomy import LANDMARK_CLASSES, NUM_LANDMARKS, SIDES
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES, split_side
from unsct_mmpose.functional.error_structure import peak_variances, shaped, side_shapes

from .calibration import Calibration

INTERVAL_LEVEL = 0.95


def region_factors(calibration: Calibration | None) -> NDArray[np.float64]:
    """Return ``(24,)``: the factor of each landmark's heatmap covariance; 1 without calibration.

    Example:
        >>> region_factors(None).tolist() == [1.0] * 24
        True
    """
    if calibration is None:
        return np.ones(len(SIDES) * len(LANDMARK_CLASSES))
    return np.array(
        [calibration.region_scales[one.name] for _ in SIDES for one in LANDMARK_CLASSES]
    )


def region_shapes(calibration: Calibration | None) -> NDArray[np.float64]:
    """Return ``(24, 2, 2)``: the shape that each heatmap covariance takes on; else the unit matrix.

    Example:
        >>> region_shapes(None).tolist() == [np.eye(2).tolist()] * 24
        True
    """
    found = {} if calibration is None else calibration.region_shapes
    flat = [found.get(one.name, (1.0, 0.0, 1.0)) for one in LANDMARK_CLASSES]
    return side_shapes([[[xx, xy], [xy, yy]] for xx, xy, yy in flat])


def calibrated_covariances(
    covariances: ArrayLike, calibration: Calibration | None, peaks: ArrayLike
) -> NDArray[np.float64]:
    """Return covariances whose ellipses hold at the calibration's level, in the errors' directions.

    Args:
        covariances: ``(N, 24, 2, 2)`` moments of heatmaps, in the square of a unit that is the same
            along x and y.
        calibration: None returns them as they are.
        peaks: ``(N, 24)`` heights of the heatmaps: a low one is less sure of its place.
    """
    plain = np.asarray(covariances, float)
    if calibration is None:
        return plain
    if calibration.region_shapes:
        plain = shaped(plain, region_shapes(calibration))
    factors = peak_variances(np.asarray(peaks, float)) ** calibration.peak_power
    return plain * (region_factors(calibration) * factors)[..., None, None]


def interval_offsets(calibration: Calibration | None) -> NDArray[np.float64]:
    """Return ``(M,)``: what is taken from each measurement in the centre of its interval.

    In the order of ``MEASUREMENT_NAMES``; deg or mm at the bone. 0 where nothing systematic was
    found: the value itself is never changed.

    Example:
        >>> bool(interval_offsets(None).any())
        False
    """
    found = {} if calibration is None else calibration.offsets
    each = [found.get(split_side(name)[1]) for name in MEASUREMENT_NAMES]
    return np.array([one.value if one is not None and one.corrected else 0.0 for one in each])


def error_correlations(calibration: Calibration | None) -> NDArray[np.float64]:
    """Return the ``(48, 48)`` correlation of the landmarks' errors; the unit matrix without any.

    Example:
        >>> bool((error_correlations(None) == np.eye(48)).all())
        True
    """
    unit = np.eye(2 * NUM_LANDMARKS)
    if calibration is None or calibration.correlation is None:
        return unit
    upper = np.zeros_like(unit)
    upper[np.triu_indices(len(unit), 1)] = calibration.correlation
    return unit + upper + upper.T


def interval_scales(calibration: Calibration | None) -> NDArray[np.float64]:
    """Return ``(M,)``: half-width of each measurement's interval over its standard error.

    In the order of ``MEASUREMENT_NAMES``; 1.96 without calibration.

    Example:
        >>> float(interval_scales(None).max().round(2))
        1.96
    """
    usual = float(norm.ppf(0.5 + INTERVAL_LEVEL / 2))
    if calibration is None:
        return np.full(len(MEASUREMENT_NAMES), usual)
    scales = calibration.interval_scales
    return np.array([scales.get(split_side(name)[1], usual) for name in MEASUREMENT_NAMES])


def covariances_to_px(
    covariances: ArrayLike, cell_xy_px: ArrayLike, factors: ArrayLike = 1.0
) -> NDArray[np.float64]:
    """Convert covariances from cells squared to pixels squared.

    Args:
        covariances: ``(N, K, 2, 2)`` cells squared.
        cell_xy_px: ``(N, 2)`` width and height of a cell, pixels, or ``(2,)`` for all.
        factors: ``(K,)`` factor of each landmark, or one number.

    Returns:
        ``(N, K, 2, 2)``, pixels squared.

    Example:
        >>> covariances_to_px(np.eye(2)[None, None], (4.0, 2.0))[0, 0].tolist()
        [[16.0, 0.0], [0.0, 4.0]]
    """
    cell = np.asarray(cell_xy_px, float)
    outer = cell[..., :, None] * cell[..., None, :]
    outer = outer if outer.ndim == 2 else outer[:, None]
    return np.asarray(covariances, float) * outer * np.asarray(factors, float)[..., None, None]
