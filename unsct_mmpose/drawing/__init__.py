"""Pictures without OpenMMLab: landmarks, measurements, maps, the paper's figures; one style."""

from .figures import figure_convergence, figure_promise, figure_training, figure_uncertainty
from .grids import heatmap_grid, paf_grid
from .measurements import measurement_panel
from .overlay import draw_landmarks
from .panels import certainty_panel, heatmap_panel, paf_panel
from .relations import figure_relations

__all__ = [
    'certainty_panel',
    'draw_landmarks',
    'figure_convergence',
    'figure_promise',
    'figure_relations',
    'figure_training',
    'figure_uncertainty',
    'heatmap_grid',
    'heatmap_panel',
    'measurement_panel',
    'paf_grid',
    'paf_panel',
]
