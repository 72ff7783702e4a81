"""Plane geometry of landmarks: vectors, never slopes.

Every function works on ``(..., 2)`` arrays of (x, y) and broadcasts over the leading dimensions.
y runs downwards, as in an image. A direction that a vector does not have is NaN, never 0.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unsct_mmpose.anatomy import Region

Array = TypeVar('Array', bound=Any)

_SMALLEST_ROOT = 1e-12

Floats = NDArray[np.float64]


def to_mm(points_px: ArrayLike, spacing_xy_mm: ArrayLike, magnification: ArrayLike = 1.0) -> Floats:
    """Convert pixels to mm, along x and y separately.

    Args:
        points_px: ``(..., 2)`` points or vectors, pixels.
        spacing_xy_mm: ``(..., 2)`` size of a pixel along x and y; broadcast against the points.
        magnification: ``(...)`` a length on the detector over that in the patient; broadcast too.

    Returns:
        ``(..., 2)`` mm in the patient, or at the detector when the magnification is 1.

    Raises:
        ValueError: a spacing or a magnification is not positive and finite.

    Example:
        >>> to_mm([10.0, 10.0], [0.5, 0.6], 2.0).tolist()
        [2.5, 3.0]
    """
    spacing, factor = np.asarray(spacing_xy_mm, float), np.asarray(magnification, float)
    if not (np.isfinite(spacing) & (spacing > 0)).all():
        raise ValueError(f'spacing_xy_mm must be positive and finite, got {spacing.tolist()}')
    if not (np.isfinite(factor) & (factor > 0)).all():
        raise ValueError(f'magnification must be positive and finite, got {factor.tolist()}')
    return np.asarray(points_px, float) * spacing / factor[..., None]


def dot(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return the scalar products ``(...)`` of ``(..., 2)`` vectors.

    Example:
        >>> float(dot([3.0, 4.0], [1.0, 2.0]))
        11.0
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1]


def cross(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return the cross products ``(...)`` of ``(..., 2)`` vectors.

    Positive when the turn from a to b is the one from x to y: clockwise on a display.

    Example:
        >>> float(cross([1.0, 0.0], [0.0, 1.0]))
        1.0
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def length(vector: ArrayLike) -> Floats:
    """Return the lengths ``(...)`` of ``(..., 2)`` vectors.

    Example:
        >>> float(length([3.0, 4.0]))
        5.0
    """
    vector = np.asarray(vector, float)
    return np.hypot(vector[..., 0], vector[..., 1])


def distance(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return the distances ``(...)`` of ``(..., 2)`` points.

    Example:
        >>> float(distance([1.0, 1.0], [4.0, 5.0]))
        5.0
    """
    return length(np.asarray(a, float) - np.asarray(b, float))


def unit(vector: ArrayLike) -> Floats:
    """Return the directions ``(..., 2)`` of vectors; NaN where the length is 0.

    Example:
        >>> unit([[0.0, -5.0], [0.0, 0.0]]).tolist()
        [[0.0, -1.0], [nan, nan]]
    """
    vector = np.asarray(vector, float)
    size = length(vector)[..., None]
    nowhere = np.full(vector.shape, np.nan)
    return np.divide(vector, size, out=nowhere, where=size > 0)


def perpendicular(vector: ArrayLike) -> Floats:
    """Turn vectors ``(..., 2)`` by 90 degrees from x towards y: clockwise on a display.

    Example:
        >>> perpendicular([0.0, 1.0]).tolist()
        [-1.0, 0.0]
    """
    vector = np.asarray(vector, float)
    return np.stack((-vector[..., 1], vector[..., 0]), axis=-1)


def perpendicular_towards(vector: ArrayLike, towards: ArrayLike) -> Floats:
    """Return the perpendiculars ``(..., 2)`` of vectors that point to the side of ``towards``.

    Where ``towards`` lies along the vector there is no such side; the result is then
    :func:`perpendicular`.

    Example:
        >>> perpendicular_towards([1.0, 0.0], [5.0, -0.1]).tolist()
        [0.0, -1.0]
    """
    turned = perpendicular(vector)
    return np.where(dot(turned, towards)[..., None] < 0, -turned, turned)


