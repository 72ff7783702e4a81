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
from .dicom import radiograph_from_bytes, read_radiograph, write_radiograph
from .dicom_sr import (
    Algorithm,
    ReportLandmark,
    ReportMeasurement,
    StructuredReport,
    read_structured_report,
    write_structured_report,
)
from .identity import looks_like_radiograph, patient_identity
from .in_memory import radiograph_from_array, radiograph_from_dataset
from .radiograph import NoRadiographError, Radiograph, RadiographError

__all__ = [
    'Algorithm',
    'AnnotatedRadiograph',
    'AnnotationError',
    'AnnotationFile',
    'LandmarkStates',
    'NoRadiographError',
    'Radiograph',
    'RadiographError',
    'ReportLandmark',
    'ReportMeasurement',
    'StructuredReport',
    'check_patient_splits',
    'infer_subset',
    'landmark_states',
    'looks_like_radiograph',
    'patient_identity',
    'radiograph_from_array',
    'radiograph_from_bytes',
    'radiograph_from_dataset',
    'read_annotations',
    'read_radiograph',
    'read_structured_report',
    'split_by_patient',
    'write_annotations',
    'write_radiograph',
    'write_structured_report',
]
