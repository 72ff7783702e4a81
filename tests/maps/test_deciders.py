"""What is reported where nothing was calibrated."""

import math
from dataclasses import replace

import pytest
import torch

from unsct_mmpose.anatomy.records import USUAL_DECIDERS
from unsct_mmpose.maps.assessment import assess
from unsct_mmpose.maps.deciders import (
    DECIDERS,
    LEAST_STANDING,
    PAPER_THRESHOLD,
    Decider,
    DecisionOptions,
    register,
    standing,
)
from unsct_mmpose.maps.evidence import Evidence
from unsct_mmpose.maps.uncertainty import alignment_entropy


def evidence(peak, peeled, fields=0.5):
    peak, peeled = torch.tensor([peak]), torch.tensor([peeled])
    nothing = torch.zeros_like(peak)
    return Evidence(
        points=torch.zeros(*peak.shape, 2),
        covariances=torch.eye(2).expand(*peak.shape, 2, 2),
        peak=peak,
        rival=nothing,
        spread=nothing + 1,
        alignment=peeled,
        peeled=peeled,
        support=nothing,
        relation_alignment=torch.full((1, 3), fields),
        noise=torch.zeros(1),
    )


def test_a_landmark_stands_out_if_peak_and_fields_both_speak_for_it():
    standings = standing(evidence([0.8] * 6 + [0.8, 0.0], [0.8] * 6 + [0.0, 0.8]))
    assert standings[0].tolist() == pytest.approx([1] * 6 + [0, 0])


@pytest.mark.parametrize('faint', [1.0, 0.6])
def test_a_faint_image_is_judged_by_its_own_level(faint):
    peak, peeled = [0.9, 0.8, 0.8, 0.7, 0.1], [0.9, 0.8, 0.8, 0.7, 0.1]
    given = evidence(peak, peeled)
    fainter = replace(given, peak=given.peak * faint, peeled=given.peeled * faint)
    torch.testing.assert_close(standing(fainter), standing(given))
    assert (standing(given) >= LEAST_STANDING).tolist() == [[True] * 4 + [False]]


def test_where_nothing_stands_out_nothing_is_reported():
    assert standing(evidence([0.05] * 5, [0.05] * 5)).max() < LEAST_STANDING


def test_heatmaps_alone_are_judged_by_their_peaks():
    given = evidence([0.9, 0.2, 0.4], [0.0, 0.0, 0.0], fields=0.0)
    assert standing(given)[0].tolist() == pytest.approx([0.9, 0.2, 0.4])


def test_standing_lies_between_0_and_1_whatever_the_maps_hold():
    standings = standing(evidence([-0.5, 1.7, 0.3, 0.2], [-1.0, 1.5, -0.1, 1.0]))
    assert 0 <= standings.min() <= standings.max() <= 1


@pytest.mark.parametrize('mode', ['mirror', 'linear', 'surprisal'])
def test_the_limit_of_the_fields_is_the_same_alignment_in_every_falling_entropy(mode):
    w = torch.tensor([0.09, 0.11])
    reported = alignment_entropy(w, mode) <= DECIDERS['paf'].bare_threshold(
        DecisionOptions(entropy=mode)
    )
    assert reported.tolist() == [False, True]


def test_the_papers_threshold_lies_below_the_maximum_of_what_it_prints():
    assert (
        DECIDERS['paf'].bare_threshold(DecisionOptions(entropy='paper'))
        == PAPER_THRESHOLD
        < 1 / math.e
    )


class SpreadDecider(Decider):
    """Narrow peaks are sure ones."""

    name = 'spread'

    def uncertainty(self, evidence, presence, options):
        return evidence.spread

    def bare_threshold(self, options):
        return 1.5


def test_the_usual_ones_come_first_in_the_order_that_files_leave_out():
    assert tuple(DECIDERS) == USUAL_DECIDERS


def test_another_way_to_decide_is_one_class():
    register(SpreadDecider)
    try:
        given = replace(evidence([0.8, 0.8], [0.8, 0.8]), spread=torch.tensor([[1.0, 2.0]]))
        options = DecisionOptions('spread', threshold=1.5)
        assessment = assess(given, [(0, 1)] * 3, options)
        assert assessment.reported.tolist() == [[True, False]]
        assert assessment.decisions.shape == (1, 2, 4)
        with pytest.raises(ValueError, match="'spread' decides already"):
            register(SpreadDecider)
    finally:
        del DECIDERS['spread']
    with pytest.raises(ValueError, match='choose from'):
        DecisionOptions('spread')
