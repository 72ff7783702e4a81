import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from unsct_mmpose.anatomy import FLIP_INDICES, RELATION_SETS, relation_set
from unsct_mmpose.maps.paf import (
    candidate_alignment,
    draw_paf,
    flip_paf,
    paf_mse,
    segment_alignment,
)

ONE = [(0, 1)]
SETS = pytest.mark.parametrize('relations', RELATION_SETS.values(), ids=RELATION_SETS)


def segment(tail, head):
    return torch.tensor([[tail, head]], dtype=torch.float64)


def seen(points):
    return torch.ones(points.shape[:2], dtype=torch.bool)


def drawn(tail, head, size_hw=(32, 32), half_width=1.0):
    points = segment(tail, head)
    return draw_paf(points, seen(points), ONE, size_hw, half_width)[0].numpy()


def pelvis(size_hw, batch=2, seed=0, absent=0.2):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (batch, 24, 2)) * [size_hw[1] - 1, size_hw[0] - 1]
    return torch.from_numpy(points), torch.from_numpy(rng.random((batch, 24)) >= absent)


# Drawing


def test_each_cell_is_judged_by_its_distance_along_and_across_the_segment():
    # Cell by cell with plain trigonometry; cells within 0.01 of a limit may go either way.
    rng = np.random.default_rng(0)
    for half_width in (0.6, 1.0, 2.5):
        (ax, ay), (bx, by) = rng.uniform(0, 23, (2, 2))
        field = drawn((ax, ay), (bx, by), (24, 24), half_width)
        angle, length = math.atan2(by - ay, bx - ax), math.hypot(bx - ax, by - ay)
        for y in range(24):
            for x in range(24):
                turn = math.atan2(y - ay, x - ax) - angle
                far = math.hypot(x - ax, y - ay)
                along, across = far * math.cos(turn), abs(far * math.sin(turn))
                room = min(half_width - across, along + 1, length + 1 - along)
                if abs(room) > 0.01:
                    expected = [math.cos(angle), math.sin(angle)] if room > 0 else [0, 0]
                    assert field[:, y, x] == pytest.approx(expected, abs=1e-9)


def test_a_horizontal_relation_fills_three_rows_and_reaches_one_cell_past_its_ends():
    field = drawn((5, 10), (12, 10))
    ys, xs = np.nonzero(field[0])
    assert (set(ys), set(xs)) == ({9, 10, 11}, set(range(4, 14)))
    assert (field[0][field[0] != 0] == 1).all()
    assert not field[1].any()


def test_x_is_the_first_channel_and_y_grows_downwards():
    assert drawn((8, 4), (8, 20))[:, 12, 8].tolist() == [0, 1]
    assert drawn((8, 20), (8, 4))[:, 12, 8].tolist() == [0, -1]
    assert drawn((20, 8), (4, 8))[:, 8, 12].tolist() == [-1, 0]


def test_an_oblique_relation_ends_square_and_not_in_the_corners_of_a_box():
    field = drawn((4, 4), (24, 24), half_width=3.0)
    assert np.hypot(*field[:, 4, 4]) == pytest.approx(1)
    assert not field[:, 2, 2].any()
    assert not field[:, 26, 26].any()


def test_vectors_have_the_length_one_or_zero():
    points, present = pelvis((40, 30))
    field = draw_paf(points, present, relation_set('full').pairs, (40, 30))
    lengths = field.unflatten(1, (-1, 2)).norm(dim=2)
    on = lengths > 0.5
    assert on.any()
    torch.testing.assert_close(lengths[on], torch.ones_like(lengths[on]))
    assert lengths[~on].abs().sum() == 0


def test_reversing_a_relation_negates_its_field():
    points, present = pelvis((32, 40))
    pairs = np.asarray(relation_set('full').pairs)
    field = draw_paf(points, present, pairs, (32, 40))
    torch.testing.assert_close(draw_paf(points, present, pairs[:, ::-1].copy(), (32, 40)), -field)


def test_an_absent_end_draws_nothing_whatever_its_point_says():
    points = torch.tensor([[[3.0, 3.0], [9.0, 9.0], [float('nan'), float('nan')]]])
    present = torch.tensor([[True, True, False]])
    field = draw_paf(points, present, [(0, 1), (1, 2), (2, 0)], (12, 12))
    assert field[0, :2].any()
    assert not field[0, 2:].any()


