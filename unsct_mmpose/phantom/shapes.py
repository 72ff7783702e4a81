"""Implicit shapes: solids given by approximate signed distances, and curves that sweep them.

Distances are in millimetres, negative inside. Every shape knows its bounding box and can be moved
by a rigid transform or mirrored, so that bones are evaluated directly in the posed frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
Vector = Sequence[float] | FloatArray
ShapeT = TypeVar('ShapeT', bound='Shape')


class Shape(Protocol):
    """What a solid must offer to be put into a volume."""

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Return the lower and upper corner of a box around the solid, mm."""

    def distance(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """Return signed distances, mm, at broadcastable coordinates ``x, y, z``."""

    def moved(self: ShapeT, rotation: FloatArray, shift: FloatArray) -> ShapeT:
        """Return the shape after ``p -> rotation @ p + shift``; reflections are allowed."""


def along(
    x: FloatArray, y: FloatArray, z: FloatArray, origin: FloatArray, directions: FloatArray
) -> FloatArray:
    """Return how far points lie from an origin along ``(D, 3)`` directions: ``(D, ...)`` mm."""
    offsets = [[origin @ direction] for direction in directions]
    factors = np.concatenate([directions, offsets], axis=1).T.astype(np.float32)
    dx, dy, dz, offset = factors.reshape(4, -1, *(1,) * x.ndim)
    return np.asarray((x * dx - offset) + y * dy + z * dz, dtype=np.float32)


def _elliptic(values: FloatArray, radii: FloatArray) -> FloatArray:
    """Return the first-order distance ``k0 (k0 - 1) / k1`` to an ellipse; the values are lost."""
    scaled = np.divide(values, radii, out=values)
    steep = scaled / radii
    scaled *= scaled
    steep *= steep
    level, slope = _total(scaled), _total(steep)
    np.sqrt(level, out=level)
    slope += np.float32(1e-9)
    np.sqrt(slope, out=slope)
    distance = np.subtract(level, np.float32(1.0), out=scaled[0])
    distance *= level
    distance /= slope
    return distance


def _total(parts: FloatArray) -> FloatArray:
    """Return the sum of ``(2 or more, ...)`` along the first axis, one after the other."""
    total = parts[0] + parts[1]
    for part in parts[2:]:
        total += part
    return total


def larger_or_corner(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the distance to where two solids that are square to each other meet.

    Example:
        >>> larger_or_corner(np.array([-1.0, 2.0, 3.0]), np.array([-2.0, -5.0, 4.0])).tolist()
        [-1.0, 2.0, 5.0]
    """
    distance = np.maximum(a, b)
    beyond = np.flatnonzero(np.minimum(a, b) > 0)
    distance.reshape(-1)[beyond] = np.hypot(a.reshape(-1)[beyond], b.reshape(-1)[beyond])
    return distance


def unit(vector: Vector) -> FloatArray:
    """Return a vector of length one.

    Example:
        >>> unit([0.0, 3.0, 4.0]).tolist()
        [0.0, 0.6, 0.8]
    """
    array = np.asarray(vector, dtype=np.float64)
    return np.asarray(array / math.sqrt(array @ array))


def frame_about(axis: Vector, side: Vector) -> FloatArray:
    """Return three orthonormal rows: the side direction made square to the axis, third, axis.

    Example:
        >>> frame_about([0, 0, 2], [3, 0, 1]).round(6).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    last = unit(axis)
    toward = np.asarray(side, dtype=np.float64)
    first = unit(toward - (toward @ last) * last)
    second = [
        last[1] * first[2] - last[2] * first[1],
        last[2] * first[0] - last[0] * first[2],
        last[0] * first[1] - last[1] * first[0],
    ]
    return np.array([first, second, last])


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid; its distance is exact to first order (and exact for a sphere).

    Attributes:
        center: ``(3,)`` mm.
        radii: ``(3,)`` mm.
        axes: ``(3, 3)`` orthonormal rows, the directions of the radii.
    """

    center: FloatArray
    radii: FloatArray
    axes: FloatArray

    @classmethod
    def ball(cls, center: Vector, radius: float) -> Ellipsoid:
        """Return a sphere."""
        return cls(np.asarray(center, dtype=np.float64), np.full(3, float(radius)), np.eye(3))

    @classmethod
    def at(
        cls,
        center: Vector,
        radii: Sequence[float],
        axis: Vector = (0, 0, 1),
        side: Vector = (1, 0, 0),
    ) -> Ellipsoid:
        """Return an ellipsoid with ``radii`` along side, the third direction and the axis."""
        return cls(np.asarray(center, float), np.asarray(radii, float), frame_about(axis, side))

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Return the box around the ellipsoid, mm."""
        half = np.sqrt(((self.axes * self.radii[:, None]) ** 2).sum(0))
        return self.center - half, self.center + half

    def distance(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """Return signed distances, mm."""
        parts = along(x, y, z, self.center, self.axes)
        if np.ptp(self.radii) == 0:
            parts *= parts
            return np.asarray(np.sqrt(_total(parts)) - np.float32(self.radii[0]))
        return _elliptic(parts, self.radii.astype(np.float32).reshape(-1, *(1,) * x.ndim))

    def moved(self, rotation: FloatArray, shift: FloatArray) -> Ellipsoid:
        """Return the moved ellipsoid."""
        return replace(self, center=rotation @ self.center + shift, axes=self.axes @ rotation.T)


@dataclass(frozen=True)
class Limb:
    """A round or elliptic cone with rounded ends: one piece of a swept tube.

    Attributes:
        start: ``(3,)`` centre of the first end, mm.
        end: ``(3,)`` centre of the second end, mm.
        side: ``(3,)`` direction of the first radius; made square to the axis.
        start_radii: the two radii at the start, mm.
        end_radii: the two radii at the end, mm.
    """

    start: FloatArray
    end: FloatArray
    side: FloatArray
    start_radii: tuple[float, float]
    end_radii: tuple[float, float]

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Return the box around the limb, mm."""
        first, last = max(self.start_radii), max(self.end_radii)
        low = np.minimum(self.start - first, self.end - last)
        return low, np.maximum(self.start + first, self.end + last)

    def distance(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """Return signed distances, mm."""
        length, frame = self._frame
        parts = along(x, y, z, self.start, frame)
        share = parts[2] / length
        np.clip(share, 0.0, 1.0, out=share)
        parts[2] -= share * length  # beyond the ends
        radii = np.empty_like(parts)
        ends = zip(self.start_radii, self.end_radii, strict=True)
        for radius, (start, end) in zip(radii, ends, strict=False):
            np.multiply(share, end - start, out=radius)
            radius += start
        if self.start_radii[0] == self.start_radii[1] and self.end_radii[0] == self.end_radii[1]:
            parts *= parts
            return np.asarray(np.sqrt(_total(parts)) - radii[0])
        np.minimum(radii[0], radii[1], out=radii[2])
        return _elliptic(parts, radii)

    @cached_property
    def _frame(self) -> tuple[float, FloatArray]:
        """Length of the axis, mm, and the directions of both radii and of the axis."""
        axis = self.end - self.start
        return float(np.linalg.norm(axis)), frame_about(axis, self.side)

    def moved(self, rotation: FloatArray, shift: FloatArray) -> Limb:
        """Return the moved limb."""
        return replace(
            self,
            start=rotation @ self.start + shift,
            end=rotation @ self.end + shift,
            side=rotation @ self.side,
        )


@dataclass(frozen=True)
class HalfSpace:
    """Everything behind a plane, inside a box that limits where it acts.

    Attributes:
        point: ``(3,)`` a point of the plane, mm.
        normal: ``(3,)`` direction that leads out of the solid.
        reach: half edge of the box around the point, mm.
    """

    point: FloatArray
    normal: FloatArray
    reach: float

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Return the box in which the half-space acts, mm."""
        return self.point - self.reach, self.point + self.reach

    def distance(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """Return signed distances to the plane, mm."""
        return along(x, y, z, self.point, unit(self.normal)[None])[0]

    def moved(self, rotation: FloatArray, shift: FloatArray) -> HalfSpace:
        """Return the moved half-space."""
        return replace(self, point=rotation @ self.point + shift, normal=rotation @ self.normal)


@dataclass(frozen=True)
class Cap:
    """The part of a ball behind a plane.

    Attributes:
        center: ``(3,)`` mm.
        radius: mm.
        normal: ``(3,)`` unit direction that leads out of the kept part.
        height: where the plane lies along the normal, from the centre, mm.
    """

    center: FloatArray
    radius: float
    normal: FloatArray
    height: float

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Return the box around the whole ball, mm."""
        return self.center - self.radius, self.center + self.radius

    def distance(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """Return signed distances, mm."""
        ball = Ellipsoid.ball(self.center, self.radius).distance(x, y, z)
        plane = along(x, y, z, self.center, self.normal[None])[0]
        return np.maximum(ball, plane - self.height)

    def moved(self, rotation: FloatArray, shift: FloatArray) -> Cap:
        """Return the moved cap."""
        return replace(self, center=rotation @ self.center + shift, normal=rotation @ self.normal)


@dataclass(frozen=True)
class Block:
    """An elliptic cylinder with flat rounded ends, such as a vertebral body.

    Attributes:
        center: ``(3,)`` mm.
        radii: radii of the section and half the height, mm.
        axes: ``(3, 3)`` orthonormal rows; the last is the cylinder's axis.
        rounding: radius of the edges, mm.
    """

    center: FloatArray
    radii: FloatArray
    axes: FloatArray
    rounding: float = 3.0

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Return the box around the block, mm."""
        half = np.abs(self.axes * self.radii[:, None]).sum(0)
        return self.center - half, self.center + half

    def distance(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """Return signed distances, mm."""
        parts = along(x, y, z, self.center, self.axes)
        end = np.abs(parts[2]) - (float(self.radii[2]) - self.rounding)
        radii = self.radii[:2].astype(np.float32).reshape(-1, *(1,) * x.ndim)
        side = _elliptic(parts[:2], radii) + self.rounding
        return larger_or_corner(side, end) - self.rounding

    def moved(self, rotation: FloatArray, shift: FloatArray) -> Block:
        """Return the moved block."""
        return replace(self, center=rotation @ self.center + shift, axes=self.axes @ rotation.T)


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
    """Sweep a varying circle, or ellipse whose first radius lies along a side, along a spline.

    Centres and radii, one or two at each, are mm; ``pieces`` straight limbs lead from one control
    point to the next.
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
