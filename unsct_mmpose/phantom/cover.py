"""Cover part of a radiograph: absence that training can learn from without an annotator."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .noise import white_noise


class Covered(NamedTuple):
    """A radiograph with a covered part.

    Attributes:
        pixels: ``(H, W)`` grey levels.
        hidden: ``(K,)`` landmarks that lie under the cover.
        doubtful: ``(K,)`` landmarks too close to its edge to call.
    """

    pixels: NDArray[np.uint8]
    hidden: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]


def cover_part(
    pixels: NDArray[np.uint8],
    points: NDArray[np.floating],
    rng: np.random.Generator,
    *,
    edge: float = 0.02,
) -> Covered:
    """Cover a turned rectangle, or everything beyond a straight line, with one grey value.

    Args:
        pixels: ``(H, W)`` grey levels.
        points: ``(K, 2)`` landmarks (x, y), pixels.
        rng: decides place, size, angle and grey.
        edge: landmarks this close to the edge of the cover are doubtful, share of the longer side.

    Example:
        >>> field = np.full((64, 64), 128, np.uint8)
        >>> covered = cover_part(field, np.zeros((1, 2)), np.random.default_rng(0))
        >>> covered.pixels.shape, bool((covered.pixels != field).any())
        ((64, 64), True)
    """
    height, width = pixels.shape
    side = float(max(height, width))
    angle = rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    if rng.uniform() < 0.5:  # a cut: everything beyond a line near the border
        outwards = ((1, 0), (-1, 0), (0, 1), (0, -1))[rng.integers(4)]
        turn = rng.uniform(-0.3, 0.3)
        cos, sin = np.cos(turn), np.sin(turn)
        normal = np.array(
            [outwards[0] * cos - outwards[1] * sin, outwards[0] * sin + outwards[1] * cos]
        )
        reach = abs(normal[0]) * width / 2 + abs(normal[1]) * height / 2
        centre = np.array([width / 2, height / 2])
        limits = [(-normal, rng.uniform(0.05, 0.35) * side - reach)]
    else:
        centre = points[rng.integers(len(points))] + rng.normal(0, 0.06 * side, 2)
        half = rng.uniform(0.05, 0.2, 2) * side
        limits = [(sign * way, end) for way, end in zip((along, across), half, strict=True)
                  for sign in (1, -1)]  # fmt: skip

    ends = [(way, end + float(way @ centre)) for way, end in limits]
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    inside = np.ones((height, width), bool)
    for way, end in ends:  # a sum of a row and a column
        limit = np.float32(end) - np.float32(way[1]) * rows
        inside &= np.float32(way[0]) * columns < limit[:, None]
    grey = rng.choice([0.0, 1.0, rng.uniform(0, 1)])
    deviation = rng.uniform(0, 0.05) if rng.uniform() < 0.5 else 0.0
    cover = np.full_like(pixels, round(255 * grey))
    if deviation > 0:
        noise = white_noise(pixels.shape, rng)
        cover = cv2.convertScaleAbs(np.maximum(noise * (255 * deviation) + 255 * grey, 0))
    result = cv2.copyTo(cover, inside.view(np.uint8), pixels.copy())
    depth = np.min([end - points @ way for way, end in ends], axis=0)
    return Covered(result, depth > edge * side, np.abs(depth) <= edge * side)
