"""Regions grown from heatmaps hold what their score says."""

import numpy as np
import pytest
import torch

from unsct_mmpose.maps.grown_regions import cell_probabilities, grown_areas, mass_above


def blob(width=4.0, size=41):
    x = torch.arange(size, dtype=torch.float64) - size // 2
    line = torch.exp(-(x**2) / (2 * width**2))
    return (line[:, None] * line)[None, None]


def test_a_blob_is_a_distribution_and_its_regions_are_circles():
    shares = cell_probabilities(blob())
    assert shares.sum().item() == pytest.approx(1)
    areas = grown_areas(shares, [0.5, 0.9])[0, 0].numpy()
    expected = np.pi * 16 * -2 * np.log(1 - np.array([0.5, 0.9]))
    np.testing.assert_allclose(areas, expected, rtol=0.06)


def test_points_drawn_from_a_heatmap_have_uniform_masses_above_them():
    shares = cell_probabilities(blob())
    rng = np.random.default_rng(0)
    cells = rng.choice(shares.numel(), 4000, p=shares.flatten().numpy())
    points = torch.from_numpy(np.stack([cells % 41, cells // 41], axis=-1)).float()
    masses = mass_above(shares.expand(1, 4000, -1, -1), points[None])[0].numpy()
    for level in (0.3, 0.6, 0.9):
        assert (masses <= level).mean() == pytest.approx(level, abs=0.04)


def test_a_point_is_in_the_region_of_its_own_mass():
    maps = cell_probabilities(torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(0)))
    points = torch.tensor([[[2.0, 3.0], [10.0, 8.0], [0.0, 0.0]]] * 2)
    masses = mass_above(maps, points)
    for image in range(2):
        for landmark in range(3):
            mass = masses[image, landmark].item()
            column, row = points[image, landmark].long().tolist()
            own = maps[image, landmark, row, column]
            brighter = int((maps[image, landmark] >= own).sum())
            one = maps[image : image + 1, landmark : landmark + 1]
            assert grown_areas(one, [mass + 1e-6]).item() >= brighter


def test_a_point_off_the_map_and_a_silent_map_are_outside_everything():
    shares = cell_probabilities(torch.zeros(1, 1, 5, 5))
    assert torch.isfinite(shares).all()
    assert mass_above(cell_probabilities(blob()), torch.tensor([[[-3.0, 2.0]]])).item() == 1
