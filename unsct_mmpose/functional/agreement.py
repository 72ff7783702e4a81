"""Agreement of two ways to measure the same thing: correlation, ICC, Bland-Altman, paired t.

``first`` and ``second`` are ``(n,)`` measurements of the same targets in one unit, and hold
measured pairs only: leave out undefined ones and count them. Shapes that disagree and values that
are not finite raise ValueError. A statistic of too few data, or of data that do not vary, is NaN.
Correlations of raw coordinates are almost 1 for any two observers; the clinical parameters are what
is worth comparing.

References:
    Shrout & Fleiss, Psychol Bull 86 (1979) 420-428; McGraw & Wong, Psychol Methods 1 (1996)
    30-46; Bland & Altman, Lancet 327 (1986) 307-310 and Stat Methods Med Res 8 (1999) 135-160.
    Checked against the worked examples of the first and third, pingouin 0.7.0 and scipy 1.17.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from unsct_mmpose.anatomy import Estimate

from .geometry import wrap_deg

Floats = NDArray[np.float64]

_LIMIT = 1.96
"""Standard deviations between the bias and a limit of agreement."""


class BlandAltman(NamedTuple):
    """Differences of two methods, first minus second, in their own unit.

    Attributes:
        n: number of pairs.
        bias: mean difference, with its confidence interval.
        sd: standard deviation of the differences (n - 1).
        lower: lower limit of agreement, bias - 1.96 sd, with its confidence interval.
        upper: upper limit of agreement, bias + 1.96 sd, with its confidence interval.
    """

    n: int
    bias: Estimate
    sd: float
    lower: Estimate
    upper: Estimate


class PairedT(NamedTuple):
    """A paired t test. ``p > 0.05`` is NOT evidence of agreement; noisy pairs reach it easily.

    Attributes:
        n: number of pairs.
        t: mean difference over its standard error.
        p: two-sided probability of such a t if the mean difference were 0.
    """

    n: int
    t: float
    p: float


_NAN = Estimate(math.nan, math.nan, math.nan)


def pearson(first: ArrayLike, second: ArrayLike) -> Estimate:
    """Return Pearson's correlation (PCC), with Fisher's z interval at 95 %.

    Returns:
        NaN with fewer than 3 pairs or a constant input; its interval needs 4 pairs.

    Example:
        >>> round(pearson([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0]).value, 4)
        0.8
    """
    first, second = _pairs(first, second)
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return _NAN
    x, y = (side - side.mean() for side in (first, second))
    r = float(np.clip((x / np.linalg.norm(x)) @ (y / np.linalg.norm(y)), -1.0, 1.0))
    if len(first) < 4:
        return Estimate(r, math.nan, math.nan)
    if abs(r) == 1:
        return Estimate(r, r, r)
    reach = float(special.ndtri(0.975)) / math.sqrt(len(first) - 3)
    return Estimate(r, math.tanh(math.atanh(r) - reach), math.tanh(math.atanh(r) + reach))


def icc_agreement(ratings: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Return ICC(A,1): absolute agreement, two-way random, single (Shrout & Fleiss 2,1).

    A constant shift between the raters lowers it. It is the default of this package: the paper
    does not name its form.

    Args:
        ratings: ``(n, k)`` n targets, k raters.
        confidence: level of the interval, which is McGraw & Wong's.

    Returns:
        NaN with fewer than 2 targets or 2 raters, or when nothing varies.

    Example:
        >>> icc_agreement([[1.0, 3.0], [2.0, 4.0], [6.0, 8.0]]).value
        0.7777777777777778
    """
    table = _mean_squares(ratings)
    if table is None:
        return _NAN
    n, k, msb, msj, mse = table
    whole = msb + (k - 1) * mse + k * (msj - mse) / n
    if whole <= 0:
        return _NAN
    value = (msb - mse) / whole
    if value >= 1:
        return Estimate(1.0, 1.0, 1.0)
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    spread = (a * msj) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1))
    v = (a * msj + b * mse) ** 2 / spread if spread > 0 else 0.0
    if v <= 0:
        return Estimate(value, math.nan, math.nan)
    level = (1 + confidence) / 2
    below, above = special.fdtri(n - 1, v, level), special.fdtri(v, n - 1, level)
    rest = k * msj + (k * n - k - n) * mse
    share = msb / below  # with few targets ``below`` is so large that products overflow
    low = n * (share - mse) / (rest + n * share)
    high = n * (above * msb - mse) / (rest + n * above * msb)
    return Estimate(value, float(low), float(high))


