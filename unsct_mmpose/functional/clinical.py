"""The clinical parameters of the paper's Table 2, in degrees or mm, with their standard errors.

Pixels become mm first, along each axis. Everything is measured in the pelvic frame: ``ex`` runs
along the reference line from the patient's right to the left, ``lat`` is ``ex`` on the left side
and ``-ex`` on the right one, ``up`` is perpendicular to it. Sides come from the labels of the
landmarks, so a mirrored or rotated display changes nothing but the pelvic obliquity.

A value that cannot be measured is NaN, never 0, with the reason in words. Definitions, signs and
literature of each parameter stand in :mod:`unsct_mmpose.anatomy.parameters`. The numbers describe
an image; they are no diagnosis.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unsct_mmpose.anatomy import LANDMARK_NAMES, NUM_LANDMARKS, LandmarkSet
from unsct_mmpose.anatomy.parameters import MEASUREMENT_NAMES, REFERENCE_LINES, split_side
from unsct_mmpose.anatomy.records import Measurement

from .clinical_formulas import (
    IS_ANGLE,
    IS_UNSIGNED,
    POSITION,
    choose_reference_lines,
    evaluate,
    measurable,
    reasons_for,
)
from .geometry import quadratic_form, symmetric_root, to_mm, wrap_deg

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]

_STEP_MM = 1e-3
_CHUNK = 128


def measurement_names(landmarks: LandmarkSet) -> tuple[str, ...]:
    """Return ``MEASUREMENT_NAMES``, or none where these landmarks have no clinical parameters."""
    return MEASUREMENT_NAMES if landmarks.clinical else ()


def output_columns(landmarks: LandmarkSet) -> dict[str, list[int]]:
    """Return for each clinical output where its measurements stand, both sides of it."""
    outputs: dict[str, list[int]] = {}
    for index, name in enumerate(measurement_names(landmarks)):
        outputs.setdefault(split_side(name)[1], []).append(index)
    return outputs


@dataclass(frozen=True, eq=False)
class Measurements:
    """Everything that was measured in one image, by name: ``measurements['left_sharp_angle_deg']``.

    Iterating yields the names, as with a dict.

    Attributes:
        values: ``(M,)`` in the order of ``MEASUREMENT_NAMES``, deg or mm; NaN with a reason.
        standard_errors: ``(M,)`` in the same units; NaN where unknown.
        reasons: M sentences; None where there is a value.
        reference_line: the one of ``REFERENCE_LINES`` that the pelvic frame lies on.
    """

    values: Floats
    standard_errors: Floats
    reasons: tuple[str | None, ...]
    reference_line: str

    def __getitem__(self, name: str) -> Measurement:
        """Return a measurement by its full name, such as ``'left_sharp_angle_deg'``."""
        if name not in POSITION:
            raise KeyError(f'unknown measurement {name!r}; known: {", ".join(MEASUREMENT_NAMES)}')
        index = POSITION[name]
        value, error = (
            None if np.isnan(number) else float(number)
            for number in (self.values[index], self.standard_errors[index])
        )
        return Measurement(name, value, standard_error=error, reason=self.reasons[index])

    def __iter__(self) -> Iterator[str]:
        return iter(MEASUREMENT_NAMES)

    def __len__(self) -> int:
        return len(MEASUREMENT_NAMES)


def measure(
    points_px: ArrayLike,
    present: ArrayLike,
    spacing_xy_mm: ArrayLike,
    *,
    covariances_px: ArrayLike | None = None,
    magnification: float = 1.0,
    error_correlation: ArrayLike | None = None,
) -> Measurements:
    """Measure the clinical parameters of one image.

    Args:
        points_px: ``(24, 2)`` landmarks (x, y), pixels; not read where not present.
        present: ``(24,)`` bool.
        spacing_xy_mm: ``(2,)`` size of a pixel along x and y.
        covariances_px: ``(24, 2, 2)`` covariance of each landmark, px^2; NaN where unknown. Not
            read where not present.
        magnification: a length on the detector over that in the patient; 1.0 gives mm at the
            detector.
        error_correlation: ``(48, 48)`` correlation of the landmarks' errors, x before y, in units
            of the symmetric roots of their covariances, see
            :func:`unsct_mmpose.functional.error_structure.error_correlation`; None: independent.

    Returns:
        The values, with standard errors where covariances are known, the reasons where there is no
        value, and the reference line that was used.

    Raises:
        ValueError: a shape is wrong, a present landmark is not finite, a covariance is none, or a
            spacing or magnification is not positive.

    Example:
        >>> points = np.zeros((24, 2))
        >>> points[[2, 5]] = [[318.0, 176.0], [302.5, 200.0]]
        >>> measured = measure(points, np.isin(np.arange(24), [2, 5]), (1.0, 1.0))
        >>> round(measured['left_center_edge_angle_deg'].value, 3), measured.reference_line
        (32.856, 'image axes')
        >>> measured['left_sharp_angle_deg'].reason
        'left_teardrop_lower_edge is absent'
    """
    covariances = None if covariances_px is None else np.asarray(covariances_px, float)[None]
    batch = _Batch.build(
        np.asarray(points_px, float)[None],
        np.asarray(present)[None],
        np.asarray(spacing_xy_mm, float)[None],
        covariances,
        magnification,
    )
    values, errors, lines = batch.measure(error_correlation)
    for array in (values, errors):
        array.flags.writeable = False
    reasons = reasons_for(batch.points[0], batch.present[0], values[0])
    return Measurements(values[0], errors[0], reasons, REFERENCE_LINES[lines[0]])


def measure_many(
    points_px: ArrayLike,
    present: ArrayLike,
    spacing_xy_mm: ArrayLike,
    covariances_px: ArrayLike | None = None,
    magnification: ArrayLike = 1.0,
    error_correlation: ArrayLike | None = None,
) -> tuple[Floats, Floats]:
    """Measure the clinical parameters of many images at once.

    Args:
        points_px: ``(N, 24, 2)`` landmarks (x, y), pixels; not read where not present.
        present: ``(N, 24)`` bool.
        spacing_xy_mm: ``(N, 2)`` size of a pixel along x and y, or ``(2,)`` for all images.
        covariances_px: ``(N, 24, 2, 2)`` as for :func:`measure`, or None.
        magnification: ``(N,)`` or one number.
        error_correlation: ``(48, 48)`` for all images or ``(N, 48, 48)``, as for :func:`measure`.

    Returns:
        Values and standard errors, ``(N, M)`` each, in the order of ``MEASUREMENT_NAMES``.

    Raises:
        ValueError: as for :func:`measure`.

    Example:
        >>> values, errors = measure_many(np.zeros((3, 24, 2)), np.zeros((3, 24), bool), (1.0, 1.0))
        >>> values.shape == errors.shape == (3, len(MEASUREMENT_NAMES))
        True
    """
    covariances = None if covariances_px is None else np.asarray(covariances_px, float)
    batch = _Batch.build(
        np.asarray(points_px, float), np.asarray(present), spacing_xy_mm, covariances, magnification
    )
    values, errors, _ = batch.measure(error_correlation)
    return values, errors


def interval(
    value: ArrayLike, standard_error: ArrayLike, scale: ArrayLike = 1.96
) -> tuple[Floats, Floats]:
    """Return ``value - scale * standard_error`` and ``value + scale * standard_error``.

    Args:
        value: ``(...)`` values.
        standard_error: ``(...)`` in the same unit; NaN gives NaN.
        scale: ``(...)`` half width in standard errors: 1.96 for 95 % of a normal distribution, or
            a factor that was calibrated on other images.

    Returns:
        Lower and upper ends, ``(...)`` each. Ends of angles are not wrapped, so that the lower
        one stays below the upper one.

    Raises:
        ValueError: a scale or a standard error is negative, or a scale is not finite.

    Example:
        >>> low, high = interval(30.0, 2.0, 1.5)
        >>> float(low), float(high)
        (27.0, 33.0)
    """
    value, error = np.asarray(value, float), np.asarray(standard_error, float)
    scale = np.asarray(scale, float)
    if not (np.isfinite(scale) & (scale >= 0)).all():
        raise ValueError(f'scale must be finite and not negative, got {scale}')
    if (error < 0).any():
        raise ValueError('a standard error must not be negative')
    return value - scale * error, value + scale * error


@dataclass(frozen=True)
class _Batch:
    """Checked images in mm: points ``(N, 24, 2)``, present ``(N, 24)``, covariances or None."""

    points: Floats
    present: Bools
    mm_per_px: Floats
    covariances: Floats | None = None

    @classmethod
    def build(
        cls,
        points_px: Floats,
        present: NDArray[np.generic],
        spacing_xy_mm: ArrayLike,
        covariances_px: Floats | None,
        magnification: ArrayLike,
    ) -> _Batch:
        """Check shapes and numbers; convert to mm; put 0 where a landmark is not present."""
        if points_px.ndim != 3 or points_px.shape[1:] != (NUM_LANDMARKS, 2):
            raise ValueError(
                f'each image needs ({NUM_LANDMARKS}, 2) landmarks, got {points_px.shape[1:]}'
            )
        if present.dtype != np.bool_ or present.shape != points_px.shape[:2]:
            raise ValueError(
                f'present must be boolean, {NUM_LANDMARKS} for each image, '
                f'got {present.dtype} {present.shape[1:]}'
            )
        shown = np.asarray(present, bool)
        lost: Bools = shown & ~np.isfinite(points_px).all(axis=-1)
        if lost.any():
            image, index = np.argwhere(lost)[0].tolist()
            raise ValueError(
                f'{LANDMARK_NAMES[index]} of image {image} is present at '
                f'{points_px[image, index].tolist()}; give it coordinates or mark it absent'
            )
        images = len(points_px)
        spacing = np.asarray(spacing_xy_mm, float)
        factor = np.asarray(magnification, float)
        if spacing.shape not in ((2,), (images, 2)):
            raise ValueError(
                f'spacing_xy_mm must be two numbers for each image, got {spacing.tolist()}'
            )
        if factor.shape not in ((), (images,)):
            raise ValueError(
                f'magnification must be one number for each image, got {factor.tolist()}'
            )
        scale = to_mm(np.ones((images, 1, 2)), spacing.reshape(-1, 1, 2), factor.reshape(-1, 1))
        points = np.where(shown[..., None], points_px, 0.0) * scale
        if covariances_px is None:
            return cls(points, shown, scale)
        checked = _covariances(covariances_px, shown)
        return cls(points, shown, scale, checked * scale[..., :, None] * scale[..., None, :])

    def measure(self, error_correlation: ArrayLike | None) -> tuple[Floats, Floats, Ints]:
        """Return values and standard errors ``(N, M)``, and the reference line of each image."""
        together = _correlations(error_correlation, len(self.points))
        lines = choose_reference_lines(self.points, self.present)
        if self.covariances is None:
            values = evaluate(self.points, self.present, lines)
            errors = np.full(values.shape, np.nan)
        else:
            parts = [
                self._with_errors(slice(start, start + _CHUNK), lines, together)
                for start in range(0, max(len(self.points), 1), _CHUNK)
            ]
            values, errors = map(np.concatenate, zip(*parts, strict=True))
        valid = measurable(self.points, self.present, values)
        values[:, IS_UNSIGNED] = np.abs(values[:, IS_UNSIGNED])
        return np.where(valid, values, np.nan), np.where(valid, errors, np.nan), lines

    def _with_errors(
        self, chosen: slice, lines: Ints, together: Floats | None
    ) -> tuple[Floats, Floats]:
        """Propagate the covariances to first order; every landmark counts wherever it enters."""
        assert self.covariances is not None
        values, slopes = _linearised(self.points[chosen], self.present[chosen], lines[chosen])
        correlations = None if together is None else together[chosen]
        return values, _propagated(slopes, self.covariances[chosen], correlations)


def _propagated(jacobian: Floats, covariances: Floats, together: Floats | None) -> Floats:
    """Return the standard errors ``(N, M)`` of values with slopes ``(N, M, 24, 2)``."""
    each = covariances[:, None]
    unknown: Bools = np.asarray(np.isnan(each).any(axis=(-2, -1)))
    used = (jacobian != 0).any(axis=-1)
    clean = np.where(unknown[..., None, None], 0.0, each)
    if together is None:
        variance = quadratic_form(jacobian, clean).sum(axis=-1)
    else:
        loadings = (jacobian[..., None, :] @ symmetric_root(clean)).reshape(*used.shape[:2], -1)
        variance = ((loadings @ together) * loadings).sum(axis=-1)
    variance[(used & unknown).any(axis=-1)] = np.nan
    return np.sqrt(np.maximum(variance, 0.0))


@dataclass(frozen=True, eq=False)
class Slopes:
    """Measurements of many images, ready to propagate any covariances of their landmarks.

    Attributes:
        values: ``(N, M)`` in the order of ``MEASUREMENT_NAMES``; NaN where not measured.
        present: ``(N, 24)`` landmarks that they were measured with.
        jacobian: ``(N, M, 24, 2)`` derivatives by the landmarks' places, 1/mm.
        mm_per_px: ``(N, 1, 2)``.
    """

    values: Floats
    present: Bools
    jacobian: Floats
    mm_per_px: Floats

    def standard_errors(
        self, covariances_px: ArrayLike, error_correlation: ArrayLike | None = None
    ) -> Floats:
        """Return the ``(N, M)`` standard errors that :func:`measure_many` gives."""
        checked = _covariances(np.asarray(covariances_px, float), self.present)
        in_mm = checked * self.mm_per_px[..., :, None] * self.mm_per_px[..., None, :]
        together = _correlations(error_correlation, len(self.values))
        errors = _propagated(self.jacobian, in_mm, together)
        return np.where(np.isnan(self.values), np.nan, errors)


def slopes_many(
    points_px: ArrayLike,
    present: ArrayLike,
    spacing_xy_mm: ArrayLike,
    magnification: ArrayLike = 1.0,
) -> Slopes:
    """Measure many images and keep how each value changes with each landmark.

    Args:
        points_px: ``(N, 24, 2)`` landmarks (x, y), pixels; not read where not present.
        present: ``(N, 24)`` bool.
        spacing_xy_mm: ``(N, 2)`` size of a pixel along x and y, or ``(2,)`` for all images.
        magnification: ``(N,)`` or one number.

    Raises:
        ValueError: as for :func:`measure`.
    """
    points = np.asarray(points_px, float)
    batch = _Batch.build(points, np.asarray(present), spacing_xy_mm, None, magnification)
    values, _, lines = batch.measure(None)
    parts = [
        _linearised(batch.points[rows], batch.present[rows], lines[rows])[1]
        for rows in (slice(start, start + _CHUNK) for start in range(0, len(values), _CHUNK))
    ]
    empty = np.zeros((0, len(MEASUREMENT_NAMES), NUM_LANDMARKS, 2))
    return Slopes(values, batch.present, np.concatenate([empty, *parts]), batch.mm_per_px)


def _correlations(values: ArrayLike | None, images: int) -> Floats | None:
    """Return ``(N, 48, 48)`` checked correlations; None where errors are independent."""
    if values is None:
        return None
    correlations, size = np.asarray(values, float), 2 * NUM_LANDMARKS
    if correlations.shape not in ((size, size), (images, size, size)):
        raise ValueError(f'error_correlation must be ({size}, {size}), got {correlations.shape}')
    return np.broadcast_to(correlations, (images, size, size))


def _covariances(covariances_px: Floats, present: Bools) -> Floats:
    """Check covariances ``(N, 24, 2, 2)``; put 0 where a landmark is not present."""
    if covariances_px.shape != (*present.shape, 2, 2):
        raise ValueError(
            f'covariances_px must be ({NUM_LANDMARKS}, 2, 2) for each image, '
            f'got {covariances_px.shape[1:]}'
        )
    result = np.where(present[..., None, None], covariances_px, 0.0)
    variances = result[..., (0, 1), (0, 1)]
    size = np.where(np.isfinite(variances), np.abs(variances), 0.0).max(axis=-1)
    defined: Bools = ~np.asarray(np.isnan(result).any(axis=(-2, -1)))
    clean = np.where(defined[..., None, None] & np.isfinite(result), result, 0.0)
    mixed = clean[..., 0, 1]
    wrong: Bools = np.asarray(np.isinf(result).any(axis=(-2, -1)))
    wrong |= np.abs(mixed - clean[..., 1, 0]) > 1e-6 * size
    wrong |= (clean[..., (0, 1), (0, 1)] < 0).any(axis=-1)
    wrong |= mixed**2 > clean[..., 0, 0] * clean[..., 1, 1] + 1e-6 * size**2
    if wrong.any():
        image, index = np.argwhere(wrong)[0].tolist()
        raise ValueError(
            f'{LANDMARK_NAMES[index]} of image {image} has the covariance '
            f'{covariances_px[image, index].tolist()}; it must be symmetric, finite and without '
            'negative variances, or NaN where unknown'
        )
    return result


def _linearised(points: Floats, present: Bools, lines: Ints) -> tuple[Floats, Floats]:
    """Return all values ``(N, M)`` and their derivatives ``(N, M, 24, 2)`` by all points.

    By central differences. The choice of the reference line is held fixed. A landmark on which a
    value does not depend has exactly 0.
    """
    images, coordinates = len(points), 2 * NUM_LANDMARKS
    steps = _STEP_MM * np.eye(coordinates).reshape(coordinates, NUM_LANDMARKS, 2)
    moved = points[:, None] + np.concatenate((np.zeros_like(steps[:1]), steps, -steps))
    rows = np.repeat(np.arange(images), moved.shape[1])
    values = evaluate(moved.reshape(-1, NUM_LANDMARKS, 2), present[rows], lines[rows])
    values = values.reshape(*moved.shape[:2], len(MEASUREMENT_NAMES))
    change = values[:, 1 : coordinates + 1] - values[:, coordinates + 1 :]
    change[..., IS_ANGLE] = wrap_deg(change[..., IS_ANGLE])
    slope = np.moveaxis(change, 1, 2) / (2 * _STEP_MM)
    return values[:, 0], slope.reshape(*slope.shape[:2], NUM_LANDMARKS, 2)
