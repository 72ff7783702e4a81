"""Landmark files: COCO keypoints with states, units and patients; checks, splits, conversion."""

from .coco import (
    AnnotatedRadiograph,
    AnnotationError,
    AnnotationFile,
    LandmarkStates,
    infer_subset,
    landmark_states,
    read_annotations,
    write_annotations,
)
from .splits import check_patient_splits, split_by_patient

__all__ = [
    'AnnotatedRadiograph',
    'AnnotationError',
    'AnnotationFile',
    'LandmarkStates',
    'check_patient_splits',
    'infer_subset',
    'landmark_states',
    'read_annotations',
    'split_by_patient',
    'write_annotations',
]
