"""DICOM files where MMCV, Pillow and MMPose's inferencers read pictures.

``inference_topdown``, ``MMPoseInferencer``, the transform ``LoadImage`` and MMPose's own scripts
open files by ``mmcv.imread``, ``mmcv.imfrombytes`` and ``PIL.Image.open``; these then decode DICOM
as :class:`LoadRadiograph` does, bone bright. Pictures are read as before.
"""

from __future__ import annotations

import functools
import mimetypes
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import mmcv
import mmcv.image
import mmcv.image.io
import numpy as np
from mmpose.apis.inferencers.base_mmpose_inferencer import BaseMMPoseInferencer
from PIL import Image, ImageFile

from unsct_mmpose.dicom import looks_like_radiograph, radiograph_from_bytes
from unsct_mmpose.dicom.identity import dicom_size_wh, holds_dicom, looks_like_dicom
from unsct_mmpose.functional.crop import grey_levels

_GREY = ('grayscale', 'grayscale_ignore_orientation', cv2.IMREAD_GRAYSCALE)


def read_dicom_everywhere() -> None:
    """Teach MMCV, Pillow and MMPose's inferencers to read DICOM. Calling again changes nothing."""
    if getattr(mmcv.imfrombytes, 'reads_radiographs', False):
        return
    reader = _imfrombytes(mmcv.imfrombytes)
    for module in (mmcv, mmcv.image, mmcv.image.io):
        module.imfrombytes = reader
    BaseMMPoseInferencer._inputs_to_list = _inputs_to_list(BaseMMPoseInferencer._inputs_to_list)
    Image.init()  # Pillow's own formats come first
    Image.register_open(DicomImage.format, DicomImage)
    Image.register_extensions(DicomImage.format, ['.dcm', '.dicom', '.ima'])


def _imfrombytes(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def imfrombytes(content: bytes, flag: Any = 'color', *args: Any, **kwargs: Any) -> np.ndarray:
        if not holds_dicom(content):
            return original(content, flag, *args, **kwargs)
        gray = _decode(content)
        return gray if flag in _GREY else cv2.merge([gray, gray, gray])

    imfrombytes.reads_radiographs = True
    return imfrombytes


def _decode(content: bytes, name: str | os.PathLike[str] = 'DICOM in memory') -> np.ndarray:
    return grey_levels(radiograph_from_bytes(content, name).pixels)


class DicomImage(ImageFile.ImageFile):
    """A DICOM file as Pillow opens it: its size at once, its pixels when they are asked for."""

    format = 'DICOM'
    format_description = 'DICOM image, as unsct_mmpose reads it'

    def _open(self) -> None:
        content = self.fp.read()
        if not holds_dicom(content):
            raise SyntaxError('no DICOM file')  # what Pillow waits for: it tries the next format
        self._content: bytes | None = content
        self._mode, self._size = 'L', dicom_size_wh(content) or self._decoded().size

    def _decoded(self) -> Image.Image:
        return Image.fromarray(_decode(self._content, self.filename or 'DICOM in memory'))

    def load(self) -> Any:
        """Decode the pixels, once."""
        if self._content is not None:
            self.im, self._content = self._decoded().im, None
        return Image.Image.load(self)


def _inputs_to_list(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def inputs_to_list(self: Any, inputs: Any) -> Iterable[Any]:
        images = _radiographs(inputs) if isinstance(inputs, (str, os.PathLike)) else None
        if images is None:
            return original(self, inputs)
        self._video_input = False
        return images

    return inputs_to_list


def _radiographs(place: str | os.PathLike[str]) -> list[str] | None:
    """Return a DICOM file, or the images of a folder where there are any; None: MMPose looks."""
    path = Path(place)
    if path.is_file():
        return [str(path)] if looks_like_dicom(path) else None
    if not path.is_dir():
        return None
    files = sorted(file for file in path.iterdir() if file.is_file())
    if not any(map(looks_like_dicom, files)):
        return None
    kinds = {file: mimetypes.guess_type(file.name)[0] or '' for file in files}
    return [
        str(file) for file in files if looks_like_radiograph(file) or kinds[file][:6] == 'image/'
    ]