def test_coincident_ends_draw_nothing():
    assert not drawn((7.3, 7.3), (7.3, 7.3)).any()


@settings(max_examples=200, deadline=None)
@given(
    x=st.floats(4, 11),
    y=st.floats(4, 11),
    angle=st.floats(0, 2 * math.pi),
    length=st.floats(0.01, 3),
)
def test_the_shortest_relation_owns_a_cell(x, y, angle, length):
    field = drawn((x, y), (x + length * math.cos(angle), y + length * math.sin(angle)), (16, 16))
    assert np.hypot(*field).max() == pytest.approx(1)


def test_a_wider_field_contains_a_narrower_one():
    narrow, wide = (drawn((5.2, 6.1), (20.3, 14.8), half_width=w).any(axis=0) for w in (1, 2))
    assert (wide | ~narrow).all()
    assert wide.sum() > 1.5 * narrow.sum()


def test_each_relation_has_its_own_two_channels():
    points, present = pelvis((32, 32), batch=1, absent=0)
    pairs = relation_set('core').pairs
    field = draw_paf(points, present, pairs, (32, 32))
    assert field.shape == (1, 68, 32, 32)
    for index, pair in enumerate(pairs):
        alone = draw_paf(points, present, [pair], (32, 32))
        torch.testing.assert_close(field[:, 2 * index : 2 * index + 2], alone)


def test_moving_the_landmarks_by_whole_cells_moves_the_field():
    field = drawn((5.3, 6.2), (14.9, 17.7))
    moved = drawn((8.3, 10.2), (17.9, 21.7))
    np.testing.assert_allclose(moved[:, 4:, 3:], field[:, :-4, :-3], atol=1e-12)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('shift', [0.0, 0.1, 0.7])
def test_cells_exactly_on_a_limit_belong_to_the_field_whatever_the_rounding(dtype, shift):
    # Along (3, 4) / 5 many cells lie at a distance of exactly 1.
    ends = torch.tensor([[[6, 3], [36, 43]]], dtype=dtype)
    points = ends + shift * torch.tensor([0.6, 0.8], dtype=dtype)
    field = draw_paf(points, seen(points), ONE, (48, 48))[0]
    y, x = np.mgrid[:48, :48]
    across = -4 * (x - 6) + 3 * (y - 3)
    along = (3 * (x - 6) + 4 * (y - 3)) / 5 - shift
    expected = (abs(across) <= 5) & (along >= -1.0001) & (along <= 51.0001)
    assert (abs(across) == 5).sum() > 20
    np.testing.assert_array_equal(field.any(dim=0).numpy(), expected)


def test_a_landmark_outside_the_map_draws_the_part_inside():
    field = drawn((-6, 8), (6, 8), (16, 16))
    assert set(np.nonzero(field[0])[1]) == set(range(8))


def test_single_and_double_precision_draw_the_same_field():
    points, present = pelvis((128, 128), batch=4)
    pairs = relation_set('full').pairs
    single = draw_paf(points.float(), present, pairs, (128, 128))
    assert single.dtype == torch.float32
    double = draw_paf(points.float().double(), present, pairs, (128, 128))
    torch.testing.assert_close(single.double(), double, atol=1e-5, rtol=0)


def test_drawing_leaves_its_inputs_alone():
    points, present = pelvis((16, 16))
    copies = points.clone(), present.clone()
    draw_paf(points, present, ONE, (16, 16))
    assert torch.equal(points, copies[0]) and torch.equal(present, copies[1])


def test_relations_may_be_a_list_an_array_or_a_tensor():
    points, present = pelvis((16, 16), absent=0)
    pairs = [(0, 1), (5, 3)]
    field = draw_paf(points, present, pairs, (16, 16))
    for same in (tuple(pairs), np.array(pairs), torch.tensor(pairs, dtype=torch.int32)):
        assert torch.equal(draw_paf(points, present, same, (16, 16)), field)


@pytest.mark.parametrize('relations', [[0, 1], [(0, 1, 2)], [[(0, 1)]]])
def test_relations_must_be_pairs(relations):
    points, present = pelvis((16, 16))
    with pytest.raises(ValueError, match=r'\(L, 2\)'):
        draw_paf(points, present, relations, (16, 16))


