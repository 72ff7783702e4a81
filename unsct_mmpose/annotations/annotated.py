"""An image and its annotation, brought to the standard display together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unsct_mmpose.dicom.identity import peek_orientation, peek_size_wh
from unsct_mmpose.dicom.pixel_format import DecodeError
from unsct_mmpose.dicom.placement import Placement
from unsct_mmpose.dicom.radiograph import Radiograph, RadiographError
from unsct_mmpose.dicom.read import radiograph_from_bytes, read_radiograph
from unsct_mmpose.functional.crop import Squared, square_pixels

from .coco import KEPT, AnnotatedRadiograph, AnnotationFile
from .landmark_checks import sides_problem

_MOST_PEEKS = 256


def read_annotated(
    path: str | os.PathLike[str],
    case: AnnotatedRadiograph,
    *,
    content: bytes | None = None,
    spacing_xy_mm: tuple[float, float] | None = None,
    magnification: float | None = None,
    frame: int | None = None,
) -> tuple[Radiograph, AnnotatedRadiograph]:
    """Read the image of an annotation, and take the annotation along when it is turned.

    Annotations are in pixels of the file: of a DICOM file as it stores them, of a picture as
    programs show it (EXIF and TIFF orientation applied).

    Args:
        path: the image.
        case: its annotation.
        content: the whole file, where it has been read already.
        spacing_xy_mm: width and height of a pixel of the file at the detector, mm; wins over the
            annotation's.
        magnification: wins over the file's.
        frame: which image of a file that holds several, from 0.

    Raises:
        RadiographError: the image cannot be read, its size is not that of the annotation, or its
            sides are not once it is turned.
    """
    given: dict[str, Any] = dict(
        spacing_xy_mm=case.spacing_xy_mm if spacing_xy_mm is None else spacing_xy_mm,
        magnification=magnification,
        frame=frame,
        mirrored=case.read_mirrored,
    )
    if content is None:
        radiograph = read_radiograph(path, **given)
    else:
        radiograph = radiograph_from_bytes(content, path, **given)
    _check_size(path, radiograph, case.size_wh)
    laid = lay(case, radiograph.placement)
    if radiograph.placement is not None and sides_problem(laid.states, laid.is_mirrored):
        raise RadiographError(
            path,
            f'it is {radiograph.provenance["orientation"]}, and then every left landmark lies '
            'where the right one should: say "mirrored": false in its record where the names are '
            'right as it is stored, or rename them',
        )
    return radiograph, laid


def lay(case: AnnotatedRadiograph, placement: Placement | None) -> AnnotatedRadiograph:
    """Return an annotation in pixels of its file as its image lies once it is turned, if it is."""
    mirrored = KEPT if case.mirrored == KEPT else None
    if placement is None:
        return replace(case, mirrored=mirrored)
    present = case.states.present
    points = np.where(present[:, None], placement.from_stored(case.states.points), 0.0)
    return replace(
        case,
        size_wh=placement.size_wh,
        states=replace(case.states, points=points),
        spacing_xy_mm=None if case.spacing_xy_mm is None else placement.swap(case.spacing_xy_mm),
        mirrored=mirrored,
    )


def read_display(
    path: str | os.PathLike[str], notes: Mapping[str, Any]
) -> tuple[Radiograph, Squared]:
    """Read an image as a network sees it: on the standard display, with square pixels.

    Args:
        path: the image.
        notes: ``file_spacing`` (width and height of a pixel of the file, mm), ``mirrored`` and
            ``size_wh`` of its annotation, each of which may be missing or None: then the file
            says it, and the size is not compared.

    Raises:
        RadiographError: it cannot be read, or its size is not that of the annotation.
    """
    radiograph = read_radiograph(
        path, spacing_xy_mm=notes.get('file_spacing'), mirrored=notes.get('mirrored')
    )
    if notes.get('size_wh') is not None:
        _check_size(path, radiograph, notes['size_wh'])
    return radiograph, square_pixels(radiograph.pixels, radiograph.pixel_aspect)


def _check_size(
    path: str | os.PathLike[str], radiograph: Radiograph, size_wh: tuple[int, int]
) -> None:
    """Refuse an image whose size is not that of its annotation."""
    stored = stored_size_wh(radiograph)
    if stored != tuple(size_wh):
        raise RadiographError(path, size_problem(stored, (size_wh[0], size_wh[1])))


def stored_size_wh(radiograph: Radiograph) -> tuple[int, int]:
    """Return width and height of an image in its file."""
    placement = radiograph.placement
    return radiograph.size_wh if placement is None else placement.stored_size_wh


def size_problem(stored: tuple[int, int], said: tuple[int, int]) -> str:
    """Say that an image and its record differ in size, and what that looks like.

    Example:
        >>> print(size_problem((800, 600), (400, 300)))
        it has 800 x 600 pixels, but fields 'width' and 'height' of its record say 400 x 300: the \
image was shrunk by 2 for annotation? then multiply width, height and keypoints
    """
    text = (
        f"it has {stored[0]} x {stored[1]} pixels, but fields 'width' and 'height' of its record "
        f'say {said[0]} x {said[1]}'
    )
    if stored == said[::-1]:
        return f'{text}: width and height are exchanged, or the image was turned'
    x, y = stored[0] / max(said[0], 1), stored[1] / max(said[1], 1)
    if abs(x / y - 1) < 0.01:
        done = f'shrunk by {x:.3g}' if x > 1 else f'enlarged by {1 / x:.3g}'
        return (
            f'{text}: the image was {done} for annotation? then multiply width, height and '
            'keypoints'
        )
    return f'{text}: is it the right image? correct the annotation file'


def turned_problems(annotations: AnnotationFile, image_root: str | os.PathLike[str]) -> list[str]:
    """Say which images a reader turns to the standard display; some leave points behind."""
    problems = []
    for case in annotations.cases:
        try:
            orientation = peek_orientation(Path(image_root) / case.file_name, case.read_mirrored)
        except DecodeError as error:
            problems.append(f'image {case.image_id} ({case.file_name}): {error}')
            continue
        if orientation is not None and orientation.turn:
            problems.append(
                f'image {case.image_id} ({case.file_name}): it is {orientation.words()}'
            )
    return problems


def size_problems(annotations: AnnotationFile, image_root: str | os.PathLike[str]) -> list[str]:
    """Say which records contradict the size of their image, for a sample of at most 256 images.

    The others are compared when they are decoded.
    """
    cases = annotations.cases
    step = max(1, -(-len(cases) // _MOST_PEEKS))
    sizes = ((case, peek_size_wh(Path(image_root) / case.file_name)) for case in cases[::step])
    return [
        f'image {case.image_id} ({case.file_name}): {size_problem(size, case.size_wh)}'
        for case, size in sizes
        if size is not None and size != tuple(case.size_wh)
    ]
