"""The paper's data preparation: DICOM files become a data set that stock MMPose reads.

Pictures at full resolution, units and display in the json, no identity, splits by patient.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from unsct_mmpose.dicom.find_inputs import find_inputs
from unsct_mmpose.dicom.pseudonyms import Pseudonyms
from unsct_mmpose.dicom.read_ahead import KILLED, work_ahead
from unsct_mmpose.files import claim_folder

from .coco import AnnotatedRadiograph, read_annotations, write_annotations
from .convert_one import IMAGES, RECORDS, Converted, ConvertOptions, Source, Task, convert_one
from .splits import paper_shares, split_by_patient

MANIFEST = 'conversion.json'
_SPLITTINGS = ('paper', 'keep', 'none')
_SPLIT_FILES = ('train.json', 'val.json', 'test.json')
OWN_FILES = (*_SPLIT_FILES, 'all.json')
_FORMAT = 1
_INFO_KEPT = ('description', 'licence', 'license', 'version', 'url', 'simulated')
"""What a converted annotation file takes over of the ``info`` of its source."""


@dataclass(frozen=True, eq=False)
class Sources:
    """All files to convert.

    Attributes:
        files: each once.
        missing: arguments that name nothing, with the cause.
        is_split: the annotations are those of splits, such as ``train.json``.
        info: of the annotation files, the parts of :data:`_INFO_KEPT`.
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
        annotations = [folder / name for name in _SPLIT_FILES if (folder / name).is_file()]
    if not annotations:
        inside = find_inputs(inputs, leave_out)
        return Sources(tuple(Source(path) for path in inside.paths), inside.missing)
    if len(inputs) != 1 or not folder.is_dir():
        raise ValueError('with annotations give one folder, which their file names start from')
    files: list[Source] = []
    info: dict[str, Any] = {}
    for path in annotations:
        content = read_annotations(path, folders=[folder / 'images', folder])
        info = {**{k: v for k, v in content.info.items() if k in _INFO_KEPT}, **info}
        files += [
            Source(
                _image(folder, case.file_name),
                case,
                path.stem,
                frozenset(name for name, value in record.items() if value is not None),
            )
            for case, record in zip(content.cases, content.images, strict=True)
        ]
    twice = sum(count > 1 for count in Counter(source.path for source in files).values())
    if twice:
        raise ValueError(f'the annotation files name {twice} images more than once; merge them')
    is_split = {path.name for path in annotations} <= set(_SPLIT_FILES)
    return Sources(tuple(files), is_split=is_split, info=info)


def _image(folder: Path, name: str) -> Path:
    """Return an image's path: below the folder, or where data sets keep images."""
    below = folder / 'images' / name
    return below if below.is_file() else folder / name


@dataclass(frozen=True)
class RunOptions:
    """How a run goes.

    Attributes:
        picture: what pictures become.
        split: ``'paper'``: the paper's shares of structured and unstructured images, by patient;
            ``'keep'``: as the annotation files are; ``'none'``: one file, ``all.json``.
        validation: share of the training images for a split of its own, of ``'paper'``.
        seed: of the split.
        jobs: processes that decode and encode; 0 does it in this one.
        overwrite: convert again what is there already.
        progress: show a bar.
    """

    picture: ConvertOptions = field(default_factory=ConvertOptions)
    split: str = 'paper'
    validation: float = 0.0
    seed: int = 0
    jobs: int = 0
    overwrite: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        if self.split not in _SPLITTINGS:
            raise ValueError(f'split={self.split!r} is not one of {", ".join(_SPLITTINGS)}')
        paper_shares(self.validation)


@dataclass(frozen=True, eq=False)
class ConvertResult:
    """What a run did.

    Attributes:
        written: each annotation file that was written, and its images.
        errors: files that could not be converted, by their number from 1, with causes.
        duplicates: numbers of files that hold the same as an earlier one.
        notes: how many images are ``burned_in``, ``no_patient``, ``no_spacing``, or have doubtful
            ``sides``.
    """

    written: Mapping[Path, tuple[AnnotatedRadiograph, ...]]
    errors: tuple[tuple[int, str], ...]
    duplicates: tuple[int, ...]
    notes: Mapping[str, int]

    @property
    def exit_status(self) -> int:
        """0 when all is well, 1 when a file failed, 2 when nothing could be converted."""
        return 2 if not self.written else int(bool(self.errors))


