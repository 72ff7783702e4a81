"""Landmarks drawn on a radiograph, for reports and for the visualizer alike."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.anatomy import HIP, LandmarkEstimate

from .canvas import scaled_gray
from .strokes import (
    LEVELS,
    certainty_of,
    draw_disc,
    draw_label,
    draw_line,
    draw_loop,
    draw_marker,
    legend_strip,
)

TRUTH_RGB = (90, 230, 110)


def draw_landmarks(
    image: NDArray[np.generic],
    landmarks: Sequence[LandmarkEstimate],
    labels: Sequence[str] = HIP.labels,
    *,
    truth: NDArray[np.floating] | None = None,
    present: NDArray[np.bool_] | None = None,
    long_side_px: int = 1200,
    numbers: bool = True,
) -> NDArray[np.uint8]:
    """Draw predicted landmarks, and the true ones beside them.

    Colours and shapes are those of :mod:`unsct_mmpose.drawing.strokes`: rejected landmarks are
    crosses, reported ones have the ellipse of their region. True ones are green rings, joined to
    their prediction by a line where it is reported.

    Args:
        image: ``(H, W)`` or ``(H, W, C)`` radiograph, any depth.
        landmarks: K predicted ones, image pixels; those without a place are left out.
        labels: short text of each.
        truth: ``(K, 2)`` true landmarks, image pixels.
        present: ``(K,)`` which of the true ones exist; None: all.
        long_side_px: the picture's longer side.
        numbers: whether to write the labels.

    Returns:
        ``(H', W', 3)`` RGB picture.
    """
    image = np.asarray(image)
    gray = scaled_gray(image, long_side_px)
    factor = np.array(gray.shape[::-1]) / image.shape[1::-1]
    canvas = cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)

    def place(points: object) -> NDArray[np.float64]:
        return (np.asarray(points, float) + 0.5) * factor - 0.5

    places = [place((landmark.x, landmark.y)) for landmark in landmarks]
    if truth is not None:
        goals = place(truth)
        shown = np.isfinite(goals).all(axis=1) & (True if present is None else present)
        for k in np.flatnonzero(shown):
            draw_disc(canvas, goals[k], 10, TRUTH_RGB, 2)  # wider than every marker
            if k < len(places) and landmarks[k].reported and np.isfinite(places[k]).all():
                draw_line(canvas, goals[k], places[k], TRUTH_RGB)
    marks = []
    for landmark, label, point in zip(landmarks, labels, places, strict=True):
        if not np.isfinite(point).all():
            continue
        certainty = certainty_of(landmark)
        if landmark.reported and landmark.region is not None:
            axes = np.array(landmark.region.semi_axes_px) * factor.mean()
            if axes.min() > 0:
                outline = point + ellipse_outline(axes, landmark.region.angle_deg)
                draw_loop(canvas, outline, certainty.rgb)
        if numbers:
            draw_label(canvas, point, label, certainty.rgb)
        marks.append((point, certainty))
    for point, certainty in marks:  # last: no number may cover a place
        draw_marker(canvas, point, certainty)
    return canvas


def ellipse_outline(semi_axes: NDArray[np.floating], angle_deg: float) -> NDArray[np.float64]:
    """Return ``(48, 2)`` points of the edge of an ellipse around the origin."""
    turns = np.linspace(0.0, 2.0 * np.pi, 49)[:-1]
    cosine, sine = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    along, across = semi_axes[0] * np.cos(turns), semi_axes[1] * np.sin(turns)
    return np.stack((along * cosine - across * sine, along * sine + across * cosine), axis=-1)


def landmark_legend(
    width_px: int, landmarks: Sequence[LandmarkEstimate], *, truth: bool = False
) -> NDArray[np.uint8]:
    """Return a strip that explains the levels of these landmarks, regions and true ones."""
    levels = {certainty_of(landmark) for landmark in landmarks}
    entries = [(level.words, level) for level in LEVELS if level in levels]
    regions = {f'ellipse: {100 * mark.region.level:g} %' for mark in landmarks if mark.region}
    entries += [(text, None) for text in (*sorted(regions), *['green ring: true'] * truth)]
    return legend_strip(width_px, entries)
