"""The lead letter on a radiograph: R or L, and whether it is mirrored.

Small bright shapes that stand alone at the sides are compared with the two letters in the fonts of
OpenCV, and with their mirror images. It speaks seldom and is there to warn: what was measured, and
what it does not find, is in ``docs/explanation/sides.md``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

_LETTERS = ('R', 'L')

_HEIGHT_PX = 600
_WIDEST = 8
_BOX = 24
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
)
_LEAST_MATCH = 0.80
_LEAST_LEAD = 0.12
_RING = 5
_MIDDLE = (0.3, 0.7)
_LETTER_HEIGHTS = (6, 36)
_LETTER_WIDTH = 1.3
_LEAST_STEP = 0.06
_TURNS_DEG = (-12, -6, 0, 6, 12)


@dataclass(frozen=True)
class Marker:
    """A letter that was found.

    Attributes:
        letter: ``'R'`` or ``'L'``.
        mirrored: whether it is seen in a mirror.
        x: its centre, as a share of the width.
        y: its centre, as a share of the height.
        match: correlation with the best template.
    """

    letter: str
    mirrored: bool
    x: float
    y: float
    match: float

    @property
    def contradicts(self) -> bool:
        """Whether it says that the image does not lie on the standard display.

        The patient's right is on the left of the display, and the letter reads as usual.
        """
        return self.mirrored or (self.letter == 'R') == (self.x > 0.5)


def find_markers(pixels: NDArray[np.floating]) -> list[Marker]:
    """Find the letters R and L on a radiograph ``(H, W)``, display values in [0, 1].

    Only upright letters of 1 to 6 % of the image's height that stand apart from everything else
    are found, and none where the image is 8 times as wide as high, which no radiograph is.
    """
    height, width = pixels.shape
    if width > _WIDEST * height:
        return []
    size = (max(round(width * (_HEIGHT_PX / height)), 1), _HEIGHT_PX)
    small = cv2.resize(np.asarray(pixels, np.float32), size, interpolation=cv2.INTER_AREA)
    kernel = np.ones((31, 31), np.uint8)  # a rectangle is quick
    raised = cv2.morphologyEx(small, cv2.MORPH_TOPHAT, kernel)
    markers: dict[tuple[int, int], Marker] = {}
    for level in (0.06, 0.12, 0.25, 0.5):
        for x, y, shape in _shapes((raised > level).view(np.uint8)):
            if not _stands_alone(small, shape, x, y):
                continue
            h, w = shape.shape
            marker = _read(shape, (x + w / 2) / size[0], (y + h / 2) / size[1])
            place = (round(x / 10), round(y / 10))
            if marker is not None and (place not in markers or marker.match > markers[place].match):
                markers[place] = marker
    return sorted(markers.values(), key=lambda marker: -marker.match)


def _shapes(bright: NDArray[np.uint8]) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """Yield left, top and mask of what has a letter's size, room around it, and lies at a side.

    Args:
        bright: ``(H, W)`` 0 or 1.
    """
    height, width = bright.shape
    # no letter whose centre lies at a side reaches beyond these
    left = math.ceil(_MIDDLE[0] * width + _LETTER_WIDTH * _LETTER_HEIGHTS[1] / 2) + 1
    right = math.floor(_MIDDLE[1] * width - _LETTER_WIDTH * _LETTER_HEIGHTS[1] / 2) - 1
    parts = [(0, left), (right, width)] if left < right else [(0, width)]
    for start, stop in parts:
        part = bright[:, start:stop]
        most = math.prod((side + 1) // 2 for side in part.shape)
        kind = cv2.CV_16U if most < 65000 else cv2.CV_32S  # half the memory, half the time
        count, labels, stats, _ = cv2.connectedComponentsWithStats(part, ltype=kind)
        lefts, tops, widths, heights, areas = stats[1:count].T
        lefts = lefts + start
        middles = (lefts + widths / 2) / width
        fits = (heights >= _LETTER_HEIGHTS[0]) & (heights <= _LETTER_HEIGHTS[1])
        fits &= (widths >= 0.35 * heights) & (widths <= _LETTER_WIDTH * heights)
        fits &= areas >= 0.15 * widths * heights
        fits &= (lefts >= _RING) & (lefts + widths + _RING <= width)
        fits &= (tops >= _RING) & (tops + heights + _RING <= height)
        fits &= (middles <= _MIDDLE[0]) | (middles >= _MIDDLE[1])
        for index in np.flatnonzero(fits) + 1:
            x, y, w, h, _ = stats[index].tolist()
            yield x + start, y, labels[y : y + h, x : x + w] == index


def _stands_alone(image: NDArray[np.float32], shape: NDArray[np.bool_], x: int, y: int) -> bool:
    """Tell lead, evenly bright with an edge all around, from the edges of bones."""
    height, width = shape.shape
    top, left = y - _RING, x - _RING
    bottom, right = y + height + _RING, x + width + _RING
    mask = np.zeros((height + 2 * _RING, width + 2 * _RING), np.uint8)
    mask[_RING:-_RING, _RING:-_RING] = shape
    near = cv2.dilate(mask, np.ones((3, 3), np.uint8), iterations=2)
    values = image[top:bottom, left:right]
    core, around = np.sort(values[mask > 0]), np.sort(values[near == 0])
    bright, dark = _quantile(core, 0.5), _quantile(around, 0.5)
    step = bright - dark
    return bool(
        step > _LEAST_STEP
        and _quantile(around, 0.98) < dark + 0.35 * step
        and _quantile(core, 0.15) > bright - 0.5 * step
    )


def _quantile(ordered: NDArray[np.float32], share: float) -> float:
    """Return what ``np.quantile`` does, which takes ten times as long for so few values."""
    place = share * (len(ordered) - 1)
    low, high = map(float, ordered[[math.floor(place), math.ceil(place)]])
    return low + (high - low) * (place % 1)


def _read(shape: NDArray[np.bool_], x: float, y: float) -> Marker | None:
    """Return the letter that a shape is; None where it is none, or may be two."""
    patch = _normalised(shape.astype(np.float32)).ravel()
    scores = {key: float((shapes @ patch).max()) for key, shapes in _templates().items()}
    (best, match), (_, second) = sorted(scores.items(), key=lambda item: -item[1])[:2]
    if match < _LEAST_MATCH or match - second < _LEAST_LEAD:
        return None
    return Marker(best[0], best[1], x, y, match)


@cache
def _templates() -> dict[tuple[str, bool], NDArray[np.float32]]:
    """Return the normalised templates of each letter, as it is and mirrored, one in a row."""
    result: dict[tuple[str, bool], NDArray[np.float32]] = {}
    for letter in _LETTERS:
        drawn = [
            _letter(letter, font, thickness, turn)
            for font in _FONTS
            for thickness in (6, 12, 18)
            for turn in _TURNS_DEG
        ]
        for mirrored, step in ((False, 1), (True, -1)):
            shapes = [_normalised(shape[:, ::step]).ravel() for shape in drawn]
            result[letter, mirrored] = np.stack(shapes)
    return result


def _letter(letter: str, font: int, thickness: int, turn_deg: float) -> NDArray[np.float32]:
    drawn = np.zeros((240, 240), np.uint8)
    cv2.putText(drawn, letter, (70, 170), font, 4.5, 255, thickness, cv2.LINE_AA)
    canvas = drawn.astype(np.float32) / 255
    turn = cv2.getRotationMatrix2D((120, 120), turn_deg, 1.0)
    canvas = cv2.warpAffine(canvas, turn, (240, 240))
    ys, xs = np.nonzero(canvas > 0.5)
    return canvas[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]


def _normalised(shape: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a shape in the middle of a box, its proportions kept, mean 0 and norm 1."""
    height, width = shape.shape
    scale = _BOX / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    fitted = cv2.resize(np.ascontiguousarray(shape), size, interpolation=cv2.INTER_AREA)
    box = np.zeros((_BOX, _BOX), np.float32)
    top, left = (_BOX - size[1]) // 2, (_BOX - size[0]) // 2
    box[top : top + size[1], left : left + size[0]] = fitted
    box = cv2.GaussianBlur(box, (0, 0), 1.0)
    box -= box.mean()
    return np.asarray(box / max(float(np.linalg.norm(box)), 1e-6), np.float32)
