"""Head ``HigherHeatmapPAFHead``: heatmaps and part affinity fields at HigherHRNet's resolutions."""

from __future__ import annotations

from mmpose.registry import MODELS

from .higher_heatmap_head import HigherHeatmapHead
from .uncertainty_mixin import UncertaintyMixin


@MODELS.register_module()
class HigherHeatmapPAFHead(UncertaintyMixin, HigherHeatmapHead):
    """Predict K heatmaps and 2 L field channels at 1/4 and 1/2 of the input.

    Args:
        **kwargs: keyword arguments of :class:`UncertaintyMixin`, whose losses are those of each
            level and whose decoder is that of the averaged maps, and of
            :class:`HigherHeatmapHead`.
    """
