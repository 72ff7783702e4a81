"""A picture of the clinical measurements: where each is read, and a table of the values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from unsct_mmpose.anatomy import SIDES, ClinicalParameter, Measurement
from unsct_mmpose.anatomy.parameters import IMAGE_AXES, REPORTED
from unsct_mmpose.functional.clinical import Measurements, measure

from .canvas import FAINT, INK, outlined, radiograph_panel, to_picture
from .sketches import REFERENCE, REFERENCE_COLOR, Sketch, sketch_measurements

DRAWN = tuple(row for row in REPORTED if row.drawing)
"""The rows of the table of clinical parameters that are drawn."""

_ROW_PX = 24
_FOOTER_PX = 30 + _ROW_PX * len(DRAWN) + 32


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
    points, shown = np.asarray(points, float), np.asarray(reported, bool)
    shown = shown & np.isfinite(points).all(axis=-1)
    spacing = np.ones(2) if spacing_xy_mm is None else np.asarray(spacing_xy_mm, float)
    measured = measure(
        points, shown, spacing, covariances_px=covariances_px, magnification=magnification
    )
    figure, axes, strip = radiograph_panel(
        image, long_side_px=long_side_px, footer_px=_FOOTER_PX, brightness=0.85
    )
    sketches = sketch_measurements(points, shown, spacing)
    if REFERENCE in sketches:
        axes.axline(
            *sketches[REFERENCE].lines[0], color=REFERENCE_COLOR, lw=1.1, ls=(0, (7, 5)),
            path_effects=outlined(2.2),
        )  # fmt: skip
    drawn = [
        (row, sketches[name])
        for row in DRAWN
        for name in (f'{side}_{row.name}' for side in SIDES)
        if (row.unit == 'deg' or spacing_xy_mm is not None)
        and name in sketches
        and measured[name].value is not None
    ]
    _draw_sketches(axes, drawn)
    axes.plot(*points[shown].T, 'o', ms=3.2, color='white', mec='black', mew=0.6, zorder=5)
    _write_table(strip, measured, spacing_xy_mm is not None, magnification)
    return to_picture(figure)


def _draw_sketches(axes: Axes, drawn: Sequence[tuple[ClinicalParameter, Sketch]]) -> None:
    """Draw finely what values are read between, and above it boldly what was measured."""
    for row, sketch in drawn:
        for line in sketch.lines[1:] if sketch.arc is None else sketch.lines:
            _line(axes, line, row.drawing.color, 1.0, alpha=0.75)
    for row, sketch in drawn:
        value = sketch.lines[0] if sketch.arc is None else sketch.arc
        bold = row.unit == 'mm' or sketch.arc is not None
        _line(axes, value, row.drawing.color, 2.6 if bold else 1.4)


def _line(axes: Axes, line: np.ndarray, color: str, width: float, alpha: float = 1.0) -> None:
    axes.plot(
        *line.T, color=color, lw=width, alpha=alpha, solid_capstyle='round',
        path_effects=outlined(width * 100 / 72 + 1.6) if alpha == 1.0 else None,
    )  # fmt: skip


def _write_table(
    strip: Axes, measured: Measurements, has_spacing: bool, magnification: float
) -> None:
    """Write the values: the patient's right in the left column, as in the image."""
    width, height = strip.get_xlim()[1], strip.get_ylim()[1]
    columns = dict(right=0.50 * width, left=0.78 * width)
    top = height - 18
    for side, x in columns.items():
        strip.text(x, top, side, color=FAINT, fontsize=9.5, va='center')
    for position, row in enumerate(DRAWN, 1):
        y = top - _ROW_PX * position
        strip.plot([14, 40], [y, y], color=row.drawing.color, lw=3, solid_capstyle='round')
        strip.text(52, y, row.drawing.title, color=INK, fontsize=10.5, va='center')
        for side, x in columns.items():
            value = _value_text(measured[f'{side}_{row.name}'], has_spacing)
            strip.text(x, y, value, color=INK, fontsize=10.5, va='center')
    y = top - _ROW_PX * (len(DRAWN) + 1) - 4
    text = _frame_text(measured, has_spacing, magnification)
    strip.text(14, y, text, color=FAINT, fontsize=9.5, va='center')


def _value_text(measurement: Measurement, has_spacing: bool) -> str:
    """Write a value with its standard error, or a dash."""
    if measurement.value is None or (measurement.unit == 'mm' and not has_spacing):
        return '–'
    symbol = '°' if measurement.unit == 'deg' else ' mm'
    if measurement.standard_error is None:
        return f'{measurement.value:.1f}{symbol}'
    return f'{measurement.value:.1f} ± {measurement.standard_error:.1f}{symbol}'


def _frame_text(measured: Measurements, has_spacing: bool, magnification: float) -> str:
    words = [f'dashed: reference line {measured.reference_line.replace("-", "–")}']
    if measured.reference_line == IMAGE_AXES:
        words = ["no reference line: read against the image's axes"]
    if np.isfinite(measured.standard_errors).any():
        words.append('± standard error')
    if not has_spacing:
        words.append('no pixel spacing: angles only')
    elif magnification != 1.0:
        words.append(f'magnification {magnification:.3g} taken off')
    return '; '.join(words)
