import numpy as np
import pytest

from unsct_mmpose.drawing import figures as module
from unsct_mmpose.drawing.figures import figure_convergence, figure_training, figure_uncertainty

SOURCE = 'simulated radiographs'
YELLOW = (255, 225, 77)


@pytest.fixture
def image():
    return np.full((60, 80), 900, np.uint16)


@pytest.fixture
def points():
    columns, rows = np.meshgrid(np.linspace(8, 72, 6), np.linspace(8, 52, 4))
    return np.stack([columns.ravel(), rows.ravel()], axis=1)


@pytest.fixture
def last(monkeypatch):
    """The last figure, before it became a picture."""
    kept = []
    render = module.to_picture
    monkeypatch.setattr(
        module, 'to_picture', lambda figure: (kept.append(figure), render(figure))[1]
    )
    return lambda: kept[-1]


def words(figure):
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, 'get_text'))]


def has(picture, color):
    return bool((np.abs(picture.astype(int) - color).max(axis=-1) < 12).any())


def draw_all(image, points, source):
    snapshots = {1: (np.zeros((24, 8, 8)), np.zeros((4, 8, 8)))}
    yield lambda: figure_convergence({'wing': ([1, 2], [3.0, 2.0])}, source=source)
    yield lambda: figure_training(image, snapshots, source=source, panel_px=90)
    yield lambda: figure_uncertainty(
        image, np.zeros((8, 8)), points, np.ones(24, bool), source=source, panel_px=90
    )


def test_every_figure_says_where_its_data_come_from(image, points, last):
    for draw in draw_all(image, points, SOURCE):
        draw()
        assert SOURCE in words(last())


def test_no_figure_is_drawn_without_a_source(image, points):
    for draw in draw_all(image, points, ' '):
        with pytest.raises(ValueError, match='where the data come from'):
            draw()


def test_the_line_is_the_mean_and_the_band_the_range_over_seeds(last):
    values = np.array([[9.0, 5.0, 2.0], [11.0, 3.0, 4.0]])
    figure_convergence({'wing': ([1, 2, 3], values), 'mse': ([1, 3], [8.0, 6.0])}, source=SOURCE)
    axes = last().axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[1, 10], [2, 4], [3, 3]])
    band = axes.collections[0].get_paths()[0].vertices
    assert {(2.0, 3.0), (2.0, 5.0)} <= {tuple(vertex) for vertex in band}
    assert len(axes.collections) == 1  # one seed has no band
    assert {'wing (2 seeds)', 'mse'} <= set(words(last()))


def test_curves_that_do_not_fit_their_epochs_are_refused():
    with pytest.raises(ValueError, match='wing'):
        figure_convergence({'wing': ([1, 2, 3], [1.0, 2.0])}, source=SOURCE)
    with pytest.raises(ValueError, match='at least one'):
        figure_convergence({}, source=SOURCE)


def test_training_has_a_column_for_each_epoch_and_heatmaps_above_fields(image, last):
    nothing = (np.zeros((24, 8, 8)), np.zeros((4, 8, 8)))
    heatmaps, pafs = np.zeros((24, 8, 8)), np.zeros((4, 8, 8))
    heatmaps[3, 4, 4], pafs[2, 4, 4] = 1, 1

    def places(first, second):
        plain = figure_training(image, {4: nothing, 9: nothing}, source=SOURCE, panel_px=90)
        drawn = figure_training(image, {4: first, 9: second}, source=SOURCE, panel_px=90)
        rows, columns = np.nonzero((plain != drawn).any(axis=-1))
        return rows.mean() // (len(plain) / 2), columns.mean() // (plain.shape[1] / 2)

    assert places(nothing, (heatmaps, nothing[1])) == (0, 1)
    assert places((nothing[0], pafs), nothing) == (1, 0)
    assert {'epoch 4', 'epoch 9'} <= set(words(last()))


def test_rejected_landmarks_are_in_yellow_boxes(image, points, last):
    kept = np.ones(24, bool)
    draw = lambda: figure_uncertainty(  # noqa: E731
        image, np.zeros((8, 8)), points, kept, source=SOURCE, panel_px=160
    )
    assert not has(draw(), YELLOW)
    kept[[2, 13]] = False
    picture = draw()
    assert has(picture[:, -160:], YELLOW)
    assert not has(picture[:, :-160], YELLOW)
    assert {'3L', '2R', 'with UE: 2 rejected'} <= set(words(last()))
    assert [len(axes.lines[0].get_xdata()) for axes in last().axes[2:]] == [24, 22]


def test_a_point_that_is_nowhere_is_passed_over(image, points, last):
    points[5] = np.nan
    kept = np.ones(24, bool)
    kept[5] = False
    figure_uncertainty(image, np.zeros((8, 8)), points, kept, source=SOURCE, panel_px=90)
    assert len(last().axes[2].lines[0].get_xdata()) == 23
