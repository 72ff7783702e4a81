"""Colours of the maps, and the strip below a picture that explains them."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, hsv_to_rgb
from numpy.typing import NDArray

from .canvas import FAINT, INK

HEAT = LinearSegmentedColormap.from_list('heat', ['#7a1fa2', '#e8403a', '#ffb020', '#fff6b0'])
"""Colours of heatmap values above the radiograph, from weak to strong."""

CERTAINTY = matplotlib.colormaps['inferno']
"""Colours of certainty: black is none, bright is certain."""

_HUB = 0.3


def heat_colors(heat: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return ``(h, w, 4)`` colours of heatmap values ``(h, w)`` in [0, 1]; 0 is transparent."""
    rgba = HEAT(heat)
    rgba[..., 3] = np.clip(heat * 1.6, 0, 0.9)
    return rgba


def certainty_colors(certainty: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return ``(h, w, 4)`` colours of certainties ``(h, w)``; no certainty is transparent."""
    value = np.clip(np.asarray(certainty, float), 0, 1)
    rgba = CERTAINTY(value)
    rgba[..., 3] = np.clip(value * 3, 0, 1)
    return rgba


def direction_colors(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return colours of vectors ``(..., 2)``: the hue is the direction, opaque is long.

    Returns:
        ``(..., 4)`` in [0, 1].
    """
    hue = (np.arctan2(-vectors[..., 1], vectors[..., 0]) / (2 * np.pi)) % 1.0
    length = np.clip(np.linalg.norm(vectors, axis=-1), 0, 1)
    colors = hsv_to_rgb(np.stack([hue, np.full_like(hue, 0.75), np.ones_like(hue)], axis=-1))
    return np.concatenate([colors, length[..., None]], axis=-1)


def title(strip: Axes, words: str) -> None:
    """Write what a picture shows at the left of its strip."""
    middle = sum(strip.get_ylim()) / 2
    strip.text(12, middle, words, color=INK, fontsize=10.5, va='center', ha='left')


def color_bar(strip: Axes, colors: Colormap, low: str, high: str) -> None:
    """Draw a colour bar with the words of both ends at the right of a strip."""
    width, height = strip.get_xlim()[1], strip.get_ylim()[1]
    left, right, middle = width - 200, width - 72, height / 2
    edges = (left, right, middle - 7, middle + 7)
    strip.imshow(np.linspace(0, 1, 256)[None], cmap=colors, extent=edges, aspect='auto')
    strip.set(xlim=(0, width), ylim=(0, height))
    strip.text(left - 8, middle, low, color=FAINT, fontsize=9.5, va='center', ha='right')
    strip.text(right + 8, middle, high, color=FAINT, fontsize=9.5, va='center', ha='left')


def direction_wheel(strip: Axes) -> None:
    """Draw the colours of all directions at the right of a strip."""
    width, height = strip.get_xlim()[1], strip.get_ylim()[1]
    radius = height / 2 - 3
    y, x = np.mgrid[1:-1:96j, -1:1:96j]
    rgba = direction_colors(np.stack([x, -y], axis=-1))
    distance = np.hypot(x, y)
    rgba[..., 3] = np.clip((1 - distance) * 48, 0, 1) * (distance > _HUB)
    center = width - radius - 12
    edges = (center - radius, center + radius, height / 2 - radius, height / 2 + radius)
    strip.imshow(rgba, extent=edges, aspect='auto')
    strip.set(xlim=(0, width), ylim=(0, height))
    words = 'direction, tail to head'
    strip.text(edges[0] - 10, height / 2, words, color=FAINT, fontsize=9.5, va='center', ha='right')
