"""Bones as lists of shapes, and the regular grids on which they become densities."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .plate import Plate
from .shapes import FloatArray, Shape

FAR_MM = 50.0
TILE_MM = 14.0
BLOCK = 32768
"""Voxels that are worked on at a time: arrays of so many stay in a core's own cache."""

Place = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]
Window = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Bone:
    """A bone: solids that are united in order, then cuts that are taken away.

    Attributes:
        name: for people and for the outline landmarks.
        solids: ``(shape, blend)``; the blend is the size of the fillet, mm.
        cuts: ``(shape, blend)``.
        bumps: ``(center, radius, extra)``, mm: places where the cortex is thicker.
        cortex_mm: thickness of the cortical shell elsewhere.
        shaft: start, direction, and the thickness reached in the diaphysis; None without one.
        points: landmarks and helpers that are fixed to the bone, mm.
        trabecular: density inside, as a share of cortical bone.
    """

    name: str
    solids: list[tuple[Shape, float]] = field(default_factory=list)
    cuts: list[tuple[Shape, float]] = field(default_factory=list)
    bumps: list[tuple[FloatArray, float, float]] = field(default_factory=list)
    cortex_mm: float = 1.3
    shaft: tuple[FloatArray, FloatArray, float] | None = None
    points: dict[str, FloatArray] = field(default_factory=dict)
    trabecular: float = 0.25

    def moved(self, rotation: FloatArray, shift: FloatArray) -> Bone:
        """Return the bone after ``p -> rotation @ p + shift``; reflections are allowed."""
        shaft = self.shaft
        if shaft is not None:
            shaft = (rotation @ shaft[0] + shift, rotation @ shaft[1], shaft[2])
        return replace(
            self,
            solids=[(shape.moved(rotation, shift), blend) for shape, blend in self.solids],
            cuts=[(shape.moved(rotation, shift), blend) for shape, blend in self.cuts],
            bumps=[(rotation @ c + shift, radius, extra) for c, radius, extra in self.bumps],
            shaft=shaft,
            points={key: rotation @ point + shift for key, point in self.points.items()},
        )

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Return the box around all solids, mm."""
        boxes = [shape.bounds() for shape, _ in self.solids]
        return np.min([b[0] for b in boxes], axis=0), np.max([b[1] for b in boxes], axis=0)


@dataclass(frozen=True)
class Grid:
    """A regular grid of signed distances or densities.

    Attributes:
        values: ``(Z, Y, X)`` float32.
        origin_mm: x, y, z of the centre of the first voxel.
        voxel_mm: edge lengths along x, y, z.
    """

    values: npt.NDArray[np.float32]
    origin_mm: FloatArray
    voxel_mm: FloatArray

    @cached_property
    def lines(self) -> Place:
        """x, y and z, float32 mm, of the columns, rows and layers."""
        x, y, z = (
            np.arange(count, dtype=np.float32) * np.float32(step) + np.float32(start)
            for count, step, start in zip(
                self.values.shape[::-1], self.voxel_mm, self.origin_mm, strict=True
            )
        )
        return x, y, z

    def coordinates(self, window: Window) -> Place:
        """Return broadcastable x, y, z, mm, of a window given as z, y, x slices."""
        x, y, z = self.lines
        return x[None, None, window[2]], y[None, window[1], None], z[window[0], None, None]

    def window(self, low: FloatArray, high: FloatArray, margin: float) -> Window | None:
        """Return z, y, x slices that cover a box and a margin, mm, or None when outside."""
        parts = []
        for axis in (2, 1, 0):
            step, start = float(self.voxel_mm[axis]), float(self.origin_mm[axis])
            size = self.values.shape[2 - axis]
            first = max(math.floor((float(low[axis]) - margin - start) / step), 0)
            last = min(math.ceil((float(high[axis]) + margin - start) / step) + 1, size)
            if last <= first:
                return None
            parts.append(slice(first, last))
        return parts[0], parts[1], parts[2]

    def positions(self, flat: npt.NDArray[np.integer]) -> Place:
        """Return x, y and z, each ``(N,)`` float32 mm, of voxels given by flat indices."""
        _, rows, columns = (np.int32(size) for size in self.values.shape)
        flat = flat.astype(np.int32)
        line = flat // columns
        layer = line // rows
        index = (flat - line * columns, line - layer * rows, layer)
        step, start = self.voxel_mm.astype(np.float32), self.origin_mm.astype(np.float32)
        x, y, z = (index[i].astype(np.float32) * step[i] + start[i] for i in range(3))
        return x, y, z

    @cached_property
    def inside(self) -> npt.NDArray[np.intp]:
        """Flat indices of the voxels in or on the solid, half a voxel outside included."""
        return np.flatnonzero(self.values < np.float32(0.5 * self.voxel_mm.max()))


def smooth_minimum(a: FloatArray, b: FloatArray, blend: float) -> FloatArray:
    """Return the minimum with a fillet, mm wide: the polynomial smooth minimum of I. Quilez.

    Example:
        >>> smooth_minimum(np.ones(1), np.ones(1), 4.0).tolist()
        [0.0]
    """
    if blend <= 0:
        return np.minimum(a, b)
    a = np.ascontiguousarray(a)  # a window of a grid is slow to read, and it is read twice
    overlap = a - b
    np.abs(overlap, out=overlap)
    np.subtract(blend, overlap, out=overlap)
    np.clip(overlap, 0.0, blend, out=overlap)
    overlap *= overlap
    overlap *= 0.25 / blend
    return np.subtract(np.minimum(a, b), overlap, out=overlap)


def evaluate(
    bone: Bone,
    voxel_mm: tuple[float, float, float],
    *,
    clip: tuple[FloatArray, FloatArray] | None = None,
) -> Grid:
    """Sample a bone's signed distance, mm, on a grid just large enough for it.

    Voxels are x, y, z mm; beyond the box ``clip`` nothing is needed. Distances are at most
    ``FAR_MM``.
    """
    low, high = bone.bounds()
    voxel = np.asarray(voxel_mm, dtype=np.float64)
    low, high = low - 2 * voxel, high + 2 * voxel
    if clip is not None:
        low, high = np.maximum(low, clip[0]), np.minimum(high, clip[1])
    shape = np.maximum(np.ceil((high - low) / voxel).astype(int) + 1, 1)
    grid = Grid(np.full(tuple(shape[::-1]), FAR_MM, np.float32), low, voxel)
    reach = float(voxel.max())
    for solid, blend in bone.solids:
        for part in _windows(grid, solid, reach + blend):
            view = grid.values[part]
            view[...] = smooth_minimum(view, solid.distance(*grid.coordinates(part)), blend)
    for cut, blend in bone.cuts:
        for whole in _windows(grid, cut, reach):
            occupied = _occupied(grid, whole, 4 * reach)
            if occupied is not None:
                view, outside = grid.values[occupied], cut.distance(*grid.coordinates(occupied))
                np.negative(smooth_minimum(-view, outside, blend), out=view)
    return grid


def _occupied(grid: Grid, window: Window, margin: float) -> Window | None:
    """Return the part of a window with the voxels that lie in the solid or in a margin, mm."""
    near = np.any(grid.values[window] < margin, axis=0)
    lines = [np.flatnonzero(near.any(axis=axis)) for axis in (1, 0)]
    if not lines[0].size:
        return None
    area = [
        slice(part.start + int(line[0]), part.start + int(line[-1]) + 1)
        for part, line in zip(window[1:], lines, strict=True)
    ]
    return window[0], area[0], area[1]


def _windows(grid: Grid, solid: Shape, margin: float) -> Iterator[Window]:
    """Yield disjoint windows that cover a solid: slices of a box, or tiles around a thin plate."""
    whole = grid.window(*solid.bounds(), margin=margin)
    if whole is None:
        return
    if not isinstance(solid, Plate):
        layers, *area = whole
        thick = max(BLOCK // math.prod(part.stop - part.start for part in area), 1)
        for layer in range(layers.start, layers.stop, thick):
            yield slice(layer, min(layer + thick, layers.stop)), area[0], area[1]
        return
    reach = (solid.reach + margin)[:, None]
    step = np.maximum(np.ceil(max(TILE_MM, float(reach.max())) / grid.voxel_mm).astype(int), 1)
    low = (solid.cloud - reach - grid.origin_mm) / grid.voxel_mm
    high = (solid.cloud + reach - grid.origin_mm) / grid.voxel_mm
    count = np.array(grid.values.shape[::-1]) // step + 1
    first = np.full((count[2], count[1]), 10**6)
    last = np.full((count[2], count[1]), -1)
    for z in (low[:, 2], 0.5 * (low[:, 2] + high[:, 2]), high[:, 2]):
        for y in (low[:, 1], 0.5 * (low[:, 1] + high[:, 1]), high[:, 1]):
            row, column = (np.floor(z / step[2]).astype(int), np.floor(y / step[1]).astype(int))
            ok = (row >= 0) & (row < count[2]) & (column >= 0) & (column < count[1])
            at = (row[ok], column[ok])
            np.minimum.at(first, at, np.floor(low[ok, 0]).astype(int))
            np.maximum.at(last, at, np.ceil(high[ok, 0]).astype(int) + 1)
    depth, height, width = grid.values.shape
    for row, column in np.argwhere(last > 0).tolist():
        top, left = row * int(step[2]), column * int(step[1])
        x, stop = max(int(first[row, column]), 0), min(int(last[row, column]), width)
        if stop > x and top < depth and left < height:
            across = slice(left, min(left + int(step[1]), height))
            yield slice(top, min(top + int(step[2]), depth)), across, slice(x, stop)
