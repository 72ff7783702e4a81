"""Models of MMPose: backbones, necks, heads and losses."""

import unsct_mmpose.host  # noqa: F401

from .batch_data_preprocessor import BatchDataPreprocessor
from .heatmap_paf_head import HeatmapPAFHead
from .higher_heatmap_head import HigherHeatmapHead
from .higher_heatmap_paf_head import HigherHeatmapPAFHead
from .masked_adaptive_wing_loss import MaskedAdaptiveWingLoss
from .paf_mse_loss import PAFMSELoss
from .slim_hourglass_net import SlimHourglassNet
from .srf_hrnet import SRFHRNet
from .srf_neck import SRFNeck
from .srf_u_net import SRFUNet
from .stacked_heatmap_paf_head import StackedHeatmapPAFHead
from .u_net import UNet

__all__ = [
    'BatchDataPreprocessor',
    'HeatmapPAFHead',
    'HigherHeatmapHead',
    'HigherHeatmapPAFHead',
    'MaskedAdaptiveWingLoss',
    'PAFMSELoss',
    'SRFHRNet',
    'SRFNeck',
    'SRFUNet',
    'SlimHourglassNet',
    'StackedHeatmapPAFHead',
    'UNet',
]
