"""Transform ``LoadRadiograph``: a DICOM or image file becomes MMPose's ``img``."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from unsct_mmpose.imaging.annotated import read_display
from unsct_mmpose.imaging.framing import Squared, grey_levels
from unsct_mmpose.imaging.placement import Placement


@dataclass(frozen=True, eq=False)
class _Loaded:
    """An image as the network sees it, and how to take points of its file along.

    Attributes:
        grey: ``(H, W)`` uint8, turned to the standard display, pixels square.
        placement: how it was turned; None when it was not.
        squared: how it was resampled, without its pixels.
    """

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

    Required Keys:

        - img_path
        - img (optional): an array that is there already is used instead
        - raw_ann_info (optional): of :class:`THADataset`

    Modified Keys, where the pixels of the file are turned or resampled:

        - keypoints
        - bbox
        - raw_ann_info

    Added Keys:

        - img: ``(H, W, 3)`` uint8, three equal channels
        - img_shape
        - ori_shape

    Args:
        cache_mb: memory for decoded images, in each process that loads data. Decoding JPEG 2000
            takes longer than everything else in the pipeline; 0 decodes each time.

    Raises:
        RadiographError: the file cannot be read, or its size is not that of its annotation; the
            message names it and the cause.
    """

    def __init__(self, cache_mb: float = 0.0) -> None:
        self.cache_mb = cache_mb
        self._cache: OrderedDict[str, _Loaded] = OrderedDict()
        self._cached_bytes = 0

    def transform(self, results: dict) -> dict:
        """Load the image of one sample."""
        if 'img' in results:
            gray = _to_gray(np.asarray(results['img']))
            results.setdefault('img_path', None)
        else:
            loaded = self._read(str(results['img_path']), results.get('raw_ann_info') or {})
            gray = loaded.grey
            if loaded.placement is not None or loaded.squared:
                _take_along(results, loaded)
        results['img'] = cv2.merge([gray, gray, gray])
        results['img_shape'] = gray.shape[:2]
        results['ori_shape'] = gray.shape[:2]
        return results

    def _read(self, path: str, notes: Mapping[str, Any]) -> _Loaded:
        if path in self._cache:
            return self._cache[path]
        loaded = _load(path, notes)
        if self._cached_bytes + loaded.grey.nbytes <= self.cache_mb * 2**20:
            self._cache[path] = loaded
            self._cached_bytes += loaded.grey.nbytes
        return loaded

    def __repr__(self) -> str:
        return f'{type(self).__name__}(cache_mb={self.cache_mb})'


def _load(path: str, notes: Mapping[str, Any]) -> _Loaded:
    radiograph, squared = read_display(path, notes)
    grey = grey_levels(squared.pixels)
    return _Loaded(grey, radiograph.placement, replace(squared, pixels=grey))


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


def _to_gray(img: np.ndarray) -> np.ndarray:
    """Reduce an array that the caller supplies to one 8-bit channel."""
    gray = img if img.ndim == 2 else cv2.cvtColor(img[..., :3], cv2.COLOR_BGR2GRAY)
    if gray.dtype == np.uint8:
        return gray
    low, high = float(np.min(gray)), float(np.max(gray))
    scale = 255.0 / (high - low) if high > low else 0.0
    return np.rint((gray.astype(np.float32) - low) * scale).astype(np.uint8)
