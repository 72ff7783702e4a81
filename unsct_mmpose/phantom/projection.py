"""Cone-beam projection of any density volume onto a flat detector.

World frame: x towards the patient's left, y caudal, z dorsal, mm. The central ray runs along +z
through ``(x, y) = aim_mm`` and the detector is square to it, so each coronal slice of a volume
maps to the detector by a scaling about the foot of the central ray.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from .shapes import FloatArray

_AT_ONCE = 16
"""Columns of a row that OpenCV interpolates in one go; it rounds those that remain otherwise."""


@dataclass(frozen=True)
class ConeBeam:
    """Where source and detector are, and how the detector is divided.

    Attributes:
        source_detector_mm: along the central ray.
        source_patient_mm: from the source to the plane z = 0.
        aim_mm: x, y of the central ray, world frame.
        size_hw: rows and columns of the detector.
        spacing_xy_mm: distance of pixel centres on the detector.
        foot_px: x, y of the central ray's foot, pixels from the first pixel's centre.
    """

    source_detector_mm: float
    source_patient_mm: float
    aim_mm: tuple[float, float]
    size_hw: tuple[int, int]
    spacing_xy_mm: tuple[float, float]
    foot_px: tuple[float, float]

    @property
    def magnification(self) -> float:
        """Size on the detector over size in the plane z = 0."""
        return self.source_detector_mm / self.source_patient_mm

    def pixels(self, points: FloatArray) -> FloatArray:
        """Project ``(..., 3)`` world points, mm, to ``(..., 2)`` detector pixels x, y.

        Example:
            >>> beam = ConeBeam(1100, 1000, (0, 0), (64, 64), (1.0, 1.0), (31.5, 31.5))
            >>> beam.pixels(np.array([10.0, 0.0, 0.0])).tolist()
            [42.5, 31.5]
        """
        points = np.asarray(points, dtype=np.float64)
        scale = self.source_detector_mm / (self.source_patient_mm + points[..., 2])
        x, y = (
            (points[..., axis] - self.aim_mm[axis]) * scale / self.spacing_xy_mm[axis]
            + self.foot_px[axis]
            for axis in range(2)
        )
        return np.stack([x, y], axis=-1)

    @cached_property
    def obliquity(self) -> npt.NDArray[np.float32]:
        """Ray length per length along the central ray, ``(H, W)``."""
        height, width = self.size_hw
        x = (np.arange(width) - self.foot_px[0]) * self.spacing_xy_mm[0]
        y = (np.arange(height) - self.foot_px[1]) * self.spacing_xy_mm[1]
        squared = (x[None] ** 2 + y[:, None] ** 2) / self.source_detector_mm**2
        return np.sqrt(1.0 + squared).astype(np.float32)


def project(
    volume: Iterable[npt.NDArray[np.float32]],
    voxel_mm: tuple[float, float, float] | FloatArray,
    origin_mm: tuple[float, float, float] | FloatArray,
    beam: ConeBeam,
) -> npt.NDArray[np.float32]:
    """Integrate a density along every ray from the source to the detector.

    Slices are interpolated linearly; along the beam the midpoint rule is used, so the slice
    distance should not exceed the thinnest structure.

    Args:
        volume: ``(Z, Y, X)`` densities, any unit per mm, or its ``(Y, X)`` layers one by one.
        voxel_mm: edge lengths along x, y, z.
        origin_mm: x, y, z of the centre of the first voxel, world frame.
        beam: geometry of the source and the detector.

    Returns:
        ``(H, W)`` line integrals: density times mm.
    """
    size = beam.size_hw[::-1]
    image, buffer = np.zeros(beam.size_hw, np.float32), np.empty(math.prod(size), np.float32)
    step, origin = ([float(value) for value in values] for values in (voxel_mm, origin_mm))
    axes = list(
        zip(step, origin, beam.aim_mm, beam.spacing_xy_mm, beam.foot_px, size, strict=False)
    )
    for index, plane in enumerate(volume):
        filled = _filled(plane)
        depth = beam.source_patient_mm + origin[2] + index * step[2]
        if not filled[0] or depth <= 0:
            continue
        scale = beam.source_detector_mm / depth
        lows, counts, matrix = [0, 0], [0, 0], np.zeros((2, 3))
        for axis, (edge, corner, aim, spacing, foot, pixels) in enumerate(axes):
            low = max(math.floor((corner - edge - aim) * scale / spacing + foot), 0)
            whole, needed = (
                min(math.ceil((corner + edge * cells - aim) * scale / spacing + foot) + 1, pixels)
                - low
                for cells in (plane.shape[1 - axis], filled[axis])
            )
            lows[axis] = low
            counts[axis] = needed if axis else min(whole, -(-needed // _AT_ONCE) * _AT_ONCE)
            matrix[axis, axis] = spacing / (scale * edge)
            matrix[axis, 2] = ((low - foot) * spacing / scale + aim - corner) / edge
        (x, y), (w, h) = lows, counts
        if w > 0 and h > 0:
            part, shadow = image[y : y + h, x : x + w], buffer[: h * w].reshape(h, w)
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            cv2.warpAffine(plane, matrix, (w, h), dst=shadow, flags=flags)
            np.add(part, shadow, out=part)
    return np.asarray(image * (np.float64(step[2]) * beam.obliquity), np.float32)


def _filled(plane: npt.NDArray[np.float32]) -> tuple[int, int]:
    """Return how many columns and rows there are up to the last with a density in it."""
    x, y, columns, rows = cv2.boundingRect((plane != 0).view(np.uint8))
    return x + columns, y + rows
