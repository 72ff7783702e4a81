"""A picture of example radiographs, for people."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from unsct_mmpose.anatomy import LANDMARK_NAMES
from unsct_mmpose.drawing.picture_files import write_picture

from .generate import PhantomRadiograph, make_case


def contact_sheet(
    path: str | os.PathLike[str], *, seed: int = 0, columns: int = 5, tile: int = 320
) -> None:
    """Draw example images to a PNG: a row without, a row with landmarks, of either subset.

    ``columns`` examples of each, ``tile`` pixels wide.
    """
    rows = []
    for subset in ('structured', 'unstructured'):
        first = seed + (0 if subset == 'structured' else columns)
        cases = [make_case(first + number, subset=subset) for number in range(columns)]
        rows.append(np.hstack([_tile(case, tile, False) for case in cases]))
        rows.append(np.hstack([_tile(case, tile, True) for case in cases]))
    write_picture(Path(path), np.vstack(rows)[..., ::-1])


def _tile(case: PhantomRadiograph, side: int, marked: bool) -> np.ndarray[Any, Any]:
    grey = case.pixels.astype(np.float32) * (255.0 / (2**case.bits_stored - 1))
    image = cv2.cvtColor(np.rint(grey).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    scale = side / max(image.shape[:2])
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if marked:
        for index, (point, present) in enumerate(zip(case.landmarks_px, case.present, strict=True)):
            if present:
                x, y = np.rint((point + 0.5) * scale - 0.5).astype(int).tolist()
                colour = (0, 220, 255) if index < len(LANDMARK_NAMES) // 2 else (255, 220, 0)
                cv2.circle(image, (x, y), 2, colour, -1, cv2.LINE_AA)
                text = str(index % 12 + 1)
                cv2.putText(image, text, (x + 3, y - 2), cv2.FONT_HERSHEY_SIMPLEX, 0.32, colour, 1,
                            cv2.LINE_AA)  # fmt: skip
    return image
