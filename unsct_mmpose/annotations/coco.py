"""Annotation files: COCO keypoint json with units, patients and absent landmarks."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from unsct_mmpose.anatomy import HIP, LandmarkSet
from unsct_mmpose.files import replace_file

from .landmark_checks import doubts
from .landmark_states import (
    AnnotationError,
    LandmarkStates,
    infer_subset,
    landmark_states,
    name_states,
)
from .record_checks import (
    KEPT,
    Record,
    describe,
    image_problems,
    keypoint_orders,
    landmark_problems,
    load_document,
    repeated_problems,
    spacing_doubts,
    subset_problems,
)
from .screen import screen

_OWN_FIELDS = (
    'id',
    'file_name',
    'width',
    'height',
    'pixel_spacing',
    'magnification',
    'patient_id',
    'subset',
    'absent',
    'labelled',
    'mirrored',
)


@dataclass(frozen=True)
class AnnotationProblem:
    """Something that is wrong, or unlikely, in an annotation file.

    Attributes:
        image: the image, by its id and file name; empty for what concerns the whole file.
        words: what, and what to do.
        is_doubt: it may be right all the same.
        file: name of the annotation file, where several are checked.
    """

    image: str
    words: str
    is_doubt: bool = False
    file: str = ''

    def __str__(self) -> str:
        return ': '.join(filter(None, (self.file, self.image, self.words)))

    @property
    def kind(self) -> str:
        """``'error'`` or ``'doubt'``."""
        return 'doubt' if self.is_doubt else 'error'


@dataclass(frozen=True, eq=False)
class AnnotatedRadiograph:
    """One image of an annotation file and its landmarks.

    Attributes:
        image_id: number of the image.
        file_name: its path below the image folder.
        size_wh: width and height, pixels.
        states: present, absent and unlabelled landmarks.
        subset: ``'structured'`` or ``'unstructured'``; see :func:`infer_subset`.
        spacing_xy_mm: width and height of a pixel at the detector; None when unknown.
        magnification: size on the detector over size at the bone; 1.0 unless known.
        patient_id: pseudonym of the patient; None when unknown.
        mirrored: whether left and right are exchanged in the file's pixels, which are then turned
            when they are read; None leaves it to the file, and ``'kept'`` leaves them mirrored.
        extra: further fields of the image record.
    """

    image_id: int
    file_name: str
    size_wh: tuple[int, int]
    states: LandmarkStates
    subset: str
    spacing_xy_mm: tuple[float, float] | None = None
    magnification: float = 1.0
    patient_id: str | None = None
    mirrored: bool | str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_mirrored(self) -> bool:
        """Whether left and right are known to be exchanged in the file's pixels."""
        return self.mirrored in (True, KEPT)

    @property
    def read_mirrored(self) -> bool | None:
        """What a reader is told of the sides; None leaves it to the file."""
        return None if self.mirrored is None else self.mirrored is True


@dataclass(frozen=True, eq=False)
class AnnotationFile:
    """A whole annotation file.

    Attributes:
        path: where it was read.
        cases: one for each image, in the order of the file.
        images: the image records as they stand in the file, in the same order.
        info: the file's ``info``.
        doubts: what is unlikely, in words.
    """

    path: Path
    cases: tuple[AnnotatedRadiograph, ...]
    images: tuple[Record, ...]
    info: Mapping[str, Any]
    doubts: tuple[str, ...] = ()


def read_annotations(
    path: str | os.PathLike[str],
    *,
    image_root: str | os.PathLike[str] | None = None,
    require_spacing: bool = False,
    check_sides: bool = True,
    landmarks: LandmarkSet = HIP,
    folders: Sequence[Path] | None = None,
) -> AnnotationFile:
    """Read and check a COCO keypoint file of this project.

    An image without an annotation is one without placed landmarks.

    Args:
        path: the json file. Its format is described in ``docs/reference``; which landmarks are
            absent is decided by :func:`landmark_states`.
        image_root: folder that file names start from; every image must then exist there.
        require_spacing: every image must have a pixel spacing.
        check_sides: left landmarks must lie on the right of the image, or on its left where the
            image record, or the header of the image, says that it is mirrored.
        landmarks: those that the file is about.
        folders: where images are looked for to see how they lie; None looks in ``image_root``,
            or else beside the file and in ``images``.

    Raises:
        AnnotationError: something is wrong; the message lists the problems of the whole file.
    """
    with without_collector():
        return _read(path, image_root, require_spacing, check_sides, landmarks, folders)


