"""Splitting a data set so that no patient is on two sides, as the paper did."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .landmark_states import AnnotationError
from .record_checks import Record, describe, load_document

Image = TypeVar('Image')

_Share = float | Mapping[str, float]
"""Share of all images, or of the images of each subset, by its name."""

PAPER_IMAGES = {
    'train': {'structured': 225, 'unstructured': 32},
    'test': {'structured': 35, 'unstructured': 18},
}
"""Images of the paper's two splits (4.1.2); it calls the second one its validation set."""


def paper_shares(validation: float = 0.0) -> dict[str, dict[str, float]]:
    """Return the paper's shares of structured and unstructured images, for each split.

    Args:
        validation: share of the training images that becomes a split ``'val'``, which the paper
            does not have: it validates and judges on the same images.

    Raises:
        ValueError: the share is not in [0, 1).

    Example:
        >>> shares = paper_shares()
        >>> round(shares['test']['structured'], 3), round(shares['test']['unstructured'], 3)
        (0.135, 0.36)
        >>> list(paper_shares(0.1))
        ['train', 'val', 'test']
    """
    if not 0 <= validation < 1:
        raise ValueError(f'validation must be a share from 0 to below 1, not {validation}')
    every = {
        subset: sum(counts[subset] for counts in PAPER_IMAGES.values())
        for subset in PAPER_IMAGES['train']
    }
    train, test = (
        {subset: PAPER_IMAGES[name][subset] / number for subset, number in every.items()}
        for name in ('train', 'test')
    )
    kept = {subset: share * (1 - validation) for subset, share in train.items()}
    taken = {subset: share * validation for subset, share in train.items()}
    return {'train': kept, **({'val': taken} if validation else {}), 'test': test}


def check_patient_splits(
    splits: Mapping[str, str | os.PathLike[str] | Sequence[Record]],
) -> None:
    """Make sure that no patient is in two annotation files.

    Args:
        splits: name of each split, such as ``'train'``, and its annotation file, or the image
            records that were read from it.

    Raises:
        AnnotationError: a patient is in two splits, or an image names no patient, so that
            nobody can tell; the message names patients, splits and images.
    """
    problems: list[str] = []
    splits_of: dict[str, set[str]] = defaultdict(set)
    for split, source in splits.items():
        if isinstance(source, (str, os.PathLike)):
            source = load_document(source)['images']
        for image in source:
            patient = _patient(image)
            if patient is None:
                problems.append(
                    f"split {split!r}, {describe(image)}: field 'patient_id' is missing, so that "
                    'splits cannot be told apart; give each image the pseudonym of its patient'
                )
            else:
                splits_of[patient].add(split)
    for patient, members in sorted(splits_of.items()):
        if len(members) > 1:
            names = ' and '.join(name for name in splits if name in members)
            problems.append(f'patient {patient!r} is in {names}; keep each patient in one split')
    if problems:
        raise AnnotationError('patients of the splits', problems)


def split_by_patient(
    images: Sequence[Image], fractions: Mapping[str, _Share], seed: int
) -> dict[str, list[Image]]:
    """Share images out so that all of a patient's images are in one split.

    Patients come in random order, those with many images first; each goes to the split that comes
    nearest to its shares by it. No split stays without a patient.

    Args:
        images: image records (with ``'patient_id'``, and ``'subset'`` where shares are of
            subsets), or objects with attributes of these names.
        fractions: share of the images for each split, by name, or of the images of each subset, as
            :func:`paper_shares` gives them; they add up to 1.
        seed: of the random order.

    Returns:
        The images of each split, in the order of ``images``.

    Raises:
        AnnotationError: an image names no patient, or there are fewer patients than splits.
        ValueError: the fractions are not positive or do not add up to 1.

    Example:
        >>> records = [{'patient_id': name} for name in 'aabbccdd']
        >>> parts = split_by_patient(records, {'train': 0.75, 'val': 0.25}, seed=0)
        >>> len(parts['train']), len(parts['val'])
        (6, 2)
    """
    by_subset = [fraction for fraction in fractions.values() if isinstance(fraction, Mapping)]
    subsets = sorted(set().union(*by_subset))
    rows = [
        [share[name] if isinstance(share, Mapping) else share for name in subsets or ['']]
        for share in fractions.values()
    ]
    shares = np.array(rows, float)
    if (shares <= 0).any() or not np.allclose(shares.sum(0), 1.0, rtol=0, atol=1e-6):
        raise ValueError(f'fractions must be positive and add up to 1, not {dict(fractions)}')
    counts: dict[str, NDArray[np.int64]] = {}
    for image in images:
        own = counts.setdefault(_known_patient(image), np.zeros(shares.shape[1], np.int64))
        own[subsets.index(_subset(image, subsets)) if subsets else 0] += 1
    if len(counts) < len(fractions):
        raise AnnotationError(f'{len(counts)} patients cannot fill {len(fractions)} splits')
    order = sorted(counts)
    np.random.default_rng(seed).shuffle(order)
    order.sort(key=lambda patient: -int(counts[patient].sum()))
    wanted = shares * np.sum(list(counts.values()), axis=0)
    names, filled = list(fractions), np.zeros(shares.shape)
    home = {}
    for left, patient in zip(range(len(order), 0, -1), order, strict=True):
        empty = [index for index in range(len(names)) if not filled[index].any()]
        choice = empty if left <= len(empty) else range(len(names))
        best = min(choice, key=lambda index: _misfit(filled, wanted, index, counts[patient]))
        home[patient] = names[best]
        filled[best] += counts[patient]
    parts: dict[str, list[Image]] = {name: [] for name in fractions}
    for image in images:
        parts[home[_known_patient(image)]].append(image)
    return parts


def _misfit(
    filled: NDArray[np.float64],
    wanted: NDArray[np.float64],
    split: int,
    own: NDArray[np.int64],
) -> tuple[float, float]:
    """Return how much worse a patient's images make a split; chi-squared, then by need."""
    goal = np.maximum(wanted[split], 1e-9)
    now, then = filled[split] - goal, filled[split] + own - goal
    return float(((then**2 - now**2) / goal).sum()), float(filled[split].sum() / goal.sum())


def _subset(image: Any, subsets: Sequence[str]) -> str:
    name = image.get('subset') if isinstance(image, Mapping) else image.subset
    if name not in subsets:
        raise AnnotationError(f'subset {name!r} has no share; there are {", ".join(subsets)}')
    return str(name)


def _known_patient(image: Any) -> str:
    patient = _patient(image)
    if patient is None:
        raise AnnotationError(f'no patient_id, so no way to split: {image!r:.120}')
    return patient


def _patient(image: Any) -> str | None:
    value = image.get('patient_id') if isinstance(image, Mapping) else image.patient_id
    text = '' if value is None else str(value).strip()
    return text or None
