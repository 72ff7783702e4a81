"""One simulated radiograph, complete with its landmarks, from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from ..anatomy import SIDES, side_index
from . import occlusion
from .detector import display, quantise, sample_exposure
from .dimensions import Dimensions, sample_dimensions
from .layout import Layout, draw_cause, hide, lay_out, presence, sample_beam
from .pathology import Pathology, sample_pathologies
from .pose import LegPose, Pose, sample_pose
from .projection import ConeBeam
from .scene import VOXEL_MM, Scene, bone_path, build_scene
from .shapes import FloatArray
from .tissue import Habitus, sample_habitus, tissue_path

FIELD_MM = 430.0
"""Longer side of the detector, unless the pixel spacing is given."""


@dataclass(frozen=True)
class Patient:
    """Who is imaged, without any identity: healthy dimensions, what is ill, soft tissue."""

    patient_id: str
    dimensions: Dimensions
    findings: tuple[Pathology, ...]
    habitus: Habitus


@dataclass(frozen=True)
class PhantomRadiograph:
    """A simulated AP pelvic radiograph and its truth.

    Attributes:
        pixels: ``(H, W)`` uint16, bone bright.
        bits_stored: 12 to 16.
        landmarks_px: ``(24, 2)`` x, y, all left then all right; true places also of hidden ones.
        present: ``(24,)`` bool.
        absent_reason: full landmark name to cause, for those not present.
        spacing_xy_mm: of the detector.
        magnification: of the plane of the head centres.
        source_detector_mm: along the central ray.
        pose: degrees.
        pathologies: such as ``'left_coxa_vara'``.
        subset: ``'structured'`` or ``'unstructured'``.
        cause: why it is unstructured, or None.
        patient_id: of the patient.
    """

    pixels: npt.NDArray[np.uint16]
    bits_stored: int
    landmarks_px: FloatArray
    present: npt.NDArray[np.bool_]
    absent_reason: dict[str, str]
    spacing_xy_mm: tuple[float, float]
    magnification: float
    source_detector_mm: float
    pose: dict[str, float]
    pathologies: tuple[str, ...]
    subset: str
    cause: str | None
    patient_id: str


def child(seed: int | np.random.SeedSequence, number: int) -> np.random.Generator:
    """Return a source of randomness of its own for one of the things that a seed decides."""
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    return np.random.default_rng(
        np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, number))
    )


def sample_patient(seed: int | np.random.SeedSequence, patient_id: str = 'phantom') -> Patient:
    """Draw a person."""
    size = sample_dimensions(child(seed, 0))
    return Patient(
        patient_id,
        size,
        sample_pathologies(child(seed, 1)),
        sample_habitus(child(seed, 2), size.between_heads_mm),
    )


def make_case(
    seed: int | np.random.SeedSequence,
    *,
    size_hw: tuple[int, int] = (512, 512),
    spacing_mm: float | None = None,
    subset: str = 'structured',
    patient: Patient | None = None,
    bits: int = 12,
) -> PhantomRadiograph:
    """Simulate one radiograph.

    Args:
        seed: decides everything about the image.
        size_hw: rows and columns.
        spacing_mm: detector pixel; None makes the longer side 430 mm.
        subset: ``'structured'`` shows all 24 landmarks, ``'unstructured'`` hides some.
        patient: who is imaged; None draws a person from the seed.
        bits: stored bits, 12 to 16.

    Raises:
        ValueError: unknown subset, or a field of view too small for all landmarks.
    """
    if subset not in ('structured', 'unstructured'):
        raise ValueError(f"subset must be 'structured' or 'unstructured', not {subset!r}")
    patient = sample_patient(seed) if patient is None else patient
    spacing = FIELD_MM / max(size_hw) if spacing_mm is None else float(spacing_mm)
    rng = child(seed, 10)
    cause = draw_cause(rng) if subset == 'unstructured' else None
    pose = sample_pose(child(seed, 11))
    twisted: str | None = None
    if cause == 'extreme_rotation':
        twisted = SIDES[int(rng.integers(2))]
        pose = _twist(pose, twisted, patient.dimensions, rng)
    # Coarse detectors do not need fine bones.
    coarse = float(np.clip(spacing / 0.85, 1.0, 1.5))
    voxel = (coarse * VOXEL_MM[0], coarse * VOXEL_MM[1], coarse * VOXEL_MM[2])
    scene = build_scene(patient.dimensions, pose, patient.findings, voxel_mm=voxel)
    beam = sample_beam(child(seed, 12), size_hw, spacing)
    layout = lay_out(child(seed, 13), scene, beam)
    if twisted is not None:
        layout = replace(layout, unreadable={side_index(twisted, 10): 'extreme_rotation'})
    elif cause is not None:
        layout, cause = hide(rng, layout, cause)
    shown = render(scene, patient.habitus, layout, seed)
    present, reason = presence(layout, cause)
    return PhantomRadiograph(
        pixels=quantise(shown, bits),
        bits_stored=bits,
        landmarks_px=layout.points,
        present=present,
        absent_reason=reason,
        spacing_xy_mm=(spacing, spacing),
        magnification=beam.magnification,
        source_detector_mm=beam.source_detector_mm,
        pose=pose.as_dict(),
        pathologies=tuple(str(finding) for finding in patient.findings),
        subset=subset,
        cause=cause,
        patient_id=patient.patient_id,
    )


def render(
    scene: Scene,
    habitus: Habitus,
    layout: Layout,
    seed: int | np.random.SeedSequence,
) -> npt.NDArray[np.float32]:
    """Return the ``(H, W)`` display image, in [0, 1], of a laid-out scene.

    The seed decides texture, tissue, exposure, noise and the letter.
    """
    # Coarse detectors are rendered finer and averaged, so that no thin structure is skipped.
    fine = max(round(layout.beam.spacing_xy_mm[0]), 1)
    beam = _refined(layout.beam, fine)
    bone = bone_path(scene, beam, child(seed, 20))
    shafts = np.array(
        [[scene.fixed_mm[side_index(side, number)] for number in (11, 12)] for side in SIDES]
    )
    water = tissue_path(habitus, beam, shafts, child(seed, 21))
    size = layout.beam.size_hw[::-1]
    if fine > 1:
        bone, water = (cv2.resize(a, size, interpolation=cv2.INTER_AREA) for a in (bone, water))
    spacing = layout.beam.spacing_xy_mm[0]
    exposure = sample_exposure(child(seed, 22))
    shown = display(water, bone, exposure, spacing, child(seed, 23))
    letter = child(seed, 24)
    if letter.random() < 0.8:
        shown = occlusion.write_letter(shown, layout.points, layout.exposed, 1 / spacing, letter)
    return occlusion.cover(shown, layout.exposed, layout.obstacles)


def _refined(beam: ConeBeam, factor: int) -> ConeBeam:
    if factor == 1:
        return beam
    x, y = ((f + 0.5) * factor - 0.5 for f in beam.foot_px)
    return replace(
        beam,
        size_hw=(beam.size_hw[0] * factor, beam.size_hw[1] * factor),
        spacing_xy_mm=(beam.spacing_xy_mm[0] / factor, beam.spacing_xy_mm[1] / factor),
        foot_px=(x, y),
    )


def _twist(pose: Pose, side: str, size: Dimensions, rng: np.random.Generator) -> Pose:
    """Turn one leg outwards until neck and shaft lie behind each other."""
    turn = rng.uniform(60.0, 74.0) - size.side(side).anteversion_deg
    leg = LegPose(float(turn), pose.leg(side).abduction_deg, pose.leg(side).flexion_deg)
    return replace(pose, left=leg) if side == 'left' else replace(pose, right=leg)
