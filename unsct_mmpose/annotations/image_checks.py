"""Records that contradict their images, as far as the first bytes of the files tell."""

from __future__ import annotations

import os
from pathlib import Path

from unsct_mmpose.dicom.identity import peek_orientation, peek_size_wh
from unsct_mmpose.dicom.pixel_format import DecodeError

from .annotated import size_problem
from .coco import AnnotationFile

_MOST_PEEKS = 256


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
