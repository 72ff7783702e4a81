"""What the entropy as printed, ``-w log w``, makes of alignments that were measured.

N images, K landmarks, L relations. Read beside docs/results/paper.md.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import ArrayLike

from unsct_mmpose.functional.presence import auroc_absent

from .evidence import Evidence
from .paf import Relations
from .uncertainty import EPSILON, alignment_entropy, landmark_alignment

QUANTILES = dict(low=0.05, median=0.5, high=0.95)
"""Names and ranks of the quantiles of :func:`describe_alignment`."""


def describe_alignment(
    evidence: Evidence, relations: Relations, present: ArrayLike, labelled: ArrayLike
) -> dict[str, float]:
    """Describe the alignments of present and of absent landmarks, and how well each form ranks.

    Three forms of the uncertainty are ranked by their AUROC for absence: the entropy as printed of
    the alignment per unit of length, clipped to [0, 1]; that alignment itself, which any entropy
    that falls with it ranks alike; and the entropy as printed of the integral of eq. (3),
    not divided by the length, in cells, which grows with the length of a relation.

    Args:
        evidence: of N images.
        relations: ``(L, 2)`` landmarks that each relation joins.
        present: ``(N, K)`` bool.
        labelled: ``(N, K)`` bool.

    Returns:
        ``AUROC/printed``, ``AUROC/alignment``, ``AUROC/integral``; for ``present`` and ``absent``
        the quantiles ``low``, ``median``, ``high`` (5, 50, 95 %) of the alignment, and ``rising``,
        the share below 1/e, where the printed entropy rises with the alignment. NaN where there is
        no such landmark.
    """
    present, labelled = np.asarray(present, bool), np.asarray(labelled, bool)
    count = evidence.peak.shape[1]

    def gather(aligned: torch.Tensor) -> torch.Tensor:
        return landmark_alignment(aligned, relations, count, aggregation='paper').alignment

    pairs = torch.as_tensor(relations, dtype=torch.long)
    ends = evidence.points[:, pairs[:, 1]] - evidence.points[:, pairs[:, 0]]
    alignment = gather(evidence.relation_alignment)
    integral = gather(evidence.relation_alignment * ends.norm(dim=-1)).clamp(min=0)
    forms = dict(
        printed=alignment_entropy(alignment, 'paper'),
        alignment=-alignment.clamp(0, 1),
        integral=-integral * torch.log(integral + EPSILON),
    )
    figures = {f'AUROC/{name}': auroc_absent(u, present, labelled) for name, u in forms.items()}
    for name, chosen in (('present', present & labelled), ('absent', ~present & labelled)):
        values = alignment.numpy()[chosen]
        for quantile, rank in QUANTILES.items():
            figures[f'{name}/{quantile}'] = (
                float(np.quantile(values, rank)) if values.size else math.nan
            )
        figures[f'{name}/rising'] = float((values < 1 / math.e).mean()) if values.size else math.nan
    return figures
