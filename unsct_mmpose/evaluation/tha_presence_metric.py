"""Metric ``THAPresenceMetric``: is what is reported there, and does the uncertainty know."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from mmpose.registry import METRICS

from unsct_mmpose.functional import errors, presence
from unsct_mmpose.functional.bootstrap import share_by_patient
from unsct_mmpose.maps.deciders import DECIDERS
from unsct_mmpose.maps.regions import covariances_to_px

from .samples import SampleMetric, Table


@METRICS.register_module()
class THAPresenceMetric(SampleMetric):
    """Decisions about presence, the ranking behind them, and what the model claims about itself.

    - ``precision``, ``recall``, ``specificity``, ``F1`` of "reported" for "present"
    - ``AUROC``, ``AUPRC`` of the uncertainty for "absent"; ``AUPRC_chance``, the share of absent
      landmarks, is what a useless uncertainty scores. ``peak/AUROC`` and the like for each
      evidence of our own head.
    - ``AURC`` (in ``unit``), ``AUSE``, ``spearman`` of uncertainty and error over the present
      landmarks, reported or not
    - ``ECE``, ``Brier`` of P(present); NaN where the model gives none
    - ``coverage@0.95`` and the like: share of the reported present landmarks inside their
      confidence ellipse, with ``coverage@0.95_ci_low`` and ``_ci_high``, its 95 % interval over
      patients; ``radius@0.95``: median radius of circles as large as the last of
      these ellipses, in ``unit``; ``region_score@0.95``: their mean interval score (Winkler's, of
      diameters), in which neither large regions nor missed points win. NaN where the model gives
      none.

    Unlabelled landmarks count nowhere. A figure of nothing is NaN. Keys are
    ``presence/subset/figure`` for ``all``, ``structured`` and ``unstructured``.

    Args:
        levels: what the confidence ellipses claim to hold.
        bins: number of bins of the calibration error.
        **kwargs: keyword arguments of :class:`~unsct_mmpose.evaluation.samples.SampleMetric`.

    Raises:
        ValueError: an image without pixel spacing is to be judged in mm.
    """

    default_prefix = 'presence'
    reads = ('uncertainty', 'presence', 'covariance', 'evidence')
    spent = ('covariance',)

    def __init__(
        self, levels: Sequence[float] = (0.5, 0.9, 0.95), bins: int = 10, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.levels = tuple(levels)
        self.bins = bins

    def derive(self, table: Table) -> Table:
        """Return ``error`` and, with covariances, ``mahalanobis`` and ``radius``, ``(N, K)``."""
        columns = dict(error=errors.radial_errors_mm(table['pred'], table['true'], table['scale']))
        if 'covariance' in table:
            columns['mahalanobis'] = presence.squared_mahalanobis(
                table['pred'], table['true'], table['covariance']
            )
            spread = covariances_to_px(table['covariance'], table['scale'])
            columns['radius'] = presence.region_radii(spread, self.levels[-1])
        return columns

    def fixed(self, table: Table) -> dict[str, float]:
        """Return how many landmarks are present and absent."""
        absent = table['labelled'] & ~table['present']
        counts = dict(present_landmarks=table['present'].sum(), absent_landmarks=absent.sum())
        return {**counts, **self._coverage_ends(table)}

    def _coverage_ends(self, table: Table) -> dict[str, float]:
        hits, distance = table['present'] & table['reported'], table.get('mahalanobis')
        figures: dict[str, float] = {}
        for level in self.levels:
            ends = (np.nan, np.nan)
            if distance is not None and not np.isnan(distance[hits]).any():
                inside = hits & (distance <= -2 * math.log1p(-level))
                share = share_by_patient(inside.sum(1), hits.sum(1), table['patient'])
                ends = share.low, share.high
            name = f'coverage@{level:g}_ci'
            figures[f'{name}_low'], figures[f'{name}_high'] = ends
        return figures

    def summary(self, table: Table) -> dict[str, float]:
        """Return all figures."""
        rates = presence.presence_rates(table['present'], table['reported'], table['labelled'])
        decided = dict(zip(('precision', 'recall', 'specificity', 'F1'), rates, strict=True))
        return decided | self._ranking(table) | self._claims(table) | self._regions(table)

    def _ranking(self, table: Table) -> dict[str, float]:
        present, labelled, error = table['present'], table['labelled'], table['error']
        signs = {'': table['uncertainty']}
        if 'evidence' in table:
            signs |= {f'{name}/': table['evidence'][..., i] for i, name in enumerate(DECIDERS)}
        figures = {'AUPRC_chance': presence.absent_share(present, labelled)}
        for name, sign in signs.items():
            figures[f'{name}AUROC'] = presence.auroc_absent(sign, present, labelled)
            figures[f'{name}AUPRC'] = presence.auprc_absent(sign, present, labelled)
        sign = table['uncertainty']
        figures['AURC'] = presence.area_under_risk_coverage(error, sign, present)
        figures['AUSE'] = presence.area_under_sparsification_error(error, sign, present)
        figures['spearman'] = presence.spearman(sign, error, present)
        return figures

    def _claims(self, table: Table) -> dict[str, float]:
        present, labelled = table['present'], table['labelled']
        claim = table.get('presence')
        if claim is None or np.isnan(claim[labelled]).any():
            return dict(ECE=np.nan, Brier=np.nan)
        return dict(
            ECE=presence.expected_calibration_error(claim, present, labelled, self.bins),
            Brier=presence.brier_score(claim, present, labelled),
        )

    def _regions(self, table: Table) -> dict[str, float]:
        hits, distance = table['present'] & table['reported'], table.get('mahalanobis')
        last = self.levels[-1]
        names = [f'coverage@{level:g}' for level in self.levels]
        names += [f'radius@{last:g}', f'region_score@{last:g}']
        if distance is None or np.isnan(distance[hits]).any():
            return dict.fromkeys(names, np.nan)
        figures = [presence.region_coverage(distance, hits, level) for level in self.levels]
        figures.append(errors.median_radial_error(table['radius'], hits))
        figures.append(presence.region_score(distance, table['radius'], hits, last))
        return dict(zip(names, figures, strict=True))
