"""A prediction drawn on its radiograph, as a PNG or JPEG picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.anatomy import NUM_CLASSES
from unsct_mmpose.dicom import Radiograph
from unsct_mmpose.drawing.strokes import draw_cross, draw_disc, draw_loop, draw_word, fill_shape
from unsct_mmpose.functional.crop import grey_levels
from unsct_mmpose.functional.image_states import NOTHING_FOUND

from .certainty import Certainty, certainty_of
from .prediction import NOTICE, Prediction

Picture = NDArray[np.uint8]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SQUARE = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
_DIAMOND = np.array([(0.0, -1.4), (1.4, 0.0), (0.0, 1.4), (-1.4, 0.0)])
_INK = (235, 235, 235)
_STRIP_PX = 24


def draw_prediction(
    prediction: Prediction,
    radiograph: Radiograph,
    long_side_px: int = 1200,
    *,
    words: bool = True,
) -> Picture:
    """Draw the landmarks with their regions, and below them what must not be missed.

    Colours and shapes are those of :mod:`unsct_mmpose.report.certainty`; the numbers are those of
    Table 1, with L or R for the patient's side.

    Args:
        prediction: of the radiograph.
        radiograph: the image.
        long_side_px: the picture's longer side, without the strip of words.
        words: whether to write the numbers and the strip.

    Returns:
        ``(H', W', 3)`` RGB.
    """
    grey = scaled_grey(radiograph, long_side_px)
    factor = np.array([grey.shape[1], grey.shape[0]]) / radiograph.size_wh
    canvas = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    marks = []
    for index, landmark in enumerate(prediction.landmarks):
        certainty = certainty_of(landmark)
        place = (np.array([landmark.x, landmark.y]) + 0.5) * factor - 0.5
        if not np.isfinite(place).all() or prediction.image_state == NOTHING_FOUND:
            continue
        if landmark.reported and landmark.region is not None:
            axes = np.array(landmark.region.semi_axes_px) * factor.mean()
            _ellipse(canvas, place, axes, landmark.region.angle_deg, certainty.rgb)
        side = 'L' if landmark.name.startswith('left') else 'R'
        if words:
            draw_word(canvas, place, f'{index % NUM_CLASSES + 1}{side}', certainty.rgb)
        marks.append((place, certainty))
    for place, certainty in marks:  # last: no number may cover a place
        _marker(canvas, place, certainty)
    return _with_words(canvas, caption_of(prediction)) if words else canvas


def caption_of(prediction: Prediction) -> list[str]:
    """Return the lines below the picture."""
    reported = sum(one.reported for one in prediction.landmarks)
    simulated = 'SIMULATED IMAGE. ' if prediction.simulated else ''
    lines = [
        f'{simulated}{reported} of {len(prediction.landmarks)} landmarks reported; '
        f'image {prediction.image_words}.'
    ]
    serious = [one.words for one in prediction.warnings if one.code in ('no_spacing', 'body_part')]
    return [*lines, *(words.split(':')[0] + '.' for words in serious), NOTICE]


def scaled_grey(radiograph: Radiograph, long_side_px: int, *, enlarge: bool = True) -> Picture:
    """Return the radiograph as ``(H', W')`` uint8 with a given longer side.

    Args:
        radiograph: the image.
        long_side_px: longer side of the result.
        enlarge: whether a smaller image is enlarged too.
    """
    width, height = radiograph.size_wh
    scale = long_side_px / max(width, height)
    grey = grey_levels(radiograph.pixels)
    if scale > 1 and not enlarge:
        return grey
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, size, interpolation=how), np.uint8)


def encode_png(picture: Picture) -> bytes:
    """Return a grey or RGB picture as a PNG file."""
    stored = picture if picture.ndim == 2 else picture[..., ::-1]
    return bytes(cv2.imencode('.png', stored, [cv2.IMWRITE_PNG_COMPRESSION, 4])[1])


def encode_jpeg(picture: Picture, quality: int = 88) -> bytes:
    """Return a grey or RGB picture as a JPEG file."""
    stored = picture if picture.ndim == 2 else picture[..., ::-1]
    return bytes(cv2.imencode('.jpg', stored, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def _ellipse(
    canvas: Picture,
    place: NDArray[np.floating],
    axes: NDArray[np.floating],
    angle_deg: float,
    color: tuple[int, int, int],
) -> None:
    turns = np.linspace(0.0, 2.0 * math.pi, 49)
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    along, across = axes[0] * np.cos(turns), axes[1] * np.sin(turns)
    outline = place + np.stack(
        (along * cosine - across * sine, along * sine + across * cosine), axis=-1
    )
    draw_loop(canvas, outline, color)


def _marker(canvas: Picture, place: NDArray[np.floating], certainty: Certainty) -> None:
    """Draw the shape of a level, on a dark rim that keeps it visible on bright bone."""
    for color, grow in (((0, 0, 0), 2), (certainty.rgb, 0)):
        if certainty.shape in ('circle', 'ring'):
            draw_disc(
                canvas, place, 4 + grow, color, -1 if certainty.shape == 'circle' else 1 + grow
            )
        elif certainty.shape == 'cross':
            draw_cross(canvas, place, color, 5.0, 2 + grow)
        else:
            corners = _DIAMOND if certainty.shape == 'diamond' else _SQUARE
            fill_shape(canvas, place + (4.0 + grow) * corners, color)


def _with_words(canvas: Picture, lines: list[str]) -> Picture:
    strip = np.zeros((_STRIP_PX * len(lines) + 8, canvas.shape[1], 3), dtype=np.uint8)
    for row, text in enumerate(lines):
        (width, _), _ = cv2.getTextSize(text, _FONT, 0.5, 1)
        size = 0.5 * min(1.0, (canvas.shape[1] - 20) / max(width, 1))
        place = (10, _STRIP_PX * (row + 1) - 6)
        cv2.putText(strip, text, place, _FONT, size, _INK, 1, cv2.LINE_AA)
    return np.concatenate([canvas, strip])
