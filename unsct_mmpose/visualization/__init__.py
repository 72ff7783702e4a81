"""Pictures: landmarks on radiographs, and the hook that saves them."""

from .overlay import draw_landmarks
from .tha_visualization_hook import THAVisualizationHook

__all__ = ['THAVisualizationHook', 'draw_landmarks']
