import numpy as np
import pytest
from matplotlib.colors import to_rgb

from unsct_mmpose.anatomy import side_index
from unsct_mmpose.drawing import measurements as module
from unsct_mmpose.drawing.measurements import DRAWN, measurement_panel
from unsct_mmpose.functional.clinical import measure

SIDE = 500


@pytest.fixture
def points(hips_mm):
    return hips_mm + 250


@pytest.fixture
def image():
    return np.zeros((500, 500), np.uint8)


@pytest.fixture
def texts(monkeypatch):
    """What is written: the texts of all axes of the last figure."""
    written = []
    render = module.to_picture

    def spy(figure):
        written[:] = [text.get_text() for axes in figure.axes for text in axes.texts]
        return render(figure)

    monkeypatch.setattr(module, 'to_picture', spy)
    return written


def has(picture, color):
    wanted = np.rint(np.array(to_rgb(color)) * 255)
    return bool((np.abs(picture[:SIDE].astype(int) - wanted).max(axis=-1) < 6).any())


def draw(image, points, reported=None, spacing=(1.0, 1.0), **kwargs):
    reported = np.ones(24, bool) if reported is None else reported
    return measurement_panel(image, points, reported, spacing, long_side_px=SIDE, **kwargs)


def test_every_measurement_is_drawn_in_its_colour(image, points):
    picture = draw(image, points)
    assert all(has(picture, row.drawing.color) for row in DRAWN)


def test_nothing_reported_draws_nothing(image, points):
    assert draw(image, points, np.zeros(24, bool))[:SIDE].max() == 0


def test_only_what_is_defined_is_drawn_and_written(image, points, texts):
    reported = np.ones(24, bool)
    reported[[side_index('left', 11), side_index('right', 11)]] = False
    picture = draw(image, points, reported)
    drawn = {row.name for row in DRAWN if has(picture, row.drawing.color)}
    assert drawn == {row.name for row in DRAWN} - {'neck_shaft_angle_deg', 'femoral_offset_mm'}
    assert texts.count('–') == 4


def test_the_table_holds_the_measured_values(image, points, texts):
    draw(image, points, spacing=(0.9, 0.9))
    found = measure(points, np.ones(24, bool), (0.9, 0.9))
    assert f'{found["left_femoral_offset_mm"].value:.1f} mm' in texts
    assert f'{found["right_sharp_angle_deg"].value:.1f}°' in texts


def test_covariances_give_standard_errors(image, points, texts):
    draw(image, points, covariances_px=np.tile(np.eye(2), (24, 1, 1)))
    values = [words for words in texts if words.endswith(('°', 'mm'))]
    assert len(values) == 2 * len(DRAWN) and all('±' in words for words in values)


def test_without_spacing_there_are_angles_only(image, points, texts):
    picture = draw(image, points, spacing=None)
    assert not any(has(picture, row.drawing.color) for row in DRAWN if row.unit == 'mm')
    assert not any('mm' in words for words in texts)
    assert any('no pixel spacing' in words for words in texts)


def test_a_reported_landmark_that_is_nowhere_counts_as_absent(image, points, texts):
    points[side_index('left', 6)] = np.nan
    draw(image, points)
    assert texts.count('–') == 5  # all on that side but Sharp's angle and the Koehler line
