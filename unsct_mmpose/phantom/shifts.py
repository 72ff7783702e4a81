"""Distribution shifts for testing: images unlike any in training, with honest presence.

Every kind is a function of an image, its landmarks and a source of randomness. What it hides
becomes absent; it is drawn again until no present landmark lies where one could argue about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.anatomy import NUM_LANDMARKS
from unsct_mmpose.functional.crop import grey_levels

from .occlusion import Obstacle, Stroke, lay_over

Pixels = NDArray[np.float32]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

HIDDEN_MM = 8.0
"""A landmark is hidden by an object that covers it and everything this close to it."""
CLEAR_MM = 4.0
"""A landmark is clear of an object at least this far away."""
EDGE_MM = 2.0
"""No present landmark lies this close to where the image ends, nor an absent one beyond it."""

_TRIES = 1200
_PLACES = 150
_FINGERS = (  # where each begins, how long it is, mm, and its lean, degrees
    (-36.0, 2.0, 30.0, -64.0),
    (-26.0, -28.0, 62.0, -16.0),
    (-8.0, -28.0, 76.0, -5.0),
    (10.0, -28.0, 70.0, 5.0),
    (27.0, -28.0, 55.0, 15.0),
)
_FINE = 4  # bits of OpenCV's fractions of a pixel


@dataclass(frozen=True, eq=False)
class Shifted:
    """An image and its landmarks after a shift.

    Attributes:
        pixels: ``(H, W)`` float32 display values in [0, 1], bone bright.
        points: ``(24, 2)`` float64 pixels (x, y); (0, 0) is the centre of the top-left pixel.
            0 where not present.
        present: ``(24,)`` whether the image shows the landmark and somebody placed it.
        how: what was drawn, in words, such as ``'hand, cables'``.
    """

    pixels: Pixels
    points: Floats
    present: Mask
    how: str = ''


Shift = Callable[[Shifted, Floats, np.random.Generator], Shifted]


def apply_shift(
    kind: str,
    pixels: Pixels,
    points: Floats,
    present: Mask,
    *,
    spacing_xy_mm: tuple[float, float],
    rng: np.random.Generator,
) -> Shifted:
    """Shift an image in one of the ways of ``SHIFTS``; the inputs are left alone.

    A landmark that is not present in the input is not present in the result: whether it is
    absent or unlabelled stays as it was. One that was present and is no more is absent.

    Args:
        kind: name in ``SHIFTS``.
        pixels: ``(H, W)`` display values in [0, 1], bone bright.
        points: ``(24, 2)`` landmarks, pixels; anything where not present.
        present: ``(24,)`` which of them count.
        spacing_xy_mm: width and height of a pixel; the millimetres of this module are of the
            same plane, usually the detector's. It holds for the result, too.
        rng: source of randomness; the same state gives the same result.

    Raises:
        ValueError: an argument is malformed, or no place was found that leaves no doubt which
            landmarks are hidden.

    Example:
        >>> points = np.zeros((24, 2))
        >>> points[0] = 3, 5
        >>> shifted = apply_shift(
        ...     'mirror', np.zeros((20, 30), np.float32), points, np.arange(24) < 1,
        ...     spacing_xy_mm=(0.7, 0.7), rng=np.random.default_rng(0))
        >>> shifted.points[0].tolist(), int(shifted.present.sum())
        ([26.0, 5.0], 1)
    """
    if kind not in SHIFTS:
        close = difflib.get_close_matches(kind, SHIFTS, n=1)
        advice = f'did you mean {close[0]!r}?' if close else f'choose from {", ".join(SHIFTS)}'
        raise ValueError(f'unknown shift {kind!r}; {advice}')
    shown, spacing = np.asarray(pixels, np.float32), np.asarray(spacing_xy_mm, np.float64)
    if shown.ndim != 2 or not shown.size or not (shown.min() >= 0 and shown.max() <= 1):
        raise ValueError('pixels must be an (H, W) image of values in [0, 1]')
    placed = np.asarray(present, bool)
    if placed.shape != (NUM_LANDMARKS,) or np.shape(points) != (NUM_LANDMARKS, 2):
        raise ValueError(f'points must be ({NUM_LANDMARKS}, 2) and present ({NUM_LANDMARKS},)')
    if spacing.shape != (2,) or not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise ValueError(f'spacing_xy_mm must be two positive numbers, not {spacing_xy_mm!r}')
    where = np.where(placed[:, None], np.asarray(points, np.float64), 0.0)
    if not np.isfinite(where).all():
        raise ValueError('present landmarks must have finite coordinates')
    done = SHIFTS[kind](Shifted(shown, where, placed.copy()), spacing, rng)
    moved = np.where(done.present[:, None], done.points, 0.0)
    return Shifted(np.clip(done.pixels, 0.0, 1.0), moved, done.present, done.how)


def describe_shift(kind: str) -> str:
    """Return a line that says what a kind of ``SHIFTS`` does.

    Example:
        >>> describe_shift('clean')
        'Nothing changes.'
    """
    return (SHIFTS[kind].__doc__ or '').splitlines()[0]


def clean(image: Shifted, spacing: Floats, rng: np.random.Generator) -> Shifted:
    """Nothing changes."""
    return image


def mirror(image: Shifted, spacing: Floats, rng: np.random.Generator) -> Shifted:
    """Mirrored display: the patient's left, and its labels, come to the image's left."""
    flipped = np.ascontiguousarray(image.pixels[:, ::-1])
    x_px = flipped.shape[1] - 1 - image.points[:, 0]
    points = np.stack([x_px, image.points[:, 1]], axis=1)
    return replace(image, pixels=flipped, points=points)


def rotation(image: Shifted, spacing: Floats, rng: np.random.Generator) -> Shifted:
    """Turned by 25 to 45 degrees on the same canvas; what falls out is absent, corners black.

    Turning happens in millimetres, so that oblong pixels do not shear the patient.
    """
    height, width = image.pixels.shape
    size = np.array([width, height])
    middle = (size - 1) / 2
    for _ in range(_TRIES):
        angle_deg = float(rng.uniform(25.0, 45.0) * rng.choice([-1.0, 1.0]))
        cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
        turn = np.array([[cos, -sin], [sin, cos]]) * spacing / spacing[:, None]
        moved = (image.points - middle) @ turn.T + middle
        inside_mm = (np.minimum(moved, size - 1 - moved) + 0.5) * spacing
        if np.all(np.abs(inside_mm.min(axis=1))[image.present] >= EDGE_MM):
            break
    else:
        raise ValueError('every angle leaves a landmark at the border of the image')
    matrix = np.column_stack([turn, middle - turn @ middle])
    turned = cv2.warpAffine(image.pixels, matrix, (width, height), flags=cv2.INTER_LINEAR)
    kept = image.present & (inside_mm.min(axis=1) > 0)
    return Shifted(turned, moved, kept, f'{angle_deg:.1f} deg')


def cut_side(image: Shifted, spacing: Floats, rng: np.random.Generator) -> Shifted:
    """A lateral cut through one hip or a cut from the top; border black, white or cropped away.

    A lateral cut takes at least a third of the landmarks of its half of the image and leaves one.
    """
    pixels, points = image.pixels, image.points
    for _ in range(_TRIES):
        side = str(rng.choice(['left', 'right', 'top']))
        style = str(rng.choice(['black', 'white', 'cropped']))
        turn_deg = 0.0 if style == 'cropped' else float(rng.uniform(-4.0, 4.0))
        depth_mm = _depth_below(side, turn_deg, pixels.shape, spacing)
        at_mm = depth_mm(points[:, 0], points[:, 1])
        step = float(spacing[1] if side == 'top' else spacing[0])
        edge_mm = _choose_edge(at_mm[image.present], side, step, pixels.shape, rng)
        if edge_mm is not None:
            break
    else:
        raise ValueError('found no place for an edge that is clear of every landmark')
    kept = image.present & (at_mm > edge_mm)
    how = f'{side}, {style}'
    if style == 'cropped':
        return _crop(pixels, points, kept, side, round(edge_mm / step), how)
    x, y = np.arange(pixels.shape[1])[None], np.arange(pixels.shape[0])[:, None]
    shade = np.clip(0.5 + (edge_mm - depth_mm(x, y)) / step, 0.0, 1.0).astype(np.float32)
    shown = lay_over(pixels, np.float32(style == 'white'), shade)
    return Shifted(shown, points, kept, how)


def _depth_below(
    side: str, turn_deg: float, shape: tuple[int, ...], spacing: Floats
) -> Callable[[NDArray[np.generic], NDArray[np.generic]], Floats]:
    """Return a function of x and y, pixels: the way inwards from a side of the image, mm."""
    inwards = {'left': (1.0, 0.0), 'right': (-1.0, 0.0), 'top': (0.0, 1.0)}[side]
    cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    along_x, along_y = inwards[0] * cos - inwards[1] * sin, inwards[0] * sin + inwards[1] * cos
    half = (np.array(shape[::-1]) - 1) / 2
    axis = int(side == 'top')
    border_mm = (half[axis] + 0.5) * spacing[axis]  # from the middle, which a turn leaves in place

    def depth_mm(x: NDArray[np.generic], y: NDArray[np.generic]) -> Floats:
        across = along_x * (x - half[0]) * spacing[0] + along_y * (y - half[1]) * spacing[1]
        return np.asarray(across + border_mm)

    return depth_mm


def _choose_edge(
    at_mm: Floats, side: str, step: float, shape: tuple[int, ...], rng: np.random.Generator
) -> float | None:
    """Choose how far in a cut reaches, mm, a whole number of pixels; None without a place."""
    extent_px = shape[0] if side == 'top' else shape[1]
    edges = np.arange(1, extent_px) * step
    if not at_mm.size:
        return float(rng.choice(edges[(edges >= 0.2 * edges[-1]) & (edges <= 0.4 * edges[-1])]))
    low, high = float(at_mm.min()), float(at_mm.max())
    near = int(np.sum(at_mm < (low + high) / 2))
    least, most = (1.0, len(at_mm)) if side == 'top' else (near / 3, near - 1)
    limit = low + 0.2 * (high - low) if side == 'top' else high
    taken = (at_mm < edges[:, None]).sum(axis=1)
    gap = np.abs(at_mm - edges[:, None]).min(axis=1)
    fits = (gap >= EDGE_MM) & (taken >= least) & (taken <= most) & (edges <= limit)
    return float(rng.choice(edges[fits])) if fits.any() else None


def _crop(pixels: Pixels, points: Floats, kept: Mask, side: str, count: int, how: str) -> Shifted:
    """Take rows or columns away from one side."""
    height, width = pixels.shape
    left, top = count * (side == 'left'), count * (side == 'top')
    part = pixels[top:height, left : width - count * (side == 'right')].copy()
    return Shifted(part, points - (left, top), kept, how)


def contrast(image: Shifted, spacing: Floats, rng: np.random.Generator) -> Shifted:
    """Foreign processing: flat mid-tones, gamma, grey background, hard window or gradient.

    One of them for each image, as strong as leaves every landmark to be seen.
    """
    how = str(rng.choice(['flat mid-tones', 'gamma', 'grey background', 'window', 'gradient']))
    shown = image.pixels.astype(np.float64)
    if how == 'flat mid-tones':
        way = 2 * shown - 1
        shown = 0.7 * (0.5 + 0.5 * way * np.abs(way) ** rng.uniform(1.2, 1.6)) + 0.3 * shown
    elif how == 'gamma':
        exponent = float(rng.choice([0.4, 2.5]))
        how, shown = f'gamma {exponent}', shown**exponent
    elif how == 'grey background':
        fold = rng.uniform(0.2, 0.32)
        shown = fold / 2 + np.abs(shown - fold) * (1 - fold / 2) / (1 - fold)
    elif how == 'window':
        low, high = np.percentile(shown, [rng.uniform(35.0, 50.0), rng.uniform(98.5, 99.7)])
        shown = np.clip((shown - low) / max(high - low, 0.05), 0.0, 1.0)
    else:
        shown *= _gradient(shown.shape, rng)
    return replace(image, pixels=shown.astype(np.float32), how=how)


def _gradient(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Return ``(H, W)`` factors that fall from 1 in one direction."""
    angle, darkest = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.4)
    x, y = (np.linspace(-1, 1, count) for count in shape[::-1])
    way = np.cos(angle) * x[None] + np.sin(angle) * y[:, None]
    reach = np.abs(np.cos(angle)) + np.abs(np.sin(angle))
    return np.asarray(darkest + (1 - darkest) * (way / reach + 1) / 2)


