"""A prediction drawn on its radiograph, as a PNG picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.anatomy.records import NOTHING_FOUND
from unsct_mmpose.dicom import Radiograph
from unsct_mmpose.drawing.overlay import draw_landmarks
from unsct_mmpose.drawing.picture_files import encode_picture
from unsct_mmpose.drawing.strokes import caption_strip

from .prediction import NOTICE, Prediction


def draw_prediction(
    prediction: Prediction,
    radiograph: Radiograph,
    long_side_px: int = 1200,
    *,
    with_text: bool = True,
) -> NDArray[np.uint8]:
    """Draw the landmarks with their regions, and below them what must not be missed.

    Args:
        prediction: of the radiograph.
        radiograph: the image.
        long_side_px: the picture's longer side, without the strip of text.
        with_text: whether to write the landmarks' labels and the strip.

    Returns:
        ``(H', W', 3)`` RGB.
    """
    nothing = prediction.image_state == NOTHING_FOUND
    picture = draw_landmarks(
        radiograph.pixels,
        () if nothing else prediction.landmarks,
        () if nothing else prediction.landmark_set.labels,
        long_side_px=long_side_px,
        numbers=with_text,
    )
    if not with_text:
        return picture
    return np.concatenate([picture, caption_strip(picture.shape[1], _caption_of(prediction))])


def _caption_of(prediction: Prediction) -> list[str]:
    """Return the lines below the picture."""
    reported = sum(landmark.reported for landmark in prediction.landmarks)
    simulated = 'SIMULATED IMAGE. ' if prediction.simulated else ''
    lines = [
        f'{simulated}{reported} of {len(prediction.landmarks)} landmarks reported; '
        f'image {prediction.image_words}.'
    ]
    serious = [
        warning.words
        for warning in prediction.warnings
        if warning.code in ('no_spacing', 'body_part')
    ]
    return [*lines, *(text.split(':')[0] + '.' for text in serious), NOTICE]


def encode_png(picture: NDArray[np.uint8]) -> bytes:
    """Return a grey or RGB picture as a PNG file."""
    return encode_picture(picture, '.png', [cv2.IMWRITE_PNG_COMPRESSION, 4])
