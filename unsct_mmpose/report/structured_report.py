"""A prediction as a DICOM structured report beside its image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

import unsct_mmpose
from unsct_mmpose.anatomy import LandmarkEstimate, Measurement, parameter
from unsct_mmpose.dicom.placement import Placement, Turn
from unsct_mmpose.dicom.sr import Algorithm, write_structured_report

from .prediction import ImageSource, Prediction

_HIP_SOCKET_LINE = '2L-2R'
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
            names file, attribute and cure. Or the landmarks have no codes, since they are not the
            hip's.
        ImportError: highdicom is not installed.
    """
    model = prediction.model
    prediction.landmark_set.require_clinical('a DICOM structured report')
    landmarks = [_landmark(landmark, prediction.image) for landmark in prediction.landmarks]
    reported = {landmark.name for landmark in landmarks if landmark.reported}
    return write_structured_report(
        source,
        out,
        landmarks=landmarks,
        measurements=[
            _measurement(measurement, prediction, reported)
            for measurement in prediction.measurements
        ],
        algorithm=Algorithm(
            name=f'unsct_mmpose {model.get("name", "")}'.strip(),
            version=unsct_mmpose.__version__,
            model_hash=str(model.get('weights_sha256') or ''),
            calibration_hash=str(model.get('calibration_sha256') or ''),
            parameters=(
                *([f'Intervals: {promise}.'] if (promise := prediction.interval_promise) else ()),
                *(warning.words for warning in prediction.warnings),
            ),
        ),
        lengths_at=prediction.spacing.plane,
        magnification=prediction.spacing.known_magnification,
        interval_level=prediction.interval_level,
        frame=prediction.image.provenance.get('frame', 0),
        simulated=bool(prediction.simulated),
        keep_identity=prediction.patient is not None,
    )


def _landmark(landmark: LandmarkEstimate, image: ImageSource) -> LandmarkEstimate:
    """Return a landmark as a report has it: in pixels of the file, or with the reason for none."""
    x, y = landmark.x, landmark.y
    if not landmark.reported:
        return replace(landmark, reason='the image does not show it')
    if not (-0.5 <= x <= image.width - 0.5 and -0.5 <= y <= image.height - 0.5):
        return replace(landmark, reported=False, reason='outside the image')
    if image.turn is not None:
        placement = Placement(Turn(**image.turn), (image.width, image.height))
        x, y = placement.to_stored(np.array([x, y])).tolist()
    return replace(landmark, x=x, y=y)


def _measurement(
    measurement: Measurement, prediction: Prediction, reported: set[str]
) -> Measurement:
    missing = [name for name in measurement.landmarks if name not in reported]
    if measurement.value is None or missing:
        reason = measurement.reason or f'{", ".join(missing)}: outside the image'
        return Measurement(measurement.name, None, reason=reason)
    return replace(measurement, reference_line=_line_of(measurement, prediction, reported))


def _line_of(measurement: Measurement, prediction: Prediction, reported: set[str]) -> str | None:
    """Return the line that a value was read against; None for those of the femur alone."""
    if parameter(measurement.name).frame == 'femur':
        return None
    sockets = {f'{side}_y_cartilage_center' for side in ('left', 'right')}
    if measurement.parameter.startswith('acetabular_index') and sockets <= reported:
        return _HIP_SOCKET_LINE
    return prediction.reference_line
