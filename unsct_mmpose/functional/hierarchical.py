"""What an image of the next patient will show: the unit is the patient, not the image.

Images of one patient share their error. A quantile over images as if they were independent says
what new images of the same patients will do. Here every patient counts once, and how far patients
differ decides how much wider a promise about the next one must be.

Arrays are padded: P patients with at most n scores each, ``(..., P, n)`` or ``(..., P, n, D)``,
NaN where a patient has fewer; leading axes are done at once. The last of them is that of groups
(landmarks, parameters) of the same patients, whose scores are taken to be of much the same shape. D
is 1 for a number and 2 for a point. ``level`` is a probability in (0, 1), or ValueError is raised.

References: R. Dunn, L. Wasserman and A. Ramdas, "Distribution-free prediction sets for two-layer
hierarchical models", JASA 118 (2023); Y. Lee, R. F. Barber and R. Willett, "Distribution-free
inference with hierarchical data" (2023, arXiv:2306.06342); F. E. Satterthwaite, "An approximate
distribution of estimates of variance components", Biometrics Bulletin 2 (1946).
"""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special  # scipy.stats takes longer to load than all else together

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MANY_PATIENTS = 40
"""From so many patients on they speak for themselves. Fewer may allow a level, too, but only by
about the worst of their images: a model is then far narrower and holds as well."""

ENOUGH_PATIENTS = 20
"""Patients who allow 95 % without a model; below, a calibration is warned of."""

_PSEUDO_SCORES = 10.0  # what the other groups' shape weighs beside a group's own, the model's too
_CAUTION = 0.5  # standard errors that are added to the covariance of a patient's images
_TAME = 4.0  # robust standard deviations from a patient's median at which a single score is cut
_BISECTIONS = 32
_SMALLEST = 1e-12


class Radius(NamedTuple):
    """How far a score of a new patient goes, with the nominal probability.

    Attributes:
        value: ``(...)``; NaN where there are no scores.
        by_model: ``(...)`` whether random effects say so, and not the patients alone.
        patients: ``(...)`` patients with scores.
    """

    value: Floats
    by_model: Bools
    patients: NDArray[np.int64]


class Offset(NamedTuple):
    """What all patients' errors have in common, and its 95 % confidence interval.

    Attributes:
        value: ``(...)`` mean over patients of their mean error.
        low: lower end; NaN with fewer than two patients.
        high: upper end.
        p: of the t test over patients against 0; NaN with fewer than two patients.
        patients: ``(...)`` patients with errors.
    """

    value: Floats
    low: Floats
    high: Floats
    p: Floats
    patients: NDArray[np.int64]


def by_patient(values: ArrayLike, patients: ArrayLike) -> Floats:
    """Gather rows by patient.

    Args:
        values: ``(N, ...)`` one row for each image.
        patients: ``(N,)`` whose image each row is.

    Returns:
        ``(P, n, ...)``, patients in the order of their names, padded with NaN.

    Raises:
        ValueError: rows and patients disagree.

    Example:
        >>> by_patient([1.0, 2.0, 3.0], ['b', 'a', 'b']).tolist()
        [[2.0, nan], [1.0, 3.0]]
    """
    rows, names = np.asarray(values, float), np.asarray(patients)
    if names.shape != rows.shape[:1]:
        raise ValueError(f'{len(rows)} rows and {names.shape} patients disagree')
    people, which, counts = np.unique(names, return_inverse=True, return_counts=True)
    result = np.full((len(people), int(counts.max(initial=0)), *rows.shape[1:]), np.nan)
    order = np.argsort(which, kind='stable')
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    result[which[order], place] = rows[order]
    return result


def allowed_level(patients: int) -> float:
    """Return the largest probability that so many patients can promise for the next, modelless.

    Exchangeable patients: the next one is the worst of all with probability ``1 / (P + 1)``.

    Example:
        >>> allowed_level(3), allowed_level(19)
        (0.75, 0.95)
    """
    return patients / (patients + 1)


def promise_words(
    level: float, patients: int | None, calibrated: bool = True, *, model: bool = True
) -> str:
    """Say in one short form what stands behind a nominal level.

    Args:
        level: nominal coverage for an image of a new patient.
        patients: that it was calibrated on; None when it was calibrated on images, as before there
            was a promise for patients.
        calibrated: whether it was calibrated at all.
        model: whether a model stands in where patients do not allow the level; without one, as for
            the recall of a threshold, the level is theirs alone.

    Example:
        >>> promise_words(0.95, 3)
        '95 % (by a model of 3 patients; 75 % without)'
        >>> promise_words(0.95, 53)
        '95 % (by 53 patients)'
        >>> promise_words(0.99, 53, model=False)
        '99 % (of these 53 patients; 98 % for the next)'
    """
    words = f'{100 * level:g} %'
    if not calibrated:
        return f'{words} (not calibrated)'
    if patients is None:
        return f'{words} (of new images of known patients)'
    if patients == 0:
        return f'{words} (by no patient)'
    enough = level <= allowed_level(patients) + 1e-9
    if enough and (patients >= MANY_PATIENTS or not model):
        return f'{words} (by {patients} patients)'
    people = '1 patient' if patients == 1 else f'{patients} patients'
    least = math.floor(100 * allowed_level(patients) + 1e-9)
    if not model:
        return f'{words} (of these {people}; {least} % for the next)'
    if enough:
        return f'{words} (by a model of {people})'
    return f'{words} (by a model of {people}; {least} % without)'


