"""What the metrics share: a data sample unpacked into arrays, and figures by subset.

Landmarks that nobody looked for are neither present nor reported here, so that they count nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.evaluator import BaseMetric

from unsct_mmpose.anatomy import HIP, LandmarkSet, landmarks_of
from unsct_mmpose.functional.bootstrap import bootstrap_intervals
from unsct_mmpose.maps.deciders import DECIDERS

SUBSETS = ('all', 'structured', 'unstructured')

Table = dict[str, np.ndarray]
"""One row for each image; see :func:`unpack` for the columns."""

_ALWAYS = ('patient', 'subset', 'pred', 'true', 'reported', 'present', 'labelled', 'scale')
"""What every metric keeps of an image."""

_OPTIONAL = dict(
    presence='keypoint_presence',
    covariance='keypoint_covariances',
    evidence='keypoint_evidences',
    decisions='keypoint_decisions',
    interval_scale='interval_scales',
    interval_offset='interval_offsets',
    error_correlation='error_correlation',
)

_CONSTANTS = ('interval_scale', 'interval_offset', 'error_correlation')
"""Of a calibration: the same for many images."""


def unpack(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the data sample of one image into arrays without a leading instance axis.

    Args:
        sample: ``pred_instances`` with ``keypoints`` and ``keypoint_scores``, perhaps with
            ``keypoints_visible`` (all are reported without it), ``keypoint_uncertainties``
            (1 - score without it) and the fields of ``HeatmapPAFHead``; ``raw_ann_info`` as
            ``THADataset`` gives it.

    Returns:
        ``patient`` (the file's name where it is unknown), ``subset``, ``pred`` and ``true``
        ``(K, 2)`` image pixels, ``reported``, ``present``, ``labelled`` and ``uncertainty``
        ``(K,)``, ``magnification`` (1 where it is unknown), and what the model offers of
        ``presence`` ``(K,)``, ``covariance`` ``(K, 2, 2)`` image pixels squared, ``evidence`` and
        ``decisions`` ``(K, 3)``, ``interval_scale`` and ``interval_offset`` ``(M,)`` and
        ``error_correlation`` ``(2 K, 2 K)``.

    Raises:
        ValueError: there is not exactly one instance with the landmarks of the truth.
    """
    pred, truth = sample['pred_instances'], sample['raw_ann_info']
    points, scores = _array(pred['keypoints']), _array(pred['keypoint_scores'])
    count = len(truth['points'])
    if points.shape != (1, count, 2):
        raise ValueError(
            f'{truth["file_name"]}: predicted keypoints are {points.shape}; a radiograph needs one '
            f'instance of {count} landmarks, (1, {count}, 2)'
        )
    labelled = np.asarray(truth['labelled'], bool)
    reported = _array(pred.get('keypoints_visible', np.ones(count))).reshape(count)
    if 'keypoint_uncertainties' not in pred and np.array_equal(reported, scores[0]):
        reported = np.ones(count)  # a stock model decides nothing: MMPose repeats the scores there
    result = dict(
        patient=str(truth.get('patient_id') or truth['file_name']),
        subset=truth['subset'],
        pred=points[0].astype(float),
        reported=(reported > 0.5) & labelled,
        uncertainty=_array(pred.get('keypoint_uncertainties', 1 - scores))[0].astype(float),
        true=np.asarray(truth['points'], float),
        present=np.asarray(truth['present'], bool) & labelled,
        labelled=labelled,
        magnification=float(truth.get('magnification') or 1.0),
    )
    for name, field in _OPTIONAL.items():
        if field in pred:
            result[name] = _array(pred[field])[0]
    if 'decisions' in result:
        result['decisions'] = (result['decisions'] > 0.5) & labelled[:, None]
    return result


def stack(results: Sequence[Mapping[str, Any]], landmarks: LandmarkSet = HIP) -> Table:
    """Return a table of the columns that all results have; of length 0 without results."""
    if not results:
        each = (len(landmarks),)
        numbers = dict(pred=(*each, 2), true=(*each, 2), uncertainty=each, scale=(2,))
        table = {name: np.empty((0, *shape)) for name, shape in numbers.items()}
        table |= {name: np.empty((0, *each), bool) for name in ('reported', 'present', 'labelled')}
        words = {name: np.empty(0, str) for name in ('patient', 'subset')}
        return {**table, **words, 'magnification': np.empty(0)}
    shared = [name for name in results[0] if all(name in result for result in results)]
    return {name: _column([result[name] for result in results]) for name in shared}


def _column(values: list[Any]) -> np.ndarray:
    """Return the values of all images as one array; of one object it is a view that repeats it."""
    if all(value is values[0] for value in values):
        return np.broadcast_to(values[0], (len(values), *np.shape(values[0])))
    return np.array(values)


