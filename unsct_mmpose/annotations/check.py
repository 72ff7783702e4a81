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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unsct_mmpose.anatomy import HIP, LandmarkSet
from unsct_mmpose.dicom import Radiograph
from unsct_mmpose.dicom.read_ahead import FileOptions, ReadFile, read_ahead

from .annotated import size_problem, stored_size_wh
from .coco import AnnotatedRadiograph, AnnotationError, check_patient_splits, find_problems
from .landmark_checks import sides_problem
from .record_checks import describe

_SAME_LENGTH = 0.03

_Entry = tuple[Mapping[str, Any], AnnotatedRadiograph | None]


@dataclass(frozen=True)
class Problem:
    """Something that is wrong or unlikely.

    Attributes:
        file: name of the annotation file.
        image: the image, by id and file name; empty for what concerns the whole file.
        kind: ``'error'`` or ``'doubt'``.
        words: what, and what to do.
    """

    file: str
    image: str
    kind: str
    words: str

    def __str__(self) -> str:
        where = f'{self.file}: {self.image}' if self.image else self.file
        return f'{where}: {self.words}'


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
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> int:
        """How many problems are errors."""
        return sum(one.kind == 'error' for one in self.problems)

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
            problems=[asdict(one) for one in self.problems],
        )
        return json.dumps(document, indent=1, ensure_ascii=False) + '\n'

    def to_text(self) -> str:
        """Return the result for people."""
        lines = [f'{one.kind}: {one}' for one in self.problems]
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
    problems: list[Problem] = []
    number = 0
    owners: dict[str, str] = {}
    for path in paths:
        records, found = find_problems(path, landmarks=landmarks)
        number += len(records)
        problems += [
            Problem(path.name, one.image, 'doubt' if one.is_doubt else 'error', one.words)
            for one in found
        ]
        problems += _against_images(path, records, images, decode, jobs, owners)
    if len(paths) > 1:
        problems += _shared_patients(paths, landmarks)
    return CheckResult(str(data), tuple(one.name for one in paths), number, tuple(problems))


def _annotation_files(data: Path) -> list[Path]:
    if data.is_file():
        return [data]
    if not data.is_dir():
        raise FileNotFoundError(f'{data}: there is no such folder or file')
    found = [path for path in sorted(data.glob('*.json')) if _is_coco(path)]
    if not found:
        raise ValueError(f'{data}: no COCO keypoint file (*.json with images and annotations)')
    return found


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
    images: str | os.PathLike[str] | None,
    decode: bool,
    jobs: int,
    owners: dict[str, str],
) -> Iterator[Problem]:
    """Compare records with their images; ``owners`` remembers whose content was seen already."""
    roots = [Path(images)] if images is not None else [path.parent, path.parent / 'images']
    there: list[tuple[_Entry, Path]] = []
    for entry in records:
        name = entry[0].get('file_name')
        if not isinstance(name, str) or not name:
            continue  # said already
        place = next((root / name for root in roots if (root / name).is_file()), None)
        if place is None:
            looked = ' or '.join(map(str, roots))
            words = f'no such file in {looked}; correct the name or the folder'
            yield Problem(path.name, describe(entry[0]), 'error', words)
        else:
            there.append((entry, place))
    if not decode:
        return
    read = read_ahead((place for _, place in there), FileOptions(), jobs)
    for (entry, _), one in zip(there, read, strict=True):
        for kind, words in _against_image(path.name, entry, one, owners):
            yield Problem(path.name, describe(entry[0]), kind, words)


def _against_image(
    file: str, entry: _Entry, read: ReadFile, owners: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Return kind and words of each problem of one image."""
    record, case = entry
    radiograph = read.radiograph
    if radiograph is None:
        yield 'error', f'the image cannot be read: {read.cause}'
        return
    stored, said = stored_size_wh(radiograph), (record.get('width'), record.get('height'))
    if stored != said and all(isinstance(one, int) and one > 0 for one in said):
        yield 'error', size_problem(stored, said)  # type: ignore[arg-type]
    content = str(radiograph.provenance.get('sha256'))
    if content in owners:
        yield 'error', f'the image has the content of {owners[content]}: one radiograph, one record'
    owners.setdefault(content, f'{file}: {describe(record)}')
    if case is not None:
        for words in (_spacing_doubt(case, radiograph), _sides_doubt(case, radiograph)):
            if words is not None:
                yield 'doubt', words


def _spacing_doubt(case: AnnotatedRadiograph, radiograph: Radiograph) -> str | None:
    """Compare the millimetres of the record with those of the file, at the bone."""
    known = radiograph.bone_spacing_xy_mm
    if known is None or case.spacing_xy_mm is None:
        return None
    if radiograph.placement is not None:
        known = radiograph.placement.swap(known)
    ratio = np.asarray(case.spacing_xy_mm) / case.magnification / known
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
    placement, said = radiograph.placement, radiograph.provenance
    mirrored = placement is not None and placement.turn.flip_x != placement.turn.flip_y
    if mirrored and not placement.turn.transpose and not case.is_mirrored:  # type: ignore[union-attr]
        if sides_problem(case.states, mirrored=True) is None:
            return None
        return (
            f'the file says that its pixels are mirrored ({said.get("orientation")}), but its '
            'landmarks lie as in an image that is not; correct one of them'
        )
    doubt = said.get('sides')
    return None if doubt is None or case.mirrored is not None else str(doubt)


def _shared_patients(paths: Sequence[Path], landmarks: LandmarkSet) -> Iterator[Problem]:
    readable = {}
    for path in paths:
        if not any(not one.is_doubt for one in find_problems(path, landmarks=landmarks)[1]):
            readable[path.name] = path
    try:
        if len(readable) > 1:
            check_patient_splits(readable)
    except AnnotationError as error:
        for words in error.problems or (str(error),):
            yield Problem(' and '.join(readable), '', 'error', words)
