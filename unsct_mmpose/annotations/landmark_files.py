"""Landmarks in, from either kind of json file: COCO keypoints, or one plain record per image.

A plain record needs no more than the landmarks that somebody placed::

    {"image": "x.dcm", "pixel_spacing": [0.143, 0.143], "magnification": 1.15, "simulated": false,
     "landmarks": {"left_fovea": [1310.2, 802.0],
                   "left_femoral_head_center": {"x": 1384.0, "y": 793.5, "present": true,
                                                "covariance": [[4.0, 0.5], [0.5, 6.0]]}}}

or a list of such. Coordinates are pixels, (0, 0) is the centre of the top-left one; covariances are
px^2. A landmark that is not listed, is ``null`` or has ``"present": false`` is absent.
"""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.anatomy import LANDMARK_NAMES, NUM_LANDMARKS
from unsct_mmpose.files import JsonError, read_json

from .coco import AnnotationError, read_annotations
from .landmark_checks import contradictions
from .landmark_states import LandmarkStates, unknown_names
from .record_checks import is_number, scale_problems

_COCO_FIELDS = ('images', 'annotations', 'categories')
_RECORD_FIELDS = ('image', 'pixel_spacing', 'magnification', 'simulated', 'landmarks')
_LANDMARK_FIELDS = ('x', 'y', 'covariance', 'present')


@dataclass(frozen=True, eq=False)
class LandmarkRecord:
    """The K landmarks of one hip.

    Attributes:
        image: name of the image file, for people.
        points_px: ``(K, 2)`` pixels; 0 where not present.
        present: ``(K,)`` bool; what nobody placed is not present.
        covariances_px: ``(K, 2, 2)`` px^2, NaN where unknown; None when all are unknown.
        spacing_xy_mm: width and height of a pixel at the detector; None when unknown.
        magnification: size on the detector over size at the bone; None when unknown.
        mirrored: whether left and right are exchanged in the pixels.
    """

    image: str
    points_px: NDArray[np.float64]
    present: NDArray[np.bool_]
    covariances_px: NDArray[np.float64] | None
    spacing_xy_mm: tuple[float, float] | None
    magnification: float | None
    mirrored: bool = False

    @property
    def states(self) -> LandmarkStates:
        """The landmarks as annotations have them."""
        return LandmarkStates(self.points_px, self.present, ~self.present)


@dataclass(frozen=True, eq=False)
class LandmarkFile:
    """A file of landmarks.

    Attributes:
        path: where it was read.
        records: one for each image, in the order of the file.
        simulated: whether the file says that its images are simulated.
    """

    path: Path
    records: tuple[LandmarkRecord, ...]
    simulated: bool


def read_landmarks(path: str | os.PathLike[str]) -> LandmarkFile:
    """Read a COCO keypoint file of this project, or plain landmark records.

    A magnification of exactly 1.0 in a COCO file counts as unknown, because that is what this
    project's writer puts there when nobody knows it.

    Raises:
        AnnotationError: something is wrong; the message lists the problems of the whole file with
            image, field and cure.
    """
    try:
        document = read_json(path)
    except JsonError as error:
        raise AnnotationError(path, [error.cause]) from None
    if isinstance(document, Mapping) and any(field in document for field in _COCO_FIELDS):
        return _from_coco(Path(path))
    records = document if isinstance(document, list) else [document]
    if not records or not all(isinstance(record, Mapping) for record in records):
        raise AnnotationError(path, ['no records; give one JSON object or a list of them'])
    if not any('landmarks' in record for record in records):
        cure = f'give {", ".join(_COCO_FIELDS)} (COCO keypoints) or records with "landmarks"'
        raise AnnotationError(path, [f'neither kind of landmark file; {cure}'])
    return _from_records(Path(path), records)


def _from_coco(path: Path) -> LandmarkFile:
    file = read_annotations(path, check_sides=False)
    records = []
    for case, image in zip(file.cases, file.images, strict=True):
        factor = image.get('magnification')
        records.append(
            LandmarkRecord(
                case.file_name,
                case.states.points,
                case.states.present,
                None,
                case.spacing_xy_mm,
                None if factor in (None, 1) else float(factor),
                case.is_mirrored,
            )
        )
    said = file.info.get('simulated')
    if not isinstance(said, bool):
        said = 'simulated' in str(file.info.get('description', '')).lower().split()
    return LandmarkFile(path, tuple(records), said)


