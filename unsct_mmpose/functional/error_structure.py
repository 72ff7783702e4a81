"""How landmarks err: in which direction each, and which of them together.

Errors are taken in units of what the heatmaps claim: an error is whitened by the symmetric square
root of its landmark's covariance, which does not turn it. A patient counts once, and what few
patients say is drawn towards "no direction" and "no correlation". Left and right are mirror images:
both tell of the same shape, and of the same correlations.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unsct_mmpose.anatomy import HIP, LandmarkSet

from .hierarchical import by_patient

Floats = NDArray[np.float64]
Array = TypeVar('Array', bound=Any)

_LEAST_DIRECTED = 4
"""Patients below which errors are taken to go in all directions alike."""

_POWER_PATIENTS = 5.0
"""Patients at which what they say of peaks and errors counts as much as theory."""

_GROSS = 4.0  # times the median length of a landmark's errors, at which an error is cut
_SMALLEST = 1e-12
_LOWEST_PEAK = 0.1
_UNSEEN = 0.1  # of sigma squared
_THINNEST = 1e-3  # determinant, before it is brought to 1


def symmetric_root(covariances: Array) -> Array:
    """Return the symmetric square roots of ``(..., 2, 2)`` positive definite matrices.

    By operations that numpy, torch and an exporter share.

    Example:
        >>> symmetric_root(np.array([[4.0, 0.0], [0.0, 9.0]])).tolist()
        [[2.0, 0.0], [0.0, 3.0]]
    """
    xx, yy = covariances[..., 0, 0], covariances[..., 1, 1]
    square = xx * yy - covariances[..., 0, 1] * covariances[..., 1, 0]
    size = (square * (square > 0) + _SMALLEST**2) ** 0.5
    turn = (xx + yy + 2 * size) ** 0.5
    unit = covariances * 0 + _unit_like(covariances)
    return (covariances + size[..., None, None] * unit) / turn[..., None, None]


def shaped(covariances: Array, shapes: Array) -> Array:
    """Return ``C^(1/2) W C^(1/2)``: covariances ``C`` that follow the direction of the errors.

    Args:
        covariances: ``(..., K, 2, 2)``, numpy or torch.
        shapes: ``(K, 2, 2)`` W, of the same kind; the unit matrix changes nothing.
    """
    root = symmetric_root(covariances)
    return root @ shapes @ root


def whitened(errors: ArrayLike, covariances: ArrayLike) -> Floats:
    """Return errors in units of their covariances' symmetric roots.

    Args:
        errors: ``(N, K, 2)``; NaN stays NaN.
        covariances: ``(N, K, 2, 2)``, in the square of the same unit.
    """
    root = symmetric_root(np.asarray(covariances, float))
    defined = np.isfinite(errors).all(axis=-1) & np.isfinite(root).all(axis=(-2, -1))
    safe = np.where(defined[..., None, None], root, np.eye(2))
    result = np.linalg.solve(safe, np.asarray(errors, float)[..., None])[..., 0]
    return np.where(defined[..., None], result, np.nan)


def by_class(values: ArrayLike, landmarks: LandmarkSet) -> Floats:
    """Return numbers ``(N, K, ...)`` as ``(N, 2 sides, G classes, ...)``, NaN without a twin."""
    rows = np.asarray(values, float)
    members = np.array([(each[0], each[-1]) for each in landmarks.classes]).T
    sides: Floats = np.ascontiguousarray(rows[:, members])
    sides[:, 1, [len(each) == 1 for each in landmarks.classes]] = np.nan
    return sides


def _sides_by_class(values: ArrayLike, landmarks: LandmarkSet = HIP) -> Floats:
    """Return vectors ``(N, K, 2)`` as ``(G, N, 2 sides, 2)``, the mirror image mirrored back."""
    both = by_class(values, landmarks)
    return np.moveaxis(both * [[[1.0, 1.0]], [[-1.0, 1.0]]], 2, 0)


def class_residuals(
    whitened_errors: ArrayLike, patients: ArrayLike, landmarks: LandmarkSet = HIP
) -> Floats:
    """Return ``(G, P, 2 n, 2)`` whitened errors of each class and patient, NaN where none is."""
    sides = _sides_by_class(whitened_errors, landmarks)
    gathered = by_patient(np.moveaxis(sides, 0, 1), patients)
    people, images = gathered.shape[:2]
    return np.moveaxis(gathered, 2, 0).reshape(len(sides), people, 2 * images, 2)


def direction_shapes(residuals: ArrayLike) -> tuple[Floats, Floats]:
    """Return the shape of each class's errors, and what it is without each patient.

    The second moment of whitened errors, averaged over patients, drawn towards the circle by the
    share of its squared elongation that patients' disagreement explains, and brought to determinant
    1: which way errors go, not how far. Three patients say nothing.

    Args:
        residuals: ``(G, P, n, 2)`` whitened errors, from :func:`class_residuals`.

    Returns:
        ``(G, 2, 2)`` shapes from all patients and ``(G, P, 2, 2)`` from all others.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> shape, _ = direction_shapes(rng.normal(size=(1, 90, 9, 2)) * [3.0, 1.0])
        >>> bool(shape[0, 0, 0] > 2), round(float(np.linalg.det(shape[0])), 6)
        (True, 1.0)
    """
    values = _cut(np.asarray(residuals, float))
    defined = ~np.isnan(values[..., 0])
    clean = np.where(defined[..., None], values, 0.0)
    count = defined.sum(axis=-1)
    each = np.einsum('gpni,gpnj->gpij', clean, clean) / np.maximum(count, 1)[..., None, None]
    # size, and elongation along x and along the diagonal
    parts = np.stack(
        [
            (each[..., 0, 0] + each[..., 1, 1]) / 2,
            (each[..., 0, 0] - each[..., 1, 1]) / 2,
            each[..., 0, 1],
        ],
        axis=-1,
    )
    products = parts[..., :, None] * parts[..., None, :]
    there = (count > 0).astype(float)
    whole = [term.sum(axis=1) for term in (parts, products, there)]
    own = (parts, products, there)
    others = [total[:, None] - term for total, term in zip(whole, own, strict=True)]
    # the shape of all must not follow what that of the others, which judges it, does not
    return (
        _drawn(*whole, least=_LEAST_DIRECTED),
        _drawn(*others, least=_LEAST_DIRECTED - 1),
    )


def side_shapes(shapes: ArrayLike, landmarks: LandmarkSet = HIP) -> Floats:
    """Return ``(K, 2, 2)`` shapes of all landmarks of ``(G, 2, 2)`` of each class's first."""
    result: Floats = np.asarray(shapes, float)[list(landmarks.class_indices)]
    mirrored = [twin < k for k, twin in enumerate(landmarks.flip_indices)]
    result[mirrored] *= [[1.0, -1.0], [-1.0, 1.0]]
    return result


