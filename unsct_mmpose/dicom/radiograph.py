"""What a radiograph is once it has left its file: display values with units."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .display import DisplayError
from .header import printable
from .placement import Placement


class RadiographError(ValueError):
    """A file cannot become a radiograph.

    The message says which file and why, in words; it never holds what the header says about the
    patient.

    Args:
        path: the file.
        cause: why it cannot be read or written. Empty when the whole message is ``path``, which
            is how a data loader's worker process hands an exception over.
    """

    def __init__(self, path: str | os.PathLike[str], cause: str = '') -> None:
        super().__init__(path, cause)
        self.path = os.fspath(path)
        self.cause = printable(cause)

    def __str__(self) -> str:
        name = printable(self.path)
        return f'{name}: {self.cause}' if self.cause else name


class NoRadiographError(RadiographError):
    """A file is whole and no image: a report, a presentation state, a directory.

    Args:
        path: the file.
        cause: the same in words.
        kind: what it is.
    """

    def __init__(self, path: str | os.PathLike[str], cause: str = '', kind: str = '') -> None:
        super().__init__(path, cause)
        self.kind = kind


@dataclass(frozen=True, eq=False)
class Radiograph:
    """A radiograph as it is displayed, and how long its pixels are.

    Millimetres at the bone are ``px * spacing_xy_mm / magnification``, for each axis.

    Attributes:
        pixels: ``(H, W)`` float32 in [0, 1], bone bright (the sense of MONOCHROME2); read-only.
        spacing_xy_mm: width and height of a pixel in mm: at the detector, or at the patient when
            the file is calibrated there (``magnification`` is then 1.0). None when unknown.
        spacing_source: where the spacing comes from, in words; ``'none'`` when unknown.
        spacing_problem: why there is no spacing, or what is odd about it; None when all is well.
        magnification: size on the detector over size at the bone; 1.0 unless known.
        magnification_source: where the magnification comes from; ``'unknown'`` when assumed 1.0.
        laterality: ``'L'``, ``'R'``, ``'B'`` (both) or ``'U'`` (unpaired) when the file says so.
        provenance: where the pixels come from, without the patient's identity: ``sha256`` of the
            file (of the array or pixel data where ``sha256_of`` says so), ``format``,
            ``transfer_syntax``, ``photometric``, ``bits_stored``, ``window``, ``simulated`` (the
            element that says so, where one does), ``orientation`` (what was done to bring it to
            the standard display, and why), ``sides`` (why they may be exchanged all the same),
            ``notes`` (what is odd about the data), ``pixel_aspect`` (width over height of a
            pixel, where PixelAspectRatio says it) and more.
        placement: where these pixels lie in the file; None where they lie as the file has them.

    Raises:
        DisplayError: the pixels are not ``(H, W)`` float32, finite and in [0, 1]. This is the one
            door: nothing that is no display can pass it.
    """

    pixels: NDArray[np.float32]
    spacing_xy_mm: tuple[float, float] | None
    spacing_source: str
    spacing_problem: str | None
    magnification: float
    magnification_source: str
    laterality: str | None = None
    provenance: Mapping[str, str | float | int] = field(default_factory=dict)
    placement: Placement | None = None

    def __post_init__(self) -> None:
        pixels = self.pixels
        if pixels.ndim != 2 or not pixels.size or pixels.dtype != np.float32:
            raise DisplayError(f'its pixels are {pixels.shape} of {pixels.dtype}')
        low, high = float(pixels.min()), float(pixels.max())
        if not 0.0 <= low <= high <= 1.0:  # false for NaN too
            raise DisplayError(f'its display values run from {low:g} to {high:g}, not in [0, 1]')

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.pixels.shape
        return width, height

    @property
    def bone_spacing_xy_mm(self) -> tuple[float, float] | None:
        """Width and height of a pixel in mm at the bone; None when the spacing is unknown."""
        if self.spacing_xy_mm is None:
            return None
        x_mm, y_mm = self.spacing_xy_mm
        return x_mm / self.magnification, y_mm / self.magnification

    @property
    def pixel_aspect(self) -> float:
        """Width of a pixel over its height; 1.0 unless the file or the caller says otherwise."""
        if self.spacing_xy_mm is not None:
            return self.spacing_xy_mm[0] / self.spacing_xy_mm[1]
        return float(self.provenance.get('pixel_aspect', 1.0))
