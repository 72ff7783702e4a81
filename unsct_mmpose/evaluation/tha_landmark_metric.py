"""Metric ``THALandmarkMetric``: localisation error beside recall, by subset."""

from __future__ import annotations

from collections.abc import Sequence

from mmpose.registry import METRICS

from unsct_mmpose.functional import errors

from .samples import SampleMetric, Table, stack


@METRICS.register_module()
class THALandmarkMetric(SampleMetric):
    """Radial error of the reported landmarks, and how many present ones were reported.

    A landmark counts as reported when ``pred_instances.keypoints_visible`` is above 0.5; without
    that field every landmark is. Localisation (MRE, median, SDR) looks at present landmarks that
    were reported, SDR_all divides by all present ones. Unlabelled landmarks count nowhere. A
    figure of nothing is NaN. Keys are ``subset/figure`` for ``all``, ``structured`` and
    ``unstructured``.

    Args:
        radii: radii of the success detection rates, in ``unit``.
        norm_scale: scale of the normalised mean error's distance; 0.5 resembles the paper's.
        per_landmark: report the error of each landmark too, as ``landmark/NAME/MRE``.
        **kwargs: keyword arguments of :class:`~unsct_mmpose.evaluation.samples.SampleMetric`.

    Raises:
        ValueError: an image without pixel spacing is to be judged in mm.
    """

    def __init__(
        self,
        radii: Sequence[float] = (2.0, 2.5, 3.0, 4.0, 10.0),
        norm_scale: float = 1.0,
        per_landmark: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.radii = tuple(radii)
        self.norm_scale = norm_scale
        self.per_landmark = per_landmark

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Summarise all images by subset and, on request, each landmark."""
        figures = super().compute_metrics(results)
        if self.per_landmark:
            figures.update(self._landmarks(results))
        return figures

    def derive(self, table: Table) -> Table:
        """Return ``error``: ``(N, K)`` radial errors, and ``norm``: ``(N,)`` distances."""
        return dict(
            error=errors.radial_errors_mm(table['pred'], table['true'], table['scale']),
            norm=errors.reference_distances_mm(
                table['true'], table['present'], table['scale'], landmarks=self.landmarks
            ),
        )

    def fixed(self, table: Table) -> dict[str, float]:
        """Return how many images there are, and how many cannot be normalised."""
        return dict(
            images=len(table['reported']), NME_dropped_images=self._nme(table).dropped_images
        )

    def summary(self, table: Table) -> dict[str, float]:
        """Return MRE, median, SDR, NME and recall."""
        present, reported, distances = table['present'], table['reported'], table['error']
        hits = present & reported
        figures = dict(
            MRE=errors.mean_radial_error(distances, hits),
            median=errors.median_radial_error(distances, hits),
        )
        for radius in self.radii:
            name = f'{radius:g}{self.unit}'
            figures[f'SDR@{name}'] = errors.success_detection_rate(distances, hits, radius)
            figures[f'SDR_all@{name}'] = errors.sdr_all(distances, present, reported, radius)
        figures['NME'] = self._nme(table).value
        figures['recall'] = errors.recall(present, reported)
        return figures

    def _nme(self, table: Table) -> errors.NormalisedMeanError:
        hits = table['present'] & table['reported']
        return errors.normalised_mean_error(table['error'], hits, table['norm'], self.norm_scale)

    def _landmarks(self, results: list[dict]) -> dict[str, float]:
        table = stack(results, self.landmarks)
        hits, distances = table['present'] & table['reported'], self.derive(table)['error']
        return {
            f'landmark/{name}/MRE': errors.mean_radial_error(
                distances[:, [index]], hits[:, [index]]
            )
            for index, name in enumerate(self.landmarks.names)
        }