def convert(
    sources: Sources,
    out: Path,
    key: bytes,
    options: RunOptions | None = None,
    *,
    tell: Callable[[str], None] = print,
) -> ConvertResult:
    """Write pictures, and annotation files with everything that pictures cannot hold.

    A file that cannot be converted costs one line. An interrupted run goes on where it stopped.
    Every file appears whole or not at all; annotation files come last.

    Args:
        sources: what to convert.
        out: folder to write; empty, or of an earlier run with the same key.
        key: what pseudonyms are made with, see :func:`~unsct_mmpose.dicom.pseudonyms.read_key`.
        options: how.
        tell: takes each line about a file that failed; it names neither file nor patient.

    Raises:
        ValueError: the folder holds something else, or the images cannot be split so.
        OSError: the folder cannot be written to.
    """
    options = options or RunOptions()
    if options.split == 'keep' and not all(source.split for source in sources.files):
        raise ValueError("split='keep' needs annotation files: without them nothing is split yet")
    _claim(out, sources, key)
    cases: list[tuple[AnnotatedRadiograph, str]] = []
    errors: list[tuple[int, str]] = []
    duplicates: list[int] = []
    notes: Counter[str] = Counter()
    names: set[str] = set()
    tasks = tasks_of(sources, out, key, options.picture, options.overwrite)
    with tqdm(total=len(sources.files), unit='image', disable=not options.progress) as bar:
        results = work_ahead(
            tasks, convert_one, lambda task: Converted(task.source, cause=KILLED), options.jobs
        )
        for number, result in enumerate(results, 1):
            bar.update()
            if result.case is None:
                errors.append((number, result.cause))
                with bar.external_write_mode():
                    tell(f'file {number}: {result.cause}')
            elif result.case.file_name in names:
                duplicates.append(number)
            else:
                names.add(result.case.file_name)
                cases.append((result.case, result.source.split))
                notes.update(result.notes)
    written = _write_splits(out, cases, sources, options) if cases else {}
    return ConvertResult(written, tuple(errors), tuple(duplicates), notes)


def tasks_of(
    sources: Sources, out: Path, key: bytes, options: ConvertOptions, overwrite: bool = False
) -> Iterator[Task]:
    """Yield a task for each file, in their order."""
    for source in sources.files:
        yield Task(source, out, options, key, overwrite)


def _claim(out: Path, sources: Sources, key: bytes) -> None:
    """Make the folder ours, or make sure that it is."""
    inside = out.resolve()
    for folder in {source.path.resolve().parent for source in sources.files}:
        if inside == folder or (inside.is_relative_to(folder) and folder.name == IMAGES):
            raise ValueError(f'{out} is a folder of the source; choose another one')
    claim_folder(
        out,
        MANIFEST,
        json.dumps({'format': _FORMAT, 'key': Pseudonyms(key).fingerprint()}),
        'a conversion',
        'was converted with another key: one patient would get two names. Name the key that was '
        'used, or choose another folder',
    )
    for folder in (out / IMAGES, out / RECORDS):
        folder.mkdir(parents=True, exist_ok=True)


def _write_splits(
    out: Path,
    cases: Sequence[tuple[AnnotatedRadiograph, str]],
    sources: Sources,
    options: RunOptions,
) -> dict[Path, tuple[AnnotatedRadiograph, ...]]:
    ordered = sorted(cases, key=lambda pair: pair[0].file_name)
    numbered = [(replace(case, image_id=n), split) for n, (case, split) in enumerate(ordered, 1)]
    parts = _split(numbered, options)
    info = dict(sources.info or {})
    if 'description' not in info:
        simulated = any('simulated' in case.extra for case, _ in numbered)
        info['description'] = 'simulated radiographs' if simulated else 'radiographs'
    info['converted'] = _words(options.picture)
    written = {}
    for name, own in parts.items():
        path = out / f'{name}.json'
        write_annotations(path, own, info=info)
        written[path] = tuple(own)
    for name in OWN_FILES:
        if out / name not in written:
            (out / name).unlink(missing_ok=True)  # of an earlier run, split otherwise
    return written


def _split(
    numbered: Sequence[tuple[AnnotatedRadiograph, str]], options: RunOptions
) -> dict[str, list[AnnotatedRadiograph]]:
    cases = [case for case, _ in numbered]
    if options.split == 'none':
        return {'all': cases}
    if options.split == 'keep':
        names = sorted({split for _, split in numbered})
        return {name: [case for case, split in numbered if split == name] for name in names}
    try:
        return split_by_patient(cases, paper_shares(options.validation), options.seed)
    except ValueError as error:
        raise ValueError(
            f'{error}. The pictures are there: run again with --split none, or with annotations '
            'whose patient_id tells the patients apart'
        ) from None


def _words(options: ConvertOptions) -> str:
    form = {'png': '8-bit PNG', 'png16': '16-bit PNG, upper byte as 8-bit', 'jpeg': '8-bit JPEG'}
    words = form[options.form]
    if options.form == 'jpeg':
        words += f' of quality {options.quality}'
    if options.pixel_mm is None:
        return f'{words}, at full resolution'
    return (
        f'{words}; images with pixels under {options.finer_than_mm} mm averaged to '
        f'{options.pixel_mm} mm'
    )