def _read(
    path: str | os.PathLike[str],
    image_root: str | os.PathLike[str] | None,
    require_spacing: bool,
    check_sides: bool,
    landmarks: LandmarkSet,
    folders: Sequence[Path] | None,
) -> AnnotationFile:
    document = load_document(path)
    root = None if image_root is None else Path(image_root)
    looked = (_folders(path, root) if folders is None else folders) if check_sides else None
    cases, problems = _parse(document, root, require_spacing, looked, landmarks)
    _raise_errors(path, problems)
    doubts = tuple(str(problem) for problem in problems)
    images = tuple(document['images'])
    return AnnotationFile(Path(path), tuple(cases), images, document.get('info') or {}, doubts)


def find_problems(
    path: str | os.PathLike[str],
    *,
    folders: Sequence[Path] | None = None,
    landmarks: LandmarkSet = HIP,
) -> tuple[list[tuple[Record, AnnotatedRadiograph | None]], list[AnnotationProblem]]:
    """Check a file as :func:`read_annotations` does, and return all that is wrong or unlikely.

    Args:
        path: the json file.
        folders: see :func:`read_annotations`.
        landmarks: those that the file is about.

    Returns:
        For each image its record in the file, and what it says where nothing is wrong with it;
        and the problems of the whole file.
    """
    try:
        document = load_document(path)
    except AnnotationError as error:
        return [], [AnnotationProblem('', words) for words in error.problems]
    looked = _folders(path) if folders is None else folders
    cases, problems = _parse(document, None, False, looked, landmarks)
    sound: dict[Any, AnnotatedRadiograph] = {
        (case.image_id, case.file_name): case for case in cases
    }

    def case_of(image: Record) -> AnnotatedRadiograph | None:
        named = image.get('id'), image.get('file_name')
        # a list or an object in their place is among the problems
        return sound.get(named) if all(isinstance(part, Hashable) for part in named) else None

    return [(image, case_of(image)) for image in document['images']], problems