def _from_records(path: Path, documents: Sequence[Mapping[str, Any]]) -> LandmarkFile:
    problems: list[str] = []
    records = []
    for number, document in enumerate(documents, 1):
        name = document.get('image')
        image = name if isinstance(name, str) and name else f'record {number}'
        faults = [] if name is None or image == name else ["field 'image' must be a name"]
        records.append(_record(image, document, faults))
        problems += [f'image {image!r}: {text}' for text in faults]
    for image, count in Counter(record.image for record in records).items():
        if count > 1:
            problems.append(
                f"{count} records have image {image!r}; give each its own field 'image'"
            )
    if problems:
        raise AnnotationError(path, problems)
    return LandmarkFile(
        path, tuple(records), any(document.get('simulated') for document in documents)
    )


def _record(image: str, document: Mapping[str, Any], problems: list[str]) -> LandmarkRecord:
    """Read one plain record; append what is wrong with it."""
    problems += _misspelt(document, _RECORD_FIELDS)
    spacing = document.get('pixel_spacing')
    factor = document.get('magnification')
    if wrong := scale_problems(document):
        problems += wrong
        spacing = factor = None
    if not isinstance(document.get('simulated', False), bool):
        problems.append("field 'simulated' must be true or false")
    points, present = np.zeros((NUM_LANDMARKS, 2)), np.zeros(NUM_LANDMARKS, bool)
    covariances = np.full((NUM_LANDMARKS, 2, 2), np.nan)
    landmarks = document.get('landmarks')
    if not isinstance(landmarks, Mapping):
        problems.append("field 'landmarks' is missing or no object; give names with coordinates")
        landmarks = {}
    problems += unknown_names(landmarks)
    for index, name in enumerate(LANDMARK_NAMES):
        place, wrong = _landmark(landmarks.get(name))
        problems += [f'landmark {name!r}: {text}' for text in wrong]
        if place is not None and not wrong:
            points[index], covariances[index] = place
            present[index] = True
    problems += contradictions(LandmarkStates(points, present, ~present), None)
    return LandmarkRecord(
        image,
        points,
        present,
        None if np.isnan(covariances).all() else covariances,
        None if spacing is None else (float(spacing[0]), float(spacing[1])),
        None if factor is None else float(factor),
    )


def _landmark(value: Any) -> tuple[tuple[Any, Any] | None, list[str]]:
    """Return point and covariance, or None when absent, and what is wrong."""
    unknown = np.full((2, 2), np.nan)
    if value is None:
        return None, []
    if not isinstance(value, Mapping):
        if _is_pair(value):
            return (value, unknown), []
        return None, [f'{value!r} is no place; give [x, y] in pixels']
    wrong = _misspelt(value, _LANDMARK_FIELDS)
    present = value.get('present', True)
    if not isinstance(present, bool):
        return None, [*wrong, f"field 'present' is {present!r}; give true or false"]
    if not present:
        return None, wrong
    point = [value.get('x'), value.get('y')]
    if not _is_pair(point):
        wrong.append(f'x, y are {point!r}; give two numbers of pixels, or "present": false')
    covariance = value.get('covariance')
    if covariance is None:
        return (point, unknown), wrong
    if not _is_covariance(covariance):
        wrong.append(
            f"field 'covariance' is {covariance!r}; give [[xx, xy], [xy, yy]] in px^2, symmetric "
            'and without negative variances, or leave it out'
        )
    return (point, covariance), wrong


def _misspelt(document: Mapping[str, Any], fields: Sequence[str]) -> list[str]:
    """Say which unknown fields look like known ones that are missing; others are ignored."""
    missing = [field for field in fields if field not in document]
    hints = []
    for field in document:
        close = difflib.get_close_matches(field, missing, n=1, cutoff=0.8)
        if field not in fields and close:
            hints.append(f'unknown field {field!r}; did you mean {close[0]!r}?')
    return hints


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value))


def _is_covariance(value: Any) -> bool:
    if not (isinstance(value, list) and len(value) == 2 and all(map(_is_pair, value))):
        return False
    (xx, xy), (yx, yy) = value
    size = max(xx, yy)
    symmetric = abs(xy - yx) <= 1e-6 * size
    return min(xx, yy) >= 0 and symmetric and xy * yx <= xx * yy + 1e-6 * size * size
