"""Where the patient lies on the detector, and what hides landmarks there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from ..anatomy import LANDMARK_NAMES, SIDES, side_index
from . import occlusion
from .occlusion import Field, Obstacle
from .projection import ConeBeam
from .scene import Scene, landmarks_px
from .shapes import FloatArray

MARGIN_MM = 3.0
"""Every landmark lies at least so far, on the detector, from the border of its visibility."""

CAUSES = {
    'field_cut': 0.22,
    'collimation': 0.16,
    'shift': 0.05,
    'side_plate': 0.24,
    'block': 0.14,
    'shield': 0.06,
    'extreme_rotation': 0.13,
}
"""Why landmarks are absent in unstructured images, and how often."""


@dataclass(frozen=True)
class Layout:
    """Where the patient lies on the detector and what is in front.

    Attributes:
        beam: geometry.
        points: ``(24, 2)`` landmarks, pixels.
        exposed: the part of the detector that is exposed.
        obstacles: opaque objects.
        unreadable: landmark index to why it cannot be read, though nothing covers it.
    """

    beam: ConeBeam
    points: FloatArray
    exposed: Field
    obstacles: tuple[Obstacle, ...] = ()
    unreadable: Mapping[int, str] = field(default_factory=dict)

    def moved(self, shift_px: FloatArray) -> Layout:
        """Return the layout with the patient moved on the detector; blades and objects stay."""
        foot = (self.beam.foot_px[0] + shift_px[0], self.beam.foot_px[1] + shift_px[1])
        return replace(self, beam=replace(self.beam, foot_px=foot), points=self.points + shift_px)


def draw_cause(rng: np.random.Generator) -> str:
    """Draw one of ``CAUSES``."""
    return str(rng.choice(list(CAUSES), p=list(CAUSES.values())))


def sample_beam(rng: np.random.Generator, size_hw: tuple[int, int], spacing: float) -> ConeBeam:
    """Draw the geometry of source and detector; a detector pixel is ``spacing`` mm.

    The foot is at pixel (0, 0), until :func:`lay_out` places the detector.
    """
    distance = float(rng.uniform(1050.0, 1200.0))
    magnification = float(rng.uniform(1.10, 1.20))
    aim = (float(rng.uniform(-12, 12)), float(rng.uniform(-40, 20)))
    return ConeBeam(distance, distance / magnification, aim, size_hw, (spacing, spacing), (0, 0))


def lay_out(rng: np.random.Generator, scene: Scene, beam: ConeBeam) -> Layout:
    """Place the patient so that every landmark is on the detector.

    Half of the images get visible collimator blades.

    Raises:
        ValueError: the detector is too small for the 24 landmarks.
    """
    height, width = beam.size_hw
    spacing = beam.spacing_xy_mm[0]
    points = landmarks_px(scene, beam)
    edge = (MARGIN_MM + 3.0) / spacing
    low, high = points.min(0), points.max(0)
    span = high - low + 2 * edge
    if span[0] > width - 1 or span[1] > height - 1:
        need = span * spacing
        raise ValueError(
            f'the 24 landmarks need a field of {need[0]:.0f} x {need[1]:.0f} mm, the detector has '
            f'{width * spacing:.0f} x {height * spacing:.0f} mm: use more or larger pixels'
        )
    heads = 0.5 * (points[side_index('left', 6)] + points[side_index('right', 6)])
    wish = np.array([0.5 * width, rng.uniform(0.50, 0.60) * height]) - heads
    wish[0] += rng.uniform(-10, 10) / spacing
    shift = np.clip(wish, edge - low, np.array([width - 1, height - 1]) - edge - high)
    layout = Layout(beam, points, Field(None, beam.size_hw)).moved(shift)
    if rng.random() < 0.5:
        low, high = layout.points.min(0) - edge, layout.points.max(0) + edge
        top = rng.uniform(0.0, 0.35, 4) * [low[0], low[1], width - high[0], height - high[1]]
        corners = occlusion.blades(
            top[:2], np.array([width, height]) - 1 - top[2:], float(rng.uniform(-0.6, 0.6))
        )
        aperture = Field(corners, beam.size_hw)
        if aperture.clearance(layout.points).min() > MARGIN_MM / spacing:
            layout = replace(layout, exposed=aperture)
    return layout


def hide(rng: np.random.Generator, layout: Layout, cause: str) -> tuple[Layout, str]:
    """Hide some landmarks; draw again until each is clearly visible or clearly hidden.

    An extreme rotation is a matter of the pose, not of this. What comes back is the changed layout,
    and the cause that was used: another when this one cannot work.
    """
    spacing = layout.beam.spacing_xy_mm[0]
    for attempt in range(200):
        if attempt % 25 == 24:
            cause = str(rng.choice(['field_cut', 'collimation', 'block']))
        tried = _try_cause(rng, layout, cause)
        free = occlusion.clearance(tried.points, tried.exposed, tried.obstacles) * spacing
        if np.abs(free).min() > MARGIN_MM and 1 <= (free < 0).sum() <= 8:
            return tried, cause
    raise RuntimeError('no arrangement hides a landmark clearly')


def _try_cause(rng: np.random.Generator, layout: Layout, cause: str) -> Layout:
    height, width = layout.exposed.size_hw
    spacing = layout.beam.spacing_xy_mm[0]
    size = layout.beam.magnification / spacing
    points = layout.points
    side = SIDES[int(rng.integers(2))]
    if cause in ('field_cut', 'collimation'):
        return _cut_below(rng, layout, cause)
    if cause == 'shift':
        outer = [points[side_index(side, n)][0] for n in (7, 10, 11, 12)]
        cut = rng.uniform(min(outer) - 5 * size, max(outer) + 5 * size)
        shift = (width - 1 - cut) if side == 'left' else -cut
        return replace(layout.moved(np.array([shift, 0.0])), exposed=Field(None, (height, width)))
    if cause == 'side_plate':
        return replace(layout, obstacles=(occlusion.side_plate(points, side, size, rng),))
    # Most often the paper's images lack points 10 and 12.
    numbers = (10, 10, 10, 7, 12) if cause == 'block' else (8, 9, 10, 10, 12, 12)
    target = points[side_index(side, int(rng.choice(numbers)))]
    kind = occlusion.block if cause == 'block' else occlusion.shield
    return replace(layout, obstacles=(kind(target, size, rng),))


def _cut_below(rng: np.random.Generator, layout: Layout, cause: str) -> Layout:
    """End the image between the proximal and the distal point of a shaft, rarely higher."""
    height, width = layout.exposed.size_hw
    size = layout.beam.magnification / layout.beam.spacing_xy_mm[0]
    shaft = np.array([layout.points[side_index(s, 12)][1] for s in SIDES])
    depth = 62.0 if rng.random() < 0.2 else 30.0
    cut = rng.uniform(shaft.min() - depth * size, shaft.max() - 4.0 * size)
    if cause == 'field_cut':
        return replace(
            layout.moved(np.array([0.0, height - 1 - cut])),
            exposed=Field(None, (height, width)),
        )
    low = np.array([-30.0, -30.0])
    high = np.array([width + 30.0, cut])
    corners = occlusion.blades(low, high, float(rng.uniform(-2.0, 2.0)))
    return replace(layout, exposed=Field(corners, (height, width)))


def presence(layout: Layout, cause: str | None) -> tuple[npt.NDArray[np.bool_], dict[str, str]]:
    """Return ``(24,)`` which landmarks the image shows, and by name why it lacks the others."""
    free = occlusion.clearance(layout.points, layout.exposed, layout.obstacles)
    present = free > 0
    reason = {LANDMARK_NAMES[i]: str(cause) for i in np.flatnonzero(~present)}
    for index, why in layout.unreadable.items():
        present[index] = False
        reason[LANDMARK_NAMES[index]] = why
    return present, reason
