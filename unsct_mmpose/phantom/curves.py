"""Curves through control points, and the tubes that are swept along them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .shapes import FloatArray, Limb, Vector


def smooth_curve(points: FloatArray, pieces: int, closed: bool = False) -> FloatArray:
    """Interpolate control points with a centripetal-like Catmull-Rom spline.

    Args:
        points: ``(N, D)`` control values; every one lies on the curve.
        pieces: samples from one control point to the next.
        closed: whether the curve returns to its first point.

    Returns:
        ``((N - 1) * pieces + 1, D)`` samples, or ``(N * pieces, D)`` when closed.

    Example:
        >>> smooth_curve(np.array([[0.0], [1.0], [2.0]]), 2).ravel().tolist()
        [0.0, 0.5, 1.0, 1.5, 2.0]
    """
    points = np.asarray(points, dtype=np.float64)
    if closed:
        padded = np.concatenate([points[-1:], points, points[:2]])
    else:
        padded = np.concatenate(
            [2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]]
        )
    t = (np.arange(pieces) / pieces)[:, None]
    spans = []
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        spans.append(
            p1
            + 0.5 * t * (p2 - p0)
            + t**2 * (p0 - 2.5 * p1 + 2 * p2 - 0.5 * p3)
            + 0.5 * t**3 * (3 * (p1 - p2) + p3 - p0)
        )
    return np.concatenate(spans if closed else [*spans, points[-1:]])


def swept_tube(
    points: Sequence[Vector],
    radii: Sequence[float] | Sequence[Sequence[float]],
    *,
    side: Vector = (1.0, 0.0, 0.0),
    pieces: int = 3,
) -> list[Limb]:
    """Sweep a varying circle or ellipse along a spline.

    Args:
        points: control points of the centre line, mm.
        radii: one radius, or the two radii of the ellipse, at each point, mm.
        side: direction of the first radius of the ellipse.
        pieces: straight limbs from one control point to the next.

    Returns:
        The limbs, in order.
    """
    centers = smooth_curve(np.asarray(points, float), pieces)
    table = np.asarray(radii, dtype=np.float64)
    if table.ndim == 1:
        table = np.stack([table, table], axis=1)
    widths = np.maximum(smooth_curve(table, pieces), 0.5)
    direction = np.asarray(side, dtype=np.float64)
    return [
        Limb(a, b, direction, (float(ra[0]), float(ra[1])), (float(rb[0]), float(rb[1])))
        for a, b, ra, rb in zip(centers, centers[1:], widths, widths[1:], strict=False)
    ]
