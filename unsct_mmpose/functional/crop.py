"""From a radiograph to a network's input, and from its points back.

The network sees the whole image, fitted into its input: MMPose's ``GetBBoxCenterScale`` and
``TopdownAffine`` for a box that is the image, without aliasing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_SQUARE = 0.01
_MOST_GROWTH = 4.0


@dataclass(frozen=True, eq=False)
class Crop:
    """What part of an image fills the network's input.

    Attributes:
        centre_xy: ``(2,)`` float32 its centre, image pixels.
        size_wh: ``(2,)`` float32 its width and height, image pixels, in the input's proportions.
        input_size_wh: width and height of the input, pixels.
    """

    centre_xy: NDArray[np.float32]
    size_wh: NDArray[np.float32]
    input_size_wh: tuple[int, int]

    @property
    def pixel_xy(self) -> NDArray[np.float64]:
        """``(2,)`` image pixels for each input pixel."""
        return self.size_wh.astype(float) / np.asarray(self.input_size_wh, float)

    def matrix(self) -> NDArray[np.float64]:
        """Return the ``(2, 3)`` affine map from image pixels to input pixels."""
        width, height = self.input_size_wh
        x, y = map(float, self.centre_xy)
        half = float(self.size_wh[0]) * 0.5
        # three corners as MMPose takes them, so that every bit of the matrix is the same
        image = np.array([(x, y), (x - half, y), (x - half, y + half)], np.float32)
        middle = np.array([width * 0.5, height * 0.5])
        steps = [(0, 0), (-width * 0.5, 0), (-width * 0.5, width * 0.5)]
        return cv2.getAffineTransform(image, np.asarray(middle + steps, np.float32))

    def to_image(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Convert ``(..., 2)`` input pixels to image pixels, as MMPose's pose estimators do.

        Example:
            >>> crop_whole_image((400, 200), (100, 100)).to_image(np.array([50.0, 50.0])).tolist()
            [200.0, 100.0]
        """
        fraction = np.asarray(points, float) / np.asarray(self.input_size_wh, float)
        return fraction * self.size_wh + self.centre_xy - 0.5 * self.size_wh


def crop_whole_image(
    image_size_wh: tuple[int, int], input_size_wh: tuple[int, int], padding: float = 1.0
) -> Crop:
    """Fit an image into the network's input; the shorter side gets black margins.

    Args:
        image_size_wh: width and height of the image, pixels.
        input_size_wh: width and height of the input, pixels.
        padding: size of the frame over that of the image.

    Example:
        >>> crop_whole_image((400, 200), (100, 100)).size_wh.tolist()
        [400.0, 400.0]
    """
    aspect = input_size_wh[0] / input_size_wh[1]
    width, height = np.asarray(image_size_wh, np.float32) * np.float32(padding)
    wide = width > height * aspect
    size = (width, width / aspect) if wide else (height * aspect, height)
    centre = np.asarray(image_size_wh, np.float32) * np.float32(0.5)
    return Crop(centre, np.asarray(size, np.float32), (input_size_wh[0], input_size_wh[1]))


def cut_out(image: NDArray[np.uint8], frame: Crop) -> NDArray[np.uint8]:
    """Return the ``(h, w)`` input that a frame cuts out of an ``(H, W)`` image, black outside."""
    averaged = average_footprint(image, float(frame.size_wh[0] / frame.input_size_wh[0]))
    warped = cv2.warpAffine(averaged, frame.matrix(), frame.input_size_wh, flags=cv2.INTER_LINEAR)
    return np.asarray(warped, np.uint8)


@dataclass(frozen=True, eq=False)
class Squared:
    """An image whose pixels are as high as wide.

    Attributes:
        pixels: ``(H, W)`` the resampled image, or the original where its pixels are square.
        steps_xy: ``(2,)`` pixels of the original for each of its own.
    """

    pixels: NDArray[Any]
    steps_xy: NDArray[np.float64]

    def __bool__(self) -> bool:
        """Whether anything was resampled."""
        return bool((self.steps_xy != 1).any())

    def to_original(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Convert ``(..., 2)`` pixels of the resampled image to the original's."""
        return (np.asarray(points, float) + 0.5) * self.steps_xy - 0.5

    def from_original(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Convert ``(..., 2)`` pixels of the original to those of the resampled image."""
        return (np.asarray(points, float) + 0.5) / self.steps_xy - 0.5


def square_pixels(pixels: NDArray[Any], pixel_aspect: float) -> Squared:
    """Resample an image whose pixels are not square, so that a pelvis keeps its shape.

    The finer direction keeps its pixels, unless the other one would grow more than fourfold. What
    differs by at most one per cent counts as square.

    Args:
        pixels: ``(H, W)`` or ``(H, W, C)``.
        pixel_aspect: width of a pixel over its height.

    Example:
        >>> squared = square_pixels(np.zeros((10, 20), np.float32), 2.0)
        >>> squared.pixels.shape, squared.to_original(np.array([39.5, 9.5])).tolist()
        ((10, 40), [19.5, 9.5])
    """
    if abs(pixel_aspect - 1) <= _SQUARE:
        return Squared(pixels, np.ones(2))
    side = max(min(pixel_aspect, 1.0), max(pixel_aspect, 1.0) / _MOST_GROWTH)
    height, width = pixels.shape[:2]
    wide, high = max(round(width * pixel_aspect / side), 1), max(round(height / side), 1)
    resampled = pixels
    for target in ((wide, height), (wide, high)):
        shrinks = target[0] * target[1] < resampled.shape[0] * resampled.shape[1]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        resampled = cv2.resize(resampled, target, interpolation=how)
    if resampled.dtype == np.float32:
        resampled = np.clip(resampled, pixels.min(), pixels.max())
    return Squared(np.asarray(resampled), np.array([width / wide, height / high]))


def average_footprint(image: NDArray[Any], shrink: float) -> NDArray[Any]:
    """Average an image over the block of pixels that one input pixel stands for.

    Bilinear sampling alone would skip most pixels of a large image and turn quantum noise into
    false texture.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``.
        shrink: image pixels for each input pixel.
    """
    side = footprint_px(shrink)
    return cv2.blur(image, (side, side)) if side > 1 else image


def footprint_px(shrink: float) -> int:
    """Return the odd side of the block of pixels that one input pixel stands for.

    An odd block has its centre on a pixel, so that averaging moves nothing.

    Args:
        shrink: image pixels for each input pixel.

    Example:
        >>> [footprint_px(shrink) for shrink in (0.5, 1.0, 2.5, 6.0)]
        [1, 1, 3, 7]
    """
    return 2 * int(np.floor(max(shrink, 1.0) / 2)) + 1


def grey_levels(pixels: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return display values in [0, 1] as the 256 grey levels that a network is fed with.

    Example:
        >>> grey_levels(np.array([0.0, 0.5, 1.0])).tolist()
        [0, 128, 255]
    """
    return np.rint(pixels * 255.0).astype(np.uint8)


def fine_levels(pixels: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Return display values in [0, 1] as 16-bit levels; the upper byte is ``grey_levels``.

    The lower byte is 128 at the middle of a grey level: a value is ``(level - 128) / 65280``.

    Example:
        >>> fine_levels(np.array([0.0, 0.5, 1.0])).tolist()
        [128, 32768, 65408]
    """
    scaled = np.asarray(pixels, np.float64) * 255.0
    grey = grey_levels(pixels).astype(np.int64)
    part = np.clip(np.floor((scaled - grey + 0.5) * 256), 0, 255).astype(np.int64)
    return (grey * 256 + part).astype(np.uint16)
