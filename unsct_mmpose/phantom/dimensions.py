"""Dimensions of a person's pelvis and femora, drawn from published distributions.

Means and spreads are those of the domain page (CT and AP-view morphometry of adults); sizes scale
with sex through the head diameter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class SideDimensions:
    """One hip and one femur.

    Attributes:
        head_radius_mm: of the femoral head.
        joint_space_mm: cartilage of both surfaces together.
        center_edge_deg: lateral centre-edge angle in the neutral pose.
        roof_index_deg: slope of the roof (sourcil) in the neutral pose.
        sharp_deg: from the teardrop to the lateral edge of the roof.
        acetabular_offset_mm: head centre lateral of the teardrop.
        neck_shaft_deg: in the plane of the neck.
        femoral_offset_mm: head centre to shaft axis, in the plane of the neck.
        anteversion_deg: of the neck.
        tip_height_mm: trochanter tip above the head centre along the shaft.
        lesser_trochanter_mm: its middle below the head centre along the shaft.
        neck_base_share: place of the neck's base between head centre (0) and shaft axis (1).
        fovea_rise_deg: fovea above the horizontal, seen from the head centre.
        shaft_radius_mm: outer radius below the lesser trochanter.
        shaft_wall_mm: cortical thickness there.
        wiggle_mm: small shifts of 36 control points, x, y, z in turn, in standard deviations.
    """

    head_radius_mm: float
    joint_space_mm: float
    center_edge_deg: float
    roof_index_deg: float
    sharp_deg: float
    acetabular_offset_mm: float
    neck_shaft_deg: float
    femoral_offset_mm: float
    anteversion_deg: float
    tip_height_mm: float
    lesser_trochanter_mm: float
    neck_base_share: float
    fovea_rise_deg: float
    shaft_radius_mm: float
    shaft_wall_mm: float
    wiggle_mm: tuple[float, ...]


@dataclass(frozen=True)
class Dimensions:
    """A person: what both sides share, and each side.

    Attributes:
        sex: ``'F'`` or ``'M'``.
        between_heads_mm: distance of the head centres.
        ischium_gap_mm: distance of the lowest points of the ischia.
        ischium_drop_mm: lowest point of the ischium below the head centre.
        inlet_width_mm: widest transverse diameter of the pelvic inlet.
        pelvic_height_mm: from the iliac crest to the bottom of the ischium.
        wing_flare_mm: widest point of the wing lateral of the head centre.
        sacral_slope_deg: of the first sacral end plate.
        symphysis_gap_mm: width of the symphysis.
        bone_quality: factor of densities and cortical thickness, 1 is usual.
        left: the patient's left side.
        right: the patient's right side.
    """

    sex: Literal['F', 'M']
    between_heads_mm: float
    ischium_gap_mm: float
    ischium_drop_mm: float
    inlet_width_mm: float
    pelvic_height_mm: float
    wing_flare_mm: float
    sacral_slope_deg: float
    symphysis_gap_mm: float
    bone_quality: float
    left: SideDimensions
    right: SideDimensions

    def side(self, name: str) -> SideDimensions:
        """Return the dimensions of ``'left'`` or ``'right'``."""
        return self.left if name == 'left' else self.right

    def with_side(self, name: str, side: SideDimensions) -> Dimensions:
        """Return a copy with one side replaced."""
        return replace(self, left=side) if name == 'left' else replace(self, right=side)


def _normal(rng: np.random.Generator, mean: float, sd: float, width: float = 2.2) -> float:
    """Draw from a normal distribution, clipped to ``width`` standard deviations."""
    return float(mean + sd * np.clip(rng.standard_normal(), -width, width))


def sample_dimensions(rng: np.random.Generator) -> Dimensions:
    """Draw a person without disease.

    Example:
        >>> person = sample_dimensions(np.random.default_rng(0))
        >>> 150 < person.between_heads_mm < 196
        True
    """
    sex: Literal['F', 'M'] = 'F' if rng.random() < 0.5 else 'M'
    male = sex == 'M'
    radius = _normal(rng, 48.9 if male else 44.1, 2.4 if male else 2.8) / 2.0
    size = radius / 23.4
    inlet = _normal(rng, 126.0, 8.0)
    shared = {
        'between_heads_mm': _normal(rng, 173.0 + 60.0 * (size - 1.0) + 0.35 * (inlet - 126), 7.5),
        'ischium_gap_mm': _normal(rng, 84.0 if male else 108.0, 10.0 if male else 8.0),
        'ischium_drop_mm': _normal(rng, 65.0 * (0.6 + 0.4 * size), 4.0),
        'pelvic_height_mm': _normal(rng, 217.0 * (0.4 + 0.6 * size), 8.0),
        'wing_flare_mm': _normal(rng, 48.0, 6.0),
        'sacral_slope_deg': _normal(rng, 40.0, 7.0),
        'symphysis_gap_mm': _normal(rng, 4.5, 1.0),
        'bone_quality': float(np.exp(_normal(rng, 0.0, 0.15))),
    }
    middle = _sample_side(rng, radius, inlet, shared['between_heads_mm'])
    left, right = (_vary_side(rng, middle) for _ in range(2))
    return Dimensions(sex=sex, inlet_width_mm=inlet, left=left, right=right, **shared)


def _sample_side(
    rng: np.random.Generator, radius: float, inlet: float, between_heads: float
) -> SideDimensions:
    size = radius / 23.4
    edge = _normal(rng, 33.0, 6.0)
    angle = _normal(rng, 129.5, 4.8)
    # The teardrop follows the inner wall, so a wide inlet puts it further from the midline.
    offset = 31.2 * (0.5 + 0.5 * size) + 0.12 * (between_heads - 173) - 0.1 * (inlet - 126)
    return SideDimensions(
        head_radius_mm=radius,
        joint_space_mm=_normal(rng, 4.0, 0.5),
        center_edge_deg=edge,
        roof_index_deg=_normal(rng, 5.6 - 0.2 * (edge - 33.0), 3.6),
        sharp_deg=_normal(rng, 39.0 - 0.3 * (edge - 33.0), 2.4),
        acetabular_offset_mm=_normal(rng, offset, 1.6),
        neck_shaft_deg=angle,
        femoral_offset_mm=_normal(rng, 43.0 * size - 0.5 * (angle - 129.5), 3.0),
        anteversion_deg=_normal(rng, 11.0, 6.0),
        tip_height_mm=_normal(rng, 6.0 - 0.7 * (angle - 129.5), 3.5),
        lesser_trochanter_mm=_normal(rng, 56.0 * size + 0.3 * (angle - 129.5), 3.0),
        neck_base_share=_normal(rng, 0.61, 0.03),
        fovea_rise_deg=_normal(rng, 8.0, 7.0),
        shaft_radius_mm=_normal(rng, 14.0 * size, 0.8),
        shaft_wall_mm=_normal(rng, 6.0, 0.9),
        wiggle_mm=tuple(float(v) for v in rng.standard_normal(108).clip(-2, 2)),
    )


_BETWEEN_SIDES = {
    'center_edge_deg': 1.3,
    'roof_index_deg': 1.2,
    'neck_shaft_deg': 1.2,
    'femoral_offset_mm': 1.0,
    'anteversion_deg': 2.5,
    'tip_height_mm': 1.2,
    'lesser_trochanter_mm': 1.0,
    'fovea_rise_deg': 2.5,
    'joint_space_mm': 0.2,
}
"""How much left differs from right: the spread about the person's mean."""


def _vary_side(rng: np.random.Generator, side: SideDimensions) -> SideDimensions:
    """Return a side that differs from the person's mean as left differs from right."""
    changed = {
        name: getattr(side, name) + _normal(rng, 0.0, spread)
        for name, spread in _BETWEEN_SIDES.items()
    }
    wiggle = zip(side.wiggle_mm, rng.standard_normal(108).clip(-2, 2), strict=True)
    return replace(
        side, **changed, wiggle_mm=tuple(0.85 * own + 0.35 * float(more) for own, more in wiggle)
    )
