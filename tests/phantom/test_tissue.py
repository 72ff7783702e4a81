"""Soft tissue on the detector."""

from dataclasses import replace

import numpy as np
import pytest

from unsct_mmpose.phantom.projection import ConeBeam
from unsct_mmpose.phantom.tissue import Habitus, sample_habitus, tissue_path

HABITUS = Habitus(depth_mm=210, waist_mm=150, hips_mm=180, thigh_mm=85, fat_mm=18)
SHAFTS = np.array([[[118.0, 75, 0], [116, 117, 0]], [[-118, 75, 0], [-116, 117, 0]]])


def beam(size=256, **options):
    spacing = 430 / size
    return ConeBeam(1100, 960, (0.0, -10.0), (size, size), (spacing, spacing),
                    ((size - 1) / 2, (size - 1) / 2), **options)  # fmt: skip


def path(habitus=HABITUS, size=256, seed=0, shafts=SHAFTS):
    return tissue_path(habitus, beam(size), shafts, np.random.default_rng(seed))


def test_the_trunk_is_about_as_thick_as_the_person_and_air_is_empty():
    image = path()
    assert image.shape == (256, 256) and image.min() >= 0
    assert image[100:140, 110:146].mean() == pytest.approx(210, rel=0.15)
    assert path(replace(HABITUS, waist_mm=120, hips_mm=130, thigh_mm=60))[40, 2] == 0


def test_between_the_thighs_there_is_air():
    image = path()
    row = image[250]
    assert row[124:132].max() < 20
    assert row[180:200].mean() > 60


def test_a_heavier_person_absorbs_more():
    assert path(replace(HABITUS, depth_mm=260)).sum() > path().sum()


def test_thighs_follow_the_femora():
    moved = SHAFTS + np.array([[[25.0, 0, 0]], [[0.0, 0, 0]]])
    x = np.arange(256)

    def middle(image):
        row = image[240, 128:]
        return (row * x[128:]).sum() / row.sum()

    assert middle(path(shafts=moved)) > middle(path()) + 5


def test_the_path_does_not_depend_on_the_resolution():
    flat = replace(HABITUS)
    coarse, fine = path(flat, 128), path(flat, 256)
    fine = fine.reshape(128, 2, 128, 2).mean((1, 3))
    # Muscles and gas are drawn anew on each grid: compare on average.
    assert coarse.mean() == pytest.approx(fine.mean(), rel=0.03)
    assert np.corrcoef(coarse.ravel(), fine.ravel())[0, 1] > 0.97


def test_odd_sizes_work():
    odd = ConeBeam(1100, 960, (0, 0), (101, 67), (4.0, 4.0), (33.0, 50.0))
    assert tissue_path(HABITUS, odd, SHAFTS, np.random.default_rng(0)).shape == (101, 67)


def test_habitus_grows_with_the_person():
    small, large = (np.mean([sample_habitus(np.random.default_rng(s), width).hips_mm
                             for s in range(50)]) for width in (160, 190))  # fmt: skip
    assert large > small
