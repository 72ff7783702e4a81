"""Metric ``THAClinicalMetric``: do the clinical parameters agree with those by hand."""

from __future__ import annotations

import numpy as np
from mmpose.registry import METRICS

from unsct_mmpose.anatomy import HIP, Estimate, landmarks_of
from unsct_mmpose.functional import agreement
from unsct_mmpose.functional.bootstrap import share_by_patient
from unsct_mmpose.functional.clinical import IS_ANGLE, measure_many, output_columns

from .samples import SampleMetric, Table

_USUAL_SCALE = 1.96
_OF_INTERVALS = ('interval_scale', 'interval_offset')
_COLUMNS = output_columns(HIP)


@METRICS.register_module()
class THAClinicalMetric(SampleMetric):
    """Agreement of each clinical parameter, measured from the reported and from the true landmarks.

    Left and right are pooled under the parameter's name: ``clinical/subset/sharp_angle_deg/MAE``. A
    prediction measures with the landmarks that it reports, the truth with those that are present.

    - ``n``: values that both have; ``prediction_undefined``: only the truth has one;
      ``truth_undefined``: only the prediction has one, out of landmarks that are not there;
      ``both_undefined``
    - ``MAE``, ``bias`` (prediction minus truth), ``LoA_lower`` and ``LoA_upper``: 95 % limits of
      agreement (Bland-Altman)
    - ``ICC_A1``: ICC(A,1), with McGraw & Wong's 95 % interval ``ICC_A1_ci_low``,
      ``ICC_A1_ci_high``; ``PCC``
    - ``t_test_p``: of the paired t test. p > 0.05 is NOT evidence of agreement.
    - ``interval_coverage``: share of the truths inside the interval of the prediction, at the
      calibration's level; NaN where the model gives no covariances. ``interval_coverage_ci_low``
      and ``_ci_high``: its 95 % interval over patients
    - ``interval_width``: mean width of these intervals, and ``interval_score``, Winkler's, in
      which neither wide intervals nor missed truths win

    Both sides of a patient are not independent: prefer the intervals of ``bootstrap`` to
    ``ICC_A1_ci``. A parameter that is measured with an unlabelled landmark is undefined on both
    sides. A figure of nothing is NaN.

    Args:
        level: what the intervals claim to hold, for their score.
        **kwargs: keyword arguments of :class:`~unsct_mmpose.evaluation.samples.SampleMetric`, but
            ``unit``.

    Raises:
        ValueError: an image has no pixel spacing, or the landmarks no clinical parameters.
    """

    default_prefix = 'clinical'
    reads = ('magnification', 'covariance', 'error_correlation', *_OF_INTERVALS)
    spent = ('pred', 'true', *reads)
    knows_px = False

    def __init__(self, level: float = 0.95, **kwargs) -> None:
        super().__init__(unit='mm', **kwargs)
        if not 0 < level < 1:
            raise ValueError(f'level must lie inside (0, 1), not {level!r}')
        self.level = level

    @SampleMetric.dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        """Take the data set's meta information; refuse landmarks without clinical parameters."""
        landmarks_of(dataset_meta).require_clinical('THAClinicalMetric')
        self._dataset_meta = dataset_meta

    def derive(self, table: Table) -> Table:
        """Return ``measured``, ``truth``, ``offset`` and ``half_width``, ``(N, M)``, deg or mm."""
        truth, _ = measure_many(table['true'], table['present'], table['scale'])
        measured, spread = measure_many(
            table['pred'],
            table['reported'],
            table['scale'],
            table.get('covariance'),
            error_correlation=table.get('error_correlation'),
        )
        longer = table['magnification'] if self.plane == 'detector' else 1.0
        offset = table.get('interval_offset', np.zeros(measured.shape))
        return dict(
            measured=np.where(IS_ANGLE, agreement.nearest_turn(measured, truth), measured),
            truth=truth,
            offset=np.where(IS_ANGLE, offset, offset * np.reshape(longer, (-1, 1))),
            half_width=table.get('interval_scale', _USUAL_SCALE) * spread,
        )

    def fixed(self, table: Table) -> dict[str, float]:
        """Return counts, the interval of the ICC and the p value of each parameter."""
        figures: dict[str, float] = {}
        for name, columns in _COLUMNS.items():
            has_truth, has_value = (
                ~np.isnan(table[which][:, columns]) for which in ('truth', 'measured')
            )
            measured, truth, *_ = _pairs(table, columns)
            held = self._held(table, columns)
            icc = agreement.icc_agreement(np.stack([measured, truth], axis=1))
            figures |= {
                f'{name}/n': len(truth),
                f'{name}/prediction_undefined': (has_truth & ~has_value).sum(),
                f'{name}/truth_undefined': (~has_truth & has_value).sum(),
                f'{name}/both_undefined': (~has_truth & ~has_value).sum(),
                f'{name}/ICC_A1_ci_low': icc.low,
                f'{name}/ICC_A1_ci_high': icc.high,
                f'{name}/t_test_p': agreement.paired_t(measured, truth).p,
                f'{name}/interval_coverage_ci_low': held.low,
                f'{name}/interval_coverage_ci_high': held.high,
            }
        return figures

    def _held(self, table: Table, columns: list[int]) -> Estimate:
        """Return the share of the truths inside their intervals, and its own over patients."""
        centre = table['measured'][:, columns] - table['offset'][:, columns]
        width, truth = table['half_width'][:, columns], table['truth'][:, columns]
        counted = ~(np.isnan(centre) | np.isnan(truth))
        if np.isnan(width[counted]).any():
            return Estimate(np.nan, np.nan, np.nan)
        inside = counted & (np.abs(centre - truth) <= width)
        return share_by_patient(inside.sum(axis=1), counted.sum(axis=1), table['patient'])

    def summary(self, table: Table) -> dict[str, float]:
        """Return errors and agreement of each parameter."""
        figures: dict[str, float] = {}
        for name, columns in _COLUMNS.items():
            measured, truth, half_width, offset = _pairs(table, columns)
            centre = measured - offset
            limits = agreement.bland_altman(measured, truth)
            icc = agreement.icc_agreement(np.stack([measured, truth], axis=1))
            coverage = width = score = np.nan
            if not np.isnan(half_width).any():
                coverage = agreement.interval_coverage(centre, half_width, truth)
                width = 2 * half_width.mean() if len(half_width) else np.nan
                score = agreement.interval_score(centre, half_width, truth, self.level)
            figures |= {
                f'{name}/MAE': agreement.mean_absolute_error(measured, truth),
                f'{name}/bias': limits.bias.value,
                f'{name}/LoA_lower': limits.lower.value,
                f'{name}/LoA_upper': limits.upper.value,
                f'{name}/ICC_A1': icc.value,
                f'{name}/PCC': agreement.pearson(measured, truth).value,
                f'{name}/interval_coverage': coverage,
                f'{name}/interval_width': width,
                f'{name}/interval_score': score,
            }
        return figures


def _pairs(table: Table, columns: list[int]) -> tuple[np.ndarray, ...]:
    """Return measured, true, half width and offset of the values that both have, sides pooled."""
    names = ('measured', 'truth', 'half_width', 'offset')
    measured, truth, *rest = (table[name][:, columns].ravel() for name in names)
    both = ~np.isnan(measured) & ~np.isnan(truth)
    return tuple(values[both] for values in (measured, truth, *rest))
