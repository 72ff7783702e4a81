"""Checks of an annotation file, record by record; each problem says what to do about it."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

from unsct_mmpose.anatomy import HIP, LandmarkSet
from unsct_mmpose.dicom.header import printable
from unsct_mmpose.dicom.identity import peek_orientation
from unsct_mmpose.dicom.pixel_format import DecodeError
from unsct_mmpose.dicom.placement import Placement
from unsct_mmpose.dicom.spacing import magnification_problem, spacing_problem, spacing_question
from unsct_mmpose.files import JsonError, read_json

from .landmark_checks import contradictions, sides_problem
from .landmark_states import SUBSETS, AnnotationError, LandmarkStates, infer_subset, unknown_names

Record = Mapping[str, Any]

KEPT = 'kept'
"""Of ``mirrored``: the pixels are mirrored and stay so, as in the test under shift."""


def load_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Parse a COCO json file and check its outer shape.

    Raises:
        AnnotationError: there is no such file, it is no JSON, or has no list of images.
    """
    try:
        document = read_json(path)
    except JsonError as error:
        raise AnnotationError(path, [error.cause]) from None
    problems = _shape_problems(document)
    if problems:
        raise AnnotationError(path, problems)
    return dict(document)


def _shape_problems(document: object) -> list[str]:
    """Say what is wrong with the outer shape of a COCO document."""
    if not isinstance(document, Mapping):
        return ['the file must hold a JSON object with images, annotations and categories']
    problems = []
    if not isinstance(document.get('info') or {}, Mapping):
        problems.append("field 'info' must be a JSON object; correct it, or take it out")
    for field in ('images', 'annotations', 'categories'):
        records = document.get(field)
        if not isinstance(records, list):
            problems.append(f'field {field!r} is missing or no list; add it, even if empty')
        elif not all(isinstance(record, Mapping) for record in records):
            problems.append(f'field {field!r} must hold JSON objects only')
    return problems


def keypoint_orders(
    categories: list[Record], landmarks: LandmarkSet = HIP
) -> tuple[dict[str, list[int]], list[str]]:
    """Return for each category where in its keypoints each landmark stands.

    A category that names the same landmarks in another order is reordered by name.

    Args:
        categories: COCO categories.
        landmarks: which K.

    Returns:
        ``{category id: positions}`` with K positions in the order of the set, and the problems.
    """
    expected = landmarks.names
    orders: dict[str, list[int]] = {}
    problems: list[str] = []
    for category in categories:
        where = f'category {category.get("id")!r}'
        names = category.get('keypoints')
        if not isinstance(names, list):
            problems.append(
                f"{where} has no 'keypoints'; list the {len(expected)} landmark names, or take "
                'the category and its annotations out'
            )
            continue
        unknown = unknown_names(names, expected)
        missing = [name for name in expected if name not in names]
        repeated = [name for name, count in Counter(map(str, names)).items() if count > 1]
        problems += [f"{where}, field 'keypoints': {text}" for text in unknown]
        if missing:
            problems.append(f"{where}, field 'keypoints': add {', '.join(missing)}")
        if repeated:
            problems.append(f"{where}, field 'keypoints': {', '.join(repeated)} more than once")
        if not (unknown or missing or repeated):
            orders[str(category.get('id'))] = [names.index(name) for name in expected]
    if not categories:
        problems.append(
            f"field 'categories' is empty; add one category with the {len(expected)} landmark names"
        )
    return orders, problems


def describe(image: Record) -> str:
    """Name an image in a message."""
    return f'image {image.get("id")!r} ({image.get("file_name")})'


def image_problems(image: Record, image_root: Path | None, require_spacing: bool) -> list[str]:
    """Say what is wrong with an image record, its landmarks apart."""
    problems = []
    if not _is_integer(image.get('id')):
        problems.append("field 'id' must be an integer")
    file_name = image.get('file_name')
    if not isinstance(file_name, str) or not file_name:
        problems.append("field 'file_name' is missing")
    elif image_root is not None and not (image_root / file_name).is_file():
        problems.append(
            f"field 'file_name': no such file in {image_root}; correct the name or the folder"
        )
    for field in ('width', 'height'):
        size = image.get(field)
        if not _is_integer(size) or size <= 0:
            problems.append(f'field {field!r} is {size!r}; give a positive number of pixels')
    problems += scale_problems(image, require_spacing)
    mirrored = image.get('mirrored')
    if mirrored not in (None, KEPT) and not isinstance(mirrored, bool):
        problems.append(f"field 'mirrored' is {mirrored!r}; give true, false or {KEPT!r}")
    subset = image.get('subset')
    if subset is not None and subset not in SUBSETS:
        choices = ' or '.join(SUBSETS)
        problems.append(f"field 'subset' is {subset!r}; use {choices}, or leave it out")
    return problems


