"""The records and names that models, measurements, pictures and reports share; None is unknown."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from .landmarks import LANDMARK_NAMES, SIDES, side_index
from .parameters import parameter, reference_label, split_side

_Matrix = tuple[tuple[float, float], tuple[float, float]]


class Estimate(NamedTuple):
    """A figure with its confidence interval; NaN where the data do not allow it.

    Attributes:
        value: the figure of the data as they are.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Spacing:
    """How long a pixel is, and where lengths hold.

    Attributes:
        spacing_xy_mm: width and height of a pixel: at the detector, or at the patient when the file
            is calibrated there (the magnification is then 1.0); None when unknown.
        source: where the spacing comes from, in words.
        problem: why there is none, or what is odd about it; None when all is well.
        magnification: size on the detector over size at the bone; 1.0 unless known.
        magnification_source: where it comes from; ``'unknown'`` when it is assumed to be 1.0.
    """

    spacing_xy_mm: tuple[float, float] | None
    source: str
    problem: str | None
    magnification: float
    magnification_source: str

    @property
    def known_magnification(self) -> float | None:
        """The magnification; None when it is only assumed."""
        return None if self.magnification_source == 'unknown' else self.magnification

    @property
    def plane(self) -> str | None:
        """Where lengths hold: ``'bone'`` or ``'detector'``; None without a spacing."""
        if self.spacing_xy_mm is None:
            return None
        return 'detector' if self.known_magnification is None else 'bone'


@dataclass(frozen=True)
class Region:
    """The ellipse in which a landmark lies with the nominal probability.

    Attributes:
        level: nominal probability.
        semi_axes_px: longer and shorter half-axis, image pixels.
        angle_deg: direction of the longer one, from x towards y (clockwise on a display).
    """

    level: float
    semi_axes_px: tuple[float, float]
    angle_deg: float


@dataclass(frozen=True)
class LandmarkEstimate:
    """Where a model places a landmark, and whether it says that the image shows it.

    Attributes:
        name: name with its side.
        x: pixels; (0, 0) is the centre of the top-left pixel. A rejected landmark keeps the place
            where it would be; NaN where no place is known.
        y: pixels.
        reported: whether the model says that the image shows it.
        uncertainty: of the evidence that decided; larger is less sure.
        presence: P(the image shows it); None without a calibration.
        score: peak of the heatmap, 0 to 1.
        support: relations that speak for it.
        evidence: uncertainty by the name of each evidence.
        covariance_px2: of the position, ((xx, xy), (yx, yy)).
        covariance_mm2: the same in mm^2 at the prediction's plane; None without a spacing.
        region: ellipse of the covariance at the nominal level.
        reason: why it is not reported, where somebody says so; empty when it is.
    """

    name: str
    x: float = math.nan
    y: float = math.nan
    reported: bool = True
    uncertainty: float | None = None
    presence: float | None = None
    score: float | None = None
    support: float | None = None
    evidence: Mapping[str, float | None] = field(default_factory=dict)
    covariance_px2: _Matrix | None = None
    covariance_mm2: _Matrix | None = None
    region: Region | None = None
    reason: str = ''


@dataclass(frozen=True)
class Measurement:
    """One value of a clinical parameter, or why there is none.

    Attributes:
        name: one of :data:`~unsct_mmpose.anatomy.parameters.MEASUREMENT_NAMES`.
        value: in its unit; None when it was not measured.
        low: lower end of its interval.
        high: upper end.
        standard_error: in the same unit.
        reason: why there is no value, in words; None when there is one.
        systematic_error: what all patients of the calibration had too much, taken from the centre
            of the interval, not from the value; 0 where nothing was found.
        reference_line: the line that it was read against, such as ``'8L-8R'`` or ``'image axes'``;
            None where it needs none or nobody says.

    Example:
        >>> angle = Measurement('left_sharp_angle_deg', 40.0)
        >>> angle.side, angle.unit, angle.reference
        ('left', 'deg', 'above usual range 33 to 38 deg (Sharp)')
        >>> angle.landmarks
        ('left_acetabulum_upper_edge', 'left_teardrop_lower_edge')
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    reason: str | None = None
    systematic_error: float = 0.0
    reference_line: str | None = None

    @property
    def side(self) -> str | None:
        """``'left'`` or ``'right'`` of the patient; None for a value of both sides."""
        return split_side(self.name)[0]

    @property
    def parameter(self) -> str:
        """The name without its side."""
        return split_side(self.name)[1]

    @property
    def unit(self) -> str:
        """``'deg'`` or ``'mm'``."""
        return self.name.rsplit('_', 1)[1]

    @property
    def reference(self) -> str:
        """How it lies to the ranges of the literature, in words."""
        return reference_label(self.name, self.value)

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Names of the landmarks without which there is no such value."""
        sides = SIDES if self.side is None else (self.side,)
        numbers = parameter(self.name).landmarks
        return tuple(LANDMARK_NAMES[side_index(side, k)] for side in sides for k in numbers)


