"""Sacrum and lumbar vertebrae."""

import numpy as np

from unsct_mmpose.phantom.dimensions import sample_dimensions
from unsct_mmpose.phantom.pelvis import hip_bone
from unsct_mmpose.phantom.spine import spine
from unsct_mmpose.phantom.volume import evaluate


def test_the_spine_is_symmetric():
    bone = spine(sample_dimensions(np.random.default_rng(0)))
    points = np.random.default_rng(1).uniform([0, -150, 0], [50, 0, 90], (2000, 3))
    for shapes in (bone.solids, bone.cuts):
        both = []
        for sign in (1.0, -1.0):
            x, y, z = (points[:, i] * (sign if i == 0 else 1.0) for i in range(3))
            grid = [s.distance(*(a.astype(np.float32).reshape(-1, 1) for a in (x, y, z)))
                    for s, _ in shapes]  # fmt: skip
            both.append(np.min(grid, axis=0))
        assert np.allclose(*both, atol=1e-3)


def test_it_reaches_from_the_lumbar_vertebrae_to_the_coccyx():
    grid = evaluate(spine(sample_dimensions(np.random.default_rng(0))), (1.5, 1.5, 1.5))
    rows = np.flatnonzero((grid.values < 0).any(axis=(0, 2))) * 1.5 + grid.origin_mm[1]
    assert rows.min() < -165 and -25 < rows.max() < 30


def test_sacrum_and_ilium_hardly_overlap():
    person = sample_dimensions(np.random.default_rng(2))
    sacrum = evaluate(spine(person), (1.5, 1.5, 1.5))
    hip = hip_bone(person, person.left)
    flat = np.flatnonzero(sacrum.values < -0.5)
    x, y, z = (p.reshape(-1, 1) for p in sacrum.positions(flat))
    ilium = np.min([s.distance(x, y, z) for s, _ in hip.solids], axis=0)
    cut = np.min([s.distance(x, y, z) for s, _ in hip.cuts if hasattr(s, 'reach')], axis=0)
    overlap = (np.maximum(ilium, -cut) < -0.5).mean()
    assert overlap < 0.04
