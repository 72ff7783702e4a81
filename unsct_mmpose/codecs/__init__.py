"""Codecs of MMPose: landmarks to network targets and back."""

import unsct_mmpose.host  # noqa: F401

from .heatmap_paf import HeatmapPAF
from .landmark_heatmap import LandmarkHeatmap

__all__ = [
    'HeatmapPAF',
    'LandmarkHeatmap',
]
