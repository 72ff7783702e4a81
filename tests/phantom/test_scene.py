"""Posed bones and their landmarks: measured parameters are the sampled ones."""

from dataclasses import replace

import numpy as np
import pytest

from unsct_mmpose.anatomy import FLIP_INDICES, side_index
from unsct_mmpose.phantom.pose import LegPose, Pose, sample_pose
from unsct_mmpose.phantom.projection import ConeBeam, project
from unsct_mmpose.phantom.scene import bone_path, build_scene, landmarks_px


@pytest.fixture(scope='module')
def neutral(neutral_scene, far_beam):
    return landmarks_px(neutral_scene, far_beam)


def facing(person):
    """Turn both legs so that the necks lie in the image plane."""
    return Pose(left=LegPose(-person.left.anteversion_deg),
                right=LegPose(-person.right.anteversion_deg))  # fmt: skip


def test_the_heads_are_as_far_apart_as_sampled(person, neutral):
    gap = neutral[side_index('left', 6)] - neutral[side_index('right', 6)]
    assert gap[0] == pytest.approx(person.between_heads_mm, abs=0.05)
    assert gap[1] == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize('side', ['left', 'right'])
def test_measured_femora_have_the_sampled_dimensions(person, far_beam, coarse, side):
    points = landmarks_px(build_scene(person, facing(person), voxel_mm=coarse), far_beam)
    p = {n: points[side_index(side, n)] for n in range(1, 13)}
    own = person.side(side)
    neck, shaft = p[6] - p[10], p[12] - p[11]
    angle = np.degrees(np.arccos(neck @ shaft / np.linalg.norm(neck) / np.linalg.norm(shaft)))
    assert angle == pytest.approx(own.neck_shaft_deg, abs=0.2)
    along = shaft / np.linalg.norm(shaft)
    away = (p[6] - p[11]) - ((p[6] - p[11]) @ along) * along
    assert np.linalg.norm(away) == pytest.approx(own.femoral_offset_mm, abs=0.2)
    assert (p[6] - p[7]) @ along == pytest.approx(own.tip_height_mm, abs=3.5)
    assert np.linalg.norm(p[5] - p[6]) == pytest.approx(0.7 * own.head_radius_mm, abs=1.6)


@pytest.mark.parametrize('side', ['left', 'right'])
def test_measured_acetabula_have_the_sampled_angles(person, neutral, side):
    p = {n: neutral[side_index(side, n)] for n in range(1, 13)}
    own, lateral = person.side(side), 1 if side == 'left' else -1
    edge = p[3] - p[6]
    assert np.degrees(np.arctan2(lateral * edge[0], -edge[1])) == pytest.approx(
        own.center_edge_deg, abs=0.2
    )
    assert lateral * (p[6] - p[8])[0] == pytest.approx(own.acetabular_offset_mm, abs=0.2)
    assert p[9][1] - p[6][1] == pytest.approx(person.ischium_drop_mm, abs=4)


def test_landmarks_are_arranged_as_in_a_person(neutral):
    for side, lateral in (('left', 1), ('right', -1)):
        p = {n: neutral[side_index(side, n)] for n in range(1, 13)}
        across = {n: lateral * (p[n][0] - 219.5) for n in p}
        assert across[1] < across[2] < across[4] < across[6] < across[3] < across[7]
        assert across[9] < across[10] < across[11]
        assert p[1][1] < p[4][1] < p[6][1] < p[8][1] < p[9][1] < p[12][1]
        assert 40 < p[6][1] - p[1][1] < 70


