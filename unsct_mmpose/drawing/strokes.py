"""OpenCV strokes with fractions of a pixel, and how sure a landmark is as a colour and a shape.

The colours are those of Okabe and Ito (2008), which colour-blind people tell apart; every level has
a shape of its own as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.anatomy import LandmarkEstimate

_Color = tuple[int, int, int]

LINE_PX = 24
"""Height of a line of text below a picture."""

_INK = (235, 235, 235)
_SQUARE = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
_DIAMOND = np.array([(0.0, -1.4), (1.4, 0.0), (0.0, 1.4), (-1.4, 0.0)])
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_MARGIN_PX = 10
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


@dataclass(frozen=True)
class Certainty:
    """A level of certainty.

    Attributes:
        key: for programs and style sheets.
        words: for people.
        color: ``#rrggbb``, for a dark background.
        shape: ``'circle'``, ``'square'``, ``'diamond'``, ``'ring'`` or ``'cross'``.
    """

    key: str
    words: str
    color: str
    shape: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as three numbers, 0 to 255."""
        red, green, blue = bytes.fromhex(self.color[1:])
        return red, green, blue


SURE = Certainty('sure', 'sure: P(shown) at least 99 %', '#56B4E9', 'circle')
FAIR = Certainty('fair', 'fairly sure: 90 to 99 %', '#F0E442', 'square')
_UNSURE = Certainty('unsure', 'unsure: below 90 %', '#E69F00', 'diamond')
UNKNOWN = Certainty('unknown', 'certainty unknown: model not calibrated', '#FFFFFF', 'ring')
REJECTED = Certainty('rejected', 'rejected: the image does not show it', '#FF7FB0', 'cross')

LEVELS = (SURE, FAIR, _UNSURE, UNKNOWN, REJECTED)


def certainty_of(landmark: LandmarkEstimate) -> Certainty:
    """Return the level of a landmark, by P(the image shows it)."""
    if not landmark.reported:
        return REJECTED
    if landmark.presence is None:
        return UNKNOWN
    if landmark.presence >= 0.99:
        return SURE
    return FAIR if landmark.presence >= 0.9 else _UNSURE


def _fixed(points: NDArray[np.floating]) -> NDArray[np.int32]:
    return np.rint(np.clip(points, -1e5, 1e5) * (1 << _SHIFT)).astype(np.int32)


def _pair(point: NDArray[np.floating]) -> tuple[int, int]:
    x, y = _fixed(point)
    return int(x), int(y)


def draw_disc(
    canvas: NDArray[np.uint8],
    point: NDArray[np.floating],
    radius_px: float,
    color: _Color,
    thickness: int = -1,
) -> None:
    """Draw a disc, or with a positive thickness a ring."""
    radius = int(radius_px * (1 << _SHIFT))
    cv2.circle(canvas, _pair(point), radius, color, thickness, cv2.LINE_AA, _SHIFT)


def draw_line(
    canvas: NDArray[np.uint8],
    start: NDArray[np.floating],
    end: NDArray[np.floating],
    color: _Color,
    thickness: int = 1,
) -> None:
    """Draw a segment."""
    cv2.line(canvas, _pair(start), _pair(end), color, thickness, cv2.LINE_AA, _SHIFT)


def _draw_cross(
    canvas: NDArray[np.uint8],
    point: NDArray[np.floating],
    color: _Color,
    size_px: float = 6.0,
    thickness: int = 2,
) -> None:
    """Draw a diagonal cross."""
    for offset in np.array([[size_px, size_px], [size_px, -size_px]]):
        draw_line(canvas, point - offset, point + offset, color, thickness)


def draw_loop(canvas: NDArray[np.uint8], points: NDArray[np.floating], color: _Color) -> None:
    """Draw a closed curve through ``(N, 2)`` points."""
    cv2.polylines(canvas, [_fixed(points)], True, color, 1, cv2.LINE_AA, _SHIFT)


def _fill_shape(canvas: NDArray[np.uint8], points: NDArray[np.floating], color: _Color) -> None:
    """Fill the shape with the corners ``(N, 2)``."""
    cv2.fillPoly(canvas, [_fixed(points)], color, cv2.LINE_AA, _SHIFT)


def draw_label(
    canvas: NDArray[np.uint8], point: NDArray[np.floating], text: str, color: _Color
) -> None:
    """Write beside a point, above and to its right."""
    x, y = np.clip(point, -1e4, 1e4)
    place = (int(x) + 8, int(y) - 8)
    cv2.putText(canvas, text, place, _FONT, 0.5, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(canvas, text, place, _FONT, 0.5, color, 1, cv2.LINE_AA)


def draw_marker(
    canvas: NDArray[np.uint8], point: NDArray[np.floating], certainty: Certainty
) -> None:
    """Draw the shape of a level, on a dark rim that keeps it visible on bright bone."""
    for color, grow in (((0, 0, 0), 2), (certainty.rgb, 0)):
        if certainty.shape in ('circle', 'ring'):
            thickness = -1 if certainty.shape == 'circle' else 1 + grow
            draw_disc(canvas, point, 4 + grow, color, thickness)
        elif certainty.shape == 'cross':
            _draw_cross(canvas, point, color, 5.0, 2 + grow)
        else:
            corners = _DIAMOND if certainty.shape == 'diamond' else _SQUARE
            _fill_shape(canvas, point + (4.0 + grow) * corners, color)


def caption_strip(width_px: int, lines: Sequence[str]) -> NDArray[np.uint8]:
    """Return a dark strip with lines of text, each as small as it must be to fit."""
    strip = np.zeros((LINE_PX * len(lines) + 8, width_px, 3), np.uint8)
    for row, text in enumerate(lines):
        size = 0.5 * min(1.0, (width_px - 2 * _MARGIN_PX) / max(_width(text), 1))
        place = (_MARGIN_PX, LINE_PX * (row + 1) - 6)
        cv2.putText(strip, text, place, _FONT, size, _INK, 1, cv2.LINE_AA)
    return strip


def legend_strip(
    width_px: int, entries: Sequence[tuple[str, Certainty | None]]
) -> NDArray[np.uint8]:
    """Return a dark strip with texts, each after the marker of its level, in rows that fit.

    Args:
        width_px: width of the strip.
        entries: text and level; None where there is no marker.
    """
    strip = np.zeros((LINE_PX * len(entries) + 8, width_px, 3), np.uint8)
    left, row = _MARGIN_PX, 0
    for text, level in entries:
        wide = _width(text) + (16 if level else 0)
        if left > _MARGIN_PX and left + wide + _MARGIN_PX > width_px:
            left, row = _MARGIN_PX, row + 1
        baseline = LINE_PX * (row + 1) - 6
        if level is not None:
            draw_marker(strip, np.array([left + 5.0, baseline - 5.0]), level)
        place = (left + (16 if level else 0), baseline)
        cv2.putText(strip, text, place, _FONT, 0.5, _INK, 1, cv2.LINE_AA)
        left += wide + 2 * _MARGIN_PX
    return strip[: LINE_PX * (row + 1) + 8]


def _width(text: str) -> int:
    return int(cv2.getTextSize(text, _FONT, 0.5, 1)[0][0])
