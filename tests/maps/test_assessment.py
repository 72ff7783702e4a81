"""What is reported, by which evidence, and whether the image shows a pelvis at all."""

import math
from dataclasses import replace

import pytest
import torch

from unsct_mmpose.anatomy.records import IMAGE_WORDS, NOTHING_FOUND, TYPICAL, UNUSUAL
from unsct_mmpose.maps.assessment import (
    QUORUM_SHARE,
    applicable,
    assess,
    decides,
    image_agreement,
    image_state,
    weigh_relations,
)
from unsct_mmpose.maps.calibration import RULES, Calibration
from unsct_mmpose.maps.deciders import DECIDERS, DecisionOptions, standing
from unsct_mmpose.maps.evidence import Evidence
from unsct_mmpose.maps.fusion import Fusion, MonotoneLogistic
from unsct_mmpose.maps.uncertainty import ENTROPY_MODES, alignment_entropy, landmark_alignment

PAIRS = [(0, 1), (1, 2), (2, 3), (3, 0)]
EACH = pytest.mark.parametrize('name', DECIDERS)


def evidence(count=3, seed=0, agreement=None):
    """Return random evidence of 4 landmarks; ``agreement`` gives the alignments of each image."""
    generator = torch.Generator().manual_seed(seed)

    def some(*shape):
        return torch.rand(count, *shape, generator=generator)

    aligned = some(4) * 0.2 + 0.8
    if agreement is not None:
        aligned = torch.tensor(agreement)[:, None].expand(-1, 4)
    return Evidence(
        points=some(4, 2),
        covariances=torch.eye(2).expand(count, 4, 2, 2),
        peak=some(4),
        rival=some(4) / 2,
        spread=some(4) + 0.5,
        alignment=some(4),
        peeled=some(4),
        support=some(4).round(),
        relation_alignment=aligned,
        noise=torch.zeros(count),
    )


def calibration(**changes):
    each = dict(zip(RULES, (0.5, 0.7, 0.6, math.inf), strict=True))
    model = MonotoneLogistic(0.2, (1.0, 2.0), (0.0, 0.8), (1.0, 0.3), (1, 1))
    return replace(
        Calibration(
            rule='equal_cost',
            entropy='mirror',
            aggregation='peel',
            relations='square',
            thresholds={name: dict(each) for name in DECIDERS},
            fusion=Fusion(('peak', 'aligned'), model, (1.0, 1.0, 1.0, 1.0)),
            region_level=0.95,
            region_scales={},
            interval_level=0.95,
            interval_scales={},
            typical_agreement=0.7,
            typical_quorum=0.8,
        ),
        **changes,
    )


# Without a calibration


@EACH
def test_without_a_calibration_everything_is_kept_and_no_probability_is_given(name):
    assessment = assess(evidence(), PAIRS, DecisionOptions(evidence=name))
    assert assessment.reported.dtype == torch.bool and assessment.reported.all()
    assert assessment.decisions.shape == (3, 4, 3) and assessment.decisions.all()
    assert assessment.presence.isnan().all()
    assert not assessment.uncertainties.isnan().any()
    assert assessment.image_state.tolist() == [TYPICAL] * 3


def test_without_a_calibration_fused_is_what_the_standing_lacks():
    given = evidence()
    assessment = assess(given, PAIRS, DecisionOptions(evidence='fused'))
    torch.testing.assert_close(assessment.uncertainties, 1 - standing(given))


@EACH
def test_a_stated_threshold_decides_only_where_no_calibration_does(name):
    options = DecisionOptions(evidence=name, stated=0.4)
    assessment = assess(evidence(), PAIRS, options)
    assert torch.equal(assessment.reported, assessment.uncertainties <= 0.4)
    assert assessment.decisions.sum() == assessment.reported.sum() + 2 * assessment.reported.numel()
    assessment = assess(evidence(), PAIRS, options, calibration())
    assert torch.equal(assessment.reported, assessment.uncertainties <= 0.5)
    other = DecisionOptions(evidence=name, stated=0.4, threshold=0.3)
    assessment = assess(evidence(), PAIRS, other, calibration())
    assert torch.equal(assessment.reported, assessment.uncertainties <= 0.3)