@pytest.mark.parametrize('relation', [(0, 24), (-1, 3)])
def test_a_relation_to_nowhere_is_named(relation):
    points, present = pelvis((16, 16))
    field = torch.zeros(2, 4, 16, 16)
    with pytest.raises(IndexError, match='relation 1 joins'):
        draw_paf(points, present, [(0, 1), relation], (16, 16))
    with pytest.raises(IndexError, match='but there are 24 landmarks'):
        segment_alignment(field, points, [(0, 1), relation])


def test_a_field_needs_a_width():
    with pytest.raises(ValueError, match='half_width must be positive'):
        drawn((1, 1), (5, 5), half_width=0)


def test_a_present_point_that_is_not_finite_is_named():
    points, present = pelvis((16, 16), absent=0)
    points[1, 3] = float('inf')
    with pytest.raises(ValueError, match='landmark 3 of image 1'):
        draw_paf(points, present, ONE, (16, 16))


# Alignment


def test_alignment_is_the_mean_projection_of_bilinear_samples():
    # SciPy's interpolation, with zeros beyond the border, is the oracle.
    rng = np.random.default_rng(0)
    field = rng.normal(size=(2, 6, 11, 15))
    points = rng.uniform(-0.4, [14.4, 10.4], (2, 4, 2))  # some between the border and its cells
    pairs = [(0, 1), (1, 2), (3, 0)]
    alignment = segment_alignment(torch.from_numpy(field), torch.from_numpy(points), pairs, 13)
    for image in range(2):
        for index, (tail, head) in enumerate(pairs):
            a, b = points[image, tail], points[image, head]
            where = a + np.linspace(0, 1, 13)[:, None] * (b - a)
            xy = [
                map_coordinates(plane, where.T[::-1], order=1, mode='grid-constant')
                for plane in field[image, 2 * index : 2 * index + 2]
            ]
            expected = np.mean(xy, axis=1) @ (b - a) / np.linalg.norm(b - a)
            assert alignment[image, index].item() == pytest.approx(expected, abs=1e-12)


def test_a_sample_beyond_the_border_cells_fades_to_zero():
    field = torch.ones(1, 2, 8, 8, dtype=torch.float64)
    w = segment_alignment(field, segment((-0.4, 2), (-0.4, 6)), ONE).item()
    assert w == pytest.approx(0.6)


@pytest.mark.parametrize('scale', [0.15, 0.5, 1.0])
def test_a_drawn_field_aligns_with_its_own_segments(scale):
    points, present = pelvis((64, 64), batch=40, absent=0)
    points = 31.5 + (points - 31.5) * scale
    pairs = relation_set('full').pairs
    w = segment_alignment(draw_paf(points, present, pairs, (64, 64)), points, pairs)
    lengths = (points[:, [b for _, b in pairs]] - points[:, [a for a, _ in pairs]]).norm(dim=-1)
    assert w[lengths > 2].min() >= 0.95
    assert w[lengths > 2].mean() > 0.99
    assert w.max() <= 1 + 1e-9


def test_a_reversed_segment_reads_minus_one():
    points, present = pelvis((64, 64), batch=8, absent=0)
    pairs = np.asarray(relation_set('full').pairs)
    field = draw_paf(points, present, pairs, (64, 64))
    forth = segment_alignment(field, points, pairs)
    back = segment_alignment(field, points, pairs[:, ::-1].copy())
    torch.testing.assert_close(back, -forth)
    assert back.max() < -0.9


def test_a_field_across_the_segment_does_not_count():
    field = torch.zeros(1, 2, 16, 16)
    field[:, 1] = 1
    assert segment_alignment(field, segment((2, 8), (12, 8)).float(), ONE).item() == 0


def test_a_uniform_field_projects_by_the_cosine():
    field = torch.zeros(1, 2, 16, 16, dtype=torch.float64)
    field[:, 0] = 1
    for degrees in range(0, 360, 15):
        angle = math.radians(degrees)
        head = (8 + 5 * math.cos(angle), 8 + 5 * math.sin(angle))
        w = segment_alignment(field, segment((8, 8), head), ONE).item()
        assert w == pytest.approx(math.cos(angle), abs=1e-9)


