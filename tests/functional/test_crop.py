import numpy as np
import pytest

from unsct_mmpose.functional.crop import crop_whole_image, cut_out, grey_levels


@pytest.mark.parametrize('size', [(400, 200), (200, 400), (317, 251), (64, 64)])
def test_a_point_comes_back_from_the_input(size):
    frame = crop_whole_image(size, (96, 128))
    points = np.random.default_rng(0).uniform(0, 60, (7, 2))
    matrix = frame.matrix()
    there = points @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(frame.to_image(there), points, atol=1e-3)


@pytest.mark.parametrize('size', [(400, 200), (200, 400), (317, 251)])
def test_the_whole_image_is_inside_its_frame(size):
    frame = crop_whole_image(size, (96, 128))
    corners = np.array([(0, 0), size], float)
    there = corners @ frame.matrix()[:, :2].T + frame.matrix()[:, 2]
    assert there.min() >= -1e-3
    assert (there[1] <= np.array([96, 128]) + 1e-3).all()
    assert np.isclose(there, [[0, 0], [96, 128]], atol=1e-3).all(axis=0).any()


def test_padding_makes_the_image_smaller_in_the_input():
    near, far = (crop_whole_image((300, 200), (64, 64), padding) for padding in (1.0, 1.25))
    np.testing.assert_allclose(far.pixel_xy, 1.25 * near.pixel_xy)


def test_outside_the_image_is_black():
    image = np.full((100, 400), 200, np.uint8)
    cut = cut_out(image, crop_whole_image((400, 100), (64, 64)))
    assert cut.shape == (64, 64)
    assert cut[:20].max() == cut[-20:].max() == 0
    assert cut[30:34].min() == 200


def test_grey_levels_are_rounded_not_cut_off():
    assert grey_levels(np.array([[0.0, 0.1, 0.9999, 1.0]], np.float32)).tolist() == [
        [0, 26, 255, 255]
    ]