@pytest.mark.parametrize('seed', [0, 1])
def test_mirrored_anatomy_has_mirrored_landmarks(person, coarse, seed):
    pose = sample_pose(np.random.default_rng(seed))
    beam = ConeBeam(1100, 960, (0.0, -10.0), (512, 512), (0.84, 0.84), (255.5, 255.5))
    here = landmarks_px(build_scene(person, pose, voxel_mm=coarse), beam)
    other_person = replace(person, left=person.right, right=person.left)
    other_pose = replace(
        pose,
        axial_deg=-pose.axial_deg,
        obliquity_deg=-pose.obliquity_deg,
        left=pose.right,
        right=pose.left,
    )
    other = build_scene(other_person, other_pose, voxel_mm=coarse)
    mirrored = landmarks_px(other, beam)
    expected = here[list(FLIP_INDICES)] * [-1, 1] + [511, 0]
    gap = np.linalg.norm(mirrored - expected, axis=1)
    outline = [side_index(s, n) for s in ('left', 'right') for n in (1, 7, 9)]
    fixed = [i for i in range(24) if i not in outline]
    assert gap[fixed].max() < 1e-6
    # Found on a voxel grid that is not symmetric; flat outlines shift along themselves.
    assert gap[outline].max() < 4.0
    image, flipped = (
        bone_path(s, beam) for s in (build_scene(person, pose, voxel_mm=coarse), other)
    )
    assert np.abs(image - flipped[:, ::-1]).mean() < 0.03 * image.mean()


def test_the_ischium_ends_at_its_landmark(neutral_scene, far_beam, neutral):
    for side in ('left', 'right'):
        grid = neutral_scene.of('hip', side).distances
        inside = (grid.values < 0).astype(np.float32)
        shadow = project(inside, grid.voxel_mm, grid.origin_mm, far_beam) > 0.5
        bottom = np.flatnonzero(shadow.any(axis=1)).max()
        assert neutral[side_index(side, 9)][1] == pytest.approx(bottom, abs=1.6)


def test_the_trochanter_ends_at_its_landmark(neutral_scene, far_beam, neutral):
    for side, lateral in (('left', 1), ('right', -1)):
        grid = neutral_scene.of('femur', side).distances
        shadow = project(
            (grid.values < 0).astype(np.float32), grid.voxel_mm, grid.origin_mm, far_beam
        )
        tip = neutral[side_index(side, 7)]
        x = round(tip[0])
        column = np.flatnonzero(shadow[:, x] > 0.5)
        assert column.min() == pytest.approx(tip[1], abs=2.0)
        # Lateral of the tip, the bone lies lower.
        beside = np.flatnonzero(shadow[:, x + 12 * lateral] > 0.5)
        assert beside.size == 0 or beside.min() > tip[1]


def test_the_innermost_ilium_lies_between_inlet_and_sacrum(person, neutral):
    for side in ('left', 'right'):
        x = abs(neutral[side_index(side, 1)][0] - 219.5)
        assert 30 < x < person.inlet_width_mm / 2 + 4


def test_external_rotation_shows_less_offset(person, far_beam, coarse):
    def offset(angle):
        pose = Pose(left=LegPose(angle))
        p = landmarks_px(build_scene(person, pose, voxel_mm=coarse), far_beam)
        return p[side_index('left', 11)][0] - p[side_index('left', 6)][0]

    assert offset(-person.left.anteversion_deg) > offset(15) > offset(50) > 0


def test_every_landmark_is_finite_in_any_pose(person, coarse, far_beam):
    for seed in range(3):
        pose = sample_pose(np.random.default_rng(100 + seed))
        assert np.isfinite(landmarks_px(build_scene(person, pose, voxel_mm=coarse), far_beam)).all()


def test_a_missing_bone_is_named(neutral_scene):
    with pytest.raises(KeyError, match='rib'):
        neutral_scene.of('rib', 'left')


def test_landmarks_do_not_depend_on_the_voxels(person, far_beam, neutral):
    fine = landmarks_px(build_scene(person, Pose(), voxel_mm=(1.0, 1.0, 1.5)), far_beam)
    assert np.linalg.norm(fine - neutral, axis=1).max() < 3.5
    fixed = [i for i in range(24) if i % 12 + 1 not in (1, 7, 9)]
    assert np.allclose(fine[fixed], neutral[fixed])


def test_healthy_dimensions_are_not_changed(person):
    before = replace(person)
    build_scene(person, Pose(), voxel_mm=(4.0, 4.0, 4.0))
    assert person == before