def test_half_a_field_reads_a_half_since_every_sample_counts():
    field = torch.zeros(1, 2, 16, 16, dtype=torch.float64)
    field[:, 0, :, :8] = 1
    w = segment_alignment(field, segment((0, 8), (15, 8)), ONE, samples=16).item()
    assert w == pytest.approx(0.5)


def test_samples_of_both_signs_cancel():
    field = torch.ones(1, 2, 16, 16, dtype=torch.float64)
    field[:, 0, :, :8] = -1
    w = segment_alignment(field, segment((0, 8), (15, 8)), ONE, samples=16).item()
    assert w == pytest.approx(0)


def test_both_ends_are_sampled():
    field = torch.zeros(1, 2, 9, 9, dtype=torch.float64)
    field[0, 0, 4, 2] = field[0, 0, 4, 7] = 1
    assert segment_alignment(field, segment((2, 4), (7, 4)), ONE, samples=2).item() == 1
    assert segment_alignment(field, segment((2, 4), (7, 4)), ONE, samples=6).item() == (
        pytest.approx(2 / 6)
    )


def test_silence_reads_zero():
    points, _ = pelvis((16, 16))
    pairs = relation_set('core').pairs
    w = segment_alignment(torch.zeros(2, 68, 16, 16), points.float(), pairs)
    assert w.shape == (2, 34)
    assert not w.any()


@pytest.mark.parametrize(
    ('tail', 'head'),
    [
        ((5, 5), (5, 5)),
        ((5, 5), (5 + 1e-9, 5)),
        ((-0.6, 5), (5, 5)),
        ((5, 5), (5, 15.6)),
        ((11.6, 5), (5, 5)),
        ((5, -3), (5, 5)),
        ((5, 5), (1e6, 5)),
    ],
)
def test_coincident_ends_or_an_end_off_the_map_read_zero(tail, head):
    field = torch.ones(1, 2, 16, 12, dtype=torch.float64)
    assert segment_alignment(field, segment(tail, head), ONE).item() == 0


@pytest.mark.parametrize(('tail', 'head'), [((-0.4, 5), (5, 5)), ((11.4, 5), (5, 15.4))])
def test_an_end_within_half_a_cell_of_the_border_still_counts(tail, head):
    points = segment(tail, head)
    field = draw_paf(points, seen(points), ONE, (16, 12))
    assert segment_alignment(field, points, ONE).item() > 0.9


@pytest.mark.parametrize('size_hw', [(1, 9), (9, 1)])
def test_a_map_of_one_row_or_column_can_be_read(size_hw):
    points = segment((0, 0), (size_hw[1] - 1, size_hw[0] - 1))
    field = draw_paf(points, seen(points), ONE, size_hw)
    assert segment_alignment(field, points, ONE).item() == pytest.approx(1)


def test_alignment_has_the_gradients_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    field = torch.randn(2, 6, 7, 9, dtype=torch.float64, generator=generator).requires_grad_()
    points = torch.rand(2, 4, 2, dtype=torch.float64, generator=generator) * 6
    points.requires_grad_()
    pairs = [(0, 1), (2, 1), (3, 0)]
    assert torch.autograd.gradcheck(
        lambda f, p: segment_alignment(f, p, pairs, samples=10), (field, points)
    )


def test_gradients_are_finite_where_ends_coincide_or_lie_off_the_map():
    points = torch.tensor([[[4.0, 4.0], [4.0, 4.0], [-50.0, 3.0]]], requires_grad=True)
    field = torch.ones(1, 4, 8, 8, requires_grad=True)
    segment_alignment(field, points, [(0, 1), (0, 2)]).sum().backward()
    assert torch.isfinite(points.grad).all()
    assert torch.isfinite(field.grad).all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_a_half_precision_field_is_read_in_single_precision(dtype):
    points = segment((3.2, 4.1), (25.7, 20.3)).float()
    field = draw_paf(points, seen(points), ONE, (32, 32)).to(dtype)
    w = segment_alignment(field, points, ONE)
    assert w.dtype == torch.float32
    assert w.item() == pytest.approx(segment_alignment(field.float(), points, ONE).item())
    assert w.item() == pytest.approx(1, abs=0.03)


