"""DICOM structured reports: landmarks and measurements of one radiograph, written and read."""

from .read import StructuredReport, read_structured_report
from .records import Algorithm
from .write import write_structured_report

__all__ = [
    'Algorithm',
    'StructuredReport',
    'read_structured_report',
    'write_structured_report',
]
