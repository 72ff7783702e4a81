"""What one forward pass says, read from drawn maps and from maps that no network should give."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from tests.golden_hip import PELVIS_MM
from unsct_mmpose.anatomy import FLIP_INDICES, relation_set
from unsct_mmpose.maps.evidence import DecodeOptions, Evidence, decode_evidence
from unsct_mmpose.maps.heatmap import draw_heatmaps, flip_heatmaps
from unsct_mmpose.maps.moments import local_moments
from unsct_mmpose.maps.paf import draw_paf, flip_paf, segment_alignment
from unsct_mmpose.maps.uncertainty import landmark_alignment

FULL = relation_set('full')
SIZE_HW = (40, 48)
OPTIONS = DecodeOptions(sigma=1.5)


def pelvis(count=1, seed=0):
    """Return ``(B, 24, 2)`` landmarks, cells."""
    whole = torch.tensor(PELVIS_MM, dtype=torch.float32) / 7
    generator = torch.Generator().manual_seed(seed)
    jitter = torch.randn(count, 24, 2, generator=generator) * 0.3
    return whole + torch.tensor([23.5, 9.0]) + jitter


def draw(points, absent=(), size_hw=SIZE_HW, sigma=1.5):
    present = torch.ones(points.shape[:2], dtype=torch.bool)
    present[:, list(absent)] = False
    maps = draw_heatmaps(points, present, size_hw, sigma)
    return maps, draw_paf(points, present, FULL.pairs, size_hw)


def read(maps, pafs, **options):
    noise = torch.full((len(maps),), 0.01)
    return decode_evidence(maps, pafs, FULL.pairs, replace(OPTIONS, **options), noise)


def everything(evidence):
    return {field.name: getattr(evidence, field.name) for field in fields(Evidence)}


# A pelvis as the network should see it


def test_a_drawn_pelvis_is_read_back_and_supported_by_all():
    points = pelvis(3)
    evidence = read(*draw(points))
    assert (evidence.points - points).norm(dim=-1).max() < 0.05
    assert evidence.peak.min() > 0.85
    assert evidence.relation_alignment.shape == (3, 52)
    assert evidence.relation_alignment.min() > 0.9
    assert evidence.alignment.min() > 0.95 and evidence.peeled.min() > 0.9
    assert evidence.spread.min() > 0.7 and evidence.spread.max() < 1.05
    assert evidence.rival.max() < 0.1
    assert evidence.support.max() <= 52


def test_each_field_has_the_documented_shape():
    found = everything(read(*draw(pelvis(2))))
    each = {name: tuple(value.shape[1:]) for name, value in found.items()}
    flat = dict.fromkeys(('peak', 'rival', 'spread', 'alignment', 'peeled', 'support'), (24,))
    assert each == dict(
        points=(24, 2), covariances=(24, 2, 2), relation_alignment=(52,), noise=(), **flat
    )
    assert all(value.dtype == torch.float32 for value in found.values())


def test_an_absent_landmark_is_silent_and_leaves_its_neighbours_alone():
    evidence = read(*draw(pelvis(), absent=[5, 20]))
    others = [index for index in range(24) if index not in (5, 20)]
    near = [a + b - 5 for a, b in FULL.pairs if 5 in (a, b)]
    assert evidence.peak[0, [5, 20]].max() == 0
    assert evidence.peeled[0, [5, 20]].max() < 0.1
    assert evidence.peeled[0, others].min() > 0.9
    assert evidence.alignment[0, near].max() < 0.92
    assert evidence.peeled[0, near].mean() > evidence.alignment[0, near].mean() + 0.1


def test_evidence_is_what_its_parts_say():
    maps, pafs = draw(pelvis(2), absent=[3, 4, 17])
    pafs = pafs + 0.3 * torch.randn(pafs.shape, generator=torch.Generator().manual_seed(0))
    maps = 1.1 * maps
    evidence = read(maps, pafs, samples=9)
    aligned = segment_alignment(pafs, evidence.points, FULL.pairs, 9)
    torch.testing.assert_close(evidence.relation_alignment, aligned)
    paper = landmark_alignment(aligned, FULL.pairs, 24, aggregation='paper')
    peel = landmark_alignment(aligned, FULL.pairs, 24, fallback=evidence.peak.clamp(0, 1))
    torch.testing.assert_close(evidence.alignment, paper.alignment)
    torch.testing.assert_close(evidence.peeled, peel.alignment)
    torch.testing.assert_close(evidence.support, peel.support)
    top = maps.flatten(2).max(dim=-1)
    torch.testing.assert_close(evidence.peak, top.values)
    cells = torch.stack([top.indices % 48, top.indices // 48], dim=-1).float()
    present = [index for index in range(24) if index not in (3, 4, 17)]
    covariances = local_moments(maps, cells, 1.5).covariance[:, present]
    torch.testing.assert_close(evidence.covariances[:, present], covariances)
    area = torch.linalg.det(covariances) ** 0.25 / 1.5
    torch.testing.assert_close(evidence.spread[:, present], area)


def test_a_wider_blob_has_a_wider_spread():
    points = pelvis()
    narrow, wide = (read(*draw(points, sigma=sigma)).spread for sigma in (1.0, 2.0))
    assert (wide > 1.4 * narrow).all()


@pytest.mark.parametrize('refinement', ['dark', 'quadratic', 'integral', 'none'])
def test_the_refinement_is_the_one_that_was_asked_for(refinement):
    points = pelvis(2)
    found = read(*draw(points), refinement=refinement).points
    error = (found - points).norm(dim=-1).mean()
    if refinement == 'none':
        assert torch.equal(found, found.round())
        assert 0.2 < error < 0.6
    else:
        assert error < 0.05
        assert (found != found.round()).any()


@pytest.mark.parametrize('sigma', [1.5, 3.0])
def test_the_mean_is_taken_over_as_wide_a_window_as_the_gaussians_need(sigma):
    points = pelvis(4) * 2 + 12
    maps, pafs = draw(points, size_hw=(100, 120), sigma=sigma)
    evidence = read(maps, pafs, sigma=sigma, refinement='integral')
    assert (evidence.points - points).norm(dim=-1).mean() < 0.04


# Several peaks


def with_decoy(height=0.6):
    """Return maps on which landmark 9 has a brighter peak far from home."""
    points = pelvis()
    maps, pafs = draw(points)
    decoy = draw_heatmaps(torch.tensor([[[44.0, 35.0]]]), torch.ones(1, 1) > 0, SIZE_HW, 1.5)
    maps[0, 9] = torch.maximum(height * maps[0, 9], decoy[0, 0])
    return maps, pafs, points


def test_the_rival_is_the_share_of_the_best_other_place():
    points = torch.tensor([[[8.0, 8.0]] * 24])
    maps, pafs = draw(points)
    maps[0, 1, 30, 40] = 0.5
    maps[0, 2, 8, 10] = 0.9  # within three sigma: part of the same peak
    evidence = read(maps, pafs)
    assert evidence.rival[0, :3].tolist() == pytest.approx([0, 1 / 3, 0], abs=5e-3)


# A network that errs


def test_reversed_fields_read_minus_one():
    maps, pafs = draw(pelvis(2))
    evidence = read(maps, -pafs)
    assert evidence.relation_alignment.max() < -0.9
    assert evidence.alignment.max() < -0.9


def test_swapped_sides_are_seen_by_the_fields_alone():
    maps, pafs = draw(pelvis(2))
    evidence = read(maps[:, list(FLIP_INDICES)], pafs)
    assert evidence.peak.min() > 0.85
    assert evidence.alignment.max() < 0.3
    assert evidence.relation_alignment[:, list(FULL.is_cross)].max() < -0.9


def test_an_image_turned_upside_down_contradicts_its_fields():
    maps, pafs = draw(pelvis(2))
    evidence = read(maps.flip(2), pafs)
    assert evidence.alignment.median() < 0.3


@pytest.mark.parametrize('value', [0.0, 0.4, -0.2, 1e3])
def test_constant_maps_put_all_landmarks_in_one_place_and_support_none(value):
    _, pafs = draw(pelvis(2))
    evidence = read(torch.full((2, 24, *SIZE_HW), value), pafs)
    assert (evidence.points == evidence.points[:, :1]).all()
    assert not evidence.relation_alignment.any()
    assert not evidence.alignment.any()
    assert all(torch.isfinite(tensor).all() for tensor in everything(evidence).values())
    assert torch.linalg.eigvalsh(evidence.covariances).min() > 0
    peak = min(max(value, 0), 1)
    assert evidence.peeled.amax(dim=1).tolist() == pytest.approx([peak] * 2)
    assert (evidence.peeled == 0).sum(dim=1).min() >= (12 if peak else 24)


def test_landmarks_in_one_place_support_no_one():
    points = torch.full((1, 24, 2), 20.0)
    maps, _ = draw(points)
    evidence = read(maps, torch.ones(1, 104, *SIZE_HW))
    assert not evidence.alignment.any()


def test_noise_gives_finite_evidence():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 128, *SIZE_HW, generator=generator)
    found = everything(read(maps[:, :24], maps[:, 24:]))
    assert all(torch.isfinite(tensor).all() for tensor in found.values())
    assert found['alignment'].abs().max() < 0.7
    assert found['rival'].min() >= 0 and found['rival'].max() <= 1


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_a_heatmap_that_cannot_be_read_is_named(value):
    maps, pafs = draw(pelvis(3))
    maps[2, 7, 30, 11] = value
    with pytest.raises(ValueError, match='heatmap 7 of image 2'):
        read(maps, pafs)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), float('-inf')])
def test_a_field_that_cannot_be_read_is_named(value):
    maps, pafs = draw(pelvis(3))
    pafs[1, 63, 30, 11] = value
    pafs[2, 5] = value
    with pytest.raises(ValueError, match='field channel 63 of image 1 holds NaN or infinity'):
        read(maps, pafs)


def test_fields_that_are_only_large_are_read():
    maps, pafs = draw(pelvis())
    evidence = read(maps, 1e36 * pafs.abs())
    assert torch.isfinite(evidence.points).all()
    assert evidence.relation_alignment.abs().max() > 1e35


# Housekeeping


def test_a_batch_reads_like_its_images():
    maps, pafs = draw(pelvis(4), absent=[2])
    noise = torch.Generator().manual_seed(0)
    maps = maps + 0.1 * torch.rand(maps.shape, generator=noise)
    whole = everything(read(maps, pafs))
    for row in range(4):
        one = slice(row, row + 1)
        alone = everything(read(maps[one], pafs[one]))
        for name, value in whole.items():
            torch.testing.assert_close(value[one], alone[name])


def test_mirroring_image_and_labels_mirrors_the_evidence():

    maps, pafs = draw(pelvis(2), absent=[2, 9])
    evidence = read(maps, pafs)
    mirrored = read(
        flip_heatmaps(maps, FLIP_INDICES), flip_paf(pafs, FULL.flip_indices, FULL.is_cross)
    )
    order = list(FLIP_INDICES)
    present = [index for index in range(24) if index not in (14, 21)]
    for name in ('peak', 'alignment', 'peeled', 'spread'):
        torch.testing.assert_close(
            getattr(mirrored, name)[:, present], getattr(evidence, name)[:, order][:, present],
            atol=1e-4, rtol=1e-4,
        )  # fmt: skip
    there = mirrored.points[:, present] * torch.tensor([-1.0, 1.0]) + torch.tensor([47.0, 0.0])
    torch.testing.assert_close(there, evidence.points[:, order][:, present], atol=1e-3, rtol=0)


def test_half_precision_and_gradients_do_not_matter():
    maps, pafs = draw(pelvis())
    plain = everything(read(maps, pafs))
    graph = everything(read(maps.requires_grad_(), pafs.requires_grad_()))
    half = everything(read(maps.half(), pafs.half()))
    for name, value in plain.items():
        assert torch.equal(graph[name], value) and not graph[name].requires_grad
        assert half[name].dtype == torch.float32
        if name != 'support':  # the order of peeling may change among nearly equal ones
            torch.testing.assert_close(half[name], value, atol=0.05, rtol=0.05)


def test_a_copy_on_the_cpu_holds_the_same():
    evidence = read(*draw(pelvis()))
    for name, value in everything(evidence.cpu()).items():
        assert value.device.type == 'cpu'
        assert torch.equal(value, getattr(evidence, name))


def test_reading_leaves_the_maps_alone():
    maps, pafs = draw(pelvis())
    copies = maps.clone(), pafs.clone()
    read(maps, pafs)
    assert torch.equal(maps, copies[0]) and torch.equal(pafs, copies[1])


def test_fewer_relations_may_be_read():
    core = relation_set('core')
    points = pelvis()
    present = torch.ones(1, 24, dtype=torch.bool)
    maps = draw_heatmaps(points, present, SIZE_HW, 1.5)
    pafs = draw_paf(points, present, core.pairs, SIZE_HW)
    evidence = decode_evidence(maps, pafs, np.asarray(core.pairs), OPTIONS)
    assert evidence.relation_alignment.shape == (1, 34)
    assert evidence.alignment.min() > 0.9
    assert evidence.noise.isnan().tolist() == [True]  # nobody has measured it
