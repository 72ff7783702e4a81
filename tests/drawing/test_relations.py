"""The picture of the relations."""

import numpy as np
import pytest

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.drawing.relations import BOTH_SIDES, SAME_SIDE, figure_relations
from unsct_mmpose.research.relations_page import schematic_points

FULL, CORE = relation_set('full'), relation_set('core')


def amount(picture, color):
    wanted = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
    return int((np.abs(picture.astype(int) - wanted).max(axis=-1) < 12).sum())


def test_the_picture_is_as_wide_as_asked_and_shows_both_kinds_of_relations():
    picture = figure_relations(schematic_points(), FULL, width_px=600)
    assert picture.dtype == np.uint8 and picture.shape[1:] == (600, 3)
    assert amount(picture, SAME_SIDE) > 300 and amount(picture, BOTH_SIDES) > 300


def test_relations_that_do_not_decide_are_fainter():
    loud, faint = (
        figure_relations(schematic_points(), FULL, relations, width_px=600)
        for relations in (FULL, CORE)
    )
    assert amount(faint, SAME_SIDE) < amount(loud, SAME_SIDE)


def test_the_unit_of_the_points_does_not_matter():
    one, other = (
        figure_relations(factor * schematic_points() + 7, CORE, width_px=400) for factor in (1, 2)
    )
    assert one.shape == other.shape
    assert np.abs(one.astype(int) - other).mean() < 1


@pytest.mark.parametrize('points', [np.zeros((12, 2)), np.full((24, 2), np.nan)])
def test_other_than_24_places_are_refused(points):
    with pytest.raises(ValueError, match='finite points'):
        figure_relations(points, FULL)
