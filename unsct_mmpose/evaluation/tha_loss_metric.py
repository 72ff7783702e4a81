"""Metric ``THALossMetric``: the training loss on validation images, as the paper watches it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS


@METRICS.register_module()
class THALossMetric(BaseMetric):
    """What validation images would cost in training: ``loss`` and the terms that it is the sum of.

    The network computes them while it predicts, with ``model.test_cfg.output_loss=True``: no image
    is read or passed through the network again. Each figure is the mean over images, so that
    neither batches nor processes change it; an image without any labelled landmark says nothing
    and does not count, and a figure of nothing is NaN. ``save_best='loss', rule='less'`` keeps the
    checkpoint that the paper would.

    Args:
        collect_device: see ``BaseMetric``.
        prefix: see ``BaseMetric``.

    Raises:
        ValueError: the predictions carry no losses; the message says how to get them.
    """

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Keep the losses of each image."""
        for sample in data_samples:
            pred = sample['pred_instances']
            terms = {name: float(pred[name][0]) for name in pred if name.startswith('loss_')}
            if not terms:
                raise ValueError(
                    'THALossMetric: the predictions carry no losses; set '
                    'model.test_cfg.output_loss=True with a head of fields (HeatmapPAFHead and the '
                    'like), THADataset, and a pipeline that does not mirror the image'
                )
            labelled = np.any(sample['raw_ann_info']['labelled'])
            self.results.append(terms if labelled else dict.fromkeys(terms, np.nan))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Return the mean of each term and their sum."""
        counted = [terms for terms in results if not any(map(np.isnan, terms.values()))]
        means = dict.fromkeys(results[0] if results else (), np.nan)
        if counted:
            means = {name: float(np.mean([terms[name] for terms in counted])) for name in means}
        return dict(loss=float(sum(means.values())) if means else np.nan, **means)
