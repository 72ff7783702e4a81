"""Whole radiographs: determinism, truth of presence and absence, arguments."""

from dataclasses import replace

import numpy as np
import pytest

from unsct_mmpose.anatomy import side_index
from unsct_mmpose.phantom import generate
from unsct_mmpose.phantom.generate import make_case, sample_patient
from unsct_mmpose.phantom.occlusion import clearance

SMALL = (160, 160)


def same(a, b):
    return (
        np.array_equal(a.pixels, b.pixels)
        and np.array_equal(a.landmarks_px, b.landmarks_px)
        and np.array_equal(a.present, b.present)
        and a.pose == b.pose
    )


@pytest.fixture(scope='module')
def structured():
    return [make_case(seed, size_hw=SMALL) for seed in range(4)]


@pytest.fixture(scope='module')
def unstructured():
    return [make_case(seed, size_hw=SMALL, subset='unstructured') for seed in range(7)]


def test_the_same_seed_gives_the_same_case(structured):
    again = make_case(0, size_hw=SMALL)
    assert same(structured[0], again)
    assert not same(structured[0], structured[1])
    sequence = np.random.SeedSequence(0)
    assert same(structured[0], make_case(sequence, size_hw=SMALL))
    assert sequence.n_children_spawned == 0


def test_a_case_states_its_geometry(structured):
    for case in structured:
        assert case.pixels.shape == SMALL and case.pixels.dtype == np.uint16
        assert case.pixels.max() <= 4095 and case.bits_stored == 12
        assert case.spacing_xy_mm == (430 / 160, 430 / 160)
        assert 1.10 <= case.magnification <= 1.20
        assert 1050 <= case.source_detector_mm <= 1200
        assert case.landmarks_px.shape == (24, 2)


def test_structured_cases_show_everything(structured):
    for case in structured:
        assert case.present.all() and not case.absent_reason and case.cause is None
        assert case.landmarks_px.min() > 0 and case.landmarks_px.max() < 159


def test_unstructured_cases_miss_something_and_say_why(unstructured):
    for case in unstructured:
        assert 1 <= (~case.present).sum() <= 8
        assert len(case.absent_reason) == (~case.present).sum()
        assert case.subset == 'unstructured' and case.cause in case.absent_reason.values()
    assert len({case.cause for case in unstructured}) >= 3


def test_absent_landmarks_do_not_depend_on_the_bones_and_present_ones_do(monkeypatch):
    calls = []
    true_render = generate.render

    def spy(*args):
        calls.append(args)
        return true_render(*args)

    monkeypatch.setattr(generate, 'render', spy)
    hidden_points = 0
    for seed in range(5):
        case = make_case(seed, size_hw=SMALL, subset='unstructured')
        if case.cause == 'extreme_rotation':
            continue
        scene, habitus, layout, root = calls[-1]
        full = true_render(scene, habitus, layout, root)
        empty = true_render(replace(scene, bones=()), habitus, layout, root)
        y, x = np.indices(SMALL)
        for index, (px, py) in enumerate(case.landmarks_px):
            disc = (x - px) ** 2 + (y - py) ** 2 <= 1.0
            if case.present[index]:
                wide = (x - px) ** 2 + (y - py) ** 2 <= 3.0**2
                assert np.abs(full - empty)[wide].max() > 0.01
            else:
                hidden_points += 1
                assert np.array_equal(full[disc], empty[disc])
        free = clearance(case.landmarks_px, layout.exposed, layout.obstacles)
        assert np.array_equal(case.present, free > 0)
    assert hidden_points >= 4


def test_extreme_rotation_hides_the_base_of_the_neck_only(monkeypatch):
    monkeypatch.setattr(generate, 'draw_cause', lambda rng: 'extreme_rotation')
    case = make_case(2, size_hw=SMALL, subset='unstructured')
    absent = np.flatnonzero(~case.present)
    assert len(absent) == 1 and absent[0] % 12 == 9
    side = 'left' if absent[0] < 12 else 'right'
    assert case.pose[f'{side}_external_rotation_deg'] > 35
    points = case.landmarks_px
    head, base = (points[side_index(side, n)] for n in (6, 10))
    shaft = points[side_index(side, 11)]
    assert abs(head[0] - shaft[0]) < 45 / 430 * 160 and np.isfinite(base).all()


def test_the_resolution_does_not_move_landmarks():
    coarse, fine = (make_case(3, size_hw=(n, n)) for n in (128, 256))
    scaled = (coarse.landmarks_px + 0.5) * 2 - 0.5
    fixed = [i for i in range(24) if i % 12 + 1 not in (1, 7, 9)]
    # Relative places agree; the whole may shift by the rounding of margins.
    a, b = (p[fixed] - p[fixed].mean(0) for p in (scaled, fine.landmarks_px))
    assert np.abs(a - b).max() < 0.1


def test_two_images_of_a_patient_show_the_same_anatomy():
    patient = sample_patient(5, 'someone')
    first, second = (make_case(seed, size_hw=SMALL, patient=patient) for seed in (1, 2))
    assert first.patient_id == second.patient_id == 'someone'
    assert first.pathologies == second.pathologies
    assert not same(first, second)


def test_sixteen_bits_reach_further_than_twelve():
    twelve, sixteen = (make_case(1, size_hw=(96, 96), bits=bits) for bits in (12, 16))
    assert sixteen.pixels.max() > 4095
    assert np.abs(sixteen.pixels / 65535 - twelve.pixels / 4095).max() < 0.001


def test_the_detector_may_be_wide():
    case = make_case(0, size_hw=(150, 190), spacing_mm=2.7)
    assert case.pixels.shape == (150, 190) and case.present.all()


def test_bones_are_brighter_than_soft_tissue(structured):
    case = structured[0]
    values = case.pixels / 4095
    head = case.landmarks_px[side_index('left', 6)].round().astype(int)
    around = values[head[1] - 2 : head[1] + 3, head[0] - 2 : head[0] + 3].mean()
    assert around > np.median(values)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match='structured'):
        make_case(0, subset='odd')
    with pytest.raises(ValueError, match='field of'):
        make_case(0, size_hw=(128, 128), spacing_mm=1.0)
    with pytest.raises(ValueError, match='bits'):
        make_case(0, size_hw=(96, 96), bits=8)


def test_a_patient_is_not_changed_by_being_imaged():
    patient = sample_patient(5)
    before = replace(patient)
    make_case(1, size_hw=(96, 96), patient=patient)
    assert patient == before
