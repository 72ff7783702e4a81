"""Transform ``LoadRadiograph``: a DICOM or image file becomes MMPose's ``img``."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log
from mmpose.registry import TRANSFORMS

from unsct_mmpose.annotations.annotated import read_display
from unsct_mmpose.dicom.display import ranges_itself
from unsct_mmpose.dicom.in_memory import display_values, grey_channel
from unsct_mmpose.dicom.placement import Placement
from unsct_mmpose.functional.crop import Squared, grey_levels

from .pipeline_checks import check_pipeline


@dataclass(frozen=True, eq=False)
class _Loaded:
    """An image as the network sees it, ``(H, W)`` uint8, and how it was turned and resampled."""

    grey: np.ndarray
    placement: Placement | None
    squared: Squared

    def points(self, stored: np.ndarray) -> np.ndarray:
        """Convert ``(..., 2)`` pixels of the file."""
        turned = stored if self.placement is None else self.placement.from_stored(stored)
        return self.squared.from_original(turned)

    def spacing(self, stored: tuple[float, float]) -> tuple[float, float]:
        """Convert width and height of a pixel of the file."""
        x, y = stored if self.placement is None else self.placement.swap(stored)
        steps = self.squared.steps_xy
        return float(x * steps[0]), float(y * steps[1])


@TRANSFORMS.register_module()
class LoadRadiograph(BaseTransform):
    """Load a radiograph as a display shows it, whatever its file format.

    Bone is bright, the patient's left on the right, pixels are square. Where that turns or
    resamples the pixels of the file, keypoints, box and spacing, which are the file's, go along.

    A picture of 8 bits is taken as it is. Where nothing says which value is white (an array or a
    PNG or TIFF file of 16 bits or of floats beyond [0, 1]), the range of the picture's own values
    is shown, and one warning in the log says so.

    Required Keys:

        - img_path
        - img (optional): an array that is there already is used instead: ``(H, W)`` or
          ``(H, W, C)`` of 1 to 4 channels (grey, grey and opacity, BGR, BGR and opacity) of any
          integer or floating type
        - raw_ann_info (optional): of :class:`THADataset`

    Modified Keys, where the pixels of the file are turned or resampled:

        - keypoints
        - bbox
        - raw_ann_info

    Added Keys:

        - img: ``(H, W, 3)`` uint8, three equal channels
        - img_shape
        - ori_shape
        - grey: True, for transforms that need one of the channels only

    Args:
        cache_mb: memory for decoded images, in each process that loads data. Decoding JPEG 2000
            takes longer than everything else in the pipeline; 0 decodes each time.
        shrink_to: for training: an image whose longer side has twice as many pixels, or three
            times, and so on, is averaged over blocks of so many, once, as it is loaded; then all
            that comes after is as much faster, and the cache holds as many more. Twice the side of
            the network's input loses nothing that the network sees. None: as in the file.

    Raises:
        ValueError: landmarks would not stay where they belong in the pipeline of the data set that
            asks (:func:`unsct_mmpose.datasets.pipeline_checks.check_pipeline`).
        RadiographError: the file or the array cannot be read, or the file's size is not that of
            its annotation; the message names it and the cause.
    """

    def __init__(self, cache_mb: float = 0.0, shrink_to: int | None = None) -> None:
        self.cache_mb = cache_mb
        self.shrink_to = shrink_to
        self._cache: OrderedDict[str, _Loaded] = OrderedDict()
        self._cached_bytes = 0
        self._warned = False
        self._checked = False

    def transform(self, results: dict) -> dict:
        """Load the image of one sample."""
        if not self._checked and 'dataset' in results:
            check_pipeline(results['dataset'].pipeline.transforms)  # of a CombinedDataset, too
            self._checked = True
        if 'img' in results:
            results.setdefault('img_path', None)
            gray = self._take(np.asarray(results['img']), str(results['img_path'] or 'array'))
        else:
            loaded = self._read(str(results['img_path']), results.get('raw_ann_info') or {})
            gray = loaded.grey
            if loaded.placement is not None or loaded.squared:
                _take_along(results, loaded)
        results['img'] = cv2.merge([gray, gray, gray])
        results['img_shape'] = gray.shape[:2]
        results['ori_shape'] = gray.shape[:2]
        results['grey'] = True
        return results

    def _read(self, path: str, notes: Mapping[str, Any]) -> _Loaded:
        if path in self._cache:
            return self._cache[path]
        radiograph, squared = read_display(path, notes)
        if radiograph.provenance['format'] != 'DICOM':
            self._warn(path, str(radiograph.provenance['window']))
        squared = self._shrink(squared)
        grey = grey_levels(squared.pixels)
        loaded = _Loaded(grey, radiograph.placement, replace(squared, pixels=grey))
        if self._cached_bytes + loaded.grey.nbytes <= self.cache_mb * 2**20:
            self._cache[path] = loaded
            self._cached_bytes += loaded.grey.nbytes
        return loaded

    def _shrink(self, squared: Squared) -> Squared:
        height, width = squared.pixels.shape
        block = max(height, width) // (self.shrink_to or max(height, width))
        if block < 2:
            return squared
        size = (max(width // block, 1), max(height // block, 1))
        pixels = cv2.resize(squared.pixels, size, interpolation=cv2.INTER_AREA)
        steps = squared.steps_xy * (np.array([width, height]) / size)
        return replace(squared, pixels=pixels, steps_xy=steps)

    def _take(self, array: np.ndarray, name: str) -> np.ndarray:
        grey, hidden = grey_channel(array, name)
        pixels, window = display_values(grey, hidden, name)
        self._warn(name, window)
        return grey_levels(pixels)

    def _warn(self, name: str, window: str) -> None:
        """Say once, in each process, that a picture's white had to be guessed."""
        if self._warned or not ranges_itself(window):
            return
        self._warned = True
        print_log(
            f'{name}: nothing says which of its values are black and white, so the range of its '
            f'own values is shown ({window}); more pictures may be like that. DICOM files say it, '
            'and 8-bit pictures are taken as they are.',
            logger='current',
            level=logging.WARNING,
        )

    def __repr__(self) -> str:
        return f'{type(self).__name__}(cache_mb={self.cache_mb}, shrink_to={self.shrink_to})'


def _take_along(results: dict, loaded: _Loaded) -> None:
    """Convert what a sample holds in pixels of its file; raw_ann_info is copied, not changed."""
    height, width = loaded.grey.shape
    if 'keypoints' in results:
        points = np.asarray(results['keypoints'])
        results['keypoints'] = loaded.points(points).astype(points.dtype)
    if 'bbox' in results:
        box = np.asarray(results['bbox'])
        corners = loaded.points(box.reshape(-1, 2, 2).astype(float) - 0.5) + 0.5
        ends = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=-1)
        results['bbox'] = np.clip(ends, 0, [width, height] * 2).astype(box.dtype)
    notes = results.get('raw_ann_info') or {}
    if 'points' in notes:
        present = np.asarray(notes['present'])[:, None]
        spacing = notes['pixel_spacing']
        results['raw_ann_info'] = {
            **notes,
            'points': np.where(present, loaded.points(notes['points']), 0.0),
            'pixel_spacing': None if spacing is None else loaded.spacing(spacing),
        }
