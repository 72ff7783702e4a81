"""Fit a calibration to images whose landmarks are known, and apply it to others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from unsct_mmpose.anatomy import LANDMARK_CLASSES, NUM_CLASSES, RelationSet

from .assessment import (
    EVIDENCES,
    Assessment,
    DecisionOptions,
    applicable,
    assess,
    image_agreement,
    weigh_relations,
)
from .assessment import uncertainty_of as _uncertainty_of
from .calibration import (
    Calibration,
    conformal_risk_threshold,
    equal_cost_threshold,
    grouped_scales,
    recall_threshold,
    youden_threshold,
)
from .clinical import MEASUREMENT_NAMES, measure_many, split_side
from .evidence import Evidence
from .fusion import DEFAULT_FEATURES, DEFAULT_PENALTY, Fusion, fit_fusion, take_evidence
from .fusion_choice import choose_field_penalty
from .presence import squared_mahalanobis
from .regions import region_factors

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class EvidenceTable:
    """What a model's maps said about N annotated images.

    Attributes:
        evidence: of the N images, cells, on the CPU.
        points_px: ``(N, K, 2)`` predicted landmarks, pixels of the image file.
        covariances_px: ``(N, K, 2, 2)`` moments of the heatmaps, not scaled, image pixels squared.
        true_px: ``(N, K, 2)`` true landmarks; meaningless where not present.
        present: ``(N, K)`` bool.
        labelled: ``(N, K)`` bool; the others count nowhere.
        spacing_xy_mm: ``(N, 2)`` at the detector.
        magnification: ``(N,)``.
        patients: ``(N,)`` str, pseudonyms.
        subsets: ``(N,)`` str, structured or unstructured.
        files: ``(N,)`` str, names of the image files.
    """

    evidence: Evidence
    points_px: Floats
    covariances_px: Floats
    true_px: Floats
    present: Bools
    labelled: Bools
    spacing_xy_mm: Floats
    magnification: Floats
    patients: NDArray[np.str_]
    subsets: NDArray[np.str_]
    files: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.points_px)

    def take(self, rows: NDArray[Any]) -> EvidenceTable:
        """Return the images that an index array or a mask names."""
        rest = {
            one.name: getattr(self, one.name)[rows]
            for one in fields(self)
            if one.name != 'evidence'
        }
        return EvidenceTable(evidence=take_evidence(self.evidence, rows), **rest)


def disjoint_parts(
    table: EvidenceTable, base: EvidenceTable
) -> Iterator[tuple[EvidenceTable, EvidenceTable]]:
    """Split so that nobody is judged by a calibration that has seen them.

    Args:
        table: images to judge.
        base: images to calibrate on; may be the same, or hold the same patients.

    Yields:
        Images to calibrate on and images to judge: whole tables where they share no patient, else
        for each patient the images of all others in ``base`` and the patient's own in ``table``.
    """
    if not set(table.patients.tolist()) & set(base.patients.tolist()):
        yield base, table
        return
    for patient in sorted(set(table.patients.tolist())):
        yield base.take(base.patients != patient), table.take(table.patients == patient)


@dataclass(frozen=True)
class FitOptions:
    """What a calibration is asked for.

    Attributes:
        decision: entropy, aggregation and weights that the thresholds of ``paf`` are for.
        rule: which threshold decides by default.
        recall: share of present landmarks that the rule ``recall`` keeps.
        alpha: expected share of suppressed present landmarks that ``conformal`` allows.
        level: nominal coverage of regions and intervals.
        features: what fusion may use.
        penalty: ridge penalty of the fusion, of its fields at least.
        field_penalty: that of its fields; None chooses by the number of patients, see
            :func:`unsct_mmpose.functional.fusion_choice.choose_field_penalty`.
    """

    decision: DecisionOptions = field(default_factory=DecisionOptions)
    rule: str = 'equal_cost'
    recall: float = 0.99
    alpha: float = 0.05
    level: float = 0.95
    features: Sequence[str] = DEFAULT_FEATURES
    penalty: float = DEFAULT_PENALTY
    field_penalty: float | None = None


def fit_calibration(
    table: EvidenceTable,
    relations: RelationSet,
    options: FitOptions,
    provenance: Mapping[str, Any] | None = None,
) -> Calibration:
    """Fit everything that a calibration holds.

    Args:
        table: images that the model was not trained on.
        relations: the model's relations.
        options: what is asked for.
        provenance: what to write down about model and data; the numbers of images, patients and
            landmarks are added.

    Raises:
        ValueError: no landmark is absent, or none is present: presence cannot be learnt from it.
    """
    pairs = relations.pairs
    fusion, field_penalty = _fusion(table, pairs, options)
    presence = torch.sigmoid(fusion.log_odds(table.evidence, pairs))
    weighed = weigh_relations(table.evidence, pairs, options.decision)
    thresholds = {
        name: _thresholds(
            name,
            _uncertainty_of(
                name,
                weighed,
                presence,
                options.decision.entropy,
                options.decision.aggregation,
            ).numpy(),
            table,
            options,
        )
        for name in EVIDENCES
    }
    mean, quarter = image_agreement(table.evidence, fusion.reference)
    region_scales = _region_scales(table, options.level)
    first = Calibration(
        rule=options.rule,
        entropy=options.decision.entropy,
        aggregation=options.decision.aggregation,
        relations=relations.name,
        thresholds=thresholds,
        fusion=fusion,
        region_level=options.level,
        region_scales=region_scales,
        interval_level=options.level,
        interval_scales={},
        typical_agreement=float(mean.min()),
        typical_quorum=float(quarter.min()),
        settings=dict(
            recall=options.recall,
            alpha=options.alpha,
            penalty=options.penalty,
            field_penalty=field_penalty,
        ),
        provenance={**dict(provenance or {}), **_counts(table)},
        weights=options.decision.weights,
    )
    scales = _interval_scales(table, first, relations, options)
    return Calibration(**{**vars(first), 'interval_scales': scales})


def apply_calibration(
    table: EvidenceTable,
    relations: RelationSet,
    calibration: Calibration | None,
    decision: DecisionOptions,
) -> tuple[Assessment, Floats]:
    """Decide about the images of a table.

    Returns:
        The assessment, and ``(N, K, 2, 2)`` calibrated covariances, image pixels squared; those
        of the maps as they are where the calibration does not apply.
    """
    calibration = applicable(calibration, decision, len(relations))
    assessment = assess(table.evidence, relations.pairs, decision, calibration)
    return assessment, table.covariances_px * region_factors(calibration)[:, None, None]


def _fusion(
    table: EvidenceTable, pairs: Sequence[tuple[int, int]], options: FitOptions
) -> tuple[Fusion, float]:
    """Return the fusion and the penalty of its fields' weights."""
    known = (table.evidence, table.present, table.labelled)
    chosen = (options.features, options.penalty)
    strength = options.field_penalty
    if strength is None:
        strength = choose_field_penalty(*known, table.patients, pairs, *chosen)
    return fit_fusion(*known, pairs, *chosen, strength), strength