def noise(image: Shifted, spacing: Floats, rng: np.random.Generator) -> Shifted:
    """Strong quantum mottle with salt and pepper, row banding, grid lines or JPEG quality 10.

    Sizes are in millimetres, so that small pixels do not average the noise away.
    """
    pixels = image.pixels
    strength = rng.uniform(0.05, 0.09)
    mottle = _grain(pixels.shape, 0.8 / spacing, rng)
    shown = pixels + np.float32(strength) * np.sqrt(pixels + np.float32(0.02)) * mottle
    names = ['salt and pepper', 'banding', 'grid', 'jpeg']
    chosen = rng.choice(names, int(rng.integers(1, 3)), replace=False).tolist()
    if 'banding' in chosen:
        rows = _grain((pixels.shape[0], 1), 2.0 / spacing, rng)
        shown = shown + np.float32(rng.uniform(0.03, 0.06)) * rows
    if 'grid' in chosen:
        upright = int(rng.integers(2))
        line_mm = np.arange(pixels.shape[upright]) * spacing[1 - upright]
        wave = np.sin(2 * np.pi * line_mm / rng.uniform(3.5, 7.0)) * rng.uniform(0.03, 0.06)
        shown = shown + (wave[None] if upright else wave[:, None]).astype(np.float32)
    if 'salt and pepper' in chosen:
        shown = _sprinkle(shown, spacing, rng)
    shown = np.clip(shown, 0.0, 1.0)
    if 'jpeg' in chosen:
        grey = grey_levels(shown)
        _, content = cv2.imencode('.jpg', grey, [cv2.IMWRITE_JPEG_QUALITY, 10])
        decoded = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)
        shown = np.asarray(decoded, np.float32) / np.float32(255)
    return replace(image, pixels=shown, how=', '.join(['quantum', *chosen]))


