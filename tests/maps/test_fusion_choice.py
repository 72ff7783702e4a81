"""Fields speak as loudly as the patients who vouch for them allow."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from unsct_mmpose.maps import fusion_choice
from unsct_mmpose.maps.evidence import Evidence
from unsct_mmpose.maps.fusion import fit_fusion, take_evidence
from unsct_mmpose.maps.fusion_choice import (
    PATIENT_PENALTY,
    choose_field_penalty,
    left_out_losses,
    patient_folds,
)

COUNT, IMAGES = 12, 8
PAIRS = [(start, (start + step) % COUNT) for step in (1, 3) for start in range(COUNT)]


def draw(good, seed=0, absent=0.08):
    """Return evidence, presence and patients; ``good`` says whose fields tell the truth.

    Those of the others say that what is there is missing, and the other way round.
    """
    rng = np.random.default_rng(seed)
    count = len(good) * IMAGES
    whose = np.repeat(np.arange(len(good)), IMAGES)
    present = rng.random((count, COUNT)) > absent
    present[::IMAGES, 0], present[1::IMAGES] = False, True
    both = present[:, np.array(PAIRS)].all(axis=-1)
    truthful = np.asarray(good)[whose][:, None]
    aligned = np.where(both == truthful, 0.8, 0.2) + rng.normal(0, 0.05, both.shape)
    odds = np.where(present, 1.5, -0.5) + rng.normal(0, 1.0, present.shape)
    nothing = torch.zeros(count, COUNT)
    evidence = Evidence(
        points=torch.zeros(count, COUNT, 2),
        covariances=torch.eye(2).expand(count, COUNT, 2, 2).clone(),
        peak=torch.from_numpy(1 / (1 + np.exp(-odds))).float(),
        rival=nothing,
        spread=torch.ones(count, COUNT),
        alignment=nothing,
        peeled=nothing,
        support=nothing,
        relation_alignment=torch.from_numpy(aligned).float(),
        noise=torch.zeros(count),
    )
    return evidence, present, np.array([f'p{number:02d}' for number in whose])


def choose(case, **kwargs):
    evidence, present, patients = case
    return choose_field_penalty(evidence, present, np.ones_like(present), patients, PAIRS, **kwargs)


def fit(case, strength):
    evidence, present, _ = case
    return fit_fusion(evidence, present, np.ones_like(present), PAIRS, field_penalty=strength)


def loss_of(fusion, case):
    odds = fusion.log_odds(case[0], PAIRS).numpy().astype(float)
    return np.logaddexp(0, np.where(case[1], -odds, odds)).mean()


# How much


@pytest.mark.parametrize('patients', [2, 3, 4, 8, 20])
def test_the_more_patients_vouch_for_the_fields_the_freer_they_are(patients):
    assert choose(draw([True] * patients)) == pytest.approx(PATIENT_PENALTY / patients)


def test_one_patient_leaves_the_decision_to_the_peak():
    case = draw([True])
    assert choose(case) == math.inf
    model = fit(case, math.inf).model
    assert model.weights[0] > 0 and model.weights[1] == 0


def test_patients_who_lack_nothing_do_not_vouch_for_anything():
    evidence, present, patients = draw([True] * 8)
    present[patients > 'p02'] = True
    assert choose((evidence, present, patients)) == pytest.approx(PATIENT_PENALTY / 3)
    present[patients > 'p00'] = True
    assert choose((evidence, present, patients)) == math.inf


def test_what_is_not_labelled_vouches_for_nothing():
    evidence, present, patients = draw([True] * 6)
    labelled = present | (patients < 'p03')[:, None]
    penalty = choose_field_penalty(evidence, present, labelled, patients, PAIRS)
    assert penalty == pytest.approx(PATIENT_PENALTY / 3)


def test_the_penalty_never_falls_below_that_of_the_heatmaps():
    assert choose(draw([True] * 4), penalty=9.0) == 9.0


@pytest.mark.parametrize('features', [('peak', 'standout'), ('aligned', 'supported')])
def test_nothing_is_held_back_where_there_is_nothing_to_draw_towards(features):
    assert choose(draw([True]), features=features) == 0.1


def test_the_choice_is_the_same_every_time_and_in_any_order():
    evidence, present, patients = draw([True, False] * 4)
    rows = np.random.default_rng(1).permutation(len(patients))
    again = (take_evidence(evidence, rows), present[rows], patients[rows])
    found = choose((evidence, present, patients))
    assert found == choose((evidence, present, patients)) == choose(again)


# Left-out patients


def swayed():
    """Return eight patients: one lacks much and has good fields, the others' are noise."""
    evidence, present, patients = draw([True] * 8)
    rng = np.random.default_rng(0)
    mine = (patients == 'p00')[:, None]
    gone = mine & (rng.random(present.shape) < 0.5)
    present = present & ~gone
    both = present[:, np.array(PAIRS)].all(axis=-1)
    said = np.where(mine, both, rng.random(both.shape) < 0.7)
    aligned = torch.from_numpy(np.where(said, 0.8, 0.2)).float()
    return replace(evidence, relation_alignment=aligned), present, patients


