"""Radiographs in grey, OpenCV strokes on them, and how sure a landmark is as colour and shape.

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
from unsct_mmpose.functional.crop import grey_levels

_Color = tuple[int, int, int]

LINE_PX = 24
"""Height of a line of text below a picture."""

_INK = (235, 235, 235)
_SQUARE = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
_DIAMOND = np.array([(0.0, -1.4), (1.4, 0.0), (0.0, 1.4), (-1.4, 0.0)])
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_MARGIN_PX = 10
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


_TAIL = 0.5  # percent of the pixels
_GREY_WEIGHTS = np.array([0.299, 0.587, 0.114])


def to_gray(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return what a screen shows of an image of any depth.

    Eight bits stay as they are and floats in [0, 1] fill the range; anything else is windowed by
    its own values, without its extremes.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``, integers or floats; C of 3 or 4 is RGB.

    Returns:
        ``(H, W)``.

    Raises:
        ValueError: the image has another number of dimensions or no pixels.
    """
    image = np.asarray(image)
    if image.ndim not in (2, 3) or not image.size:
        raise ValueError(f'an image is (H, W) or (H, W, C) with pixels, got {image.shape}')
    gray = image if image.ndim == 2 else _one_channel(image)
    if image.dtype == np.uint8:
        return np.rint(gray).astype(np.uint8)
    if gray.dtype.kind == 'f':
        gray = np.nan_to_num(gray, nan=0.0, posinf=0.0, neginf=0.0)
        if gray.min() >= 0 and gray.max() <= 1:
            return grey_levels(gray)
    low, high = np.percentile(gray, (_TAIL, 100 - _TAIL))
    share = (gray.astype(np.float64) - low) / (high - low if high > low else 1.0)
    return np.rint(np.clip(share, 0.0, 1.0) * 255.0).astype(np.uint8)


def _one_channel(image: NDArray[np.generic]) -> NDArray[np.generic]:
    first = image[..., 0]
    if image.shape[2] < 3 or (image[..., :3] == first[..., None]).all():
        return first
    return image[..., :3] @ _GREY_WEIGHTS


def scaled_gray(
    image: NDArray[np.generic], long_side_px: int, *, enlarge: bool = True
) -> NDArray[np.uint8]:
    """Return what a screen shows of an image, ``(H', W')`` with a given longer side.

    Args:
        image: as for :func:`to_gray`.
        long_side_px: longer side of the result.
        enlarge: whether a smaller image is enlarged too.
    """
    gray = to_gray(image)
    scale = long_side_px / max(gray.shape)
    if scale > 1 and not enlarge:
        return gray
    size = [max(1, round(side * scale)) for side in gray.shape[::-1]]
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(gray, size, interpolation=way), np.uint8)


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


def draw_loop(canvas: NDArray[np.uint8], points: NDArray[np.floating], color: _Color) -> None:
    """Draw a closed curve through ``(N, 2)`` points."""
    cv2.polylines(canvas, [_fixed(points)], True, color, 1, cv2.LINE_AA, _SHIFT)


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
            for offset in np.array([[5.0, 5.0], [5.0, -5.0]]):
                draw_line(canvas, point - offset, point + offset, color, 2 + grow)
        else:
            corners = _DIAMOND if certainty.shape == 'diamond' else _SQUARE
            shape = _fixed(point + (4.0 + grow) * corners)
            cv2.fillPoly(canvas, [shape], color, cv2.LINE_AA, _SHIFT)


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
    """Return a dark strip with texts in rows that fit, each after the marker of its level."""
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
