"""Cover part of a radiograph: absence that training can learn from without an annotator."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Covered(NamedTuple):
    """A radiograph with a covered part.

    Attributes:
        pixels: ``(H, W)`` float32 in [0, 1].
        hidden: ``(K,)`` landmarks that lie under the cover.
        doubtful: ``(K,)`` landmarks too close to its edge to call.
    """

    pixels: NDArray[np.float32]
    hidden: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]


def cover_part(
    pixels: NDArray[np.float32],
    points: NDArray[np.floating],
    rng: np.random.Generator,
    *,
    edge: float = 0.02,
) -> Covered:
    """Cover a turned rectangle, or everything beyond a straight line, with one grey value.

    Args:
        pixels: ``(H, W)`` in [0, 1].
        points: ``(K, 2)`` landmarks (x, y), pixels.
        rng: decides place, size, angle and grey.
        edge: landmarks this close to the edge of the cover are doubtful, share of the longer side.

    Example:
        >>> field = np.full((64, 64), 0.5, np.float32)
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

    def depth(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.floating]:
        x, y = x - centre[0], y - centre[1]
        return np.min([end - (way[0] * x + way[1] * y) for way, end in limits], axis=0)

    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    grey = rng.choice([0.0, 1.0, rng.uniform(0, 1)])
    noise = rng.normal(0, rng.uniform(0, 0.05), pixels.shape) if rng.uniform() < 0.5 else 0.0
    filled = np.clip(grey + noise, 0, 1)
    result = np.where(depth(columns, rows) > 0, filled, pixels).astype(np.float32)
    inside = depth(points[:, 0], points[:, 1])
    return Covered(result, inside > edge * side, np.abs(inside) <= edge * side)
