"""A calibration that is fitted to one set of pelvises holds on another."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import chi2, rankdata

from tests.golden_hip import PELVIS_MM
from unsct_mmpose.anatomy import HIP, LANDMARK_CLASSES, LandmarkSet, relation_set
from unsct_mmpose.anatomy.parameters import split_side
from unsct_mmpose.anatomy.records import NOTHING_FOUND, TYPICAL
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES, measure_many
from unsct_mmpose.functional.error_structure import peak_variances
from unsct_mmpose.functional.presence import squared_mahalanobis
from unsct_mmpose.maps.assessment import assess, image_agreement
from unsct_mmpose.maps.calibration import (
    RULES,
    Calibration,
    conformal_risk_threshold,
    recall_threshold,
    youden_threshold,
)
from unsct_mmpose.maps.calibration_fit import (
    EvidenceTable,
    FitOptions,
    apply_calibration,
    disjoint_parts,
    fit_calibration,
    refit_claims,
)
from unsct_mmpose.maps.deciders import DECIDERS, DecisionOptions
from unsct_mmpose.maps.evidence import DecodeOptions, decode_evidence
from unsct_mmpose.maps.heatmap import draw_heatmaps
from unsct_mmpose.maps.paf import draw_paf
from unsct_mmpose.maps.regions import covariances_to_px, error_correlations, interval_scales

FULL = relation_set('full')
CORE = relation_set('core')
HEIGHT, WIDTH, CELL_PX, SPACING_MM = 40, 48, 4.0, 1.75


def pelvises(count, rng):
    """Return ``(N, 24, 2)`` landmarks, cells, of pelvises that differ in size, pose and shape."""
    whole = PELVIS_MM / (CELL_PX * SPACING_MM)
    turn = rng.normal(0, 0.05, count)
    turns = np.stack([np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)], axis=-1)
    size = rng.normal(1, 0.05, (count, 1, 1)).clip(0.9, 1.1)
    shape = whole + rng.normal(0, 0.25, (count, 24, 2))
    return size * shape @ turns.reshape(-1, 2, 2) + [23.5, 10] + rng.normal(0, 0.5, (count, 1, 2))


def world(count, seed, *, network_error=0.4):
    """Draw what a fair network gives for pelvises of which some landmarks are absent.

    It misplaces a landmark by ``network_error`` cells and sees a tenth of them less well; it
    dreams of half of the absent ones, and faintly of their relations too.
    """
    rng = np.random.default_rng(seed)
    true = pelvises(count, rng)
    present = rng.random((count, 24)) > 0.12
    present[: count // 3] = True  # structured
    faint = rng.random((count, 24)) < 0.1
    bright = np.where(faint, rng.uniform(0.2, 0.6, faint.shape), rng.uniform(0.6, 1, faint.shape))
    dreamt = rng.uniform(0, 0.7, faint.shape) * (rng.random(faint.shape) < 0.5)
    seen = true + rng.normal(0, network_error, true.shape)
    places = torch.from_numpy(
        np.where(present[..., None], seen, true + rng.normal(0, 2, true.shape))
    ).float()
    size_hw, everywhere = (HEIGHT, WIDTH), torch.ones(count, 24, dtype=torch.bool)
    maps = draw_heatmaps(places, everywhere, size_hw, 1.5).numpy()
    maps *= np.where(present, bright, dreamt)[..., None, None]
    maps += 0.04 * rng.random(maps.shape, np.float32)
    strong, weak = rng.uniform(0.4, 1, faint.shape), rng.uniform(0, 0.6, faint.shape)
    strength = np.where(present, strong, weak)[:, np.array(FULL.pairs)].min(axis=-1)
    pafs = draw_paf(places, everywhere, FULL.pairs, size_hw, 1.5).numpy()
    pafs *= np.repeat(strength, 2, axis=1)[..., None, None]
    pafs += 0.05 * rng.standard_normal(pafs.shape, np.float32)
    maps, pafs = torch.from_numpy(maps), torch.from_numpy(pafs)
    grain = np.random.default_rng(seed).lognormal(-4, 0.2, count)
    noise = torch.from_numpy(grain).float()
    evidence = decode_evidence(maps, pafs, FULL.pairs, DecodeOptions(sigma=1.5), noise)
    labelled = rng.random((count, 24)) < 0.95
    return EvidenceTable(
        evidence=evidence,
        points_px=evidence.points.numpy().astype(float) * CELL_PX,
        covariances_px=covariances_to_px(evidence.covariances.numpy(), (CELL_PX, CELL_PX)),
        true_px=np.where(present[..., None], true * CELL_PX, np.nan),
        present=present,
        labelled=labelled,
        spacing_xy_mm=np.full((count, 2), SPACING_MM),
        magnification=np.ones(count),
        patients=np.array([f'p{index // 2:03d}' for index in range(count)]),
        subsets=np.array(['structured' if all_of else 'unstructured' for all_of in present.all(1)]),
        files=np.array([f'{index}.dcm' for index in range(count)]),
    )


def auroc(scores, positive):
    ranks = rankdata(scores)
    n = positive.sum()
    return (ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(scores) - n))


@pytest.fixture(scope='module')
def table():
    return world(90, 0)


@pytest.fixture(scope='module')
def other():
    return world(150, 1)


@pytest.fixture(scope='module')
def fitted(table):
    return fit_calibration(table, FULL, FitOptions(), dict(data='drawn'))


def uncertainties(table, calibration, name):
    odds = calibration.fusion.log_odds(table.evidence, FULL.pairs)
    return (
        DECIDERS[name].uncertainty(table.evidence, torch.sigmoid(odds), DecisionOptions()).numpy()
    )


# What is fitted


def test_thresholds_are_those_of_the_rules(table, fitted):
    assert sorted(fitted.thresholds) == sorted(DECIDERS)
    for name in DECIDERS:
        case = (uncertainties(table, fitted, name), table.present, table.labelled)
        found = fitted.thresholds[name]
        assert sorted(found) == sorted(RULES)
        assert found['recall'] == pytest.approx(recall_threshold(*case, 0.99, table.patients))
        assert found['youden'] == pytest.approx(youden_threshold(*case))
        assert found['conformal'] == pytest.approx(
            conformal_risk_threshold(*case, 0.05, table.patients)
        )
    assert fitted.thresholds['fused']['equal_cost'] == 0.5
    assert fitted.thresholds['paf']['equal_cost'] != 0.5


def test_the_asked_for_recall_risk_and_rule_are_used(table, fitted):
    options = FitOptions(rule='conformal', recall=0.8, alpha=0.2, features=('peak',), penalty=5.0)
    found = fit_calibration(table, FULL, options)
    assert found.rule == 'conformal'
    assert found.fusion.features == ('peak',)
    assert found.settings == dict(recall=0.8, alpha=0.2, penalty=5.0, field_penalty=5.0)
    case = (uncertainties(table, found, 'paf'), table.present, table.labelled)
    assert found.thresholds['paf']['recall'] == pytest.approx(
        recall_threshold(*case, 0.8, table.patients)
    )
    assert found.thresholds['paf']['conformal'] < fitted.thresholds['paf']['conformal']


def test_the_fields_are_held_back_by_the_number_of_patients(table, fitted):
    lacking = {*table.patients[(table.labelled & ~table.present).any(axis=1)].tolist()}
    assert fitted.settings['field_penalty'] == pytest.approx(20 / len(lacking))
    assert fitted.fusion.model.weights[1] > 0.5
    asked = fit_calibration(table, FULL, FitOptions(field_penalty=np.inf))
    assert asked.settings['field_penalty'] == np.inf
    assert asked.fusion.model.weights[1] == 0
    assert Calibration.from_dict(json.loads(json.dumps(asked.to_dict()))) == asked


def test_one_patient_leaves_the_decision_to_the_peak(table):
    one = table.take(table.patients == 'p040')
    found = fit_calibration(one, FULL, FitOptions())
    assert found.settings['field_penalty'] == np.inf
    assert found.fusion.model.weights[0] > 0
    assert found.fusion.model.weights[1] == 0


def test_entropy_and_aggregation_are_those_of_the_decision(table, fitted):
    decision = DecisionOptions(entropy='linear', aggregation='paper')
    found = fit_calibration(table, FULL, FitOptions(decision=decision))
    assert (found.entropy, found.aggregation) == ('linear', 'paper')
    u = 1 - table.evidence.alignment.clamp(0, 1).numpy()
    assert found.thresholds['paf']['recall'] == pytest.approx(
        recall_threshold(u, table.present, table.labelled, 0.99, table.patients)
    )
    assert found.thresholds['peak'] == fitted.thresholds['peak']


def test_the_typical_image_is_the_least_of_the_calibrations(table, fitted):
    mean, quarter = image_agreement(table.evidence, fitted.fusion.reference)
    assert fitted.typical_agreement == pytest.approx(mean.min().item())
    assert fitted.typical_quorum == pytest.approx(quarter.min().item())
    assert fitted.typical_peak == pytest.approx(np.median(table.peaks, axis=1).min())
    assert fitted.typical_noise == pytest.approx(table.evidence.noise.max().item())
    assert (
        assess(table.evidence, FULL.pairs, DecisionOptions(), fitted).image_state.max() == TYPICAL
    )


def test_of_few_patients_more_noise_than_was_seen_is_usual(table):
    few = table.take(np.isin(table.patients, ['p020', 'p021', 'p022']))
    found = fit_calibration(few, FULL, FitOptions())
    most = few.evidence.noise.max().item()
    assert 1.01 * most < found.typical_noise < 3 * most


def test_where_an_images_noise_is_unknown_none_is_unusual(table, other):
    unknown = torch.full_like(table.evidence.noise, torch.nan)
    unknown[1:] = table.evidence.noise[1:]
    partly = replace(table, evidence=replace(table.evidence, noise=unknown))
    assert fit_calibration(partly, FULL, FitOptions()).typical_noise == np.inf


def test_the_record_says_what_it_was_fitted_on(table, fitted):
    counted = table.labelled
    assert fitted.provenance == dict(
        data='drawn',
        images=90,
        patients=45,
        unstructured_images=int((~table.present.all(axis=1)).sum()),
        present_landmarks=int((table.present & counted).sum()),
        absent_landmarks=int((~table.present & counted).sum()),
    )
    assert (fitted.relations, fitted.rule) == ('full', 'equal_cost')
    assert sorted(fitted.region_scales) == sorted(landmark.name for landmark in LANDMARK_CLASSES)
    outputs = {split_side(name)[1] for name in MEASUREMENT_NAMES}
    assert set(fitted.interval_scales) == outputs
    assert Calibration.from_dict(fitted.to_dict()) == fitted


def test_what_is_not_labelled_counts_nowhere(table, fitted):
    hidden = ~table.labelled
    confused = replace(
        table,
        present=table.present ^ hidden,
        true_px=np.where(hidden[..., None], 1e3, table.true_px),
    )
    found = fit_calibration(confused, FULL, FitOptions(), dict(data='drawn'))
    assert found == fitted


@pytest.mark.parametrize(('value', 'word'), [(True, 'present'), (False, 'absent')])
def test_images_that_lack_nothing_or_everything_teach_nothing(table, value, word):
    one = replace(table, present=np.full_like(table.present, value))
    with pytest.raises(ValueError, match=f'outcomes is {word}'):
        fit_calibration(one, FULL, FitOptions())


def test_a_single_image_is_enough_to_fit_and_promises_little(table):
    row = np.flatnonzero(~table.present.all(axis=1))[:1]
    found = fit_calibration(table.take(row), FULL, FitOptions())
    assert found.thresholds['fused']['conformal'] == np.inf
    assert all(np.isfinite(scale) for scale in found.region_scales.values())
    assert Calibration.from_dict(found.to_dict()) == found


# What holds on other images


def test_fusion_ranks_the_absent_landmarks_of_other_images_last(fitted, other):
    absent = ~other.present[other.labelled]
    area = {
        name: auroc(uncertainties(other, fitted, name)[other.labelled], absent) for name in DECIDERS
    }
    assert area['fused'] > 0.99
    assert area['fused'] > max(area['peak'], area['paf'])
    assert min(area.values()) > 0.9


@pytest.mark.parametrize('name', DECIDERS)
def test_thresholds_keep_their_promise_on_other_images(fitted, other, name):
    def reported(rule):
        options = DecisionOptions(evidence=name, rule=rule)
        return apply_calibration(other, FULL, fitted, options)[0].reported.numpy()

    here = other.present & other.labelled
    assert reported('recall')[here].mean() == pytest.approx(0.99, abs=0.01)
    lost = 1 - (reported('conformal') & here).sum(axis=1) / here.sum(axis=1)
    assert lost.mean() < 0.06
    mistakes = (reported('equal_cost') != other.present)[other.labelled].mean()
    assert mistakes < {'fused': 0.02, 'peak': 0.06, 'paf': 0.04}[name]


def test_presence_is_as_frequent_as_it_says(fitted, other):
    presence = apply_calibration(other, FULL, fitted, DecisionOptions())[0].presence.numpy()
    known = other.labelled
    for low, high in ((0, 0.5), (0.5, 0.9), (0.9, 1)):
        rows = known & (presence > low) & (presence <= high)
        expected, error = presence[rows].mean(), np.sqrt(0.25 / rows.sum())
        assert other.present[rows].mean() == pytest.approx(expected, abs=0.02 + 2.5 * error)


def test_regions_hold_the_nominal_share_of_other_landmarks(fitted, other):
    _, covariances = apply_calibration(other, FULL, fitted, DecisionOptions())
    known = other.present & other.labelled
    distance = squared_mahalanobis(other.points_px, other.true_px, covariances)[known]
    assert (distance <= chi2.ppf(0.95, 2)).mean() == pytest.approx(0.95, abs=0.02)
    raw = squared_mahalanobis(other.points_px, other.true_px, other.covariances_px)[known]
    assert (raw <= chi2.ppf(0.95, 2)).mean() > 0.99  # without a calibration they are too wide here


def test_a_level_of_its_own_gives_regions_of_that_level(table, other):
    fitted = fit_calibration(table, FULL, FitOptions(level=0.8))
    assert (fitted.region_level, fitted.interval_level) == (0.8, 0.8)
    _, covariances = apply_calibration(other, FULL, fitted, DecisionOptions())
    known = other.present & other.labelled
    distance = squared_mahalanobis(other.points_px, other.true_px, covariances)[known]
    assert (distance <= chi2.ppf(0.8, 2)).mean() == pytest.approx(0.8, abs=0.04)


def test_a_worse_network_gets_wider_regions(fitted):
    worse = fit_calibration(world(90, 2, network_error=0.8), FULL, FitOptions())
    for name, scale in fitted.region_scales.items():
        assert worse.region_scales[name] > 2 * scale


def test_intervals_hold_the_nominal_share_of_other_measurements(fitted, other):
    assessment, covariances = apply_calibration(other, FULL, fitted, DecisionOptions())
    values, errors = measure_many(
        other.points_px, assessment.reported.numpy(), other.spacing_xy_mm, covariances
    )
    truth, _ = measure_many(other.true_px, other.present, other.spacing_xy_mm)
    usable = np.isfinite(values) & np.isfinite(truth) & (errors > 0)
    assert usable.mean() > 0.5
    inside = np.abs(values - truth) <= interval_scales(fitted) * errors
    assert inside[usable].mean() == pytest.approx(0.95, abs=0.02)


def test_images_without_a_pelvis_are_empty_and_others_are_not(fitted, other):
    generator = torch.Generator().manual_seed(0)
    noise = 0.3 * torch.rand(5, 128, HEIGHT, WIDTH, generator=generator)
    noise[:, 24:] -= 0.15
    evidence = decode_evidence(noise[:, :24], noise[:, 24:], FULL.pairs, DecodeOptions(sigma=1.5))
    assessment = assess(evidence, FULL.pairs, DecisionOptions(), fitted)
    assert assessment.image_state.tolist() == [NOTHING_FOUND] * 5
    assert not assessment.reported.any()
    usual = assess(other.evidence, FULL.pairs, DecisionOptions(), fitted).image_state
    assert (usual == TYPICAL).float().mean() > 0.9 and usual.max() < NOTHING_FOUND


def test_without_a_calibration_everything_is_kept_as_it_is(other):
    assessment, covariances = apply_calibration(other, FULL, None, DecisionOptions())
    assert assessment.reported.all()
    np.testing.assert_array_equal(covariances, other.covariances_px)


def test_a_calibration_for_other_relations_scales_nothing_where_a_threshold_decides(fitted, other):
    aligned = other.evidence.relation_alignment[:, : len(CORE)]
    part = replace(other, evidence=replace(other.evidence, relation_alignment=aligned))
    decision = DecisionOptions(evidence='peak', threshold=0.5)
    assessment, covariances = apply_calibration(part, CORE, fitted, decision)
    np.testing.assert_array_equal(assessment.reported.numpy(), part.evidence.peak.numpy() >= 0.5)
    np.testing.assert_array_equal(covariances, part.covariances_px)


# The table


@pytest.mark.parametrize('kind', ['mask', 'indices'])
def test_taking_rows_takes_them_from_every_column(table, kind):
    mask = np.random.default_rng(0).random(90) < 0.3
    rows = mask if kind == 'mask' else np.flatnonzero(mask)
    taken = table.take(rows)
    assert len(taken) == mask.sum()
    for name, column in vars(table).items():
        if name == 'evidence':
            for part, values in vars(column).items():
                assert torch.equal(getattr(taken.evidence, part), values[torch.from_numpy(rows)])
        elif name != 'landmarks':
            np.testing.assert_array_equal(getattr(taken, name), column[rows])


def test_rows_may_be_taken_in_another_order(table):
    taken = table.take(np.array([7, 3]))
    assert taken.files.tolist() == ['7.dcm', '3.dcm']
    assert torch.equal(taken.evidence.peak, table.evidence.peak[[7, 3]])


def test_each_patient_is_judged_once_by_all_others(table):
    seen = []
    for others, own in disjoint_parts(table, table):
        assert len(own) == 2 and len(set(own.patients)) == 1
        assert not set(own.patients) & set(others.patients)
        assert sorted([*others.files, *own.files]) == sorted(table.files)
        seen += own.files.tolist()
    assert sorted(seen) == sorted(table.files)


def test_tables_of_different_patients_are_not_split(table, other):
    strangers = replace(other, patients=np.char.add('x', other.patients))
    ((base, judged),) = disjoint_parts(strangers, table)
    assert base is table and judged is strangers


def test_a_patient_of_both_tables_is_left_out_of_the_calibration_alone(table):
    first, second = table.take(np.arange(30)), table.take(np.arange(20, 90))
    parts = list(disjoint_parts(first, second))
    assert sum(len(own) for _, own in parts) == 30
    for base, own in parts:
        assert not set(own.patients) & set(base.patients)
        shared = 2 if own.patients[0] in second.patients else 0
        assert len(base) == 70 - shared


# By patient


def clustered(patients, images, seed, shift_px=0.0):
    """Draw a world whose patients share their errors, with a systematic one on top."""
    rng = np.random.default_rng(seed)
    drawn = world(patients * images, seed)
    names = np.repeat([f'q{index:02d}' for index in range(patients)], images)
    shared = np.repeat(rng.normal(0, 2.0, (patients, 24, 2)), images, axis=0)
    shared[:, 12:] = shared[:, :12] * [-1, 1]  # both sides alike
    shared[:, 5, 0] += shift_px  # the left head centre goes outwards
    shared[:, 17, 0] -= shift_px
    return replace(drawn, patients=names, points_px=drawn.points_px + shared)


def held(table, calibration):
    _, covariances = apply_calibration(table, FULL, calibration, DecisionOptions())
    known = table.present & table.labelled
    squared = squared_mahalanobis(table.points_px, table.true_px, covariances)[known]
    return (squared <= chi2.ppf(calibration.region_level, 2)).mean()


def test_faint_landmarks_that_err_more_are_held_as_often_as_bright_ones():
    def spread(seed):
        table = world(120, seed, network_error=0.2)
        size = peak_variances(table.peaks)[..., None]
        error = np.random.default_rng(seed).normal(0, 3.0, table.points_px.shape) * size
        return replace(table, points_px=table.points_px + error)

    base, others = spread(8), spread(9)
    found = fit_calibration(base, FULL, FitOptions(follow=('peak',)))
    without = fit_calibration(base, FULL, FitOptions(follow=()))
    assert found.peak_power > 1.2 and without.peak_power == 0
    faint = others.peaks < 0.5
    only = replace(others, labelled=others.labelled & faint)
    assert held(only, found) > held(only, without) + 0.1
    assert held(only, found) == pytest.approx(held(others, found), abs=0.05)


def test_patients_and_not_images_are_promised():
    few = clustered(3, 15, 5)
    others, found = clustered(20, 2, 6), fit_calibration(few, FULL, FitOptions())
    before = held(others, fit_calibration(few, FULL, FitOptions(unit='image')))
    assert held(others, found) > max(before + 0.02, 0.92)
    assert found.patients == 3 and found.allowed_level == 0.75
    assert found.correlation is None  # three patients say nothing of it
    assert fit_calibration(few, FULL, FitOptions(unit='image')).patients is None


def test_a_systematic_error_is_found_and_only_the_centre_corrected():
    table = clustered(12, 4, 7, shift_px=12.0)
    found = fit_calibration(table, FULL, FitOptions())
    offset = found.offsets['acetabular_offset_mm']
    assert offset.corrected and offset.low < offset.value < offset.high
    assert offset.value == pytest.approx(12.0 * SPACING_MM, abs=1.5)
    assert not found.offsets['shaft_abduction_deg'].corrected
    plain = fit_calibration(table, FULL, FitOptions(follow=('direction', 'correlation')))
    assert not any(offset.corrected for offset in plain.offsets.values())
    scale = 'acetabular_offset_mm'
    assert found.interval_scales[scale] < 0.8 * plain.interval_scales[scale]


def test_claims_are_fitted_anew_and_decisions_stay(table, fitted):
    again = refit_claims(fitted, table, FULL, FitOptions(level=0.5))
    assert again.thresholds == fitted.thresholds and again.fusion == fitted.fusion
    assert again.interval_level == 0.5
    assert refit_claims(again, table, FULL, FitOptions()) == fitted


@pytest.mark.parametrize('options', [dict(unit='landmark'), dict(follow=('wind',))])
def test_unknown_units_and_things_to_follow_are_refused(options):
    with pytest.raises(ValueError, match=r'unit|follow'):
        FitOptions(**options)


# Landmarks that are not the hip's


def reordered(table, order):
    """Return the same table and landmarks in another order, and without clinical parameters."""
    content = HIP.to_dict()
    content['name'] = 'reordered'
    for name in ('names', 'labels', 'descriptions', 'sigmas'):
        content[name] = [content[name][k] for k in order]
    evidence = table.evidence
    columns = {
        name: values[:, order]
        for name, values in vars(evidence).items()
        if name not in ('relation_alignment', 'noise')
    }
    by_landmark = ('points_px', 'covariances_px', 'true_px', 'present', 'labelled')
    return replace(
        table,
        evidence=replace(evidence, **columns),
        landmarks=LandmarkSet.from_dict(content),
        **{name: getattr(table, name)[:, order] for name in by_landmark},
    )


@pytest.mark.parametrize('unit', ['patient', 'image'])
def test_a_fit_does_not_depend_on_the_order_of_the_landmarks(table, unit):
    order = np.random.default_rng(0).permutation(24).tolist()
    other, options = reordered(table, order), FitOptions(unit=unit)
    relations = other.landmarks.relation_set('full')
    hip, found = fit_calibration(table, FULL, options), fit_calibration(other, relations, options)
    assert not other.landmarks.clinical
    assert found.region_scales == pytest.approx(hip.region_scales, rel=1e-6)
    expected, covariances = apply_calibration(table, FULL, hip, DecisionOptions())
    assessed, moved = apply_calibration(other, relations, found, DecisionOptions())
    torch.testing.assert_close(assessed.presence, expected.presence[:, order])
    np.testing.assert_allclose(moved, covariances[:, order], rtol=1e-5)
    both = (2 * np.array(order)[:, None] + [0, 1]).ravel()
    together = error_correlations(hip)[both][:, both]
    np.testing.assert_allclose(error_correlations(found), together, atol=2e-4)
    assert np.abs(together - np.eye(48)).max() > (0.01 if unit == 'patient' else -1)
    assert found.interval_scales == {} == found.offsets
    assert Calibration.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_record_of_the_hip_does_not_list_its_landmarks(fitted):
    assert 'landmarks' not in fitted.to_dict()
    assert Calibration.from_dict(fitted.to_dict()).landmarks is HIP


def test_landmarks_without_a_twin_are_fitted_each_by_itself(table):
    content = HIP.to_dict() | dict(name='unpaired', pairs=[])
    alone = replace(table, landmarks=LandmarkSet.from_dict(content))
    found = fit_calibration(alone, FULL, FitOptions())
    assert set(found.region_scales) == set(HIP.names)
    assert len(set(found.region_scales.values())) == 24
    covariances = apply_calibration(alone, FULL, found, DecisionOptions())[1]
    errors = squared_mahalanobis(table.points_px, table.true_px, covariances)
    counted = table.present & table.labelled
    assert (errors[counted] <= chi2.ppf(0.95, 2)).mean() == pytest.approx(0.96, abs=0.03)