def bland_altman(first: ArrayLike, second: ArrayLike) -> BlandAltman:
    """Return the bias and the limits of agreement of first minus second (Bland & Altman 1986).

    The standard error of a limit is ``sd sqrt(1/n + 1.96^2 / (2 (n - 1)))`` (1999); intervals
    are at 95 % and use Student's t with n - 1 degrees of freedom.

    Returns:
        The bias of one pair has no spread; with no pair all is NaN.

    Example:
        >>> agreement = bland_altman([2.0, 4.0, 6.0], [1.0, 4.0, 7.0])
        >>> agreement.bias.value, agreement.lower.value, agreement.upper.value
        (0.0, -1.96, 1.96)
    """
    first, second = _pairs(first, second)
    n, difference = len(first), first - second
    bias = float(difference.mean()) if n else math.nan
    if n < 2:
        return BlandAltman(n, Estimate(bias, math.nan, math.nan), math.nan, _NAN, _NAN)
    sd = float(difference.std(ddof=1))
    t = float(special.stdtrit(n - 1, 0.975))
    reach_bias = t * sd / math.sqrt(n)
    reach_limit = t * sd * math.sqrt(1 / n + _LIMIT**2 / (2 * (n - 1)))
    lower, upper = bias - _LIMIT * sd, bias + _LIMIT * sd
    return BlandAltman(
        n,
        Estimate(bias, bias - reach_bias, bias + reach_bias),
        sd,
        Estimate(lower, lower - reach_limit, lower + reach_limit),
        Estimate(upper, upper - reach_limit, upper + reach_limit),
    )


def paired_t(first: ArrayLike, second: ArrayLike) -> PairedT:
    """Return Student's t test of paired samples, two-sided.

    ``p > 0.05`` is not evidence of agreement: it says that a mean difference was not shown.

    Returns:
        NaN with fewer than 2 pairs or without any difference.

    Example:
        >>> round(paired_t([1.0, 2.0, 4.0], [0.0, 2.0, 3.0]).t, 4)
        2.0
    """
    first, second = _pairs(first, second)
    n, difference = len(first), first - second
    if n < 2 or not difference.any():
        return PairedT(n, math.nan, math.nan)
    sd, bias = float(difference.std(ddof=1)), float(difference.mean())
    t = bias / (sd / math.sqrt(n)) if sd > 0 else math.copysign(math.inf, bias)
    return PairedT(n, t, float(2 * special.stdtr(n - 1, -abs(t))))


def mean_absolute_error(first: ArrayLike, second: ArrayLike) -> float:
    """Return the mean distance of the pairs, in their own unit, or NaN.

    Example:
        >>> mean_absolute_error([1.0, 5.0], [2.0, 2.0])
        2.0
    """
    first, second = _pairs(first, second)
    return float(np.abs(first - second).mean()) if len(first) else math.nan


def nearest_turn(angles_deg: ArrayLike, references_deg: ArrayLike) -> Floats:
    """Return the angles, whole turns added, within half a turn of their references.

    179 and -179 degrees are two degrees apart; a difference of numbers does not know that.

    Args:
        angles_deg: ``(...)`` degrees; NaN stays NaN.
        references_deg: ``(...)`` degrees; where it is NaN the angle stays as it is.

    Example:
        >>> nearest_turn([-179.0, 20.0, 7.0], [179.0, 10.0, float('nan')]).tolist()
        [181.0, 20.0, 7.0]
    """
    angles, references = np.asarray(angles_deg, float), np.asarray(references_deg, float)
    near = references + wrap_deg(angles - references)
    return np.where(np.isnan(references), angles, near)


