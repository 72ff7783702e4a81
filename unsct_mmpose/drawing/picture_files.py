"""Pictures as files, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.files import replace_file

_PICTURES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.webp')


def picture_path(path: Path) -> Path:
    """Return a path that a picture can be written to: ``.png`` follows what is no picture's suffix.

    Example:
        >>> picture_path(Path('hip.dcm')).name, picture_path(Path('hip.jpg')).name
        ('hip.dcm.png', 'hip.jpg')
    """
    return path if path.suffix.lower() in _PICTURES else path.with_name(f'{path.name}.png')


def encode_picture(picture: NDArray[np.uint8], suffix: str, options: Sequence[int] = ()) -> bytes:
    """Return a grey or RGB picture as a file of a suffix's format, with OpenCV's pairs of options.

    Raises:
        OSError: it could not be encoded.
    """
    stored = picture if picture.ndim == 2 else np.ascontiguousarray(picture[..., ::-1])
    done, content = cv2.imencode(suffix, stored, list(options))
    if not done:
        raise OSError(f'the picture could not be encoded as {suffix}')
    return bytes(content)


def write_picture(path: Path, picture: NDArray[np.uint8]) -> Path:
    """Write an RGB picture, whole or not at all, in the format of :func:`picture_path`'s suffix.

    Raises:
        OSError: the file cannot be written.
    """
    path = picture_path(path)
    content = encode_picture(picture, path.suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content)
    return path