def landmark_problems(
    image: Record, states: LandmarkStates, folders: Sequence[Path] | None = ()
) -> list[str]:
    """Say where placed landmarks contradict their image, its subset or their sides.

    The image may be in one of the folders: its header says how it lies; None leaves the sides out.
    """
    problems = []
    width, height = image.get('width'), image.get('height')
    if _is_integer(width) and _is_integer(height):
        for name, present, (x, y) in zip(
            states.landmarks.names, states.present, states.points, strict=True
        ):
            if present and not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
                problems.append(
                    f'landmark {name!r} at ({x:g}, {y:g}) lies outside its {width} x {height} '
                    "image; correct it, or set v=0 and name it in 'absent'"
                )
        problems += contradictions(states, (width, height))
    exchanged = None if folders is None else _exchanged(image, states, folders)
    problems += [] if exchanged is None else [exchanged]
    return problems + subset_problems(image, states)


def subset_problems(image: Record, states: LandmarkStates) -> list[str]:
    """Say where the subset contradicts the landmarks."""
    if image.get('subset') == 'structured' and infer_subset(states) == 'unstructured':
        return ["field 'subset' is 'structured' but landmarks are absent; correct one"]
    return []


def _exchanged(image: Record, states: LandmarkStates, folders: Sequence[Path]) -> str | None:
    """Say that left and right are exchanged; by the header where the file's pixels look so."""
    mirrored, name = image.get('mirrored'), image.get('file_name')
    problem = sides_problem(states, mirrored in (True, KEPT))
    if problem is None or not isinstance(name, str):
        return problem
    path = next((folder / name for folder in folders if (folder / name).is_file()), None)
    try:
        by_hand = None if mirrored is None else mirrored is True
        orientation = None if path is None else peek_orientation(path, by_hand)
    except DecodeError:
        return problem  # whoever reads the image says why
    if orientation is None or not orientation.turn:
        return problem
    width, height = image.get('width') or 0, image.get('height') or 0
    size = (height, width) if orientation.turn.transpose else (width, height)
    laid = Placement(orientation.turn, size).from_stored(states.points)
    return sides_problem(replace(states, points=laid), mirrored == KEPT)


def repeated_problems(images: list[Record], annotations: list[Record]) -> list[str]:
    """Say which ids and file names occur twice and which annotations have no image."""
    problems = []
    for field in ('id', 'file_name'):
        counts = Counter(str(image.get(field)) for image in images)
        for value, count in counts.items():
            if count > 1:
                problems.append(
                    f'{count} images have {field} {printable(value)}; each must be unique'
                )
    ids = {str(image.get('id')) for image in images}
    for image_id, count in Counter(str(record.get('image_id')) for record in annotations).items():
        shown = printable(image_id)
        if image_id not in ids:
            problems.append(f'an annotation names image_id {shown}, which is not in images')
        elif count > 1:
            problems.append(f'image {shown} has {count} annotations; a radiograph has one')
    return problems


def scale_problems(image: Record, require_spacing: bool = False) -> list[str]:
    """Say what is wrong with the pixel spacing and the magnification of a record."""
    problems = []
    spacing = image.get('pixel_spacing')
    cure = 'give [x, y] in mm at the detector, positive'
    if spacing is None:
        if require_spacing:
            problems.append(f"field 'pixel_spacing' is missing, and mm are asked for; {cure}")
    elif not (isinstance(spacing, list) and len(spacing) == 2 and all(map(_is_length, spacing))):
        texts = spacing if isinstance(spacing, list) else [spacing]
        comma = any(isinstance(text, str) and ',' in text for text in texts)
        advice = ', as numbers with a decimal point and no comma' if comma else ''
        problems.append(f"field 'pixel_spacing' is {spacing!r}; {cure}{advice}")
    elif fault := spacing_problem(spacing):
        problems.append(f"field 'pixel_spacing' {spacing!r} {fault}; {cure}")
    magnification = image.get('magnification')
    if magnification is not None and not _is_length(magnification):
        problems.append(
            f"field 'magnification' is {magnification!r}; give a positive number, or leave it out"
        )
    elif magnification is not None and (fault := magnification_problem(magnification)):
        problems.append(f"field 'magnification' {magnification!r} {fault}")
    return problems


def spacing_doubts(image: Record) -> list[str]:
    """Say what is odd about a spacing that can be."""
    spacing = image.get('pixel_spacing')
    question = None if spacing is None else spacing_question(spacing)
    return [] if question is None else [f"field 'pixel_spacing' {spacing!r}: {question}"]


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Tell a finite number from all else."""
    is_bool = isinstance(value, bool)
    return isinstance(value, (int, float)) and not is_bool and math.isfinite(value)


def _is_length(value: object) -> bool:
    return is_number(value) and value > 0