def test_a_segment_needs_two_samples():
    with pytest.raises(ValueError, match='at both ends'):
        segment_alignment(torch.zeros(1, 2, 8, 8), segment((1, 1), (5, 5)), ONE, samples=1)


def test_field_and_relations_must_fit():
    with pytest.raises(ValueError, match='2 relations need 4 channels, got 2'):
        segment_alignment(torch.zeros(1, 2, 8, 8), segment((1, 1), (5, 5)), [(0, 1), (1, 0)])


# Alignment of candidates


def candidates(seed=0, tails=3, heads=4):
    generator = torch.Generator().manual_seed(seed)

    def some(*shape):
        return torch.rand(*shape, dtype=torch.float64, generator=generator)

    places = torch.tensor([16.0, 11.0], dtype=torch.float64)
    return some(2, 6, 11, 16) - 0.5, some(2, 3, tails, 2) * places, some(2, 3, heads, 2) * places


def test_every_pair_of_candidates_reads_like_a_segment_of_its_own():
    field, tails, heads = candidates()
    alignment = candidate_alignment(field, tails, heads, 13)
    assert alignment.shape == (2, 3, 3, 4)
    for index in range(3):
        own = field[:, 2 * index : 2 * index + 2]
        for row in range(3):
            for column in range(4):
                points = torch.stack([tails[:, index, row], heads[:, index, column]], dim=1)
                expected = segment_alignment(own, points, ONE, 13)[:, 0]
                torch.testing.assert_close(alignment[:, index, row, column], expected)


def test_swapping_the_candidates_of_both_ends_transposes_and_negates():
    field, tails, heads = candidates()
    forth, back = candidate_alignment(field, tails, heads), candidate_alignment(field, heads, tails)
    torch.testing.assert_close(back, -forth.transpose(-1, -2))


def test_a_candidate_off_the_map_or_on_its_partner_spoils_only_its_own_pairs():
    field, tails, heads = candidates()
    before = candidate_alignment(field, tails, heads)
    tails[0, 1, 2] = torch.tensor([-3.0, 4.0])
    heads[1, 2, 3] = tails[1, 2, 0]
    after = candidate_alignment(field, tails, heads)
    changed = torch.zeros_like(before, dtype=torch.bool)
    changed[0, 1, 2] = changed[1, 2, :, 3] = True
    torch.testing.assert_close(after[~changed], before[~changed])
    assert not after[0, 1, 2].any()
    assert after[1, 2, 0, 3] == 0 and after[1, 2, 1:, 3].all()


def test_the_true_pair_of_ends_is_the_best_aligned():
    points, present = pelvis((48, 48), batch=2, absent=0)
    pairs = relation_set('full').pairs
    field = draw_paf(points, present, pairs, (48, 48))
    generator = torch.Generator().manual_seed(0)
    far = torch.rand(2, 24, 3, 2, generator=generator, dtype=torch.float64) * 47
    places = torch.cat([points[:, :, None], far], dim=2)
    tail, head = (list(end) for end in zip(*pairs, strict=True))
    w = candidate_alignment(field, places[:, tail], places[:, head]).flatten(2)
    assert w[..., 0].mean() > 0.98
    assert (w.argmax(dim=-1) == 0).double().mean() > 0.97


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_candidates_are_read_in_single_precision(dtype):
    field, tails, heads = (tensor.to(dtype) for tensor in candidates())
    alignment = candidate_alignment(field, tails, heads)
    assert alignment.dtype == torch.float32
    torch.testing.assert_close(
        alignment, candidate_alignment(field.float(), tails.float(), heads.float())
    )


def test_candidates_need_two_channels_a_relation_and_two_samples():
    field, tails, heads = candidates()
    with pytest.raises(ValueError, match='3 relations need 6 channels, got 4'):
        candidate_alignment(field[:, :4], tails, heads)
    with pytest.raises(ValueError, match='at both ends'):
        candidate_alignment(field, tails, heads, samples=1)


# Mirroring


