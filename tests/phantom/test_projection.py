"""The projector against chords that geometry gives."""

import numpy as np
import pytest

from unsct_mmpose.phantom.projection import ConeBeam, project


def beam(**options):
    defaults = {
        'source_detector_mm': 1100.0, 'source_patient_mm': 950.0, 'aim_mm': (0.0, 0.0),
        'size_hw': (96, 120), 'spacing_xy_mm': (0.8, 0.8), 'foot_px': (59.5, 47.5),
    }  # fmt: skip
    return ConeBeam(**{**defaults, **options})


def ball_volume(center, radius, voxel):
    voxel = np.asarray(voxel, float)
    count = np.ceil(2 * (radius + 3) / voxel).astype(int)
    origin = np.asarray(center) - voxel * (count - 1) / 2
    z, y, x = np.meshgrid(*(origin[i] + voxel[i] * np.arange(count[i]) for i in (2, 1, 0)),
                          indexing='ij')  # fmt: skip
    away = np.sqrt((x - center[0]) ** 2 + (y - center[1]) ** 2 + (z - center[2]) ** 2)
    return np.clip(0.5 - (away - radius) / voxel.mean(), 0, 1).astype(np.float32), origin


def chord(center, radius, geometry):
    """Length of each ray inside a ball: the analytic oracle."""
    h, w = geometry.size_hw
    x = (np.arange(w) - geometry.foot_px[0]) * geometry.spacing_xy_mm[0]
    y = (np.arange(h) - geometry.foot_px[1]) * geometry.spacing_xy_mm[1]
    x, y = np.meshgrid(x, y)
    ray = np.stack([x, y, np.full_like(x, geometry.source_detector_mm)], -1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    source = np.array([*geometry.aim_mm, -geometry.source_patient_mm])
    along = (np.asarray(center) - source) @ ray[..., None]
    gap2 = ((np.asarray(center) - source) ** 2).sum() - along[..., 0] ** 2
    return 2 * np.sqrt(np.maximum(radius**2 - gap2, 0))


@pytest.mark.parametrize('center', [(0, 0, 0), (14, -9, 25), (-10, 6, -40)])
@pytest.mark.parametrize('aim', [(0.0, 0.0), (9.0, -14.0)])
def test_a_ball_casts_its_chord_lengths(center, aim):
    geometry = beam(aim_mm=aim, foot_px=(55.0, 44.0))
    volume, origin = ball_volume(center, 16.0, (0.8, 0.8, 0.8))
    image = project(volume, (0.8, 0.8, 0.8), origin, geometry)
    expected = chord(center, 16.0, geometry)
    inner = expected > 12
    assert inner.sum() > 100
    assert np.abs(image - expected)[inner].max() < 0.5
    assert image.sum() == pytest.approx(expected.sum(), rel=0.01)


def test_slices_may_be_thicker_than_pixels_and_pixels_need_not_be_square():
    geometry = beam(spacing_xy_mm=(0.7, 1.1), size_hw=(80, 130), foot_px=(64.0, 40.0))
    volume, origin = ball_volume((3, 2, 10), 16.0, (0.7, 0.9, 1.5))
    image = project(volume, (0.7, 0.9, 1.5), origin, geometry)
    expected = chord((3, 2, 10), 16.0, geometry)
    inner = expected > 14
    assert np.abs(image - expected)[inner].max() < 0.9


def test_the_shadow_of_a_plane_object_is_magnified():
    geometry = beam(source_detector_mm=1200.0, source_patient_mm=1000.0)
    image = project(
        np.ones((1, 41, 41), np.float32), (1.0, 1.0, 1.0), (-20.0, -20.0, 0.0), geometry
    )
    width_mm = image[48].sum() / image[48].max() * 0.8
    assert geometry.magnification == pytest.approx(1.2)
    assert width_mm == pytest.approx(41 * 1.2, rel=0.02)


def test_points_are_projected_where_the_image_shows_them():
    geometry = beam(aim_mm=(4.0, -3.0))
    center = np.array([12.0, 10.0, 30.0])
    volume, origin = ball_volume(center, 4.0, (0.5, 0.5, 0.5))
    image = project(volume, (0.5, 0.5, 0.5), origin, geometry)
    y, x = np.indices(image.shape)
    seen = np.array([(image * x).sum(), (image * y).sum()]) / image.sum()
    assert np.allclose(seen, geometry.pixels(center), atol=0.05)


def test_oblique_rays_see_a_longer_path():
    geometry = beam(size_hw=(3, 801), foot_px=(400.0, 1.0), spacing_xy_mm=(1.0, 1.0))
    slab = np.ones((10, 9, 1201), np.float32)
    image = project(slab, (1.0, 1.0, 1.0), (-600.0, -4.0, -4.5), geometry)
    assert image[1, 400] == pytest.approx(10.0, rel=1e-5)
    assert image[1, 0] == pytest.approx(10.0 * np.hypot(1100, 400) / 1100, rel=1e-3)


def test_a_volume_beside_the_detector_leaves_no_shadow():
    image = project(np.ones((4, 4, 4), np.float32), (1, 1, 1), (900.0, 0.0, 0.0), beam())
    assert not image.any()


def test_the_volume_is_not_changed():
    volume = np.random.default_rng(0).random((5, 6, 7)).astype(np.float32)
    before = volume.copy()
    project(volume, (1, 1, 1), (0.0, 0.0, 0.0), beam())
    assert np.array_equal(volume, before)


def test_empty_space_around_a_volume_changes_no_bit():
    rng = np.random.default_rng(4)
    volume = np.zeros((6, 70, 90), np.float32)
    for layer in volume[1:-1]:
        rows, columns = rng.integers(5, 60), rng.integers(5, 80)
        layer[:rows, :columns] = rng.random((rows, columns))
    step, origin = (0.7, 0.9, 1.5), (-30.0, -25.0, -4.0)
    expected = project(volume, step, origin, beam())
    assert (expected > 0).mean() > 0.1
    roomy = np.zeros((9, 100, 140), np.float32)
    roomy[:6, :70, :90] = volume
    assert np.array_equal(project(roomy, step, origin, beam()), expected)
    assert np.array_equal(project(iter(volume), step, origin, beam()), expected)