def interval_coverage(values: ArrayLike, half_widths: ArrayLike, truths: ArrayLike) -> float:
    """Return the share of the truths that lie within ``value +- half width``, or NaN.

    Args:
        values: ``(n,)`` measurements.
        half_widths: ``(n,)`` half widths of their intervals, in the same unit; infinity is an
            interval that holds everything.
        truths: ``(n,)`` what they measure.

    Raises:
        ValueError: shapes disagree, a half width is negative or NaN, or a value is not finite.

    Example:
        >>> interval_coverage([1.0, 2.0], [0.5, 0.5], [1.5, 3.0])
        0.5
    """
    errors, widths = _errors_and_widths(values, half_widths, truths)
    return float((errors <= widths).mean()) if len(errors) else math.nan


def interval_score(
    values: ArrayLike, half_widths: ArrayLike, truths: ArrayLike, level: float
) -> float:
    """Return the mean interval score of ``value +- half width``, or NaN.

    ``width + 2 / (1 - level) * (how far the truth lies outside)``: a wide interval does not win,
    nor does a narrow one that misses (R. L. Winkler, JASA 67, 1972; T. Gneiting and A. E. Raftery,
    JASA 102, 2007). The smaller the better, in the unit of the values.

    Args:
        values: ``(n,)`` measurements, centres of their intervals.
        half_widths: ``(n,)`` half widths, in the same unit; infinity scores infinity.
        truths: ``(n,)`` what they measure.
        level: what the intervals claim to hold.

    Raises:
        ValueError: as :func:`interval_coverage`, or the level is not inside (0, 1).

    Example:
        >>> round(interval_score([1.0, 2.0], [0.5, 0.5], [1.5, 3.0], 0.95), 6)
        11.0
    """
    if not 0 < level < 1:
        raise ValueError(f'level must lie inside (0, 1), got {level}')
    errors, widths = _errors_and_widths(values, half_widths, truths)
    if not len(errors):
        return math.nan
    outside = np.maximum(errors - widths, 0)
    return float((2 * widths + 2 / (1 - level) * outside).mean())


def _errors_and_widths(
    values: ArrayLike, half_widths: ArrayLike, truths: ArrayLike
) -> tuple[Floats, Floats]:
    values, truths = _pairs(values, truths)
    widths = np.asarray(half_widths, float)
    if widths.shape != values.shape or not (widths >= 0).all():
        raise ValueError(f'half widths {widths.shape} must be 0 or more for {values.shape} values')
    return np.abs(values - truths), widths


def _mean_squares(ratings: ArrayLike) -> tuple[int, int, float, float, float] | None:
    """Return n, k and the mean squares between targets, between raters, and of what is left."""
    scores = np.asarray(ratings, float)
    if scores.ndim != 2:
        raise ValueError(f'ratings must be (targets, raters), got {scores.shape}')
    _refuse_infinite(scores)
    n, k = scores.shape
    if n < 2 or k < 2 or np.ptp(scores) == 0:
        return None
    scores = scores - scores.mean()
    targets, raters = scores.mean(axis=1, keepdims=True), scores.mean(axis=0, keepdims=True)
    residual = scores - targets - raters
    between, by_raters = k * (targets**2).sum() / (n - 1), n * (raters**2).sum() / (k - 1)
    error = (residual**2).sum() / ((n - 1) * (k - 1))
    return n, k, float(between), float(by_raters), float(error)


def _pairs(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f'measurements {first.shape} and {second.shape} are not pairs')
    _refuse_infinite(first, second)
    return first, second


def _refuse_infinite(*arrays: Floats) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError('a value is not finite; leave undefined measurements out and count them')
