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
