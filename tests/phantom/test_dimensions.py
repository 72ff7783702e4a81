"""Sampled persons against the published distributions."""

import dataclasses

import numpy as np
import pytest

from unsct_mmpose.phantom.dimensions import sample_dimensions


@pytest.fixture(scope='module')
def people():
    return [sample_dimensions(np.random.default_rng(seed)) for seed in range(600)]


@pytest.mark.parametrize(
    'get, mean, sd, mean_slack, sd_slack',
    [
        (lambda p: 2 * p.left.head_radius_mm, 46.5, 3.5, 0.6, 0.6),
        (lambda p: p.between_heads_mm, 173.0, 10.0, 2.0, 2.0),
        (lambda p: p.inlet_width_mm, 126.0, 9.0, 1.5, 2.0),
        (lambda p: p.pelvic_height_mm, 217.0, 12.0, 3.0, 3.0),
        (lambda p: p.ischium_drop_mm, 65.0, 5.0, 1.0, 1.5),
        (lambda p: p.left.neck_shaft_deg, 129.5, 5.1, 0.8, 0.8),
        (lambda p: p.left.femoral_offset_mm, 43.0, 5.0, 2.0, 1.5),
        (lambda p: p.right.center_edge_deg, 33.0, 7.0, 1.5, 1.8),
        (lambda p: p.left.roof_index_deg, 5.6, 4.3, 0.8, 1.0),
        (lambda p: p.left.sharp_deg, 39.0, 3.6, 0.8, 1.0),
        (lambda p: p.left.acetabular_offset_mm, 31.5, 2.5, 1.5, 1.0),
        (lambda p: p.left.tip_height_mm, 7.0, 7.2, 2.0, 3.0),
    ],
)
def test_samples_follow_the_domain_page(people, get, mean, sd, mean_slack, sd_slack):
    values = np.array([get(person) for person in people])
    assert values.mean() == pytest.approx(mean, abs=mean_slack)
    assert values.std() == pytest.approx(sd, abs=sd_slack)


def test_women_have_wider_ischia_and_smaller_heads(people):
    women = [p for p in people if p.sex == 'F']
    men = [p for p in people if p.sex == 'M']
    assert 230 < len(women) < 370
    gaps = [np.mean([p.ischium_gap_mm for p in group]) for group in (women, men)]
    heads = [np.mean([2 * p.left.head_radius_mm for p in group]) for group in (women, men)]
    assert gaps == [pytest.approx(108, abs=2.5), pytest.approx(84, abs=2.5)]
    assert heads == [pytest.approx(44.1, abs=0.8), pytest.approx(48.9, abs=0.8)]


def test_the_cup_is_wider_than_the_head_by_the_joint_space(people):
    diameters = [2 * (p.left.head_radius_mm + p.left.joint_space_mm) for p in people]
    assert np.mean(diameters) == pytest.approx(53.0, abs=2.5)
    assert min(p.left.joint_space_mm for p in people) > 2.0


def test_sides_differ_less_than_people(people):
    between = np.std([p.left.neck_shaft_deg for p in people])
    within = np.std([p.left.neck_shaft_deg - p.right.neck_shaft_deg for p in people])
    assert 0.5 < within < 0.6 * between


def test_a_side_can_be_replaced(people):
    person = people[0]
    assert person.with_side('left', person.right).side('left') == person.right


def test_the_same_seed_gives_the_same_person():
    assert sample_dimensions(np.random.default_rng(7)) == sample_dimensions(
        np.random.default_rng(7)
    )


def test_lengths_are_positive(people):
    for person in people[:100]:
        for name, value in dataclasses.asdict(person.left).items():
            if name.endswith('_mm') and isinstance(value, float) and name != 'tip_height_mm':
                assert value > 0, name
