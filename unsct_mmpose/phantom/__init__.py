"""Simulated AP pelvic radiographs with known landmarks."""

from .dimensions import Dimensions, SideDimensions, sample_dimensions
from .generate import Patient, PhantomRadiograph, make_case, sample_patient
from .pathology import PATHOLOGIES, Pathology
from .pose import LegPose, Pose, sample_pose
from .projection import ConeBeam, project
from .scene import Scene, bone_path, build_scene, landmarks_px

__all__ = [
    'PATHOLOGIES',
    'ConeBeam',
    'Dimensions',
    'LegPose',
    'Pathology',
    'Patient',
    'PhantomRadiograph',
    'Pose',
    'Scene',
    'SideDimensions',
    'bone_path',
    'build_scene',
    'landmarks_px',
    'make_case',
    'project',
    'sample_dimensions',
    'sample_patient',
    'sample_pose',
]
