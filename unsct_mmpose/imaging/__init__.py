"""Files in, arrays with units out: the only room that knows DICOM and annotation files."""

from .annotations import (
    AnnotatedRadiograph,
    AnnotationError,
    AnnotationFile,
    LandmarkStates,
    check_patient_splits,
    infer_subset,
    landmark_states,
    read_annotations,
    split_by_patient,
    write_annotations,
)
from .dicom import read_radiograph, write_radiograph
from .radiograph import Radiograph, RadiographError

__all__ = [
    'AnnotatedRadiograph',
    'AnnotationError',
    'AnnotationFile',
    'LandmarkStates',
    'Radiograph',
    'RadiographError',
    'check_patient_splits',
    'infer_subset',
    'landmark_states',
    'read_annotations',
    'read_radiograph',
    'split_by_patient',
    'write_annotations',
    'write_radiograph',
]