def peak_variances(peaks: Array) -> Array:
    """Return what a peak's height says of the variance of its place, in units of sigma squared.

    A network that is trained by squared errors shows the mean of the Gaussians (of variance sigma
    squared) that it holds possible. If their centres vary by s squared along either axis, the peak
    is ``1 / (1 + s^2 / sigma^2)``. A tenth is added, for errors that no heatmap shows.

    Args:
        peaks: ``(...)`` heights, numpy or torch; taken as 0.1 to 1.

    Example:
        >>> peak_variances(np.array([1.0, 0.5, 0.0])).round(3).tolist()
        [0.1, 1.1, 9.1]
    """
    return 1 / peaks.clip(_LOWEST_PEAK, 1.0) - 1 + _UNSEEN


def peak_power(
    whitened_errors: ArrayLike,
    peaks: ArrayLike,
    patients: ArrayLike,
    landmarks: LandmarkSet = HIP,
) -> float:
    """Return the power of :func:`peak_variances` that squared errors follow.

    The slope of the logarithm of squared errors over that of the variances, each without its
    class's mean and a patient counting once, drawn towards 1, which theory says, by ``5 / (P + 5)``
    for P patients; 0 at least. A network whose peaks say nothing has a power near 0.

    Args:
        whitened_errors: ``(N, K, 2)``, NaN where unknown.
        peaks: ``(N, K)``.
        patients: ``(N,)``.
        landmarks: the K landmarks.
    """
    squared = (np.asarray(whitened_errors, float) ** 2).sum(axis=-1)
    errors = _without_class_means(np.log(np.maximum(squared, _SMALLEST)), landmarks)
    defined = ~np.isnan(errors)
    sizes = np.log(peak_variances(np.asarray(peaks, float)))
    sizes = _without_class_means(np.where(defined, sizes, np.nan), landmarks)
    count = defined.sum(axis=1)
    names, index = np.unique(np.asarray(patients)[count > 0], return_inverse=True)
    number = np.bincount(index, count[count > 0], len(names))
    sums = (np.nansum(term * sizes, axis=1)[count > 0] for term in (errors, sizes))
    both, own = ((np.bincount(index, term, len(names)) / number).sum() for term in sums)
    weight = len(names) / (len(names) + _POWER_PATIENTS)
    return float(max(weight * both / own + 1 - weight, 0.0)) if own > _SMALLEST else 1.0


