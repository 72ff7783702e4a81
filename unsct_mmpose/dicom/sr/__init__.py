"""DICOM structured reports: landmarks and measurements of one radiograph, written and read."""

from .write import (
    Algorithm,
    ReportLandmark,
    ReportMeasurement,
    StructuredReport,
    read_structured_report,
    write_structured_report,
)

__all__ = [
    'Algorithm',
    'ReportLandmark',
    'ReportMeasurement',
    'StructuredReport',
    'read_structured_report',
    'write_structured_report',
]
