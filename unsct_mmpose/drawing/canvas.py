"""A dark sheet with a radiograph on it: lines and text of matplotlib's quality, in image pixels.

No global state of matplotlib is touched: figures are made, rendered and forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap, hsv_to_rgb, to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import AbstractPathEffect, withStroke
from numpy.typing import NDArray

from unsct_mmpose.functional.crop import grey_levels

Box = tuple[float, float, float, float]
"""Left, top, right, bottom edge of a map in the image, pixels; the first one starts at -0.5."""

SHEET = '#101216'
INK = '#e8e8e8'
FAINT = '#9aa0a8'
_DPI = 100
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


def new_figure(width_px: int, height_px: int, color: str = SHEET) -> Figure:
    """Return an empty figure of a size in pixels."""
    figure = Figure(figsize=(width_px / _DPI, height_px / _DPI), dpi=_DPI, facecolor=color)
    FigureCanvasAgg(figure)
    return figure


def to_picture(figure: Figure) -> NDArray[np.uint8]:
    """Render a figure: ``(H, W, 3)`` RGB."""
    figure.canvas.draw()
    return np.ascontiguousarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])


def radiograph_panel(
    image: NDArray[np.generic],
    *,
    long_side_px: int,
    footer_px: int = 44,
    brightness: float = 1.0,
) -> tuple[Figure, Axes, Axes]:
    """Start a picture: a radiograph, and below it a strip for words and colour bars.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``.
        long_side_px: the radiograph's longer side in the picture.
        footer_px: height of the strip; 0 leaves it out of sight.
        brightness: factor below 1 dims the radiograph behind what is drawn on it.

    Returns:
        The figure; axes in image pixels, ``(0, 0)`` the centre of the top-left one; axes of the
        strip, in pixels of the picture, x to the right and y upwards.
    """
    gray = to_gray(image)
    scale = long_side_px / max(gray.shape)
    height, width = (max(round(side * scale), 1) for side in gray.shape)
    figure = new_figure(width, height + footer_px)
    share = footer_px / (height + footer_px)
    axes = figure.add_axes((0, share, 1, 1 - share))
    show_radiograph(axes, gray, (height, width), brightness)
    strip = figure.add_axes((0, 0, 1, max(share, 1e-6)))
    strip.set(xlim=(0, width), ylim=(0, max(footer_px, 1)))
    strip.axis('off')
    return figure, axes, strip


def show_radiograph(
    axes: Axes, gray: NDArray[np.uint8], size_hw: tuple[int, int], brightness: float = 1.0
) -> None:
    """Fill axes with a radiograph, in its own pixels, without frame.

    Args:
        axes: where.
        gray: ``(H, W)``.
        size_hw: size of the axes in pixels of the picture, to which it is averaged.
        brightness: factor of the grey values.
    """
    way = cv2.INTER_AREA if size_hw[0] < gray.shape[0] else cv2.INTER_LINEAR
    shown = cv2.resize(gray, size_hw[::-1], interpolation=way) * np.float32(brightness)
    height, width = gray.shape
    edges = (-0.5, width - 0.5, height - 0.5, -0.5)
    # three bytes a pixel at the final size: matplotlib copies them
    axes.imshow(
        cv2.merge([np.rint(shown).astype(np.uint8)] * 3),
        extent=edges, aspect='auto', interpolation='nearest',
    )  # fmt: skip
    axes.set(xlim=edges[:2], ylim=edges[2:])
    axes.axis('off')


def whole(image: NDArray[np.generic]) -> Box:
    """Return the box of maps that cover the whole image."""
    return (-0.5, -0.5, image.shape[1] - 0.5, image.shape[0] - 0.5)


def show_map(axes: Axes, rgba: NDArray[np.floating], box: Box) -> None:
    """Lay a map over a radiograph.

    Args:
        axes: of :func:`radiograph_panel`.
        rgba: ``(H, W, 4)`` colours in [0, 1], one for each cell.
        box: the map's edges in the image.
    """
    limits = axes.get_xlim(), axes.get_ylim()
    left, top, right, bottom = box
    axes.imshow(rgba, extent=(left, right, bottom, top), interpolation='bilinear', aspect='auto')
    axes.set(xlim=limits[0], ylim=limits[1])


def outlined(width_px: float = 2.5, color: str = 'black') -> list[AbstractPathEffect]:
    """Return path effects that keep text and lines legible on bone and on air."""
    return [withStroke(linewidth=width_px * 72 / _DPI, foreground=color)]


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


GAP_PX = 6


def arrange(rows: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """Put pictures into rows, each at its own size, aligned at the top left.

    Args:
        rows: ``(H, W, 3)`` RGB pictures of each row, from the left; empty rows are left out.

    Returns:
        ``(H', W', 3)`` RGB picture.

    Raises:
        ValueError: there is no picture.
    """
    rows = [list(row) for row in rows if len(row)]
    if not rows:
        raise ValueError('a sheet needs at least one picture')
    width = max(sum(picture.shape[1] for picture in row) + GAP_PX * (len(row) - 1) for row in rows)
    heights = [max(picture.shape[0] for picture in row) for row in rows]
    sheet = np.empty((sum(heights) + GAP_PX * (len(rows) - 1), width, 3), np.uint8)
    sheet[:] = np.rint(np.array(to_rgb(SHEET)) * 255)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for picture in row:
            sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
            left += picture.shape[1] + GAP_PX
        top += height + GAP_PX
    return sheet