def _grain(shape: tuple[int, ...], blur_xy_px: Floats, rng: np.random.Generator) -> Pixels:
    """Return blurred noise of mean 0 and standard deviation 1."""
    white = rng.standard_normal(shape, dtype=np.float32)
    blur_x, blur_y = (float(max(px, 0.1)) for px in blur_xy_px)
    blurred = cv2.GaussianBlur(white, (0, 0), blur_x, sigmaY=blur_y).reshape(shape)
    return np.asarray((blurred - blurred.mean()) / max(float(blurred.std()), 1e-6), np.float32)


def _sprinkle(pixels: Pixels, spacing: Floats, rng: np.random.Generator) -> Pixels:
    """Set cells of a millimetre to black or white."""
    columns, rows = (
        np.floor(np.arange(count) * mm).astype(int)
        for count, mm in zip(pixels.shape[::-1], spacing, strict=True)
    )
    share = rng.uniform(0.01, 0.04)
    dice = rng.random((int(rows[-1]) + 1, int(columns[-1]) + 1))[np.ix_(rows, columns)]
    salted = np.where(dice < share / 2, np.float32(1), pixels)
    return np.asarray(np.where(dice > 1 - share / 2, np.float32(0), salted), np.float32)


def occluder(image: Shifted, spacing: Floats, rng: np.random.Generator) -> Shifted:
    """One or two opaque objects: dark or grey body, bright free-form patch, hand, cable bundle.

    A landmark is hidden when ``HIDDEN_MM`` around it are covered; all others are ``CLEAR_MM``
    away from the object.
    """
    size_mm, points_mm = np.array(image.pixels.shape[::-1]) * spacing, image.points * spacing
    names: list[str] = []
    shown, kept = image.pixels, image.present.copy()
    for _ in range(int(rng.integers(1, 3))):
        obstacle = _place(points_mm, kept, size_mm, bool(names), rng)
        if obstacle is not None:
            kept &= obstacle.distance(points_mm) > 0
            shown = _draw(shown, obstacle, spacing, rng)
            names.append(obstacle.kind)
    return replace(image, pixels=shown, present=kept, how=', '.join(names))


