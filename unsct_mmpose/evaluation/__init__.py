"""Metrics of MMPose."""

import unsct_mmpose.host  # noqa: F401

from .tha_clinical_metric import THAClinicalMetric
from .tha_landmark_metric import THALandmarkMetric
from .tha_loss_metric import THALossMetric
from .tha_paper_metric import THAPaperMetric
from .tha_presence_metric import THAPresenceMetric
from .tha_set_error_metric import THASetErrorMetric

__all__ = [
    'THAClinicalMetric',
    'THALandmarkMetric',
    'THALossMetric',
    'THAPaperMetric',
    'THAPresenceMetric',
    'THASetErrorMetric',
]