@contextmanager
def without_collector() -> Iterator[None]:
    """Build many small objects without the garbage collector looking through them all the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _folders(path: str | os.PathLike[str], image_root: Path | None = None) -> Sequence[Path]:
    beside = Path(path).parent
    return [beside, beside / 'images'] if image_root is None else [image_root]


def _raise_errors(path: str | os.PathLike[str], problems: Sequence[AnnotationProblem]) -> None:
    errors = [str(problem) for problem in problems if not problem.is_doubt]
    if errors:
        raise AnnotationError(path, errors)


def write_annotations(
    path: str | os.PathLike[str],
    cases: Sequence[AnnotatedRadiograph],
    *,
    info: Mapping[str, Any] | None = None,
) -> None:
    """Write a COCO keypoint file that :func:`read_annotations` reads back unchanged.

    The same cases give the same bytes; the file appears whole or not at all.

    Args:
        path: the file to write; its folder must exist.
        cases: the images with their landmarks, all of one set.
        info: the file's ``info``, such as its description and licence.

    Raises:
        AnnotationError: the cases are wrong, as :func:`read_annotations` would say.
        OSError: the file cannot be written.
    """
    landmarks = cases[0].states.landmarks if cases else HIP
    document = {
        'info': dict(info or {}),
        'images': [_image_record(case) for case in cases],
        'annotations': [_annotation_record(case, number) for number, case in enumerate(cases, 1)],
        'categories': [
            {
                'id': 1,
                'name': 'pelvis' if landmarks == HIP else landmarks.name,
                'supercategory': 'person',
                'keypoints': list(landmarks.names),
                'skeleton': [],
            }
        ],
    }
    _, problems = _parse(document, None, False, _folders(path), landmarks)
    _raise_errors(path, problems)
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    replace_file(path, f'{text}\n'.encode())


def _parse(
    document: Mapping[str, Any],
    image_root: Path | None,
    require_spacing: bool,
    folders: Sequence[Path] | None,
    landmarks: LandmarkSet,
) -> tuple[list[AnnotatedRadiograph], list[AnnotationProblem]]:
    """Turn a document into cases, and collect everything that is wrong with it."""
    images, annotations = document['images'], document['annotations']
    orders, about_all = keypoint_orders(document['categories'], landmarks)
    about_all += repeated_problems(images, annotations)
    problems = [AnnotationProblem('', words) for words in about_all]
    by_image = {str(record.get('image_id')): record for record in reversed(annotations)}
    in_order = [
        _in_order(by_image.get(str(image.get('id')), {}), orders, len(landmarks))
        for image in images
    ]
    points, present, sound = screen(images, in_order, landmarks)
    nobody = np.zeros(len(landmarks), bool)
    cases = []
    categories = {str(category.get('id')) for category in document['categories']}
    for index, (image, annotation) in enumerate(zip(images, in_order, strict=True)):
        faults = image_problems(image, image_root, require_spacing)
        category = annotation.get('category_id')
        if category is not None and str(category) not in categories:
            faults.append(
                f"field 'category_id' of its annotation is {category!r}: no such category"
            )
        try:
            if not sound[index]:
                states = landmark_states(image, annotation, landmarks)
                faults += landmark_problems(image, states, folders)
            elif image.get('absent') or image.get('labelled') or annotation.get('labelled'):
                states = name_states(points[index], present[index], image, annotation, landmarks)
                faults += subset_problems(image, states)
            else:
                states = LandmarkStates(points[index], present[index], nobody, landmarks)
        except AnnotationError as error:
            faults += error.problems
        problems += [AnnotationProblem(describe(image), words) for words in faults]
        if not faults:
            case = _case(image, states)
            cases.append(case)
            unlikely = spacing_doubts(image)
            if not sound[index]:
                unlikely += doubts(states, case.spacing_xy_mm, case.magnification, case.is_mirrored)
            problems += [AnnotationProblem(describe(image), words, True) for words in unlikely]
    return cases, problems


def _in_order(annotation: Record, orders: Mapping[str, list[int]], count: int) -> Record:
    """Return an annotation whose keypoints stand in the order of the set."""
    keypoints = annotation.get('keypoints')
    if not annotation or not isinstance(keypoints, list) or len(keypoints) != 3 * count:
        return annotation
    category = annotation.get('category_id')
    if category is None and len(orders) == 1:
        (order,) = orders.values()
    elif str(category) in orders:
        order = orders[str(category)]
    else:
        return annotation
    if order == sorted(order):
        return annotation
    moved = [value for index in order for value in keypoints[3 * index : 3 * index + 3]]
    return {**annotation, 'keypoints': moved}


def _case(image: Record, states: LandmarkStates) -> AnnotatedRadiograph:
    spacing = image.get('pixel_spacing')
    patient = image.get('patient_id')
    return AnnotatedRadiograph(
        image_id=image['id'],
        file_name=image['file_name'],
        size_wh=(image['width'], image['height']),
        states=states,
        spacing_xy_mm=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        magnification=float(image.get('magnification') or 1.0),
        patient_id=None if patient in (None, '') else str(patient),
        mirrored=image.get('mirrored'),
        subset=image.get('subset') or infer_subset(states),
        extra={name: value for name, value in image.items() if name not in _OWN_FIELDS},
    )


def _image_record(case: AnnotatedRadiograph) -> dict[str, Any]:
    width, height = case.size_wh
    spacing = None if case.spacing_xy_mm is None else [float(mm) for mm in case.spacing_xy_mm]
    names = zip(case.states.landmarks.names, case.states.absent, strict=True)
    return {
        'id': int(case.image_id),
        'file_name': case.file_name,
        'width': int(width),
        'height': int(height),
        'pixel_spacing': spacing,
        'magnification': float(case.magnification),
        'patient_id': case.patient_id,
        'subset': case.subset,
        'absent': [name for name, absent in names if absent],
        **({} if case.mirrored is None else {'mirrored': case.mirrored}),
        **{name: value for name, value in case.extra.items() if name not in _OWN_FIELDS},
    }


def _annotation_record(case: AnnotatedRadiograph, number: int) -> dict[str, Any]:
    width, height = case.size_wh
    keypoints: list[float] = []
    for (x, y), present in zip(case.states.points, case.states.present, strict=True):
        keypoints += [float(x), float(y), 2] if present else [0, 0, 0]
    return {
        'id': number,
        'image_id': int(case.image_id),
        'category_id': 1,
        'keypoints': keypoints,
        'num_keypoints': int(case.states.present.sum()),
        'bbox': [0, 0, int(width), int(height)],
        'area': int(width) * int(height),
        'iscrowd': 0,
    }
