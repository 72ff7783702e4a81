"""Localisation errors and their summaries, always with a mask (eq. 10-11).

Arrays are ``(N, K)``: N images, K landmarks. Errors, radii and cutoffs are in mm. ``present`` marks
the landmarks that the ground truth shows, ``reported`` those that the prediction reports, ``mask``
those that count, all boolean. Errors are read where the mask says so; without one, where a landmark
is present and reported. A summary of nothing is NaN, never 0.

Every function raises ValueError where shapes disagree, a mask is not boolean, a setting is not
positive, or an error that is read is not finite.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unsct_mmpose.anatomy import HIP, LandmarkSet

from .geometry import to_mm
from .presence import as_mask

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class NormalisedMeanError(NamedTuple):
    """Mean error over a reference distance, and what it leaves out.

    Attributes:
        value: mean of error / distance, NaN when no image could be scored.
        dropped_images: images left out because no reference distance could be measured.
    """

    value: float
    dropped_images: int


def radial_errors_mm(
    pred: ArrayLike, true: ArrayLike, spacing_xy_mm: ArrayLike, magnification: ArrayLike = 1.0
) -> Floats:
    """Return the distance of each predicted landmark from the true one: paper eq. (11).

    Args:
        pred: ``(N, K, 2)`` predicted landmarks, pixels.
        true: ``(N, K, 2)`` true landmarks, pixels.
        spacing_xy_mm: ``(N, 2)`` size of a pixel along x and y, or ``(2,)`` for all images.
        magnification: ``(N,)`` or one number; a length on the detector over that in the patient.

    Returns:
        ``(N, K)`` distances, mm.

    Raises:
        ValueError: shapes disagree, or a spacing or magnification is not positive.

    Example:
        >>> radial_errors_mm([[[3.0, 4.0]]], [[[0.0, 0.0]]], [[1.0, 0.5]]).round(4).tolist()
        [[3.6056]]
    """
    pred, true = np.asarray(pred, float), np.asarray(true, float)
    if pred.shape != true.shape:
        raise ValueError(f'pred {pred.shape} and true {true.shape} disagree')
    difference = _to_mm(pred - true, spacing_xy_mm, magnification)
    return np.hypot(difference[..., 0], difference[..., 1])


def mean_radial_error(errors: ArrayLike, mask: ArrayLike) -> float:
    """Return the mean of the masked errors (MRE), or NaN when there is none.

    Example:
        >>> mean_radial_error([[1.0, 3.0, 99.0]], [[True, True, False]])
        2.0
    """
    chosen = _masked(errors, mask)
    return float(chosen.mean()) if chosen.size else float('nan')


def median_radial_error(errors: ArrayLike, mask: ArrayLike) -> float:
    """Return the median of the masked errors, or NaN when there is none.

    Example:
        >>> median_radial_error([[1.0, 2.0, 30.0]], [[True, True, True]])
        2.0
    """
    chosen = _masked(errors, mask)
    return float(np.median(chosen)) if chosen.size else float('nan')


def success_detection_rate(errors: ArrayLike, mask: ArrayLike, radius: float) -> float:
    """Return the share of the masked landmarks found within a radius (SDR), or NaN.

    With the true positives as mask, it says nothing about landmarks that were rejected: print
    :func:`recall` beside it, or use :func:`sdr_all`. The radius itself succeeds.

    Example:
        >>> success_detection_rate([[1.0, 2.0, 3.0, 0.0]], [[True, True, True, False]], 2.0)
        0.6666666666666666
    """
    chosen = _masked(errors, mask)
    return float((chosen <= radius).mean()) if chosen.size else float('nan')


def sdr_all(errors: ArrayLike, present: ArrayLike, reported: ArrayLike, radius: float) -> float:
    """Return the share of all present landmarks that are reported and within a radius, or NaN.

    Example:
        >>> sdr_all([[1.0, 1.0]], [[True, True]], [[True, False]], 2.0)
        0.5
    """
    present, reported = _pair_of_masks(present, reported)
    hits = _masked(errors, present & reported)
    total = int(present.sum())
    return float((hits <= radius).sum() / total) if total else float('nan')


def image_success_rate(errors: ArrayLike, mask: ArrayLike, radius: float) -> float:
    """Return the share of images whose mean masked error is within a radius, or NaN.

    The paper's SDR values are counts of images, as far as can be told from their denominators. An
    image without any masked error is left out.

    Example:
        >>> image_success_rate([[1.0, 2.0], [3.0, 9.0]], [[True, True], [True, False]], 2.0)
        0.5
    """
    _masked(errors, mask)
    mask = as_mask(mask)
    count = mask.sum(axis=1)
    total = np.where(mask, np.asarray(errors, float), 0.0).sum(axis=1)
    mean = total[count > 0] / count[count > 0]
    return float((mean <= radius).mean()) if mean.size else float('nan')


def recall(present: ArrayLike, reported: ArrayLike) -> float:
    """Return the share of the present landmarks that are reported, or NaN when none is present.

    Example:
        >>> recall([[True, True, False]], [[True, False, True]])
        0.5
    """
    present, reported = _pair_of_masks(present, reported)
    total = int(present.sum())
    return float((present & reported).sum() / total) if total else float('nan')


def set_error(
    errors: ArrayLike, present: ArrayLike, reported: ArrayLike, cutoff: float = 20.0
) -> Floats:
    """Return the labelled set error of each image.

    ``E_c = (sum over P & K of min(e, c) + c (|P - K| + |K - P|)) / |P | K|``: a missed landmark
    and a false positive cost as much as the worst placed one, so that rejecting everything scores
    c, the worst.

    Args:
        errors: ``(N, K)`` errors, mm; read where a landmark is present and reported.
        present: ``(N, K)`` bool, in the ground truth.
        reported: ``(N, K)`` bool.
        cutoff: c, mm.

    Returns:
        ``(N,)`` errors, mm; NaN for an image where nothing is present and nothing is reported.

    Raises:
        ValueError: shapes disagree, the cutoff is not positive, or an error that is read is not
            finite.

    Example:
        >>> set_error([[2.0, 50.0, 0.0]], [[True, True, True]], [[True, True, False]]).tolist()
        [14.0]
    """
    if not cutoff > 0:
        raise ValueError(f'cutoff must be positive, got {cutoff}')
    present, reported = _pair_of_masks(present, reported)
    both, either = present & reported, present | reported
    _masked(errors, both)
    cost = np.where(both, np.minimum(np.asarray(errors, float), cutoff), cutoff)
    count = either.sum(axis=1)
    total = np.where(either, cost, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mean_set_error(
    errors: ArrayLike, present: ArrayLike, reported: ArrayLike, cutoff: float = 20.0
) -> float:
    """Return the mean of :func:`set_error` over the images that have one, or NaN.

    Args:
        errors: ``(N, K)`` errors, mm.
        present: ``(N, K)`` bool, in the ground truth.
        reported: ``(N, K)`` bool.
        cutoff: c, mm.

    Raises:
        ValueError: as :func:`set_error`.

    Example:
        >>> mean_set_error([[2.0], [0.0]], [[True], [False]], [[True], [False]])
        2.0
    """
    each = set_error(errors, present, reported, cutoff)
    scored = each[~np.isnan(each)]
    return float(scored.mean()) if scored.size else float('nan')


def localisation_recall_precision(
    errors: ArrayLike, present: ArrayLike, reported: ArrayLike, cutoff: float = 20.0
) -> float:
    """Return the LRP error of all landmarks together, or NaN when none is present or reported.

    Oksuz et al. 2018, for landmarks with names: ``(sum over TP of e / c + |FN| + |FP|) / (|TP| +
    |FN| + |FP|)``, a true positive being present, reported and within c. As there, a report that
    is further off than c counts twice: it is a false positive, and its landmark is missed.

    Args:
        errors: ``(N, K)`` errors, mm; read where a landmark is present and reported.
        present: ``(N, K)`` bool, in the ground truth.
        reported: ``(N, K)`` bool.
        cutoff: c, mm.

    Returns:
        0 (all found in place, nothing else reported) to 1 (nothing found, as by rejecting all).

    Raises:
        ValueError: shapes disagree, the cutoff is not positive, or an error that is read is not
            finite.

    Example:
        >>> localisation_recall_precision([[5.0, 50.0]], [[True, True]], [[True, True]], 20.0)
        0.75
    """
    if not cutoff > 0:
        raise ValueError(f'cutoff must be positive, got {cutoff}')
    present, reported = _pair_of_masks(present, reported)
    both = _masked(errors, present & reported)
    hits = both[both <= cutoff]
    mistakes = int(present.sum()) + int(reported.sum()) - 2 * hits.size
    total = hits.size + mistakes
    return float((hits.sum() / cutoff + mistakes) / total) if total else float('nan')


def recovered_error(keep_all: float, ours: float, oracle: float) -> float:
    """Return how much of the avoidable error a decision avoids.

    ``(keep_all - ours) / (keep_all - oracle)``: 0 for reporting everything, 1 for reporting
    exactly what is present, negative for doing harm.

    Args:
        keep_all: an error, such as :func:`mean_set_error`, when every landmark is reported.
        ours: the same error for the decision to be judged.
        oracle: the same error when exactly the present landmarks are reported.

    Returns:
        The share, NaN when nothing was avoidable or an error is NaN.

    Example:
        >>> recovered_error(10.0, 6.0, 5.0)
        0.8
    """
    avoidable = keep_all - oracle
    return (keep_all - ours) / avoidable if avoidable > 0 else float('nan')


def reference_distances_mm(
    true: ArrayLike,
    present: ArrayLike,
    spacing_xy_mm: ArrayLike,
    magnification: ArrayLike = 1.0,
    landmarks: LandmarkSet = HIP,
) -> Floats:
    """Measure in each image the distance that normalises its errors.

    It is that of the first of the set's ``reference_pairs`` that is present: of the hip the
    femoral head centres, or 1.5 times that of the teardrops where a head is absent.

    Args:
        true: ``(N, K, 2)`` true landmarks, pixels.
        present: ``(N, K)`` bool.
        spacing_xy_mm: ``(N, 2)`` size of a pixel along x and y, or ``(2,)`` for all images.
        magnification: ``(N,)`` or one number.
        landmarks: the K landmarks.

    Returns:
        ``(N,)`` distances, mm; NaN where no pair is present, or the set has none.

    Raises:
        ValueError: shapes disagree, or a spacing or magnification is not positive.
    """
    points = np.asarray(true, float)
    present = as_mask(present)
    if present.shape != points.shape[:2]:
        raise ValueError(f'true {points.shape} and present {present.shape} disagree')
    points = _to_mm(points, spacing_xy_mm, magnification)
    result = np.full(len(points), np.nan)
    for first, second, factor in reversed(landmarks.reference_pairs):
        both = present[:, first] & present[:, second]
        span = points[both, first] - points[both, second]
        result[both] = factor * np.hypot(span[:, 0], span[:, 1])
    return result


def normalised_mean_error(
    errors: ArrayLike, mask: ArrayLike, distances: ArrayLike, norm_scale: float = 1.0
) -> NormalisedMeanError:
    """Return the mean of the masked errors over ``norm_scale * distance``: paper eq. (10).

    Args:
        errors: ``(N, K)`` errors; those outside the mask are not read.
        mask: ``(N, K)`` bool.
        distances: ``(N,)`` reference distances in the unit of the errors, from
            :func:`reference_distances_mm`; NaN or 0 drops the image.
        norm_scale: factor of the distance; 0.5 gives figures of the paper's magnitude.

    Returns:
        The mean over the masked landmarks of the images that have a distance, and how many
        images have none.

    Raises:
        ValueError: shapes disagree, a masked error is not finite, or norm_scale is not positive.

    Example:
        >>> normalised_mean_error([[8.0], [5.0]], [[True], [True]], [160.0, float('nan')])
        NormalisedMeanError(value=0.05, dropped_images=1)
    """
    if not norm_scale > 0:
        raise ValueError(f'norm_scale must be positive, got {norm_scale}')
    _masked(errors, mask)
    errors, mask = np.asarray(errors, float), as_mask(mask)
    distances = np.asarray(distances, float)
    if distances.shape != errors.shape[:1]:
        raise ValueError(f'distances {distances.shape} do not fit {len(errors)} images')
    usable = np.isfinite(distances) & (distances > 0)
    ratio = errors[usable] / (norm_scale * distances[usable, None])
    chosen = ratio[mask[usable]]
    value = float(chosen.mean()) if chosen.size else float('nan')
    return NormalisedMeanError(value, int((~usable).sum()))


def _to_mm(values: Floats, spacing_xy_mm: ArrayLike, magnification: ArrayLike) -> Floats:
    """Convert ``(N, K, 2)`` pixels to mm in the patient."""
    if values.ndim != 3 or values.shape[-1] != 2:
        raise ValueError(f'landmarks must be (N, K, 2), got {values.shape}')
    images = len(values)
    spacing = np.asarray(spacing_xy_mm, float)
    scale = np.asarray(magnification, float)
    if spacing.shape not in ((2,), (images, 2)):
        raise ValueError(f'spacing_xy_mm must be ({images}, 2) or (2,), got {spacing.shape}')
    if scale.shape not in ((), (images,)):
        raise ValueError(f'magnification must be ({images},) or one number, got {scale.shape}')
    return to_mm(values, spacing.reshape(-1, 1, 2), scale.reshape(-1, 1))


def _pair_of_masks(present: ArrayLike, reported: ArrayLike) -> tuple[Bools, Bools]:
    present, reported = as_mask(present), as_mask(reported)
    if present.shape != reported.shape:
        raise ValueError(f'present {present.shape} and reported {reported.shape} disagree')
    return present, reported


def _masked(errors: ArrayLike, mask: ArrayLike) -> Floats:
    errors, mask = np.asarray(errors, float), as_mask(mask)
    if errors.shape != mask.shape:
        raise ValueError(f'errors {errors.shape} and mask {mask.shape} disagree')
    chosen = errors[mask]
    if not np.isfinite(chosen).all():
        where = tuple(np.argwhere(mask & ~np.isfinite(errors))[0].tolist())
        raise ValueError(
            f'the error at {where} is {errors[where]} but the mask counts it; leave it out of the '
            'mask or give it a value'
        )
    return chosen
