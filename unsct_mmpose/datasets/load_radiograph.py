"""Transform ``LoadRadiograph``: a DICOM or image file becomes MMPose's ``img``."""

from __future__ import annotations

from collections import OrderedDict

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from unsct_mmpose.imaging import read_radiograph
from unsct_mmpose.imaging.framing import grey_levels


@TRANSFORMS.register_module()
class LoadRadiograph(BaseTransform):
    """Load a radiograph with bone bright, whatever its file format.

    Required Keys:

        - img_path
        - img (optional): an array that is there already is used instead

    Added Keys:

        - img: ``(H, W, 3)`` uint8, three equal channels
        - img_shape
        - ori_shape

    Args:
        cache_mb: memory for decoded images, in each process that loads data. Decoding JPEG 2000
            takes longer than everything else in the pipeline; 0 decodes each time.

    Raises:
        RadiographError: the file cannot be read; the message names it and the cause.
    """

    def __init__(self, cache_mb: float = 0.0) -> None:
        self.cache_mb = cache_mb
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._cached_bytes = 0

    def transform(self, results: dict) -> dict:
        """Load the image of one sample."""
        if 'img' in results:
            gray = _to_gray(np.asarray(results['img']))
            results.setdefault('img_path', None)
        else:
            gray = self._read(str(results['img_path']))
        results['img'] = cv2.merge([gray, gray, gray])
        results['img_shape'] = gray.shape[:2]
        results['ori_shape'] = gray.shape[:2]
        return results

    def _read(self, path: str) -> np.ndarray:
        if path in self._cache:
            return self._cache[path]
        gray = grey_levels(read_radiograph(path).pixels)
        if self._cached_bytes + gray.nbytes <= self.cache_mb * 2**20:
            self._cache[path] = gray
            self._cached_bytes += gray.nbytes
        return gray

    def __repr__(self) -> str:
        return f'{type(self).__name__}(cache_mb={self.cache_mb})'


def _to_gray(img: np.ndarray) -> np.ndarray:
    """Reduce an array that the caller supplies to one 8-bit channel."""
    gray = img if img.ndim == 2 else cv2.cvtColor(img[..., :3], cv2.COLOR_BGR2GRAY)
    if gray.dtype == np.uint8:
        return gray
    low, high = float(np.min(gray)), float(np.max(gray))
    scale = 255.0 / (high - low) if high > low else 0.0
    return np.rint((gray.astype(np.float32) - low) * scale).astype(np.uint8)
