"""Studies of uncertainty: decisions beside their baselines, ablations, shifted images."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unsct_mmpose.anatomy import RelationSet, relation_set
from unsct_mmpose.calibrate.fit import evaluate, judged_samples
from unsct_mmpose.evaluation.samples import stack, unpack
from unsct_mmpose.files import write_json
from unsct_mmpose.functional import errors, presence
from unsct_mmpose.functional.bootstrap import bootstrap_interval
from unsct_mmpose.maps.assessment import EVIDENCES, DecisionOptions
from unsct_mmpose.maps.calibration import RULES
from unsct_mmpose.maps.calibration_fit import (
    EvidenceTable,
    FitOptions,
    apply_calibration,
    disjoint_parts,
    fit_calibration,
)
from unsct_mmpose.maps.fusion import DEFAULT_FEATURES
from unsct_mmpose.maps.uncertainty import AGGREGATIONS, ENTROPY_MODES, landmark_alignment

FEATURE_SETS: Mapping[str, tuple[str, ...]] = {
    'peak': ('peak',),
    'peak, spread': ('peak', 'spread'),
    'peak, rival': ('peak', 'rival'),
    'aligned, supported': ('aligned', 'supported'),
    'peak, supported': ('peak', 'supported'),
    'standout': ('standout',),
    'standout, aligned': ('standout', 'aligned'),
    'standout, supported (default)': DEFAULT_FEATURES,
    'standout, spread, supported': ('standout', 'spread', 'supported'),
    'all six': ('peak', 'standout', 'rival', 'spread', 'aligned', 'supported'),
}


@dataclass(frozen=True)
class StudyResult:
    """What one study measured, and how to repeat it.

    Attributes:
        name: of the run and what it was judged on, such as ``'phantom-test'``.
        kind: ``'main'``, ``'shift'``, ``'ablation'``, ``'fusion'`` or ``'promise'``.
        model: what the model was trained on, in words.
        data: what it was judged on, in words; says that images are simulated.
        calibrated_on: where thresholds come from, in words.
        seed: of the training.
        figures: what was measured.
        commands: that made it.
        machine: processor, cores and accelerator.
        versions: packages.
    """

    name: str
    kind: str
    model: str
    data: str
    calibrated_on: str
    seed: int
    figures: Mapping[str, Any]
    commands: Sequence[str] = ()
    machine: str = ''
    versions: Mapping[str, str] = field(default_factory=dict)


def write_study(path: Path, result: StudyResult) -> None:
    """Write a result file; NaN becomes null."""
    write_json(path, asdict(result))


def read_study(path: Path) -> StudyResult:
    """Read a result file.

    Raises:
        ValueError: the file is not one; the message names it and the cause.
    """
    try:
        return StudyResult(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f'{path}: not a study of this project ({error})') from error


def judge(
    table: EvidenceTable,
    relations: RelationSet,
    decision: DecisionOptions,
    *,
    calibration_table: EvidenceTable | None,
    fit: FitOptions,
    bootstrap: int = 1000,
) -> dict[str, float]:
    """Judge decisions on a table, with thresholds from elsewhere.

    Args:
        table: images to judge on.
        relations: the model's relations.
        decision: how to decide.
        calibration_table: images to calibrate on; None takes the same. Patients in both are
            cross-fitted: judged by a calibration on all others.
        fit: what the calibration is asked for.
        bootstrap: resamples of patients for the confidence intervals; 0: none.

    Returns:
        The figures of every metric of this project, and ``conformal/...``: recall and mean share
        of suppressed landmarks for each threshold rule; ``image/...``: how many images were called
        usual, out of range and without a pelvis.
    """
    base = table if calibration_table is None else calibration_table
    samples = judged_samples(table, base, relations, fit, decision)
    figures = evaluate(samples, bootstrap=bootstrap)
    figures.update(_difference(samples, bootstrap))
    figures.update(_keep_all(table))
    states = np.array([int(one['pred_instances']['image_state'][0]) for one in samples])
    figures.update(
        {
            f'image/{name}': float((states == code).sum())
            for code, name in enumerate(('usual', 'out_of_range', 'nothing_found'))
        }
    )
    for rule in RULES:
        options = replace(decision, rule=rule)
        figures.update(_rule_figures(table, relations, options, calibration_table, fit, rule))
    return figures


def ablate(
    table: EvidenceTable,
    relations: RelationSet,
    *,
    calibration_table: EvidenceTable | None,
    fit: FitOptions,
) -> list[dict[str, Any]]:
    """Compare entropy modes, aggregations, relation sets and features from the same weights.

    Args:
        table: images to judge on.
        relations: the model's relations; `core` is taken out of `full`.
        calibration_table: images to calibrate on; None takes the same. Patients in both are
            cross-fitted: judged by a calibration on all others.
        fit: what the calibration is asked for.

    Returns:
        One row for each variant: what it is, AUROC for absence, set error on unstructured images,
        recovered share of what is avoidable, recall.
    """
    rows = []
    sets = ['full', 'core'] if relations.name == 'full' else [relations.name]
    for name, aggregation, entropy in product(sets, AGGREGATIONS, ENTROPY_MODES):
        part, chosen = restrict_relations(table, relations, name)
        base = None
        if calibration_table is not None:
            base = restrict_relations(calibration_table, relations, name)[0]
        decision = DecisionOptions(evidence='paf', entropy=entropy, aggregation=aggregation)
        options = replace(fit, decision=decision)
        figures = _decide_all(part, chosen, decision, base, options)
        rows.append(dict(evidence='paf', relations=name, aggregation=aggregation, entropy=entropy,
                         features='', **figures))  # fmt: skip
    for name in sets:
        part, chosen = restrict_relations(table, relations, name)
        base = None
        if calibration_table is not None:
            base = restrict_relations(calibration_table, relations, name)[0]
        for label, features in FEATURE_SETS.items():
            options = replace(fit, features=features, decision=DecisionOptions())
            figures = _decide_all(part, chosen, DecisionOptions(), base, options)
            rows.append(dict(evidence='fused', relations=name, aggregation='', entropy='',
                             features=label, **figures))  # fmt: skip
    return rows


def restrict_relations(
    table: EvidenceTable, relations: RelationSet, name: str
) -> tuple[EvidenceTable, RelationSet]:
    """Return a table as if the model had a smaller set of relations.

    Args:
        table: evidence with all relations.
        relations: the model's own.
        name: a set whose relations are all among them.
    """
    smaller = relation_set(name)
    if name == relations.name:
        return table, relations
    chosen = torch.tensor(relations.positions_of(smaller))
    aligned = table.evidence.relation_alignment[:, chosen]
    count = table.evidence.peak.shape[1]
    ground = table.evidence.peak.clamp(0, 1)
    peeled = landmark_alignment(aligned, smaller.pairs, count, fallback=ground)
    evidence = replace(
        table.evidence,
        relation_alignment=aligned,
        alignment=landmark_alignment(aligned, smaller.pairs, count, aggregation='paper').alignment,
        peeled=peeled.alignment,
        support=peeled.support,
    )
    return replace(table, evidence=evidence), smaller


def _decide_all(
    table: EvidenceTable,
    relations: RelationSet,
    decision: DecisionOptions,
    calibration_table: EvidenceTable | None,
    fit: FitOptions,
) -> dict[str, float]:
    which = EVIDENCES.index(decision.evidence)
    gathered: list[tuple[np.ndarray, ...]] = []
    for base, own in disjoint_parts(
        table, table if calibration_table is None else calibration_table
    ):
        calibration = fit_calibration(base, relations, fit)
        assessment, _ = apply_calibration(own, relations, calibration, decision)
        distance = errors.radial_errors_mm(own.points_px, own.true_px, own.spacing_xy_mm)
        gathered.append(
            (
                assessment.evidence_uncertainties[..., which].numpy(),
                assessment.decisions[..., which].numpy(),
                own.present & own.labelled,
                own.labelled,
                distance,
                own.subsets == 'unstructured',
            )
        )
    uncertainty, kept, seen, known, distance, unstructured = map(
        np.concatenate, zip(*gathered, strict=True)
    )
    kept = kept & known

    def set_error(reported: np.ndarray) -> float:
        return errors.mean_set_error(
            distance[unstructured], seen[unstructured], reported[unstructured]
        )

    everything, ours, best = set_error(known), set_error(kept), set_error(seen)
    avoidable = everything - best
    return dict(
        auroc=presence.auroc_absent(uncertainty, seen, known),
        unstructured_E_20=ours,
        recovered=(everything - ours) / avoidable if avoidable > 0 else math.nan,
        recall=errors.recall(seen, kept),
    )


def _difference(samples: Sequence[dict], resamples: int) -> dict[str, float]:
    """Return the set error of this model minus that of the peak threshold, by subset."""
    rows = stack([dict(unpack(one), scale=one['raw_ann_info']['pixel_spacing']) for one in samples])
    rows['error'] = errors.radial_errors_mm(rows['pred'], rows['true'], rows['scale'])
    rows['peak'] = rows['decisions'][..., EVIDENCES.index('peak')]

    def statistic(table: Mapping[str, Any], reported: str) -> float:
        return errors.mean_set_error(table['error'], table['present'], table[reported])

    figures = {}
    for subset in ('all', 'structured', 'unstructured'):
        chosen = (rows['subset'] == subset) | (subset == 'all')
        part = {name: rows[name][chosen] for name in ('error', 'present', 'kept', 'peak')}
        if chosen.any():
            found = bootstrap_interval(
                part,
                lambda table: statistic(table, 'kept') - statistic(table, 'peak'),
                rows['patient'][chosen],
                max(resamples, 1),
            )
            name = f'set_error/{subset}/minus_peak_E_20'
            figures.update(
                {name: found.value, f'{name}_low': found.low, f'{name}_high': found.high}
            )
    return figures


def _keep_all(table: EvidenceTable) -> dict[str, float]:
    """Return the mean radial error of all present landmarks, whatever is reported, by subset."""
    distance = errors.radial_errors_mm(table.points_px, table.true_px, table.spacing_xy_mm)
    seen = table.present & table.labelled
    return {
        f'keep_all/{subset}/MRE': errors.mean_radial_error(
            distance, seen & (table.subsets == subset)[:, None]
        )
        for subset in ('structured', 'unstructured')
    }


def _rule_figures(
    table: EvidenceTable,
    relations: RelationSet,
    decision: DecisionOptions,
    calibration_table: EvidenceTable | None,
    fit: FitOptions,
    rule: str,
) -> dict[str, float]:
    losses, kept_all, seen_all = [], [], []
    for base, own in disjoint_parts(
        table, table if calibration_table is None else calibration_table
    ):
        calibration = fit_calibration(base, relations, fit)
        kept = apply_calibration(own, relations, calibration, decision)[0].kept.numpy()
        seen = own.present & own.labelled
        usable = seen.any(axis=1)
        losses += list((seen & ~kept).sum(axis=1)[usable] / seen.sum(axis=1)[usable])
        kept_all.append(kept)
        seen_all.append(seen)
    recall = errors.recall(np.concatenate(seen_all), np.concatenate(kept_all))
    loss = float(np.mean(losses)) if losses else math.nan
    return {f'rule/{rule}/recall': recall, f'rule/{rule}/suppressed_share': loss}
