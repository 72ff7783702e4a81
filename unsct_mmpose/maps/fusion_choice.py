"""How much the fields may say: less, the fewer patients vouch for them.

What a field is worth differs from patient to patient, and landmarks of one patient stand or fall
together. Two patients whose fields happen to be good would give the fields a weight that the third
pays for. So the fields' weights are drawn towards 0, where only the heatmaps speak.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .evidence import Evidence
from .fusion import (
    DEFAULT_FEATURES,
    DEFAULT_PENALTY,
    FIELD_FEATURES,
    fit_model,
    fusion_features,
    relation_reference,
)

PATIENT_PENALTY = 20.0
"""Penalty of the fields' weights times the patients that vouch for them."""

LEAST_JURY = 5
"""Patients lacking landmarks below which left-out patients say nothing reliable about fields."""

_MOST_FOLDS = 10

Bools = NDArray[np.bool_]


def choose_field_penalty(
    evidence: Evidence,
    present: ArrayLike,
    labelled: ArrayLike,
    patients: Sequence[str] | NDArray[np.str_],
    relations: Sequence[tuple[int, int]],
    features: Sequence[str] = DEFAULT_FEATURES,
    penalty: float = DEFAULT_PENALTY,
) -> float:
    """Return the penalty of the fields' weights for a calibration set.

    Patients without an absent landmark do not count: they cannot show what fields say of one.
    With P of the others it is ``20 / P``, and infinity, which leaves the decision to the
    heatmaps, where P is 1. From 5 on every patient is also judged by fits to the others, and it is
    infinity where heatmaps alone do better than that by more than one standard error. The penalty
    of the heatmaps' weights is the least that is returned, and all where only heatmaps or only
    fields are used; the other arguments are those of :func:`unsct_mmpose.maps.fusion.fit_fusion`.
    """
    speaks = [name in FIELD_FEATURES for name in features]
    if all(speaks) or not any(speaks):
        return penalty
    present, labelled = np.asarray(present, bool), np.asarray(labelled, bool)
    whose = np.asarray(patients)
    jury = sorted(set(whose[(labelled & ~present).any(axis=1)].tolist()))
    if len(jury) <= 1:
        return math.inf
    wanted = max(penalty, PATIENT_PENALTY / len(jury))
    if len(jury) < LEAST_JURY:
        return wanted
    strengths = (wanted, math.inf)
    losses = left_out_losses(
        evidence, present, labelled, whose, relations, strengths, features=features, penalty=penalty
    )
    if len(losses) < 2:
        return math.inf
    worse = losses[:, 0] - losses[:, 1]
    error = worse.std(ddof=1) / math.sqrt(len(worse))
    return math.inf if worse.mean() > error else wanted


def left_out_losses(
    evidence: Evidence,
    present: ArrayLike,
    labelled: ArrayLike,
    patients: Sequence[str] | NDArray[np.str_],
    relations: Sequence[tuple[int, int]],
    strengths: Sequence[float],
    *,
    features: Sequence[str] = DEFAULT_FEATURES,
    penalty: float = DEFAULT_PENALTY,
) -> NDArray[np.float64]:
    """Judge every patient by fits that have not seen the patient, with S strengths of penalty.

    The other arguments are those of :func:`choose_field_penalty`.

    Returns:
        ``(P, S)`` negative log likelihood of each patient's landmarks, nats; at most ten fits for
        each strength. Patients whose absence leaves nothing absent, or nothing present, to fit
        to are left out.
    """
    present, labelled = np.asarray(present, bool), np.asarray(labelled, bool)
    whose = np.asarray(patients)
    rows = []
    for judged in patient_folds(present, labelled, whose):
        others = ~judged
        taught = present[others][labelled[others]]
        if taught.all() or not taught.any():
            continue
        rest = evidence.relation_alignment.numpy()[others]
        reference = relation_reference(rest, present[others] & labelled[others], relations)
        columns = fusion_features(evidence, relations, reference, features)
        taken = columns.numpy()[others][labelled[others]]
        models = [fit_model(taken, taught, features, penalty, strength) for strength in strengths]
        losses = [_losses(model.log_odds(columns), present, labelled)[judged] for model in models]
        for person in sorted(set(whose[judged].tolist())):
            mine = whose[judged] == person
            rows.append([loss[mine].sum() for loss in losses])
    return np.array(rows, float).reshape(-1, len(strengths))


def patient_folds(present: Bools, labelled: Bools, patients: NDArray[np.str_]) -> Iterator[Bools]:
    """Split images into at most ten folds, no patient into two.

    Yields:
        ``(N,)`` images of each fold; patients that lack landmarks are spread evenly.
    """
    lacking = set(patients[(labelled & ~present).any(axis=1)].tolist())
    people = sorted(set(patients.tolist()), key=lambda patient: (patient not in lacking, patient))
    for start in range(min(_MOST_FOLDS, len(people))):
        yield np.isin(patients, people[start::_MOST_FOLDS])


def _losses(log_odds: Tensor, present: Bools, labelled: Bools) -> NDArray[np.float64]:
    """Return the ``(N,)`` negative log likelihood of each image."""
    odds = log_odds.numpy().astype(float)
    return (np.logaddexp(0, np.where(present, -odds, odds)) * labelled).sum(axis=1)
