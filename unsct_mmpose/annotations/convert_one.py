"""Convert one radiograph: a picture that any software reads, and a record without an identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.dicom import Radiograph, RadiographError, radiograph_from_bytes
from unsct_mmpose.dicom.identity import patient_key
from unsct_mmpose.dicom.pictures import PICTURE_SUFFIXES, encode_picture
from unsct_mmpose.dicom.placement import Placement, Turn
from unsct_mmpose.dicom.pseudonyms import Pseudonyms
from unsct_mmpose.files import is_finished, read_record, replace_file, write_record
from unsct_mmpose.functional.crop import square_pixels

from .annotated import lay, read_annotated
from .coco import AnnotatedRadiograph, LandmarkStates, infer_subset

IMAGES, RECORDS = 'images', '.records'
_LATERALITIES = ('L', 'R', 'B', 'U')
_NOTED = (
    'orientation', 'laid', 'sides', 'processing', 'photometric', 'bits_stored', 'window',
    'simulated',
)  # fmt: skip
_NUM_LANDMARKS = 24


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


@dataclass(frozen=True)
class ConvertOptions:
    """What pictures become.

    Attributes:
        form: ``'png'``, ``'png16'`` or ``'jpeg'``, see
            :func:`~unsct_mmpose.dicom.pictures.encode_picture`.
        quality: of JPEG files, 1 to 100.
        pixel_mm: side of the pixels, at the detector, that finer images are averaged to; None
            keeps every image's resolution.
        finer_than_mm: images whose pixels are smaller than this, on the longer side, are averaged;
            others, and those without a spacing, keep their size.
        spacing_xy_mm: pixel at the detector of all files; wins over the files'.
        magnification: of all files; wins over the files'.
        frame: which image of files that hold several, from 0.
    """

    form: str = 'png'
    quality: int = 95
    pixel_mm: float | None = None
    finer_than_mm: float = 0.5
    spacing_xy_mm: tuple[float, float] | None = None
    magnification: float | None = None
    frame: int | None = None

    def __post_init__(self) -> None:
        if self.form not in PICTURE_SUFFIXES:
            raise ValueError(f'form={self.form!r} is not one of {", ".join(PICTURE_SUFFIXES)}')
        if not 1 <= self.quality <= 100:
            raise ValueError(f'quality={self.quality} is not within 1 to 100')
        if self.pixel_mm is not None and not 0 < self.finer_than_mm <= self.pixel_mm:
            raise ValueError(
                f'finer_than_mm={self.finer_than_mm} must be above 0 and at most '
                f'pixel_mm={self.pixel_mm}: images are made smaller, never larger'
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the options as json holds them; those that the form does not use are left out."""
        fields = json.loads(json.dumps(asdict(self)))
        unused = dict(
            quality=self.form != 'jpeg',
            finer_than_mm=self.pixel_mm is None,
            frame=self.frame is None,
        )
        return {name: value for name, value in fields.items() if not unused.get(name)}


@dataclass(frozen=True, eq=False)
class Task:
    """One file, and how to convert it."""

    source: Source
    out: Path
    options: ConvertOptions
    key: bytes
    overwrite: bool = False


@dataclass(frozen=True, eq=False)
class Converted:
    """What became of a file.

    Attributes:
        source: the file.
        case: its new record; None when it could not be converted.
        cause: why, in words that name neither file nor patient; empty when it could.
        notes: what somebody should know: ``'burned_in'``, ``'no_patient'``, ``'no_spacing'``,
            ``'sides'``.
    """

    source: Source
    case: AnnotatedRadiograph | None = None
    cause: str = ''
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Opened:
    """A source that was read, and the names that its picture and its patient get."""

    content: bytes
    patient: str
    name: str
    notes: tuple[str, ...] = ()


