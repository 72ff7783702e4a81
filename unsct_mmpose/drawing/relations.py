"""The relations of the landmarks as a picture: what the paper's Figure 4 shows."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from unsct_mmpose.anatomy import HIP, LandmarkSet, RelationSet

from .canvas import FAINT, INK, new_figure, outlined, to_picture

SAME_SIDE, BOTH_SIDES, NOT_DECIDING = '#6cb8ff', '#ffb454', '#7d8590'
_MARGIN = 0.08
_FOOTER_PX = 96
_BEND, _BENT_DOWN = 0.1, (6, 8, 9)  # straight, some would lie on other landmarks


def figure_relations(
    points: ArrayLike,
    relations: RelationSet,
    deciding: RelationSet | None = None,
    landmarks: LandmarkSet = HIP,
    *,
    width_px: int = 1000,
) -> NDArray[np.uint8]:
    """Draw the relations as arrows between landmarks, in the view of an AP radiograph.

    Args:
        points: ``(K, 2)`` where to put the landmarks, x to the right and y downwards, such as
            those of an average pelvis; any unit.
        relations: what to draw.
        deciding: those of them that decide about presence, drawn as full lines, the others broken;
            None: all.
        landmarks: what they join.
        width_px: of the picture.

    Returns:
        ``(H, W, 3)`` RGB picture.

    Raises:
        ValueError: the points are not those of the K landmarks.
    """
    places = np.asarray(points, float)
    if places.shape != (len(landmarks), 2) or not np.isfinite(places).all():
        raise ValueError(f'give ({len(landmarks)}, 2) finite points, got {places.shape}')
    low, high = places.min(axis=0), places.max(axis=0)
    border = _MARGIN * (high - low).max()
    size = high - low + 2 * border
    height_px = round(width_px * size[1] / size[0])
    figure = new_figure(width_px, height_px + _FOOTER_PX)
    share = _FOOTER_PX / (height_px + _FOOTER_PX)
    axes = figure.add_axes((0, share, 1, 1 - share))
    axes.set(xlim=(low[0] - border, high[0] + border), ylim=(high[1] + border, low[1] - border))
    axes.axis('off')
    decisive = set((relations if deciding is None else deciding).pairs)
    for pair, cross in zip(relations.pairs, relations.is_cross, strict=True):
        sign = -1 if landmarks.class_indices[pair[0]] + 1 in _BENT_DOWN else 1
        _arrow(axes, *places[list(pair)], bend=sign * _BEND * cross, decides=pair in decisive)
    axes.scatter(*places.T, s=150, color='#20242c', edgecolors=INK, linewidths=0.8, zorder=3)
    for index, (x, y) in zip(landmarks.class_indices, places, strict=True):
        axes.text(
            x, y, str(index + 1), color=INK, fontsize=8, zorder=4, ha='center',
            va='center_baseline', path_effects=outlined(1.0),
        )  # fmt: skip
    crossing = sum(relations.is_cross)
    words = (
        (f'{len(relations) - crossing} relations of one side', SAME_SIDE),
        (f'{crossing} of both sides, from the left to the right', BOTH_SIDES),
        (f'broken: drawn and learnt, but not among the {len(decisive)} that decide', NOT_DECIDING),
    )
    for row, (text, color) in enumerate(words[: 2 if deciding is None else 3]):
        figure.text(0.03, share * (0.78 - 0.26 * row), text, color=color, fontsize=11)
    figure.text(0.97, share * 0.78, "the patient's left", color=FAINT, fontsize=11, ha='right')
    return to_picture(figure)


def _arrow(
    axes: Axes,
    tail: NDArray[np.float64],
    head: NDArray[np.float64],
    *,
    bend: float,
    decides: bool,
) -> None:
    color = BOTH_SIDES if bend else SAME_SIDE
    axes.annotate(
        '',
        xy=tuple(head),
        xytext=tuple(tail),
        arrowprops=dict(
            arrowstyle='-|>,head_width=0.22,head_length=0.5',
            color=color,
            alpha=1.0 if decides else 0.7,
            linewidth=1.6 if decides else 1.1,
            linestyle='solid' if decides else (0, (4, 3)),
            connectionstyle=f'arc3,rad={bend}',
            shrinkA=7,
            shrinkB=7,
        ),
    )
