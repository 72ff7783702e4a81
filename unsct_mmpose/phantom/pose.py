"""Rigid transforms: how the pelvis lies and how each leg is turned.

World frame: x towards the patient's left, y caudal, z dorsal; origin midway between the heads.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from .shapes import FloatArray


@dataclass(frozen=True)
class LegPose:
    """How a femur is turned about its head centre: toes outward, knee outward, knee forward."""

    external_rotation_deg: float = 0.0
    abduction_deg: float = 0.0
    flexion_deg: float = 0.0


@dataclass(frozen=True)
class Pose:
    """How a patient lies.

    Attributes:
        tilt_deg: pelvic tilt; positive leads the iliac crests forward and the symphysis caudally.
        axial_deg: rotation about the long axis; positive brings the left side forward.
        obliquity_deg: in the image plane; positive lowers the left side.
        left: the patient's left leg.
        right: the patient's right leg.
    """

    tilt_deg: float = 0.0
    axial_deg: float = 0.0
    obliquity_deg: float = 0.0
    left: LegPose = LegPose()
    right: LegPose = LegPose()

    def leg(self, side: str) -> LegPose:
        """Return the pose of ``'left'`` or ``'right'``."""
        return self.left if side == 'left' else self.right

    def as_dict(self) -> dict[str, float]:
        """Return flat numbers in degrees, for annotation files."""
        flat: dict[str, float] = {}
        for key, value in asdict(self).items():
            if isinstance(value, dict):
                flat.update({f'{key}_{name}': round(v, 3) for name, v in value.items()})
            else:
                flat[key] = round(value, 3)
        return flat


def sample_pose(rng: np.random.Generator) -> Pose:
    """Draw a pose as patients lie for an AP pelvic radiograph."""

    def draw(mean: float, sd: float, low: float, high: float) -> float:
        return float(np.clip(mean + sd * rng.standard_normal(), low, high))

    def leg() -> LegPose:
        return LegPose(draw(-6, 8, -20, 15), draw(-3, 4, -10, 8), draw(3, 3, 0, 10))

    return Pose(draw(0, 4.5, -10, 10), draw(0, 3, -8, 8), draw(0, 2, -5, 5), leg(), leg())


def _turn(axis: int, degrees: float) -> FloatArray:
    """Return the rotation about a coordinate axis that turns the next axis to the one after."""
    angle = np.radians(degrees)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[second, first], matrix[first, second] = np.sin(angle), -np.sin(angle)
    return matrix


def mirror(side: str) -> FloatArray:
    """Return the matrix that leads from a side's frame (x lateral) to x towards the left."""
    return np.diag([1.0 if side == 'left' else -1.0, 1.0, 1.0])


def pelvis_rotation(pose: Pose) -> FloatArray:
    """Return the rotation of the pelvis about the middle of the heads.

    Example:
        >>> pelvis_rotation(Pose()).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    return _turn(2, pose.obliquity_deg) @ _turn(1, pose.axial_deg) @ _turn(0, pose.tilt_deg)


def femur_rotation(leg: LegPose, anteversion_deg: float) -> FloatArray:
    """Return the rotation of a femur in its side's frame (x lateral).

    External rotation and anteversion both turn the head forward relative to the shaft, so they
    add.

    Example:
        >>> turned = femur_rotation(LegPose(external_rotation_deg=90.0), 0.0)
        >>> bool(np.allclose(turned @ [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]))
        True
    """
    # Right-handed turns about y lead z to x; the head (-x) must come forward (-z).
    rotation = _turn(1, -(leg.external_rotation_deg + anteversion_deg))
    return _turn(2, -leg.abduction_deg) @ _turn(0, -leg.flexion_deg) @ rotation