def error_products(
    whitened_errors: ArrayLike, patients: ArrayLike, landmarks: LandmarkSet = HIP
) -> Floats:
    """Return each patient's mean products of whitened errors: ``(P, 2 K, 2 K)``, NaN where unknown.

    Coordinates are those of the landmarks, x before y; each has the mean square 1 over patients.
    """
    sides = _cut(_sides_by_class(whitened_errors, landmarks))
    sides = np.moveaxis(sides * [[1.0, 1.0], [-1.0, 1.0]], 0, 2)
    slots = [int(twin < k) for k, twin in enumerate(landmarks.flip_indices)]
    values = np.ascontiguousarray(sides[:, slots, list(landmarks.class_indices)])
    rows = by_patient(values.reshape(len(values), -1), patients)
    defined = ~np.isnan(rows)
    clean = np.where(defined, rows, 0.0)
    count = np.einsum('pni,pnj->pij', defined.astype(float), defined.astype(float))
    mean = np.einsum('pni,pnj->pij', clean, clean) / np.maximum(count, 1)
    mean = np.where(count > 0, mean, np.nan)
    with np.errstate(invalid='ignore'):
        size = _mean_defined(np.einsum('pii->pi', mean))
    scale = np.sqrt(np.where(size > 0, size, 1.0))
    products: Floats = mean / scale[:, None] / scale
    return products


def error_correlation(products: ArrayLike, landmarks: LandmarkSet = HIP) -> Floats:
    """Return the correlation of the landmarks' errors, shrunk by what patients disagree on.

    The mean over patients of their products, made the same for the mirror image where any landmark
    has a twin, drawn towards "no correlation between landmarks" by the share of their squares that
    is chance, as J. Schaefer and K. Strimmer do (Stat. Appl. Genet. Mol. Biol. 4, 2005) with
    patients for observations. A landmark's own two coordinates stay uncorrelated: their covariance
    is the heatmap's.

    Args:
        products: ``(P, 2 K, 2 K)`` from :func:`error_products`.
        landmarks: the K landmarks.

    Returns:
        ``(2 K, 2 K)``, positive semidefinite, diagonal 1; the unit matrix with fewer than three
        patients.
    """
    each = np.asarray(products, float)
    unit = np.eye(2 * len(landmarks))
    if len(each) < 3:
        return unit
    if len(landmarks.classes) < len(landmarks):
        each = (each + _mirrored(each, landmarks)) / 2
    defined = ~np.isnan(each)
    count = defined.sum(axis=0)
    mean = _mean_defined(each)
    spread = np.where(defined, (each - mean) ** 2, 0.0).sum(axis=0)
    spread = spread / np.maximum(count - 1, 1) / np.maximum(count, 1)
    between = np.kron(1 - np.eye(len(landmarks)), np.ones((2, 2))) > 0
    usable = between & (count > 2)
    strength = float((mean[usable] ** 2).sum())
    chance = float(spread[usable].sum()) / strength if strength > 0 else 1.0
    drawn = np.where(usable, (1 - min(chance, 1.0)) * mean, 0.0) + unit
    values, vectors = np.linalg.eigh((drawn + drawn.T) / 2)
    solid = (vectors * np.maximum(values, 1e-6)) @ vectors.T
    root = np.sqrt(np.diag(solid))
    correlation: Floats = solid / root[:, None] / root
    return correlation


