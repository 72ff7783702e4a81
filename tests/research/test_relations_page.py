"""The documentation's list of relations is that of ``anatomy``."""

import re
from pathlib import Path

from PIL import Image

from unsct_mmpose.anatomy import FLIP_INDICES, NUM_CLASSES, SIDES, relation_set
from unsct_mmpose.research.relations_page import (
    PAGE,
    PICTURE,
    relations_page,
    schematic_points,
    write_relations_page,
)

DOCS = Path(__file__).resolve().parents[2] / 'docs'
ROW = re.compile(r'^\| (\d+) \| (left|right) (\d+) \| (left|right) (\d+) \| (yes|) \|$', re.M)


def index(side, number):
    return SIDES.index(side) * NUM_CLASSES + int(number) - 1


def test_the_page_in_the_documentation_lists_the_relations_of_anatomy():
    rows = ROW.findall((DOCS / PAGE).read_text())
    assert [int(row[0]) for row in rows] == list(range(1, 53))
    pairs = [(index(*row[1:3]), index(*row[3:5])) for row in rows]
    assert tuple(pairs) == relation_set('full').pairs
    core = {pair for pair, row in zip(pairs, rows, strict=True) if row[5] == 'yes'}
    assert core == set(relation_set('core').pairs)


def test_the_page_in_the_documentation_is_the_generated_one():
    assert (DOCS / PAGE).read_text() == relations_page(), 'python tools/results.py relations'


def test_the_command_writes_the_page_and_a_picture_that_it_links(tmp_path):
    page, picture = write_relations_page(tmp_path)
    assert page.read_text() == relations_page()
    (link,) = re.findall(r'!\[.*?\]\((.*?)\)', page.read_text())
    assert (page.parent / link).resolve() == picture.resolve() == (tmp_path / PICTURE).resolve()
    with Image.open(picture) as drawn, Image.open(DOCS / PICTURE) as shown:
        assert drawn.size == shown.size


def test_the_drawings_sides_are_mirror_images_and_the_patients_left_is_on_the_right():
    points = schematic_points()
    assert (points[list(FLIP_INDICES)] == points * [-1, 1]).all()
    assert (points[:NUM_CLASSES, 0] > 0).all()