def _place(
    points_mm: Floats, kept: Mask, size_mm: Floats, optional: bool, rng: np.random.Generator
) -> Obstacle | None:
    """Draw objects until one leaves no doubt what it hides and hides a wanted number.

    Where none is found, the one that hides most is taken; None if an object is optional and
    would hide nothing.
    """
    aims = points_mm[kept] if kept.any() else rng.uniform(0.2, 0.8, (1, 2)) * size_mm
    spare, most = None, -1
    for number in range(_TRIES):
        if number % _PLACES == 0:  # many places for each shape: large ones fit seldom
            shape = (_body, _patch, _hand, _cables)[int(rng.integers(4))](rng)
            wanted = int(rng.integers(1, 5))
        center = rng.choice(aims) + rng.normal(0.0, 20.0, 2)
        obstacle = shape.moved(float(rng.uniform(0, 2 * np.pi)), center)
        distance = obstacle.distance(points_mm[kept])
        hidden = int(np.sum(distance < 0))
        if np.all((distance <= -HIDDEN_MM) | (distance >= CLEAR_MM)) and hidden > most:
            spare, most = obstacle, hidden
            if hidden >= min(wanted, len(distance)):
                break
    if spare is None and not optional:
        raise ValueError('found no place for an object that leaves no doubt what it hides')
    return None if optional and most < 1 else spare


