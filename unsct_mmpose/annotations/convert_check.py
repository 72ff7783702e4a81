"""The inverse of a conversion: do the pictures and records give back what the sources hold?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from unsct_mmpose.dicom import RadiographError
from unsct_mmpose.dicom.identity import identifying_words
from unsct_mmpose.dicom.placement import Placement
from unsct_mmpose.dicom.read_ahead import KILLED, work_ahead
from unsct_mmpose.files import read_record
from unsct_mmpose.functional.crop import fine_levels, grey_levels

from .coco import AnnotatedRadiograph, AnnotationError, read_annotations
from .convert import OWN_FILES, Sources, tasks_of
from .convert_one import IMAGES, RECORDS, ConvertOptions, Task, open_source, render
from .splits import check_patient_splits

_OWN_WORDS = (
    'spacing_source', 'spacing_problem', 'magnification_source', 'window', 'simulated',
    'orientation', 'laid', 'sides', 'processing',
)  # fmt: skip
"""Fields whose text this package writes itself: of a header it holds numbers and codes only."""

_LEAST_BYTES = 6


@dataclass(frozen=True, eq=False)
class Checked:
    """What a look at one source and its picture gave.

    Attributes:
        file_name: of the picture; empty when there is none.
        problems: what is wrong, in words that name neither source nor patient.
        grey_levels: largest and mean difference between the picture, as MMPose's ``LoadImage``
            reads it, and the source as it is displayed.
        words: of the source's header that must not turn up.
        placement: how the source was turned to be displayed; None when it was not.
    """

    file_name: str = ''
    problems: tuple[str, ...] = ()
    grey_levels: tuple[float, float] = (0.0, 0.0)
    words: frozenset[str] = frozenset()
    placement: Placement | None = None


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Attributes:
        images: pictures that were held against their source.
        problems: everything that is wrong; empty when all is well.
        largest: largest difference in grey levels.
        mean: mean difference in grey levels, over pictures.
        landmarks_px: largest distance between a landmark that was mapped back and its original.
    """

    images: int
    problems: tuple[str, ...]
    largest: float
    mean: float
    landmarks_px: float


def _jpeg_promise(quality: int) -> tuple[float, float]:
    """Return the largest and the mean difference in grey levels that JPEG is allowed.

    Measured on real and simulated radiographs (largest 9, mean 1.4 at quality 95) with room.

    Example:
        >>> _jpeg_promise(95)
        (14, 1.75)
    """
    return 4 + 2 * (100 - quality), 0.5 + 0.25 * (100 - quality)


def check_conversion(
    sources: Sources, out: Path, key: bytes, *, jobs: int = 0, progress: bool = True
) -> CheckResult:
    """Hold a converted data set against its sources.

    Pictures must show the grey levels that the reader of DICOM shows: exactly, or within
    :func:`_jpeg_promise`. Landmarks mapped back must be where they were, lengths in mm must be the
    same, no patient may be in two splits, and nothing of a header's names, numbers and dates may
    stand in a record or a picture.

    Args:
        sources: what was converted.
        out: folder of the results.
        key: that they were made with.
        jobs: processes; 0 works in this one.
        progress: show a bar.

    Raises:
        AnnotationError: an annotation file cannot be read.
    """
    files = {
        out / name: read_annotations(out / name) for name in OWN_FILES if (out / name).exists()
    }
    cases = {case.file_name: case for file in files.values() for case in file.cases}
    problems = [] if files else [f'{out} holds none of {", ".join(OWN_FILES)}']
    tasks = tasks_of(sources, out, key, ConvertOptions())
    names: set[str] = set()
    differences, distances = [], [0.0]
    with tqdm(total=len(sources.files), unit='image', disable=not progress) as bar:
        results = work_ahead(tasks, _check_one, lambda _: Checked(problems=(KILLED,)), jobs)
        for number, (source, result) in enumerate(zip(sources.files, results, strict=True), 1):
            bar.update()
            texts, case = list(result.problems), cases.get(result.file_name)
            if case is not None:
                names.add(result.file_name)
                differences.append(result.grey_levels)
                texts += _identity_problems(case, result.words)
                if source.case:
                    distance, others = _landmarks(source.case, case, result.placement)
                    distances.append(distance)
                    texts += others
            elif result.file_name:
                texts.append('no annotation file names it')
            problems += [f'file {number}: {text}' for text in texts]
    problems += _whole(out, files, cases, names)
    table = np.array(differences or [(np.nan, np.nan)])
    largest, mean = float(table[:, 0].max()), float(table[:, 1].mean())
    return CheckResult(len(differences), tuple(problems), largest, mean, max(distances))


