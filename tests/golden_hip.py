"""Landmarks that look like two hips."""

import numpy as np
import pytest

RIGHT_MM = np.array(
    [(-63, -45), (-62, -8), (-102, -24), (-70, -21), (-71, -2), (-86.5, 0), (-124, -7), (-57, 18),
     (-47, 65), (-110, 22), (-122, 70), (-115, 150)], float
)  # fmt: skip
"""The golden hip: a right side in an AP view, mm from the middle of the pelvis, y downwards."""
PELVIS_MM = np.concatenate((RIGHT_MM * [-1, 1], RIGHT_MM))
"""The same with its mirror image as the left side, ``(24, 2)``."""
GOLDEN_MM = PELVIS_MM + [215, 200]
"""The same in an image of 430 x 400 mm."""


@pytest.fixture
def hips_mm():
    """Landmarks of both hips, ``(24, 2)`` mm from the middle of the body, y downwards."""
    left = np.array(
        [(55, -60), (75, -10), (115, -35), (80, -30), (80, -2), (90, 0), (150, -10), (62, 15),
         (60, 75), (118, 28), (140, 90), (136, 150)], float
    )  # fmt: skip
    return np.concatenate([left, left * (-1, 1)])