def convert_one(task: Task) -> Converted:
    """Convert a file, unless an earlier run has; whatever is wrong with it becomes a cause.

    Raises:
        OSError: the results cannot be written.
    """
    try:
        opened = open_source(task)
        record = None if task.overwrite else _earlier(task, opened)
        if record is None:
            radiograph, pixels = render(task, opened.content)
            picture = encode_picture(pixels, task.options.form, task.options.quality)
            record = _record(task, opened, radiograph, pixels)
            _write(task.out, record, picture)
        notes = (*opened.notes, *record['notes'])
        return Converted(task.source, _new_case(task.source, record), notes=notes)
    except RadiographError as error:
        return Converted(task.source, cause=error.cause or 'it cannot be read')
    except MemoryError:
        return Converted(task.source, cause='there is not enough memory to decode it')
    except OSError:
        raise
    except Exception as error:  # one odd file must not end the run
        cause = str(error) if type(error) is ValueError else type(error).__name__
        return Converted(task.source, cause=f'it cannot be converted ({cause})')


def open_source(task: Task) -> Opened:
    """Read a file's bytes, and give it its names.

    Raises:
        RadiographError: it cannot be read.
    """
    source, names = task.source, Pseudonyms(task.key)
    try:
        content = source.path.read_bytes()
    except OSError as error:
        raise RadiographError(source.path, f'it cannot be read ({error.strerror})') from None
    digest = hashlib.sha256(content).hexdigest()
    annotated = source.case.patient_id if source.case else None
    identity = f'annotation|{annotated}' if annotated else patient_key(content)
    patient = names.patient(identity or f'file|{digest}')
    image = f'{digest}|{source.case.file_name}' if source.case else digest
    name = f'{patient}_{names.image(image)}'
    return Opened(content, patient, name, () if identity else ('no_patient',))


def render(task: Task, content: bytes) -> tuple[Radiograph, NDArray[np.float32]]:
    """Return a source and its pixels as they are written: at its resolution, or averaged.

    Pixels that are not square stay so where their spacing tells a reader; where nothing but
    PixelAspectRatio does, which no picture holds, they are resampled.

    Raises:
        RadiographError: it cannot be read, or is not of the size that its record says.
    """
    source, options = task.source, task.options
    names = ('spacing_xy_mm', 'magnification', 'frame')
    given: dict[str, Any] = {name: getattr(options, name) for name in names}
    if source.case:
        radiograph, _ = read_annotated(source.path, source.case, content=content, **given)
    else:
        radiograph = radiograph_from_bytes(content, source.path, **given)
    pixels = radiograph.pixels
    if radiograph.spacing_xy_mm is None:
        pixels = square_pixels(pixels, radiograph.pixel_aspect).pixels
    size = packed_size(radiograph.size_wh, radiograph.spacing_xy_mm, options)
    if size != radiograph.size_wh:
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return radiograph, pixels


def packed_size(
    size_wh: tuple[int, int], spacing_xy_mm: tuple[float, float] | None, options: ConvertOptions
) -> tuple[int, int]:
    """Return the width and height that an image gets; both sides shrink alike.

    Example:
        >>> packed_size((3000, 2000), (0.134, 0.134), ConvertOptions(pixel_mm=0.67))
        (600, 400)
        >>> packed_size((600, 400), (0.6, 0.6), ConvertOptions(pixel_mm=0.67))
        (600, 400)
    """
    if options.pixel_mm is None or spacing_xy_mm is None:
        return size_wh
    if max(spacing_xy_mm) >= options.finer_than_mm:
        return size_wh
    factor = max(spacing_xy_mm) / options.pixel_mm
    return max(1, round(size_wh[0] * factor)), max(1, round(size_wh[1] * factor))


def _new_case(source: Source, record: Mapping[str, Any]) -> AnnotatedRadiograph:
    """Return a source's record for its picture; centres of pixels are at integers."""
    size = (record['width'], record['height'])
    nothing = np.zeros(_NUM_LANDMARKS, bool)
    states = LandmarkStates(np.zeros((_NUM_LANDMARKS, 2)), nothing, nothing)
    mirrored = None
    if source.case:
        turned = record['turned']
        placement = turned and Placement(Turn(*turned['turn']), tuple(turned['size']))
        case = lay(source.case, placement)
        states, mirrored = moved(case.states, case.size_wh, size), case.mirrored
    spacing = record['pixel_spacing']
    return AnnotatedRadiograph(
        image_id=0,
        file_name=record['file_name'],
        size_wh=size,
        states=states,
        subset=source.case.subset if source.case else infer_subset(states),
        spacing_xy_mm=None if spacing is None else (spacing[0], spacing[1]),
        magnification=record['magnification'],
        patient_id=record['patient_id'],
        mirrored=mirrored,
        extra=record['extra'],
    )