def _draw(image: Pixels, obstacle: Obstacle, spacing: Floats, rng: np.random.Generator) -> Pixels:
    """Lay an object over an image; well inside it nothing depends on the image."""
    height, width = image.shape
    cells = np.ceil(np.array([height, width]) * spacing[::-1] / 9.0).astype(int) + 2
    clouds = cv2.resize(
        rng.standard_normal(cells, dtype=np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    fine = _grain(image.shape, 0.6 / spacing, rng)
    surface = np.float32(obstacle.level) + np.float32(obstacle.roughness) * (
        0.7 * clouds + 0.4 * fine
    )
    mm_px = float(spacing.mean())
    for line, width_mm, level in obstacle.lines:
        mask = np.zeros(image.shape, np.uint8)
        thick = max(round(width_mm / mm_px), 1)
        cv2.polylines(mask, [_fixed(line / spacing)], False, 255, thick, cv2.LINE_AA, _FINE)
        share = _soften(mask, 1.0)
        surface = lay_over(surface, np.float32(level), share)
    mask = np.zeros(image.shape, np.uint8)
    for stroke in obstacle.strokes:
        cv2.fillPoly(mask, [_fixed(stroke.corners / spacing)], 255, cv2.LINE_AA, _FINE)
    alpha = _soften(mask, 0.7)
    return lay_over(image, np.clip(surface, 0, 1), alpha)


def _fixed(corners_px: Floats) -> NDArray[np.int32]:
    return np.rint(corners_px * 2**_FINE).astype(np.int32)


def _soften(mask: NDArray[np.uint8], blur_px: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), blur_px), np.float32)


