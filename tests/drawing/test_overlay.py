import numpy as np
import pytest

from unsct_mmpose.drawing.overlay import (
    LEFT_RGB,
    RIGHT_RGB,
    SUPPRESSED_RGB,
    TRUTH_RGB,
    certainty_rgb,
    draw_landmarks,
    region_outline,
)


@pytest.fixture
def points():
    columns, rows = np.meshgrid(np.linspace(40, 260, 6), np.linspace(40, 160, 4))
    return np.stack([columns.ravel(), rows.ravel()], axis=1)


@pytest.fixture
def image():
    return np.zeros((200, 300), np.uint8)


def color_at(picture, point, scale):
    x, y = np.rint((point + 0.5) * scale - 0.5).astype(int)
    return tuple(int(value) for value in picture[y, x])


def has(picture, color):
    return bool((picture == color).all(axis=-1).any())


def test_sides_have_their_colours_at_their_places(image, points):
    picture = draw_landmarks(image, points, long_side_px=600)
    assert picture.shape == (400, 600, 3)
    assert color_at(picture, points[0], 2.0) == LEFT_RGB
    assert color_at(picture, points[23], 2.0) == RIGHT_RGB


def test_suppressed_landmarks_are_crossed_out(image, points):
    kept = np.ones(24, dtype=bool)
    assert not has(draw_landmarks(image, points, kept=kept), SUPPRESSED_RGB)
    kept[0] = False
    assert has(draw_landmarks(image, points, kept=kept), SUPPRESSED_RGB)


def test_only_present_true_landmarks_are_drawn(image, points):
    nobody = np.zeros(24, dtype=bool)
    assert has(draw_landmarks(image, points, truth=points), TRUTH_RGB)
    assert not has(draw_landmarks(image, points, truth=points, present=nobody), TRUTH_RGB)


def test_landmarks_far_outside_do_not_crash(image, points):
    points[3] = (1e7, -1e7)
    assert draw_landmarks(image, points).shape[2] == 3


def test_a_caption_adds_a_strip_and_changes_nothing_above(image, points):
    plain = draw_landmarks(image, points)
    captioned = draw_landmarks(image, points, caption='simulated')
    assert len(captioned) > len(plain)
    np.testing.assert_array_equal(captioned[: len(plain)], plain)


def test_the_radiograph_is_not_drawn_on(image, points):
    draw_landmarks(image, points)
    assert image.max() == 0


def test_discs_take_the_colours_of_certainty(image, points):
    certainty = np.linspace(0, 1, 24)
    picture = draw_landmarks(image, points, certainty=certainty, long_side_px=600)
    for index in (0, 12, 23):
        assert color_at(picture, points[index], 2.0) == certainty_rgb(certainty[index])


def test_more_certain_is_brighter_and_unknown_is_grey():
    light = [sum(certainty_rgb(value)) for value in np.linspace(0, 1, 9)]
    assert light == sorted(light) and light[0] < light[-1]
    assert len(set(certainty_rgb(np.nan))) == 1


def test_a_region_is_as_large_as_its_covariance_claims():
    covariance = np.array([[9.0, 2.0], [2.0, 4.0]])
    outline = region_outline(covariance)
    squared = np.einsum('ni,ij,nj->n', outline, np.linalg.inv(covariance), outline)
    np.testing.assert_allclose(squared, 5.991, atol=1e-3)  # chi2, two degrees of freedom, 95 %


def test_no_region_is_drawn_without_a_covariance():
    assert region_outline(np.full((2, 2), np.nan)) is None
    assert region_outline(np.zeros((2, 2))) is None


def test_only_reported_landmarks_have_a_region(image, points):
    kept = np.ones(24, dtype=bool)
    covariances = np.tile(np.eye(2) * 20, (24, 1, 1))

    def changed():
        plain = draw_landmarks(image, points, kept=kept)
        return (draw_landmarks(image, points, kept=kept, covariances=covariances) != plain).sum()

    everywhere = changed()
    kept[:12] = False
    assert 0 < changed() < 0.6 * everywhere


def test_every_line_of_a_caption_has_its_strip(image, points):
    one, two = (draw_landmarks(image, points, caption=words) for words in ('a', 'a\nb'))
    assert len(two) - len(one) == len(one) - len(draw_landmarks(image, points))


def test_a_landmark_that_is_nowhere_is_not_drawn(image, points):
    assert not has(draw_landmarks(image, np.full_like(points, np.nan)), LEFT_RGB)


def test_sixteen_bits_are_drawn(points):
    image = np.tile(np.linspace(0, 4095, 300), (200, 1)).astype(np.uint16)
    picture = draw_landmarks(image, np.full_like(points, np.nan))
    assert picture[:, 0].max() < 10 and picture[:, -1].min() > 245