def moved(
    states: LandmarkStates, size_wh: tuple[int, int], new_size_wh: tuple[int, int]
) -> LandmarkStates:
    """Return landmarks in an image of another size; the same ones where the size is the same."""
    if size_wh == new_size_wh:
        return states
    scale = np.asarray(new_size_wh, float) / size_wh
    points = np.where(states.present[:, None], (states.points + 0.5) * scale - 0.5, 0.0)
    return replace(states, points=points)


def _spacing_source(task: Task, radiograph: Radiograph) -> str:
    """Say where the pixel spacing comes from: caller, annotation, file."""
    case = task.source.case
    if task.options.spacing_xy_mm is None and case and case.spacing_xy_mm is not None:
        return 'annotation'
    return radiograph.spacing_source


def _magnification(task: Task, radiograph: Radiograph) -> tuple[float, str]:
    source = task.source
    if task.options.magnification is None and source.case and 'magnification' in source.given:
        return source.case.magnification, 'annotation'
    return radiograph.magnification, radiograph.magnification_source


def _record(
    task: Task, opened: Opened, radiograph: Radiograph, pixels: NDArray[np.float32]
) -> dict[str, Any]:
    """Return everything about a picture that does not depend on landmarks."""
    height, width = pixels.shape
    spacing, spacing_source = radiograph.spacing_xy_mm, _spacing_source(task, radiograph)
    if spacing is not None:
        before = radiograph.size_wh
        spacing = (spacing[0] * (before[0] / width), spacing[1] * (before[1] / height))
    magnification, magnification_source = _magnification(task, radiograph)
    facts = radiograph.provenance
    laterality = radiograph.laterality
    extra = {
        'spacing_source': spacing_source,
        'spacing_problem': radiograph.spacing_problem if spacing_source != 'annotation' else None,
        'magnification_source': magnification_source,
        'laterality': laterality if laterality in _LATERALITIES else None,
        **{name: facts.get(name) for name in _NOTED},
        'picture': task.options.form,
    }
    notes = ['burned_in'] * (facts.get('BurnedInAnnotation') == 'YES')
    notes += ['no_spacing'] * (spacing is None)
    notes += ['sides'] * ('sides' in facts)
    placement = radiograph.placement
    return {
        'file_name': f'{opened.name}{PICTURE_SUFFIXES[task.options.form]}',
        'width': width,
        'height': height,
        'pixel_spacing': spacing,
        'magnification': magnification,
        'patient_id': opened.patient,
        'extra': {name: value for name, value in extra.items() if value is not None},
        'turned': placement and dict(turn=[*astuple(placement.turn)], size=[*placement.size_wh]),
        'notes': notes,
        'how': _how(task),
    }


def _how(task: Task) -> dict[str, Any]:
    """Return what a record depends on beside the file's bytes."""
    case = task.source.case
    stated = {
        'pixel_spacing': case.spacing_xy_mm,
        'magnification': case.magnification if 'magnification' in task.source.given else None,
        'size': case.size_wh,
        'mirrored': case.mirrored,
    } if case else {}  # fmt: skip
    how: dict[str, Any] = json.loads(json.dumps({**task.options.to_dict(), 'stated': stated}))
    return how


def _write(out: Path, record: dict[str, Any], picture: bytes) -> None:
    """Write the picture and then its record, each whole or not at all."""
    path, image = _record_path(out, Path(record['file_name']).stem), out / IMAGES
    before = read_record(path)
    replace_file(image / record['file_name'], picture)
    write_record(path, record, image / record['file_name'])
    if before and before.get('file_name', record['file_name']) != record['file_name']:
        (image / before['file_name']).unlink(missing_ok=True)


def _earlier(task: Task, opened: Opened) -> dict[str, Any] | None:
    """Return the record of an earlier run, if its picture is still whole and made alike."""
    record = read_record(_record_path(task.out, opened.name))
    known = record is not None and {'turned', 'file_name'} <= set(record)
    if record is None or not known or record.get('how') != _how(task):
        return None
    return record if is_finished(record, task.out / IMAGES / record['file_name']) else None


def _record_path(out: Path, name: str) -> Path:
    return out / RECORDS / f'{name}.json'
