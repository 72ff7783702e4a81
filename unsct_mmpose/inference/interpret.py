"""From the fields of a backend and a radiograph to a prediction: measure, explain, warn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.anatomy import LANDMARK_NAMES, NUM_LANDMARKS
from unsct_mmpose.anatomy.landmarks import plain_name
from unsct_mmpose.dicom import Radiograph
from unsct_mmpose.dicom.display import ranges_itself
from unsct_mmpose.dicom.marker import find_markers
from unsct_mmpose.functional.clinical import (
    MEASUREMENT_NAMES,
    Measurements,
    interval,
    measure,
    reference_label,
    split_side,
)
from unsct_mmpose.functional.hierarchical import promise_words
from unsct_mmpose.functional.image_states import IMAGE_WORDS, NOTHING_FOUND, UNUSUAL
from unsct_mmpose.report.prediction import (
    ImageSource,
    MeasuredValue,
    PredictedLandmark,
    Prediction,
    PredictionWarning,
    Region,
    Scale,
)

EVIDENCE_NAMES = ('peak', 'paf', 'fused')
DEFAULT_LEVEL = 0.95

_UNCALIBRATED_WORDS = 'unknown: without a calibration the model cannot tell'
_RADIOGRAPHY = ('CR', 'DX', 'RG', 'RF', 'XA', 'OT', 'SC')


def interpret(
    radiograph: Radiograph,
    fields: Mapping[str, Any],
    identity: Mapping[str, Any],
    file_name: str,
) -> Prediction:
    """Turn what a backend read in a radiograph into a prediction.

    Args:
        radiograph: the image.
        fields: one item of :meth:`Backend.read`.
        identity: the backend's identity.
        file_name: what the prediction calls the image; a folder in it is left out by the caller.

    Raises:
        KeyError: a field is missing.
    """
    state, calibrated = int(fields['image_state']), bool(fields['calibrated'])
    scale = _scale(radiograph)
    factor = _mm_per_px(scale)
    level = float(identity.get('region_level') or DEFAULT_LEVEL)
    landmarks = _landmarks(fields, state, factor, level)
    kept = np.array([one.reported for one in landmarks])
    measured, missing = _measure(fields, kept, state, scale)
    values = _values(
        measured,
        missing,
        np.asarray(fields['interval_scales'], float),
        np.asarray(fields['interval_offsets'], float),
    )
    interval_level = float(identity.get('interval_level') or DEFAULT_LEVEL)
    behind = ((identity.get('calibration') or {}).get('fewest_patients'), calibrated)
    width, height = radiograph.size_wh
    warnings = (
        *_about_the_image(state, calibrated),
        *(_about_the_scale(scale) if state != NOTHING_FOUND else ()),
        *_about_the_display(radiograph),
        *_about_the_file(radiograph.provenance),
        *_about_the_landmarks(kept, state),
        *_about_the_values(values, missing),
    )
    return Prediction(
        image=ImageSource(
            file_name,
            str(radiograph.provenance.get('sha256', '')),
            width,
            height,
            {k: v for k, v in radiograph.provenance.items() if k != 'sha256'},
            None if radiograph.placement is None else asdict(radiograph.placement.turn),
        ),
        simulated=True if radiograph.provenance.get('simulated') else None,
        scale=scale,
        image_state=state,
        image_words=IMAGE_WORDS[state] if calibrated else _UNCALIBRATED_WORDS,
        calibrated=calibrated,
        region_level=level,
        interval_level=interval_level,
        region_promise=promise_words(level, *behind),
        interval_promise=promise_words(interval_level, *behind),
        landmarks=landmarks,
        measurements=values,
        reference_line=None if measured is None else measured.reference_line,
        warnings=warnings,
        model=dict(identity),
    )


def region_of(covariance: NDArray[np.float64], level: float) -> Region | None:
    """Return the ellipse of a covariance ``(2, 2)``, px^2; None where it is unknown.

    Example:
        >>> region = region_of(np.diag([1.0, 4.0]), 0.95)
        >>> [round(axis, 3) for axis in region.semi_axes_px], region.angle_deg
        ([4.895, 2.448], 90.0)
    """
    if not np.isfinite(covariance).all():
        return None
    variances, directions = np.linalg.eigh((covariance + covariance.T) / 2)
    reach = -2.0 * math.log(1.0 - level)  # quantile of chi squared with two degrees of freedom
    short, long = np.sqrt(np.maximum(variances, 0.0) * reach)
    x, y = directions[:, 1]
    angle = math.degrees(math.atan2(y, x)) % 180.0
    return Region(level, (float(long), float(short)), angle)


def _scale(radiograph: Radiograph) -> Scale:
    known = radiograph.magnification_source != 'unknown'
    plane = 'bone' if known else 'detector'
    return Scale(
        spacing_xy_mm=radiograph.spacing_xy_mm,
        source=radiograph.spacing_source,
        problem=radiograph.spacing_problem,
        magnification=radiograph.magnification if known else None,
        magnification_source=radiograph.magnification_source,
        plane=None if radiograph.spacing_xy_mm is None else plane,
    )


def _mm_per_px(scale: Scale) -> NDArray[np.float64] | None:
    if scale.spacing_xy_mm is None:
        return None
    return np.array(scale.spacing_xy_mm) / (scale.magnification or 1.0)


def _landmarks(
    fields: Mapping[str, Any], state: int, factor: NDArray[np.float64] | None, level: float
) -> tuple[PredictedLandmark, ...]:
    points = np.asarray(fields['keypoints'], float)
    if points.shape != (NUM_LANDMARKS, 2):
        raise ValueError(f'keypoints must be ({NUM_LANDMARKS}, 2), not {points.shape}')
    kept = (np.asarray(fields['keypoints_visible']) > 0.5) & np.isfinite(points).all(axis=1)
    covariances = np.asarray(fields['keypoint_covariances'], float)
    evidence = np.asarray(fields['keypoint_evidences'], float)
    single = {
        name: np.asarray(fields[f'keypoint_{name}'], float)
        for name in ('uncertainties', 'presence', 'scores', 'support')
    }
    found = []
    for k, name in enumerate(LANDMARK_NAMES):
        in_mm = None if factor is None else covariances[k] * np.outer(factor, factor)
        found.append(
            PredictedLandmark(
                name=name,
                x=float(points[k, 0]),
                y=float(points[k, 1]),
                reported=bool(kept[k]) and state != NOTHING_FOUND,
                uncertainty=float(single['uncertainties'][k]),
                presence=_number(single['presence'][k]),
                score=float(single['scores'][k]),
                support=float(single['support'][k]),
                evidence=dict(zip(EVIDENCE_NAMES, map(_number, evidence[k]), strict=True)),
                covariance_px2=_rows(covariances[k]),
                covariance_mm2=None if in_mm is None else _rows(in_mm),
                region=region_of(covariances[k], level),
            )
        )
    return tuple(found)


def _measure(
    fields: Mapping[str, Any], kept: NDArray[np.bool_], state: int, scale: Scale
) -> tuple[Measurements | None, str | None]:
    """Measure, or say why nothing can be measured."""
    if state == NOTHING_FOUND:
        return None, 'no pelvis was found in the image'
    if scale.spacing_xy_mm is None:
        return None, 'the pixel spacing is unknown'
    covariances = np.asarray(fields['keypoint_covariances'], float)
    covariances = (covariances + np.swapaxes(covariances, -1, -2)) / 2
    found = measure(
        np.asarray(fields['keypoints'], float),
        kept,
        scale.spacing_xy_mm,
        covariances_px=np.where(kept[:, None, None], covariances, 0.0),
        magnification=scale.magnification or 1.0,
        error_correlation=fields['error_correlation'],
    )
    return found, None


def _values(
    measured: Measurements | None,
    missing: str | None,
    scales: NDArray[np.float64],
    offsets: NDArray[np.float64],
) -> tuple[MeasuredValue, ...]:
    found = []
    for name, factor, offset in zip(MEASUREMENT_NAMES, scales, offsets.tolist(), strict=True):
        side, output = split_side(name)
        unit = output.rsplit('_', 1)[1]
        one = None if measured is None else measured[name]
        if one is None or math.isnan(one.value):
            reason = missing if one is None else one.reason
            words = reference_label(name, math.nan)
            found.append(MeasuredValue(name, side, unit, None, None, None, None, reason, words))
            continue
        low = high = None
        if math.isfinite(factor):
            centre = one.value - offset
            low, high = (_number(end) for end in interval(centre, one.standard_error, factor))
        words = reference_label(name, one.value)
        error = _number(one.standard_error)
        found.append(
            MeasuredValue(name, side, unit, one.value, low, high, error, None, words, offset)
        )
    return tuple(found)


def _about_the_image(state: int, calibrated: bool) -> Iterator[PredictionWarning]:
    if not calibrated:
        yield PredictionWarning(
            'no_calibration',
            'The model is not calibrated: a fixed limit, fitted to nothing, decides which '
            'landmarks are reported, and regions and intervals have no tested coverage. Calibrate '
            'it with unsct calibrate.',
        )
    if state == UNUSUAL:
        yield PredictionWarning(
            'out_of_range',
            'The image is unlike those of the calibration: its parts agree less with each other, '
            'or its landmarks are fainter, than in any of them. What was measured may be wrong by '
            'more than its interval.',
        )
    if state == NOTHING_FOUND:
        yield PredictionWarning(
            'no_pelvis',
            'No pelvis was found: hardly any landmarks stand to each other as they should. '
            'Nothing is reported and nothing is measured.',
        )


def _about_the_scale(scale: Scale) -> Iterator[PredictionWarning]:
    if scale.spacing_xy_mm is None:
        yield PredictionWarning(
            'no_spacing',
            f'The pixel spacing is unknown ({scale.problem}): nothing is measured. Give the width '
            'and height of a pixel in mm (--spacing X Y).',
        )
        return
    if scale.problem:
        yield PredictionWarning('odd_spacing', f'The pixel spacing is odd: {scale.problem}.')
    if scale.plane == 'detector':
        yield PredictionWarning(
            'uncalibrated_spacing',
            'The magnification is unknown: lengths in mm hold at the detector and are about 10 to '
            '20 % longer than in the patient. Angles do not depend on it.',
        )


def _about_the_display(radiograph: Radiograph) -> Iterator[PredictionWarning]:
    """Say what was done with the pixels, and what may be wrong with their sides."""
    said = radiograph.provenance
    if radiograph.placement is not None:
        yield PredictionWarning('turned', f'The image was {said.get("orientation")}.')
    elif said.get('laid'):
        yield PredictionWarning('turned', f'The image was {said["laid"]}.')
    if said.get('sides'):
        yield PredictionWarning('sides', f'Left and right may be exchanged: {said["sides"]}.')
    for marker in find_markers(radiograph.pixels):
        if marker.contradicts:
            how = 'mirrored' if marker.mirrored else 'on the other side'
            yield PredictionWarning(
                'marker',
                f'Left and right may be exchanged: what looks like the lead letter '
                f'{marker.letter} is {how}, at {100 * marker.x:.0f} % of the width and '
                f'{100 * marker.y:.0f} % of the height. Look at it, and say --mirrored if it is.',
            )
            break
    if said.get('resampled'):
        yield PredictionWarning(
            'resampled', f'The pixels of the file are not square: resampled {said["resampled"]}.'
        )
    if said.get('processing'):
        yield PredictionWarning(
            'processing',
            f'The image is {said["processing"]}: it lacks the processing of the images that a '
            'model learns from.',
        )
    if said.get('notes'):
        yield PredictionWarning('data', f'The data are odd: {said["notes"]}.')


def _about_the_file(provenance: Mapping[str, Any]) -> Iterator[PredictionWarning]:
    modality = provenance.get('Modality')
    if modality and modality not in _RADIOGRAPHY:
        yield PredictionWarning(
            'modality', f'The file says modality {modality}: this is no radiograph.'
        )
    part = str(provenance.get('BodyPartExamined') or '')
    if part and not any(word in part for word in ('PELVI', 'HIP')):
        yield PredictionWarning('body_part', f'The file says that it shows {part}, not a pelvis.')
    view = provenance.get('ViewPosition')
    if view and view != 'AP':
        yield PredictionWarning('view', f'The file says view {view}: the model reads AP views.')
    window = str(provenance.get('window') or '')
    if provenance.get('format') != 'DICOM' and ranges_itself(window):
        yield PredictionWarning(
            'grey_levels',
            'Nothing says which values of the picture are black and white: the range of its own '
            f'values is shown ({window}).',
        )
    if provenance.get('warnings'):
        yield PredictionWarning('header', 'The header of the file is not well-formed everywhere.')


def _about_the_landmarks(kept: NDArray[np.bool_], state: int) -> Iterator[PredictionWarning]:
    if state == NOTHING_FOUND or kept.all():
        return
    names = ', '.join(plain_name(LANDMARK_NAMES[k]) for k in np.flatnonzero(~kept))
    yield PredictionWarning(
        'unstructured',
        f'{int((~kept).sum())} of {len(kept)} landmarks are rejected as not shown by the image: '
        f'{names}.',
    )


def _about_the_values(
    values: Sequence[MeasuredValue], missing: str | None
) -> Iterator[PredictionWarning]:
    if missing is not None:
        return
    reasons: dict[str, list[str]] = {}
    for one in values:
        if one.reason:
            reasons.setdefault(one.reason, []).append(plain_name(one.name))
    for reason, names in reasons.items():
        yield PredictionWarning(
            'undefined', f'Not measured because {plain_name(reason)}: {", ".join(names)}.'
        )


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _rows(matrix: NDArray[np.float64]) -> tuple[tuple[float, float], tuple[float, float]]:
    (a, b), (c, d) = matrix.tolist()
    return (a, b), (c, d)
