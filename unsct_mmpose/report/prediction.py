"""What a model says about one radiograph: plain values with units, words and provenance.

Nothing here needs torch or MMPose. A number that is unknown is None, never 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.anatomy import (
    HIP,
    MEASUREMENT_NAMES,
    LandmarkEstimate,
    LandmarkSet,
    Measurement,
    Region,
    Spacing,
    landmark_set,
)
from unsct_mmpose.anatomy.records import check_fields
from unsct_mmpose.dicom.header import printable
from unsct_mmpose.files import jsonable

NOTICE = (
    'Research software, not a medical device: landmarks and measurements of an image, '
    'no diagnosis, not for clinical use.'
)
_SCHEMA = 'unsct_mmpose/prediction-1'

DECIMALS = 6

MEASUREMENT_FIELDS = (
    'name', 'side', 'unit', 'value', 'low', 'high', 'standard_error', 'reason', 'reference',
    'systematic_error',
)  # fmt: skip
"""What is written of a measurement."""

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
            ``weights_sha256``, for a calibrated one ``calibration_sha256``, ``region_level``,
            ``interval_level`` and ``calibration`` (what it was fitted on), and ``landmarks`` where
            they are not the hip's: the content of a :class:`LandmarkSet`. Two backends with equal
            identities give equal results.
    """

    identity: dict[str, Any]

    def infer(self, images: Sequence[NDArray[np.float32]]) -> list[dict[str, Any]]:
        """Infer the landmarks of images, each ``(H, W)`` in [0, 1] with bone bright, of any sizes.

        Returns:
            For each image the fields of :meth:`HeatmapPAF.decode_maps` without their leading 1:
            ``keypoints`` ``(K, 2)`` in image pixels, ``keypoint_scores``,
            ``keypoint_uncertainties``, ``keypoints_visible``, ``keypoint_presence``,
            ``keypoint_support`` ``(K,)``, ``keypoint_covariances`` ``(K, 2, 2)`` in image pixels
            squared, ``keypoint_evidences`` and ``keypoint_decisions`` ``(K, 3)``,
            ``interval_scales`` and ``interval_offsets`` ``(M,)``, ``error_correlation``
            ``(2 K, 2 K)``, ``image_state`` and ``calibrated``.
        """
        ...


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
        path: of the file below the folder that a run was given, with slashes; None where there is
            no run.
    """

    file_name: str
    sha256: str
    width: int
    height: int
    provenance: Mapping[str, Any] = field(default_factory=dict)
    turn: Mapping[str, bool] | None = None
    path: str | None = None


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
        spacing: how long a pixel is and where lengths hold; ``scale`` in json.
        image_state: 0 usual, 1 out of range, 2 no pelvis found.
        image_words: the same in words.
        calibrated: whether the decisions, probabilities and intervals are calibrated.
        region_level: nominal coverage of the landmarks' regions.
        interval_level: nominal coverage of the measurements' intervals.
        landmarks: in the order of :attr:`landmark_set`.
        measurements: in the order of ``MEASUREMENT_NAMES``; none where the clinical parameters are
            not defined on the landmarks.
        reference_line: what the pelvic frame lies on; None when nothing was measured.
        warnings: what a reader must know.
        model: the backend's identity.
        patient: PatientID and PatientName, only where the caller asked to keep them; empty where
            the file has neither.
        region_promise: what stands behind the regions' level, in words.
        interval_promise: what stands behind the intervals' level, in words.
    """

    image: ImageSource
    simulated: bool | None
    spacing: Spacing
    image_state: int
    image_words: str
    calibrated: bool
    region_level: float
    interval_level: float
    landmarks: tuple[LandmarkEstimate, ...]
    measurements: tuple[Measurement, ...]
    reference_line: str | None
    warnings: tuple[PredictionWarning, ...]
    model: Mapping[str, Any]
    patient: Mapping[str, str] | None = None
    region_promise: str = ''
    interval_promise: str = ''

    def _check_names(self) -> None:
        if tuple(landmark.name for landmark in self.landmarks) != self.landmark_set.names:
            raise ValueError('landmarks are not those of the model, in their order')
        unknown = [m.name for m in self.measurements if m.name not in MEASUREMENT_NAMES]
        if unknown:
            raise ValueError(f'measurements holds {unknown[0]!r}, which is none')
        if not isinstance(self.model.get('calibration') or {}, Mapping):
            raise ValueError('model.calibration is no object')
        for landmark in self.landmarks:
            if landmark.covariance_mm2 is not None and landmark.covariance_px2 is None:
                raise ValueError(f'{landmark.name} has covariance_mm2 without covariance_px2')

    @cached_property
    def landmark_set(self) -> LandmarkSet:
        """The landmarks that the model knows: the hip's unless its identity says otherwise."""
        return landmark_set(self.model.get('landmarks') or HIP)

    def __getitem__(self, name: str) -> LandmarkEstimate | Measurement:
        """Return a landmark or a measurement by its name.

        Raises:
            KeyError: there is neither.
        """
        for record in (*self.landmarks, *self.measurements):
            if record.name == name:
                return record
        raise KeyError(f'{name!r} is neither a landmark nor a measurement')

    def with_patient(self, patient: Mapping[str, str]) -> Prediction:
        """Return the same prediction with the patient's identity."""
        return replace(self, patient=dict(patient))

    def with_path(self, path: str) -> Prediction:
        """Return the same prediction with the path of its file in a run."""
        return replace(self, image=replace(self.image, path=path))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for json, as :func:`prediction_schema` describes them."""
        spacing = self.spacing
        content = {'schema': _SCHEMA, 'notice': NOTICE}
        for name in _NAMES:
            content[_JSON_NAMES.get(name, name)] = getattr(self, name)
        content |= dict(
            image=self.image,
            scale=vars(spacing)
            | dict(magnification=spacing.known_magnification, plane=spacing.plane),
            landmarks=[  # why one is not reported is said by reported
                {name: value for name, value in vars(landmark).items() if name != 'reason'}
                for landmark in self.landmarks
            ],
            measurements=[
                {name: getattr(measurement, name) for name in MEASUREMENT_FIELDS}
                for measurement in self.measurements
            ],
            warnings=self.warnings,
        )
        if self.patient is None:
            del content['patient']
        result: dict[str, Any] = jsonable(content, DECIMALS)
        return result

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
        schema = content.get('schema') if isinstance(content, Mapping) else None
        if schema != _SCHEMA:
            raise ValueError(f'{source}: schema {schema!r} is not {_SCHEMA!r}; predict anew')
        values = {key: value for key, value in content.items() if key not in ('schema', 'notice')}
        try:
            values['image'] = ImageSource(**values['image'])
            values['spacing'] = _spacing(values.pop('scale'))
            values['landmarks'] = tuple(map(_landmark, values['landmarks']))
            values['measurements'] = tuple(map(_measurement, values['measurements']))
            values['warnings'] = tuple(PredictionWarning(**value) for value in values['warnings'])
            prediction = cls(**values)
            check_fields(prediction)
            prediction._check_names()
            return prediction
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            words = printable(str(error))
            raise ValueError(f'{source}: field missing, unknown or malformed ({words})') from error


_NAMES = tuple(Prediction.__dataclass_fields__)
_JSON_NAMES = {'spacing': 'scale'}


def prediction_schema(landmarks: LandmarkSet = HIP) -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of :meth:`Prediction.to_dict`.

    Args:
        landmarks: which landmarks are predicted.
    """
    text = files('unsct_mmpose.report').joinpath('schema/prediction-1.json').read_text('utf-8')
    schema: dict[str, Any] = json.loads(text)
    measurements = MEASUREMENT_NAMES if landmarks.clinical else ()
    for kind, names in (('landmark', landmarks.names), ('measurement', measurements)):
        schema['properties'][f'{kind}s'].update(minItems=len(names), maxItems=len(names))
        schema['$defs'][kind]['properties']['name'] = {'enum': list(names)} if names else {}
    return schema


