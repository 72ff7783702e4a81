"""Reports for people: one self-contained page of html, on screen and on paper.

The page loads nothing from anywhere: style, script and pictures are in it, and its content
security policy forbids the rest. It is made from :class:`Prediction` and :class:`Radiograph`,
without torch or MMPose; jinja2 is needed (``pip install 'unsct-mmpose[report]'``).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import cv2
import numpy as np

from unsct_mmpose.anatomy import parameter
from unsct_mmpose.dicom import Radiograph
from unsct_mmpose.drawing.picture_files import encode_picture
from unsct_mmpose.drawing.strokes import scaled_gray

from .picture import draw_prediction
from .prediction import NOTICE, Prediction
from .view import number_text, view_of

if TYPE_CHECKING:
    from jinja2 import Template

_LONG_SIDE_PX = 1400
"""Longer side of the radiograph in a report; an original is rarely sharper on a screen."""

_THUMBNAIL_PX = 132
_GLANCE = ('center_edge_angle_deg', 'neck_shaft_angle_deg', 'femoral_offset_mm')


def render_report(pairs: Iterable[tuple[Prediction, Radiograph]], title: str = '') -> str:
    """Return a page with a section for each radiograph.

    Args:
        pairs: predictions with their radiographs; all pictures are held in memory, so give a few.
        title: of the browser's window.
    """
    sections = [
        render_section(prediction, radiograph, number)
        for number, (prediction, radiograph) in enumerate(pairs, 1)
    ]
    return page_head(title) + '\n'.join(sections) + page_foot()


def render_section(prediction: Prediction, radiograph: Radiograph, number: int = 1) -> str:
    """Return the part of a page that is about one radiograph; the number makes its ids unique."""
    picture = scaled_gray(radiograph.pixels, _LONG_SIDE_PX, enlarge=False)
    return load_template('section').render(
        view=view_of(prediction), picture=_data_uri(picture), n=number, notice=NOTICE
    )


def page_head(title: str = '', subtitle: str = '', more_style: str = '') -> str:
    """Return a page up to its first section."""
    return load_template('head').render(
        title=title, subtitle=subtitle, style=load_asset('report.css') + more_style, notice=NOTICE
    )


def page_foot(more_script: str = '') -> str:
    """Return what closes a page."""
    return load_template('foot').render(script=load_asset('report.js') + more_script, notice=NOTICE)


def index_head() -> str:
    """Return what opens the table of a run's images."""
    return str(load_template('index').module.opening())


def index_row(
    prediction: Prediction, picture: np.ndarray | None, links: Sequence[tuple[str, str]]
) -> str:
    """Return a run's row about one image: its small RGB picture, if any; words and addresses."""
    row = load_template('index').module.row(
        view=view_of(prediction),
        glance=_glance_of(prediction),
        thumbnail=None if picture is None else _data_uri(picture, 80),
        links=list(links),
    )
    return str(row)


def index_foot(counts: Sequence[tuple[str, str]], errors: Sequence[tuple[str, str]]) -> str:
    """Return what closes the table: counts, and the files that could not be read with causes."""
    return str(load_template('index').module.closing(list(counts), list(errors)))


def thumbnail(prediction: Prediction, radiograph: Radiograph) -> np.ndarray:
    """Return a small RGB picture of a prediction."""
    return draw_prediction(prediction, radiograph, _THUMBNAIL_PX * 2, with_text=False)


def _glance_of(prediction: Prediction) -> list[dict[str, str]]:
    """Return the few measurements that the table of a run shows."""
    values = {measurement.name: measurement.value for measurement in prediction.measurements}
    return [
        {
            side: number_text(values.get(f'{side}_{name}'), parameter(name).unit)
            for side in ('right', 'left')
        }
        for name in _GLANCE
    ]


@cache
def load_template(name: str, package: str = 'unsct_mmpose.report') -> Template:
    """Return a template of a package's ``templates`` folder.

    Raises:
        ImportError: there is no jinja2.
    """
    try:
        from jinja2 import Environment, PackageLoader
    except ImportError:
        raise ImportError(
            "a report needs jinja2: pip install 'unsct-mmpose[report]', or do without (--no-report)"
        ) from None
    environment = Environment(
        loader=PackageLoader(package, 'templates'),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(f'{name}.html.j2')


@cache
def load_asset(name: str, package: str = 'unsct_mmpose.report') -> str:
    """Return a style sheet or script of a package's ``templates`` folder."""
    return files(package).joinpath('templates', name).read_text('utf-8')


def _data_uri(picture: np.ndarray, quality: int = 88) -> str:
    content = encode_picture(picture, '.jpg', [cv2.IMWRITE_JPEG_QUALITY, quality])
    return 'data:image/jpeg;base64,' + base64.b64encode(content).decode()
