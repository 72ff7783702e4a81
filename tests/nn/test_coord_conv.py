import numpy as np
import pytest
import torch

from unsct_mmpose.nn import boundary_channels, coordinate_channels


def test_the_corners_are_the_ends_of_both_ranges():
    x, y, radius = coordinate_channels(torch.zeros(1, 4, 5, 9))[0]
    assert (x[:, 0] == -1).all() and (x[:, -1] == 1).all()
    assert (y[0] == -1).all() and (y[-1] == 1).all()
    for row in (0, -1):
        for column in (0, -1):
            assert radius[row, column] == pytest.approx(1)


def test_x_runs_along_the_width_y_along_the_height_in_equal_steps():
    x, y, _ = coordinate_channels(torch.zeros(2, 4, 4, 6))[1]
    np.testing.assert_allclose(x, np.tile(np.linspace(-1, 1, 6), (4, 1)), atol=1e-6)
    np.testing.assert_allclose(y, np.tile(np.linspace(-1, 1, 4)[:, None], (1, 6)), atol=1e-6)


def test_the_radius_is_the_distance_from_the_centre_over_its_maximum():
    x, y, radius = coordinate_channels(torch.zeros(1, 1, 7, 5))[0]
    torch.testing.assert_close(radius, torch.hypot(x, y) / 2**0.5)
    assert radius[3, 2] == 0


def test_mirroring_the_map_negates_x_alone():
    coords = coordinate_channels(torch.zeros(1, 1, 6, 9))
    signs = torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    torch.testing.assert_close(coords.flip(-1), coords * signs)


@pytest.mark.parametrize('size', [(1, 1), (1, 6), (6, 1), (2, 1)])
def test_an_axis_of_one_cell_lies_at_zero(size):
    coords = coordinate_channels(torch.zeros(1, 1, *size))[0]
    assert torch.isfinite(coords).all()
    assert coords.abs().max() <= 1
    for axis, length in enumerate(reversed(size)):
        if length == 1:
            assert not coords[axis].any()


def test_all_images_and_channels_share_the_coordinates():
    coords = coordinate_channels(torch.zeros(3, 64, 4, 6))
    assert coords.shape == (3, 3, 4, 6)
    assert torch.equal(coords[0], coords[2])
    assert torch.equal(coords[:1], coordinate_channels(torch.ones(1, 1, 4, 6)))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_the_type_is_that_of_the_features_and_the_precision_all_it_has(dtype):
    coords = coordinate_channels(torch.zeros(1, 1, 3, 4097, dtype=dtype))
    assert coords.dtype == dtype
    exact = torch.linspace(-1, 1, 4097, dtype=torch.float64)
    rounding = torch.finfo(dtype).eps / 4 + 1e-6
    torch.testing.assert_close(coords[0, 0, 0].double(), exact, atol=rounding, rtol=0)


def coords_and_boundary(seed=0):
    generator = torch.Generator().manual_seed(seed)
    coords = coordinate_channels(torch.zeros(2, 1, 5, 7))[:, :2]
    boundary = torch.rand(2, 1, 5, 7, generator=generator) * 0.2 - 0.05
    return coords, boundary


def test_away_from_the_threshold_coordinates_are_shown_or_not():
    coords = coordinate_channels(torch.zeros(1, 1, 4, 4))[:, :2]
    for value in (-3.0, 0.0, 0.1, 1.0, 50.0):
        shown = boundary_channels(coords, torch.full((1, 1, 4, 4), value))
        torch.testing.assert_close(shown, coords * (value > 0.05), atol=0.01, rtol=0)


def test_a_soft_boundary_is_half_open_at_its_threshold_and_opens_steadily():
    coords = torch.ones(1, 2, 1, 9)
    boundary = torch.linspace(0.03, 0.07, 9).reshape(1, 1, 1, 9)
    gate = boundary_channels(coords, boundary)[0, 0, 0]
    assert gate[4].item() == pytest.approx(0.5)
    assert (gate.diff() > 0).all()


def test_a_boundary_passes_a_gradient():
    coords, boundary = coords_and_boundary()
    coords, boundary = coords.requires_grad_(), boundary.requires_grad_()
    boundary_channels(coords, boundary).square().sum().backward()
    assert boundary.grad.any() and torch.isfinite(boundary.grad).all()


def test_the_soft_gradient_is_that_of_finite_differences():
    coords, boundary = (maps.double() for maps in coords_and_boundary())
    boundary.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda b: boundary_channels(coords, b), (boundary,), eps=1e-7, atol=1e-4
    )