def _landmark(content: Mapping[str, Any]) -> LandmarkEstimate:
    values = dict(content)
    if values['region'] is not None:
        values['region'] = Region(**_pairs(values['region'], 'semi_axes_px'))
        if not all(axis >= 0 for axis in values['region'].semi_axes_px):
            raise ValueError(f'semi_axes_px is {values["region"].semi_axes_px}')
    for name in ('covariance_px2', 'covariance_mm2'):
        if values[name] is not None:
            values[name] = tuple(tuple(map(_or_nan, row)) for row in values[name])
    for name in ('x', 'y'):
        values[name] = _or_nan(values[name])
    return LandmarkEstimate(**values)


def _or_nan(value: Any) -> Any:
    return math.nan if value is None else value


def _measurement(content: Mapping[str, Any]) -> Measurement:
    """Read a measurement; what its name and value say is not stored twice in the record."""
    derived = ('side', 'unit', 'reference')
    return Measurement(**{name: value for name, value in content.items() if name not in derived})


def _spacing(content: Mapping[str, Any]) -> Spacing:
    values = _pairs(content, 'spacing_xy_mm')
    if not all(0 < side < math.inf for side in values['spacing_xy_mm'] or ()):
        raise ValueError(f'spacing_xy_mm is {values["spacing_xy_mm"]}')
    del values['plane']
    return Spacing(**values | dict(magnification=values['magnification'] or 1.0))


def _pairs(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    pair = content[name]
    return {**content, name: None if pair is None else tuple(pair)}
