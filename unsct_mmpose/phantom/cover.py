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
    along, across = (
        np.array([np.cos(angle), np.sin(angle)]),
        np.array([-np.sin(angle), np.cos(angle)]),
    )
    if rng.uniform() < 0.5:  # a cut: everything beyond a line near the border
        outwards = ((1, 0), (-1, 0), (0, 1), (0, -1))[rng.integers(4)]
        turn = rng.uniform(-0.3, 0.3)
        normal = np.array(
            [
                outwards[0] * np.cos(turn) - outwards[1] * np.sin(turn),
                outwards[0] * np.sin(turn) + outwards[1] * np.cos(turn),
            ]
        )
        reach = abs(normal[0]) * width / 2 + abs(normal[1]) * height / 2
        limit = reach - rng.uniform(0.05, 0.35) * side

        def depth(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.floating]:
            return normal[0] * (x - width / 2) + normal[1] * (y - height / 2) - limit

    else:
        centre = points[rng.integers(len(points))] + rng.normal(0, 0.06 * side, 2)
        half = rng.uniform(0.05, 0.2, 2) * side

        def depth(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.floating]:
            u = np.abs(along[0] * (x - centre[0]) + along[1] * (y - centre[1])) - half[0]
            v = np.abs(across[0] * (x - centre[0]) + across[1] * (y - centre[1])) - half[1]
            return -np.maximum(u, v)

    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    grey = rng.choice([0.0, 1.0, rng.uniform(0, 1)])
    noise = rng.normal(0, rng.uniform(0, 0.05), pixels.shape) if rng.uniform() < 0.5 else 0.0
    filled = np.clip(grey + noise, 0, 1)
    result = np.where(depth(columns, rows) > 0, filled, pixels).astype(np.float32)
    inside = depth(points[:, 0], points[:, 1])
    return Covered(result, inside > edge * side, np.abs(inside) <= edge * side)
