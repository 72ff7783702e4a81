"""The paper's data preparation: DICOM files become a data set that stock MMPose reads.

Pictures at full resolution, units and display in the json, no identity, splits by patient.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from unsct_mmpose.dicom.pseudonyms import Pseudonyms
from unsct_mmpose.dicom.read_ahead import KILLED, work_ahead
from unsct_mmpose.files import replace_file

from .coco import AnnotatedRadiograph, split_by_patient, write_annotations
from .convert_one import IMAGES, RECORDS, Converted, ConvertOptions, Task, convert_one
from .convert_sources import Source, Sources
from .splits import paper_shares

MANIFEST = 'conversion.json'
SPLITTINGS = ('paper', 'keep', 'none')
OWN_FILES = ('train.json', 'val.json', 'test.json', 'all.json')
_FORMAT = 1


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
        if self.split not in SPLITTINGS:
            raise ValueError(f'split={self.split!r} is not one of {", ".join(SPLITTINGS)}')
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
    if options.split == 'keep' and not all(one.split for one in sources.files):
        raise ValueError("split='keep' needs annotation files: without them nothing is split yet")
    _claim(out, sources, key)
    cases: list[tuple[AnnotatedRadiograph, str]] = []
    errors: list[tuple[int, str]] = []
    duplicates: list[int] = []
    notes: Counter[str] = Counter()
    seen: set[str] = set()
    bar = tqdm(total=len(sources.files), unit='image', disable=not options.progress)
    with bar:
        for number, one in enumerate(_work(sources, out, key, options), 1):
            bar.update()
            if one.case is None:
                errors.append((number, one.cause))
                with bar.external_write_mode():
                    tell(f'file {number}: {one.cause}')
            elif one.case.file_name in seen:
                duplicates.append(number)
            else:
                seen.add(one.case.file_name)
                cases.append((one.case, one.source.split))
                notes.update(one.notes)
    written = _write_splits(out, cases, sources, options) if cases else {}
    return ConvertResult(written, tuple(errors), tuple(duplicates), notes)


def tasks_of(
    sources: Sources, out: Path, key: bytes, options: ConvertOptions, overwrite: bool = False
) -> Iterator[Task]:
    """Yield a task for each file, in their order."""
    for source in sources.files:
        yield Task(source, out, options, key, overwrite)


def _work(sources: Sources, out: Path, key: bytes, options: RunOptions) -> Iterator[Converted]:
    tasks = tasks_of(sources, out, key, options.picture, options.overwrite)
    return work_ahead(tasks, convert_one, _killed, options.jobs)


def _killed(task: Task) -> Converted:
    return Converted(task.source, cause=KILLED)


def _claim(out: Path, sources: Sources, key: bytes) -> None:
    """Make the folder ours, or make sure that it is; remove what a killed run left."""
    inside = out.resolve()
    folders = {one.path.resolve().parent for one in sources.files}
    if any(inside == one or (inside.is_relative_to(one) and _is_images(one)) for one in folders):
        raise ValueError(f'{out} is a folder of the source; choose another one')
    path = out / MANIFEST
    ours = {'format': _FORMAT, 'key': Pseudonyms(key).fingerprint()}
    if path.is_file():
        try:
            found = json.loads(path.read_text('utf-8'))
        except ValueError:
            raise ValueError(f'{path} is no manifest of a conversion') from None
        if found != ours:
            raise ValueError(
                f'{out} was converted with another key: one patient would get two names. Name '
                'the key that was used, or choose another folder'
            )
        for folder in (out, out / IMAGES, out / RECORDS):
            for left in folder.glob('.*.tmp'):
                left.unlink()
    elif out.exists() and any(out.iterdir()):
        raise ValueError(f'{out} is not empty and holds no {MANIFEST}; choose another folder')
    for folder in (out / IMAGES, out / RECORDS):
        folder.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(ours).encode())


def _is_images(folder: Path) -> bool:
    return folder.name == IMAGES


def _write_splits(
    out: Path,
    cases: Sequence[tuple[AnnotatedRadiograph, str]],
    sources: Sources,
    options: RunOptions,
) -> dict[Path, tuple[AnnotatedRadiograph, ...]]:
    ordered = sorted(cases, key=lambda one: one[0].file_name)
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


__all__ = ['ConvertOptions', 'ConvertResult', 'RunOptions', 'Source', 'Sources', 'convert']
