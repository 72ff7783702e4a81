import numpy as np
import pytest

from unsct_mmpose.anatomy import HIP, LandmarkEstimate
from unsct_mmpose.drawing.overlay import (
    TRUTH_RGB,
    draw_landmarks,
    ellipse_outline,
    landmark_legend,
)
from unsct_mmpose.drawing.strokes import FAIR, LEVELS, REJECTED, SURE, UNKNOWN, certainty_of
from unsct_mmpose.functional.geometry import regions_of


@pytest.fixture
def points():
    columns, rows = np.meshgrid(np.linspace(40, 260, 6), np.linspace(40, 160, 4))
    return np.stack([columns.ravel(), rows.ravel()], axis=1)


def landmarks(points, reported=None, presence=None, covariance=None):
    region = None if covariance is None else regions_of(np.asarray(covariance)[None], 0.95)[0]
    return [
        LandmarkEstimate(
            name,
            *points[k].tolist(),
            reported=reported is None or bool(reported[k]),
            presence=None if presence is None else float(presence[k]),
            region=region,
        )
        for k, name in enumerate(HIP.names)
    ]


@pytest.fixture
def image():
    return np.zeros((200, 300), np.uint8)


def color_at(picture, point, scale):
    x, y = np.rint((point + 0.5) * scale - 0.5).astype(int)
    return tuple(int(value) for value in picture[y, x])


def has(picture, color):
    return bool((picture == color).all(axis=-1).any())


def test_levels_have_their_colours_at_their_places(image, points):
    presence = np.full(24, 0.995)
    presence[12:] = 0.95
    picture = draw_landmarks(image, landmarks(points, presence=presence), long_side_px=600)
    assert picture.shape == (400, 600, 3)
    assert color_at(picture, points[0], 2.0) == SURE.rgb
    assert color_at(picture, points[23], 2.0) == FAIR.rgb


def test_every_level_is_drawn_in_its_colour(image, points):
    presence = np.resize([0.995, 0.95, 0.5], 24)
    reported = np.arange(24) < 20
    drawn = landmarks(points, reported, presence)
    drawn += [LandmarkEstimate('more', 20.0, 20.0)]
    picture = draw_landmarks(image, drawn, [*HIP.labels, 'x'], long_side_px=600)
    assert {certainty_of(landmark) for landmark in drawn} == set(LEVELS)
    for level in LEVELS:  # a thin ring is nowhere quite white
        assert (np.abs(picture.astype(int) - level.rgb).max(axis=-1) < 30).any(), level.key


def test_rejected_landmarks_are_crossed_out(image, points):
    reported = np.ones(24, dtype=bool)
    assert not has(draw_landmarks(image, landmarks(points, reported)), REJECTED.rgb)
    reported[0] = False
    assert has(draw_landmarks(image, landmarks(points, reported)), REJECTED.rgb)


def test_only_present_true_landmarks_are_drawn(image, points):
    nobody = np.zeros(24, dtype=bool)
    drawn = landmarks(points)
    assert has(draw_landmarks(image, drawn, truth=points), TRUTH_RGB)
    assert not has(draw_landmarks(image, drawn, truth=points, present=nobody), TRUTH_RGB)


def test_only_reported_landmarks_are_joined_to_the_true_ones(image, points):
    def join(reported):  # in the middle between prediction and truth, nothing else is drawn
        drawn = landmarks(points, np.full(24, reported))
        picture = draw_landmarks(image, drawn, truth=points + (0, 12), long_side_px=900)
        return color_at(picture, points[0] + (0, 6), 3.0)

    assert join(True)[1] > 150 and join(False) == (0, 0, 0)


def test_landmarks_far_outside_do_not_crash(image, points):
    points[3] = (1e7, -1e7)
    assert draw_landmarks(image, landmarks(points)).shape[2] == 3


def test_the_radiograph_is_not_drawn_on(image, points):
    draw_landmarks(image, landmarks(points))
    assert image.max() == 0


def test_a_region_is_as_large_as_its_covariance_claims():
    covariance = np.array([[9.0, 2.0], [2.0, 4.0]])
    (region,) = regions_of(covariance[None], 0.95)
    outline = ellipse_outline(np.array(region.semi_axes_px), region.angle_deg)
    squared = np.einsum('ni,ij,nj->n', outline, np.linalg.inv(covariance), outline)
    np.testing.assert_allclose(squared, 5.991, atol=1e-3)  # chi2, two degrees of freedom, 95 %


@pytest.mark.parametrize('covariance', [np.full((2, 2), np.nan), np.zeros((2, 2))])
def test_no_region_is_drawn_without_a_covariance(image, points, covariance):
    plain = draw_landmarks(image, landmarks(points))
    picture = draw_landmarks(image, landmarks(points, covariance=covariance))
    np.testing.assert_array_equal(picture, plain)


def test_only_reported_landmarks_have_a_region(image, points):
    reported = np.ones(24, dtype=bool)

    def changed():
        plain = draw_landmarks(image, landmarks(points, reported))
        with_regions = landmarks(points, reported, covariance=np.eye(2) * 20)
        return (draw_landmarks(image, with_regions) != plain).sum()

    everywhere = changed()
    reported[:12] = False
    assert 0 < changed() < 0.6 * everywhere


def test_a_landmark_that_is_nowhere_is_not_drawn(image, points):
    nowhere = landmarks(np.full_like(points, np.nan))
    assert draw_landmarks(image, nowhere).max() == 0


def test_sixteen_bits_are_drawn():
    image = np.tile(np.linspace(0, 4095, 300), (200, 1)).astype(np.uint16)
    picture = draw_landmarks(image, [], [])
    assert picture[:, 0].max() < 10 and picture[:, -1].min() > 245


def test_the_legend_shows_the_levels_that_are_there_and_fits(points):
    presence = np.full(24, 0.995)
    drawn = landmarks(points, np.arange(24) > 0, presence)
    for width in (200, 900):
        legend = landmark_legend(width, drawn, truth=True)
        assert legend.shape[1] == width
        assert has(legend, SURE.rgb) and has(legend, REJECTED.rgb)
        assert not has(legend, UNKNOWN.rgb) and not has(legend, FAIR.rgb)
    assert len(landmark_legend(200, drawn)) > len(landmark_legend(900, drawn))
