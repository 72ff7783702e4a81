"""How an image compares with those of the calibration: numbers and words, without torch."""

from __future__ import annotations

TYPICAL, UNUSUAL, NOTHING_FOUND = 0, 1, 2
"""How an image compares with those of the calibration."""

IMAGE_WORDS = (
    'like the images of the calibration',
    'out of range: its parts agree less, or its landmarks are fainter, than in any image of the '
    'calibration',
    'no pelvis found: hardly any relation of landmarks is there',
)