def test_what_a_calibration_does_not_know_decides_nothing_beside_another():
    young = calibration()
    del young.thresholds['peak']  # as if it had been added after the calibration
    found = assess(evidence(), PAIRS, DecisionOptions(evidence='fused'), young)
    assert found.decisions[..., list(DECIDERS).index('peak')].all()
    with pytest.raises(ValueError, match="no threshold for evidence 'peak'"):
        assess(evidence(), PAIRS, DecisionOptions(evidence='peak'), young)


@EACH
def test_a_threshold_of_the_options_decides_alone(name):
    given = evidence()
    options = DecisionOptions(evidence=name, threshold=0.45)
    for fitted in (None, calibration()):
        assessment = assess(given, PAIRS, options, fitted)
        assert torch.equal(assessment.reported, assessment.uncertainties <= 0.45)
        assert assessment.reported.any() and not assessment.reported.all()
        which = list(DECIDERS).index(name)
        assert torch.equal(assessment.decisions[..., which], assessment.reported)
        others = [index for index in range(3) if index != which]
        if fitted is None:
            assert assessment.decisions[..., others].all()


# Each evidence


def test_each_evidence_has_its_own_uncertainty():
    given, presence = evidence(), torch.rand(3, 4)
    torch.testing.assert_close(
        DECIDERS['peak'].uncertainty(given, presence, DecisionOptions()), 1 - given.peak
    )
    torch.testing.assert_close(
        DECIDERS['fused'].uncertainty(given, presence, DecisionOptions()), 1 - presence
    )
    for mode in ENTROPY_MODES:
        for aggregation, aligned in (('peel', given.peeled), ('paper', given.alignment)):
            found = DECIDERS['paf'].uncertainty(
                given, presence, DecisionOptions(entropy=mode, aggregation=aggregation)
            )
            torch.testing.assert_close(found, alignment_entropy(aligned, mode))


def test_fused_falls_back_on_the_standing_only_where_presence_is_unknown():
    given = evidence(1)
    presence = torch.tensor([[0.9, torch.nan, 0.1, torch.nan]])
    found = DECIDERS['fused'].uncertainty(given, presence, DecisionOptions())
    others = (1 - standing(given))[0].tolist()
    expected = [0.1, others[1], 0.9, others[3]]
    assert found[0].tolist() == pytest.approx(expected)


@EACH
@pytest.mark.parametrize('rule', [None, *RULES])
def test_the_calibrations_threshold_of_the_rule_decides(name, rule):
    given = evidence()
    one = calibration(rule='youden')
    one.thresholds[name]['recall'] = 0.35
    assessment = assess(given, PAIRS, DecisionOptions(evidence=name, rule=rule), one)
    which = list(DECIDERS).index(name)
    assert torch.equal(assessment.reported, assessment.decisions[..., which])
    assert torch.equal(assessment.uncertainties, assessment.evidence_uncertainties[..., which])
    for index, other in enumerate(DECIDERS):
        limit = one.thresholds[other][rule or 'youden']
        expected = assessment.evidence_uncertainties[..., index] <= limit
        assert torch.equal(assessment.decisions[..., index], expected)


def test_an_uncertainty_on_the_threshold_is_reported():
    given = replace(evidence(1), peak=torch.tensor([[0.5, 0.4999, 0.5001, 0.0]]))
    assessment = assess(given, PAIRS, DecisionOptions(evidence='peak', threshold=0.5))
    assert assessment.reported.tolist() == [[True, False, True, False]]


def test_presence_is_the_fusions_probability():
    given, one = evidence(), calibration()
    assessment = assess(given, PAIRS, DecisionOptions(), one)
    odds = one.fusion.log_odds(given, PAIRS)
    torch.testing.assert_close(assessment.presence, 1 / (1 + torch.exp(-odds)))
    torch.testing.assert_close(assessment.uncertainties, 1 - assessment.presence)
    assert torch.equal(assessment.reported, assessment.presence >= 0.5)


# The image as a whole


def test_agreement_is_the_mean_and_the_upper_quartile_over_the_reference():
    given = replace(evidence(1), relation_alignment=torch.tensor([[0.1, 0.4, 0.3, 0.8]]))
    mean, quarter = image_agreement(given, (0.5, 0.5, 1.0, 1.0))
    assert mean.item() == pytest.approx((0.2 + 0.8 + 0.3 + 0.8) / 4)
    assert quarter.item() == pytest.approx(0.8)
    assert image_agreement(given, (1.0,) * 4)[1].item() == pytest.approx(0.5)


