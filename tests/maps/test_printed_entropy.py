import math

import numpy as np
import pytest
import torch

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.maps.evidence import Evidence
from unsct_mmpose.maps.printed_entropy import describe_alignment

PAIRS = relation_set('full').pairs


def evidence(alignment, points=None):
    """Return evidence whose relations are all as aligned as their image says: ``(N,)``."""
    count = len(alignment)
    nothing = torch.zeros(count, 24)
    if points is None:
        points = 10 * torch.rand(count, 24, 2, generator=torch.Generator().manual_seed(0))
    return Evidence(
        points=points,
        covariances=torch.eye(2).expand(count, 24, 2, 2),
        peak=nothing, rival=nothing, spread=nothing, alignment=nothing, peeled=nothing,
        support=nothing,
        relation_alignment=torch.as_tensor(alignment, dtype=torch.float32)[:, None].repeat(
            1, len(PAIRS)
        ),
        noise=torch.zeros(count),
    )  # fmt: skip


def describe(alignment, present, labelled=None, points=None):
    present = np.repeat(np.array(present)[:, None], 24, axis=1)
    known = np.ones_like(present) if labelled is None else labelled
    return describe_alignment(evidence(alignment, points), PAIRS, present, known)


def test_quantiles_are_those_of_each_kind_and_only_of_what_is_labelled():
    labelled = np.ones((4, 24), bool)
    labelled[3] = False
    figures = describe([0.2, 0.6, 0.0, 0.9], [True, True, False, True], labelled)
    assert figures['present/median'] == pytest.approx(0.4)
    assert (figures['present/low'], figures['present/high']) == pytest.approx((0.2, 0.6))
    assert figures['present/rising'] == 0.5
    assert figures['absent/median'] == 0 and figures['absent/rising'] == 1


def test_what_is_printed_calls_a_silent_field_the_surest():
    """-w log w at w = 0 is 0, its least value on [0, 1); a falling entropy says the opposite."""
    figures = describe([0.5, 0.6, 0.0, 0.01], [True, True, False, False])
    assert figures['AUROC/printed'] == 0
    assert figures['AUROC/alignment'] == 1


def test_what_is_printed_falls_above_1_e():
    figures = describe([0.7, 0.8, 0.4, 0.5], [True, True, False, False])
    assert figures['AUROC/printed'] == figures['AUROC/alignment'] == 1


def test_the_integral_is_in_cells_and_falls_for_all_but_the_shortest():
    """In cells a relation is many long, so that w passes 1/e at once; units decide, not w."""
    points = 100 * torch.rand(1, 24, 2, generator=torch.Generator().manual_seed(1)).repeat(4, 1, 1)
    alignment, present = [0.5, 0.6, 0.0, 0.01], [True, True, False, False]
    assert describe(alignment, present, points=points)['AUROC/integral'] > 0.95
    assert describe(alignment, present, points=points / 10000)['AUROC/integral'] < 0.05


def test_a_long_relation_outweighs_a_better_aligned_short_one_in_the_integral():
    points = torch.rand(2, 24, 2, generator=torch.Generator().manual_seed(2)) * 20
    points[1] *= 5
    figures = describe([0.9, 0.4], [True, False], points=points)
    assert figures['AUROC/alignment'] == 1
    assert figures['AUROC/integral'] < 0.5


def test_without_an_absent_landmark_there_is_nothing_to_rank():
    figures = describe([0.5, 0.6], [True, True])
    undefined = {name for name, value in figures.items() if math.isnan(value)}
    assert undefined == {
        'AUROC/printed', 'AUROC/alignment', 'AUROC/integral', 'absent/low', 'absent/median',
        'absent/high', 'absent/rising',
    }  # fmt: skip
