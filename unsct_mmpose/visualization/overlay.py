"""Landmarks drawn on a radiograph."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.anatomy import LANDMARK_NAMES, NUM_CLASSES

LEFT_RGB = (255, 160, 60)
RIGHT_RGB = (70, 190, 255)
TRUTH_RGB = (90, 230, 110)
SUPPRESSED_RGB = (235, 70, 70)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


def draw_landmarks(
    image: NDArray[np.uint8],
    points: NDArray[np.floating],
    *,
    kept: NDArray[np.bool_] | None = None,
    truth: NDArray[np.floating] | None = None,
    present: NDArray[np.bool_] | None = None,
    caption: str = '',
    long_side_px: int = 1200,
) -> NDArray[np.uint8]:
    """Draw predicted landmarks, and the true ones beside them.

    Reported landmarks are discs with their number of Table 1, orange on the patient's left and
    blue on the right; suppressed ones are red crosses; true ones are green rings, joined to their
    prediction by a line.

    Args:
        image: ``(H, W)`` or ``(H, W, 3)`` radiograph.
        points: ``(24, 2)`` predicted landmarks, image pixels.
        kept: ``(24,)`` which are reported; ``None``: all.
        truth: ``(24, 2)`` true landmarks, image pixels.
        present: ``(24,)`` which of the true ones exist; ``None``: all.
        caption: text below the picture.
        long_side_px: the picture's longer side.

    Returns:
        ``(H', W', 3)`` RGB picture.
    """
    kept = np.ones(len(points), dtype=bool) if kept is None else kept
    gray = image if image.ndim == 2 else image[..., 0]
    scale = long_side_px / max(gray.shape)
    resized = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    canvas = cv2.cvtColor(resized, cv2.COLOR_GRAY2RGB)
    placed = (np.asarray(points, dtype=float) + 0.5) * scale - 0.5
    if truth is not None:
        known = np.ones(len(truth), dtype=bool) if present is None else present
        goals = (np.asarray(truth, dtype=float) + 0.5) * scale - 0.5
        for index in np.flatnonzero(known):
            _disc(canvas, goals[index], 7, TRUTH_RGB, 2)
            if kept[index]:
                _line(canvas, goals[index], placed[index], TRUTH_RGB)
    for index, name in enumerate(LANDMARK_NAMES):
        color = LEFT_RGB if name.startswith('left') else RIGHT_RGB
        if kept[index]:
            _disc(canvas, placed[index], 4, (0, 0, 0), -1)
            _disc(canvas, placed[index], 3, color, -1)
            _label(canvas, placed[index], str(index % NUM_CLASSES + 1), color)
        else:
            _cross(canvas, placed[index], SUPPRESSED_RGB)
    return _with_caption(canvas, caption)


def _fixed(point: NDArray[np.floating]) -> tuple[int, int]:
    x, y = np.rint(np.clip(point, -1e5, 1e5) * (1 << _SHIFT)).astype(int)
    return int(x), int(y)


def _disc(
    canvas: NDArray[np.uint8],
    point: NDArray[np.floating],
    radius_px: float,
    color: tuple[int, int, int],
    thickness: int,
) -> None:
    radius = int(radius_px * (1 << _SHIFT))
    cv2.circle(canvas, _fixed(point), radius, color, thickness, cv2.LINE_AA, _SHIFT)


def _line(
    canvas: NDArray[np.uint8],
    start: NDArray[np.floating],
    end: NDArray[np.floating],
    color: tuple[int, int, int],
) -> None:
    cv2.line(canvas, _fixed(start), _fixed(end), color, 1, cv2.LINE_AA, _SHIFT)


def _cross(
    canvas: NDArray[np.uint8], point: NDArray[np.floating], color: tuple[int, int, int]
) -> None:
    for dx, dy in ((6.0, 6.0), (6.0, -6.0)):
        offset = np.array([dx, dy])
        cv2.line(
            canvas, _fixed(point - offset), _fixed(point + offset), color, 2, cv2.LINE_AA, _SHIFT
        )


def _label(
    canvas: NDArray[np.uint8],
    point: NDArray[np.floating],
    text: str,
    color: tuple[int, int, int],
) -> None:
    place = (int(point[0]) + 8, int(point[1]) - 8)
    cv2.putText(canvas, text, place, _FONT, 0.5, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(canvas, text, place, _FONT, 0.5, color, 1, cv2.LINE_AA)


def _with_caption(canvas: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    if not caption:
        return canvas
    strip = np.zeros((34, canvas.shape[1], 3), dtype=np.uint8)
    cv2.putText(strip, caption, (10, 23), _FONT, 0.55, (230, 230, 230), 1, cv2.LINE_AA)
    return np.concatenate([canvas, strip])
