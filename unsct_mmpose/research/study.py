"""Studies of uncertainty: decisions beside their baselines, ablations, shifted images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch

from unsct_mmpose.anatomy import RelationSet, relation_set
from unsct_mmpose.calibrate.fit import evaluate, judged_samples
from unsct_mmpose.evaluation.samples import SUBSETS, Table, decisions, stack, unpack
from unsct_mmpose.functional import errors, presence
from unsct_mmpose.functional.bootstrap import bootstrap_interval
from unsct_mmpose.maps.calibration import RULES
from unsct_mmpose.maps.calibration_fit import EvidenceTable, FitOptions
from unsct_mmpose.maps.deciders import DECIDERS, DecisionOptions
from unsct_mmpose.maps.evidence import Evidence
from unsct_mmpose.maps.fusion import DEFAULT_FEATURES
from unsct_mmpose.maps.uncertainty import AGGREGATIONS, ENTROPY_MODES, landmark_alignment

_FEATURE_SETS: Mapping[str, tuple[str, ...]] = {
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


def judge(
    table: EvidenceTable, base: EvidenceTable, relations: RelationSet, bootstrap: int = 1000
) -> dict[str, float]:
    """Judge the default decision on a table, with thresholds from elsewhere.

    Patients in both tables are cross-fitted: judged by a calibration on all others. Intervals are
    of so many resamples of patients.

    Returns:
        The figures of every metric of this project, and ``rule/...``: recall and mean share of
        rejected present landmarks for each threshold rule; ``image/...``: how many images were
        called usual, out of range and without a pelvis.
    """
    samples = judged_samples(table, base, relations, FitOptions(), DecisionOptions())
    figures = evaluate(samples, bootstrap=bootstrap)
    figures.update(_difference(_error_table(samples), bootstrap))
    figures.update(_keep_all(table))
    states = np.array([int(sample['pred_instances']['image_state'][0]) for sample in samples])
    for code, name in enumerate(('usual', 'out_of_range', 'nothing_found')):
        figures[f'image/{name}'] = float((states == code).sum())
    for rule in RULES:
        samples = judged_samples(table, base, relations, FitOptions(), DecisionOptions(rule=rule))
        figures.update(_rule_figures(rule, _error_table(samples)))
    return figures


def ablate(
    table: EvidenceTable, base: EvidenceTable, relations: RelationSet
) -> list[dict[str, Any]]:
    """Compare entropy modes, aggregations, relation sets and features from the same weights.

    Images to judge on and to calibrate on are as for :func:`judge`; the relations `core` are taken
    out of `full`.

    Returns:
        One row for each variant: what it is, AUROC for absence, set error on unstructured images,
        recovered share of what is avoidable, recall.
    """
    rows = []
    for name in ('full', 'core') if relations.name == 'full' else (relations.name,):
        part, chosen = restrict_relations(table, relations, name)
        rest, _ = restrict_relations(base, relations, name)
        for aggregation, entropy in product(AGGREGATIONS, ENTROPY_MODES):
            decision = DecisionOptions(evidence='paf', entropy=entropy, aggregation=aggregation)
            samples = judged_samples(part, rest, chosen, FitOptions(decision), decision)
            rows.append(dict(evidence='paf', relations=name, aggregation=aggregation,
                             entropy=entropy, features='', **_summary(samples, 'paf')))  # fmt: skip
        for label, features in _FEATURE_SETS.items():
            options = FitOptions(features=features)
            samples = judged_samples(part, rest, chosen, options, DecisionOptions())
            rows.append(dict(evidence='fused', relations=name, aggregation='', entropy='',
                             features=label, **_summary(samples, 'fused')))  # fmt: skip
    return sorted(rows, key=lambda row: row['evidence'], reverse=True)  # the fields' own first


def restrict_relations(
    table: EvidenceTable, relations: RelationSet, name: str
) -> tuple[EvidenceTable, RelationSet]:
    """Return a table as if the model had a smaller set of relations, all of them among its own."""
    smaller = relation_set(name)
    if name == relations.name:
        return table, relations
    chosen = torch.tensor(relations.positions_of(smaller))
    aligned = table.evidence.relation_alignment[:, chosen]
    return replace(table, evidence=with_alignments(table.evidence, aligned, smaller)), smaller


def with_alignments(evidence: Evidence, aligned: torch.Tensor, relations: RelationSet) -> Evidence:
    """Return evidence with ``(N, L)`` alignments of some relations, and what follows of them."""
    count, ground = evidence.peak.shape[1], evidence.peak.clamp(0, 1)
    peeled = landmark_alignment(aligned, relations.pairs, count, fallback=ground)
    mean = landmark_alignment(aligned, relations.pairs, count, aggregation='paper')
    return replace(
        evidence,
        relation_alignment=aligned,
        alignment=mean.alignment,
        peeled=peeled.alignment,
        support=peeled.support,
    )


def draw_patients(
    pool: EvidenceTable, people: np.ndarray, size: int, rng: np.random.Generator
) -> EvidenceTable:
    """Return the images of some drawn patients, among whom a landmark is absent."""
    while True:
        base = pool.take(np.isin(pool.patients, rng.choice(people, size, replace=False)))
        if (base.labelled & ~base.present).any():
            return base


def _error_table(samples: Sequence[dict]) -> Table:
    """Return the samples as one table, with ``error``, ``(N, K)`` mm on the detector."""
    spacing = [sample['raw_ann_info']['pixel_spacing'] for sample in samples]
    table = stack([unpack(sample) for sample in samples])
    return dict(
        table, error=errors.radial_errors_mm(table['pred'], table['true'], np.array(spacing))
    )


def _summary(samples: Sequence[dict], evidence: str) -> dict[str, float]:
    """Return what an ablation shows of the decisions by one evidence."""
    table = _error_table(samples)
    reported, rows = decisions(table), table['subset'] == 'unstructured'
    everything, ours, best = (
        errors.mean_set_error(table['error'][rows], table['present'][rows], reported[name][rows])
        for name in ('keep_all', evidence, 'oracle')
    )
    uncertainty = table['evidence'][..., list(DECIDERS).index(evidence)]
    return dict(
        auroc=presence.auroc_absent(uncertainty, table['present'], table['labelled']),
        unstructured_E_20=ours,
        recovered=errors.recovered_error(everything, ours, best),
        recall=errors.recall(table['present'], reported[evidence]),
    )


def _difference(table: Table, resamples: int) -> dict[str, float]:
    """Return the set error of this model minus that of the peak threshold, by subset."""
    columns = {name: table[name] for name in ('error', 'present', 'reported')}
    columns['peak'] = decisions(table)['peak']

    def statistic(rows: Mapping[str, Any]) -> float:
        ours, peak = (
            errors.mean_set_error(rows['error'], rows['present'], rows[name])
            for name in ('reported', 'peak')
        )
        return ours - peak

    figures = {}
    for subset in SUBSETS:
        chosen = (table['subset'] == subset) | (subset == 'all')
        if chosen.any():
            part = {name: values[chosen] for name, values in columns.items()}
            interval = bootstrap_interval(
                part, statistic, table['patient'][chosen], max(resamples, 1)
            )
            name = f'set_error/{subset}/minus_peak_E_20'
            figures.update(
                {name: interval.value, f'{name}_low': interval.low, f'{name}_high': interval.high}
            )
    return figures


def _keep_all(table: EvidenceTable) -> dict[str, float]:
    """Return the mean radial error of all present landmarks, whatever is reported, by subset."""
    distance = errors.radial_errors_mm(table.points_px, table.true_px, table.spacing_xy_mm)
    present = table.present & table.labelled
    return {
        f'keep_all/{subset}/MRE': errors.mean_radial_error(
            distance, present & (table.subsets == subset)[:, None]
        )
        for subset in ('structured', 'unstructured')
    }


def _rule_figures(rule: str, table: Table) -> dict[str, float]:
    present, reported = table['present'], table['reported']
    usable = present.any(axis=1)
    losses = (present & ~reported).sum(axis=1)[usable] / present.sum(axis=1)[usable]
    return {
        f'rule/{rule}/recall': errors.recall(present, reported),
        f'rule/{rule}/rejected_share': float(np.mean(losses)) if len(losses) else math.nan,
    }
