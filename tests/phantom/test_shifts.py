"""Shifted images: what is called absent is hidden, what is called present is to be seen."""

import cv2
import numpy as np
import pytest

from tests.golden_hip import PELVIS_MM
from unsct_mmpose.phantom import shifts
from unsct_mmpose.phantom.shifts import (
    CLEAR_MM,
    EDGE_MM,
    HIDDEN_MM,
    SHIFTS,
    apply_shift,
    describe_shift,
)

SPACING = (0.8, 0.8)
OBLONG = (0.7, 0.95)
PLACES = ('occluder', 'cut_side', 'rotation')


def pelvis(spacing=SPACING):
    """Return an image of texture, whole-pixel landmarks and their presence; 430 x 400 mm."""
    size = np.rint(np.array([430, 400]) / spacing).astype(int)
    points_mm = 1.17 * PELVIS_MM + [215, 180]  # magnified as on a detector
    clouds = np.random.default_rng(0).random((40, 43), dtype=np.float32)
    image = cv2.resize(clouds, tuple(size.tolist()), interpolation=cv2.INTER_LINEAR)
    return image, np.rint(points_mm / spacing), np.ones(24, bool)


def shift(kind, image, points, present, seed=0, spacing=SPACING):
    rng = np.random.default_rng(seed)
    return apply_shift(kind, image, points, present, spacing_xy_mm=spacing, rng=rng)


def visible(kind, seed, spacing=SPACING):
    """Return how much each pixel of the result depends on the input, and the shifted landmarks."""
    image, points, present = pelvis(spacing)
    dark = shift(kind, np.zeros_like(image), points, present, seed, spacing)
    bright = shift(kind, np.ones_like(image), points, present, seed, spacing)
    return bright.pixels - dark.pixels, dark


def nearest_mm(mask, points, spacing):
    """Return the distance of each point from the nearest pixel of a mask, mm; far is infinite."""
    result = []
    for point in points.astype(int):
        low = np.maximum(point - 25, 0)
        y, x = np.nonzero(mask[low[1] : point[1] + 26, low[0] : point[0] + 26])
        away = (np.stack([x, y], axis=1) + low - point) * spacing
        result.append(np.linalg.norm(away, axis=1).min(initial=np.inf))
    return np.array(result)


@pytest.mark.parametrize('kind', SHIFTS)
def test_a_result_is_a_display_image_with_finite_landmarks_inside(kind):
    image, points, present = pelvis()
    for seed in range(8):
        done = shift(kind, image, points, present, seed)
        assert done.pixels.dtype == np.float32 and done.pixels.ndim == 2
        assert 0.0 <= done.pixels.min() <= done.pixels.max() <= 1.0
        assert done.points.shape == (24, 2) and done.points.dtype == np.float64
        assert done.present.shape == (24,) and done.present.dtype == bool
        assert (done.points[~done.present] == 0).all()
        here = done.points[done.present]
        assert (here >= 0).all() and (here <= np.array(done.pixels.shape[::-1]) - 1).all()


@pytest.mark.parametrize('kind', SHIFTS)
def test_the_inputs_are_left_alone_and_not_shared(kind):
    given = pelvis()
    before = [part.copy() for part in given]
    for seed in range(3):
        done = shift(kind, *given, seed)
        for part in (done.pixels, done.points, done.present):
            assert not any(np.shares_memory(part, other) for other in given)
    for part, copy in zip(given, before, strict=True):
        np.testing.assert_array_equal(part, copy)


@pytest.mark.parametrize('kind', SHIFTS)
def test_the_same_seed_gives_the_same_image_and_another_seed_another(kind):
    given = pelvis()
    first, again = shift(kind, *given, 3), shift(kind, *given, 3)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(first.points, again.points)
    np.testing.assert_array_equal(first.present, again.present)
    others = [shift(kind, *given, seed) for seed in range(4, 8)]
    changes = any(not np.array_equal(first.pixels, other.pixels) for other in others)
    assert changes == (kind not in ('clean', 'mirror'))


