"""What a sampled bone is made of, and where its surface lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .shapes import FloatArray
from .volume import Bone, Grid, Place


def density(
    bone: Bone,
    distances: Grid,
    texture: Callable[[Place], npt.NDArray[np.float32]] | None = None,
) -> Grid:
    """Fill a bone: a cortical shell around textured trabecular bone, marrow in the diaphysis.

    Edges are smoothed over one voxel: the occupancy is ``clip(1/2 - distance / voxel, 0, 1)``
    with the longest edge, so that sums over slices along the beam are exact for flat faces.

    Args:
        bone: in the frame of the grid.
        distances: from :func:`evaluate`.
        texture: maps positions, mm, to factors about 1 of the trabecular density.

    Returns:
        Densities as a share of cortical bone, 0 to 1.
    """
    rate = np.float32(1.0 / distances.voxel_mm.max())
    flat = distances.inside
    depth = distances.values.ravel()[flat]
    place = distances.positions(flat)
    cortex = np.full(len(flat), bone.cortex_mm, np.float32)
    for center, radius, extra in bone.bumps:
        away = sum((p - np.float32(c)) ** 2 for p, c in zip(place, center, strict=True))
        cortex += np.float32(extra) * np.exp(away * np.float32(-1.0 / radius**2))
    core: npt.NDArray[np.float32] = np.full(len(flat), bone.trabecular, np.float32)
    if bone.shaft is not None:
        start, direction, wall = bone.shaft
        along = np.zeros(len(flat), np.float32)
        for p, s, d in zip(place, start, direction, strict=True):
            along += (p - np.float32(s)) * np.float32(d / 60.0)
        share = np.clip(along, 0.0, 1.0)
        share = share * share * (3.0 - 2.0 * share)
        cortex += share * np.float32(wall - bone.cortex_mm)
        core *= 1.0 - np.float32(0.92) * share
    if texture is not None:
        core *= texture(place)
    solid = np.clip(0.5 - depth * rate, 0.0, 1.0)
    inner = np.clip(0.5 - (depth + cortex) * rate, 0.0, 1.0)
    filled = np.zeros(distances.values.size, np.float32)
    filled[flat] = solid - inner * (1.0 - np.minimum(core, 1.0))
    return replace(distances, values=filled.reshape(distances.values.shape))


def surface_points(distances: Grid) -> FloatArray:
    """Return points on the surface, each a near voxel moved along the gradient.

    Args:
        distances: signed distances, mm.

    Returns:
        ``(N, 3)`` x, y, z in mm.
    """
    flat = distances.inside
    values = distances.values.ravel()
    depth = values[flat]
    near = depth > np.float32(-0.7 * distances.voxel_mm.max())
    flat, depth = flat[near], depth[near]
    _, rows, columns = distances.values.shape
    slope = np.stack(
        [
            (values.take(flat + hop, mode='clip') - values.take(flat - hop, mode='clip'))
            / (2 * edge)
            for hop, edge in zip((1, columns, rows * columns), distances.voxel_mm, strict=True)
        ],
        axis=1,
    )
    size = (slope * slope).sum(1)
    good = (size > 0.25) & (size < 4.0)
    place = np.stack(distances.positions(flat[good]), axis=1).astype(np.float64)
    return np.asarray(place - (depth[good] / size[good])[:, None] * slope[good])
