"""The records that models, measurements, pictures and reports share. What is unknown is None."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .landmarks import LANDMARK_NAMES, SIDES, side_index
from .parameters import parameter, reference_label, split_side

Matrix = tuple[tuple[float, float], tuple[float, float]]


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
    covariance_px2: Matrix | None = None
    covariance_mm2: Matrix | None = None
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