@pytest.mark.parametrize('kind', [kind for kind in SHIFTS if kind != 'noise'])
@pytest.mark.parametrize('seed', range(3))
def test_a_pixel_painted_on_a_landmark_goes_where_the_landmark_goes_or_vanishes(kind, seed):
    image, points, present = pelvis()
    blank = np.full_like(image, 0.4)
    without = shift(kind, blank, points, present, seed)
    for index, (x, y) in enumerate(points.astype(int)):
        painted = blank.copy()
        painted[y, x] = 0.9
        with_it = shift(kind, painted, points, present, seed)
        change = np.abs(with_it.pixels - without.pixels)
        if not with_it.present[index]:
            assert change.max() == 0
        elif kind == 'rotation':
            rows, columns = np.mgrid[: change.shape[0], : change.shape[1]]
            centre = [(change * grid).sum() / change.sum() for grid in (columns, rows)]
            np.testing.assert_allclose(centre, with_it.points[index], atol=0.1)
        else:
            row, column = np.unravel_index(change.argmax(), change.shape)
            assert (column, row) == tuple(with_it.points[index])


@pytest.mark.parametrize('seed', range(6))
def test_noise_moves_nothing(seed):
    image, points, present = pelvis()
    done = shift('noise', image, points, present, seed)
    np.testing.assert_array_equal(done.points, points)
    assert done.present.all()
    seen, before = (part - part.mean() for part in (done.pixels, image))
    spectrum = np.fft.ifft2(np.fft.fft2(seen) * np.fft.fft2(before).conj()).real
    assert spectrum.argmax() == 0


@pytest.mark.parametrize('spacing', [SPACING, OBLONG])
@pytest.mark.parametrize('seed', range(12))
def test_an_object_covers_hidden_landmarks_widely_and_keeps_away_from_the_others(seed, spacing):
    dependence, done = visible('occluder', seed, spacing)
    _, points, _ = pelvis(spacing)
    assert not done.present.all()
    slack = 1.5 * max(spacing)  # soft edge, and centres of pixels instead of their borders
    hidden = nearest_mm(dependence > 0.05, points[~done.present], spacing)
    assert hidden.min() >= HIDDEN_MM - slack
    away = nearest_mm(dependence < 0.95, points[done.present], spacing)
    assert away.min() >= CLEAR_MM - slack
    np.testing.assert_array_equal(done.points[done.present], points[done.present])


@pytest.mark.parametrize('seed', range(6))
def test_beside_an_object_the_image_is_as_it_was(seed):
    given = pelvis()
    dependence, _ = visible('occluder', seed)
    done = shift('occluder', *given, seed)
    untouched = dependence == 1
    assert 0.3 < untouched.mean() < 1
    np.testing.assert_allclose(done.pixels[untouched], given[0][untouched], atol=1e-6)


def test_objects_come_in_all_sorts_and_hide_every_landmark_sometimes():
    given = pelvis()
    names, counts, hidden = set(), set(), np.zeros(24, int)
    for seed in range(60):
        done = shift('occluder', *given, seed)
        names.update(done.how.split(', '))
        counts.add(len(done.how.split(', ')))
        hidden += ~done.present
    assert names == {'dark ellipse', 'grey ellipse', 'bright patch', 'hand', 'cables'}
    assert counts == {1, 2}
    assert (hidden[:12] + hidden[12:] > 0).all()


@pytest.mark.parametrize('spacing', [SPACING, OBLONG])
def test_a_cut_is_clear_of_every_landmark_and_takes_what_lies_beyond(spacing):
    _, points, _ = pelvis(spacing)
    seen = set()
    for seed in range(40):
        dependence, done = visible('cut_side', seed, spacing)
        side, style = done.how.split(', ')
        seen.add((side, style))
        assert 1 <= (~done.present).sum() < 12
        coordinate = points[:, int(side == 'top')] * (-1 if side == 'right' else 1)
        assert coordinate[~done.present].mean() < coordinate[done.present].mean()
        if style == 'cropped':
            across = int(side == 'top')
            left = np.array(done.pixels.shape[::-1])[across] - 1 - done.points[:, across]
            to_edge = (left if side == 'right' else done.points[:, across]) + 0.5
            assert (to_edge[done.present] * spacing[across]).min() >= EDGE_MM - 1e-9
            continue
        assert dependence.shape == pelvis(spacing)[0].shape
        slack = 0.8 * max(spacing)
        hidden = nearest_mm(dependence > 0.05, points[~done.present], spacing)
        assert hidden.min() >= EDGE_MM - slack
        away = nearest_mm(dependence < 0.95, points[done.present], spacing)
        assert away.min() >= EDGE_MM - slack
        border = shift('cut_side', *pelvis(spacing), seed, spacing).pixels[dependence == 0]
        assert (border == (style == 'white')).all()
    sides, styles = ('left', 'right', 'top'), ('black', 'white', 'cropped')
    assert seen == {(side, style) for side in sides for style in styles}


