"""Several pictures on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from .canvas import SHEET

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
