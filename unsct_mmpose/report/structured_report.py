"""A prediction as a DICOM structured report beside its image."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

import unsct_mmpose
from unsct_mmpose.anatomy.parameters import parameter_of_output
from unsct_mmpose.dicom.placement import Placement, Turn
from unsct_mmpose.dicom.sr import (
    Algorithm,
    ReportLandmark,
    ReportMeasurement,
    write_structured_report,
)

from .prediction import ImageSource, MeasuredValue, PredictedLandmark, Prediction

HIP_SOCKET_LINE = '2L-2R'
"""What the acetabular index is read against where both ends are reported."""


def report_prediction(prediction: Prediction, source: Path, out: Path) -> str:
    """Write a DICOM structured report of a prediction.

    Args:
        prediction: what was found in the image.
        source: the DICOM file that was read; others are refused.
        out: the file to write, whole or not at all.

    Returns:
        SOP Instance UID of the report.

    Raises:
        ValueError: the source is no DICOM image, or lacks what a report must refer to; the message
            names file, attribute and cure.
        ImportError: highdicom is not installed.
    """
    model = prediction.model
    landmarks = [_landmark(one, prediction.image) for one in prediction.landmarks]
    reported = {one.name for one in landmarks if one.reported}
    return write_structured_report(
        source,
        out,
        landmarks=landmarks,
        measurements=[_measurement(one, prediction, reported) for one in prediction.measurements],
        algorithm=Algorithm(
            name=f'unsct_mmpose {model.get("name", "")}'.strip(),
            version=unsct_mmpose.__version__,
            model_hash=str(model.get('weights_sha256') or ''),
            calibration_hash=str(model.get('calibration_sha256') or ''),
            parameters=(
                *([f'Intervals: {promise}.'] if (promise := prediction.interval_promise) else ()),
                *(one.words for one in prediction.warnings),
            ),
        ),
        lengths_at=prediction.scale.plane,
        magnification=prediction.scale.magnification,
        interval_level=prediction.interval_level,
        frame=prediction.image.provenance.get('frame', 0),
        simulated=bool(prediction.simulated),
        keep_identity=prediction.patient is not None,
    )


def _landmark(one: PredictedLandmark, image: ImageSource) -> ReportLandmark:
    inside = -0.5 <= one.x <= image.width - 0.5 and -0.5 <= one.y <= image.height - 0.5
    if one.reported and inside:
        x, y = one.x, one.y
        if image.turn is not None:  # a report refers to the pixels of the file
            placement = Placement(Turn(**image.turn), (image.width, image.height))
            x, y = placement.to_stored(np.array([x, y])).tolist()
        return ReportLandmark(one.name, x, y, probability=one.presence)
    reason = 'outside the image' if one.reported else 'the image does not show it'
    return ReportLandmark(one.name, reported=False, probability=one.presence, reason=reason)


def _measurement(
    one: MeasuredValue, prediction: Prediction, reported: set[str]
) -> ReportMeasurement:
    asked = ReportMeasurement(one.name, one.side, _number(one.value), one.unit)
    missing = [name for name in asked.landmarks() if name not in reported]
    if one.value is None or missing:
        reason = one.reason or f'{", ".join(missing)}: outside the image'
        return ReportMeasurement(one.name, one.side, math.nan, one.unit, reason=reason)
    return ReportMeasurement(
        one.name,
        one.side,
        one.value,
        one.unit,
        low=_number(one.low),
        high=_number(one.high),
        standard_error=_number(one.standard_error),
        reference_line=_line_of(asked, prediction, reported),
    )


def _line_of(asked: ReportMeasurement, prediction: Prediction, reported: set[str]) -> str | None:
    """Return the line that a value was read against; None for those of the femur alone."""
    if parameter_of_output(asked.output).frame == 'femur':
        return None
    sockets = {f'{side}_y_cartilage_center' for side in ('left', 'right')}
    if asked.output.startswith('acetabular_index') and sockets <= reported:
        return HIP_SOCKET_LINE
    return prediction.reference_line


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