def _mirrored(products: Floats, landmarks: LandmarkSet) -> Floats:
    """Return what the products are in the mirror image, left and right swapped."""
    order = (2 * np.asarray(landmarks.flip_indices)[:, None] + [0, 1]).ravel()
    sign = np.tile([-1.0, 1.0], len(landmarks))
    swapped: Floats = products[:, order][:, :, order] * sign[:, None] * sign
    return swapped


def _drawn(parts: Floats, products: Floats, patients: Floats, *, least: int) -> Floats:
    """Return shapes ``(..., 2, 2)`` of sums over patients of their sizes and elongations."""
    number = np.maximum(patients, 1)
    mean = parts / number[..., None]
    size = np.maximum(mean[..., 0], _SMALLEST)
    direction = mean[..., 1:] / size[..., None]
    # squared distances of the patients' elongations from what the mean gives each by its size
    apart = sum(
        products[..., axis, axis]
        - 2 * direction[..., axis - 1] * products[..., axis, 0]
        + direction[..., axis - 1] ** 2 * products[..., 0, 0]
        for axis in (1, 2)
    )
    chance = apart / size**2 / np.maximum(patients - 1, 1) / number
    strength = np.maximum((direction**2).sum(axis=-1), _SMALLEST)
    weight = np.where(patients >= least, np.clip(1 - chance / strength, 0, 1), 0.0)
    along, across = np.moveaxis(weight[..., None] * direction, -1, 0)
    rows = [[1 + along, across], [across, 1 - along]]
    shape = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    flat = np.maximum(1 - along**2 - across**2, _THINNEST)
    scaled: Floats = shape / np.sqrt(flat)[..., None, None]
    return scaled


def _without_class_means(values: Floats, landmarks: LandmarkSet) -> Floats:
    """Take each class's mean from ``(N, K)`` numbers, NaN where unknown."""
    classes = by_class(values, landmarks)
    defined = ~np.isnan(classes)
    total = np.where(defined, classes, 0.0).sum(axis=(0, 1))
    mean = total / np.maximum(defined.sum(axis=(0, 1)), 1)
    return values - mean[list(landmarks.class_indices)]


def _cut(values: Floats) -> Floats:
    """Shorten gross errors of each class, ``(G, ..., 2)``."""
    length = np.hypot(values[..., 0], values[..., 1])
    rows = length.reshape(len(length), -1)
    usual = [np.median(row[~np.isnan(row)]) if (~np.isnan(row)).any() else np.inf for row in rows]
    limit = _GROSS * np.reshape(usual, (-1,) + (1,) * (length.ndim - 1))
    with np.errstate(divide='ignore', invalid='ignore'):
        factor = np.where((length > limit) & (limit > 0), limit / length, 1.0)
    return values * factor[..., None]


def _mean_defined(values: Floats) -> Floats:
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0.0).sum(axis=0)
    mean: Floats = total / np.maximum(defined.sum(axis=0), 1)
    return mean


def _unit_like(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return np.eye(2)
    return values.new_tensor([[1.0, 0.0], [0.0, 1.0]])