def test_an_image_is_usual_unusual_or_without_a_pelvis():
    # typical_agreement 0.7, typical_quorum 0.8
    least = QUORUM_SHARE * 0.8
    given = evidence(5, agreement=[0.9, 0.71, 0.69, least + 0.01, least - 0.01])
    states = [TYPICAL, TYPICAL, UNUSUAL, UNUSUAL, NOTHING_FOUND]
    assert image_state(given, calibration()).tolist() == states
    assert not image_state(given, None).any()
    assert [IMAGE_WORDS[state].split()[0] for state in (TYPICAL, UNUSUAL, NOTHING_FOUND)] == [
        'like', 'out', 'no',
    ]  # fmt: skip


def test_an_image_whose_landmarks_are_all_faint_is_unusual():
    given = evidence(4, agreement=[0.9] * 4)
    peaks = torch.tensor(
        [[0.9, 0.9, 0.9, 0.9], [0.1, 0.9, 0.9, 0.9], [0.5, 0.5, 0.5, 0.5], [0.5] * 4]
    )
    given = replace(given, peak=peaks)
    one = calibration(typical_peak=0.6)
    assert image_state(given, one).tolist() == [TYPICAL, TYPICAL, UNUSUAL, UNUSUAL]
    assert not image_state(given, calibration()).any()  # nothing was noted


def test_an_image_of_more_noise_than_usual_is_unusual_and_one_of_unknown_noise_is_not():
    given = replace(evidence(3, agreement=[0.9] * 3), noise=torch.tensor([0.02, 0.03, torch.nan]))
    assert image_state(given, calibration(typical_noise=0.02)).tolist() == [0, UNUSUAL, 0]
    assert not image_state(given, calibration()).any()  # nothing was noted


def test_half_a_pelvis_is_unusual_but_not_nothing():
    given = replace(evidence(1), relation_alignment=torch.tensor([[0.9, 0.9, 0.0, 0.0]]))
    assert image_state(given, calibration()).tolist() == [UNUSUAL]


@pytest.mark.parametrize('agreement', [0.0, -1.0])
def test_of_an_image_without_any_agreement_nothing_is_reported(agreement):
    given = replace(evidence(2, agreement=[agreement, 0.95]), peak=torch.ones(2, 4))
    keep_all = DecisionOptions(threshold=math.inf)
    assessment = assess(given, PAIRS, keep_all, calibration())
    assert assessment.image_state.tolist() == [NOTHING_FOUND, TYPICAL]
    assert assessment.reported.tolist() == [[False] * 4, [True] * 4]
    assert torch.equal(
        assessment.decisions[..., list(DECIDERS).index('fused')], assessment.reported
    )


@pytest.mark.parametrize('name', ['peak', 'paf'])
def test_a_single_evidence_decides_as_it_would_in_the_paper(name):
    given = evidence(2, agreement=[0.0, 0.95])
    assessment = assess(
        given, PAIRS, DecisionOptions(evidence=name, threshold=math.inf), calibration()
    )
    assert assessment.image_state.tolist() == [NOTHING_FOUND, TYPICAL]
    assert assessment.reported.all()


def test_a_batch_is_assessed_like_its_images():
    given, one = evidence(4), calibration()
    whole = assess(given, PAIRS, DecisionOptions(), one)
    for row in range(4):
        part = Evidence(**{key: value[row : row + 1] for key, value in vars(given).items()})
        alone = assess(part, PAIRS, DecisionOptions(), one)
        for name, value in vars(whole).items():
            torch.testing.assert_close(value[row : row + 1], getattr(alone, name))


# What does not fit


@pytest.mark.parametrize(
    'change',
    [dict(evidence='heatmap'), dict(entropy='shannon'), dict(aggregation='mean'),
     dict(rule='median')],
)  # fmt: skip
def test_an_unknown_option_is_named_beside_the_known_ones(change):
    (name, value), *_ = change.items()
    with pytest.raises(ValueError, match=f'unknown {name} {value!r}; choose from'):
        DecisionOptions(**change)


def test_a_calibration_for_other_relations_is_refused():
    fusion = replace(calibration().fusion, reference=(1.0, 1.0))
    with pytest.raises(ValueError, match='for 2 relations and the model has 4'):
        assess(evidence(), PAIRS, DecisionOptions(), calibration(fusion=fusion))