def hierarchical_quantile(scores: ArrayLike, level: float) -> Floats:
    """Return what a score of a new patient does not exceed with at least a probability.

    Hierarchical conformal prediction (Lee, Barber and Willett 2023, section 3): the quantile of
    the distribution in which each of P patients has the mass ``1 / (P + 1)``, spread evenly over
    its scores, and infinity the rest. No model; patients must be exchangeable, and so must the
    scores of each. With one score each it is the split conformal quantile,
    :func:`unsct_mmpose.maps.calibration.conformal_quantile`.

    Returns:
        ``(...)`` of ``(..., P, n)`` scores; infinity where ``level`` is above P / (P + 1).

    Example:
        >>> hierarchical_quantile([[1.0, 2.0], [3.0, 4.0], [5.0, np.nan]], 0.75).item()
        5.0
        >>> hierarchical_quantile([[1.0, 2.0], [3.0, 4.0], [5.0, np.nan]], 0.8).item()
        inf
    """
    _check_level(level)
    values = np.asarray(scores, float)
    defined = ~np.isnan(values)
    count = defined.sum(axis=-1, keepdims=True)
    patients = (count > 0).sum(axis=(-2, -1))
    share = np.where(defined, 1 / np.maximum(count, 1), 0.0)
    flat = np.where(defined, values, np.inf).reshape(*values.shape[:-2], -1)
    order = np.argsort(flat, axis=-1, kind='stable')
    mass = np.take_along_axis(share.reshape(flat.shape), order, axis=-1).cumsum(axis=-1)
    enough = mass >= (level * (patients + 1))[..., None] - 1e-9
    first = np.take_along_axis(order, enough.argmax(axis=-1)[..., None], axis=-1)
    quantile = np.take_along_axis(flat, first, axis=-1)[..., 0]
    return np.where(enough.any(axis=-1), quantile, np.inf)


def random_effects_radius(residuals: ArrayLike, level: float) -> Floats:
    """Return how far a residual of a new patient goes, by a model of few patients.

    Residuals of one patient have a covariance in common. Their mean square over patients is a sum
    of correlated squares; Satterthwaite's degrees of freedom lie between the number of patients
    (all images of one alike) and that of residuals (all independent), and the quantile is that of
    F, t squared for D = 1. The covariance comes from products of two residuals of one patient, and
    half a standard error is added to it: three patients say little of it, and too small is worse.

    The shape need not be normal: each patient's residuals, over the radius by all others, are
    pooled with ten pseudo-scores of what is expected, and their quantile is the factor by which the
    radius is corrected. Expected is what the other groups show, pooled with ten pseudo-scores of
    the model: heavy tails are much the same in all. Where patients are many this is CDF pooling
    (Dunn et al. 2023). A single residual
    that lies more than four robust standard deviations from its patient's median counts as if it
    lay there.

    Returns:
        ``(..., G)`` radii of ``(..., G, P, n, D)`` residuals, or one of ``(P, n, D)``, in their
        unit; NaN without a residual.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> alike = np.repeat(rng.normal(size=(3, 1, 1)), 15, axis=1)
        >>> bool(random_effects_radius(alike, 0.95) > 3 * np.sqrt((alike**2).mean()))
        True
    """
    _check_level(level)
    values = np.asarray(residuals, float)
    axes = values.shape[-1]
    each = _sums(_tame(values), axes)
    total = _Sums(*(term.sum(axis=-1) for term in each))
    radius, freedom = _model(total, level, axes)
    others = _Sums(*(term.sum(axis=-1, keepdims=True) - term for term in each))
    left_out, _ = _model(others, level, axes)
    # a residual that is not there, or has no other patients beside it, says nothing of the shape
    with np.errstate(divide='ignore', invalid='ignore'):
        ratio = np.sqrt((values**2).sum(axis=-1)) / left_out[..., None]
    factor = _mixed_quantile(ratio, freedom, level, axes)
    return radius * factor