def _thresholds(
    name: str, uncertainty: Floats, table: EvidenceTable, options: FitOptions
) -> dict[str, float]:
    args = (uncertainty, table.present, table.labelled)
    # fused uncertainty is P(absent) already
    even = 0.5 if name == 'fused' else equal_cost_threshold(*args, penalty=options.penalty)
    return dict(
        equal_cost=even,
        recall=recall_threshold(*args, recall=options.recall),
        youden=youden_threshold(*args),
        conformal=conformal_risk_threshold(*args, alpha=options.alpha),
    )


def _region_scales(table: EvidenceTable, level: float) -> dict[str, float]:
    known = table.present & table.labelled
    distance = squared_mahalanobis(table.points_px, table.true_px, table.covariances_px)
    distance = np.where(known, distance, np.nan)
    groups = {
        one.name: distance[:, [index, index + NUM_CLASSES]]
        for index, one in enumerate(LANDMARK_CLASSES)
    }
    return grouped_scales(groups, level, float(chi2.ppf(level, 2)))[0]


def _interval_scales(
    table: EvidenceTable, calibration: Calibration, relations: RelationSet, options: FitOptions
) -> dict[str, float]:
    """Return for each clinical output half-width over standard error."""
    decision = replace(options.decision, evidence='fused', rule=None, threshold=None, weights=None)
    assessment, covariances = apply_calibration(table, relations, calibration, decision)
    kept = assessment.kept.numpy()
    scale = (table.spacing_xy_mm, covariances, table.magnification)
    found, errors = measure_many(table.points_px, kept, *scale)
    truth, _ = measure_many(
        table.true_px, table.present & table.labelled, table.spacing_xy_mm, None,
        table.magnification,
    )  # fmt: skip
    usable = np.isfinite(found) & np.isfinite(truth) & (errors > 0)
    ratio = np.full(found.shape, np.nan)
    ratio[usable] = np.abs(found - truth)[usable] / errors[usable]
    outputs = [split_side(name)[1] for name in MEASUREMENT_NAMES]
    groups = {
        output: ratio[:, [index for index, other in enumerate(outputs) if other == output]]
        for output in dict.fromkeys(outputs)
    }
    usual = float(norm.ppf(0.5 + options.level / 2))
    scales, _ = grouped_scales(groups, options.level, 1.0, least=math.ceil(2 / (1 - options.level)))
    return scales if usable.any() else dict.fromkeys(groups, usual)


def _counts(table: EvidenceTable) -> dict[str, int]:
    return dict(
        images=len(table),
        patients=len(set(table.patients.tolist())),
        unstructured_images=int((table.subsets == 'unstructured').sum()),
        present_landmarks=int((table.present & table.labelled).sum()),
        absent_landmarks=int((~table.present & table.labelled).sum()),
    )
