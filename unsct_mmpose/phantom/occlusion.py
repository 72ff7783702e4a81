"""What hides landmarks: objects, collimator blades, plates and screws, blocks, shields.

Everything here lies in the detector's plane and is opaque: inside it the image does not depend on
the patient at all, so a landmark in it is truly absent. Lengths are in the unit of the points:
detector pixels, or mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from ..anatomy import side_index
from .plate import polygon_distance
from .shapes import FloatArray


@dataclass(frozen=True)
class Stroke:
    """A polygon of ``(N, 2)`` corners, or a line of two, whose edges a radius rounds."""

    corners: FloatArray
    radius: float = 0.0

    def distance(self, points: FloatArray) -> FloatArray:
        """Return signed distances of ``(P, 2)`` points; negative inside."""
        return polygon_distance(self.corners, points) - self.radius


@dataclass(frozen=True)
class Obstacle:
    """An opaque object.

    Attributes:
        kind: what it is.
        strokes: its parts.
        level: display value that it leaves, 1 is white.
        roughness: how much that varies.
        lines: on it: ``(M, 2)``, width, display value.
    """

    kind: str
    strokes: tuple[Stroke, ...]
    level: float = 1.0
    roughness: float = 0.0
    lines: tuple[tuple[FloatArray, float, float], ...] = ()

    def distance(self, points: FloatArray) -> FloatArray:
        """Return signed distances of ``(P, 2)`` points; negative where hidden."""
        return np.asarray(np.min([stroke.distance(points) for stroke in self.strokes], axis=0))

    def moved(self, angle: float, shift: FloatArray) -> Obstacle:
        """Return the object turned about its origin, then shifted."""
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return replace(
            self,
            strokes=tuple(
                Stroke(stroke.corners @ turn + shift, stroke.radius) for stroke in self.strokes
            ),
            lines=tuple((line @ turn + shift, *rest) for line, *rest in self.lines),
        )


@dataclass(frozen=True)
class Field:
    """The exposed part of the detector: all, or a convex aperture of ``(4, 2)`` pixel corners."""

    corners: FloatArray | None
    size_hw: tuple[int, int]

    def clearance(self, points: FloatArray) -> FloatArray:
        """Return how far inside the exposed field ``(P, 2)`` points lie, pixels."""
        height, width = self.size_hw
        x, y = points[:, 0], points[:, 1]
        inside = np.min([x, y, width - 1 - x, height - 1 - y], axis=0)
        if self.corners is not None:
            inside = np.minimum(inside, -polygon_distance(self.corners, points))
        return np.asarray(inside)


def clearance(points: FloatArray, field: Field, obstacles: Sequence[Obstacle]) -> FloatArray:
    """Return how far ``(P, 2)`` points are from being hidden, pixels; negative when hidden."""
    free = field.clearance(points)
    for obstacle in obstacles:
        free = np.minimum(free, obstacle.distance(points))
    return np.asarray(free)


def lay_over(
    image: npt.NDArray[np.float32],
    surface: npt.NDArray[np.float32] | np.float32,
    share: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Return ``(H, W)`` display values of which a share ``(H, W)`` is something's surface."""
    return np.asarray(image * (1 - share) + surface * share, np.float32)


def cover(
    shown: npt.NDArray[np.float32], field: Field, obstacles: Sequence[Obstacle]
) -> npt.NDArray[np.float32]:
    """Return an ``(H, W)`` display image with obstacles, and black outside the exposed field.

    Where an object covers a pixel by more than half a pixel, only the object decides its value.
    """
    image = shown.copy()
    height, width = image.shape
    for obstacle in obstacles:
        for stroke in obstacle.strokes:
            low = np.floor(stroke.corners.min(0) - stroke.radius - 2).astype(int)
            high = np.ceil(stroke.corners.max(0) + stroke.radius + 3).astype(int)
            low, high = np.maximum(low, 0), np.minimum(high, (width, height))
            if np.any(high <= low):
                continue
            grid = np.stack(np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1])), -1)
            inside = stroke.distance(grid.reshape(-1, 2).astype(float)).reshape(grid.shape[:2])
            alpha = np.clip(0.5 - inside, 0.0, 1.0).astype(np.float32)
            part = image[low[1] : high[1], low[0] : high[0]]
            part[...] = lay_over(part, np.float32(obstacle.level), alpha)
    if field.corners is not None:
        image *= _inside(field.corners, image.shape)
    return image