@pytest.mark.parametrize('change', [dict(entropy='linear'), dict(aggregation='paper')])
def test_a_calibration_for_another_entropy_or_aggregation_is_refused(change):
    (value,) = change.values()
    with pytest.raises(ValueError, match=f'not .*{value}.*give HeatmapPAF a threshold.*calibrate'):
        assess(evidence(), PAIRS, DecisionOptions(evidence='paf', **change), calibration())


WEIGHTS = (1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    'change', [dict(entropy='linear'), dict(aggregation='paper'), dict(weights=WEIGHTS)]
)
@pytest.mark.parametrize('name', ['threshold', 'stated'])
def test_with_a_threshold_a_calibration_for_other_settings_does_not_disturb(change, name):
    options = DecisionOptions(evidence='paf', **change, **{name: 0.3})
    found, one = assess(evidence(), PAIRS, options, calibration()), calibration()
    assert not decides(one, options)
    assert torch.equal(found.reported, found.uncertainties <= 0.3)
    assert not found.presence.isnan().any()
    peaks = found.evidence_uncertainties[..., 0]
    assert torch.equal(found.decisions[..., 0], peaks <= 0.5)


@EACH
@pytest.mark.parametrize('threshold', ['threshold', 'stated'])
def test_with_a_threshold_a_calibration_for_other_relations_is_left_out(name, threshold):
    other = calibration(fusion=replace(calibration().fusion, reference=(1.0, 1.0)))
    options = DecisionOptions(evidence=name, **{threshold: 0.3})
    assert applicable(other, options, 4) is None
    found, without = (assess(evidence(), PAIRS, options, given) for given in (other, None))
    for field, value in vars(found).items():
        torch.testing.assert_close(value, getattr(without, field), equal_nan=True)


def test_where_another_evidence_decides_the_fields_keep_all_if_their_threshold_does_not_fit():
    assessment = assess(evidence(), PAIRS, DecisionOptions(entropy='linear'), calibration())
    assert assessment.decisions[..., list(DECIDERS).index('paf')].all()
    assert not assessment.reported.all()


# Weights of the relations


@pytest.mark.parametrize('aggregation', ['peel', 'paper'])
def test_weights_make_the_sums_of_the_fields(aggregation):
    given = evidence(agreement=[0.2, 0.5, 0.9])
    given = replace(given, relation_alignment=torch.rand(3, 4))
    options = DecisionOptions(
        evidence='paf', aggregation=aggregation, entropy='linear', weights=WEIGHTS
    )
    expected = landmark_alignment(
        given.relation_alignment,
        PAIRS,
        4,
        aggregation=aggregation,
        weights=torch.tensor(WEIGHTS),
        fallback=given.peak,
    )
    assessment = assess(given, PAIRS, options)
    torch.testing.assert_close(assessment.uncertainties, 1 - expected.alignment.clamp(0, 1))


def test_without_weights_the_evidence_stays_as_it_was_read():
    given = evidence()
    assert weigh_relations(given, PAIRS, DecisionOptions(evidence='paf')) is given


def test_a_calibration_for_these_weights_decides():
    options = DecisionOptions(evidence='paf', weights=WEIGHTS)
    assessment = assess(evidence(), PAIRS, options, calibration(weights=WEIGHTS))
    assert torch.equal(assessment.reported, assessment.uncertainties <= 0.5)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(evidence='peak', weights=WEIGHTS), "belong to evidence 'paf', not 'peak'"),
        (dict(evidence='paf', weights=(1.0, 0.0)), 'must be positive'),
        (dict(evidence='paf', weights=(1.0, math.nan)), 'must be positive'),
    ],
)
def test_weights_that_mean_nothing_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        DecisionOptions(**change)


def test_a_number_of_weights_other_than_that_of_the_relations_is_refused():
    with pytest.raises(ValueError, match='2 weights for 4 relations'):
        assess(evidence(), PAIRS, DecisionOptions(evidence='paf', weights=(1.0, 1.0)))


def test_a_rule_that_the_calibration_lacks_is_named():
    one = calibration(thresholds={name: dict(equal_cost=0.5) for name in DECIDERS})
    with pytest.raises(ValueError, match="rule 'recall'"):
        assess(evidence(), PAIRS, DecisionOptions(rule='recall'), one)
