"""From the fields of a backend and a radiograph to a prediction: measure, explain, warn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.anatomy import (
    HIP,
    MEASUREMENT_NAMES,
    LandmarkEstimate,
    LandmarkSet,
    Measurement,
    Spacing,
    landmark_set,
)
from unsct_mmpose.anatomy.landmarks import plain_name
from unsct_mmpose.anatomy.records import IMAGE_WORDS, NOTHING_FOUND, UNUSUAL, USUAL_DECIDERS
from unsct_mmpose.dicom import Radiograph
from unsct_mmpose.dicom.display import ranges_itself
from unsct_mmpose.dicom.marker import Marker, find_markers
from unsct_mmpose.files import jsonable
from unsct_mmpose.functional.clinical import Measurements, interval, measure
from unsct_mmpose.functional.geometry import regions_of
from unsct_mmpose.functional.hierarchical import promise_words
from unsct_mmpose.report.prediction import ImageSource, Prediction, PredictionWarning

DEFAULT_LEVEL = 0.95

_UNCALIBRATED_WORDS = 'unknown: without a calibration the model cannot tell'
_RADIOGRAPHY = ('CR', 'DX', 'RG', 'RF', 'XA', 'OT', 'SC')


def interpret(
    radiograph: Radiograph,
    fields: Mapping[str, Any],
    identity: Mapping[str, Any],
    file_name: str,
    markers: Sequence[Marker] | None = None,
) -> Prediction:
    """Turn what a backend inferred from a radiograph into a prediction.

    Args:
        radiograph: the image.
        fields: one item of :meth:`Backend.infer`.
        identity: the backend's identity; its ``landmarks`` say which they are, if not the hip's,
            its ``evidences`` what decides, if not the usual three.
        file_name: what the prediction calls the image; a folder in it is left out by the caller.
        markers: the lead letters on it; None looks for them.

    Raises:
        KeyError: a field is missing.
    """
    state, calibrated = int(fields['image_state']), bool(fields['calibrated'])
    anatomy = landmark_set(identity.get('landmarks') or HIP)
    spacing = Spacing(
        radiograph.spacing_xy_mm,
        radiograph.spacing_source,
        radiograph.spacing_problem,
        radiograph.magnification,
        radiograph.magnification_source,
    )
    level = float(identity.get('region_level') or DEFAULT_LEVEL)
    evidences = identity.get('evidences') or USUAL_DECIDERS
    landmarks = _landmarks(anatomy, evidences, fields, state, spacing, level)
    reported = np.array([landmark.reported for landmark in landmarks])
    measured: Measurements | None = None
    values: tuple[Measurement, ...] = ()
    missing: str | None = None
    if anatomy.clinical:
        measured, missing = _measure(fields, reported, state, spacing)
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
        *(_about_the_spacing(spacing) if anatomy.clinical and state != NOTHING_FOUND else ()),
        *_about_the_display(radiograph, markers),
        *_about_the_file(radiograph.provenance),
        *_about_the_landmarks(anatomy, reported, state),
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
        spacing=spacing,
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


def _landmarks(
    anatomy: LandmarkSet,
    evidences: Sequence[str],
    fields: Mapping[str, Any],
    state: int,
    spacing: Spacing,
    level: float,
) -> tuple[LandmarkEstimate, ...]:
    points = np.asarray(fields['keypoints'], float)
    if points.shape != (len(anatomy), 2):
        raise ValueError(
            f'keypoints must be ({len(anatomy)}, 2) for the landmarks {anatomy.name!r}, not '
            f'{points.shape}'
        )
    reported = (np.asarray(fields['keypoints_visible']) > 0.5) & np.isfinite(points).all(axis=1)
    covariances = np.asarray(fields['keypoint_covariances'], float)
    evidence = np.asarray(fields['keypoint_evidences'], float)
    uncertainties, presence, scores, support = (
        np.asarray(fields[f'keypoint_{name}'], float).tolist()
        for name in ('uncertainties', 'presence', 'scores', 'support')
    )
    in_mm = None
    if spacing.spacing_xy_mm is not None:
        mm_per_px = np.array(spacing.spacing_xy_mm) / spacing.magnification
        in_mm = covariances * np.outer(mm_per_px, mm_per_px)
    regions = regions_of(covariances, level)
    return tuple(
        LandmarkEstimate(
            name=name,
            x=float(points[k, 0]),
            y=float(points[k, 1]),
            reported=bool(reported[k]) and state != NOTHING_FOUND,
            uncertainty=uncertainties[k],
            presence=jsonable(presence[k]),
            score=scores[k],
            support=support[k],
            evidence=dict(zip(evidences, jsonable(evidence[k].tolist()), strict=True)),
            covariance_px2=_rows(covariances[k]),
            covariance_mm2=None if in_mm is None else _rows(in_mm[k]),
            region=regions[k],
        )
        for k, name in enumerate(anatomy.names)
    )


def _measure(
    fields: Mapping[str, Any], reported: NDArray[np.bool_], state: int, spacing: Spacing
) -> tuple[Measurements | None, str | None]:
    """Measure, or say why nothing can be measured."""
    if state == NOTHING_FOUND:
        return None, 'no pelvis was found in the image'
    if spacing.spacing_xy_mm is None:
        return None, 'the pixel spacing is unknown'
    covariances = np.asarray(fields['keypoint_covariances'], float)
    covariances = (covariances + np.swapaxes(covariances, -1, -2)) / 2
    measured = measure(
        np.asarray(fields['keypoints'], float),
        reported,
        spacing.spacing_xy_mm,
        covariances_px=np.where(reported[:, None, None], covariances, 0.0),
        magnification=spacing.magnification,
        error_correlation=fields['error_correlation'],
    )
    return measured, None


def _values(
    measured: Measurements | None,
    missing: str | None,
    scales: NDArray[np.float64],
    offsets: NDArray[np.float64],
) -> tuple[Measurement, ...]:
    """Add the intervals: ``scales`` standard errors wide, around the value less its offset."""
    if measured is None:
        return tuple(Measurement(name, None, reason=missing) for name in MEASUREMENT_NAMES)
    promised = np.isfinite(scales)
    ends = interval(
        measured.values - offsets, measured.standard_errors, np.where(promised, scales, 0.0)
    )
    lows, highs = (jsonable(np.where(promised, end, np.nan).tolist()) for end in ends)
    return tuple(
        measurement
        if measurement.value is None
        else replace(measurement, low=low, high=high, systematic_error=offset)
        for measurement, low, high, offset in zip(
            map(measured.__getitem__, measured), lows, highs, offsets.tolist(), strict=True
        )
    )


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
            'The image is unlike those of the calibration: its parts agree less with each other '
            'than in any of them, its landmarks are fainter, or it is noisier. What was measured '
            'may be wrong by more than its interval.',
        )
    if state == NOTHING_FOUND:
        yield PredictionWarning(
            'no_pelvis',
            'No pelvis was found: hardly any landmarks stand to each other as they should. '
            'Nothing is reported and nothing is measured.',
        )


def _about_the_spacing(spacing: Spacing) -> Iterator[PredictionWarning]:
    if spacing.spacing_xy_mm is None:
        yield PredictionWarning(
            'no_spacing',
            f'The pixel spacing is unknown ({spacing.problem}): nothing is measured. Give the '
            'width and height of a pixel in mm (--spacing X Y).',
        )
        return
    if spacing.problem:
        yield PredictionWarning('odd_spacing', f'The pixel spacing is odd: {spacing.problem}.')
    if spacing.plane == 'detector':
        yield PredictionWarning(
            'uncalibrated_spacing',
            'The magnification is unknown: lengths in mm hold at the detector and are about 10 to '
            '20 % longer than in the patient. Angles do not depend on it.',
        )


def _about_the_display(
    radiograph: Radiograph, markers: Sequence[Marker] | None
) -> Iterator[PredictionWarning]:
    """Say what was done with the pixels, and what may be wrong with their sides."""
    provenance = radiograph.provenance
    if radiograph.placement is not None:
        yield PredictionWarning('turned', f'The image was {provenance.get("orientation")}.')
    elif provenance.get('laid'):
        yield PredictionWarning('turned', f'The image was {provenance["laid"]}.')
    if provenance.get('sides'):
        yield PredictionWarning('sides', f'Left and right may be exchanged: {provenance["sides"]}.')
    for marker in find_markers(radiograph.pixels) if markers is None else markers:
        if marker.contradicts:
            how = 'mirrored' if marker.mirrored else 'on the other side'
            yield PredictionWarning(
                'marker',
                f'Left and right may be exchanged: what looks like the lead letter '
                f'{marker.letter} is {how}, at {100 * marker.x:.0f} % of the width and '
                f'{100 * marker.y:.0f} % of the height. Look at it, and say --mirrored if it is.',
            )
            break
    if provenance.get('resampled'):
        yield PredictionWarning(
            'resampled',
            f'The pixels of the file are not square: resampled {provenance["resampled"]}.',
        )
    if provenance.get('processing'):
        yield PredictionWarning(
            'processing',
            f'The image is {provenance["processing"]}: it lacks the processing of the images that '
            'a model learns from.',
        )
    if provenance.get('notes'):
        yield PredictionWarning('data', f'The data are odd: {provenance["notes"]}.')


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


def _about_the_landmarks(
    anatomy: LandmarkSet, reported: NDArray[np.bool_], state: int
) -> Iterator[PredictionWarning]:
    if state == NOTHING_FOUND or reported.all():
        return
    names = ', '.join(plain_name(anatomy.names[k]) for k in np.flatnonzero(~reported))
    yield PredictionWarning(
        'unstructured',
        f'{int((~reported).sum())} of {len(reported)} landmarks are rejected as not shown by the '
        f'image: {names}.',
    )


def _about_the_values(
    values: Sequence[Measurement], missing: str | None
) -> Iterator[PredictionWarning]:
    if missing is not None:
        return
    reasons: dict[str, list[str]] = {}
    for measurement in values:
        if measurement.reason:
            reasons.setdefault(measurement.reason, []).append(plain_name(measurement.name))
    for reason, names in reasons.items():
        yield PredictionWarning(
            'undefined', f'Not measured because {plain_name(reason)}: {", ".join(names)}.'
        )


def _rows(matrix: NDArray[np.float64]) -> tuple[tuple[float, float], tuple[float, float]]:
    (a, b), (c, d) = matrix.tolist()
    return (a, b), (c, d)
