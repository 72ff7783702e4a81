"""Radiographs: files in, arrays with units out, DICOM written; nothing else has pydicom."""

from .identity import looks_like_radiograph, patient_identity
from .in_memory import radiograph_from_array
from .radiograph import NoRadiographError, Radiograph, RadiographError
from .read import radiograph_from_bytes, radiograph_from_dataset, read_radiograph

__all__ = [
    'NoRadiographError',
    'Radiograph',
    'RadiographError',
    'looks_like_radiograph',
    'patient_identity',
    'radiograph_from_array',
    'radiograph_from_bytes',
    'radiograph_from_dataset',
    'read_radiograph',
]
