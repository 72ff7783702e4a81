"""Write test sets under distribution shift from a data set of this project."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from unsct_mmpose.anatomy import LANDMARK_NAMES
from unsct_mmpose.annotations import (
    AnnotatedRadiograph,
    LandmarkStates,
    infer_subset,
    read_annotations,
    write_annotations,
)
from unsct_mmpose.annotations.annotated import read_annotated
from unsct_mmpose.annotations.coco import KEPT
from unsct_mmpose.dicom import Radiograph, RadiographError
from unsct_mmpose.files import (
    claim_folder,
    file_sha256,
    is_finished,
    read_record,
    replace_file,
    write_record,
)
from unsct_mmpose.functional.crop import grey_levels

from .make_phantom import COORDINATE, RECORDS, case_paths, one_thread
from .shifts import SHIFTS, Shifted, apply_shift, describe_shift

FORMAT_VERSION = 1
"""Changes whenever the same seed gives other images."""

MANIFEST = 'shifts.json'
_LICENCE_FIELDS = ('licence', 'license')
_DICOM_FIELDS = ('photometric', 'transfer_syntax', 'dicom_pixel_spacing')

_README = """# Radiographs under simulated distribution shift

Test images only, computed by unsct_mmpose (tools/make_shifts.py) from {source}.

Each kind has a file `KIND.json` (COCO keypoints) and 8-bit pictures in `images/KIND`; file names
start from `images`. Points, spacing and magnification are those of the source, moved with the
image. Landmarks that the shift hides are named in `absent`, and again in `shift_hidden`; what was
drawn stands in `shift_how`. Landmarks that were absent or unlabelled in the source stay so.

{kinds}

