"""Models of MMPose: backbones, necks, heads and losses."""

from .heatmap_paf_head import HeatmapPAFHead
from .higher_heatmap_head import HigherHeatmapHead
from .higher_heatmap_paf_head import HigherHeatmapPAFHead
from .masked_adaptive_wing_loss import MaskedAdaptiveWingLoss
from .paf_mse_loss import PAFMSELoss
from .srf_hrnet import SRFHRNet
from .srf_neck import SRFNeck
from .stacked_heatmap_paf_head import StackedHeatmapPAFHead
from .u_net import UNet

__all__ = [
    'HeatmapPAFHead',
    'HigherHeatmapHead',
    'HigherHeatmapPAFHead',
    'MaskedAdaptiveWingLoss',
    'PAFMSELoss',
    'SRFHRNet',
    'SRFNeck',
    'StackedHeatmapPAFHead',
    'UNet',
]
