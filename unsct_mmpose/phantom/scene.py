"""A posed patient: bones in the world frame and where their landmarks appear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..anatomy import NUM_LANDMARKS, SIDES, side_index
from .dimensions import Dimensions
from .femur import femur
from .material import density, surface_points, trabecular_texture
from .pathology import Pathology, alter_dimensions, alter_femur, alter_hip, head_shift
from .pelvis import hip_bone
from .pose import Pose, femur_rotation, mirror, pelvis_rotation
from .projection import ConeBeam, project
from .shapes import FloatArray
from .spine import spine
from .volume import Bone, Grid, evaluate

VOXEL_MM = (1.1, 1.1, 1.25)


@dataclass(frozen=True)
class PlacedBone:
    """A bone in the world frame, of side left, right or both, with its sampled distances."""

    side: str
    bone: Bone
    distances: Grid

    def surface(self) -> FloatArray:
        """Return ``(N, 3)`` points on the surface, world frame, mm."""
        return surface_points(self.distances)


@dataclass(frozen=True)
class Scene:
    """A posed patient.

    Attributes:
        bones: hip bones, femora (or their fragments) and the spine.
        fixed_mm: ``(24, 3)`` landmarks that are fixed to a bone, world frame; NaN for 1, 7, 9,
            which are found in the projection.
    """

    bones: tuple[PlacedBone, ...]
    fixed_mm: FloatArray

    def of(self, name: str, side: str) -> PlacedBone:
        """Return the last bone of this name and side (the shaft's fragment of a femur)."""
        bones = [b for b in self.bones if b.bone.name == name and b.side in (side, 'both')]
        if not bones:
            raise KeyError(f'no {name} on side {side}')
        return bones[-1]


_FROM_HIP = {2: 'cartilage', 3: 'upper_edge', 4: 'lower_edge', 8: 'teardrop'}
_FROM_HEAD = {5: 'fovea', 6: 'head'}
_FROM_SHAFT = {10: 'neck_base', 11: 'shaft_proximal', 12: 'shaft_distal'}


def build_scene(
    size: Dimensions,
    pose: Pose,
    findings: Sequence[Pathology] = (),
    *,
    voxel_mm: tuple[float, float, float] = VOXEL_MM,
) -> Scene:
    """Build and pose all bones and sample their distances on grids of x, y, z voxels."""
    size = alter_dimensions(size, findings)
    turn = pelvis_rotation(pose)
    origin = np.zeros(3)
    placed: list[PlacedBone] = []
    fixed = np.full((NUM_LANDMARKS, 3), np.nan)
    clip = (np.array([-400.0, -230.0, -400.0]), np.array([400.0, 200.0, 400.0]))

    def place(bone: Bone, side: str) -> None:
        placed.append(PlacedBone(side, bone, evaluate(bone, voxel_mm, clip=clip)))

    def fix(side: str, bone: Bone, table: dict[int, str]) -> None:
        for number, key in table.items():
            fixed[side_index(side, number)] = bone.points[key]

    for side in SIDES:
        own, own_findings = size.side(side), [f for f in findings if f.side == side]
        hip = alter_hip(hip_bone(size, own), own_findings)
        shift = head_shift(own, own_findings)
        head = turn @ mirror(side) @ (hip.points['center'] + shift)
        hip = hip.moved(turn @ mirror(side), origin)
        place(hip, side)
        fix(side, hip, _FROM_HIP)
        leg = mirror(side) @ femur_rotation(pose.leg(side), own.anteversion_deg)
        pieces = alter_femur(_with_frame(femur(size, own)), own, own_findings)
        pieces_placed = [b.moved(r, s).moved(leg, head) for b, r, s in pieces]
        for piece in pieces_placed:
            place(piece, side)
        fix(side, pieces_placed[0], _FROM_HEAD)
        fix(side, pieces_placed[-1], _FROM_SHAFT)
    place(spine(size).moved(turn, origin), 'both')
    return Scene(tuple(placed), fixed)


def _with_frame(bone: Bone) -> Bone:
    """Return the femur with points that carry its frame through every move."""
    frame = {'o': np.zeros(3), 'ex': np.eye(3)[0], 'ey': np.eye(3)[1]}
    return replace(bone, points={**bone.points, **frame})


def landmarks_px(scene: Scene, beam: ConeBeam) -> FloatArray:
    """Return where the 24 landmarks appear on the detector.

    Points fixed to a bone are projected. The ischium's bottom (9) is the lowest projected point of
    the hip bone, the trochanter's tip (7) the point of the trochanter furthest along the projected
    shaft axis, and the innermost ilium (1) the place where the inner outline of the hip bone,
    followed upwards from the widest part of the inlet, meets the sacrum.

    Returns:
        ``(24, 2)`` x, y; finite also for landmarks outside the detector.
    """
    points = np.full((NUM_LANDMARKS, 2), np.nan)
    fixed = np.isfinite(scene.fixed_mm[:, 0])
    points[fixed] = beam.pixels(scene.fixed_mm[fixed])
    sacrum = beam.pixels(scene.of('spine', 'both').surface())
    for side in SIDES:
        hip = scene.of('hip', side)
        outline = beam.pixels(hip.surface())
        points[side_index(side, 9)] = outline[np.argmax(outline[:, 1])]
        sign = 1.0 if side == 'left' else -1.0
        head = points[side_index(side, 6)]
        points[side_index(side, 1)] = _innermost_ilium(outline, sacrum, head, sign, beam)
        points[side_index(side, 7)] = _trochanter_tip(scene.of('femur', side), beam)
    return points


def _trochanter_tip(placed: PlacedBone, beam: ConeBeam) -> FloatArray:
    points = placed.bone.points
    origin = points['o']
    surface = placed.surface()
    # einsum, not @: its result does not depend on the number of BLAS threads.
    lateral = np.einsum('ij,j->i', surface - origin, points['ex'] - origin)
    distal = np.einsum('ij,j->i', surface - origin, points['ey'] - origin)
    nominal = (points['tip'] - origin) @ np.stack(
        [points['ex'] - origin, points['ey'] - origin], axis=1
    )
    near = (lateral > nominal[0] - 11.0) & (distal < nominal[1] + 30.0)
    outline = beam.pixels(surface[np.flatnonzero(near)])
    axis = beam.pixels(points['shaft_proximal']) - beam.pixels(points['shaft_distal'])
    return np.asarray(outline[np.argmax(np.einsum('ij,j->i', outline, axis))])


def _innermost_ilium(
    hip: FloatArray, sacrum: FloatArray, head: FloatArray, sign: float, beam: ConeBeam
) -> FloatArray:
    spacing = np.asarray(beam.spacing_xy_mm)
    bin_mm = 1.5

    def outline(points: FloatArray, innermost: bool) -> FloatArray:
        across = (points[:, 0] - beam.foot_px[0]) * spacing[0] * sign
        up = np.floor((head[1] - points[:, 1]) * spacing[1] / bin_mm).astype(int)
        out = np.full(rows, np.inf if innermost else -np.inf)
        good = np.flatnonzero((up >= 0) & (up < rows))
        (np.minimum if innermost else np.maximum).at(out, up[good], across[good])
        return out

    rows = int(130 / bin_mm)
    ilium, bone = outline(hip, True), outline(sacrum, False)
    brim = slice(int(8 / bin_mm), int(55 / bin_mm))
    start = int(np.argmax(np.where(np.isfinite(ilium), ilium, -np.inf)[brim])) + brim.start
    row = start
    while row < rows - 1 and ilium[row] > bone[row]:
        row += 1
    across = ilium[max(row - 1, 0)] if not np.isfinite(ilium[row]) else ilium[row]
    y = head[1] - (row + 0.5) * bin_mm / spacing[1]
    return np.array([beam.foot_px[0] + sign * across / spacing[0], y])


def bone_path(
    scene: Scene, beam: ConeBeam, rng: np.random.Generator | None = None
) -> npt.NDArray[np.float32]:
    """Return the ``(H, W)`` path through all bones, as mm of cortical bone.

    Without ``rng``, which places the trabecular texture, bones are smooth.
    """
    image = np.zeros(beam.size_hw, np.float32)
    for placed in scene.bones:
        texture = None if rng is None else trabecular_texture(rng)
        layers, grid = density(placed.bone, placed.distances, texture), placed.distances
        image += project(layers, grid.voxel_mm, grid.origin_mm, beam)
    return image
