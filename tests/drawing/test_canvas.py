import numpy as np
import pytest

from unsct_mmpose.drawing.canvas import radiograph_panel, show_map, to_picture, whole
from unsct_mmpose.drawing.strokes import to_gray


@pytest.fixture
def ramp():
    return np.linspace(0, 1, 64 * 96).reshape(64, 96)


def test_eight_bits_stay_as_they_are(ramp):
    image = np.rint(ramp * 255).astype(np.uint8)
    np.testing.assert_array_equal(to_gray(image), image)
    np.testing.assert_array_equal(to_gray(np.stack([image] * 3, axis=-1)), image)


def test_sixteen_bits_and_floats_show_what_eight_bits_show(ramp):
    expected = ramp * 255
    for image in (
        (ramp * 4095).astype(np.uint16),
        (ramp * 30000 - 15000).astype(np.int16),
        ramp.astype(np.float32),
        ramp * 700 - 90,
    ):
        assert np.abs(to_gray(image) - expected).max() < 4


def test_a_single_bright_pixel_does_not_darken_the_rest(ramp):
    image = (ramp * 1000).astype(np.uint16)
    image[0, 0] = 65535
    assert np.median(to_gray(image)) > 100


def test_nan_and_constant_images_are_shown_too():
    assert to_gray(np.full((4, 4), np.nan)).max() == 0
    assert to_gray(np.full((4, 4), 900, np.uint16)).shape == (4, 4)


def test_no_image_is_refused():
    for shape in ((0, 4), (4,), (1, 2, 3, 4)):
        with pytest.raises(ValueError, match='pixels'):
            to_gray(np.zeros(shape))


def test_a_panel_has_the_size_that_was_asked_for(ramp):
    figure, _, _ = radiograph_panel(ramp, long_side_px=480, footer_px=40)
    assert to_picture(figure).shape == (320 + 40, 480, 3)


def test_the_radiograph_fills_its_panel(ramp):
    figure, _, _ = radiograph_panel(ramp, long_side_px=480, footer_px=40)
    shown = to_picture(figure)[:320, :, 0].astype(float)
    expected = np.kron(to_gray(ramp), np.ones((5, 5)))
    assert np.abs(shown - expected).max() < 8


def test_a_map_lies_where_its_box_says(ramp):
    figure, axes, _ = radiograph_panel(np.zeros_like(ramp), long_side_px=960, footer_px=0)
    red = np.zeros((4, 4, 4))
    red[1, 2] = (1, 0, 0, 1)
    show_map(axes, red, (7.5, -0.5, 39.5, 31.5))  # 8 pixels for each cell
    rows, columns = np.nonzero(to_picture(figure)[..., 0] > 60)
    center = np.array([columns.mean(), rows.mean()]) / 10 - 0.45
    np.testing.assert_allclose(center, [7.5 + 2.5 * 8, -0.5 + 1.5 * 8], atol=0.3)
    assert whole(ramp) == (-0.5, -0.5, 95.5, 63.5)
