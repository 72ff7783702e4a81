"""Torch modules without a registry: coordinates, polarized attention, the SRF block."""

from .coord_conv import boundary_channels, coordinate_channels
from .pointwise import pointwise
from .polarized_attention import (
    PolarizedChannelAttention,
    PolarizedSelfAttention,
    PolarizedSpatialAttention,
)
from .srf import SRFBlock, split_srf_settings

__all__ = [
    'PolarizedChannelAttention',
    'PolarizedSelfAttention',
    'PolarizedSpatialAttention',
    'SRFBlock',
    'boundary_channels',
    'coordinate_channels',
    'pointwise',
    'split_srf_settings',
]
