"""The page for people: nothing from outside, nothing unsaid."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from unsct_mmpose.anatomy.parameters import split_side
from unsct_mmpose.dicom import radiograph_from_array
from unsct_mmpose.drawing.strokes import LEVELS, REJECTED, certainty_of
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES
from unsct_mmpose.inference.interpret import interpret
from unsct_mmpose.report.html import render_report
from unsct_mmpose.report.picture import draw_prediction
from unsct_mmpose.report.prediction import NOTICE
from unsct_mmpose.report.view import DRAWINGS, view_of


@pytest.fixture
def make(make_backend):
    def make(name='hip.dcm', spacing=(1.0, 1.0), provenance=(), **changes):
        backend = make_backend(**changes)
        radiograph = radiograph_from_array(
            np.full((400, 430), 60, np.uint8), spacing_xy_mm=spacing, magnification=1.15
        )
        radiograph = replace(radiograph, provenance={**radiograph.provenance, **dict(provenance)})
        return interpret(radiograph, backend.fields(), backend.identity, name), radiograph

    return make


class Balanced(HTMLParser):
    """Fails on tags that are not closed in order."""

    VOID = {'meta', 'input', 'br', 'img', 'line', 'image', 'circle', 'rect', 'path', 'ellipse'}

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_every_measurement_has_its_row_and_every_drawing_its_measurement(make):
    groups = view_of(make()[0])['groups']
    outputs = [row['output'] for group in groups for row in group['rows']]
    assert sorted(outputs) == sorted({split_side(name)[1] for name in MEASUREMENT_NAMES})
    assert {drawing['key'] for drawing in DRAWINGS} - {'reference_line'} <= set(outputs)


def test_the_page_is_well_formed_and_loads_nothing(make):
    html = render_report([make(), make('other.dcm', image_state=2), make('c.png', spacing=None)])
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    assert "default-src 'none'" in html
    for address in re.findall(r'(?:src|href)="([^"]*)"', html):
        assert address.startswith(('data:', '#')), address
    assert not re.search(r'https?://', html)
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_the_page_says_what_it_is_not(make):
    html = render_report([make()])
    assert html.count(NOTICE) >= 2 and 'no diagnosis' in NOTICE


def test_simulated_images_are_labelled_and_others_are_not(make):
    assert 'Simulated image' in render_report([make(provenance=dict(simulated='SyntheticData'))])
    assert 'Simulated image' not in render_report([make()])


def test_a_hostile_file_name_stays_text(make):
    html = render_report([make('<script>alert(1)</script>&".dcm')])
    assert '<script>alert' not in html and '&lt;script&gt;alert(1)' in html


def test_rejected_landmarks_are_crosses_without_a_region_and_their_reasons_are_told(make):
    visible = np.ones(24)
    visible[4] = 0
    prediction, radiograph = make(keypoints_visible=visible)
    view = view_of(prediction)
    (cross,) = [mark for mark in view['marks'] if mark['level'] == 'rejected']
    assert (cross['label'], cross['region'], cross['shape']) == ('5L', None, 'cross')
    html = render_report([(prediction, radiograph)])
    assert html.count('<ellipse') == 23 and 'left fovea is absent' in html
    assert certainty_of(prediction.landmarks[4]) is REJECTED


def test_nothing_is_drawn_where_no_pelvis_was_found(make):
    prediction, radiograph = make(image_state=2)
    html = render_report([(prediction, radiograph)])
    assert '<ellipse' not in html and 'Nothing was measured: no pelvis was found' in html
    picture = draw_prediction(prediction, radiograph)[:1000]
    assert len(np.unique(picture)) == 1


def test_the_levels_differ_in_shape_as_well_as_in_colour():
    assert (
        len({level.shape for level in LEVELS})
        == len({level.color for level in LEVELS})
        == len(LEVELS)
    )


def test_a_value_outside_the_usual_range_says_whether_its_interval_reaches_it(make):
    def place(scale):
        scales = np.full(len(MEASUREMENT_NAMES), scale)
        prediction, _ = make(interval_scales=scales)
        rows = {
            row['output']: row for group in view_of(prediction)['groups'] for row in group['rows']
        }
        return rows['sharp_angle_deg']['cells'][0]['place']

    assert place(0.01) == 'above usual range'
    assert place(20.0) == 'above usual range, interval reaches it'


def test_an_interval_that_is_not_about_its_value_says_which_way(make):
    def shift(offset):
        prediction, _ = make(interval_offsets=np.full(len(MEASUREMENT_NAMES), offset))
        rows = [row for group in view_of(prediction)['groups'] for row in group['rows']]
        return next(row for row in rows if row['output'] == 'sharp_angle_deg')['cells'][0]['shift']

    assert shift(2.0) == 'interval about 41.0°: the model measures 2.0° too large'
    assert shift(-2.0) == 'interval about 45.0°: the model measures 2.0° too small'
    assert shift(0.0) is None


def test_a_colour_of_a_landmark_is_where_the_landmark_is(make):
    prediction, radiograph = make()
    picture = draw_prediction(prediction, radiograph, 1200)
    scale = 1200 / 430
    for landmark in prediction.landmarks:
        x, y = round((landmark.x + 0.5) * scale - 0.5), round((landmark.y + 0.5) * scale - 0.5)
        assert tuple(picture[y, x]) == certainty_of(landmark).rgb, landmark.name
