"""Landmarks that look like two hips."""

import numpy as np
import pytest


@pytest.fixture
def hips_mm():
    """Landmarks of both hips, ``(24, 2)`` mm from the middle of the body, y downwards."""
    left = np.array(
        [(55, -60), (75, -10), (115, -35), (80, -30), (80, -2), (90, 0), (150, -10), (62, 15),
         (60, 75), (118, 28), (140, 90), (136, 150)], float
    )  # fmt: skip
    return np.concatenate([left, left * (-1, 1)])
