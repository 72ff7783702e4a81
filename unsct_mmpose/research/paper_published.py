"""The figures that the paper prints, for comparison: other images, of other patients.

Columns as in its Tables 3 to 5: NME, MRE in mm, SDR, PCC, ICC, p of the t test.
"""

from __future__ import annotations

from collections.abc import Mapping

PUBLISHED_COLUMNS = ('NME', 'MRE', 'SDR', 'PCC', 'ICC', 'T-Test')

PUBLISHED: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    'Table 3': {
        'HRNet': (0.145, 12.479, 0.617, 0.846, 0.843, 0.331),
        'HRNet + SRF module': (0.087, 7.442, 0.774, 0.951, 0.949, 0.403),
    },
    'Table 4': {
        'Ori-HRNet': (0.085, 7.228, 0.915, 0.967, 0.964, 0.322),
        'UNSCT-HRNet': (0.073, 6.149, 0.943, 0.975, 0.972, 0.391),
        'Ori-HigherHRNet': (0.087, 6.245, 0.833, 0.967, 0.964, 0.337),
        'UNSCT-HigherHRNet': (0.073, 6.161, 0.943, 0.975, 0.973, 0.387),
        'Ori-HourglassNet': (0.068, 5.637, 0.943, 0.976, 0.973, 0.290),
        'UNSCT-HourglassNet': (0.098, 8.161, 0.800, 0.919, 0.916, 0.281),
    },
    'Table 5': {
        'Ori-HRNet': (0.402, 39.189, 0.111, 0.630, 0.626, 0.385),
        'UNSCT-HRNet': (0.102, 8.206, 0.688, 0.920, 0.916, 0.445),
        'Ori-HigherHRNet': (0.318, 28.316, 0.111, 0.643, 0.638, 0.364),
        'UNSCT-HigherHRNet': (0.104, 8.390, 0.688, 0.919, 0.917, 0.446),
        'Ori-HourglassNet': (0.187, 16.485, 0.125, 0.725, 0.720, 0.335),
    },
}
"""Table 5's last row, UNSCT-HourglassNet, is missing from our copy of the text."""
