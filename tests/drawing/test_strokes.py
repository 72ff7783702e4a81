import numpy as np

from unsct_mmpose.drawing.strokes import LINE_PX, caption_strip, draw_disc, draw_loop


def test_a_disc_lies_where_it_should_to_a_fraction_of_a_pixel():
    canvas = np.zeros((40, 40, 3), np.uint8)
    draw_disc(canvas, np.array([20.25, 10.5]), 5, (255, 255, 255))
    weight = canvas[..., 0].astype(float)
    rows, columns = np.mgrid[:40, :40]
    center = [(weight * cells).sum() / weight.sum() for cells in (columns, rows)]
    np.testing.assert_allclose(center, [20.25, 10.5], atol=0.15)


def test_a_loop_is_closed():
    canvas = np.zeros((20, 20, 3), np.uint8)
    draw_loop(canvas, np.array([[2.0, 2.0], [16.0, 2.0], [16.0, 16.0], [2.0, 16.0]]), (9, 9, 9))
    assert canvas[9, 2].any()


def test_long_lines_end_before_the_edge():
    for width in (60, 300):
        strip = caption_strip(width, ['a caption that is far too long for its picture ' * 5, 'b'])
        assert strip.shape == (2 * LINE_PX + 8, width, 3)
        assert strip.any() and not strip[:, -6:].any()
