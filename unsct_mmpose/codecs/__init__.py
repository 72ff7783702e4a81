"""Codecs of MMPose: landmarks to network targets and back."""

import unsct_mmpose.host

from .heatmap_paf import HeatmapPAF
from .landmark_heatmap import LandmarkHeatmap
