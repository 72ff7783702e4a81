import numpy as np
import pytest

from unsct_mmpose.visualization.overlay import (
    LEFT_RGB,
    RIGHT_RGB,
    SUPPRESSED_RGB,
    TRUTH_RGB,
    draw_landmarks,
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
