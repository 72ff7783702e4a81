"""Check annotation files against their images: everything that is wrong, at once.

What the result says as json::

    {"data": "...", "files": ["train.json"], "images": 160, "errors": 1, "doubts": 0,
     "problems": [{"file": "train.json", "image": "3 (a.dcm)", "kind": "error", "words": "..."}]}

An error makes results wrong or stops a training; a doubt may be right all the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unsct_mmpose.anatomy import HIP, LandmarkSet
from unsct_mmpose.dicom import Radiograph
from unsct_mmpose.dicom.read_ahead import FileOptions, ReadFile, read_ahead

from .annotated import lay, size_problem, stored_size_wh
from .coco import (
    AnnotatedRadiograph,
    AnnotationError,
    AnnotationProblem,
    find_problems,
)
from .landmark_checks import sides_problem
from .record_checks import describe
from .splits import check_patient_splits

_SAME_LENGTH = 0.03

_Entry = tuple[Mapping[str, Any], AnnotatedRadiograph | None]


@dataclass(frozen=True)
class CheckResult:
    """What was found in a data set.

    Attributes:
        data: the folder or file.
        files: names of its annotation files.
        images: how many images they name.
        problems: in the order of the files.
    """

    data: str
    files: tuple[str, ...]
    images: int
    problems: tuple[AnnotationProblem, ...]

    @property
    def errors(self) -> int:
        """How many problems are errors."""
        return sum(not problem.is_doubt for problem in self.problems)

    @property
    def doubts(self) -> int:
        """How many problems are doubts."""
        return len(self.problems) - self.errors

    def to_json(self) -> str:
        """Return the result as json."""
        document: dict[str, Any] = dict(
            data=self.data,
            files=list(self.files),
            images=self.images,
            errors=self.errors,
            doubts=self.doubts,
            problems=[
                {name: getattr(problem, name) for name in ('file', 'image', 'kind', 'words')}
                for problem in self.problems
            ],
        )
        return json.dumps(document, indent=1, ensure_ascii=False) + '\n'

    def to_text(self) -> str:
        """Return the result for people."""
        lines = [f'{problem.kind}: {problem}' for problem in self.problems]
        lines.append(
            f'{self.images} images in {", ".join(self.files)}: {self.errors} errors, '
            f'{self.doubts} doubts'
        )
        return '\n'.join(lines) + '\n'


def check_data(
    data: str | os.PathLike[str],
    images: str | os.PathLike[str] | None = None,
    *,
    decode: bool = True,
    jobs: int = 1,
    landmarks: LandmarkSet = HIP,
) -> CheckResult:
    """Check the annotation files of a folder, or one of them, against their images.

    Args:
        data: folder with COCO keypoint files, or such a file.
        images: folder that file names start from; None looks beside the file and in ``images``.
        decode: whether to decode every image, which finds what its header alone cannot say.
        jobs: processes that decode.
        landmarks: those that the files are about.

    Raises:
        OSError: there is no such folder or file.
        ValueError: the folder holds no COCO keypoint file.
    """
    paths = _annotation_files(Path(data))
    problems: list[AnnotationProblem] = []
    number = 0
    owners: dict[str, str] = {}
    for path in paths:
        folders = [Path(images)] if images is not None else [path.parent, path.parent / 'images']
        records, about = find_problems(path, folders=folders, landmarks=landmarks)
        number += len(records)
        problems += [replace(problem, file=path.name) for problem in about]
        problems += _against_images(path, records, folders, decode, jobs, owners)
    if len(paths) > 1:
        problems += _shared_patients(paths, landmarks)
    return CheckResult(str(data), tuple(path.name for path in paths), number, tuple(problems))


def _annotation_files(data: Path) -> list[Path]:
    if data.is_file():
        return [data]
    if not data.is_dir():
        raise FileNotFoundError(f'{data}: there is no such folder or file')
    paths = sorted(filter(_is_coco, data.glob('*.json')))
    if not paths:
        raise ValueError(f'{data}: no COCO keypoint file (*.json with images and annotations)')
    return paths


def _is_coco(path: Path) -> bool:
    """Tell an annotation file, sound or not, from other json."""
    try:
        text = path.read_text('utf-8', errors='replace')
    except OSError:
        return True  # the check says what is wrong with it
    return '"images"' in text and '"annotations"' in text


def _against_images(
    path: Path,
    records: Sequence[_Entry],
    roots: Sequence[Path],
    decode: bool,
    jobs: int,
    owners: dict[str, str],
) -> Iterator[AnnotationProblem]:
    """Compare records with their images; ``owners`` remembers whose content was seen already."""
    there: list[tuple[_Entry, Path]] = []
    for entry in records:
        name = entry[0].get('file_name')
        if not isinstance(name, str) or not name:
            continue  # said already
        place = next((root / name for root in roots if (root / name).is_file()), None)
        if place is None:
            looked = ' or '.join(map(str, roots))
            words = f'no such file in {looked}; correct the name or the folder'
            yield AnnotationProblem(describe(entry[0]), words, file=path.name)
        else:
            there.append((entry, place))
    if not decode:
        return
    files = read_ahead((place for _, place in there), FileOptions(), jobs)
    for (entry, _), file in zip(there, files, strict=True):
        for words, is_doubt in _against_image(path.name, entry, file, owners):
            yield AnnotationProblem(describe(entry[0]), words, is_doubt, path.name)


def _against_image(
    file: str, entry: _Entry, read: ReadFile, owners: dict[str, str]
) -> Iterator[tuple[str, bool]]:
    """Return each problem of one image in words, and whether it is a doubt."""
    record, case = entry
    radiograph = read.radiograph
    if radiograph is None:
        yield f'the image cannot be read: {read.cause}', False
        return
    stored, written = stored_size_wh(radiograph), (record.get('width'), record.get('height'))
    if stored != written and all(isinstance(side, int) and side > 0 for side in written):
        yield size_problem(stored, written), False  # type: ignore[arg-type]
    content = str(radiograph.provenance.get('sha256'))
    if content in owners:
        yield f'the image has the content of {owners[content]}: one radiograph, one record', False
    owners.setdefault(content, f'{file}: {describe(record)}')
    if case is not None:
        for words in (_spacing_doubt(case, radiograph), _sides_doubt(case, radiograph)):
            if words is not None:
                yield words, True


def _spacing_doubt(case: AnnotatedRadiograph, radiograph: Radiograph) -> str | None:
    """Compare the millimetres of the record with those of the file, at the bone."""
    spacing = radiograph.bone_spacing_xy_mm
    if spacing is None or case.spacing_xy_mm is None:
        return None
    if radiograph.placement is not None:
        spacing = radiograph.placement.swap(spacing)
    ratio = np.asarray(case.spacing_xy_mm) / case.magnification / spacing
    both_known = case.magnification != 1.0 and radiograph.magnification_source != 'unknown'
    if not both_known:  # then compare at the detector, where the file is not calibrated elsewhere
        ratio = ratio * case.magnification / radiograph.magnification
    if np.abs(ratio - 1).max() <= _SAME_LENGTH:
        return None
    return (
        f"field 'pixel_spacing' makes lengths {ratio.max():.3g} times those of the file "
        f'({radiograph.spacing_source}); one of them is wrong'
    )


def _sides_doubt(case: AnnotatedRadiograph, radiograph: Radiograph) -> str | None:
    """Say what the file and the landmarks say of the sides, where they do not agree."""
    provenance = radiograph.provenance
    if radiograph.placement is not None and not case.is_mirrored:
        if sides_problem(lay(case, radiograph.placement).states) is None:
            return None
        return (
            f'the file says that its pixels are turned ({provenance.get("orientation")}), but '
            'its landmarks lie as in an image that is not; correct one of them'
        )
    doubt = provenance.get('sides')
    return None if doubt is None or case.mirrored is not None else str(doubt)


def _shared_patients(paths: Sequence[Path], landmarks: LandmarkSet) -> Iterator[AnnotationProblem]:
    readable = {}
    for path in paths:
        if all(problem.is_doubt for problem in find_problems(path, landmarks=landmarks)[1]):
            readable[path.name] = path
    try:
        if len(readable) > 1:
            check_patient_splits(readable)
    except AnnotationError as error:
        for words in error.problems or (str(error),):
            yield AnnotationProblem('', words, file=' and '.join(readable))
