"""The figures of the paper, drawn from arrays: convergence, training, uncertainty.

Each says where its data come from: ``source``, such as ``'simulated radiographs'``, is required,
since a figure of simulated images must not pass for one of clinical images; ValueError is raised
where it is empty, or where there is nothing to draw. ``image`` and ``box`` are those of
:mod:`unsct_mmpose.drawing.panels`, ``panel_px`` is the width of each small picture; every figure is
an ``(H, W, 3)`` RGB picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from unsct_mmpose.anatomy import HIP

from .canvas import (
    INK,
    SHEET,
    Box,
    certainty_colors,
    direction_colors,
    heat_colors,
    new_figure,
    outlined,
    show_map,
    show_radiograph,
    to_picture,
    whole,
)
from .panels import field_vectors, strongest_vectors
from .strokes import to_gray

_TITLE_PX = 30
_SOURCE_PX = 30
_GAP_PX = 6
_BOX_PX = 24
_YELLOW = '#ffe14d'


def figure_convergence(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    source: str,
) -> NDArray[np.uint8]:
    """Draw how losses converge, with their spread over seeds: the paper's Figure 5.

    Args:
        curves: by the name of a loss, epochs ``(E,)`` and values ``(E,)`` or ``(seeds, E)``; the
            line is the mean over seeds, the band reaches from the lowest to the highest. NaN
            leaves a gap.
        source: where the data come from, such as ``'simulated radiographs'``.
    """
    if not curves:
        raise ValueError('a figure of convergence needs at least one curve')
    figure = new_figure(1100, 680, color='white')
    axes = figure.add_axes((0.09, 0.14, 0.88, 0.82))
    colors = matplotlib.colormaps['tab10']
    for index, (name, (epochs, values)) in enumerate(curves.items()):
        _curve(axes, name, np.asarray(epochs, float), np.asarray(values, float), colors(index % 10))
    axes.set(xlabel='epoch', ylabel='MRE on validation images (mm)')
    axes.grid(alpha=0.3)
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(frameon=False)
    figure.text(0.01, 0.015, _named(source), fontsize=9, color='#555555')
    return to_picture(figure)


def figure_promise(studies: Mapping[str, Mapping[str, Any]], *, source: str) -> NDArray[np.uint8]:
    """Draw what was promised for new patients against what was held, by calibrating patients.

    Args:
        studies: by the name of a study, ``patients`` ``(S,)`` and ``held[unit][level]``, S
            summaries with ``regions`` and ``parameters``, each with a ``coverage``; the units are
            ``'patient'`` (drawn solid) and ``'image'`` (dashed).
        source: where the data come from, such as ``'simulated radiographs'``.

    Returns:
        ``(H, W, 3)`` RGB picture: coverage of the regions, the mean parameter, and the worst one.
    """
    if not studies:
        raise ValueError('a figure of promises needs at least one study')
    width, height = 1240, 430  # of the row of one study
    figure = new_figure(width, height * len(studies) + _SOURCE_PX, color='white')
    total = height * len(studies) + _SOURCE_PX
    colors = matplotlib.colormaps['viridis']
    for row, (name, study) in enumerate(studies.items()):
        for column, words in enumerate(('landmark regions', 'mean parameter', 'worst parameter')):
            bottom = 1 - (height * (row + 1) - 60) / total
            axes = figure.add_axes((0.055 + 0.32 * column, bottom, 0.28, (height - 110) / total))
            _promises(axes, study, column, colors)
            axes.set_title(f'{words}\n{name}', fontsize=9)
            axes.set(xlabel='patients that calibrate', ylim=(0.3, 1.01))
            if column == 0:
                axes.set_ylabel('held for new patients')
            if row == column == 0:  # between the curves of 50 and 80 %
                axes.legend(
                    frameon=False, fontsize=7, ncol=2, loc='center right', bbox_to_anchor=(1, 0.46)
                )
    figure.text(0.01, 0.005, _named(source), fontsize=9, color='#555555')
    return to_picture(figure)


def _promises(axes: Axes, study: Mapping[str, Any], column: int, colors: Any) -> None:
    patients = np.asarray(study['patients'], float)
    styles = {'patient': ('-', 'o', 'by patient'), 'image': ('--', 'x', 'by image, as before')}
    for unit, levels in study['held'].items():
        line, marker, words = styles[unit]
        for index, (level, held) in enumerate(levels.items()):
            color = colors(index / max(len(levels) - 1, 1) * 0.85)
            values = [_shown_coverage(summary, column, level) for summary in held]
            axes.plot(patients, values, line, marker=marker, ms=4, color=color,
                      label=f'{100 * level:g} % {words}')  # fmt: skip
            axes.axhline(level, color=color, lw=0.8, alpha=0.5)
    grid = np.linspace(max(patients.min(), 1), patients.max(), 200)
    axes.plot(grid, grid / (grid + 1), color='#888888', lw=1, ls=':', label='most without a model')
    axes.set_xscale('log')
    axes.set_xticks(patients, [f'{count:g}' for count in patients])
    axes.minorticks_off()
    axes.spines[['top', 'right']].set_visible(False)


def _shown_coverage(summary: Mapping[str, Any], column: int, level: float) -> float:
    if column == 0:
        return float(summary['regions']['coverage'])
    values = [value['coverage'] for value in summary['parameters'].values()]
    numbers = [float(value) for value in values if value is not None and not np.isnan(value)]
    return min(numbers) if column == 2 else float(np.mean(numbers))


def figure_growth(
    runs: Mapping[str, Sequence[Mapping[str, float]]], *, source: str
) -> NDArray[np.uint8]:
    """Draw rows of ``images``, ``seconds`` and ``peak_mb`` of each run, on logarithmic scales.

    A thin line shows what would be linear.
    """
    if not runs:
        raise ValueError('a figure of growth needs at least one run')
    figure = new_figure(1100, 430, color='white')
    colors = matplotlib.colormaps['tab10']
    for column, (key, words) in enumerate((('seconds', 'time (s)'), ('peak_mb', 'memory (MiB)'))):
        axes = figure.add_axes((0.08 + 0.48 * column, 0.16, 0.4, 0.76))
        for index, (name, rows) in enumerate(runs.items()):
            images = np.array([row['images'] for row in rows], float)
            values = np.maximum([row[key] for row in rows], 1e-2)
            axes.plot(images, values, 'o-', color=colors(index), label=name)
            if column == 0:
                linear = values[-1] * images / images[-1]
                axes.plot(images, linear, color=colors(index), alpha=0.3, linewidth=0.8)
        axes.set(xlabel='images', ylabel=words, xscale='log', yscale='log')
        axes.grid(alpha=0.3)
        axes.spines[['top', 'right']].set_visible(False)
    axes.legend(frameon=False)
    figure.text(0.01, 0.015, _named(source), fontsize=9, color='#555555')
    return to_picture(figure)


def figure_training(
    image: NDArray[np.generic],
    snapshots: Mapping[int, tuple[NDArray[np.floating], NDArray[np.floating]]],
    *,
    source: str,
    box: Box | None = None,
    panel_px: int = 300,
) -> NDArray[np.uint8]:
    """Show heatmaps above fields as training goes on: the paper's Figure 8.

    Snapshots are, by epoch, heatmaps ``(K, h, w)`` and fields ``(2 L, h, w)``; the strongest
    landmark and the strongest relation of each cell are shown.
    """
    if not snapshots:
        raise ValueError('a figure of training needs at least one snapshot')
    gray, edges = to_gray(image), box or whole(image)
    titles = [[f'epoch {epoch}' for epoch in snapshots], [''] * len(snapshots)]
    figure, panels = _panels(gray, titles, source, panel_px, 0.6)
    for column, (heatmaps, pafs) in enumerate(snapshots.values()):
        heat = np.clip(np.nan_to_num(heatmaps), 0, 1).max(axis=0)
        vectors = strongest_vectors(field_vectors(pafs, [(0, 1)] * (len(pafs) // 2)))
        show_map(panels[0][column], heat_colors(heat), edges)
        show_map(panels[1][column], direction_colors(vectors), edges)
    for row, words in zip(panels, ('heatmaps', 'fields'), strict=True):
        row[0].text(
            0.03, 0.95, words, transform=row[0].transAxes, color=INK, fontsize=10.5, va='top',
            path_effects=outlined(3, SHEET),
        )  # fmt: skip
    return to_picture(figure)


def figure_uncertainty(
    image: NDArray[np.generic],
    certainty: NDArray[np.floating],
    points: ArrayLike,
    reported: ArrayLike,
    *,
    source: str,
    box: Box | None = None,
    panel_px: int = 460,
) -> NDArray[np.uint8]:
    """Show what uncertainty estimation (UE) rejects: the paper's Figure 9.

    From the left: the radiograph; the certainty map, bright is certain; the landmarks without UE;
    those that remain with it, with yellow boxes where others were rejected. Certainty is ``(h, w)``
    in [0, 1], points are ``(K, 2)`` image pixels.
    """
    gray, reported = to_gray(image), np.asarray(reported, bool)
    points = np.asarray(points, float)
    words = [
        'radiograph',
        'certainty (bright: certain)',
        'without UE',
        f'with UE: {(~reported).sum()} rejected',
    ]
    figure, [panels] = _panels(gray, [words], source, panel_px, 0.85)
    panels[1].images[0].set_alpha(0.35)  # what is behind is dark
    show_map(panels[1], certainty_colors(certainty), box or whole(image))
    everything = np.isfinite(points).all(axis=1)
    for panel, shown in ((panels[2], everything), (panels[3], everything & reported)):
        panel.plot(*points[shown].T, 'o', ms=4.5, color='#35d07f', mec='black', mew=0.7)
    _boxes(panels[3], points, everything & ~reported, gray.shape[1] / panel_px)
    return to_picture(figure)


def _curve(axes: Axes, name: str, epochs: np.ndarray, values: np.ndarray, color: tuple) -> None:
    values = np.atleast_2d(values)
    if epochs.ndim != 1 or values.ndim != 2 or values.shape[1] != len(epochs):
        raise ValueError(f'{name}: {epochs.shape} epochs do not fit values of shape {values.shape}')
    seeds = len(values)
    words = name if seeds == 1 else f'{name} ({seeds} seeds)'
    axes.plot(epochs, values.mean(axis=0), color=color, lw=2, label=words)
    if seeds > 1:
        low, high = values.min(axis=0), values.max(axis=0)
        axes.fill_between(epochs, low, high, color=color, alpha=0.18, lw=0)


def _panels(
    gray: NDArray[np.uint8],
    titles: Sequence[Sequence[str]],
    source: str,
    panel_px: int,
    brightness: float,
) -> tuple[Figure, list[list[Axes]]]:
    """Repeat a radiograph in rows and columns, each with its title, above the source."""
    height_px = max(round(panel_px * gray.shape[0] / gray.shape[1]), 1)
    columns = len(titles[0])
    heads = [_TITLE_PX if any(row) else _GAP_PX for row in titles]
    size = np.array([
        columns * (panel_px + _GAP_PX) - _GAP_PX, len(titles) * height_px + sum(heads) + _SOURCE_PX
    ])  # fmt: skip
    figure = new_figure(*size.tolist())
    top, rows = int(size[1]), []
    for row, head in zip(titles, heads, strict=True):
        top -= head + height_px
        rows.append([])
        for column, words in enumerate(row):
            place = np.array([column * (panel_px + _GAP_PX), top, panel_px, height_px])
            axes = figure.add_axes(tuple(place / np.tile(size, 2)))
            show_radiograph(axes, gray, (height_px, panel_px), brightness)
            axes.set_title(words, color=INK, fontsize=11, pad=7)
            rows[-1].append(axes)
    figure.text(8 / size[0], 10 / size[1], _named(source), color=INK, fontsize=9.5)
    return figure, rows


def _boxes(
    axes: Axes, points: NDArray[np.floating], shown: NDArray[np.bool_], pixel: float
) -> None:
    side = _BOX_PX * pixel
    for index in np.flatnonzero(shown):
        corner = points[index] - side / 2
        axes.add_patch(Rectangle(corner, side, side, fill=False, ec=_YELLOW, lw=1.6))
        axes.text(
            *(points[index] + (side * 0.65, 0)), HIP.labels[index], color=_YELLOW, fontsize=8,
            va='center', path_effects=outlined(2.5, SHEET), clip_on=True,
        )  # fmt: skip


def _named(source: str) -> str:
    if not source.strip():
        raise ValueError("say where the data come from, such as source='simulated radiographs'")
    return source
