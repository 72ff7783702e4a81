"""Pack a data set into small 8-bit JPEG files, for a machine that little can be carried to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..imaging import (
    AnnotatedRadiograph,
    RadiographError,
    read_annotations,
    write_annotations,
)
from ..imaging.annotated import read_annotated
from ..imaging.files import replace_file
from ..imaging.framing import grey_levels

SPLITS = ('train.json', 'val.json', 'test.json')
_DICOM_FIELDS = ('photometric', 'transfer_syntax', 'dicom_pixel_spacing')


@dataclass(frozen=True)
class PackOptions:
    """How small images become.

    Attributes:
        pixel_mm: side that the pixels of a finer image get, mm at the detector.
        finer_than_mm: images whose pixels are smaller than this, on the longer side, are averaged;
            others, and those without a spacing, keep their size.
        quality: of the JPEG files, 1 to 100.
    """

    pixel_mm: float = 0.67
    finer_than_mm: float = 0.5
    quality: int = 96

    def __post_init__(self) -> None:
        if not 0 < self.finer_than_mm <= self.pixel_mm:
            raise ValueError(
                f'finer_than_mm={self.finer_than_mm} must be above 0 and at most '
                f'pixel_mm={self.pixel_mm}: images are made smaller, never larger'
            )
        if not 1 <= self.quality <= 100:
            raise ValueError(f'quality={self.quality} is not within 1 to 100')


def pack_images(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    splits: Sequence[str] = SPLITS,
    options: PackOptions = PackOptions(),
    progress: bool = True,
) -> dict[str, Path]:
    """Write the annotation files of a data set again, with its images as 8-bit JPEG.

    Landmarks and spacings follow the pixels, boxes are the whole image. Everything is read and
    checked before the first image is written; an annotation file appears after its images.

    Args:
        data: folder with the annotation files and ``images``.
        out: folder to write, apart from the source; files of the same name are replaced.
        splits: names of annotation files; those that are not there are left out.
        options: how small images become.
        progress: whether to show a progress bar.

    Returns:
        Name of each annotation file that was there, and where it was written.

    Raises:
        ValueError: there is nothing to pack, the folders overlap, or two images would get one
            name. ``AnnotationError`` and ``RadiographError``, which are ValueErrors, name the
            file that cannot be used.
    """
    source, folder = Path(data), Path(out)
    _keep_apart(source, folder)
    root = source / 'images'
    files = {
        name: read_annotations(source / name, image_root=root)
        for name in splits
        if (source / name).is_file()
    }
    if not files:
        raise ValueError(f'{source} has none of {", ".join(splits)}; nothing to pack')
    names = _jpeg_names([case.file_name for file in files.values() for case in file.cases])
    bar = tqdm(total=sum(len(f.cases) for f in files.values()), unit='image', disable=not progress)
    written = {}
    with bar:
        for name, file in files.items():
            cases = []
            for case in file.cases:
                cases.append(_pack(case, root, folder / 'images', names[case.file_name], options))
                bar.update()
            written[name] = folder / name
            written[name].parent.mkdir(parents=True, exist_ok=True)
            write_annotations(written[name], cases, info=_info(file.info, options))
    return written


def packed_size(
    size_wh: tuple[int, int], spacing_xy_mm: tuple[float, float] | None, options: PackOptions
) -> tuple[int, int]:
    """Return the width and height that an image gets; both sides shrink alike.

    Example:
        >>> packed_size((3000, 2000), (0.134, 0.134), PackOptions())
        (600, 400)
        >>> packed_size((600, 400), (0.6, 0.6), PackOptions())
        (600, 400)
    """
    if spacing_xy_mm is None or max(spacing_xy_mm) >= options.finer_than_mm:
        return size_wh
    factor = max(spacing_xy_mm) / options.pixel_mm
    return max(1, round(size_wh[0] * factor)), max(1, round(size_wh[1] * factor))


def _pack(
    case: AnnotatedRadiograph, root: Path, folder: Path, name: str, options: PackOptions
) -> AnnotatedRadiograph:
    """Write one image, whole or not at all, and return its record."""
    radiograph, case = read_annotated(root / case.file_name, case)
    size = packed_size(case.size_wh, case.spacing_xy_mm, options)
    grey: NDArray[Any] = grey_levels(radiograph.pixels)
    if size != case.size_wh:
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    target = folder / name
    done, content = cv2.imencode('.jpg', grey, [cv2.IMWRITE_JPEG_QUALITY, options.quality])
    if not done:
        raise RadiographError(target, 'it cannot be encoded')
    target.parent.mkdir(parents=True, exist_ok=True)
    replace_file(target, content.tobytes())
    return _moved(case, name, size)


def _moved(case: AnnotatedRadiograph, name: str, size_wh: tuple[int, int]) -> AnnotatedRadiograph:
    """Return a record for an image of another size; centres of pixels are at integers."""
    shrink = np.asarray(case.size_wh, float) / size_wh
    points = case.states.points.copy()
    seen = case.states.present
    points[seen] = np.round((points[seen] + 0.5) / shrink - 0.5, 3)
    spacing = case.spacing_xy_mm
    if spacing is not None:
        spacing = (float(spacing[0] * shrink[0]), float(spacing[1] * shrink[1]))
    return replace(
        case,
        file_name=name,
        size_wh=size_wh,
        states=replace(case.states, points=points),
        spacing_xy_mm=spacing,
        extra={key: value for key, value in case.extra.items() if key not in _DICOM_FIELDS},
    )


def _jpeg_names(names: Sequence[str]) -> dict[str, str]:
    """Return the JPEG name of each image, its folder kept; refuse two of one name."""
    known = {name: Path(name).with_suffix('.jpg').as_posix() for name in names}
    owners: dict[str, str] = {}
    for name, new in known.items():
        if owners.setdefault(new, name) != name:
            raise ValueError(f'{owners[new]} and {name} would both become {new}; rename one')
    return known


def _keep_apart(source: Path, folder: Path) -> None:
    inside = folder.resolve()
    if inside == source.resolve() or inside.is_relative_to((source / 'images').resolve()):
        raise ValueError(f'{folder} is the folder of the source; choose another one')


def _info(info: Mapping[str, Any], options: PackOptions) -> dict[str, Any]:
    """Return the file's ``info``: that of the source, its licence with it, and what was done."""
    how = (
        f'8-bit JPEG of quality {options.quality}; images with pixels under '
        f'{options.finer_than_mm} mm averaged to {options.pixel_mm} mm'
    )
    return {**info, 'packed': how}
