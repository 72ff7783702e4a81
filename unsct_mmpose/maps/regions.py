"""How far off: factors of the heatmap covariances and of the parameters' standard errors.

``landmarks`` are those of a model that has no calibration; a calibration knows its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from unsct_mmpose.anatomy import HIP, LandmarkSet
from unsct_mmpose.anatomy.parameters import split_side
from unsct_mmpose.functional.clinical import measurement_names
from unsct_mmpose.functional.error_structure import peak_variances, shaped, side_shapes

from .calibration import Calibration

INTERVAL_LEVEL = 0.95


def region_factors(
    calibration: Calibration | None, landmarks: LandmarkSet = HIP
) -> NDArray[np.float64]:
    """Return ``(K,)``: the factor of each landmark's heatmap covariance; 1 without calibration.

    Example:
        >>> region_factors(None).tolist() == [1.0] * len(HIP)
        True
    """
    if calibration is None:
        return np.ones(len(landmarks))
    scales = [calibration.region_scales[name] for name in calibration.landmarks.class_names]
    return np.array(scales)[list(calibration.landmarks.class_indices)]


def region_shapes(
    calibration: Calibration | None, landmarks: LandmarkSet = HIP
) -> NDArray[np.float64]:
    """Return ``(K, 2, 2)``: the shape that each heatmap covariance takes on; else the unit matrix.

    Example:
        >>> region_shapes(None).tolist() == [np.eye(2).tolist()] * len(HIP)
        True
    """
    shapes = {} if calibration is None else calibration.region_shapes
    landmarks = _landmarks(calibration, landmarks)
    flat = [shapes.get(name, (1.0, 0.0, 1.0)) for name in landmarks.class_names]
    return side_shapes([[[xx, xy], [xy, yy]] for xx, xy, yy in flat], landmarks)


def calibrated_covariances(
    covariances: ArrayLike, calibration: Calibration | None, peaks: ArrayLike
) -> NDArray[np.float64]:
    """Return covariances whose ellipses hold at the calibration's level, in the errors' directions.

    Args:
        covariances: ``(N, K, 2, 2)`` moments of heatmaps, in the square of a unit that is the same
            along x and y.
        calibration: None returns them as they are.
        peaks: ``(N, K)`` heights of the heatmaps: a low one is less sure of its place.
    """
    plain = np.asarray(covariances, float)
    if calibration is None:
        return plain
    if calibration.region_shapes:
        plain = shaped(plain, region_shapes(calibration))
    factors = peak_variances(np.asarray(peaks, float)) ** calibration.peak_power
    return plain * (region_factors(calibration) * factors)[..., None, None]


def interval_offsets(
    calibration: Calibration | None, landmarks: LandmarkSet = HIP
) -> NDArray[np.float64]:
    """Return ``(M,)``: what is taken from each measurement in the centre of its interval.

    In the order of :func:`measurement_names`; deg or mm at the bone. 0 where nothing systematic was
    found: the value itself is never changed.

    Example:
        >>> bool(interval_offsets(None).any())
        False
    """
    offsets = {} if calibration is None else calibration.offsets
    names = measurement_names(_landmarks(calibration, landmarks))
    each = [offsets.get(split_side(name)[1]) for name in names]
    return np.array([offset.value if offset and offset.corrected else 0.0 for offset in each])


def error_correlations(
    calibration: Calibration | None, landmarks: LandmarkSet = HIP
) -> NDArray[np.float64]:
    """Return the ``(2 K, 2 K)`` correlation of the landmarks' errors; else the unit matrix.

    Example:
        >>> bool((error_correlations(None) == np.eye(2 * len(HIP))).all())
        True
    """
    unit = np.eye(2 * len(_landmarks(calibration, landmarks)))
    if calibration is None or calibration.correlation is None:
        return unit
    upper = np.zeros_like(unit)
    upper[np.triu_indices(len(unit), 1)] = calibration.correlation
    return unit + upper + upper.T


def interval_scales(
    calibration: Calibration | None, landmarks: LandmarkSet = HIP
) -> NDArray[np.float64]:
    """Return ``(M,)``: half-width of each measurement's interval over its standard error.

    In the order of :func:`measurement_names`; 1.96 without calibration.

    Example:
        >>> float(interval_scales(None).max().round(2))
        1.96
    """
    usual = float(ndtri(0.5 + INTERVAL_LEVEL / 2))
    scales = {} if calibration is None else calibration.interval_scales
    names = measurement_names(_landmarks(calibration, landmarks))
    return np.array([scales.get(split_side(name)[1], usual) for name in names])


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


def _landmarks(calibration: Calibration | None, otherwise: LandmarkSet) -> LandmarkSet:
    return otherwise if calibration is None else calibration.landmarks
