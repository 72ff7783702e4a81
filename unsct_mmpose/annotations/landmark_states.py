"""Present, absent or unlabelled: the one function that decides for every landmark."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.anatomy import HIP, LANDMARK_NAMES, LandmarkSet

SUBSETS = ('structured', 'unstructured')

_SHOWN = 20


class AnnotationError(ValueError):
    """An annotation file, or one image of it, is wrong.

    Args:
        path: the file, or what else is wrong. The whole message when there are no ``problems``,
            which is how a data loader's worker process hands an exception over.
        problems: every problem in words, each with its field, its image and what to do.
    """

    def __init__(self, path: str | os.PathLike[str], problems: Sequence[str] = ()) -> None:
        super().__init__(path, tuple(problems))
        self.path = os.fspath(path)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        if len(self.problems) < 2:
            return ': '.join((self.path, *self.problems))
        lines = [f'{self.path}: {len(self.problems)} problems']
        lines += [f'  - {problem}' for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(f'  ... and {len(self.problems) - _SHOWN} more')
        return '\n'.join(lines)


@dataclass(frozen=True, eq=False)
class LandmarkStates:
    """The K landmarks of one image; what is neither present nor absent is unlabelled.

    Attributes:
        points: ``(K, 2)`` float64 pixels (x, y); (0, 0) is the centre of the top-left pixel.
            Meaningless, and 0, where not present.
        present: ``(K,)`` somebody placed the landmark.
        absent: ``(K,)`` somebody looked and the image does not show it.
        landmarks: which K.
    """

    points: NDArray[np.float64]
    present: NDArray[np.bool_]
    absent: NDArray[np.bool_]
    landmarks: LandmarkSet = HIP

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """``(K,)`` whether anybody looked: present or absent."""
        return self.present | self.absent


def landmark_states(
    image: Mapping[str, Any], annotation: Mapping[str, Any], landmarks: LandmarkSet = HIP
) -> LandmarkStates:
    """Decide for every landmark whether it is present, absent or unlabelled.

    =====  =================================================  ==========
    v      and                                                state
    =====  =================================================  ==========
    1, 2                                                      present
    0      named in ``image['absent']``                       absent
    0      named in ``labelled`` of annotation or image       absent
    0      otherwise                                          unlabelled
    =====  =================================================  ==========

    ``v=1`` is COCO's "labelled but hidden": somebody placed it, so it is present. ``labelled``
    names the landmarks that somebody looked for.

    Args:
        image: COCO image record.
        annotation: COCO annotation record; its ``keypoints`` are K times x, y, v in the order of
            the set. Without ``keypoints`` no landmark is present.
        landmarks: which K.

    Raises:
        AnnotationError: keypoints or names are malformed, or a landmark is both placed and named
            absent; the message lists every problem.

    Example:
        >>> annotation = {'keypoints': [9, 9, 2] + [0] * 69}
        >>> states = landmark_states({'absent': ['left_fovea']}, annotation)
        >>> int(states.present.sum()), int(states.absent.sum()), int((~states.labelled).sum())
        (1, 1, 22)
    """
    problems: list[str] = []
    names = landmarks.names
    table = _keypoint_table(annotation.get('keypoints', [0] * (3 * len(names))), names, problems)
    present = table[:, 2] > 0
    return name_states(table[:, :2], present, image, annotation, landmarks, problems)


def name_states(
    points: NDArray[np.float64],
    present: NDArray[np.bool_],
    image: Mapping[str, Any],
    annotation: Mapping[str, Any],
    landmarks: LandmarkSet = HIP,
    problems: Sequence[str] = (),
) -> LandmarkStates:
    """Decide as :func:`landmark_states` does, of keypoints that were read already.

    ``problems`` say what is wrong with them.
    """
    problems, names = list(problems), landmarks.names
    absent_names = _name_mask(image.get('absent'), "image field 'absent'", names, problems)
    looked_for = _name_mask(image.get('labelled'), "image field 'labelled'", names, problems)
    looked_for |= _name_mask(annotation.get('labelled'), "field 'labelled'", names, problems)
    for index in np.flatnonzero(present & absent_names):
        problems.append(
            f"landmark {names[index]!r} is placed (v above 0) and named in 'absent'; remove it "
            'from one of them'
        )
    if problems:
        raise AnnotationError('wrong landmarks', problems)
    points = np.where(present[:, None], points, 0.0)
    return LandmarkStates(points, present, ~present & (absent_names | looked_for), landmarks)


def infer_subset(states: LandmarkStates) -> str:
    """Return ``'unstructured'`` when any landmark is absent, else ``'structured'``."""
    return SUBSETS[int(states.absent.any())]


def unknown_names(names: Iterable[object], landmarks: Sequence[str] = LANDMARK_NAMES) -> list[str]:
    """Say of each unknown name that it is unknown, and which one may be meant.

    Example:
        >>> unknown_names(['left_foeva'])
        ["unknown landmark 'left_foeva'; did you mean 'left_fovea'?"]
    """
    result = []
    for name in names:
        if name not in landmarks:
            close = difflib.get_close_matches(str(name), landmarks, n=1)
            advice = f'; did you mean {close[0]!r}?' if close else ''
            result.append(f'unknown landmark {name!r}{advice}')
    return result


def _keypoint_table(
    keypoints: object, names: Sequence[str], problems: list[str]
) -> NDArray[np.float64]:
    """Return ``(K, 3)`` x, y, v; zeros where they are malformed."""
    count = len(names)
    empty = np.zeros((count, 3))
    if not isinstance(keypoints, Sequence) or len(keypoints) != 3 * count:
        length = len(keypoints) if isinstance(keypoints, Sequence) else 'no'
        problems.append(
            f"field 'keypoints' has {length} numbers, not {3 * count}; give x, y, v for "
            f'each of the {count} landmarks'
        )
        return empty
    try:
        table = np.array(keypoints, dtype=np.float64).reshape(count, 3)
    except (TypeError, ValueError):
        problems.append("field 'keypoints' must hold numbers only")
        return empty
    for name, (x, y, visibility) in zip(names, table, strict=True):
        if visibility not in (0, 1, 2):
            problems.append(f'landmark {name!r} has v={visibility:g}; use 0, 1 or 2')
        elif visibility and not (np.isfinite(x) and np.isfinite(y)):
            problems.append(f'landmark {name!r} lies at ({x:g}, {y:g}); give finite pixels')
    return table


def _name_mask(
    names: object, where: str, landmarks: Sequence[str], problems: list[str]
) -> NDArray[np.bool_]:
    """Return ``(K,)`` which landmarks a list names."""
    if names is None or names == []:
        return np.zeros(len(landmarks), dtype=bool)
    if isinstance(names, str) or not isinstance(names, Sequence):
        problems.append(f'{where} must be a list of landmark names, not {names!r}')
        return np.zeros(len(landmarks), dtype=bool)
    problems.extend(f'{where}: {text}' for text in unknown_names(names, landmarks))
    return np.array([name in names for name in landmarks], dtype=bool)