def test_fields_that_mislead_the_left_out_patients_are_silenced():
    case = swayed()
    assert fit(case, 0.1).model.weights[1] > 0.1, 'by itself the fit would believe them'
    strength = choose(case)
    assert strength == math.inf
    assert fit(case, strength).model.weights[1] == 0


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('good', [[True] * 8, [True, False] * 5, [False] * 6])
def test_on_left_out_patients_the_choice_is_not_worse_than_the_peak(good, seed):
    evidence, present, patients = case = draw(good, seed)
    losses = left_out_losses(
        evidence, present, np.ones_like(present), patients, PAIRS, (choose(case), math.inf)
    )
    worse = losses[:, 0] - losses[:, 1]
    assert worse.mean() <= worse.std(ddof=1) / math.sqrt(len(worse))


def test_left_out_patients_are_judged_by_fits_to_the_others():
    evidence, present, patients = draw([True] * 4)
    losses = left_out_losses(evidence, present, np.ones_like(present), patients, PAIRS, (1.0, 5.0))
    assert losses.shape == (4, 2)
    for row, person in enumerate(sorted(set(patients))):
        mine = patients == person
        others = (take_evidence(evidence, ~mine), present[~mine], patients[~mine])
        own = (take_evidence(evidence, mine), present[mine])
        for column, strength in enumerate((1.0, 5.0)):
            expected = loss_of(fit(others, strength), own) * mine.sum() * COUNT
            assert losses[row, column] == pytest.approx(expected, rel=1e-4)


def test_a_fold_that_leaves_nothing_absent_to_fit_to_is_left_out():
    evidence, present, patients = draw([True] * 3)
    present[patients > 'p00'] = True
    losses = left_out_losses(evidence, present, np.ones_like(present), patients, PAIRS, (1.0,))
    assert losses.shape == (2, 1)


def test_folds_keep_patients_together_and_spread_those_who_lack_landmarks():
    _, present, patients = draw([True] * 25)
    lacking = np.isin(patients, [f'p{number:02d}' for number in range(0, 20, 2)])
    present[~lacking] = True
    folds = list(patient_folds(present, np.ones_like(present), patients))
    assert len(folds) == 10
    assert (np.sum(folds, axis=0) == 1).all()
    for fold in folds:
        assert set(patients[fold]).isdisjoint(patients[~fold])
        assert len(set(patients[fold & lacking])) == 1


# What it is for


def new_patients_lose(calibrating, judged, seed):
    """Return the loss on new patients: as chosen, unregularised, of the peak alone."""
    case, new = draw(calibrating, seed), draw(judged, seed + 100)
    return [loss_of(fit(case, penalty), new) for penalty in (choose(case), 0.1, math.inf)]


def test_two_lucky_patients_do_not_ruin_the_others():
    rows = [new_patients_lose([True] * 2, [True, False], seed) for seed in range(6)]
    ours, unregularised, _ = np.mean(rows, axis=0)
    assert ours < 0.7 * unregularised


def test_many_patients_with_good_fields_keep_the_gain():
    rows = [new_patients_lose([True] * 20, [True] * 4, seed) for seed in range(2)]
    ours, unregularised, peak = np.mean(rows, axis=0)
    assert ours < 0.5 * peak
    assert ours - unregularised < 0.1 * (peak - unregularised)


@pytest.mark.parametrize('good', [[True] * 2, [True, False], [True] * 8])
def test_more_evidence_never_lowers_the_probability_however_strong_the_penalty(good):
    case = draw(good)
    model = fit(case, choose(case)).model
    assert min(model.weights) >= 0 and model.signs == (1, 1)


def test_the_constants_are_those_that_were_measured():
    assert (PATIENT_PENALTY, fusion_choice.LEAST_JURY) == (20.0, 5)