def _check_one(task: Task) -> Checked:
    """Hold a picture against its source."""
    try:
        opened = open_source(task)
        record = read_record(task.out / RECORDS / f'{opened.name}.json')
        if record is None or 'file_name' not in record:
            return Checked(problems=('it was not converted, or with another key',))
        options = _options(record)
        radiograph, pixels = render(replace(task, options=options), opened.content)
        content = (task.out / IMAGES / record['file_name']).read_bytes()
    except RadiographError as error:
        return Checked(problems=(error.cause or 'it cannot be read',))
    except OSError as error:
        return Checked(problems=(f'its picture cannot be read ({error.strerror})',))
    problems, difference = _picture_problems(content, pixels, options)
    words = identifying_words(opened.content)
    lower = content.lower()
    if any(word.encode() in lower for word in words if len(word) >= _LEAST_BYTES):
        problems.append('its picture holds words of the header')
    name, placement = record['file_name'], radiograph.placement
    return Checked(name, tuple(problems), difference, words, placement)


def _options(record: Mapping[str, Any]) -> ConvertOptions:
    how = {name: value for name, value in record['how'].items() if name != 'stated'}
    spacing = how.pop('spacing_xy_mm', None)
    return ConvertOptions(**how, spacing_xy_mm=None if spacing is None else tuple(spacing))


def _picture_problems(
    content: bytes, pixels: NDArray[np.float32], options: ConvertOptions
) -> tuple[list[str], tuple[float, float]]:
    """Compare a picture, read as MMPose reads it, with what it was made from."""
    coded = np.frombuffer(content, np.uint8)
    stock = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    if stock is None or stock.shape[:2] != pixels.shape:
        return ['its picture is damaged, or of another size'], (np.nan, np.nan)
    away = np.abs(stock.astype(np.int16) - grey_levels(pixels)[..., None].astype(np.int16))
    largest, mean = float(away.max()), float(away.mean())
    allowed = _jpeg_promise(options.quality) if options.form == 'jpeg' else (0.0, 0.0)
    problems = []
    if largest > allowed[0] or mean > allowed[1]:
        problems.append(
            f'its picture is off by up to {largest:g} grey levels, {mean:.2f} on average; '
            f'{allowed[0]:g} and {allowed[1]:g} are allowed'
        )
    if options.form == 'png16':
        levels = cv2.imdecode(coded, cv2.IMREAD_UNCHANGED)
        if levels is None or not np.array_equal(levels, fine_levels(pixels)):
            problems.append('its 16-bit levels are not those of the source')
    return problems, (largest, mean)


def _landmarks(
    before: AnnotatedRadiograph, after: AnnotatedRadiograph, placement: Placement | None
) -> tuple[float, list[str]]:
    """Return how far landmarks mapped back are off, px of the source, and what else differs."""
    problems = []
    for name in ('present', 'absent'):
        if not np.array_equal(getattr(before.states, name), getattr(after.states, name)):
            problems.append(f'other landmarks are {name}')
    both = before.states.present & after.states.present
    back = after.states.points
    size = placement.size_wh if placement else before.size_wh
    if size != after.size_wh:
        back = (back + 0.5) * (np.asarray(size, float) / after.size_wh) - 0.5
    if placement:
        back = placement.to_stored(back)
    distance = np.linalg.norm(back - before.states.points, axis=1)[both].max(initial=0.0)
    if distance > 1e-6:
        problems.append(f'landmarks are off by up to {distance:.3g} px')
    if before.spacing_xy_mm is not None and after.spacing_xy_mm is not None:
        old = np.multiply(before.size_wh, before.spacing_xy_mm)
        width, height = np.multiply(after.size_wh, after.spacing_xy_mm).tolist()
        new = placement.swap((width, height)) if placement else (width, height)
        if not np.allclose(new, old, rtol=1e-9):
            problems.append('the pixel spacing is not that of its record')
    return float(distance), problems


def _identity_problems(case: AnnotatedRadiograph, words: frozenset[str]) -> list[str]:
    """Look for words of a header in everything that this package does not write itself."""
    own = {name: value for name, value in case.extra.items() if name not in _OWN_WORDS}
    texts = [case.file_name, str(case.patient_id), *map(str, own.values())]
    joined = ' '.join(texts).lower()
    return ['its record holds words of the header'] if any(word in joined for word in words) else []


def _whole(
    out: Path, files: Mapping[Path, Any], cases: Mapping[str, Any], checked: set[str]
) -> Iterable[str]:
    """Say what is wrong with the set as a whole."""
    problems: list[str] = []
    try:
        check_patient_splits({path.stem: path for path in files})
    except AnnotationError as error:
        problems += error.problems
    pictures = (
        {path.name for path in (out / IMAGES).iterdir()} if (out / IMAGES).is_dir() else set()
    )
    for names, words in (
        (set(cases) - pictures, 'are named in annotation files and not there'),
        (pictures - set(cases), 'are named in no annotation file'),
        (set(cases) - checked, 'are of none of these sources'),
    ):
        if names:
            problems.append(f'{len(names)} pictures {words}: {", ".join(sorted(names)[:5])}')
    return problems
