"""How far the fusion should be drawn to the peak: remedies compared on drawn patients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unsct_mmpose.anatomy import RelationSet
from unsct_mmpose.functional import errors
from unsct_mmpose.maps.assessment import QUORUM_SHARE, image_agreement
from unsct_mmpose.maps.calibration import equal_cost_threshold
from unsct_mmpose.maps.calibration_fit import EvidenceTable
from unsct_mmpose.maps.deciders import DECIDERS, DecisionOptions
from unsct_mmpose.maps.evidence import Evidence
from unsct_mmpose.maps.fusion import (
    DEFAULT_FEATURES,
    DEFAULT_PENALTY,
    Fusion,
    fit_fusion,
    fusion_features,
)
from unsct_mmpose.maps.fusion_choice import choose_field_penalty, left_out_losses

from .markdown import read_notes, render_page, render_table
from .results import read_folder, read_result
from .study import draw_patients, with_alignments

STRENGTHS = (math.inf, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
"""Penalties of the fields' weights that cross-validation chooses from, strongest first."""

CHOSEN = 'chosen: 20 / patients, veto'

Fit = Callable[[EvidenceTable, RelationSet], Fusion]


def _labels(table: EvidenceTable) -> tuple[Evidence, np.ndarray, np.ndarray]:
    return table.evidence, table.present, table.labelled


def _fixed(field_penalty: float, penalty: float = DEFAULT_PENALTY) -> Fit:
    def fit(table: EvidenceTable, relations: RelationSet) -> Fusion:
        return fit_fusion(
            *_labels(table), relations.pairs, DEFAULT_FEATURES, penalty, field_penalty
        )

    return fit


def _cross_validated(strengths: Sequence[float], tolerance: float) -> Fit:
    """Return the fit with the strongest penalty within some standard errors of the best."""

    def fit(table: EvidenceTable, relations: RelationSet) -> Fusion:
        losses = left_out_losses(*_labels(table), table.patients, relations.pairs, strengths)
        best = losses[:, losses.sum(axis=0).argmin()]
        for strength, loss in zip(strengths, losses.T, strict=True):
            worse = loss - best
            error = worse.std(ddof=1) * math.sqrt(len(worse)) if len(worse) > 1 else 0.0
            if worse.sum() <= tolerance * error + 1e-9:
                return _fixed(strength)(table, relations)
        raise AssertionError('the best is no worse than itself')

    return fit


def _chosen(table: EvidenceTable, relations: RelationSet) -> Fusion:
    strength = choose_field_penalty(*_labels(table), table.patients, relations.pairs)
    return _fixed(strength)(table, relations)


REMEDIES: Mapping[str, Fit] = {
    'fused until now: 0.1': _fixed(0.1),
    'ridge 3 on both': _fixed(3.0, 3.0),
    'ridge 10 on both': _fixed(10.0, 10.0),
    'fields 3': _fixed(3.0),
    'fields 10': _fixed(10.0),
    'fields silent (standout)': _fixed(math.inf),
    'strength by CV': _cross_validated(STRENGTHS, 0.0),
    'strength by CV, one SE': _cross_validated(STRENGTHS, 1.0),
    'fields or none by CV': _cross_validated((math.inf, 0.1), 0.0),
    'fields or none by CV, one SE': _cross_validated((math.inf, 0.1), 1.0),
    CHOSEN: _chosen,
}
"""Ways to fit the fusion; a number is the ridge penalty."""


def compare(
    pool: EvidenceTable,
    judged: Mapping[str, EvidenceTable],
    relations: RelationSet,
    sizes: Sequence[int],
    *,
    draws: int,
    seed: int = 0,
) -> dict[str, Any]:
    """Calibrate on few drawn patients of a pool, again and again, and judge on the others.

    Sizes that would leave nobody to judge are left out; a draw without an absent landmark is
    repeated.

    Returns:
        For each table, size and decision: mean ``E_20`` (mm, all images) and ``log_loss``, mean
        ``minus_today`` and ``minus_peak`` of E_20 and their standard errors over the draws.
    """
    rng = np.random.default_rng(seed)
    people = np.array(sorted(set(pool.patients.tolist())))
    figures: dict[str, Any] = {name: {} for name in judged}
    for size in (size for size in sizes if size < len(people)):
        rows: dict[str, list[dict[str, tuple[float, float]]]] = {name: [] for name in judged}
        for _ in range(draws):
            base = draw_patients(pool, people, size, rng)
            fits = {name: fit(base, relations) for name, fit in REMEDIES.items()}
            for name, table in judged.items():
                rest = table.take(~np.isin(table.patients, base.patients))
                rows[name].append(_judge(base, rest, relations, fits))
        for name, draw_rows in rows.items():
            figures[name][str(size)] = _summary(draw_rows)
    return figures


