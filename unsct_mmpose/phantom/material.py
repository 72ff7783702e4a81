"""What a sampled bone is made of, its trabecular texture, and where its surface lies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .shapes import FloatArray
from .volume import BLOCK, Bone, Grid, Place

TILE = 64
STEP_MM = 1.5
_STRENGTH = 0.45


def density(
    bone: Bone,
    distances: Grid,
    texture: Callable[[Place], npt.NDArray[np.float32]] | None = None,
) -> Iterator[npt.NDArray[np.float32]]:
    """Fill a bone: a cortical shell around textured trabecular bone, marrow in the diaphysis.

    Edges are smoothed over one voxel: the occupancy is ``clip(1/2 - distance / voxel, 0, 1)``
    with the longest edge, so that sums over slices along the beam are exact for flat faces.

    Args:
        bone: in the frame of the grid.
        distances: from :func:`evaluate`.
        texture: maps positions, mm, to factors about 1 of the trabecular density.

    Yields:
        Layers of the grid, ``(Y, X)`` each: densities as a share of cortical bone, 0 to 1.
    """
    inside = distances.inside
    shares = [
        _share(bone, distances, inside[start : start + BLOCK], texture)
        for start in range(0, len(inside), BLOCK)
    ]
    filled = np.concatenate(shares) if shares else np.empty(0, np.float32)
    layers, *shape = distances.values.shape
    area = math.prod(shape)
    ends = np.searchsorted(inside, area * np.arange(layers + 1)).tolist()
    for layer, (first, last) in enumerate(pairwise(ends)):
        plane = np.zeros(area, np.float32)
        plane[inside[first:last] - layer * area] = filled[first:last]
        yield plane.reshape(shape)


def _share(
    bone: Bone,
    distances: Grid,
    flat: npt.NDArray[np.intp],
    texture: Callable[[Place], npt.NDArray[np.float32]] | None,
) -> npt.NDArray[np.float32]:
    """Return the densities of some voxels; see :func:`density`."""
    rate = np.float32(1.0 / distances.voxel_mm.max())
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
    return solid - inner * (1.0 - np.minimum(core, 1.0))


def surface_points(distances: Grid) -> FloatArray:
    """Return ``(N, 3)`` points on the surface, mm: near voxels moved along the gradient."""
    inside = distances.inside
    depth = distances.values.ravel()[inside]
    near = inside[np.flatnonzero(depth > np.float32(-0.7 * distances.voxel_mm.max()))]
    return np.concatenate(
        [_foot_points(distances, near[i : i + BLOCK]) for i in range(0, len(near), BLOCK)]
        or [np.empty((0, 3))]
    )


def _foot_points(distances: Grid, flat: npt.NDArray[np.intp]) -> FloatArray:
    """Return ``(N, 3)``: the points of the surface below some voxels, where there is a gradient."""
    values = distances.values.ravel()
    _, rows, columns = distances.values.shape
    slopes = [
        (values.take(flat + hop, mode='clip') - values.take(flat - hop, mode='clip')) / (2 * edge)
        for hop, edge in zip((1, columns, rows * columns), distances.voxel_mm, strict=True)
    ]
    u, v, w = slopes
    size = u * u + v * v + w * w
    good = np.flatnonzero((size > 0.25) & (size < 4.0))
    flat = flat[good]
    way = values[flat] / size[good]
    points = np.empty((len(flat), 3))
    for axis, (line, slope) in enumerate(zip(distances.positions(flat), slopes, strict=True)):
        points[:, axis] = line - way * slope[good]
    return points


@lru_cache(maxsize=1)
def _tile() -> npt.NDArray[np.float32]:
    """Return ``(64, 64, 64)`` periodic noise of zero mean and unit spread (a fixed table)."""
    rng = np.random.default_rng(20240917)
    spectrum = np.fft.rfftn(rng.standard_normal((TILE, TILE, TILE)))
    f = np.fft.fftfreq(TILE)
    g = np.fft.rfftfreq(TILE)
    radius = np.sqrt(f[:, None, None] ** 2 + f[None, :, None] ** 2 + g[None, None] ** 2)
    shaped = spectrum * np.exp(-((radius / 0.22) ** 2)) / (0.07 + radius)
    noise = np.fft.irfftn(shaped, s=(TILE, TILE, TILE), axes=(0, 1, 2))
    return np.asarray((noise - noise.mean()) / noise.std(), np.float32)


@lru_cache(maxsize=1)
def _factors() -> npt.NDArray[np.float32]:
    """Return the factor of every cell of the tile, flat."""
    return np.clip(np.float32(1.0) + np.float32(_STRENGTH) * _tile().ravel(), 0.05, 2.5)


def trabecular_texture(
    rng: np.random.Generator,
) -> Callable[[Place], npt.NDArray[np.float32]]:
    """Return a function from positions x, y, z, mm, to factors about 1, placed by ``rng``."""
    offset = rng.uniform(0, TILE * STEP_MM, 3)
    factors = _factors()

    def texture(place: Place) -> npt.NDArray[np.float32]:
        flat: npt.NDArray[np.int32] | None = None
        for line, shift in zip(place, offset, strict=True):
            cell = ((line + np.float32(shift)) * np.float32(1 / STEP_MM)).astype(np.int32)
            cell &= TILE - 1
            flat = cell if flat is None else flat * np.int32(TILE) + cell
        assert flat is not None
        return factors[flat]

    return texture