def angle_deg(across: ArrayLike, along: ArrayLike) -> Floats:
    """Return ``atan2(across, along)`` in degrees, -180 to 180; NaN where both are 0.

    Args:
        across: ``(...)`` component that counts as positive.
        along: ``(...)`` component that counts as 0 degrees.

    Example:
        >>> [round(float(angle_deg(a, b)), 9) for a, b in ((1.0, 1.0), (1.0, 0.0), (0.0, 0.0))]
        [45.0, 90.0, nan]
    """
    across, along = np.asarray(across, float), np.asarray(along, float)
    angle: Floats = np.degrees(np.arctan2(across, along))
    return np.where((across == 0) & (along == 0), np.nan, angle)


def signed_angle_deg(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return the angles ``(...)`` from vectors a to vectors b, -180 to 180 degrees.

    Positive when the turn is the one from x to y; exact near 0 and 180, unlike an arccosine. NaN
    where a length is 0.

    Example:
        >>> round(float(signed_angle_deg([1.0, 0.0], [0.0, -2.0])), 9)
        -90.0
    """
    return angle_deg(cross(a, b), dot(a, b))


def wrap_deg(angle: ArrayLike) -> Floats:
    """Bring angles ``(...)`` into -180 (included) to 180 degrees: the shorter way round.

    Example:
        >>> wrap_deg([359.0, -190.0, 30.0]).tolist()
        [-1.0, 170.0, 30.0]
    """
    return np.mod(np.asarray(angle, float) + 180.0, 360.0) - 180.0


def foot_of_point(point: ArrayLike, a: ArrayLike, b: ArrayLike) -> Floats:
    """Return the points ``(..., 2)`` of the lines through a and b that are nearest to ``point``.

    NaN where a and b coincide. The line is not a segment: the foot may lie beyond a or b.

    Example:
        >>> foot_of_point([3.0, 4.0], [0.0, 0.0], [0.0, 1.0]).tolist()
        [0.0, 4.0]
    """
    point, a, b = np.asarray(point, float), np.asarray(a, float), np.asarray(b, float)
    direction = unit(b - a)
    return a + dot(point - a, direction)[..., None] * direction


def quadratic_form(vector: NDArray[Any], matrix: NDArray[Any]) -> Floats:
    """Return ``v^T A v`` of vectors ``(..., 2)`` and matrices ``(..., 2, 2)``.

    Example:
        >>> float(quadratic_form(np.array([1.0, 2.0]), np.diag([3.0, 1.0])))
        7.0
    """
    x, y = vector[..., 0], vector[..., 1]
    mixed = matrix[..., 0, 1] + matrix[..., 1, 0]
    form: Floats = x * x * matrix[..., 0, 0] + x * y * mixed + y * y * matrix[..., 1, 1]
    return form


def regions_of(covariances: Floats, level: float) -> list[Region | None]:
    """Return the ellipses of covariances ``(N, 2, 2)``, px^2; None for each that is unknown.

    Example:
        >>> (region,) = regions_of(np.array([[[1.0, 0.0], [0.0, 4.0]]]), 0.95)
        >>> [round(axis, 3) for axis in region.semi_axes_px], region.angle_deg
        ([4.895, 2.448], 90.0)
    """
    known = np.asarray(np.isfinite(covariances).all(axis=(1, 2)))
    finite = np.where(known[:, None, None], covariances, 0.0)
    variances, directions = np.linalg.eigh((finite + np.swapaxes(finite, 1, 2)) / 2)
    reach = -2.0 * math.log(1.0 - level)  # quantile of chi squared with two degrees of freedom
    axes = np.sqrt(np.maximum(variances, 0.0) * reach).tolist()
    return [
        Region(level, (long, short), math.degrees(math.atan2(y, x)) % 180.0) if is_known else None
        for is_known, (short, long), (x, y) in zip(
            known.tolist(), axes, directions[:, :, 1].tolist(), strict=True
        )
    ]


def symmetric_root(covariances: Array) -> Array:
    """Return the symmetric square roots of ``(..., 2, 2)`` positive definite matrices.

    By operations that numpy, torch and an exporter share.

    Example:
        >>> symmetric_root(np.array([[4.0, 0.0], [0.0, 9.0]])).tolist()
        [[2.0, 0.0], [0.0, 3.0]]
    """
    xx, yy = covariances[..., 0, 0], covariances[..., 1, 1]
    square = xx * yy - covariances[..., 0, 1] * covariances[..., 1, 0]
    size = (square * (square > 0) + _SMALLEST_ROOT**2) ** 0.5
    turn = (xx + yy + 2 * size) ** 0.5
    unit = covariances * 0 + _unit_like(covariances)
    return (covariances + size[..., None, None] * unit) / turn[..., None, None]


def _unit_like(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return np.eye(2)
    return values.new_tensor([[1.0, 0.0], [0.0, 1.0]])
