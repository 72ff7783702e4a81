"""One probability from several pieces of evidence: a small monotone logistic model.

The fields' alignments are first divided by what each relation reaches when both its ends are
there: a thin field of a long limb is painted faintly, which says nothing about its landmarks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit
from torch import Tensor

from .evidence import Evidence
from .paf import Relations
from .uncertainty import landmark_alignment

FEATURE_SIGNS = dict(peak=1, standout=1, rival=-1, spread=-1, aligned=1, supported=1)
"""What fusion may use, and whether a larger value speaks for (1) or against (-1) a landmark."""

FIELD_FEATURES = ('aligned', 'supported')
"""Those of :data:`FEATURE_SIGNS` that the fields give; the heatmaps give the others."""

DEFAULT_FEATURES = ('standout', 'supported')

DEFAULT_PENALTY = 0.1

_ODDS_LIMIT = 1e-3
_LEAST_REFERENCE = 0.05
_QUARTILE = 0.75
_PEAK_LEVELS = (0.3, 0.95)
_FIELD_LEVELS = (0.3, 1.0)


@dataclass(frozen=True)
class MonotoneLogistic:
    """``P = sigmoid(intercept + sum_i weight_i sign_i (x_i - centre_i) / scale_i)``.

    Weights are not negative, so that more evidence never lowers the probability.

    Attributes:
        intercept: log odds at the centre.
        weights: ``(F,)`` for each feature, at least 0.
        centres: ``(F,)`` means of the features.
        scales: ``(F,)`` their standard deviations.
        signs: ``(F,)`` 1 or -1.
    """

    intercept: float
    weights: tuple[float, ...]
    centres: tuple[float, ...]
    scales: tuple[float, ...]
    signs: tuple[int, ...]

    def log_odds(self, features: Tensor) -> Tensor:
        """Return ``(...)`` log odds of ``(..., F)`` features."""
        slope = [
            weight * sign / scale
            for weight, sign, scale in zip(self.weights, self.signs, self.scales, strict=True)
        ]
        centred = features - features.new_tensor(self.centres)
        return (centred * features.new_tensor(slope)).sum(dim=-1) + self.intercept


def fit_logistic(
    features: ArrayLike,
    outcomes: ArrayLike,
    signs: Sequence[int],
    penalty: float | Sequence[float] = DEFAULT_PENALTY,
) -> MonotoneLogistic:
    """Fit a monotone logistic model by penalised maximum likelihood.

    Args:
        features: ``(N, F)``.
        outcomes: ``(N,)`` bool.
        signs: ``(F,)``, 1 where the probability must not fall with a feature, -1 where it must
            not rise.
        penalty: half of it times the squared weights (of standardised features) is added to the
            negative log likelihood: where the outcomes can be separated, weights stay finite. One
            for all features or ``(F,)``; infinity silences its feature.

    Raises:
        ValueError: shapes disagree, or one of the two outcomes does not occur.

    Example:
        >>> model = fit_logistic([[0.0], [1.0], [2.0], [3.0]], [False, False, True, True], [1])
        >>> model.log_odds(torch.tensor([[1.5]])).abs().item() < 1e-4
        True
    """
    x, y = np.asarray(features, float), np.asarray(outcomes, bool)
    if x.ndim != 2 or y.shape != x.shape[:1] or len(signs) != x.shape[1]:
        raise ValueError(f'features {x.shape}, outcomes {y.shape}, {len(signs)} signs disagree')
    if y.all() or not y.any():
        word = 'present' if y.all() else 'absent'
        raise ValueError(
            f'every one of the {len(y)} outcomes is {word}: a probability cannot be fitted; '
            'calibrate on images that lack some landmarks and show others'
        )
    centres, scales = x.mean(axis=0), x.std(axis=0)
    scales = np.where(scales > 1e-9, scales, 1.0)
    z = (x - centres) / scales * np.asarray(signs)
    target = np.where(y, 1.0, -1.0)
    ridge = np.broadcast_to(np.asarray(penalty, float), z.shape[1:])
    heard = np.isfinite(ridge)
    ridge = np.where(heard, ridge, 0.0)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        odds = z @ parameters[1:] + parameters[0]
        residual = expit(odds) - y
        value = np.logaddexp(0, -target * odds).sum() + 0.5 * ridge @ parameters[1:] ** 2
        slope = z.T @ residual + ridge * parameters[1:]
        return float(value), np.concatenate([[residual.sum()], slope])

    optimum = minimize(
        loss,
        np.zeros(x.shape[1] + 1),
        jac=True,
        method='L-BFGS-B',
        bounds=[(None, None), *((0, None if is_heard else 0) for is_heard in heard)],
        options=dict(maxiter=1000, ftol=1e-12, gtol=1e-9),
    )
    return MonotoneLogistic(
        intercept=float(optimum.x[0]),
        weights=tuple(optimum.x[1:].tolist()),
        centres=tuple(centres.tolist()),
        scales=tuple(scales.tolist()),
        signs=tuple(int(sign) for sign in signs),
    )


@dataclass(frozen=True)
class Fusion:
    """How evidence becomes P(present).

    Attributes:
        features: what is used, names of :data:`FEATURE_SIGNS`.
        model: the logistic model of these features.
        reference: ``(L,)`` alignment of each relation when both ends are present.
    """

    features: tuple[str, ...]
    model: MonotoneLogistic
    reference: tuple[float, ...]

    def log_odds(self, evidence: Evidence, relations: Relations) -> Tensor:
        """Return ``(B, K)`` log odds of being present."""
        return self.model.log_odds(
            fusion_features(evidence, relations, self.reference, self.features)
        )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Fusion:
        """Read what ``dataclasses.asdict`` made of one."""
        model = content['model']
        rows = (tuple(model[name]) for name in ('weights', 'centres', 'scales', 'signs'))
        return cls(
            features=tuple(content['features']),
            model=MonotoneLogistic(float(model['intercept']), *rows),
            reference=tuple(content['reference']),
        )


def relation_reference(
    relation_alignment: ArrayLike, present: ArrayLike, relations: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """Return the median alignment of each relation whose two ends are present.

    Args:
        relation_alignment: ``(N, L)``.
        present: ``(N, K)`` bool.
        relations: ``(L, 2)`` landmarks that each one joins.

    Returns:
        ``(L,)``; the median of all where a relation is never there, and at least 0.05.
    """
    aligned, present = np.asarray(relation_alignment, float), np.asarray(present, bool)
    pairs = np.asarray(relations)
    both = present[:, pairs[:, 0]] & present[:, pairs[:, 1]]
    overall = float(np.median(aligned[both])) if both.any() else 1.0
    each = [
        float(np.median(aligned[both[:, index], index])) if both[:, index].any() else overall
        for index in range(len(pairs))
    ]
    return np.maximum(each, _LEAST_REFERENCE)


def fusion_features(
    evidence: Evidence,
    relations: Relations,
    reference: Sequence[float] | NDArray[np.float64],
    features: Sequence[str] = DEFAULT_FEATURES,
) -> Tensor:
    """Return the columns that fusion weighs.

    ``peak`` and ``rival`` are log odds of heatmap values, ``spread`` a logarithm. ``standout`` is
    the log odds of the peak minus those of the upper quartile of the image's peaks: noise and poor
    contrast lower all peaks of an image together, an absent landmark only its own. ``aligned`` is
    the mean, ``supported`` the peeled alignment (:func:`landmark_alignment`), both of alignments
    over their reference and over the upper quartile of the image.

    Args:
        evidence: of B images.
        relations: ``(L, 2)`` landmarks that each relation joins.
        reference: ``(L,)`` alignment of each relation when both ends are present.
        features: which columns.

    Returns:
        ``(B, K, F)``.

    Raises:
        ValueError: a feature is unknown.
    """
    unknown = set(features) - set(FEATURE_SIGNS)
    if unknown:
        raise ValueError(f'unknown features {sorted(unknown)}; choose from {list(FEATURE_SIGNS)}')
    count = evidence.peak.shape[1]
    aligned = normalised_alignment(evidence, reference)
    level = upper_quartile(aligned).clamp(*_FIELD_LEVELS)
    aligned = (aligned / level).clamp(-1.0, 1.5)
    columns = []
    for name in features:
        if name in ('peak', 'rival'):
            value = _log_odds(getattr(evidence, name))
        elif name == 'standout':
            highest = evidence.peak.clamp(max=1)
            usual = upper_quartile(highest).clamp(*_PEAK_LEVELS)
            value = _log_odds(evidence.peak) - _log_odds(usual)
        elif name == 'spread':
            value = torch.log(evidence.spread)
        else:
            value = landmark_alignment(
                aligned,
                relations,
                count,
                aggregation='paper' if name == 'aligned' else 'peel',
                fallback=evidence.peak.clamp(0, 1),
            ).alignment
        columns.append(value)
    return torch.stack(columns, dim=-1)


def _log_odds(share: Tensor) -> Tensor:
    share = share.clamp(_ODDS_LIMIT, 1 - _ODDS_LIMIT)
    return (share / (1 - share)).log()  # logit: PyTorch 2.0 exports none


def upper_quartile(values: Tensor) -> Tensor:
    """Return ``(B, 1)``: the upper quartile of each row, see :func:`row_quantile`."""
    return row_quantile(values, _QUARTILE)


def row_quantile(values: Tensor, share: float) -> Tensor:
    """Return ``(B, 1)``: a linearly interpolated quantile of each row of ``(B, N)``.

    What ``torch.quantile`` gives, by operations that every exporter knows.

    Example:
        >>> row_quantile(torch.tensor([[4.0, 1.0, 3.0]]), 0.75).tolist()
        [[3.5]]
    """
    rank = share * (values.shape[1] - 1)
    below = math.floor(rank)
    ordered = values.sort(dim=1).values
    low, high = ordered[:, below : below + 1], ordered[:, math.ceil(rank) : math.ceil(rank) + 1]
    return torch.lerp(low, high, rank - below)


def normalised_alignment(
    evidence: Evidence, reference: Sequence[float] | NDArray[np.float64]
) -> Tensor:
    """Return ``(B, L)`` alignments over what each relation reaches when it is there."""
    aligned = evidence.relation_alignment
    divisor = torch.as_tensor(np.asarray(reference), dtype=aligned.dtype, device=aligned.device)
    return (aligned / divisor).clamp(-1.0, 1.5)


def take_evidence(evidence: Evidence, rows: NDArray[Any]) -> Evidence:
    """Return the evidence of the images that an index array or a mask names."""
    index = torch.from_numpy(np.asarray(rows))
    return Evidence(**{name: value[index] for name, value in vars(evidence).items()})


def fit_fusion(
    evidence: Evidence,
    present: ArrayLike,
    labelled: ArrayLike,
    relations: Sequence[tuple[int, int]],
    features: Sequence[str] = DEFAULT_FEATURES,
    penalty: float = DEFAULT_PENALTY,
    field_penalty: float | None = None,
) -> Fusion:
    """Fit P(present) to a calibration set.

    Args:
        evidence: of N images, on the CPU.
        present: ``(N, K)`` bool.
        labelled: ``(N, K)`` bool; the others count nowhere.
        relations: ``(L, 2)`` landmarks that each relation joins.
        features: what to use.
        penalty: see :func:`fit_logistic`.
        field_penalty: that of :data:`FIELD_FEATURES`, see
            :func:`unsct_mmpose.maps.fusion_choice.choose_field_penalty`; infinity leaves the
            decision to the heatmaps, None takes ``penalty``.

    Raises:
        ValueError: no landmark is absent, or none is present.
    """
    present, labelled = np.asarray(present, bool), np.asarray(labelled, bool)
    reference = relation_reference(
        evidence.relation_alignment.numpy(), present & labelled, relations
    )
    columns = fusion_features(evidence, relations, reference, features).numpy()
    strict = penalty if field_penalty is None else field_penalty
    model = fit_model(columns[labelled], present[labelled], features, penalty, strict)
    return Fusion(tuple(features), model, tuple(reference.tolist()))


def fit_model(
    columns: ArrayLike,
    outcomes: ArrayLike,
    features: Sequence[str],
    penalty: float,
    field_penalty: float,
) -> MonotoneLogistic:
    """Fit the logistic model of a fusion to ``(M, F)`` columns of :func:`fusion_features`."""
    signs = [FEATURE_SIGNS[name] for name in features]
    penalties = [field_penalty if name in FIELD_FEATURES else penalty for name in features]
    return fit_logistic(columns, outcomes, signs, penalties)
