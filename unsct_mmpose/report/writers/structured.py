"""``NAME.sr.dcm``: a DICOM structured report of each DICOM file."""

from __future__ import annotations

from unsct_mmpose.dicom.header import printable

from ..prediction import Prediction
from .base import Item, Run, Writer


class StructuredReportWriter(Writer):
    """The structured report of each image; without one, what else was written stands."""

    order = 30
    suffix = '.sr.dcm'
    optional = True
    from_record = True

    @classmethod
    def is_wanted(cls, run: Run) -> bool:
        """Tell whether a run has structured reports."""
        return run.structured_report

    def is_there(self, item: Item) -> bool:
        """Tell whether the report is there; only DICOM files have one."""
        return not _is_dicom(item) or super().is_there(item)

    def write(self, item: Item) -> None:
        """Write the report of an image, of what its json says."""
        if not _is_dicom(item):
            return
        from ..structured_report import report_prediction

        try:  # of what the json says, so that a later run writes the same
            stored = Prediction.from_dict(item.prediction.to_dict())
            report_prediction(stored, item.path, self.path_of(item))
        except Exception as error:  # the prediction stands without it
            mine = isinstance(error, (ValueError, ImportError, OSError))
            words = printable(str(error)) if mine else type(error).__name__
            self.failures.append((printable(str(item.path)), words))
        else:
            self.written += 1


def _is_dicom(item: Item) -> bool:
    return bool(item.prediction.image.provenance.get('format') == 'DICOM')
