"""Diseases and injuries of the hip: how they change dimensions and shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .dimensions import Dimensions, SideDimensions
from .pose import LegPose, femur_rotation
from .shapes import Ellipsoid, FloatArray, HalfSpace, unit
from .volume import Bone

PATHOLOGIES: tuple[str, ...] = (
    'coxa_vara',
    'coxa_valga',
    'dysplasia',
    'joint_space_loss',
    'head_collapse',
    'neck_fracture',
)


_ILL_SHARE = 0.35


@dataclass(frozen=True)
class Pathology:
    """One finding on one side, of a severity from 0 (just recognisable) to 1."""

    name: str
    side: str
    severity: float

    def __post_init__(self) -> None:
        if self.name not in PATHOLOGIES:
            raise ValueError(f'unknown pathology {self.name!r}; known: {", ".join(PATHOLOGIES)}')

    def __str__(self) -> str:
        return f'{self.side}_{self.name}'


def sample_pathologies(rng: np.random.Generator) -> tuple[Pathology, ...]:
    """Draw the findings of a person: none for most, else one kind on one or both sides."""
    ill, kind, where = rng.random(), int(rng.integers(len(PATHOLOGIES))), rng.random()
    severity = rng.random(2)
    if ill >= _ILL_SHARE:
        return ()
    name = PATHOLOGIES[kind]
    both = where < 0.3 and name != 'neck_fracture'
    sides = ('left', 'right') if both else (('left',) if where < 0.65 else ('right',))
    return tuple(Pathology(name, side, float(severity[i])) for i, side in enumerate(sides))


def alter_dimensions(size: Dimensions, findings: Sequence[Pathology]) -> Dimensions:
    """Return a healthy person with the findings that are a matter of dimensions."""
    for finding in findings:
        side = size.side(finding.side)
        size = size.with_side(finding.side, _alter_side(side, finding))
    return size


def _alter_side(side: SideDimensions, finding: Pathology) -> SideDimensions:
    grade = finding.severity
    if finding.name == 'coxa_vara':
        angle = min(side.neck_shaft_deg, 117.0) - 12.0 * grade
        rise = 0.75 * (side.neck_shaft_deg - angle)
        return replace(side, neck_shaft_deg=angle, tip_height_mm=side.tip_height_mm + rise,
                       lesser_trochanter_mm=side.lesser_trochanter_mm - 0.5 * rise)  # fmt: skip
    if finding.name == 'coxa_valga':
        angle = max(side.neck_shaft_deg, 141.0) + 9.0 * grade
        rise = angle - side.neck_shaft_deg
        return replace(side, neck_shaft_deg=angle, tip_height_mm=side.tip_height_mm - 0.75 * rise,
                       femoral_offset_mm=max(side.femoral_offset_mm - 0.45 * rise, 26.0),
                       lesser_trochanter_mm=side.lesser_trochanter_mm + 0.5 * rise)  # fmt: skip
    if finding.name == 'dysplasia':
        edge = min(side.center_edge_deg, 18.0) - 9.0 * grade
        return replace(side, center_edge_deg=edge, roof_index_deg=14.0 + 8.0 * grade,
                       sharp_deg=max(side.sharp_deg, 44.0) + 3.0 * grade,
                       neck_shaft_deg=side.neck_shaft_deg + 3.0)  # fmt: skip
    return side


def head_shift(side: SideDimensions, findings: Sequence[Pathology]) -> FloatArray:
    """Return how far the head has left the centre of its cup: x lateral, y caudal, z dorsal, mm.

    Lost cartilage lets the head rise; a dysplastic cup lets it move laterally. Findings are those
    of the side, here and below.
    """
    shift = np.zeros(3)
    for finding in findings:
        if finding.name == 'joint_space_loss':
            lost = side.joint_space_mm * (0.55 + 0.35 * finding.severity)
            shift += lost * unit([0.25, -1.0, 0.0])
        if finding.name == 'dysplasia':
            shift += 0.6 * side.joint_space_mm * unit([0.9, -0.4, 0.0]) * finding.severity
    return shift


def alter_hip(bone: Bone, findings: Sequence[Pathology]) -> Bone:
    """Return a hip bone, in its side's frame, with a dense roof where joint space is lost."""
    for finding in findings:
        if finding.name == 'joint_space_loss':
            roof = 0.5 * (bone.points['upper_edge'] + bone.points['lower_edge'])
            extra = (roof - [0.0, 4.0, 0.0], 13.0, 2.5 + 3.0 * finding.severity)
            bone = replace(bone, bumps=[*bone.bumps, extra])
    return bone


def alter_femur(
    bone: Bone, side: SideDimensions, findings: Sequence[Pathology]
) -> list[tuple[Bone, FloatArray, FloatArray]]:
    """Apply findings to a femur in the femoral frame; a fracture leaves two fragments.

    Returns:
        ``(fragment, rotation, shift)``, the head's fragment first: a rigid displacement in the
        femoral frame, to be applied before the leg's pose.
    """
    pieces: list[tuple[Bone, FloatArray, FloatArray]] = [(bone, np.eye(3), np.zeros(3))]
    for finding in findings:
        if finding.name == 'head_collapse':
            pieces = [(_collapse(bone, side, finding.severity), np.eye(3), np.zeros(3))]
        if finding.name == 'neck_fracture':
            pieces = _fracture(bone, side, finding.severity)
    return pieces


def _collapse(bone: Bone, side: SideDimensions, grade: float) -> Bone:
    """Flatten the loaded segment of the head and thicken the bone below it."""
    radius = side.head_radius_mm
    toward = unit([0.18, -1.0, -0.1])
    depth = radius * (0.10 + 0.16 * grade)
    flat = Ellipsoid.at(
        toward * (radius - depth + 9.0), [0.95 * radius, 9.0, 0.95 * radius], axis=[0, 0, 1],
        side=[1.0, 0.18, 0.0],
    )  # fmt: skip
    bump = (toward * (radius - depth - 3.0), 11.0, 2.0 + 2.5 * grade)
    return replace(bone, cuts=[*bone.cuts, (flat, 2.0)], bumps=[*bone.bumps, bump])


def _fracture(
    bone: Bone, side: SideDimensions, grade: float
) -> list[tuple[Bone, FloatArray, FloatArray]]:
    axis = unit(bone.points['neck_base'])
    # Keep the break well clear of the head's cup and of the base of the neck.
    share = 0.5 * (1.0 + 0.85 * side.head_radius_mm / np.linalg.norm(bone.points['neck_base']))
    place = share * bone.points['neck_base']
    normal = unit(axis + np.array([0.15, -0.3, 0.1]))
    head = replace(bone, cuts=[*bone.cuts, (HalfSpace(place, -normal, 320.0), 0.5)])
    shaft = replace(bone, cuts=[*bone.cuts, (HalfSpace(place + 0.8 * normal, normal, 320.0), 0.5)])
    turn = femur_rotation(LegPose(12.0 + 18.0 * grade, -(3.0 + 6.0 * grade), 0.0), 0.0)
    slip = np.array([1.5, -(4.0 + 9.0 * grade), 0.0])
    return [(head, np.eye(3), np.zeros(3)), (shaft, turn, place - turn @ place + slip)]
