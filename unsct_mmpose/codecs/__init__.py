"""Codecs of MMPose: landmarks to network targets and back."""

from .heatmap_paf import HeatmapPAF

__all__ = ['HeatmapPAF']
