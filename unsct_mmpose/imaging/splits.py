"""Splitting a data set so that no patient is on two sides."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from .annotation_checks import describe, load_document
from .landmark_states import AnnotationError

Image = TypeVar('Image')


def check_patient_splits(splits: Mapping[str, str | os.PathLike[str]]) -> None:
    """Make sure that no patient is in two annotation files.

    Args:
        splits: name of each split, such as ``'train'``, and its annotation file.

    Raises:
        AnnotationError: a patient is in two splits, or an image names no patient, so that
            nobody can tell; the message names patients, splits and images.
    """
    problems: list[str] = []
    seen: dict[str, set[str]] = defaultdict(set)
    for split, path in splits.items():
        for image in load_document(path)['images']:
            patient = _patient(image)
            if patient is None:
                problems.append(
                    f"split {split!r}, {describe(image)}: field 'patient_id' is missing, so that "
                    'splits cannot be told apart; give each image the pseudonym of its patient'
                )
            else:
                seen[patient].add(split)
    for patient, found in sorted(seen.items()):
        if len(found) > 1:
            names = ' and '.join(name for name in splits if name in found)
            problems.append(f'patient {patient!r} is in {names}; keep each patient in one split')
    if problems:
        raise AnnotationError('patients of the splits', problems)


def split_by_patient(
    images: Sequence[Image], fractions: Mapping[str, float], seed: int
) -> dict[str, list[Image]]:
    """Share images out so that all of a patient's images are in one split.

    Patients come in random order; each goes to the split that lacks most of its share.

    Args:
        images: image records (with ``'patient_id'``), or objects with ``patient_id``.
        fractions: share of the images for each split, by name; they add up to 1.
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
    if any(share <= 0 for share in fractions.values()) or not math.isclose(
        sum(fractions.values()), 1.0, abs_tol=1e-6
    ):
        raise ValueError(f'fractions must be positive and add up to 1, not {dict(fractions)}')
    sizes: dict[str, int] = defaultdict(int)
    for image in images:
        sizes[_known_patient(image)] += 1
    if len(sizes) < len(fractions):
        raise AnnotationError(f'{len(sizes)} patients cannot fill {len(fractions)} splits')
    order = sorted(sizes)
    np.random.default_rng(seed).shuffle(order)
    filled = dict.fromkeys(fractions, 0)
    home = {}
    for patient in order:
        split = min(fractions, key=lambda name: filled[name] / fractions[name])
        home[patient] = split
        filled[split] += sizes[patient]
    parts: dict[str, list[Image]] = {name: [] for name in fractions}
    for image in images:
        parts[home[_known_patient(image)]].append(image)
    return parts


def _known_patient(image: Any) -> str:
    patient = _patient(image)
    if patient is None:
        raise AnnotationError(f'no patient_id, so no way to split: {image!r:.120}')
    return patient


def _patient(image: Any) -> str | None:
    value = image.get('patient_id') if isinstance(image, Mapping) else image.patient_id
    text = '' if value is None else str(value).strip()
    return text or None
