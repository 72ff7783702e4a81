"""Structured images show everything, unstructured ones hide something clearly."""

import numpy as np
import pytest

from unsct_mmpose.anatomy import LANDMARK_NAMES, side_index
from unsct_mmpose.phantom.layout import (
    CAUSES,
    MARGIN_MM,
    draw_cause,
    hide,
    lay_out,
    presence,
    sample_beam,
)
from unsct_mmpose.phantom.occlusion import clearance


def layout_for(scene, seed, size=(512, 512), spacing=0.84):
    rng = np.random.default_rng(seed)
    return lay_out(rng, scene, sample_beam(rng, size, spacing))


@pytest.mark.parametrize('seed', range(6))
def test_a_structured_layout_shows_everything_with_a_margin(neutral_scene, seed):
    layout = layout_for(neutral_scene, seed)
    free = clearance(layout.points, layout.exposed, layout.obstacles) * 0.84
    assert free.min() > MARGIN_MM
    present, reason = presence(layout, None)
    assert present.all() and not reason


@pytest.mark.parametrize('cause', [c for c in CAUSES if c != 'extreme_rotation'])
@pytest.mark.parametrize('seed', range(3))
def test_every_cause_hides_landmarks_clearly(neutral_scene, cause, seed):
    layout, used = hide(np.random.default_rng(seed), layout_for(neutral_scene, seed), cause)
    free = clearance(layout.points, layout.exposed, layout.obstacles) * 0.84
    present, reason = presence(layout, used)
    assert np.abs(free).min() > MARGIN_MM
    assert 1 <= (~present).sum() <= 8
    assert set(reason) == {LANDMARK_NAMES[i] for i in np.flatnonzero(~present)}
    assert set(reason.values()) == {used}
    assert used == cause or cause in ('shift', 'side_plate', 'shield', 'block')


def test_points_ten_and_twelve_are_absent_most_often(neutral_scene):
    counts = np.zeros(12)
    rng = np.random.default_rng(0)
    layout = layout_for(neutral_scene, 0)
    for _ in range(120):
        cause = draw_cause(rng)
        if cause == 'extreme_rotation':
            counts[9] += 1
            continue
        absent = ~presence(hide(rng, layout, cause)[0], cause)[0]
        counts += absent.reshape(2, 12).sum(0)
    assert set(np.argsort(counts)[-2:] + 1) == {10, 12}
    assert counts[[9, 11]].sum() > 0.5 * counts.sum()


def test_moving_the_patient_moves_points_and_rays_together(neutral_scene):
    layout = layout_for(neutral_scene, 1)
    moved = layout.moved(np.array([7.0, -4.0]))
    head = side_index('left', 6)
    assert np.allclose(moved.points, layout.points + [7.0, -4.0])
    assert np.allclose(moved.beam.pixels(neutral_scene.fixed_mm[head]), moved.points[head])


def test_a_detector_that_is_too_small_is_refused(neutral_scene):
    with pytest.raises(ValueError, match='need a field of'):
        layout_for(neutral_scene, 0, size=(256, 256), spacing=0.84)


def test_causes_are_probabilities():
    assert sum(CAUSES.values()) == pytest.approx(1.0)