def decisions(table: Table) -> Table:
    """Return what each way to decide reports of the same landmarks, ``(N, K)`` bool.

    ``keep_all``, ``reject_all``, ``oracle`` (exactly the present ones) and, where the model has our
    own head, each evidence by itself: ``peak``, ``paf`` and ``fused``.
    """
    ways = dict(
        keep_all=table['labelled'],
        reject_all=np.zeros_like(table['labelled']),
        oracle=table['present'],
    )
    if 'decisions' in table:
        ways |= {name: table['decisions'][..., i] for i, name in enumerate(DECIDERS)}
    return ways


class SampleMetric(BaseMetric):
    """A metric that keeps one result for each image and computes everything at the end.

    Keys are ``subset/figure`` for ``all``, ``structured`` and ``unstructured``. With
    ``bootstrap``, ``subset/figure_low`` and ``subset/figure_high`` are the ends of the 95 %
    percentile interval over resampled patients. A subclass gives :meth:`summary`, and perhaps
    :meth:`derive` and :meth:`fixed`, and a ``default_prefix``: MMEngine refuses to run two metrics
    with a key in common. It names the further columns of :func:`unpack` that it ``reads``, and
    those that nothing but :meth:`derive` does, which are ``spent`` then: no image's results are
    larger than its figures need.

    Args:
        unit: ``'mm'``, or ``'px'`` of the image file when spacings are unknown.
        plane: ``'detector'``: lengths as on the detector, equation (11) of the paper; ``'bone'``:
            divided by the magnification.
        bootstrap: number of resamples; 0 for no intervals.
        collect_device: see ``BaseMetric``.
        prefix: see ``BaseMetric``.

    Raises:
        ValueError: an argument is unknown, or an image without spacing is to be judged in mm.
    """

    reads: ClassVar[tuple[str, ...]] = ()
    spent: ClassVar[tuple[str, ...]] = ()
    knows_px: ClassVar[bool] = True

    def __init__(
        self,
        unit: str = 'mm',
        plane: str = 'detector',
        bootstrap: int = 0,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if unit not in ('mm', 'px'):
            raise ValueError(f"unit must be 'mm' or 'px', not {unit!r}")
        if plane not in ('detector', 'bone'):
            raise ValueError(f"plane must be 'detector' or 'bone', not {plane!r}")
        if bootstrap < 0:
            raise ValueError(f'bootstrap must be a number of resamples, not {bootstrap!r}')
        self.unit = unit
        self.plane = plane
        self.bootstrap = bootstrap

    @property
    def landmarks(self) -> LandmarkSet:
        """Those of the data set."""
        return landmarks_of(self.dataset_meta)

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Keep what one batch says: one result for each image."""
        for sample in data_samples:
            row = dict(unpack(sample), scale=self._scale(sample['raw_ann_info']))
            kept = {name: row[name] for name in (*_ALWAYS, *self.reads) if name in row}
            last = self.results[-1] if self.results else {}
            for name in _CONSTANTS:  # held once, as long as the calibration is the same
                if name in kept and np.array_equal(kept[name], last.get(name), equal_nan=True):
                    kept[name] = last[name]
            self.results.append(kept)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Summarise all images, by subset."""
        table = stack(results, self.landmarks)
        derived = self.derive(table)
        table = {name: table[name] for name in table if name not in self.spent} | derived
        figures: dict[str, float] = {}
        for subset in SUBSETS:
            chosen = slice(None) if subset == 'all' else table['subset'] == subset
            rows = {name: values[chosen] for name, values in table.items()}
            part = {**self.fixed(rows), **self._with_intervals(rows)}
            figures.update({f'{subset}/{name}': float(value) for name, value in part.items()})
        return figures

    def derive(self, table: Table) -> Table:
        """Return further columns that the figures are read from."""
        return {}

    def fixed(self, table: Table) -> dict[str, float]:
        """Return figures that are not resampled: counts, and intervals of their own."""
        return {}

    def summary(self, table: Table) -> dict[str, float]:
        """Return the figures of a table, always the same names; NaN where there is nothing."""
        raise NotImplementedError

    def _with_intervals(self, table: Table) -> dict[str, float]:
        if not self.bootstrap:
            return self.summary(table)
        intervals = bootstrap_intervals(table, self.summary, table['patient'], self.bootstrap)
        figures = {name: interval.value for name, interval in intervals.items()}
        for name, interval in intervals.items():
            figures.update({f'{name}_low': interval.low, f'{name}_high': interval.high})
        return figures

    def _scale(self, truth: Mapping[str, Any]) -> tuple[float, float]:
        """Return the length of a pixel along x and y, in ``unit``."""
        if self.unit == 'px':
            return (1.0, 1.0)
        spacing = truth['pixel_spacing']
        if spacing is None:
            other = f" or use {type(self).__name__}(unit='px')" if self.knows_px else ''
            raise ValueError(
                f'{truth["file_name"]}: no pixel_spacing, so errors in mm cannot be given; add '
                f'pixel_spacing to its image in the annotation file{other}'
            )
        magnification = truth['magnification'] if self.plane == 'bone' else 1.0
        return (spacing[0] / magnification, spacing[1] / magnification)


def _array(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return np.asarray(value)
