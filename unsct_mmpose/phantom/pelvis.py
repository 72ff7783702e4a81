"""The hip bone: shapes and the landmarks that belong to it.

Frame of this file: x lateral of the midline on one side, y caudal, z dorsal, mm; the origin lies
midway between the two acetabular centres; the anterior pelvic plane is square to z.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .dimensions import Dimensions, SideDimensions
from .plate import curved_plate
from .shapes import Cap, Ellipsoid, FloatArray, HalfSpace, Limb, Vector, swept_tube, unit
from .volume import Bone

WALL_MM = 5.5
FOSSA_RADIUS_MM = 16.0
FOSSA_DEPTH_MM = 3.3


def acetabular_points(size: Dimensions, side: SideDimensions) -> dict[str, FloatArray]:
    """Return centre, roof edges, floor and teardrop of the acetabulum.

    The lateral end of the roof lies on the cup at the centre-edge angle from the vertical, the
    medial end where a chord with the roof's slope meets the cup again; the teardrop follows from
    the acetabular offset and the Sharp angle.

    Returns:
        Points, mm: ``center``, ``upper_edge``, ``lower_edge``, ``cartilage``, ``teardrop``.
    """
    center = np.array([size.between_heads_mm / 2.0, 0.0, 0.0])
    radius = side.head_radius_mm + side.joint_space_mm
    edge = np.radians(side.center_edge_deg)
    far = np.radians(float(np.clip(side.center_edge_deg + 2 * side.roof_index_deg, 26.0, 62.0)))
    upper = center + radius * np.array([np.sin(edge), -np.cos(edge), 0.0])
    lower = center + radius * np.array([-np.sin(far), -np.cos(far), 0.0])
    x = center[0] - side.acetabular_offset_mm
    y = upper[1] + np.tan(np.radians(side.sharp_deg)) * (upper[0] - x)
    teardrop = np.array([x, float(np.clip(y, 9.0, 24.0)), 2.0])
    rise = np.radians(10.0)
    depth = _floor_depth(radius, far, rise)
    cartilage = center + depth * np.array([-np.cos(rise), -np.sin(rise), 0.0])
    return {
        'center': center,
        'upper_edge': upper,
        'lower_edge': lower,
        'cartilage': cartilage,
        'teardrop': teardrop,
    }


def _fossa_rise(radius: float, far: float) -> float:
    """Return the elevation of the fossa's axis such that its upper edge is the roof's end."""
    away = radius + FOSSA_DEPTH_MM - FOSSA_RADIUS_MM
    spread = (radius**2 + away**2 - FOSSA_RADIUS_MM**2) / (2 * radius * away)
    return float(np.pi / 2 - far - np.arccos(np.clip(spread, -1.0, 1.0)))


def _floor_depth(radius: float, far: float, rise: float) -> float:
    """Return the distance of the floor from the centre in a direction, in the coronal plane."""
    away = radius + FOSSA_DEPTH_MM - FOSSA_RADIUS_MM
    turn = rise - min(_fossa_rise(radius, far), rise)
    reach = away * np.cos(turn) + np.sqrt(max(FOSSA_RADIUS_MM**2 - (away * np.sin(turn)) ** 2, 0.0))
    return float(max(reach, radius))


def hip_bone(size: Dimensions, side: SideDimensions) -> Bone:
    """Build one hip bone: ilium, acetabulum, ischium, pubis.

    Its landmarks 2, 3, 4 and 8 and the acetabular centre are in ``points``.
    """
    points = acetabular_points(size, side)
    quality = size.bone_quality
    bone = Bone('hip', cortex_mm=1.4 * quality**0.5, trabecular=0.22 * quality, points=points)
    builder = _HipBuilder(size, side, bone)
    builder.ilium()
    builder.ischium_and_pubis()
    builder.acetabulum()
    return bone


class _HipBuilder:
    """Places the parts of one hip bone relative to the acetabular centre and the midline."""

    def __init__(self, size: Dimensions, side: SideDimensions, bone: Bone) -> None:
        self.size, self.side, self.bone = size, side, bone
        self.hx = size.between_heads_mm / 2.0
        self.cup = side.head_radius_mm + side.joint_space_mm
        self.wall_x = float(bone.points['teardrop'][0])
        self.top = size.ischium_drop_mm - size.pelvic_height_mm
        self.inlet = size.inlet_width_mm / 2.0
        self.ischium_x = size.ischium_gap_mm / 2.0
        self._wiggle = iter(np.asarray(side.wiggle_mm).reshape(-1, 3))

    def at(self, x: float, y: float, z: float, wiggle: float = 1.2) -> FloatArray:
        """Return a control point with its individual shift."""
        return np.array([x, y, z]) + wiggle * next(self._wiggle)

    def tube(
        self,
        points: Sequence[FloatArray],
        radii: Sequence[float] | Sequence[Sequence[float]],
        blend: float,
        side: Vector = (1, 0, 0),
    ) -> None:
        """Add a swept tube."""
        limbs = swept_tube(points, radii, side=side)
        self.bone.solids.extend((limb, blend if i == 0 else 2.0) for i, limb in enumerate(limbs))

    def ilium(self) -> None:
        """Add the wing with its crest, the body above the acetabulum and the arcuate line."""
        hx, top, flare = self.hx, self.top, self.size.wing_flare_mm
        spine = self.at(hx + 0.64 * flare, -72, -43)
        tubercle = self.at(hx + 0.92 * flare, 0.73 * top, -17)
        summit = self.at(hx + 0.48 * flare, 0.985 * top + 3, 22)
        crest = self.at(hx - 0.02 * flare, 1.0 * top + 4, 48)
        back = self.at(hx - 0.52 * flare, 0.86 * top, 76)
        rear = self.at(44, -90, 94)
        low_rear = self.at(47, -58, 80)
        joint = self.at(52, -54, 54)
        brim = self.at(self.inlet - 2, -46, 28)
        lower_spine = self.at(hx + 16, -37, -30)
        notch = self.at(hx + 20, -55, -34)
        # The lower border runs through the acetabulum's block, which hides it.
        under = [[self.inlet + 2, -28, 22], [hx - 12, -16, 6], [hx + 4, -22, -10]]
        outline: list[Vector] = [spine, tubercle, summit, crest, back, rear, low_rear, joint, brim,
                                 *under, lower_spine, notch]  # fmt: skip
        hollow = 0.5 * (brim + summit) + np.array([5.0, 0.0, 6.0])
        wing = curved_plate(
            outline, [hollow], middle_mm=3.6, edge_mm=6.5, fade_mm=18.0,
            swellings=[([hx - 6, -36, 6], 26.0, 18.0), ([self.inlet + 8, -50, 40], 20.0, 7.0),
                       ([hx + 12, -42, -24], 14.0, 7.0), ([hx + 2, -80, 8], 30.0, 3.0)],
        )  # fmt: skip
        self.bone.solids.append((wing, 0.0))
        self.tube([spine, tubercle, summit, crest, back, rear],
                  [4.5, 5.2, 3.8, 3.8, 4.6, 6.0], 7.0)  # fmt: skip
        self.tube([spine, notch, lower_spine], [4.5, 3.6, 5.5], 7.0)
        self.tube([rear, 0.5 * (rear + low_rear), low_rear], [6.0, 6.0, 4.5], 8.0)
        edge = self.bone.points['upper_edge']
        self.tube([edge + [-7.0, -7.5, 1.0], self.at(hx + 5, -43, -5, 0.5)], [6.5, 6.0], 12.0)
        sacral = 0.45 * joint + 0.3 * rear + 0.25 * back + np.array([1.5, 4.0, 0.0])
        self.bone.solids.append(
            (Ellipsoid.at(sacral, [6.5, 24.0, 22.0], axis=rear - joint, side=[1, 0, 0.5]), 10.0)
        )
        self.tube([joint, brim, self.at(self.inlet, -30, 8), self.at(self.inlet - 3, -12, -14)],
                  [(5.0, 7.0), (4.5, 8.0), (4.5, 9.0), (5.5, 8.0)], 8.0, [1, 0, 0])  # fmt: skip
        self.joint, self.brim = joint, brim

    def ischium_and_pubis(self) -> None:
        """Add the posterior column, the ischium with its spine and tuberosity, and the rami."""
        hx, drop, ix = self.hx, self.size.ischium_drop_mm, self.ischium_x
        half_gap = 0.5 * self.size.symphysis_gap_mm
        seat = self.at(0.45 * ix + 0.5 * hx - 4, drop - 27, 15, 0.7)
        tuber = np.array([ix + 5.5, drop - 13.0, 12.0])
        self.tube([self.joint, self.at(self.inlet + 4, -30, 42), self.at(hx - 19, 2, 33),
                   self.at(hx - 17, 22, 22), seat, tuber],
                  [(6.0, 7.0), (6.5, 8.0), (10.0, 10.5), (12.5, 12.0), (15.0, 13.0), (13.0, 12.5)],
                  9.0)  # fmt: skip
        spine = self.at(self.wall_x - 5, 15, 46)
        self.tube([self.at(hx - 22, 4, 36, 0.3), spine], [(6.0, 7.0), (1.6, 3.0)], 6.0)
        body_top = self.at(half_gap + 11, 22, -43, 0.7)
        body_low = self.at(half_gap + 10, 39, -33, 0.7)
        self.tube([self.at(self.inlet + 2, -6, -12, 0.5), self.at(0.62 * self.inlet + 7, 5, -29),
                   self.at(0.3 * self.inlet + 8, 14, -40), body_top],
                  [(8.0, 9.0), (6.0, 7.0), (6.0, 7.5), (7.0, 9.5)], 8.0, [0, 0.3, 1])  # fmt: skip
        self.tube([body_top, body_low], [(10.0, 6.5), (9.5, 6.5)], 12.0)
        low = self.at(0.5 * ix + 9, drop - 11, -13)
        self.tube([body_low, 0.5 * (body_low + low) + [0.0, 1.5, 0.0], low,
                   tuber + [-1.0, 1.5, -4.0]],
                  [(7.5, 6.0), (5.0, 7.0), (5.0, 6.5), (8.0, 10.0)], 9.0, [0, 0.3, 1])  # fmt: skip
        face = np.array([half_gap, 28.0, -37.0])
        self.bone.cuts.append((HalfSpace(face, np.array([1.0, 0.0, 0.0]), 42.0), 1.5))

    def acetabulum(self) -> None:
        """Add the cup's block and inner wall; cut the cup, the fossa and the sacroiliac face."""
        points, cup = self.bone.points, self.cup
        center, upper, teardrop = points['center'], points['upper_edge'], points['teardrop']
        opening = self._opening()
        height = float((upper - center) @ opening)
        self.bone.solids.append((Cap(center, cup + WALL_MM, opening, height), 2.5))
        self._inner_wall(teardrop)
        self.bone.cuts.append((Ellipsoid.ball(center, cup), 0.0))
        far = np.radians(
            float(np.clip(self.side.center_edge_deg + 2 * self.side.roof_index_deg, 26.0, 62.0))
        )
        rise = _fossa_rise(cup, far)
        away = cup + FOSSA_DEPTH_MM - FOSSA_RADIUS_MM
        for angle in (rise, rise - 0.45, rise - 0.85):
            shift = away * np.array([-np.cos(angle), -np.sin(angle), 0.05])
            self.bone.cuts.append((Ellipsoid.ball(center + shift, FOSSA_RADIUS_MM), 0.0))
        plane = np.array([53.5, -70.0, 52.0])
        self.bone.cuts.append((HalfSpace(plane, unit([0.88, 0.16, 0.42]), 34.0), 2.0))
        roof = center + 0.5 * (upper + points['lower_edge'] - 2 * center)
        roof = center + cup * unit(roof - center) * 1.02
        self.bone.bumps.append((roof, 13.0, 2.6))
        self.bone.bumps.append((upper, 7.0, 2.0))
        self.bone.bumps.append((teardrop - [0.0, 8.0, 0.0], 12.0, 0.8))
        self.bone.bumps.append((self.brim, 16.0, 1.0))

    def _inner_wall(self, teardrop: FloatArray) -> None:
        """Add the thin plate between the true pelvis and the acetabulum, ending in the teardrop."""
        hx, inlet, wall, low = self.hx, self.inlet, self.wall_x, float(teardrop[1])
        outline = [[inlet - 0.5, -39, 30], [inlet + 0.5, -31, 8], [inlet - 2, -18, -10],
                   [wall + 2.5, -2, -18], [wall + 1.8, low - 6, -10], [wall + 2.2, low - 5, 8],
                   [0.5 * (wall + hx) - 12, low + 10, 24], [wall + 9, 4, 38],
                   [inlet + 3, -22, 41]]  # fmt: skip
        middle = [[wall + 1.2, -8.0, 6.0]]
        self.bone.solids.append((curved_plate(outline, middle, middle_mm=4.0, edge_mm=5.0), 4.0))
        width = 2.4
        self.bone.solids.append(
            (Limb(np.array([wall + 1.0, low - 20.0, 2.0]), teardrop - [0.0, width, 0.0],
                  np.array([1.0, 0.0, 0.0]), (2.8, 11.0), (width, 9.0)), 2.0)
        )  # fmt: skip

    def _opening(self) -> FloatArray:
        """Return the direction in which the cup opens: its plane lies 2 mm medial of the centre."""
        edge = np.radians(self.side.center_edge_deg)
        tilt = np.arccos(np.clip(-2.0 / self.cup, -1.0, 1.0)) - (np.pi / 2 - edge)
        forward = np.radians(18.0)
        return np.array(
            [np.cos(tilt) * np.cos(forward), np.sin(tilt), -np.cos(tilt) * np.sin(forward)]
        )