@pytest.mark.parametrize('side, x, y', [('left', -0.5, 7), ('right', 29.5, 7), ('top', 3, -0.5)])
def test_a_cut_is_measured_from_the_outer_border_of_the_image(side, x, y):
    depth_mm = shifts._depth_below(side, 0.0, (20, 30), np.array(OBLONG))
    inwards = {'left': (4, 0), 'right': (-4, 0), 'top': (0, 4)}[side]
    assert depth_mm(np.array(x), np.array(y)) == pytest.approx(0)
    deeper = depth_mm(np.array(x + inwards[0]), np.array(y + inwards[1]))
    assert deeper == pytest.approx(4 * OBLONG[int(side == 'top')])


def test_a_cropped_image_is_a_part_of_the_image_with_its_landmarks():
    image, points, present = pelvis()
    for seed in range(40):
        done = shift('cut_side', image, points, present, seed)
        side, style = done.how.split(', ')
        if style != 'cropped':
            continue
        moved = (points - done.points)[done.present][0].astype(int)
        assert (moved == 0).sum() == (2 if side == 'right' else 1)
        height, width = done.pixels.shape
        part = image[moved[1] : moved[1] + height, moved[0] : moved[0] + width]
        np.testing.assert_array_equal(done.pixels, part)


def test_a_lateral_cut_goes_through_one_hip():
    given = pelvis()
    for seed in range(60):
        done = shift('cut_side', *given, seed)
        left, right = (~done.present[:12]).sum(), (~done.present[12:]).sum()
        if done.how.startswith('left'):  # of the image: the patient's right
            assert left == 0 and 4 <= right <= 11
        elif done.how.startswith('right'):
            assert right == 0 and 4 <= left <= 11


@pytest.mark.parametrize('spacing', [SPACING, OBLONG])
def test_a_rotation_is_one_of_the_patient_in_millimetres(spacing):
    image, points, present = pelvis(spacing)
    turns = []
    for seed in range(30):
        done = shift('rotation', image, points, present, seed, spacing)
        assert done.pixels.shape == image.shape
        kept = done.present
        before, after = points[kept] * spacing, done.points[kept] * spacing
        before, after = (part @ [1, 1j] for part in (before, after))
        ratio = np.diff(after) / np.diff(before)
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
        assert np.abs(ratio[0]) == pytest.approx(1)
        turns.append(np.degrees(np.angle(ratio[0])))
        assert done.how == f'{turns[-1]:.1f} deg'
    assert np.abs(turns).min() >= 25 and np.abs(turns).max() <= 45
    assert min(turns) < 0 < max(turns)


