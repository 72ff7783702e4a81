"""The page that lists the relations, and its picture: both are made from ``anatomy``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unsct_mmpose.anatomy import LANDMARK_CLASSES, NUM_CLASSES, SIDES, relation_set
from unsct_mmpose.drawing.relations import figure_relations

from .markdown import render_page, render_table

PAGE, PICTURE = Path('explanation/relations.md'), Path('images/relations.png')

_LEFT_MM = (
    (63, -45), (62, -8), (102, -24), (70, -21), (71, -2), (86.5, 0), (124, -7), (57, 18),
    (47, 65), (110, 22), (122, 70), (115, 150),
)  # fmt: skip
"""Where to draw the twelve landmarks of the patient's left side: right of the symphysis and below
the head centres, of about a woman's size."""


def schematic_points() -> NDArray[np.float64]:
    """Return ``(K, 2)`` places of the landmarks in an AP view, mm, x to the patient's left.

    A drawing's places, not an anatomy's.
    """
    left = np.asarray(_LEFT_MM, float)
    return np.concatenate([left, left * [-1, 1]])


def relations_page() -> str:
    """Return the Markdown page: numbers, names and the relations of both sets."""
    full, core = relation_set('full'), relation_set('core')
    relations = [
        [str(number), *map(_name, pair), 'yes' if pair in core.pairs else '']
        for number, pair in enumerate(full.pairs, 1)
    ]
    landmarks = [[str(each.number), each.description, each.bone] for each in LANDMARK_CLASSES]
    return render_page(
        'The relations that the fields draw',
        [
            '<!-- made by `python tools/results.py relations` from unsct_mmpose/anatomy -->',
            "The paper's Figure 4 is not in its text: these are this project's. Each one serves a\n"
            'clinical parameter or ties landmarks of one bone or of both sides; why, says\n'
            '`unsct_mmpose/anatomy/relations.py`. A field runs from the tail to the head.',
            f'![the relations as arrows between the landmarks](../{PICTURE.as_posix()})\n'
            '*A schematic pelvis, not an image; the numbers are those of the table below.*',
            f'All {len(full)} (`full`) are learnt, {len(core)} of them (`core`) decide about\n'
            "presence; in the paper's mode all do. The order is that of the channels (x and y of\n"
            'each in turn) and of `relation_weights`.',
            render_table(['relation', 'tail', 'head', 'in `core`'], relations),
            render_table(['landmark', 'what (Table 1)', 'bone'], landmarks),
        ],
    )


def _name(index: int) -> str:
    side, place = divmod(index, NUM_CLASSES)
    return f'{SIDES[side]} {place + 1}'


def write_relations_page(folder: Path) -> tuple[Path, Path]:
    """Write the page and its picture into a folder of documentation, and return both paths."""
    page, picture = folder / PAGE, folder / PICTURE
    for path in (page, picture):
        path.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(relations_page())
    drawn = figure_relations(schematic_points(), relation_set('full'), relation_set('core'))
    Image.fromarray(drawn).quantize(64).save(picture, optimize=True)
    return page, picture
