"""What the usual ways to decide are called in configs, calibrations and files; without torch."""

from __future__ import annotations

PEAK, PAF, FUSED = USUAL_DECIDERS = ('peak', 'paf', 'fused')
"""In the order of their columns in a model whose files name no others."""