def test_after_a_rotation_no_landmark_lies_at_the_border_and_some_fall_out():
    image, points, present = pelvis()
    fallen = 0
    for seed in range(30):
        done = shift('rotation', image, points, present, seed)
        size = np.array(image.shape[::-1])
        inside = np.minimum(done.points, size - 1 - done.points).min(axis=1) + 0.5
        assert (inside[done.present] * SPACING[0]).min() >= EDGE_MM
        fallen += (~done.present).sum()
        assert (done.pixels[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).any()
    assert fallen > 0


def test_mirroring_twice_is_the_identity_and_once_keeps_the_labels():
    image, points, present = pelvis()
    points = points + 0.25
    once = shift('mirror', image, points, present)
    np.testing.assert_array_equal(once.pixels, image[:, ::-1])
    assert (points[:12, 0] > points[12:, 0]).all()
    assert (once.points[:12, 0] < once.points[12:, 0]).all()
    twice = shift('mirror', once.pixels, once.points, once.present)
    np.testing.assert_array_equal(twice.pixels, image)
    np.testing.assert_allclose(twice.points, points)
    assert twice.present.all()


def test_clean_is_the_identity():
    image, points, present = pelvis()
    done = shift('clean', image, points, present)
    np.testing.assert_array_equal(done.pixels, image)
    np.testing.assert_array_equal(done.points, points)
    assert done.present.all()


def test_contrast_changes_much_but_bone_stays_brighter_than_what_surrounds_it():
    ramp = np.tile(np.linspace(0, 1, 101, dtype=np.float32), (50, 1))
    seen = set()
    for seed in range(60):
        done = shift('contrast', ramp, np.zeros((24, 2)), np.zeros(24, bool), seed)
        seen.add(done.how)
        assert np.abs(done.pixels - ramp).max() > 0.09
        if done.how != 'gradient':
            assert (done.pixels == done.pixels[:1]).all()
            assert np.diff(done.pixels[0, 33:]).min() >= 0
            assert (done.pixels == 1).mean() < 0.03
        if done.how == 'grey background':
            assert done.pixels[0, 0] > done.pixels[0, 15:35].min() + 0.1
    assert seen == {
        'flat mid-tones', 'gamma 0.4', 'gamma 2.5', 'grey background', 'window', 'gradient'
    }  # fmt: skip


def test_noise_is_stronger_than_in_training_whatever_the_size_of_a_pixel():
    strong = {}
    for mm in (0.7, 0.35):
        size = int(280 / mm)
        flat = np.full((size, size), 0.5, np.float32)
        spreads = []
        for seed in range(20):
            done = shift('noise', flat, np.zeros((24, 2)), np.zeros(24, bool), seed, (mm, mm))
            # as an input of 256 x 256 pixels shows it
            small = cv2.resize(done.pixels, (160, 160), interpolation=cv2.INTER_AREA)
            spreads.append(small.std())
        strong[mm] = np.mean(spreads)
    assert min(strong.values()) > 0.05
    assert strong[0.35] == pytest.approx(strong[0.7], rel=0.15)


def test_noise_comes_with_artefacts_of_every_sort():
    given = pelvis()
    seen = set()
    for seed in range(40):
        names = shift('noise', *given, seed).how.split(', ')
        assert names[0] == 'quantum' and 2 <= len(names) <= 3
        seen.update(names[1:])
    assert seen == {'salt and pepper', 'banding', 'grid', 'jpeg'}


@pytest.mark.parametrize('kind', SHIFTS)
def test_what_was_not_present_does_not_become_present_and_decides_nothing(kind):
    image, points, present = pelvis()
    present[[0, 6, 20]] = False
    elsewhere = points.copy()
    elsewhere[~present] = np.nan
    for seed in range(4):
        done = shift(kind, image, points, present, seed)
        assert not done.present[~present].any()
        other = shift(kind, image, elsewhere, present, seed)
        np.testing.assert_array_equal(done.pixels, other.pixels)


@pytest.mark.parametrize('kind', SHIFTS)
def test_an_image_without_landmarks_can_be_shifted(kind):
    image, points, _ = pelvis()
    for seed in range(6):
        done = shift(kind, image, points, np.zeros(24, bool), seed)
        assert not done.present.any()
        if kind in PLACES:
            assert done.pixels.shape != image.shape or not np.array_equal(done.pixels, image)


@pytest.mark.parametrize('kind', PLACES)
def test_where_no_place_leaves_no_doubt_it_says_so(kind, monkeypatch):
    monkeypatch.setattr(shifts, 'EDGE_MM', 1e4)
    monkeypatch.setattr(shifts, 'CLEAR_MM', 1e4)
    with pytest.raises(ValueError, match=r'landmark|doubt'):
        shift(kind, *pelvis())


@pytest.mark.parametrize(
    'change, words',
    [
        ({'kind': 'rotatoin'}, "did you mean 'rotation'"),
        ({'kind': 'x'}, 'choose from clean, occluder'),
        ({'pixels': np.zeros((4, 4, 3))}, 'pixels'),
        ({'pixels': np.full((4, 4), 1.5)}, 'pixels'),
        ({'pixels': np.full((4, 4), np.nan)}, 'pixels'),
        ({'points': np.zeros((23, 2))}, 'points'),
        ({'points': np.full((24, 2), np.nan)}, 'finite'),
        ({'present': np.zeros(23, bool)}, 'present'),
        ({'spacing_xy_mm': (0.0, 1.0)}, 'spacing_xy_mm'),
        ({'spacing_xy_mm': (np.nan, 1.0)}, 'spacing_xy_mm'),
        ({'spacing_xy_mm': (0.5,)}, 'spacing_xy_mm'),
    ],
)
def test_malformed_arguments_are_named(change, words):
    image, points, present = pelvis()
    arguments = dict(kind='clean', pixels=image, points=points, present=present,
                     spacing_xy_mm=SPACING)  # fmt: skip
    with pytest.raises(ValueError, match=words):
        apply_shift(**{**arguments, **change}, rng=np.random.default_rng(0))


def test_every_kind_says_in_a_line_what_it_does():
    for kind in SHIFTS:
        line = describe_shift(kind)
        assert line.endswith('.') and '\n' not in line
