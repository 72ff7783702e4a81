"""Let a sample say how noisy the image is that the network is given."""

from __future__ import annotations

import numpy as np
from mmpose.datasets.transforms import PackPoseInputs

from unsct_mmpose.functional.image_noise import relative_noise


def note_noise(results: dict) -> dict:
    """Add ``image_noise`` to a sample whose ``img`` has its last size, and have it packed.

    It reaches the head as ``gt_instances.image_noise``, ``(1,)``: the head sees no pixels.
    """
    grey = results['img'][..., 0].astype(np.float32)
    results['image_noise'] = np.array([relative_noise(grey)], np.float32)
    tables = results.get('instance_mapping_table', PackPoseInputs.instance_mapping_table)
    results['instance_mapping_table'] = {**tables, 'image_noise': 'image_noise'}
    return results
