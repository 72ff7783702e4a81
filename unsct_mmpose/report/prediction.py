"""What a model says about one radiograph: plain values with units, words and provenance.

Nothing here needs torch or MMPose. A number that is unknown is None, never 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

NOTICE = (
    'Research software, not a medical device: landmarks and measurements of an image, '
    'no diagnosis, not for clinical use.'
)
SCHEMA = 'unsct_mmpose/prediction-1'

_DECIMALS = 6


FIELDS = (
    'keypoints',
    'keypoint_scores',
    'keypoint_uncertainties',
    'keypoints_visible',
    'keypoint_presence',
    'keypoint_covariances',
    'keypoint_evidences',
    'keypoint_decisions',
    'keypoint_support',
    'interval_scales',
    'interval_offsets',
    'error_correlation',
    'image_state',
    'calibrated',
)
"""What a backend says of each image, named like the fields of :meth:`HeatmapPAF.decode_maps`."""


@runtime_checkable
class Backend(Protocol):
    """A model that reads radiographs, on whatever runtime.

    Attributes:
        identity: what tells this model from others, fit for json: ``backend``, ``name``,
            ``weights_sha256``, and for a calibrated one ``calibration_sha256``, ``region_level``,
            ``interval_level`` and ``calibration`` (what it was fitted on). Two backends with
            equal identities give equal results.
    """

    identity: dict[str, Any]

    def infer(self, images: Sequence[NDArray[np.float32]]) -> list[dict[str, Any]]:
        """Read images, each ``(H, W)`` in [0, 1] with bone bright, of any sizes.

        Returns:
            For each image the fields of :meth:`HeatmapPAF.decode_maps` without their leading 1:
            ``keypoints`` ``(24, 2)`` in image pixels, ``keypoint_scores``,
            ``keypoint_uncertainties``, ``keypoints_visible``, ``keypoint_presence``,
            ``keypoint_support`` ``(24,)``, ``keypoint_covariances`` ``(24, 2, 2)`` in image pixels
            squared, ``keypoint_evidences`` and ``keypoint_decisions`` ``(24, 3)``,
            ``interval_scales`` and ``interval_offsets`` ``(M,)``, ``error_correlation``
            ``(48, 48)``, ``image_state`` and ``calibrated``.
        """
        ...


@dataclass(frozen=True)
class Region:
    """The ellipse in which a landmark lies with the nominal probability.

    Attributes:
        level: nominal probability.
        semi_axes_px: longer and shorter half-axis, image pixels.
        angle_deg: direction of the longer one, from x towards y (clockwise on a display).
    """

    level: float
    semi_axes_px: tuple[float, float]
    angle_deg: float


@dataclass(frozen=True)
class PredictedLandmark:
    """One of the 24 landmarks.

    Attributes:
        name: name with its side.
        x: image pixels; (0, 0) is the centre of the top-left pixel. A rejected landmark keeps the
            place where it would be.
        y: image pixels.
        reported: whether the model says that the image shows it.
        uncertainty: of the evidence that decided; larger is less sure.
        presence: P(the image shows it); None without a calibration.
        score: peak of the heatmap, 0 to 1.
        support: relations that speak for it.
        evidence: uncertainty by ``peak``, ``paf`` and ``fused``.
        covariance_px2: of the position, ((xx, xy), (yx, yy)).
        covariance_mm2: the same in mm^2 at the prediction's plane; None without a spacing.
        region: ellipse of the covariance at the nominal level.
    """

    name: str
    x: float
    y: float
    reported: bool
    uncertainty: float
    presence: float | None
    score: float
    support: float
    evidence: Mapping[str, float | None]
    covariance_px2: tuple[tuple[float, float], tuple[float, float]]
    covariance_mm2: tuple[tuple[float, float], tuple[float, float]] | None
    region: Region | None


@dataclass(frozen=True)
class MeasuredValue:
    """One clinical measurement, or why there is none.

    Attributes:
        name: name with its side, one of ``functional.clinical.MEASUREMENT_NAMES``.
        side: ``'left'`` or ``'right'`` of the patient; None for both.
        unit: ``'deg'`` or ``'mm'``.
        value: None when it was not measured.
        low: lower end of its interval at the nominal level.
        high: upper end.
        standard_error: in the same unit.
        reason: why there is no value, in words.
        reference: how it lies to the ranges of the literature, in words.
        systematic_error: what all patients of the calibration had too much, taken from the centre
            of the interval, not from the value; 0 where nothing was found.
    """

    name: str
    side: str | None
    unit: str
    value: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    reason: str | None
    reference: str
    systematic_error: float = 0.0


@dataclass(frozen=True)
class ImageSource:
    """Where the pixels come from, without the patient's identity.

    Attributes:
        file_name: name of the file without its folder, or what the caller called it.
        sha256: of the file; of the array or pixel data where ``provenance['sha256_of']`` says so.
        width: pixels.
        height: pixels.
        provenance: how the pixels were read.
        turn: what was done with the file's pixels to bring them to the standard display, in this
            order: ``transpose``, ``flip_x``, ``flip_y``; None where they lie as the file has them.
            Landmarks are in pixels of the turned image.
    """

    file_name: str
    sha256: str
    width: int
    height: int
    provenance: Mapping[str, Any] = field(default_factory=dict)
    turn: Mapping[str, bool] | None = None


@dataclass(frozen=True)
class Scale:
    """How long a pixel is, and where lengths hold.

    Attributes:
        spacing_xy_mm: width and height of a pixel; None when unknown.
        source: where the spacing comes from.
        problem: why there is none, or what is odd about it.
        magnification: size on the detector over size at the bone; None when unknown.
        magnification_source: where it comes from.
        plane: where lengths hold, ``'bone'`` or ``'detector'``; None without a spacing.
    """

    spacing_xy_mm: tuple[float, float] | None
    source: str
    problem: str | None
    magnification: float | None
    magnification_source: str
    plane: str | None


@dataclass(frozen=True)
class PredictionWarning:
    """Something that a reader of the numbers must know.

    Attributes:
        code: for programs.
        words: for people.
    """

    code: str
    words: str


@dataclass(frozen=True)
class Prediction:
    """Everything that a model says about one radiograph.

    Attributes:
        image: where the pixels come from.
        simulated: True when the file says that it shows no patient; None when it does not say.
        scale: how long a pixel is.
        image_state: 0 usual, 1 out of range, 2 no pelvis found.
        image_words: the same in words.
        calibrated: whether the decisions, probabilities and intervals are calibrated.
        region_level: nominal coverage of the landmarks' regions.
        interval_level: nominal coverage of the measurements' intervals.
        landmarks: the 24, in the order of ``anatomy.LANDMARK_NAMES``.
        measurements: in the order of ``functional.clinical.MEASUREMENT_NAMES``.
        reference_line: what the pelvic frame lies on; None when nothing was measured.
        warnings: what a reader must know.
        model: the backend's identity.
        patient: PatientID and PatientName, only where the caller asked to keep them.
        region_promise: what stands behind the regions' level, in words.
        interval_promise: what stands behind the intervals' level, in words.
    """

    image: ImageSource
    simulated: bool | None
    scale: Scale
    image_state: int
    image_words: str
    calibrated: bool
    region_level: float
    interval_level: float
    landmarks: tuple[PredictedLandmark, ...]
    measurements: tuple[MeasuredValue, ...]
    reference_line: str | None
    warnings: tuple[PredictionWarning, ...]
    model: Mapping[str, Any]
    patient: Mapping[str, str] | None = None
    region_promise: str = ''
    interval_promise: str = ''

    def __getitem__(self, name: str) -> PredictedLandmark | MeasuredValue:
        """Return a landmark or a measurement by its name.

        Raises:
            KeyError: there is neither.
        """
        for one in (*self.landmarks, *self.measurements):
            if one.name == name:
                return one
        raise KeyError(f'{name!r} is neither a landmark nor a measurement')

    def with_patient(self, patient: Mapping[str, str]) -> Prediction:
        """Return the same prediction with the patient's identity."""
        return replace(self, patient=dict(patient) or None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for json, as ``schema/prediction-1.json`` describes them."""
        content = {'schema': SCHEMA, 'notice': NOTICE, **_plain(asdict(self))}
        if self.patient is None:
            del content['patient']
        return content

    def to_json(self) -> str:
        """Return the json text."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + '\n'

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], source: str = 'prediction') -> Prediction:
        """Read what :meth:`to_dict` wrote.

        Args:
            content: the values.
            source: where they are from, for messages.

        Raises:
            ValueError: it is none, or of another version; the message says which.
        """
        found = content.get('schema') if isinstance(content, Mapping) else None
        if found != SCHEMA:
            raise ValueError(f'{source}: schema {found!r} is not {SCHEMA!r}; predict anew')
        values = {key: one for key, one in content.items() if key not in ('schema', 'notice')}
        try:
            values['image'] = ImageSource(**values['image'])
            values['scale'] = Scale(**_pairs(values['scale'], 'spacing_xy_mm'))
            values['landmarks'] = tuple(_landmark(one) for one in values['landmarks'])
            values['measurements'] = tuple(MeasuredValue(**one) for one in values['measurements'])
            values['warnings'] = tuple(PredictionWarning(**one) for one in values['warnings'])
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise ValueError(f'{source}: field missing or unknown ({error})') from error


@cache
def prediction_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of :meth:`Prediction.to_dict`."""
    text = files('unsct_mmpose.report').joinpath('schema/prediction-1.json').read_text('utf-8')
    schema: dict[str, Any] = json.loads(text)
    return schema


def _landmark(content: Mapping[str, Any]) -> PredictedLandmark:
    values = dict(content)
    if values['region'] is not None:
        values['region'] = Region(**_pairs(values['region'], 'semi_axes_px'))
    for name in ('covariance_px2', 'covariance_mm2'):
        if values[name] is not None:
            values[name] = tuple(tuple(row) for row in values[name])
    return PredictedLandmark(**values)


def _pairs(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    pair = content[name]
    return {**content, name: None if pair is None else tuple(pair)}


def _plain(value: Any) -> Any:
    """Return a value as json can hold it: rounded, and None for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (float, np.floating)):
        return round(float(value), _DECIMALS) + 0.0 if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