def _oval(half_x: float, half_y: float, count: int = 72) -> Floats:
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([half_x * np.cos(turn), half_y * np.sin(turn)], axis=1)


def _body(rng: np.random.Generator) -> Obstacle:
    """An ellipse: radiolucent, so dark, or of the grey of soft tissue."""
    half = rng.uniform(24.0, 65.0)
    outline = _oval(half, half * rng.uniform(0.55, 1.0))
    if rng.random() < 0.5:
        return Obstacle('dark ellipse', (Stroke(outline),), rng.uniform(0.0, 0.08), 0.02)
    return Obstacle('grey ellipse', (Stroke(outline),), rng.uniform(0.3, 0.65), 0.06)


def _patch(rng: np.random.Generator) -> Obstacle:
    """A bright polygon without any regularity."""
    count = int(rng.integers(6, 12))
    turn = (np.arange(count) + rng.uniform(-0.35, 0.35, count)) * 2 * np.pi / count
    radius = rng.uniform(30.0, 70.0) * rng.uniform(0.5, 1.0, count)
    outline = np.stack([np.cos(turn), np.sin(turn)], axis=1) * radius[:, None]
    return Obstacle('bright patch', (Stroke(outline),), rng.uniform(0.85, 1.0), 0.03)


def _hand(rng: np.random.Generator) -> Obstacle:
    """A gloved hand: a palm, five fingers, the bones inside."""
    size, level = rng.uniform(0.8, 1.15), rng.uniform(0.35, 0.65)
    outlines, bones = [_oval(42.0, 50.0)], []
    for base_x, base_y, length, lean_deg in _FINGERS:
        lean = np.radians(lean_deg + rng.uniform(-6.0, 6.0))
        way = np.array([np.sin(lean), -np.cos(lean)])
        base = np.array([base_x, base_y])
        tip = base + way * (length + rng.uniform(8.0, 16.0))
        across = np.array([-way[1], way[0]]) * 10.0
        cap = np.linspace(0, np.pi, 9)[:, None]
        rounded = tip + across * np.cos(cap) + way * 10.0 * np.sin(cap)
        outlines.append(np.concatenate([rounded, [base - across, base + across]]))
        for ends in ((-0.4, 0.0), (0.14, 0.5), (0.64, 0.96)):
            bones.append(size * (base + (tip - base) * np.array(ends)[:, None]))
    lines = tuple((bone, 7.0 * size, level + 0.2) for bone in bones)
    strokes = tuple(Stroke(size * outline) for outline in outlines)
    return Obstacle('hand', strokes, level, 0.05, lines)


def _cables(rng: np.random.Generator) -> Obstacle:
    """A bundle of cables that crosses the image in a wide arc."""
    half, width = rng.uniform(10.0, 24.0), rng.uniform(4.0, 6.5)
    along = np.linspace(-600.0, 600.0, 121)
    bend = rng.uniform(-8e-4, 8e-4)
    middle = np.stack([along, bend * along**2], axis=1)
    normal = np.stack([-2 * bend * along, np.ones_like(along)], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    outline = np.concatenate([middle + half * normal, (middle - half * normal)[::-1]])
    lines = tuple(
        (middle + offset * normal, 0.7 * width, rng.uniform(0.55, 1.0))
        for offset in np.arange(-half + width / 2, half - width / 2 + 0.1, width)
    )
    return Obstacle('cables', (Stroke(outline),), rng.uniform(0.2, 0.45), 0.03, lines)


SHIFTS: dict[str, Shift] = {
    'clean': clean,
    'occluder': occluder,
    'cut_side': cut_side,
    'rotation': rotation,
    'contrast': contrast,
    'noise': noise,
    'mirror': mirror,
}
"""Name of a kind to its function; what it does is the function's first line."""
