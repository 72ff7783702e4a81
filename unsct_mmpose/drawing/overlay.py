"""Landmarks drawn on a radiograph."""

from __future__ import annotations

import math

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.anatomy import LANDMARK_NAMES, NUM_CLASSES

from .canvas import to_gray
from .strokes import Color, caption_strip, draw_cross, draw_disc, draw_line, draw_loop, draw_word

LEFT_RGB = (255, 160, 60)
RIGHT_RGB = (70, 190, 255)
TRUTH_RGB = (90, 230, 110)
SUPPRESSED_RGB = (235, 70, 70)

REGION_LEVEL = 0.95
"""What an ellipse claims to hold."""

_CERTAINTY = matplotlib.colormaps['plasma']
_DARKEST = 0.3
_REACH = math.sqrt(-2 * math.log1p(-REGION_LEVEL))  # of chi2 with two degrees of freedom


def draw_landmarks(
    image: NDArray[np.generic],
    points: NDArray[np.floating],
    *,
    kept: NDArray[np.bool_] | None = None,
    truth: NDArray[np.floating] | None = None,
    present: NDArray[np.bool_] | None = None,
    certainty: NDArray[np.floating] | None = None,
    covariances: NDArray[np.floating] | None = None,
    caption: str = '',
    long_side_px: int = 1200,
) -> NDArray[np.uint8]:
    """Draw predicted landmarks, and the true ones beside them.

    Reported landmarks are discs with their number of Table 1, orange on the patient's left and
    blue on the right; suppressed ones are red crosses with
    their number; true ones are green rings, joined to their
    prediction by a line. With certainties the discs go from violet (none) to yellow (certain), and
    only the numbers keep the colours of the sides.

    Args:
        image: ``(H, W)`` or ``(H, W, C)`` radiograph, any depth.
        points: ``(24, 2)`` predicted landmarks, image pixels.
        kept: ``(24,)`` which are reported; ``None``: all.
        truth: ``(24, 2)`` true landmarks, image pixels.
        present: ``(24,)`` which of the true ones exist; ``None``: all.
        certainty: ``(24,)`` in [0, 1]; NaN where unknown.
        covariances: ``(24, 2, 2)`` of the reported landmarks, image pixels squared, drawn as
            ellipses of 95 %; NaN where unknown.
        caption: lines of text below the picture.
        long_side_px: the picture's longer side.

    Returns:
        ``(H', W', 3)`` RGB picture.
    """
    kept = np.ones(len(points), dtype=bool) if kept is None else kept
    gray = to_gray(image)
    scale = long_side_px / max(gray.shape)
    resized = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    canvas = cv2.cvtColor(resized, cv2.COLOR_GRAY2RGB)
    placed = (np.asarray(points, dtype=float) + 0.5) * scale - 0.5
    drawn = np.isfinite(placed).all(axis=1)
    if truth is not None:
        known = np.ones(len(truth), dtype=bool) if present is None else present
        goals = (np.asarray(truth, dtype=float) + 0.5) * scale - 0.5
        _draw_truth(canvas, goals, known, placed, kept & drawn)
    if covariances is not None:
        _draw_regions(canvas, placed, np.asarray(covariances, float) * scale**2, kept & drawn)
    for index in np.flatnonzero(drawn):
        side = LEFT_RGB if LANDMARK_NAMES[index].startswith('left') else RIGHT_RGB
        number = str(index % NUM_CLASSES + 1)
        if kept[index]:
            color = side if certainty is None else certainty_rgb(certainty[index])
            draw_disc(canvas, placed[index], 5 if certainty is not None else 4, (0, 0, 0))
            draw_disc(canvas, placed[index], 4 if certainty is not None else 3, color)
            draw_word(canvas, placed[index], number, side)
        else:
            draw_cross(canvas, placed[index], SUPPRESSED_RGB)
            draw_word(canvas, placed[index], number, SUPPRESSED_RGB)
    strips = [caption_strip(canvas.shape[1], line) for line in caption.splitlines()]
    if certainty is not None:
        region = 'ellipse: 95 %' if covariances is not None else ''
        strips.append(_legend(canvas.shape[1], region, 'green: true' if truth is not None else ''))
    return np.concatenate([canvas, *strips])


def certainty_rgb(certainty: float) -> Color:
    """Return the colour of a certainty in [0, 1], violet to yellow; grey where it is NaN."""
    if np.isnan(certainty):
        return (170, 170, 170)
    share = _DARKEST + (1 - _DARKEST) * float(np.clip(certainty, 0, 1))
    red, green, blue, _ = _CERTAINTY(share, bytes=True)
    return int(red), int(green), int(blue)


def region_outline(covariance: NDArray[np.floating]) -> NDArray[np.float64] | None:
    """Return the ellipse of 95 % around the origin.

    Args:
        covariance: ``(2, 2)``.

    Returns:
        ``(64, 2)`` points of its edge; None where the covariance is unknown or is none.
    """
    covariance = np.asarray(covariance, float)
    if not np.isfinite(covariance).all():
        return None
    variances, axes = np.linalg.eigh((covariance + covariance.T) / 2)
    if variances.min() <= 0:
        return None
    turns = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    circle = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    return _REACH * (circle * np.sqrt(variances)) @ axes.T


def _draw_truth(
    canvas: NDArray[np.uint8],
    goals: NDArray[np.floating],
    known: NDArray[np.bool_],
    placed: NDArray[np.floating],
    kept: NDArray[np.bool_],
) -> None:
    for index in np.flatnonzero(known & np.isfinite(goals).all(axis=1)):
        draw_disc(canvas, goals[index], 7, TRUTH_RGB, 2)
        if kept[index]:
            draw_line(canvas, goals[index], placed[index], TRUTH_RGB)


def _draw_regions(
    canvas: NDArray[np.uint8],
    placed: NDArray[np.floating],
    covariances: NDArray[np.floating],
    kept: NDArray[np.bool_],
) -> None:
    for index in np.flatnonzero(kept):
        outline = region_outline(covariances[index])
        if outline is not None:
            draw_loop(canvas, placed[index] + outline, (225, 225, 225))


def _legend(width_px: int, *more: str) -> NDArray[np.uint8]:
    """Return a strip that explains the colours."""
    colors = np.array([certainty_rgb(value) for value in np.linspace(0, 1, 140)], np.uint8)
    words = '     '.join(('1     red: not reported', *filter(None, more)))
    return caption_strip(width_px, 'certainty  0', colors, words)