def new_patient_radius(residuals: ArrayLike, level: float) -> Radius:
    """Return how far a residual of a new patient goes.

    The patients alone say so, by :func:`hierarchical_quantile`, where at least
    :data:`MANY_PATIENTS` of them allow the level, or where every patient has one residual and the
    level is allowed (images are patients then); else :func:`random_effects_radius`.
    """
    values = np.asarray(residuals, float)
    size = np.sqrt((values**2).sum(axis=-1))
    count = (~np.isnan(size)).sum(axis=-1)
    patients = (count > 0).sum(axis=-1)
    single = (count <= 1).all(axis=-1)
    plain = hierarchical_quantile(size, level)
    alone = np.isfinite(plain) & ((patients >= MANY_PATIENTS) | single)
    value = np.where(patients > 0, plain, np.nan)
    if not alone.all():
        value = np.where(alone, plain, random_effects_radius(values, level))
    return Radius(value, ~alone, patients)


def new_patient_most(values: ArrayLike, patients: ArrayLike) -> float:
    """Return what the largest value of a new patient hardly exceeds: the end of a usual range.

    The most that was seen, or, where few patients have seen little, the 95 % end of the normal
    prediction interval for the next one's largest value. ``(N,)`` values and patients, one of each
    image.

    Example:
        >>> values, patients = [1.0, 2.0, 1.5, 3.0], ['a', 'a', 'b', 'c']
        >>> new_patient_most(values[:2], patients[:2])
        2.0
        >>> round(new_patient_most(values, patients), 2)
        4.74
    """
    most = np.nanmax(by_patient(values, patients), axis=1)
    number, largest = len(most), float(most.max())
    if number < 2:
        return largest
    error = most.std(ddof=1) * math.sqrt(1 + 1 / number)
    return max(largest, float(most.mean() + special.stdtrit(number - 1, 0.95) * error))


def systematic_offset(errors: ArrayLike) -> Offset:
    """Return what the errors of all patients have in common.

    A t interval over the patients' mean errors: a patient counts once, however many images.

    Args:
        errors: ``(..., P, n)``, signed; NaN where there is none.

    Example:
        >>> offset = systematic_offset([[1.0, 1.0, 1.0], [2.0, 2.0, np.nan], [3.0, 3.0, 3.0]])
        >>> [round(float(value), 3) for value in offset[:4]]
        [2.0, -0.484, 4.484, 0.074]
    """
    means = _means(np.asarray(errors, float))
    defined = ~np.isnan(means)
    patients = defined.sum(axis=-1)
    with np.errstate(divide='ignore', invalid='ignore'):
        value = np.where(defined, means, 0).sum(axis=-1) / patients
        squares = np.where(defined, (means - value[..., None]) ** 2, 0).sum(axis=-1)
        error = np.sqrt(squares / (patients - 1) / patients)
        freedom = np.maximum(patients - 1, 1)
        reach = special.stdtrit(freedom, 0.975) * error
        p = 2 * special.stdtr(freedom, -np.abs(value) / error)
    lonely = patients < 2
    return Offset(
        value,
        np.where(lonely, np.nan, value - reach),
        np.where(lonely, np.nan, value + reach),
        np.where(lonely, np.nan, p),
        patients,
    )


def left_out_offsets(errors: ArrayLike) -> Floats:
    """Return for each patient the offset of all others: ``(..., P)``, 0 where there is none.

    What is left of a patient's errors after it is what is left of a new patient's errors after
    :func:`systematic_offset`, the doubt about the offset included.

    Example:
        >>> left_out_offsets([[1.0], [2.0], [3.0]]).tolist()
        [2.5, 2.0, 1.5]
    """
    means = _means(np.asarray(errors, float))
    defined = ~np.isnan(means)
    clean = np.where(defined, means, 0.0)
    others = defined.sum(axis=-1, keepdims=True) - defined
    total = clean.sum(axis=-1, keepdims=True) - clean
    return np.where(others > 0, total / np.maximum(others, 1), 0.0)


def holm_significant(p: ArrayLike, alpha: float = 0.05) -> Bools:
    """Tell which of several tests are significant, at a family-wise level (Holm 1979).

    Args:
        p: ``(G,)`` p values; NaN is never significant.
        alpha: probability of any false finding.

    Example:
        >>> holm_significant([0.01, 0.04, 0.03, 0.005]).tolist()
        [True, False, False, True]
    """
    values = np.asarray(p, float)
    order = np.argsort(np.where(np.isnan(values), np.inf, values), kind='stable')
    limits = alpha / (np.count_nonzero(~np.isnan(values)) - np.arange(len(values))).clip(min=1)
    with np.errstate(invalid='ignore'):
        passed = np.logical_and.accumulate(values[order] <= limits)
    result = np.zeros(len(values), bool)
    result[order] = passed
    return result


class _Sums(NamedTuple):
    """Of each patient, and by addition of several: counts, mean squares, mean products."""

    patients: Floats
    squares: Floats
    repeated: Floats
    products: Floats
    inverses: Floats
    scores: Floats


