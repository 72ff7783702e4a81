"""What decides whether a landmark is reported: the peak, the fields, or both together.

One class for each; another one is a class here with :func:`register`, and nothing else. The limits
without a calibration are low on purpose, so that they reject what hardly any model could mean and
keep nearly everything that is there; docs/explanation/uncertainty.md has what was measured. A
calibration is better in every respect. B images, K landmarks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from unsct_mmpose.anatomy.records import FUSED, PAF, PEAK

from .calibration import RULES
from .evidence import Evidence
from .fusion import upper_quartile
from .uncertainty import AGGREGATIONS, ENTROPY_MODES, alignment_entropy

_LEAST_PEAK = 0.2
"""Least heatmap peak that is reported by ``'peak'`` without a calibration."""

_LEAST_ALIGNMENT = 0.1
"""Least alignment that is reported by ``'paf'`` without a calibration."""

LEAST_STANDING = 0.3
"""Least :func:`standing` that is reported by ``'fused'`` without a calibration."""

PAPER_THRESHOLD = 0.365
"""Largest ``-w log w`` that is reported: just below its maximum, 1/e at w = 1/e. The paper states
none, and what is printed calls an absent landmark (w near 0) certain, so that a smaller threshold
rejects present landmarks rather than absent ones."""

_LEAST_LEVEL = 0.3


class Decider:
    """A way to decide about presence from evidence.

    Attributes:
        name: what configs, calibrations and files call it.
        reads_fields: whether entropy, aggregation and weights of the relations are its options.
        equal_cost: threshold at which a miss and a false positive cost the same, where its
            uncertainty is a probability; None: it is fitted.
        needs_pelvis: whether nothing is reported in an image without a pelvis.
        limit: largest uncertainty that is reported without a calibration.
    """

    name: ClassVar[str]
    limit: ClassVar[float]
    reads_fields: ClassVar[bool] = False
    equal_cost: ClassVar[float | None] = None
    needs_pelvis: ClassVar[bool] = False

    def uncertainty(self, evidence: Evidence, presence: Tensor, options: DecisionOptions) -> Tensor:
        """Return ``(B, K)`` uncertainties; larger is less sure.

        Args:
            evidence: of B images.
            presence: ``(B, K)`` P(present), NaN where unknown.
            options: entropy and aggregation, for one that reads fields.
        """
        raise NotImplementedError

    def bare_threshold(self, options: DecisionOptions) -> float:
        """Return the largest uncertainty that is reported without a calibration."""
        return self.limit


DECIDERS: dict[str, Decider] = {}
"""Every way to decide, by name; in the order of every array that has a column for each."""


def register(kind: type[Decider]) -> type[Decider]:
    """Make a way to decide known by its name.

    Raises:
        ValueError: another one has this name.
    """
    if kind.name in DECIDERS:
        raise ValueError(f'{kind.name!r} decides already: {type(DECIDERS[kind.name]).__name__}')
    DECIDERS[kind.name] = kind()
    return kind


@register
class PeakDecider(Decider):
    """One minus the heatmap's peak."""

    name = PEAK
    limit = 1 - _LEAST_PEAK

    def uncertainty(self, evidence: Evidence, presence: Tensor, options: DecisionOptions) -> Tensor:
        """Return one minus the peaks."""
        return 1 - evidence.peak


@register
class FieldDecider(Decider):
    """The entropy of the alignment of a landmark's relations: paper eq. (1) and (4)."""

    name = PAF
    reads_fields = True

    def uncertainty(self, evidence: Evidence, presence: Tensor, options: DecisionOptions) -> Tensor:
        """Return the entropies of the alignments."""
        aligned = evidence.peeled if options.aggregation == 'peel' else evidence.alignment
        return alignment_entropy(aligned, options.entropy)

    def bare_threshold(self, options: DecisionOptions) -> float:
        """Return that of :data:`_LEAST_ALIGNMENT`, or :data:`PAPER_THRESHOLD`."""
        if options.entropy == 'paper':
            return PAPER_THRESHOLD
        return float(alignment_entropy(torch.tensor(_LEAST_ALIGNMENT), options.entropy))


@register
class FusedDecider(Decider):
    """P(absent), or one minus :func:`standing` where there is no calibration."""

    name = FUSED
    equal_cost = 0.5
    needs_pelvis = True
    limit = 1 - LEAST_STANDING

    def uncertainty(self, evidence: Evidence, presence: Tensor, options: DecisionOptions) -> Tensor:
        """Return P(absent)."""
        return torch.where(torch.isnan(presence), 1 - standing(evidence), 1 - presence)


def standing(evidence: Evidence) -> Tensor:
    """Return ``(B, K)``, 0 to 1: how well peak and fields speak for each landmark of an image.

    The geometric mean of the peak and of the peeled alignment: both must speak. It is divided by
    the image's upper quartile, since a faint image has low peaks and weak fields throughout; by 0.3
    at least, so that an image in which nothing stands out reports nothing. An image whose fields
    are all silent, such as one of heatmaps alone, is judged by its peaks as they are.
    """
    peak = evidence.peak.clamp(0, 1)
    both = (peak * evidence.peeled.clamp(0, 1)).sqrt()
    relative = (both / upper_quartile(both).clamp(min=_LEAST_LEVEL)).clamp(max=1)
    silent = (evidence.relation_alignment == 0).all(dim=1, keepdim=True)
    return torch.where(silent, peak, relative)


@dataclass(frozen=True)
class DecisionOptions:
    """How evidence becomes a decision; each ambiguity of the paper is one of these.

    Attributes:
        evidence: one of :data:`~unsct_mmpose.maps.deciders.DECIDERS`.
        entropy: mode of eq. (1), for ``'paf'``.
        aggregation: how a landmark's relations are gathered, for ``'paf'``.
        rule: threshold rule of the calibration; None takes the calibration's own.
        threshold: largest uncertainty that is reported, whatever a calibration says; None: the
            calibration's.
        weights: ``(L,)`` weight of each relation in a landmark's sum, for ``'paf'``; None: equal.
        stated: largest uncertainty that is reported where there is no calibration for these
            options; None reports everything without any, and refuses one for other options.
    """

    evidence: str = 'fused'
    entropy: str = 'mirror'
    aggregation: str = 'peel'
    rule: str | None = None
    threshold: float | None = None
    weights: tuple[float, ...] | None = None
    stated: float | None = None

    def __post_init__(self) -> None:
        for name, value, choices in (
            ('evidence', self.evidence, tuple(DECIDERS)),
            ('entropy', self.entropy, ENTROPY_MODES),
            ('aggregation', self.aggregation, AGGREGATIONS),
            ('rule', self.rule, (None, *RULES)),
        ):
            if value not in choices:
                raise ValueError(f'unknown {name} {value!r}; choose from {choices}')
        if self.weights is None:
            return
        if not DECIDERS[self.evidence].reads_fields:
            raise ValueError(
                f"weights of the relations belong to evidence 'paf', not {self.evidence!r}: leave "
                'one of the two out'
            )
        if not all(0 < weight < math.inf for weight in self.weights):
            raise ValueError(f'weights of the relations must be positive, got {list(self.weights)}')