_LARGEST = 1e300


def check_fields(record: Any) -> None:
    """Refuse a dataclass whose fields hold something else than they are declared to.

    A float may be any number up to 1e300, a whole one too, NaN and infinity.

    Raises:
        ValueError: the message names the first such field.

    Example:
        >>> from unsct_mmpose.anatomy import Region
        >>> check_fields(Region(0.95, (2.0, 1.0), 30.0))
        >>> check_fields(Region(0.95, (2.0, 'one'), 30.0))
        Traceback (most recent call last):
        ...
        ValueError: semi_axes_px[1] is no float
    """
    problem = _record_problem(record, '')
    if problem:
        raise ValueError(problem)


def _record_problem(record: Any, place: str) -> str | None:
    hints = _hints(record.__class__)
    for part in fields(record):
        value = getattr(record, part.name)
        if problem := _problem(value, hints[part.name], f'{place}{part.name}'):
            return problem
    return None


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _problem(value: Any, hint: Any, place: str) -> str | None:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return None
    if origin in (Union, types.UnionType):
        problems = [_problem(value, part, place) for part in parts]
        return None if None in problems else problems[0]
    if origin is tuple:
        return _tuple_problem(value, parts, place)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_problem(value, parts, place)
    if hint is float:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = fits and not _LARGEST < abs(value) < math.inf  # whole numbers may be longer
    elif hint is int:
        fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST
    elif isinstance(hint, type) and is_dataclass(hint):
        return _record_problem(value, f'{place}.') if isinstance(value, hint) else _no(place, hint)
    else:
        fits = isinstance(value, hint)
    return None if fits else _no(place, hint)


def _tuple_problem(value: Any, parts: tuple[Any, ...], place: str) -> str | None:
    if not isinstance(value, tuple):
        return f'{place} is no list'
    if parts[-1] is Ellipsis:
        parts = parts[:1] * len(value)
    if len(value) != len(parts):
        return f'{place} has {len(value)} entries, not {len(parts)}'
    problems = (
        _problem(entry, part, f'{place}[{number}]')
        for number, (entry, part) in enumerate(zip(value, parts, strict=True))
    )
    return next(filter(None, problems), None)


def _mapping_problem(value: Any, parts: tuple[Any, ...], place: str) -> str | None:
    if not isinstance(value, Mapping):
        return f'{place} is no object'
    problems = (_problem(entry, parts[1], f'{place}.{key}') for key, entry in value.items())
    return next(filter(None, problems), None)


def _no(place: str, hint: Any) -> str:
    return f'{place} is no {getattr(hint, "__name__", hint)}'


PEAK, PAF, FUSED = USUAL_DECIDERS = ('peak', 'paf', 'fused')
"""The usual ways to decide, in the order of their columns in a model whose files name no others."""

TYPICAL, UNUSUAL, NOTHING_FOUND = 0, 1, 2
"""How an image compares with those of the calibration."""

IMAGE_WORDS = (
    'like the images of the calibration',
    'out of range: its parts agree less, or its landmarks are fainter, than in any image of the '
    'calibration',
    'no pelvis found: hardly any relation of landmarks is there',
)