@SETS
@pytest.mark.parametrize('size_hw', [(24, 31), (16, 16)])
def test_mirroring_the_landmarks_mirrors_the_field(relations, size_hw):
    points, present = pelvis(size_hw, batch=4)
    field = draw_paf(points, present, relations.pairs, size_hw)
    flip = list(FLIP_INDICES)
    mirrored = (points * torch.tensor([-1, 1]) + torch.tensor([size_hw[1] - 1, 0]))[:, flip]
    expected = draw_paf(mirrored, present[:, flip], relations.pairs, size_hw)
    flipped = flip_paf(field, relations.flip_indices, relations.is_cross)
    torch.testing.assert_close(flipped, expected)
    assert expected.abs().sum() > 100


@SETS
def test_mirroring_twice_changes_nothing(relations):
    field = torch.randn(2, 2 * len(relations), 5, 6)
    once = flip_paf(field, relations.flip_indices, relations.is_cross)
    assert torch.equal(flip_paf(once, relations.flip_indices, relations.is_cross), field)


@SETS
def test_mirroring_keeps_the_alignment_of_the_mirrored_relation(relations):
    points, _ = pelvis((20, 26), absent=0)
    field = torch.randn(2, 2 * len(relations), 20, 26, dtype=torch.float64)
    flip = list(FLIP_INDICES)
    mirrored = (points * torch.tensor([-1, 1]) + torch.tensor([25, 0]))[:, flip]
    w = segment_alignment(field, points, relations.pairs)
    again = segment_alignment(
        flip_paf(field, relations.flip_indices, relations.is_cross), mirrored, relations.pairs
    )
    torch.testing.assert_close(again, w[:, list(relations.flip_indices)])


def test_flipping_needs_as_many_indices_marks_and_channels():
    for indices, cross, channels in (([0], [True, False], 2), ([0, 1], [True, False], 2)):
        with pytest.raises(ValueError, match='disagree'):
            flip_paf(torch.zeros(1, channels, 4, 4), indices, cross)


# Loss


def test_the_loss_is_the_mean_square_of_the_supervised_relations():
    rng = np.random.default_rng(0)
    pred, target = rng.normal(size=(2, 3, 8, 5, 4))
    weights = np.array([[1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 0, 0]])
    chosen = np.repeat(weights, 2, axis=1).astype(bool)
    expected = ((pred - target) ** 2)[chosen].mean()
    loss = paf_mse(*(torch.from_numpy(array) for array in (pred, target, weights)))
    assert loss.item() == pytest.approx(expected)


def test_without_weights_every_relation_counts():
    pred, target = torch.randn(2, 3, 8, 5, 4)
    torch.testing.assert_close(paf_mse(pred, target), ((pred - target) ** 2).mean())
    torch.testing.assert_close(paf_mse(pred, target, torch.ones(3, 4)), paf_mse(pred, target))


def test_an_unsupervised_relation_gets_no_gradient():
    pred = torch.randn(1, 4, 3, 3, requires_grad=True)
    paf_mse(pred, torch.zeros(1, 4, 3, 3), torch.tensor([[0.0, 1.0]])).backward()
    assert not pred.grad[:, :2].any()
    assert pred.grad[:, 2:].all()


def test_nothing_supervised_costs_nothing_and_stays_in_the_graph():
    pred = torch.randn(2, 4, 3, 3, requires_grad=True)
    loss = paf_mse(pred, torch.zeros(2, 4, 3, 3), torch.zeros(2, 2))
    loss.backward()
    assert loss.item() == 0
    assert pred.grad is not None and not pred.grad.any()


def test_the_loss_has_the_gradients_of_finite_differences():
    pred, target = torch.randn(2, 2, 4, 3, 3, dtype=torch.float64)
    weights = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    pred.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: paf_mse(p, target, weights), (pred,))


def test_half_precision_does_not_overflow_the_loss():
    pred = torch.full((1, 2, 4, 4), 400.0, dtype=torch.float16)
    assert paf_mse(pred, torch.zeros(1, 2, 4, 4)).item() == 160_000.0


@pytest.mark.parametrize(
    ('target', 'weights'), [((1, 4, 3, 4), None), ((1, 4, 3, 3), (1, 4)), ((1, 4, 3, 3), (2, 2))]
)
def test_shapes_of_the_loss_must_fit(target, weights):
    weights = None if weights is None else torch.ones(weights)
    with pytest.raises(ValueError, match=r'disagree|do not fit'):
        paf_mse(torch.zeros(1, 4, 3, 3), torch.zeros(target), weights)
