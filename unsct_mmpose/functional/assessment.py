"""From evidence to decisions: what is reported, how surely, and whether the image is usual."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .calibration import RULES, Calibration
from .evidence import Evidence
from .fusion import normalised_alignment, upper_quartile
from .image_states import IMAGE_WORDS, NOTHING_FOUND, TYPICAL, UNUSUAL
from .paf import Relations
from .uncertainty import AGGREGATIONS, ENTROPY_MODES, alignment_entropy

__all__ = [
    'EVIDENCES',
    'IMAGE_WORDS',
    'NOTHING_FOUND',
    'QUORUM_SHARE',
    'TYPICAL',
    'UNUSUAL',
    'Assessment',
    'DecisionOptions',
    'assess',
    'image_agreement',
    'image_state',
    'uncertainty_of',
]

EVIDENCES = ('peak', 'paf', 'fused')
"""What can decide: the heatmap's peak alone, the fields alone (the paper's), or both together."""

QUORUM_SHARE = 0.4
"""An image whose best quarter of relations falls below this share of the calibration's least
shows no pelvis: nothing in it is reported."""


@dataclass(frozen=True)
class DecisionOptions:
    """How evidence becomes a decision; each ambiguity of the paper is one of these.

    Attributes:
        evidence: one of :data:`EVIDENCES`.
        entropy: mode of eq. (1), for ``'paf'``.
        aggregation: how a landmark's relations are gathered, for ``'paf'``.
        rule: threshold rule of the calibration; None takes the calibration's own.
        threshold: largest uncertainty that is kept; None takes the calibration's, or keeps
            everything where there is none.
    """

    evidence: str = 'fused'
    entropy: str = 'mirror'
    aggregation: str = 'peel'
    rule: str | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        for name, value, choices in (
            ('evidence', self.evidence, EVIDENCES),
            ('entropy', self.entropy, ENTROPY_MODES),
            ('aggregation', self.aggregation, AGGREGATIONS),
            ('rule', self.rule, (None, *RULES)),
        ):
            if value not in choices:
                raise ValueError(f'unknown {name} {value!r}; choose from {choices}')


@dataclass(frozen=True)
class Assessment:
    """Decisions about B images with K landmarks.

    Attributes:
        uncertainties: ``(B, K)`` of the evidence that decides; larger is less sure.
        kept: ``(B, K)`` bool, reported.
        presence: ``(B, K)`` calibrated P(present); NaN without a calibration.
        evidence_uncertainties: ``(B, K, 3)`` of each of :data:`EVIDENCES`.
        decisions: ``(B, K, 3)`` bool, what each of them would keep.
        image_state: ``(B,)`` one of :data:`TYPICAL`, :data:`UNUSUAL`, :data:`NOTHING_FOUND`;
            typical without a calibration, which cannot tell.
    """

    uncertainties: Tensor
    kept: Tensor
    presence: Tensor
    evidence_uncertainties: Tensor
    decisions: Tensor
    image_state: Tensor


def assess(
    evidence: Evidence,
    relations: Relations,
    options: DecisionOptions,
    calibration: Calibration | None = None,
) -> Assessment:
    """Decide which landmarks to report.

    Args:
        evidence: of B images.
        relations: ``(L, 2)`` landmarks that each relation joins.
        options: how to decide.
        calibration: thresholds and probabilities. Without one everything is kept unless the
            options hold a threshold, and no probability is given.

    Raises:
        ValueError: the calibration belongs to other options or another number of relations.
    """
    presence = torch.full_like(evidence.peak, torch.nan)
    if calibration is not None:
        _check(calibration, options, evidence.relation_alignment.shape[1])
        presence = torch.sigmoid(calibration.fusion.log_odds(evidence, relations))
    uncertainties = torch.stack(
        [
            uncertainty_of(name, evidence, presence, options.entropy, options.aggregation)
            for name in EVIDENCES
        ],
        dim=-1,
    )
    limits = [_limit(name, options, calibration) for name in EVIDENCES]
    decisions = uncertainties <= uncertainties.new_tensor(limits)
    which = EVIDENCES.index(options.evidence)
    state = image_state(evidence, calibration)
    kept = decisions[..., which]
    if options.evidence == 'fused':
        kept = kept & (state < NOTHING_FOUND)[:, None]
        columns = list(decisions.unbind(dim=-1))
        columns[which] = kept
        decisions = torch.stack(columns, dim=-1)
    return Assessment(
        uncertainties=uncertainties[..., which],
        kept=kept,
        presence=presence,
        evidence_uncertainties=uncertainties,
        decisions=decisions,
        image_state=state,
    )


def uncertainty_of(
    name: str, evidence: Evidence, presence: Tensor, entropy: str, aggregation: str
) -> Tensor:
    """Return the uncertainty that one evidence gives.

    Args:
        name: ``'peak'``: one minus the heatmap's peak; ``'paf'``: the entropy of the alignment;
            ``'fused'``: P(absent), or that of the peak where there is no calibration.
        evidence: of B images.
        presence: ``(B, K)`` P(present), NaN where unknown.
        entropy: mode of eq. (1).
        aggregation: ``'peel'`` or ``'paper'``.

    Returns:
        ``(B, K)``.
    """
    of_peak = 1 - evidence.peak
    if name == 'peak':
        return of_peak
    if name == 'paf':
        aligned = evidence.peeled if aggregation == 'peel' else evidence.alignment
        return alignment_entropy(aligned, entropy)
    return torch.where(torch.isnan(presence), of_peak, 1 - presence)


def image_agreement(
    evidence: Evidence, calibration_reference: tuple[float, ...]
) -> tuple[Tensor, Tensor]:
    """Return ``(B,)`` mean and upper quartile of an image's normalised alignments.

    The mean tells whether the parts of a pelvis stand to each other as they should; the upper
    quartile whether at least one side of one does.
    """
    aligned = normalised_alignment(evidence, calibration_reference)
    return aligned.mean(dim=1), upper_quartile(aligned)[:, 0]


def image_state(evidence: Evidence, calibration: Calibration | None) -> Tensor:
    """Return ``(B,)`` int64: usual, out of range or without a pelvis."""
    state = torch.zeros_like(evidence.peak[:, 0], dtype=torch.long)
    if calibration is None:
        return state
    mean, quarter = image_agreement(evidence, calibration.fusion.reference)
    state = state.masked_fill(mean < calibration.typical_agreement, UNUSUAL)
    return state.masked_fill(quarter < QUORUM_SHARE * calibration.typical_quorum, NOTHING_FOUND)


def _limit(name: str, options: DecisionOptions, calibration: Calibration | None) -> float:
    if options.threshold is not None and name == options.evidence:
        return options.threshold
    if calibration is None:
        return float('inf')
    return calibration.threshold(name, options.rule)


def _check(calibration: Calibration, options: DecisionOptions, number: int) -> None:
    if len(calibration.fusion.reference) != number:
        raise ValueError(
            f'the calibration is for {len(calibration.fusion.reference)} relations and the model '
            f'has {number}: calibrate this model with tools/calibrate.py'
        )
    wanted = (options.entropy, options.aggregation)
    if options.evidence == 'paf' and wanted != (calibration.entropy, calibration.aggregation):
        raise ValueError(
            f'the calibration is for entropy {calibration.entropy!r} and aggregation '
            f'{calibration.aggregation!r}, not {options.entropy!r} and {options.aggregation!r}: '
            'calibrate with these options (tools/calibrate.py)'
        )
