"""Metric ``THAPaperMetric``: the paper's own protocol, for comparison with its tables only."""

from __future__ import annotations

from collections.abc import Sequence

from mmpose.registry import METRICS

from unsct_mmpose.functional.paper_protocol import PaperFigures, paper_figures

from .samples import SampleMetric, Table


@METRICS.register_module()
class THAPaperMetric(SampleMetric):
    """The figures of the paper's Tables 3-5: absent and rejected landmarks stand at (0, 0).

    Every key starts with ``paper/``: ``paper/subset/MRE``, ``NME``, ``SDR@2mm`` (of landmarks),
    ``SDR_images@2mm`` (the paper's counts look like images), ``PCC``, ``ICC`` (the form ICC(A,1))
    and ``t_test_p``, the last three over pixel coordinates. ``paper/subset/keep_all/MRE`` and so
    on are from the same weights when every landmark is reported, the paper's *ori* beside its
    *UNSCT*. Correlations of coordinates are close to 1 for any two observers, and p > 0.05 is NOT
    evidence of agreement: ``THAClinicalMetric`` says more. Unlabelled landmarks count nowhere. A
    figure of nothing is NaN.

    Args:
        radii: radii of the success detection rates, mm on the detector.
        norm_scale: scale of the normalised mean error's distance.
        **kwargs: keyword arguments of :class:`~unsct_mmpose.evaluation.samples.SampleMetric`, but
            ``unit`` and ``plane``.

    Raises:
        ValueError: an image has no pixel spacing.
    """

    knows_px = False

    def __init__(self, radii: Sequence[float] = (2.0,), norm_scale: float = 0.5, **kwargs) -> None:
        super().__init__(unit='mm', plane='detector', **kwargs)
        self.radii = tuple(radii)
        self.norm_scale = norm_scale

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Summarise all images by subset, under keys that say whose protocol it is."""
        return {f'paper/{key}': value for key, value in super().compute_metrics(results).items()}

    def fixed(self, table: Table) -> dict[str, float]:
        """Return counts, and the p values of the t tests."""
        return dict(
            images=len(table['reported']),
            NME_dropped_images=self._figures(table, 'reported').nme_dropped_images,
            **{
                f'{name}t_test_p': self._figures(table, decision).t_test_p
                for name, decision in _DECISIONS.items()
            },
        )

    def summary(self, table: Table) -> dict[str, float]:
        """Return the figures of what is reported, and of reporting everything."""
        figures: dict[str, float] = {}
        for name, decision in _DECISIONS.items():
            paper = self._figures(table, decision)
            figures[f'{name}MRE'] = paper.mre
            figures[f'{name}NME'] = paper.nme
            rates = zip(self.radii, paper.sdr_landmarks, paper.sdr_images, strict=True)
            for radius, of_landmarks, of_images in rates:
                figures[f'{name}SDR@{radius:g}mm'] = of_landmarks
                figures[f'{name}SDR_images@{radius:g}mm'] = of_images
            figures[f'{name}PCC'] = paper.pcc.value
            figures[f'{name}ICC'] = paper.icc.value
        return figures

    def _figures(self, table: Table, decision: str) -> PaperFigures:
        return paper_figures(
            table['pred'],
            table[decision],
            table['true'],
            table['present'],
            table['labelled'],
            table['scale'],
            radii_mm=self.radii,
            norm_scale=self.norm_scale,
            landmarks=self.landmarks,
        )


_DECISIONS = {'': 'reported', 'keep_all/': 'labelled'}
