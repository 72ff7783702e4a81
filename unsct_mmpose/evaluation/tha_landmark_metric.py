"""Metric ``THALandmarkMetric``: localisation error beside recall, by subset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS

from unsct_mmpose.anatomy import LANDMARK_NAMES
from unsct_mmpose.functional import errors


@METRICS.register_module()
class THALandmarkMetric(BaseMetric):
    """Radial error of the reported landmarks, and how many present ones were reported.

    A landmark counts as reported when ``pred_instances.keypoints_visible`` is above 0.5; without
    that field every landmark is. Localisation (MRE, median, SDR) looks at present landmarks that
    were reported, SDR_all divides by all present ones. Unlabelled landmarks count nowhere. A
    figure of nothing is NaN. Keys are ``subset/figure`` for ``all``, ``structured`` and
    ``unstructured``.

    Args:
        radii: radii of the success detection rates, in ``unit``.
        unit: ``'mm'``, or ``'px'`` of the image file when spacings are unknown.
        plane: ``'detector'``: lengths as on the detector, equation (11) of the paper; ``'bone'``:
            divided by the magnification.
        norm_scale: scale of the normalised mean error's distance; 0.5 resembles the paper's.
        per_landmark: report the error of each landmark too, as ``landmark/NAME/MRE``.
        collect_device: see ``BaseMetric``.
        prefix: see ``BaseMetric``.

    Raises:
        ValueError: an image without pixel spacing is to be judged in mm.
    """

    def __init__(
        self,
        radii: Sequence[float] = (2.0, 2.5, 3.0, 4.0, 10.0),
        unit: str = 'mm',
        plane: str = 'detector',
        norm_scale: float = 1.0,
        per_landmark: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if unit not in ('mm', 'px'):
            raise ValueError(f"unit must be 'mm' or 'px', not {unit!r}")
        if plane not in ('detector', 'bone'):
            raise ValueError(f"plane must be 'detector' or 'bone', not {plane!r}")
        self.radii = tuple(radii)
        self.unit = unit
        self.plane = plane
        self.norm_scale = norm_scale
        self.per_landmark = per_landmark

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Keep what one batch says: one result for each image."""
        for sample in data_samples:
            pred, truth = sample['pred_instances'], sample['raw_ann_info']
            scores = np.asarray(pred['keypoint_scores'])[0]
            visible = np.asarray(pred.get('keypoints_visible', np.ones_like(scores)))
            self.results.append(
                dict(
                    pred=np.asarray(pred['keypoints'], dtype=np.float64)[0],
                    kept=visible.reshape(-1) > 0.5,
                    score=scores,
                    true=np.asarray(truth['points'], dtype=np.float64),
                    present=np.asarray(truth['present'], dtype=bool),
                    labelled=np.asarray(truth['labelled'], dtype=bool),
                    scale=self._scale(truth),
                    subset=truth['subset'],
                )
            )

    def _scale(self, truth: dict) -> tuple[float, float]:
        """Return the length of a pixel along x and y, in ``unit``."""
        if self.unit == 'px':
            return (1.0, 1.0)
        spacing = truth['pixel_spacing']
        if spacing is None:
            raise ValueError(
                f'{truth["file_name"]}: no pixel_spacing, so errors in mm cannot be given; add '
                'pixel_spacing to its image in the annotation file or use '
                "THALandmarkMetric(unit='px')"
            )
        magnification = truth['magnification'] if self.plane == 'bone' else 1.0
        return (spacing[0] / magnification, spacing[1] / magnification)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Summarise all images, by subset."""
        table = {key: np.stack([one[key] for one in results]) for key in results[0]}
        distances = errors.radial_errors_mm(table['pred'], table['true'], table['scale'])
        table['norm'] = errors.reference_distances_mm(
            table['true'], table['present'], table['scale']
        )
        figures: dict[str, float] = {}
        for subset in ('all', 'structured', 'unstructured'):
            chosen = (table['subset'] == subset) | (subset == 'all')
            summary = self._summary(
                {key: value[chosen] for key, value in table.items()}, distances[chosen]
            )
            figures.update({f'{subset}/{name}': value for name, value in summary.items()})
        if self.per_landmark:
            figures.update(self._landmarks(table, distances))
        return figures

    def _summary(self, table: dict[str, np.ndarray], distances: np.ndarray) -> dict[str, float]:
        present, kept = table['present'], table['kept']
        hits = present & kept
        summary = dict(
            images=float(len(distances)),
            MRE=errors.mean_radial_error(distances, hits),
            median=errors.median_radial_error(distances, hits),
        )
        for radius in self.radii:
            name = f'{radius:g}{self.unit}'
            summary[f'SDR@{name}'] = errors.success_detection_rate(distances, hits, radius)
            summary[f'SDR_all@{name}'] = errors.sdr_all(distances, present, kept, radius)
        nme = errors.normalised_mean_error(distances, hits, table['norm'], self.norm_scale)
        summary.update(NME=nme.value, NME_dropped_images=float(nme.dropped_images))
        summary['recall'] = errors.recall(present, kept)
        return summary

    def _landmarks(self, table: dict[str, np.ndarray], distances: np.ndarray) -> dict[str, float]:
        hits = table['present'] & table['kept']
        return {
            f'landmark/{name}/MRE': errors.mean_radial_error(
                distances[:, [index]], hits[:, [index]]
            )
            for index, name in enumerate(LANDMARK_NAMES)
        }