def _judge(
    base: EvidenceTable, table: EvidenceTable, relations: RelationSet, fits: Mapping[str, Fusion]
) -> dict[str, tuple[float, float]]:
    """Return set error and log loss of each decision; the log loss of thresholds is NaN."""
    distance = errors.radial_errors_mm(table.points_px, table.true_px, table.spacing_xy_mm)
    present, options = table.present & table.labelled, DecisionOptions()
    figures = {}
    for name in ('peak', 'paf'):
        calibrating, judged = (
            DECIDERS[name].uncertainty(part.evidence, part.evidence.peak, options).numpy()
            for part in (base, table)
        )
        limit = equal_cost_threshold(calibrating, base.present, base.labelled)
        reported = (judged <= limit) & table.labelled
        figures[name] = (errors.mean_set_error(distance, present, reported), math.nan)
    reference = next(iter(fits.values())).reference  # of the calibrating images, all the same
    columns = fusion_features(table.evidence, relations.pairs, reference)
    least = image_agreement(base.evidence, reference)[1].min().item()
    shown = image_agreement(table.evidence, reference)[1].numpy()[:, None] >= QUORUM_SHARE * least
    for name, fusion in fits.items():
        odds = fusion.model.log_odds(columns).numpy().astype(float)
        reported = (odds >= 0) & shown & table.labelled
        loss = np.logaddexp(0, np.where(table.present, -odds, odds))[table.labelled].mean()
        figures[name] = (errors.mean_set_error(distance, present, reported), float(loss))
    return figures


def _summary(rows: Sequence[Mapping[str, tuple[float, float]]]) -> dict[str, Any]:
    today, peak = (
        np.array([row[name][0] for row in rows]) for name in (next(iter(REMEDIES)), 'peak')
    )
    summary = {}
    for name in rows[0]:
        value = np.array([row[name] for row in rows])
        summary[name] = dict(E_20=value[:, 0].mean(), log_loss=value[:, 1].mean())
        for other, base in (('today', today), ('peak', peak)):
            apart = value[:, 0] - base
            error = apart.std(ddof=1) / math.sqrt(len(rows)) if len(rows) > 1 else math.nan
            summary[name].update({f'minus_{other}': apart.mean(), f'minus_{other}_error': error})
    return summary


def simulated_table(
    patients: int, relations: RelationSet, *, misleading: float, seed: int, images: int = 15
) -> EvidenceTable:
    """Draw evidence as if each patient's fields were good, or said nothing of what is absent.

    A share, ``misleading``, of the patients has fields that do not depend on presence. A third of
    the images lacks nothing, the others 3.5 % of 24 landmarks, which are found within some 2 mm;
    pixels are of 1 mm.
    """
    rng = np.random.default_rng(seed)
    whose = np.repeat(np.arange(patients), images)
    shape = (len(whose), 24)
    present = rng.random(shape) > 0.035
    present[::3] = True
    odds = np.where(present, rng.normal(1.8, 1.0, shape), rng.normal(-1.5, 1.2, shape))
    peak = torch.from_numpy(1 / (1 + np.exp(-odds - rng.normal(0, 0.4, (len(whose), 1))))).float()
    both = present[:, np.array(relations.pairs)].all(axis=-1)
    lost = (rng.random(patients) < misleading)[whose][:, None]
    claimed = np.where(lost, rng.random(both.shape) < 0.75, both)
    aligned = np.where(claimed, 0.8, 0.2) + rng.normal(0, 0.12, both.shape)
    true = rng.uniform(0, 100, (*shape, 2))
    unit = np.tile(np.eye(2), (*shape, 1, 1))
    return EvidenceTable(
        evidence=_evidence(peak, torch.from_numpy(aligned).float(), relations),
        points_px=true + rng.normal(0, 1.5, true.shape),
        covariances_px=unit,
        true_px=true,
        present=present,
        labelled=np.ones_like(present),
        spacing_xy_mm=np.ones((len(whose), 2)),
        magnification=np.ones(len(whose)),
        patients=np.array([f'{seed}-{patient}' for patient in whose]),
        subsets=np.where(present.all(axis=1), 'structured', 'unstructured'),
        files=np.array([str(row) for row in range(len(whose))]),
    )


def _evidence(peak: torch.Tensor, aligned: torch.Tensor, relations: RelationSet) -> Evidence:
    noise = torch.full_like(peak[:, 0], torch.nan)
    evidence = Evidence.of_peaks(peak, aligned, noise)
    return with_alignments(evidence, aligned, relations)


def render_fusion_page(folder: Path) -> str:
    """Return the page of a folder of results."""
    parts = [
        'Made by `python tools/results.py page docs/results` from the json files in `fusion/`, '
        'each written by `tools/study.py fusion`, whose command stands in it. Columns: patients to '
        'calibrate on, drawn again and again. E_20 in mm over all images of the other patients, '
        'in brackets minus that of the fusion until now, with the standard error over the draws; '
        'then the log loss, nats a landmark, where the decision is a probability. '
        '**All images are simulated.**',
        *read_notes(folder, 'fusion'),
    ]
    for result in read_folder(folder / 'fusion', read_result).values():
        parts.append(f'## {result.name}\n\n{result.data}; {result.model}; {result.calibrated_on}.')
        for name, sizes in (result.figures or {}).items():
            parts += [f'Judged on {name}:', _table(sizes)]
    return render_page('How far the fusion is drawn to the peak', parts)


def _table(sizes: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> str:
    rows = [
        [f'**{name}**' if name == CHOSEN else name, *(_cell(rows[name]) for rows in sizes.values())]
        for name in next(iter(sizes.values()))
    ]
    return render_table(['decision', *(f'{size} patients' for size in sizes)], rows)


def _cell(figures: Mapping[str, float | None]) -> str:
    loss = figures['log_loss']
    apart = f'{figures["minus_today"]:+.3f} ± {figures["minus_today_error"]:.3f}'
    return f'{figures["E_20"]:.3f} ({apart})' + ('' if loss is None else f', {loss:.3f}')
