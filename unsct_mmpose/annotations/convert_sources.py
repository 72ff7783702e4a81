"""What is to be converted: files, folders, or a data set with its annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unsct_mmpose.dicom.find_inputs import find_inputs

from .coco import AnnotatedRadiograph, read_annotations

SPLIT_FILES = ('train.json', 'val.json', 'test.json')
INFO_KEPT = ('description', 'licence', 'license', 'version', 'url', 'simulated')
"""What a converted annotation file takes over of the ``info`` of its source."""


@dataclass(frozen=True, eq=False)
class Source:
    """One file to convert.

    Attributes:
        path: the file.
        case: its record; None without annotations.
        split: name of its annotation file without suffix; empty without annotations.
        given: which fields its record states: a default is no statement.
    """

    path: Path
    case: AnnotatedRadiograph | None = None
    split: str = ''
    given: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Sources:
    """All files to convert.

    Attributes:
        files: each once.
        missing: arguments that name nothing, with the cause.
        is_split: the annotations are those of splits, such as ``train.json``.
        info: of the annotation files, the parts of :data:`INFO_KEPT`.
    """

    files: tuple[Source, ...]
    missing: tuple[tuple[str, str], ...] = ()
    is_split: bool = False
    info: Mapping[str, Any] | None = None


def find_sources(
    inputs: Sequence[str], annotations: Sequence[Path] = (), *, leave_out: Path | None = None
) -> Sources:
    """Find what is to be converted.

    Args:
        inputs: files, folders and patterns; or one folder with ``train.json``, ``val.json`` or
            ``test.json`` and the images in it or in its ``images``: a data set.
        annotations: annotation files of the images in the folder ``inputs``.
        leave_out: the folder of the results, whose files are none to convert.

    Raises:
        ValueError: annotations need one folder, or name a file twice. ``AnnotationError``, which is
            one, lists what is wrong with a file.
    """
    folder = Path(inputs[0])
    if not annotations and len(inputs) == 1:
        annotations = [folder / name for name in SPLIT_FILES if (folder / name).is_file()]
    if not annotations:
        found = find_inputs(inputs, leave_out)
        return Sources(tuple(Source(path) for path in found.paths), found.missing)
    if len(inputs) != 1 or not folder.is_dir():
        raise ValueError('with annotations give one folder, which their file names start from')
    files: list[Source] = []
    info: dict[str, Any] = {}
    for path in annotations:
        content = read_annotations(path, folders=[folder / 'images', folder])
        info = {**{k: v for k, v in content.info.items() if k in INFO_KEPT}, **info}
        files += [
            Source(_image(folder, case.file_name), case, path.stem, _stated(record))
            for case, record in zip(content.cases, content.images, strict=True)
        ]
    twice = sum(count > 1 for count in Counter(one.path for one in files).values())
    if twice:
        raise ValueError(f'the annotation files name {twice} images more than once; merge them')
    is_split = {path.name for path in annotations} <= set(SPLIT_FILES)
    return Sources(tuple(files), is_split=is_split, info=info)


def _stated(record: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name, value in record.items() if value is not None)


def _image(folder: Path, name: str) -> Path:
    """Return an image's path: below the folder, or where data sets keep images."""
    below = folder / 'images' / name
    return below if below.is_file() else folder / name
