"""Metric ``THASetErrorMetric``: the headline, one figure for place and presence together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmpose.registry import METRICS

from unsct_mmpose.functional import errors
from unsct_mmpose.maps.deciders import DECIDERS

from .samples import SampleMetric, Table, decisions


@METRICS.register_module()
class THASetErrorMetric(SampleMetric):
    """Labelled set error and LRP of what is reported, and of other decisions of the same weights.

    ``E_20`` is the mean over images of the set error with a cutoff of 20 mm: a missed landmark
    and a false positive cost as much as one that is 20 mm off or more, so that rejecting everything
    scores 20, the worst. ``LRP`` is the localisation-recall-precision error of all landmarks, 0 to
    1. An image where nothing is present and nothing is reported has no set error.

    The same figures are given for the same points under other decisions, as ``keep_all/E_20``:
    ``keep_all``, ``reject_all``, ``oracle`` (exactly the present ones) and, from our own head,
    ``peak``, ``paf`` and ``fused``, each evidence by itself. ``recovered_E_20`` says how much of
    what the oracle avoids is avoided: 0 for reporting all, 1 for the oracle, negative for harm.

    Unlabelled landmarks count nowhere. A figure of nothing is NaN. Keys are
    ``set_error/subset/figure`` for ``all``, ``structured`` and ``unstructured``.

    Args:
        cutoffs: cutoffs of the set error, in ``unit``.
        lrp_cutoff: largest error of a landmark that was found, in ``unit``.
        **kwargs: keyword arguments of :class:`~unsct_mmpose.evaluation.samples.SampleMetric`; with
            ``unit='px'`` the keys say ``E_20px``.

    Raises:
        ValueError: an image without pixel spacing is to be judged in mm.
    """

    default_prefix = 'set_error'
    reads = ('decisions',)

    def __init__(
        self, cutoffs: Sequence[float] = (10.0, 20.0, 50.0), lrp_cutoff: float = 20.0, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.cutoffs = tuple(cutoffs)
        self.lrp_cutoff = lrp_cutoff

    def derive(self, table: Table) -> Table:
        """Return ``error``: ``(N, K)`` radial errors."""
        return dict(error=errors.radial_errors_mm(table['pred'], table['true'], table['scale']))

    def fixed(self, table: Table) -> dict[str, float]:
        """Return how many images there are."""
        return dict(images=len(table['reported']))

    def summary(self, table: Table) -> dict[str, float]:
        """Return the headline, that of the baselines, and what is recovered."""
        figures = self._headline(table, table['reported'])
        for name, reported in decisions(table).items():
            headline = self._headline(table, reported)
            figures.update({f'{name}/{key}': value for key, value in headline.items()})
        judged = ['', *(f'{name}/' for name in DECIDERS if 'decisions' in table)]
        for name in judged:
            for key in map(self._key, self.cutoffs):
                figures[f'{name}recovered_{key}'] = errors.recovered_error(
                    figures[f'keep_all/{key}'], figures[f'{name}{key}'], figures[f'oracle/{key}']
                )
        return figures

    def _headline(self, table: Table, reported: np.ndarray) -> dict[str, float]:
        error, present = table['error'], table['present']
        figures = {
            self._key(cutoff): errors.mean_set_error(error, present, reported, cutoff)
            for cutoff in self.cutoffs
        }
        figures['LRP'] = errors.localisation_recall_precision(
            error, present, reported, self.lrp_cutoff
        )
        return figures

    def _key(self, cutoff: float) -> str:
        return f'E_{cutoff:g}{"" if self.unit == "mm" else self.unit}'