def _sums(values: Floats, axes: int) -> _Sums:
    """Return ``(..., P)`` of ``(..., P, n, D)``; squares and products are for each axis."""
    defined = ~np.isnan(values[..., 0])
    count = defined.sum(axis=-1)
    clean = np.where(defined[..., None], values, 0.0)
    squares = (clean**2).sum(axis=(-2, -1)) / axes
    whole = (clean.sum(axis=-2) ** 2).sum(axis=-1) / axes
    there, repeated = count > 0, count > 1
    pairs = np.maximum(count * (count - 1), 1)
    return _Sums(
        there.astype(float),
        squares / np.maximum(count, 1),
        repeated.astype(float),
        np.where(repeated, (whole - squares) / pairs, 0.0),
        np.where(there, 1 / np.maximum(count, 1), 0.0),
        count.astype(float),
    )


def _model(sums: _Sums, level: float, axes: int) -> tuple[Floats, Floats]:
    """Return the radius of the normal model and the degrees of freedom behind it."""
    number = np.maximum(sums.patients, 1)
    square = sums.squares / number
    repeated = np.maximum(sums.repeated, 1)
    shared = np.abs(sums.products / repeated)
    own = np.maximum(square - shared, 0) * number / np.maximum(sums.scores, 1)
    shared = shared + _CAUTION * np.sqrt(2 / repeated) * (shared + own)
    shared = np.where(sums.repeated > 0, np.minimum(shared, square), square)
    parts = square**2 * sums.inverses + shared**2 * (sums.patients - sums.inverses)
    with np.errstate(divide='ignore', invalid='ignore'):
        freedom = np.where(square > 0, (sums.patients * square) ** 2 / parts, number)
    radius = np.sqrt(axes * square * special.fdtri(axes, freedom, level))
    return np.where(sums.patients > 0, radius, np.nan), freedom


def _mixed_quantile(ratio: Floats, freedom: Floats, level: float, axes: int) -> Floats:
    """Return the quantile of ratios ``(..., G, P, n)`` mixed with those that are expected.

    What is expected is in turn what the other groups show, mixed with the model.
    """
    if ratio.ndim == 2:
        return _mixed_quantile(ratio[None], freedom[None], level, axes)[0]
    defined = np.isfinite(ratio)
    count = defined.sum(axis=-1, keepdims=True)
    patients = (count > 0).sum(axis=(-2, -1))
    weight = np.where(patients > 0, freedom, 0.0)
    share = (weight / np.maximum(patients, 1))[..., None, None] / np.maximum(count, 1)
    share, size = np.where(defined, share, 0.0), np.where(defined, ratio, np.inf)
    others = weight.sum(axis=-1, keepdims=True) - weight
    # groups are of the same patients: N of them say as much as sqrt(N)
    heard = others / np.sqrt(np.maximum((weight > 0).sum(axis=-1, keepdims=True) - 1, 1))
    bound = special.fdtri(axes, freedom, level)
    low, high = np.zeros(weight.shape), np.full(weight.shape, 1e3)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        own = np.where(size <= middle[..., None, None], share, 0.0).sum(axis=(-2, -1))
        within = size[..., None, :, :, :] <= middle[..., None, None, None]
        rest = np.where(within, share[..., None, :, :, :], 0.0).sum(axis=(-3, -2, -1)) - own
        model = special.fdtr(axes, freedom, middle**2 * bound)
        shown = heard * rest / np.maximum(others, _SMALLEST)
        expected = (shown + _PSEUDO_SCORES * model) / (heard + _PSEUDO_SCORES)
        enough = own + _PSEUDO_SCORES * expected >= level * (weight + _PSEUDO_SCORES)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high


def _tame(values: Floats) -> Floats:
    """Cut single residuals that lie far from their patient's median."""
    axes = values.shape[-1]
    count = (~np.isnan(values[..., 0])).sum(axis=-1)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # a patient without residuals
        middle = np.nanmedian(values, axis=-2, keepdims=True)
        away = values - middle
        distance = np.sqrt((away**2).sum(axis=-1))
        spare = np.where(count > 1, np.sqrt(count / np.maximum(count - 1, 1)), np.nan)
        whole = (distance * spare[..., None]).reshape(*values.shape[:-3], -1)
        usual = np.nanmedian(whole, axis=-1) / math.sqrt(special.chdtri(axes, 0.5))
    limit = (_TAME * math.sqrt(axes) * usual)[..., None, None]
    with np.errstate(divide='ignore', invalid='ignore'):
        shrink = np.where((distance > limit) & (limit > 0), limit / distance, 1.0)
    return middle + away * shrink[..., None]


def _means(errors: Floats) -> Floats:
    defined = ~np.isnan(errors)
    count = defined.sum(axis=-1)
    total = np.where(defined, errors, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f'level must lie in (0, 1), got {level}')
