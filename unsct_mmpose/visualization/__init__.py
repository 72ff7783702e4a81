"""The visualizer of MMPose and its hooks."""

import unsct_mmpose.host  # noqa: F401

from .tha_bad_case_hook import THABadCaseHook
from .tha_visualization_hook import THAVisualizationHook
from .tha_visualizer import THAVisualizer

__all__ = [
    'THABadCaseHook',
    'THAVisualizationHook',
    'THAVisualizer',
]
