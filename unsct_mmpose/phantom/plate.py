"""Thin curved plates, such as the wing of the ilium."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .shapes import FloatArray, Vector, along, frame_about, larger_or_corner, smooth_curve

_REMAP_LIMIT = 32000  # cv2.remap takes fewer than 2**15 rows
_AT_ONCE = 16384  # pairs of a point and an edge, so that they stay in a core's own cache


@dataclass(frozen=True)
class Plate:
    """A thin curved plate over a plane outline, such as the wing of the ilium.

    Attributes:
        origin: ``(3,)`` of the plane frame, mm.
        axes: ``(3, 3)`` orthonormal rows u, v, w; the plate's height is along w.
        maps: ``(V, U, 4)`` float32: outline distance, middle height, half thickness and
            1 / length of the surface normal, sampled every ``step`` mm.
        corner: u and v of the first sample, mm.
        step: mm.
        cloud: ``(P, 3)`` points of the middle surface, mm.
        reach: ``(P,)`` how far the plate extends from each of them at most, mm.
    """

    origin: FloatArray
    axes: FloatArray
    maps: FloatArray
    corner: tuple[float, float]
    step: float
    cloud: FloatArray
    reach: FloatArray

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Return the box around the plate, mm."""
        reach = self.reach[:, None]
        return (self.cloud - reach).min(0), (self.cloud + reach).max(0)

    def distance(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """Return signed distances, mm."""
        u, v, w = along(x, y, z, self.origin, self.axes)
        rate = np.float32(1.0 / self.step)
        looked_up = _look_up(self.maps, (u - self.corner[0]) * rate, (v - self.corner[1]) * rate)
        rim, height, half, slant = np.moveaxis(looked_up, -1, 0)
        return larger_or_corner(rim, np.abs(w - height) * slant - half)

    def moved(self, rotation: FloatArray, shift: FloatArray) -> Plate:
        """Return the moved plate."""
        return replace(
            self,
            origin=rotation @ self.origin + shift,
            axes=self.axes @ rotation.T,
            cloud=self.cloud @ rotation.T + shift,
        )


def _look_up(maps: FloatArray, columns: FloatArray, rows: FloatArray) -> FloatArray:
    """Interpolate ``(V, U, C)`` maps linearly; beyond the border the last value holds."""
    shape = columns.shape
    width = shape[-1] if columns.size // shape[-1] < _REMAP_LIMIT > shape[-1] else 1
    flat = [values.reshape(-1, width) for values in (columns, rows)]
    parts = [
        cv2.remap(
            maps,
            flat[0][start : start + _REMAP_LIMIT],
            flat[1][start : start + _REMAP_LIMIT],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for start in range(0, len(flat[0]), _REMAP_LIMIT)
    ]
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return whole.reshape(*shape, maps.shape[2])


def polygon_distance(polygon: FloatArray, points: FloatArray) -> FloatArray:
    """Return ``(P,)`` signed distances of points to a closed ``(N, 2)`` polygon, negative inside.

    Example:
        >>> square = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], float)
        >>> polygon_distance(square, np.array([[1.0, 1.0], [3.0, 1.0]])).tolist()
        [-1.0, 1.0]
    """
    start, end = polygon, np.roll(polygon, -1, axis=0)
    corner_x, corner_y = start.T[..., None]
    edge_x, edge_y = (end - start).T[..., None]
    end_y = end[:, 1:]
    square = edge_x * edge_x + edge_y * edge_y
    rise = np.where(edge_y == 0, 1.0, edge_y)
    distances = []
    few = max(_AT_ONCE // len(polygon), 1)
    for first in range(0, len(points), few):
        x, y = points[first : first + few].T
        across, down = x - corner_x, y - corner_y
        share = np.clip((across * edge_x + down * edge_y) / square, 0.0, 1.0)
        gap_x, gap_y = across - share * edge_x, down - share * edge_y
        nearest = np.sqrt((gap_x * gap_x + gap_y * gap_y).min(0))
        crosses = (corner_y <= y) != (end_y <= y)
        crosses &= x < corner_x + down / rise * edge_x
        inside = np.count_nonzero(crosses, axis=0) % 2 == 1
        distances.append(np.where(inside, -nearest, nearest))
    return np.concatenate(distances) if distances else np.empty(0)


def curved_plate(
    outline: Sequence[Vector],
    interior: Sequence[Vector],
    *,
    middle_mm: float,
    edge_mm: float,
    fade_mm: float = 12.0,
    swellings: Sequence[tuple[Vector, float, float]] = (),
    step: float = 2.5,
) -> Plate:
    """Span a thin plate over a closed outline in space.

    The plate's middle is the cubic height, over the plane through ``outline``, that fits all
    given points best.

    Args:
        outline: points around the plate, mm.
        interior: further points of its middle surface, mm.
        middle_mm: full thickness far from the edge.
        edge_mm: full thickness at the edge.
        fade_mm: distance over which the thickness falls.
        swellings: ``(place, radius, extra)``, mm: where the plate is thicker, as Gaussian bells.
        step: spacing of the stored maps, mm.
    """
    rim = smooth_curve(np.asarray(outline, float), 4, closed=True)
    inner = np.asarray(interior, dtype=np.float64).reshape(-1, 3)
    given = np.concatenate([rim, np.repeat(inner, 4, axis=0)])
    origin = rim.mean(0)
    _, _, rows = np.linalg.svd(rim - origin)
    axes = frame_about(rows[2], rows[0])
    local = (given - origin) @ axes.T
    scale = np.abs(local[:, :2]).max()
    fit, *_ = np.linalg.lstsq(
        np.concatenate([_cubic(local[:, :2] / scale), 0.05 * np.eye(10)]),
        np.concatenate([local[:, 2], np.zeros(10)]),
        rcond=None,
    )
    low, high = local[:, :2].min(0) - 6.0, local[:, :2].max(0) + 6.0
    grid_u, grid_v = np.meshgrid(np.arange(low[0], high[0], step), np.arange(low[1], high[1], step))
    flat = np.stack([grid_u.ravel(), grid_v.ravel()], axis=1)
    edge = polygon_distance(local[: len(rim), :2], flat).reshape(grid_u.shape)
    height = (_cubic(flat / scale) @ fit).reshape(grid_u.shape)
    slope_v, slope_u = np.gradient(height, step)
    half = 0.5 * (middle_mm + (edge_mm - middle_mm) * np.exp(np.minimum(edge, 0.0) / fade_mm))
    for place, radius, extra in swellings:
        here = ((np.asarray(place) - origin) @ axes.T)[:2]
        away = (grid_u - here[0]) ** 2 + (grid_v - here[1]) ** 2
        half = half + 0.5 * extra * np.exp(-away / radius**2)
    maps = np.stack(
        [edge, height, half, 1.0 / np.sqrt(1.0 + slope_u**2 + slope_v**2)], axis=-1
    ).astype(np.float32)
    on_plate = edge.ravel() < step
    middle = np.concatenate([flat, height.reshape(-1, 1)], axis=1)[on_plate]
    cloud = middle @ axes + origin
    corner = (float(low[0]), float(low[1]))
    return Plate(origin, axes, maps, corner, step, cloud, half.ravel()[on_plate] + step)


def _cubic(uv: FloatArray) -> FloatArray:
    u, v = uv[:, 0], uv[:, 1]
    return np.stack(
        [np.ones_like(u), u, v, u * u, u * v, v * v, u**3, u * u * v, u * v * v, v**3], axis=1
    )
