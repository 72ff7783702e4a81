"""Models of MMPose: necks, heads and losses."""

from .heatmap_paf_head import HeatmapPAFHead
from .masked_adaptive_wing_loss import MaskedAdaptiveWingLoss
from .paf_mse_loss import PAFMSELoss
from .srf_neck import SRFNeck

__all__ = ['HeatmapPAFHead', 'MaskedAdaptiveWingLoss', 'PAFMSELoss', 'SRFNeck']
