import numpy as np

from unsct_mmpose.drawing.canvas import certainty_colors, heat_colors


def test_nothing_is_transparent_and_more_is_more_opaque():
    for colors in (heat_colors, certainty_colors):
        opaque = colors(np.linspace(0, 1, 11)[None])[0, :, 3]
        assert opaque[0] == 0
        assert (np.diff(opaque) >= 0).all() and opaque[-1] > 0.8


def test_certain_is_brighter():
    light = certainty_colors(np.linspace(0, 1, 11)[None])[0, :, :3].sum(axis=-1)
    assert (np.diff(light) > 0).all()
