"""Every finding shifts its parameter in the direction that names it."""

import numpy as np
import pytest

from unsct_mmpose.anatomy import side_index
from unsct_mmpose.phantom.pathology import (
    PATHOLOGIES,
    Pathology,
    alter_dimensions,
    head_shift,
    sample_pathologies,
)
from unsct_mmpose.phantom.pose import Pose
from unsct_mmpose.phantom.scene import bone_path, build_scene, landmarks_px


def measure(points, side='left'):
    p = {n: points[side_index(side, n)] for n in range(1, 13)}
    lateral = np.sign(p[6][0] - points[side_index('right' if side == 'left' else 'left', 6)][0])
    neck, shaft = p[6] - p[10], p[12] - p[11]
    angle = np.degrees(np.arccos(neck @ shaft / np.linalg.norm(neck) / np.linalg.norm(shaft)))
    edge, sharp, roof = p[3] - p[6], p[3] - p[8], p[3] - p[4]
    return {
        'neck_shaft': angle,
        'center_edge': np.degrees(np.arctan2(lateral * edge[0], -edge[1])),
        'sharp': np.degrees(np.arctan2(-sharp[1], lateral * sharp[0])),
        'roof': np.degrees(np.arctan2(-roof[1], lateral * roof[0])),
        'gap': np.linalg.norm(edge),
    }


@pytest.fixture(scope='module')
def healthy(neutral_scene, far_beam):
    return landmarks_px(neutral_scene, far_beam)


@pytest.fixture(scope='module')
def ill(person, far_beam):
    scenes = {}

    def get(name):
        if name not in scenes:
            finding = (Pathology(name, 'left', 0.7),)
            scene = build_scene(person, Pose(), finding, voxel_mm=(1.5, 1.5, 2.0))
            scenes[name] = scene, landmarks_px(scene, far_beam)
        return scenes[name]

    return get


@pytest.mark.parametrize(
    'name, parameter, low, high',
    [
        ('coxa_vara', 'neck_shaft', -40, -4),
        ('coxa_valga', 'neck_shaft', 5, 40),
        ('dysplasia', 'center_edge', -40, -8),
        ('dysplasia', 'sharp', 2, 15),
        ('dysplasia', 'roof', 4, 30),
        ('neck_fracture', 'neck_shaft', -60, -2),
    ],
)
def test_a_finding_shifts_its_parameter(healthy, ill, name, parameter, low, high):
    change = measure(ill(name)[1])[parameter] - measure(healthy)[parameter]
    assert low < change < high


def test_thresholds_of_the_literature_are_met(ill):
    assert measure(ill('coxa_vara')[1])['neck_shaft'] < 120
    assert measure(ill('coxa_valga')[1])['neck_shaft'] > 140
    assert measure(ill('dysplasia')[1])['center_edge'] < 20
    assert measure(ill('dysplasia')[1])['sharp'] > 42


@pytest.mark.parametrize('name', PATHOLOGIES)
def test_the_other_side_stays_as_it_was(healthy, ill, name):
    right = slice(12, 24)
    assert np.allclose(ill(name)[1][right], healthy[right], atol=1e-6)


def test_lost_cartilage_brings_the_head_to_the_roof(person, healthy, ill):
    head = side_index('left', 6)
    rise = healthy[head] - ill('joint_space_loss')[1][head]
    assert 1.0 < rise[1] < person.left.joint_space_mm
    roof = [side_index('left', n) for n in (3, 4, 8)]
    assert np.allclose(ill('joint_space_loss')[1][roof], healthy[roof])


def test_a_collapsed_head_loses_its_top_and_keeps_its_landmarks(
    neutral_scene, far_beam, healthy, ill, person
):
    scene, points = ill('head_collapse')
    assert np.allclose(points, healthy, atol=0.5)
    head = neutral_scene.fixed_mm[side_index('left', 6)]
    top = head + [0.0, -0.93 * person.left.head_radius_mm, 0.0]

    def depth(which):
        grid = which.of('femur', 'left').distances
        index = np.round((top - grid.origin_mm) / grid.voxel_mm).astype(int)
        return grid.values[index[2], index[1], index[0]]

    assert depth(neutral_scene) < -0.5 < 1.0 < depth(scene)


def test_a_broken_neck_moves_the_shaft_and_not_the_head(healthy, ill):
    points = ill('neck_fracture')[1]
    fixed = [side_index('left', n) for n in (1, 2, 3, 4, 5, 6, 8, 9)]
    assert np.allclose(points[fixed], healthy[fixed], atol=1e-6)
    for number in (7, 10, 11, 12):
        index = side_index('left', number)
        assert points[index][1] < healthy[index][1] - 3


def test_a_broken_neck_shows_a_gap_or_an_overlap(neutral_scene, far_beam, ill):
    before, after = (bone_path(s, far_beam) for s in (neutral_scene, ill('neck_fracture')[0]))
    assert after.sum() == pytest.approx(before.sum(), rel=0.03)
    assert np.abs(after - before).sum() > 0.02 * before.sum()


def test_unknown_findings_are_refused():
    with pytest.raises(ValueError, match='coxa_vara'):
        Pathology('flu', 'left', 0.5)


def test_about_a_third_of_persons_have_a_finding_of_any_kind():
    drawn = [sample_pathologies(np.random.default_rng(seed)) for seed in range(900)]
    ill = [findings for findings in drawn if findings]
    assert 0.30 < len(ill) / len(drawn) < 0.40
    assert {f.name for findings in ill for f in findings} == set(PATHOLOGIES)
    assert all(len({f.name for f in findings}) == 1 for findings in ill)


def test_healthy_dimensions_do_not_change(person):
    assert alter_dimensions(person, ()) == person
    assert not head_shift(person.left, ()).any()