def _inside(corners: FloatArray, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return the share of each pixel inside a convex polygon, from 0 to 1."""
    x, y = np.arange(shape[1])[None], np.arange(shape[0])[:, None]
    middle = corners.mean(0)
    outside = np.full(shape, -np.inf)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        out = np.array([end[1] - start[1], start[0] - end[0]]) / np.linalg.norm(end - start)
        out = out if out @ (start - middle) > 0 else -out
        np.maximum(outside, (x - start[0]) * out[0] + (y - start[1]) * out[1], out=outside)
    return np.clip(0.5 - outside, 0.0, 1.0).astype(np.float32)


def blades(low: FloatArray, high: FloatArray, turn_deg: float) -> FloatArray:
    """Return ``(4, 2)`` corners of an aperture from low to high x, y, turned about its middle."""
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    middle, angle = corners.mean(0), np.radians(turn_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray((corners - middle) @ turn.T + middle)


def side_plate(points: FloatArray, side: str, mm_px: float, rng: np.random.Generator) -> Obstacle:
    """Return a dynamic hip screw: a lag screw in the neck, a plate on the lateral cortex, screws.

    The ``(24, 2)`` landmarks are pixels, of which ``mm_px`` make a millimetre of the object.
    """
    head, base, upper, lower = (points[side_index(side, n)] for n in (6, 10, 11, 12))
    down = (lower - upper) / np.linalg.norm(lower - upper)
    out = np.array([-down[1], down[0]])
    out = out if out @ (upper - head) > 0 else -out
    neck = (base - head) / np.linalg.norm(base - head)
    reach = rng.uniform(0.1, 0.6) * np.linalg.norm(base - head)
    cortex = rng.uniform(14.0, 18.0) * mm_px
    # Where the neck's axis leaves the lateral cortex.
    travel = ((upper - head) @ out + cortex) / max(float(neck @ out), 0.2)
    entry = head + neck * travel
    length = rng.uniform(45.0, 95.0) * mm_px
    barrel = rng.uniform(6.0, 8.5) * mm_px
    strokes = [
        Stroke(np.stack([head + neck * reach, entry]), barrel),
        Stroke(np.stack([entry - 4 * mm_px * down, entry + length * down]), 4.5 * mm_px),
    ]
    count = int(rng.integers(2, 5))
    for index in range(count):
        start = entry + down * length * (index + 1.0) / (count + 0.3)
        strokes.append(Stroke(np.stack([start, start - out * 36 * mm_px]), 1.9 * mm_px))
    return Obstacle('side_plate', tuple(strokes))


def block(center: FloatArray, mm_px: float, rng: np.random.Generator) -> Obstacle:
    """Return a metal block such as a watch, a battery or a phone lying on the patient."""
    half = np.array([rng.uniform(16.0, 34.0), rng.uniform(11.0, 22.0)]) * mm_px
    angle = rng.uniform(0, np.pi)
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    jitter = rng.uniform(-5, 5, 2) * mm_px
    return Obstacle(
        'block',
        (Stroke(center + jitter + (signs * half) @ axes, float(rng.uniform(2, 6)) * mm_px),),
        float(rng.uniform(0.96, 1.0)),
    )


def shield(center: FloatArray, mm_px: float, rng: np.random.Generator) -> Obstacle:
    """Return a slipped lead shield: a large rounded triangle."""
    size = rng.uniform(20.0, 38.0) * mm_px
    turn = rng.uniform(0, 2 * np.pi) + np.array([0.0, 2.1, 4.2]) + rng.uniform(-0.3, 0.3, 3)
    corners = center + size * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return Obstacle('shield', (Stroke(corners, float(rng.uniform(8, 16)) * mm_px),))


def write_letter(
    shown: npt.NDArray[np.float32],
    points: FloatArray,
    field: Field,
    mm_px: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Lay a lead letter, L or R, on its side of a display image, clear of every landmark.

    Returns a new image, or an equal one when there is no room.
    """
    height, width = shown.shape
    letter = 'L' if rng.random() < 0.5 else 'R'
    size = rng.uniform(9.0, 14.0) * mm_px
    for _ in range(25):
        x = rng.uniform(0.80, 0.97) if letter == 'L' else rng.uniform(0.03, 0.20)
        center = np.array([x * width, rng.uniform(0.05, 0.95) * height])
        away = np.linalg.norm(points - center, axis=1).min()
        if away > 2.2 * size and field.clearance(center[None])[0] > size:
            break
    else:
        return shown.copy()
    mask = np.zeros(shown.shape, np.uint8)
    scale = size / 21.0
    start = (int(center[0] - 0.45 * size), int(center[1] + 0.5 * size))
    thick = max(round(2.2 * scale), 1)
    cv2.putText(mask, letter, start, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick, cv2.LINE_AA)
    alpha = mask.astype(np.float32) / 255.0 * np.float32(rng.uniform(0.75, 1.0))
    return lay_over(shown, np.float32(0.97), alpha)
