"""A picture of the clinical measurements: where each is read, and a table of the values."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from unsct_mmpose.functional.clinical import Measurement, Measurements, measure

from .canvas import FAINT, INK, outlined, radiograph_panel, to_picture
from .measurement_geometry import reference_ends, shaft_axes, sketch_measurements

ROWS = (
    ('center_edge_angle_deg', 'Centre-edge angle', '#ffd166'),
    ('sharp_angle_deg', 'Sharp angle', '#06d6a0'),
    ('neck_shaft_angle_deg', 'Neck-shaft angle', '#ff7ab6'),
    ('femoral_offset_mm', 'Femoral offset', '#5ec8ff'),
    ('acetabular_offset_mm', 'Acetabular offset', '#ff9d5c'),
)
"""What is drawn: name without its side, words, colour."""

_ROW_PX = 24
_FOOTER_PX = 30 + _ROW_PX * len(ROWS) + 32


def measurement_panel(
    image: NDArray[np.generic],
    points: ArrayLike,
    reported: ArrayLike,
    spacing_xy_mm: ArrayLike | None,
    *,
    magnification: float = 1.0,
    covariances_px: ArrayLike | None = None,
    long_side_px: int = 900,
) -> NDArray[np.uint8]:
    """Draw where the clinical measurements are read, and their values below.

    Only what the reported landmarks define is drawn; the table has a dash for the rest. Without a
    spacing pixels count as square and only angles are given.

    Args:
        image: ``(H, W)`` or ``(H, W, C)`` radiograph, any depth.
        points: ``(24, 2)`` landmarks, image pixels.
        reported: ``(24,)`` bool.
        spacing_xy_mm: ``(2,)`` size of a pixel, mm; None: unknown.
        magnification: a length on the detector over that in the patient; 1.0 gives mm at the
            detector.
        covariances_px: ``(24, 2, 2)`` covariances of the landmarks, for standard errors.
        long_side_px: the radiograph's longer side in the picture.

    Returns:
        ``(H', W', 3)`` RGB picture.
    """
    points, seen = np.asarray(points, float), np.asarray(reported, bool)
    seen = seen & np.isfinite(points).all(axis=-1)
    spacing = np.ones(2) if spacing_xy_mm is None else np.asarray(spacing_xy_mm, float)
    found = measure(
        points, seen, spacing, covariances_px=covariances_px, magnification=magnification
    )
    figure, axes, strip = radiograph_panel(
        image, long_side_px=long_side_px, footer_px=_FOOTER_PX, brightness=0.85
    )
    _draw_frame(axes, found, points, seen)
    sketches = sketch_measurements(found, points, seen, spacing, magnification)
    for output, _, color in ROWS:
        if spacing_xy_mm is None and output.endswith('_mm'):
            continue
        for side in ('left', 'right'):
            sketch = sketches.get(f'{side}_{output}')
            if sketch is not None:
                for line in sketch.lines:
                    _line(axes, line, color, 1.0, alpha=0.75)
                _line(axes, sketch.value, color, 2.6)
    axes.plot(*points[seen].T, 'o', ms=3.2, color='white', mec='black', mew=0.6, zorder=5)
    _write_table(strip, found, spacing_xy_mm is not None, magnification)
    return to_picture(figure)


def _draw_frame(axes: Axes, found: Measurements, points: np.ndarray, seen: np.ndarray) -> None:
    """Draw the reference line across the picture, and the shaft axes."""
    ends = reference_ends(found, points)
    if ends is not None:
        axes.axline(*ends, color=INK, lw=1.1, ls=(0, (7, 5)), path_effects=outlined(2.2))
    for axis in shaft_axes(points, seen):
        axes.plot(*axis.T, color=INK, lw=1.0, ls=(0, (2, 3)), path_effects=outlined(2.0))


def _line(axes: Axes, line: np.ndarray, color: str, width: float, alpha: float = 1.0) -> None:
    axes.plot(
        *line.T, color=color, lw=width, alpha=alpha, solid_capstyle='round',
        path_effects=outlined(width * 100 / 72 + 1.6) if alpha == 1.0 else None,
    )  # fmt: skip


def _write_table(strip: Axes, found: Measurements, has_spacing: bool, magnification: float) -> None:
    """Write the values: the patient's right in the left column, as in the image."""
    width, height = strip.get_xlim()[1], strip.get_ylim()[1]
    columns = dict(right=0.50 * width, left=0.78 * width)
    top = height - 18
    for side, x in columns.items():
        strip.text(x, top, side, color=FAINT, fontsize=9.5, va='center')
    for row, (output, words, color) in enumerate(ROWS):
        y = top - _ROW_PX * (row + 1)
        strip.plot([14, 40], [y, y], color=color, lw=3, solid_capstyle='round')
        strip.text(52, y, words, color=INK, fontsize=10.5, va='center')
        for side, x in columns.items():
            value = _words(found[f'{side}_{output}'], has_spacing)
            strip.text(x, y, value, color=INK, fontsize=10.5, va='center')
    y = top - _ROW_PX * (len(ROWS) + 1) - 4
    strip.text(
        14,
        y,
        _frame_words(found, has_spacing, magnification),
        color=FAINT,
        fontsize=9.5,
        va='center',
    )


def _words(one: Measurement, has_spacing: bool) -> str:
    """Write a value with its standard error, or a dash."""
    if np.isnan(one.value) or (one.unit == 'mm' and not has_spacing):
        return '–'
    unit_word, space = ('°', '') if one.unit == 'deg' else ('mm', ' ')
    if np.isnan(one.standard_error):
        return f'{one.value:.1f}{space}{unit_word}'
    return f'{one.value:.1f} ± {one.standard_error:.1f}{space}{unit_word}'


def _frame_words(found: Measurements, has_spacing: bool, magnification: float) -> str:
    words = [f'dashed: reference line {found.reference_line.replace("-", "–")}']
    if found.reference_line == 'image axes':
        words = ["no reference line: read against the image's axes"]
    if np.isfinite(found.standard_errors).any():
        words.append('± standard error')
    if not has_spacing:
        words.append('no pixel spacing: angles only')
    elif magnification != 1.0:
        words.append(f'magnification {magnification:.3g} taken off')
    return '; '.join(words)