Licence: {licence}
"""


@dataclass(frozen=True)
class _Task:
    """One image of the source: its record, its file, and the name of what is made of it."""

    case: AnnotatedRadiograph
    image: Path
    name: str


def make_shifts(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    split: str = 'val.json',
    kinds: Sequence[str] = tuple(SHIFTS),
    seed: int = 0,
    limit: int | None = None,
    structured_only: bool = False,
    progress: bool = True,
) -> dict[str, Path]:
    """Write each image of an annotation file once for every kind of shift.

    Finished images of an interrupted run are kept; so are kinds that are not named now. What an
    image becomes depends on the seed, the kind and its file name alone.

    Args:
        data: folder of the source: the annotation file and ``images``.
        out: folder to write, outside the source; created when missing.
        split: name of the annotation file; every image needs a pixel spacing.
        kinds: names in ``phantom.shifts.SHIFTS``.
        seed: decides everything random.
        limit: take only this many images, the first of the file.
        structured_only: take only images without absent landmarks.
        progress: whether to show a progress bar.

    Returns:
        Kind to its annotation file.

    Raises:
        ValueError: an argument is wrong, or the folder lies in the source, belongs to another
            source or seed, or holds foreign files. ``AnnotationError`` and ``RadiographError``,
            which are ValueErrors, name the file that cannot be used.
    """
    _check(kinds, seed, limit)
    source, folder = Path(data) / split, Path(out)
    _keep_apart(folder, (Path(data), Path(data) / 'images', source.parent))
    file = read_annotations(source, image_root=Path(data) / 'images', require_spacing=True)
    tasks = _plan(file.cases, Path(data) / 'images')
    if structured_only:
        tasks = [task for task in tasks if not task.case.states.absent.any()]
    tasks = tasks[:limit]
    if not tasks:
        raise ValueError(f'{source} has no image of the wanted sort; nothing to shift')
    manifest = {
        'format_version': FORMAT_VERSION,
        'seed': seed,
        'annotations_sha256': file_sha256(source),
    }
    claim_folder(
        folder,
        MANIFEST,
        json.dumps(manifest, indent=2) + '\n',
        'shifted images',
        'holds shifted images of another source or seed ({}); choose another folder, or remove it',
    )
    for kind in kinds:
        for sub in ('images', RECORDS):
            (folder / sub / kind).mkdir(parents=True, exist_ok=True)
    bar = tqdm(total=len(tasks) * len(kinds), unit='image', disable=not progress)
    with bar, one_thread():
        for task in tasks:
            for _ in _shift_one(folder, task, kinds, seed):
                bar.update()
    paths = {}
    for kind in kinds:
        paths[kind] = folder / f'{kind}.json'
        cases = [_case(folder, kind, task) for task in tasks]
        write_annotations(paths[kind], cases, info=_info(kind, source, file.info, seed))
    _write_readme(folder, source, file.info)
    return paths


def _check(kinds: Sequence[str], seed: int, limit: int | None) -> None:
    unknown = [kind for kind in kinds if kind not in SHIFTS]
    if unknown or not kinds:
        what = f'unknown kinds {", ".join(map(repr, unknown))}' if unknown else 'no kinds'
        raise ValueError(f'{what}; choose from {", ".join(SHIFTS)}')
    if len(set(kinds)) < len(kinds):
        raise ValueError(f'kinds are named twice: {", ".join(kinds)}; name each once')
    if seed < 0:
        raise ValueError(f'seed must not be negative, not {seed}')
    if limit is not None and limit < 1:
        raise ValueError(f'limit must be at least 1 image, not {limit}')


def _keep_apart(folder: Path, sources: Sequence[Path]) -> None:
    """Refuse to write among the files of the source, wherever links lead."""
    target = folder.resolve()
    for source in sources:
        if target.is_relative_to(source.resolve()):
            raise ValueError(f'{folder} lies inside the source {source}; choose a folder outside')


def _plan(cases: Sequence[AnnotatedRadiograph], images: Path) -> list[_Task]:
    """Give every image a name of its own, which does not depend on which images are wanted."""
    names = [Path(case.file_name).stem for case in cases]
    if len(set(names)) < len(names):
        names = [f'{name}-{case.image_id}' for name, case in zip(names, cases, strict=True)]
    return [
        _Task(case, images / case.file_name, name) for case, name in zip(cases, names, strict=True)
    ]


def _shift_one(folder: Path, task: _Task, kinds: Sequence[str], seed: int) -> Iterator[str]:
    """Make what is missing of one image, and yield each kind; the source is decoded once."""
    digest = file_sha256(task.image)
    radiograph = None
    for kind in kinds:
        if not _is_finished(folder, kind, task.name, digest):
            if radiograph is None:  # the landmarks are then in pixels of what was read
                radiograph, case = read_annotated(task.image, task.case)
                task = replace(task, case=case)
            shifted = _shift(radiograph, task, kind, seed)
            _write(folder, kind, task.name, shifted, digest)
        yield kind


def _is_finished(folder: Path, kind: str, name: str, source_sha256: str) -> bool:
    image, path = case_paths(folder, f'{kind}/{name}', '.png')
    record = read_record(path)
    return (record or {}).get('source_sha256') == source_sha256 and is_finished(record, image)


def _shift(radiograph: Radiograph, task: _Task, kind: str, seed: int) -> Shifted:
    key = tuple(zlib.crc32(text.encode()) for text in (kind, task.case.file_name))
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
    states, spacing = task.case.states, task.case.spacing_xy_mm
    assert spacing is not None  # read_annotations was told to require it
    try:
        return apply_shift(
            kind, radiograph.pixels, states.points, states.present, spacing_xy_mm=spacing, rng=rng
        )
    except ValueError as error:
        raise RadiographError(
            task.image, f'no shift {kind!r}: {error}; leave the image or the kind out'
        ) from None


def _write(folder: Path, kind: str, name: str, shifted: Shifted, source_sha256: str) -> None:
    """Write a picture and then its record, each whole or not at all."""
    image, record = case_paths(folder, f'{kind}/{name}', '.png')
    # 8 bits are read back as they are; 16 bits would pass a window, which undoes the contrast.
    grey = grey_levels(shifted.pixels)
    done, picture = cv2.imencode('.png', grey)
    if not done:
        raise RadiographError(image, 'it cannot be encoded')
    replace_file(image, picture.tobytes())
    content = {
        'points': np.round(shifted.points, 3).tolist(),
        'present': shifted.present.tolist(),
        'size_wh': [grey.shape[1], grey.shape[0]],
        'how': shifted.how,
        'source_sha256': source_sha256,
    }
    write_record(record, content, image)


def _case(folder: Path, kind: str, task: _Task) -> AnnotatedRadiograph:
    """Return the record of a shifted image."""
    image, path = case_paths(folder, f'{kind}/{task.name}', '.png')
    record = json.loads(path.read_text(encoding='utf-8'))
    before = task.case.states
    present = np.asarray(record['present'], dtype=bool)
    hidden = before.present & ~present
    states = LandmarkStates(np.asarray(record['points'], float), present, before.absent | hidden)
    kept = {key: value for key, value in task.case.extra.items() if key not in _DICOM_FIELDS}
    return replace(
        task.case,
        file_name=f'{kind}/{image.name}',
        size_wh=(int(record['size_wh'][0]), int(record['size_wh'][1])),
        states=states,
        mirrored=KEPT if kind == 'mirror' else None,
        subset=infer_subset(states),
        extra={
            **kept,
            'shift': kind,
            'shift_how': record['how'],
            'shift_hidden': [LANDMARK_NAMES[index] for index in np.flatnonzero(hidden)],
            'shift_source': task.case.file_name,
        },
    )


def _info(kind: str, source: Path, info: Mapping[str, Any], seed: int) -> dict[str, Any]:
    origin = info.get('description') or f'{source.parent.name}/{source.name}'
    result = {
        'description': f'Simulated distribution shift {kind!r} of: {origin}',
        'simulated': True,
        'shift': kind,
        'shift_does': describe_shift(kind),
        'source': f'{source.parent.name}/{source.name}',
        'source_info': dict(info),
        'format_version': FORMAT_VERSION,
        'seed': seed,
        'coordinate': COORDINATE,
    }
    for field in _LICENCE_FIELDS:
        if info.get(field):
            result[field] = info[field]
            result['licence_note'] = (
                'a derivative of the source: its licence holds for these images too. Changes made: '
                f'{describe_shift(kind)}'
            )
    return result


def _write_readme(folder: Path, source: Path, info: Mapping[str, Any]) -> None:
    made = [kind for kind in SHIFTS if (folder / f'{kind}.json').exists()]
    licence = next((info[field] for field in _LICENCE_FIELDS if info.get(field)), None)
    text = _README.format(
        source=f'{source.parent.name}/{source.name} ("{info.get("description", "")}")',
        kinds='\n'.join(f'- `{kind}`: {describe_shift(kind)}' for kind in made),
        licence=f'{licence}, that of the source: these images are derivatives of it.'
        if licence
        else 'that of the source, which names none in its annotation file.',
    )
    replace_file(folder / 'README.md', text.encode())
