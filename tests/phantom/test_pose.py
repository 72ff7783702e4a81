"""Rigid transforms of pelvis and legs."""

from dataclasses import replace

import numpy as np
import pytest

from unsct_mmpose.phantom.pose import (
    LegPose,
    Pose,
    femur_rotation,
    mirror,
    pelvis_rotation,
    sample_pose,
)


@pytest.mark.parametrize('seed', range(5))
def test_rotations_are_rotations(seed):
    pose = sample_pose(np.random.default_rng(seed))
    for matrix in (pelvis_rotation(pose), femur_rotation(pose.left, 12.0)):
        assert np.allclose(matrix @ matrix.T, np.eye(3))
        assert np.linalg.det(matrix) == pytest.approx(1.0)


@pytest.mark.parametrize('seed', range(5))
def test_the_mirrored_pose_is_the_mirror_image(seed):
    pose = sample_pose(np.random.default_rng(seed))
    flip = mirror('right')
    other = replace(pose, axial_deg=-pose.axial_deg, obliquity_deg=-pose.obliquity_deg)
    assert np.allclose(flip @ pelvis_rotation(pose) @ flip, pelvis_rotation(other))


def test_signs_are_those_of_the_documentation():
    left, caudal, front = np.eye(3)[0], np.eye(3)[1], -np.eye(3)[2]
    assert (pelvis_rotation(Pose(tilt_deg=10)) @ -caudal) @ front > 0
    assert (pelvis_rotation(Pose(axial_deg=10)) @ left) @ front > 0
    assert (pelvis_rotation(Pose(obliquity_deg=10)) @ left) @ caudal > 0
    lateral = left
    assert (femur_rotation(LegPose(external_rotation_deg=20), 0) @ front) @ lateral > 0
    assert (femur_rotation(LegPose(abduction_deg=20), 0) @ caudal) @ lateral > 0
    assert (femur_rotation(LegPose(flexion_deg=20), 0) @ caudal) @ front > 0


def test_external_rotation_and_anteversion_add():
    assert np.allclose(femur_rotation(LegPose(20.0), 15.0), femur_rotation(LegPose(35.0), 0.0))


def test_turning_the_leg_foreshortens_the_offset():
    offset = [abs((femur_rotation(LegPose(angle), 0) @ [-40.0, 0, 0])[0]) for angle in (0, 30, 60)]
    assert offset == [pytest.approx(40), pytest.approx(40 * np.cos(np.pi / 6)), pytest.approx(20)]


def test_the_dictionary_is_flat_and_in_degrees():
    flat = Pose(1.0, 2.0, 3.0, LegPose(4.0)).as_dict()
    assert flat['tilt_deg'] == 1.0 and flat['left_external_rotation_deg'] == 4.0
    assert all(isinstance(v, float) for v in flat.values())
