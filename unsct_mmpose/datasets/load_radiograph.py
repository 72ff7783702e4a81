"""Transform ``LoadRadiograph``: a DICOM or image file becomes MMPose's ``img``."""

from __future__ import annotations

import logging
from collections import OrderedDict

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log
from mmpose.registry import TRANSFORMS

from unsct_mmpose.imaging import read_radiograph
from unsct_mmpose.imaging.display import ranges_itself
from unsct_mmpose.imaging.framing import grey_levels
from unsct_mmpose.imaging.in_memory import display_values, grey_channel

from .pipeline_checks import check_pipeline


@TRANSFORMS.register_module()
class LoadRadiograph(BaseTransform):
    """Load a radiograph with bone bright, whatever its file format.

    A picture of 8 bits is taken as it is. Where nothing says which value is white (an array or a
    PNG or TIFF file of 16 bits or of floats beyond [0, 1]), the range of the picture's own values
    is shown, and one warning in the log says so.

    Required Keys:

        - img_path
        - img (optional): an array that is there already is used instead: ``(H, W)`` or
          ``(H, W, C)`` of 1 to 4 channels (grey, grey and opacity, BGR, BGR and opacity) of any
          integer or floating type

    Added Keys:

        - img: ``(H, W, 3)`` uint8, three equal channels
        - img_shape
        - ori_shape

    Args:
        cache_mb: memory for decoded images, in each process that loads data. Decoding JPEG 2000
            takes longer than everything else in the pipeline; 0 decodes each time.

    Raises:
        ValueError: landmarks would not stay where they belong in the pipeline of the data set that
            asks (:func:`unsct_mmpose.datasets.pipeline_checks.check_pipeline`).
        RadiographError: the file or the array cannot be read; the message names it and the cause.
    """

    def __init__(self, cache_mb: float = 0.0) -> None:
        self.cache_mb = cache_mb
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
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
            gray = self._read(str(results['img_path']))
        results['img'] = cv2.merge([gray, gray, gray])
        results['img_shape'] = gray.shape[:2]
        results['ori_shape'] = gray.shape[:2]
        return results

    def _read(self, path: str) -> np.ndarray:
        if path in self._cache:
            return self._cache[path]
        radiograph = read_radiograph(path)
        gray = grey_levels(radiograph.pixels)
        if radiograph.provenance['format'] != 'DICOM':
            self._warn(path, str(radiograph.provenance['window']))
        if self._cached_bytes + gray.nbytes <= self.cache_mb * 2**20:
            self._cache[path] = gray
            self._cached_bytes += gray.nbytes
        return gray

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
        return f'{type(self).__name__}(cache_mb={self.cache_mb})'
