"""A table of evidence as a trained network would give it."""

import numpy as np
import pytest
import torch

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.functional.calibration_fit import EvidenceTable
from unsct_mmpose.functional.evidence import ReadingOptions, read_evidence
from unsct_mmpose.functional.heatmap import draw_heatmaps
from unsct_mmpose.functional.paf import draw_paf

FULL = relation_set('full')


@pytest.fixture(scope='module')
def table():
    """Twelve images of four patients, maps drawn from their landmarks, faint where absent."""
    rng = np.random.default_rng(0)
    count = 12
    true = rng.uniform(6, 26, (count, 24, 2))
    present = rng.random((count, 24)) > 0.15
    present[::3] = True
    seen = torch.from_numpy(present)
    points = torch.from_numpy(true + rng.normal(0, 0.3, true.shape))
    shown = torch.ones_like(seen)
    strength = torch.where(seen, 0.9, 0.25) + torch.from_numpy(rng.normal(0, 0.1, seen.shape))
    heatmaps = draw_heatmaps(points, shown, (32, 32), 1.5) * strength[..., None, None]
    fields_ = draw_paf(points, seen, FULL.pairs, (32, 32)) * 0.6
    evidence = read_evidence(heatmaps, fields_, FULL.pairs, ReadingOptions(sigma=1.5))
    return EvidenceTable(
        evidence=evidence,
        points_px=evidence.points.numpy().astype(float) * 8,
        covariances_px=evidence.covariances.numpy().astype(float) * 64,
        true_px=true * 8,
        present=present,
        labelled=np.ones((count, 24), bool),
        spacing_xy_mm=np.full((count, 2), 0.7),
        magnification=np.ones(count),
        patients=np.array([f'p{index % 4}' for index in range(count)]),
        subsets=np.where(present.all(axis=1), 'structured', 'unstructured'),
        files=np.array([f'{index}.dcm' for index in range(count)]),
    )
