"""From evidence to decisions: what is reported, how surely, and whether the image is usual."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from unsct_mmpose.anatomy.records import NOTHING_FOUND, UNUSUAL

from .calibration import Calibration
from .deciders import DECIDERS, DecisionOptions
from .evidence import Evidence
from .fusion import normalised_alignment, row_quantile, upper_quartile
from .paf import Relations
from .uncertainty import landmark_alignment

QUORUM_SHARE = 0.4
"""An image whose best quarter of relations falls below this share of the calibration's least
shows no pelvis: nothing in it is reported."""


@dataclass(frozen=True)
class Assessment:
    """Decisions about B images with K landmarks.

    Attributes:
        uncertainties: ``(B, K)`` of the evidence that decides; larger is less sure.
        reported: ``(B, K)`` bool.
        presence: ``(B, K)`` calibrated P(present); NaN without a calibration.
        evidence_uncertainties: ``(B, K, E)`` of each of the E that can decide.
        decisions: ``(B, K, E)`` bool, what each of them would keep.
        image_state: ``(B,)`` one of :data:`~unsct_mmpose.anatomy.records.TYPICAL`, `UNUSUAL`,
            `NOTHING_FOUND`; typical without a calibration, which cannot tell.
    """

    uncertainties: Tensor
    reported: Tensor
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
        calibration: thresholds and probabilities. Without one everything is reported unless the
            options hold a threshold, and no probability is given.

    Raises:
        ValueError: the calibration belongs to other options or another number of relations, and
            the options hold no threshold; or the weights to another number of relations.
    """
    calibration = applicable(calibration, options, evidence.relation_alignment.shape[1])
    evidence = weigh_relations(evidence, relations, options)
    presence = torch.full_like(evidence.peak, torch.nan)
    if calibration is not None:
        presence = torch.sigmoid(calibration.fusion.log_odds(evidence, relations))
    uncertainties = torch.stack(
        [decider.uncertainty(evidence, presence, options) for decider in DECIDERS.values()],
        dim=-1,
    )
    limits = [_limit(name, options, calibration) for name in DECIDERS]
    decisions = uncertainties <= uncertainties.new_tensor(limits)
    which = list(DECIDERS).index(options.evidence)
    state = image_state(evidence, calibration)
    reported = decisions[..., which]
    if DECIDERS[options.evidence].needs_pelvis:
        reported = reported & (state < NOTHING_FOUND)[:, None]
        columns = list(decisions.unbind(dim=-1))
        columns[which] = reported
        decisions = torch.stack(columns, dim=-1)
    return Assessment(
        uncertainties=uncertainties[..., which],
        reported=reported,
        presence=presence,
        evidence_uncertainties=uncertainties,
        decisions=decisions,
        image_state=state,
    )


def weigh_relations(evidence: Evidence, relations: Relations, options: DecisionOptions) -> Evidence:
    """Return evidence whose alignments are sums with the options' weights of the relations.

    Raises:
        ValueError: there are more or fewer weights than relations.
    """
    if options.weights is None:
        return evidence
    aligned = evidence.relation_alignment
    if len(options.weights) != aligned.shape[1]:
        raise ValueError(
            f'{len(options.weights)} weights for {aligned.shape[1]} relations: give one for each, '
            'in the order of docs/explanation/relations.md'
        )
    count = evidence.peak.shape[1]
    weights = aligned.new_tensor(options.weights)
    peeled = landmark_alignment(
        aligned, relations, count, weights=weights, fallback=evidence.peak.clamp(0, 1)
    )
    mean = landmark_alignment(aligned, relations, count, aggregation='paper', weights=weights)
    return replace(
        evidence, alignment=mean.alignment, peeled=peeled.alignment, support=peeled.support
    )


def image_agreement(
    evidence: Evidence, calibration_reference: tuple[float, ...]
) -> tuple[Tensor, Tensor]:
    """Return ``(B,)`` mean and upper quartile of an image's normalised alignments.

    The mean tells whether the parts of a pelvis stand to each other as they should; the upper
    quartile whether at least one side of one does.
    """
    aligned = normalised_alignment(evidence, calibration_reference)
    return aligned.mean(dim=1), upper_quartile(aligned)[:, 0]


def median_peak(evidence: Evidence) -> Tensor:
    """Return ``(B,)`` medians of an image's peaks: noise and poor contrast lower them all."""
    return row_quantile(evidence.peak, 0.5)[:, 0]


def image_state(evidence: Evidence, calibration: Calibration | None) -> Tensor:
    """Return ``(B,)`` int64: usual, out of range or without a pelvis."""
    state = torch.zeros_like(evidence.peak[:, 0], dtype=torch.long)
    if calibration is None:
        return state
    mean, quarter = image_agreement(evidence, calibration.fusion.reference)
    unusual = mean < calibration.typical_agreement
    unusual = unusual | (median_peak(evidence) < calibration.typical_peak)
    unusual = unusual | (evidence.noise > calibration.typical_noise)  # never where it is unknown
    state = state.masked_fill(unusual, UNUSUAL)
    return state.masked_fill(quarter < QUORUM_SHARE * calibration.typical_quorum, NOTHING_FOUND)


def applicable(
    calibration: Calibration | None, options: DecisionOptions, number: int
) -> Calibration | None:
    """Return a calibration if it was fitted for these options, or at least does not disturb them.

    One for another number of relations is left out altogether where the options hold a threshold;
    of one for another entropy, aggregation or weights only the threshold of ``'paf'`` is void.

    Raises:
        ValueError: the options hold no threshold, and this calibration has none for them.
    """
    if calibration is None:
        return None
    helpless = options.threshold is None and options.stated is None
    fitted = len(calibration.fusion.reference)
    if fitted != number:
        if helpless:
            raise ValueError(
                f'the stored calibration is for {fitted} relations and the model has {number}: '
                f'{_CURES}'
            )
        return None
    if helpless and not decides(calibration, options):
        raise ValueError(
            f'the stored calibration is for {_settings(calibration)}, not for '
            f'{_settings(options)}: {_CURES}'
        )
    return calibration


_CURES = (
    'give HeatmapPAF a threshold, which decides instead, or fit a calibration for these settings '
    '(unsct calibrate CONFIG CHECKPOINT, with the same --cfg-options)'
)


def _settings(of: Calibration | DecisionOptions) -> str:
    weights = 'equal' if of.weights is None else 'chosen'
    return f'entropy {of.entropy!r}, aggregation {of.aggregation!r} and {weights} weights'


def decides(calibration: Calibration, options: DecisionOptions) -> bool:
    """Return whether a calibration, for as many relations, has a threshold for what decides."""
    return not DECIDERS[options.evidence].reads_fields or _fits(calibration, options)


def _fits(calibration: Calibration, options: DecisionOptions) -> bool:
    """Return whether the calibration's threshold of ``'paf'`` is for these options."""
    return all(
        getattr(calibration, name) == getattr(options, name)
        for name in ('entropy', 'aggregation', 'weights')
    )


def _limit(name: str, options: DecisionOptions, calibration: Calibration | None) -> float:
    decides = name == options.evidence
    if options.threshold is not None and decides:
        return options.threshold
    if calibration is None or (DECIDERS[name].reads_fields and not _fits(calibration, options)):
        return options.stated if options.stated is not None and decides else math.inf
    if name not in calibration.thresholds and not decides:
        return math.inf  # younger than the calibration
    return calibration.threshold(name, options.rule)
