import numpy as np
import pytest

from unsct_mmpose.drawing.canvas import GAP_PX, arrange


def plain(height, width, value):
    return np.full((height, width, 3), value, np.uint8)


def test_pictures_keep_their_pixels_and_their_order():
    sheet = arrange([[plain(10, 20, 50), plain(30, 15, 100)], [], [plain(5, 60, 200)]])
    assert sheet.shape == (30 + GAP_PX + 5, 60, 3)
    assert (sheet[:10, :20] == 50).all()
    assert (sheet[:30, 20 + GAP_PX : 35 + GAP_PX] == 100).all()
    assert (sheet[-5:] == 200).all()


def test_an_empty_sheet_is_refused():
    with pytest.raises(ValueError, match='at least one'):
        arrange([[], []])
