"""Metrics of MMPose."""

from .tha_landmark_metric import THALandmarkMetric

__all__ = ['THALandmarkMetric']
