"""Was the decision right that a landmark is there, and did the uncertainty know?

Arrays share any shape, usually ``(N, K)``. ``present`` marks the landmarks that the ground truth
shows, ``reported`` those that the prediction reports, ``labelled`` those that somebody looked for:
nothing else counts anywhere; the other masks are boolean, too. An uncertainty is larger where a
landmark is less certain, on any monotone scale; a probability is the claimed one of being present.
A figure of nothing is NaN.

Every function raises ValueError where shapes disagree, a mask is not boolean, what counts is NaN
(or an infinite loss), or a probability or level is out of range.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .agreement import pearson

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Scalar = TypeVar('Scalar', bound=np.generic)


class PresenceRates(NamedTuple):
    """How well "reported" means "present"; each is NaN when its denominator is 0.

    Attributes:
        precision: share of the reported landmarks that are present.
        recall: share of the present landmarks that are reported.
        specificity: share of the absent landmarks that are rejected.
        f1: harmonic mean of precision and recall.
    """

    precision: float
    recall: float
    specificity: float
    f1: float


class RiskCoverage(NamedTuple):
    """Mean loss of what is left when the least certain are refused.

    Attributes:
        coverage: ``(n,)`` share that is answered: 1/n, 2/n ... 1.
        risk: ``(n,)`` mean loss of that share, in the unit of the losses.
    """

    coverage: Floats
    risk: Floats


class ReliabilityCurve(NamedTuple):
    """What was claimed and what came true, by bins of the claim.

    Attributes:
        claimed: ``(bins,)`` mean probability, NaN for an empty bin.
        observed: ``(bins,)`` share that is present, NaN for an empty bin.
        landmarks: ``(bins,)`` how many.
    """

    claimed: Floats
    observed: Floats
    landmarks: NDArray[np.int64]


def presence_rates(present: ArrayLike, reported: ArrayLike, labelled: ArrayLike) -> PresenceRates:
    """Return precision, recall, specificity and F1 of "reported".

    Example:
        >>> presence_rates([True, True, False, False], [True, False, True, False], [True] * 4)
        PresenceRates(precision=0.5, recall=0.5, specificity=0.5, f1=0.5)
    """
    labelled = as_mask(labelled)
    present, reported = (_inside(as_mask(mask), labelled) for mask in (present, reported))
    tp, fp = int((present & reported).sum()), int((~present & reported).sum())
    fn, tn = int((present & ~reported).sum()), int((~present & ~reported).sum())
    return PresenceRates(
        precision=_ratio(tp, tp + fp),
        recall=_ratio(tp, tp + fn),
        specificity=_ratio(tn, tn + fp),
        f1=_ratio(2 * tp, 2 * tp + fp + fn),
    )


def absent_share(present: ArrayLike, labelled: ArrayLike) -> float:
    """Return the share of absent landmarks, the chance level of :func:`auprc_absent`, or NaN.

    Example:
        >>> absent_share([True, False, False], [True, True, False])
        0.5
    """
    there = _inside(as_mask(present), as_mask(labelled))
    return _ratio(int((~there).sum()), len(there))


def auroc_absent(uncertainty: ArrayLike, present: ArrayLike, labelled: ArrayLike) -> float:
    """Return the area under the ROC curve of an uncertainty as a sign of absence.

    It is the probability that an absent landmark is less certain than a present one; a tie
    counts one half (Mann-Whitney).

    Returns:
        0 to 1, NaN without an absent or without a present landmark.

    Example:
        >>> auroc_absent([0.1, 0.2, 0.2, 0.9], [True, True, False, False], [True] * 4)
        0.875
    """
    scores, absent = _scores_and_absence(uncertainty, present, labelled)
    positives, negatives = int(absent.sum()), int((~absent).sum())
    if not positives or not negatives:
        return math.nan
    ranks = stats.rankdata(scores)
    won = ranks[absent].sum() - positives * (positives + 1) / 2
    return float(won / (positives * negatives))


def auprc_absent(uncertainty: ArrayLike, present: ArrayLike, labelled: ArrayLike) -> float:
    """Return the average precision of an uncertainty as a sign of absence.

    ``sum over thresholds of (R_i - R_(i-1)) P_i``, equal uncertainties being one threshold. A
    useless uncertainty scores :func:`absent_share`: print that beside it.

    Returns:
        0 to 1, NaN without an absent or without a present landmark.

    Example:
        >>> auprc_absent([0.1, 0.2, 0.2, 0.9], [True, True, False, False], [True] * 4)
        0.8333333333333333
    """
    scores, absent = _scores_and_absence(uncertainty, present, labelled)
    if absent.all() or not absent.any():
        return math.nan
    order = np.argsort(-scores, kind='stable')
    scores, absent = scores[order], absent[order]
    last_of_tie = np.append(scores[1:] != scores[:-1], True)
    detected = np.cumsum(absent)[last_of_tie]
    flagged = np.flatnonzero(last_of_tie) + 1
    steps = np.diff(detected, prepend=0)
    return float((steps * detected / flagged).sum() / detected[-1])


def risk_coverage(losses: ArrayLike, uncertainty: ArrayLike, mask: ArrayLike) -> RiskCoverage:
    """Return the mean loss of the most certain share, for every share (Geifman & El-Yaniv 2017).

    Equal uncertainties share their mean loss, so that the curve does not depend on the order.

    Example:
        >>> risk_coverage([1.0, 5.0, 3.0], [0.1, 0.9, 0.5], [True] * 3).risk.tolist()
        [1.0, 2.0, 3.0]
    """
    mask = as_mask(mask)
    loss = _inside(np.asarray(losses, float), mask)
    if not np.isfinite(loss).all():
        raise ValueError('a loss that counts is not finite; leave it out of the mask')
    scores = _not_nan(_inside(np.asarray(uncertainty, float), mask))
    if not len(loss):
        return RiskCoverage(np.zeros(0), np.zeros(0))
    _, tie = np.unique(scores, return_inverse=True)  # ties are numbered from the most certain
    mean_of_tie = np.bincount(tie, loss) / np.bincount(tie)
    answered = np.arange(1, len(loss) + 1)
    return RiskCoverage(answered / len(loss), np.cumsum(mean_of_tie[np.sort(tie)]) / answered)


def area_under_risk_coverage(losses: ArrayLike, uncertainty: ArrayLike, mask: ArrayLike) -> float:
    """Return the mean of :func:`risk_coverage` over all coverages (AURC), or NaN.

    Example:
        >>> area_under_risk_coverage([1.0, 5.0, 3.0], [0.1, 0.9, 0.5], [True] * 3)
        2.0
    """
    risk = risk_coverage(losses, uncertainty, mask).risk
    return float(risk.mean()) if risk.size else math.nan


def area_under_sparsification_error(
    losses: ArrayLike, uncertainty: ArrayLike, mask: ArrayLike
) -> float:
    """Return the AURC in excess of that of the true order of the losses, over the mean loss.

    AUSE of Ilg et al. 2018: 0 when the uncertainty sorts the losses as they are, no unit.

    Returns:
        NaN when nothing counts or every loss is 0.

    Example:
        >>> area_under_sparsification_error([1.0, 5.0, 3.0], [0.1, 0.9, 0.5], [True] * 3)
        0.0
    """
    curve = risk_coverage(losses, uncertainty, mask).risk
    best = risk_coverage(losses, losses, mask).risk
    if not curve.size or best[-1] <= 0:
        return math.nan
    return float((curve.mean() - best.mean()) / best[-1])


def spearman(uncertainty: ArrayLike, errors: ArrayLike, mask: ArrayLike) -> float:
    """Return Spearman's rank correlation of uncertainty and error, ties at their mean rank.

    Returns:
        -1 to 1; NaN with fewer than 3 values or when either does not vary.

    Example:
        >>> spearman([0.1, 0.2, 0.3, 0.9], [1.0, 2.0, 4.0, 3.0], [True] * 4)
        0.8
    """
    mask = as_mask(mask)
    scores = _not_nan(_inside(np.asarray(uncertainty, float), mask))
    sizes = _not_nan(_inside(np.asarray(errors, float), mask))
    return pearson(stats.rankdata(scores), stats.rankdata(sizes)).value


def brier_score(probability: ArrayLike, present: ArrayLike, labelled: ArrayLike) -> float:
    """Return the mean of ``(P(present) - present)^2`` (Brier 1950), or NaN.

    Example:
        >>> brier_score([1.0, 0.5], [True, False], [True, True])
        0.125
    """
    claimed, there = _claims(probability, present, labelled)
    return float(((claimed - there) ** 2).mean()) if len(claimed) else math.nan


def reliability_curve(
    probability: ArrayLike, present: ArrayLike, labelled: ArrayLike, bins: int = 10
) -> ReliabilityCurve:
    """Return what was claimed and what came true in ``bins`` equal parts of [0, 1].

    Each holds its lower end, the last both.

    Example:
        >>> reliability_curve([0.2, 0.9, 0.7], [False, True, False], [True] * 3, bins=2)
        ReliabilityCurve(claimed=array([0.2, 0.8]), observed=array([0. , 0.5]),
                         landmarks=array([1, 2]))
    """
    if bins < 1:
        raise ValueError(f'bins must be positive, got {bins}')
    claimed, there = _claims(probability, present, labelled)
    index = np.minimum((claimed * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins)
    some = np.maximum(count, 1)
    mean_claim = np.bincount(index, claimed, bins) / some
    frequency = np.bincount(index, there.astype(float), bins) / some
    used = count > 0
    return ReliabilityCurve(
        np.where(used, mean_claim, np.nan), np.where(used, frequency, np.nan), count
    )


def expected_calibration_error(
    probability: ArrayLike, present: ArrayLike, labelled: ArrayLike, bins: int = 10
) -> float:
    """Return the mean gap between claim and outcome over :func:`reliability_curve` (ECE), or NaN.

    Example:
        >>> round(expected_calibration_error([0.9, 0.9], [True, False], [True, True]), 4)
        0.4
    """
    curve = reliability_curve(probability, present, labelled, bins)
    used = curve.landmarks > 0
    if not used.any():
        return math.nan
    gap = np.abs(curve.claimed[used] - curve.observed[used])
    return float(np.average(gap, weights=curve.landmarks[used]))


def squared_mahalanobis(pred: ArrayLike, true: ArrayLike, covariances: ArrayLike) -> Floats:
    """Return the squared distance of truth from prediction in units of the claimed spread.

    Args:
        pred: ``(..., 2)`` predicted points, pixels.
        true: ``(..., 2)`` true points, pixels.
        covariances: ``(..., 2, 2)`` claimed covariance of the prediction, pixels squared.

    Returns:
        ``(...)`` squared distances, no unit; infinite where the covariance is not positive
        definite (a region without area holds nothing), NaN where it is not finite.

    Raises:
        ValueError: shapes disagree.

    Example:
        >>> squared_mahalanobis([[2.0, 3.0]], [[0.0, 0.0]], [[[4.0, 0.0], [0.0, 1.0]]]).tolist()
        [10.0]
    """
    pred, true = np.asarray(pred, float), np.asarray(true, float)
    spread = np.asarray(covariances, float)
    if pred.shape != true.shape or spread.shape != (*pred.shape, 2) or pred.shape[-1:] != (2,):
        raise ValueError(
            f'points {pred.shape}, {true.shape} and covariances {spread.shape} disagree'
        )
    dx, dy = np.moveaxis(pred - true, -1, 0)
    xx, yy = spread[..., 0, 0], spread[..., 1, 1]
    xy = (spread[..., 0, 1] + spread[..., 1, 0]) / 2
    det = xx * yy - xy**2
    solid = (det > 0) & (xx > 0)
    squared = (yy * dx**2 - 2 * xy * dx * dy + xx * dy**2) / np.where(solid, det, 1.0)
    return np.where(
        np.isfinite(spread).all(axis=(-2, -1)), np.where(solid, squared, np.inf), np.nan
    )


def region_coverage(distances: ArrayLike, mask: ArrayLike, level: float) -> float:
    """Return the share of true points inside the ellipses that claim to hold ``level`` of them.

    The distances are those of :func:`squared_mahalanobis`: an ellipse ends at the quantile of chi2
    with two degrees of freedom.

    Returns:
        0 to 1: equal to ``level`` for an honest claim, below it for a bold one; NaN for nothing.

    Example:
        >>> region_coverage([1.0, 6.1], [True, True], 0.95)
        0.5
    """
    if not 0 < level < 1:
        raise ValueError(f'level must lie inside (0, 1), got {level}')
    chosen = _not_nan(_inside(np.asarray(distances, float), as_mask(mask)))
    # chi2 with two degrees of freedom: P(x <= q) = 1 - exp(-q / 2)
    return float((chosen <= -2 * math.log1p(-level)).mean()) if chosen.size else math.nan


def region_radii(covariances: ArrayLike, level: float) -> Floats:
    """Return the radius of the circle as large as each confidence ellipse: how bold a claim is.

    Coverage alone is easy: a region as large as the image holds everything.

    Args:
        covariances: ``(..., 2, 2)`` claimed covariances, in any unit squared.
        level: 0 to 1, what the ellipse claims to hold.

    Returns:
        ``(...)`` radii in that unit; 0 where the covariance is not positive definite, NaN where
        it is not finite.

    Raises:
        ValueError: the level is not inside (0, 1), or the shape is not ``(..., 2, 2)``.

    Example:
        >>> region_radii([[4.0, 0.0], [0.0, 9.0]], 0.95).round(3).item()
        5.996
    """
    if not 0 < level < 1:
        raise ValueError(f'level must lie inside (0, 1), got {level}')
    spread = np.asarray(covariances, float)
    if spread.shape[-2:] != (2, 2):
        raise ValueError(f'covariances must be (..., 2, 2), got {spread.shape}')
    xy = (spread[..., 0, 1] + spread[..., 1, 0]) / 2
    det = spread[..., 0, 0] * spread[..., 1, 1] - xy**2
    return np.sqrt(-2 * math.log1p(-level) * np.sqrt(np.where(det < 0, 0.0, det)))


def region_score(distances: ArrayLike, radii: ArrayLike, mask: ArrayLike, level: float) -> float:
    """Return the mean interval score of confidence ellipses, or NaN.

    Winkler's (see :func:`unsct_mmpose.functional.agreement.interval_score`) of the circle as large
    as the ellipse: its diameter, plus ``2 / (1 - level)`` times how far the true point lies
    outside, along the ray through it, where the ellipse is stretched to that circle. Distances are
    those of :func:`squared_mahalanobis`, radii those of :func:`region_radii`.

    Example:
        >>> round(region_score([4 * 5.991464547], [2.0], [True], 0.95), 6)
        84.0
    """
    if not 0 < level < 1:
        raise ValueError(f'level must lie inside (0, 1), got {level}')
    squared = _not_nan(_inside(np.asarray(distances, float), as_mask(mask)))
    size = _not_nan(_inside(np.asarray(radii, float), as_mask(mask)))
    if not squared.size:
        return math.nan
    outside = size * np.maximum(np.sqrt(squared / (-2 * math.log1p(-level))) - 1, 0)
    return float((2 * size + 2 / (1 - level) * outside).mean())


def _scores_and_absence(
    uncertainty: ArrayLike, present: ArrayLike, labelled: ArrayLike
) -> tuple[Floats, Bools]:
    labelled = as_mask(labelled)
    scores = _not_nan(_inside(np.asarray(uncertainty, float), labelled))
    return scores, ~_inside(as_mask(present), labelled)


def _claims(
    probability: ArrayLike, present: ArrayLike, labelled: ArrayLike
) -> tuple[Floats, Bools]:
    labelled = as_mask(labelled)
    claimed = _inside(np.asarray(probability, float), labelled)
    if not ((claimed >= 0) & (claimed <= 1)).all():
        raise ValueError('a probability that counts is not in [0, 1]')
    return claimed, _inside(as_mask(present), labelled)


def as_mask(mask: ArrayLike) -> Bools:
    """Return a mask as an array; only booleans are one."""
    mask = np.asarray(mask)
    if mask.dtype != np.bool_:
        raise ValueError(f'a mask must be boolean, got {mask.dtype}')
    return mask


def _inside(values: NDArray[Scalar], mask: Bools) -> NDArray[Scalar]:
    if values.shape != mask.shape:
        raise ValueError(f'values {values.shape} and mask {mask.shape} disagree')
    return values[mask]


def _not_nan(values: Floats) -> Floats:
    if np.isnan(values).any():
        raise ValueError('a value that counts is NaN; leave it out of the mask')
    return values


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
