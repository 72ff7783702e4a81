"""OpenCV strokes with fractions of a pixel, for every picture with landmarks on a radiograph."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Color = tuple[int, int, int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_MARGIN_PX = 10
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


def _fixed(points: NDArray[np.floating]) -> NDArray[np.int32]:
    return np.rint(np.clip(points, -1e5, 1e5) * (1 << _SHIFT)).astype(np.int32)


def _pair(point: NDArray[np.floating]) -> tuple[int, int]:
    x, y = _fixed(point)
    return int(x), int(y)


def draw_disc(
    canvas: NDArray[np.uint8],
    point: NDArray[np.floating],
    radius_px: float,
    color: Color,
    thickness: int = -1,
) -> None:
    """Draw a disc, or with a positive thickness a ring."""
    radius = int(radius_px * (1 << _SHIFT))
    cv2.circle(canvas, _pair(point), radius, color, thickness, cv2.LINE_AA, _SHIFT)


def draw_line(
    canvas: NDArray[np.uint8],
    start: NDArray[np.floating],
    end: NDArray[np.floating],
    color: Color,
    thickness: int = 1,
) -> None:
    """Draw a segment."""
    cv2.line(canvas, _pair(start), _pair(end), color, thickness, cv2.LINE_AA, _SHIFT)


def draw_cross(
    canvas: NDArray[np.uint8],
    point: NDArray[np.floating],
    color: Color,
    size_px: float = 6.0,
    thickness: int = 2,
) -> None:
    """Draw a diagonal cross."""
    for offset in np.array([[size_px, size_px], [size_px, -size_px]]):
        draw_line(canvas, point - offset, point + offset, color, thickness)


def draw_loop(canvas: NDArray[np.uint8], points: NDArray[np.floating], color: Color) -> None:
    """Draw a closed curve through ``(N, 2)`` points."""
    cv2.polylines(canvas, [_fixed(points)], True, color, 1, cv2.LINE_AA, _SHIFT)


def fill_shape(canvas: NDArray[np.uint8], points: NDArray[np.floating], color: Color) -> None:
    """Fill the shape with the corners ``(N, 2)``."""
    cv2.fillPoly(canvas, [_fixed(points)], color, cv2.LINE_AA, _SHIFT)


def draw_word(
    canvas: NDArray[np.uint8], point: NDArray[np.floating], text: str, color: Color
) -> None:
    """Write beside a point, above and to its right."""
    x, y = np.clip(point, -1e4, 1e4)
    place = (int(x) + 8, int(y) - 8)
    cv2.putText(canvas, text, place, _FONT, 0.5, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(canvas, text, place, _FONT, 0.5, color, 1, cv2.LINE_AA)


def caption_strip(
    width_px: int, *parts: str | NDArray[np.uint8], height_px: int = 34
) -> NDArray[np.uint8]:
    """Return a dark strip with words, cut where they do not fit, and colour bars.

    Args:
        width_px: width of the strip.
        parts: from left to right: words, or ``(N, 3)`` colours of a bar of N pixels.
        height_px: height of the strip.
    """
    strip = np.zeros((height_px, width_px, 3), dtype=np.uint8)
    left = _MARGIN_PX
    for part in parts:
        if isinstance(part, str):
            words = _fitting(part, width_px - left - _MARGIN_PX)
            place = (left, height_px // 2 + 6)
            cv2.putText(strip, words, place, _FONT, 0.55, (230, 230, 230), 1, cv2.LINE_AA)
            left += _width(words) + _MARGIN_PX
        else:
            bar = part[: max(width_px - left, 0)]
            strip[height_px // 2 - 6 : height_px // 2 + 6, left : left + len(bar)] = bar
            left += len(bar) + _MARGIN_PX
    return strip


def _fitting(words: str, width_px: int) -> str:
    """Cut words to a width."""
    short = words
    while short and _width(short) > width_px:
        words = words[:-1]
        short = f'{words}...' if words else ''
    return short


def _width(words: str) -> int:
    return int(cv2.getTextSize(words, _FONT, 0.55, 1)[0][0])
