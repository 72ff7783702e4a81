"""How a radiograph lies: turned so that the patient's left is on the right, feet down.

Points of an image that was turned can be taken back to the pixels of its file, which is where
annotations and DICOM reports place them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from .header import code, codes, has, is_unreadable, named, number
from .pixel_format import DecodeError

_ACROSS, _ALONG, _THROUGH = 'LR', 'HF', 'AP'
_CURE = 'look at it, and say mirrored or not mirrored (--mirrored, --no-mirrored)'

# EXIF and TIFF orientation: transpose first, then flip (TIFF 6.0, section 8).
_EXIF = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


@dataclass(frozen=True)
class Turn:
    """One of the eight ways to lay an image: rows and columns exchanged first, then flips."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def __bool__(self) -> bool:
        return self.transpose or self.flip_x or self.flip_y

    @classmethod
    def of_exif(cls, orientation: int) -> Turn:
        """Return what an EXIF or TIFF orientation from 1 to 8 asks a display to do."""
        return cls(*_EXIF[orientation])

    def apply(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return the turned image; ``(H, W)`` or ``(H, W, C)``."""
        turned = np.swapaxes(pixels, 0, 1) if self.transpose else pixels
        turned = turned[:, ::-1] if self.flip_x else turned
        turned = turned[::-1] if self.flip_y else turned
        return np.ascontiguousarray(turned) if self else pixels

    def words(self) -> str:
        """Say what is done.

        Example:
            >>> Turn(flip_x=True).words(), Turn(flip_x=True, flip_y=True).words()
            ('mirrored left to right', 'turned by 180 degrees')
        """
        return _WORDS[self.transpose, self.flip_x, self.flip_y]


_WORDS = {
    (False, False, False): 'as stored',
    (False, True, False): 'mirrored left to right',
    (False, False, True): 'mirrored top to bottom',
    (False, True, True): 'turned by 180 degrees',
    (True, False, False): 'mirrored about its diagonal',
    (True, True, False): 'turned by 90 degrees clockwise',
    (True, False, True): 'turned by 90 degrees anticlockwise',
    (True, True, True): 'mirrored about its other diagonal',
}


@dataclass(frozen=True)
class Placement:
    """Where the pixels of a turned image lie in its file.

    Attributes:
        turn: what was done with the file's pixels.
        size_wh: width and height after that.
    """

    turn: Turn
    size_wh: tuple[int, int]

    @property
    def stored_size_wh(self) -> tuple[int, int]:
        """Width and height in the file."""
        width, height = self.size_wh
        return (height, width) if self.turn.transpose else (width, height)

    def to_stored(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Convert ``(..., 2)`` pixels of the image to pixels of the file."""
        flipped = self._flip(np.asarray(points, dtype=np.float64))
        return flipped[..., ::-1].copy() if self.turn.transpose else flipped

    def from_stored(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Convert ``(..., 2)`` pixels of the file to pixels of the image."""
        stored = np.asarray(points, dtype=np.float64)
        return self._flip(stored[..., ::-1] if self.turn.transpose else stored)

    def _flip(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        (x, y), (width, height) = np.moveaxis(points, -1, 0), self.size_wh
        x = width - 1 - x if self.turn.flip_x else x
        y = height - 1 - y if self.turn.flip_y else y
        return np.stack((x, y), axis=-1)

    def swap(self, pair_xy: tuple[float, float]) -> tuple[float, float]:
        """Return lengths along x and y of the file as those of the image, or the other way."""
        return (pair_xy[1], pair_xy[0]) if self.turn.transpose else pair_xy


@dataclass(frozen=True)
class Orientation:
    """What brings an image to the standard display.

    Attributes:
        turn: what to do.
        source: where that comes from, in words.
        doubt: why the sides may be exchanged all the same; None when nothing says so.
    """

    turn: Turn
    source: str
    doubt: str | None = None

    def words(self) -> str:
        """Say what was done, and why."""
        return f'{self.turn.words()} ({self.source})'


def given_orientation(mirrored: bool | None) -> Orientation | None:
    """Return what the caller says about the sides; None when that is nothing."""
    return None if mirrored is None else Orientation(Turn(flip_x=mirrored), 'caller')


def read_orientation(dataset: Dataset, mirrored: bool | None = None) -> Orientation:
    r"""Find out from a header how the patient lies in the pixels.

    PatientOrientation decides where it is there (PS3.3, C.7.6.1.1.1): ``L\F`` is the standard
    display. FieldOfViewHorizontalFlip and FieldOfViewRotation say what was done to the detector's
    pixels before they were stored; without PatientOrientation nobody can tell whether the result
    is the standard display, and the file is refused.

    Args:
        dataset: the header.
        mirrored: the caller's word, which takes the place of the header's: whether left and right
            are exchanged in the stored pixels. Where head and feet lie the header says all the
            same.

    Raises:
        DecodeError: the sides cannot be told; the message says what to do.
    """
    if mirrored is not None:
        return _sides_by_hand(dataset, mirrored)
    if has(dataset, 'PatientOrientation'):
        orientation = _patient_orientation(dataset)
        if orientation is not None:
            return orientation
    flip = code(dataset, 'FieldOfViewHorizontalFlip')
    rotation = number(dataset, 'FieldOfViewRotation') or 0.0
    if flip not in (None, 'NO') or rotation % 360 or is_unreadable(dataset, 'FieldOfViewRotation'):
        done = 'FieldOfViewHorizontalFlip' if flip not in (None, 'NO') else 'FieldOfViewRotation'
        raise DecodeError(
            f'{named(done)} says that its pixels were turned, and PatientOrientation, which would '
            f'say how the patient lies in them, is missing: {_CURE}'
        )
    doubt = None
    if code(dataset, 'ViewPosition') == 'PA':
        doubt = f'the file says view PA and not how the patient lies in it: {_CURE}'
    return Orientation(Turn(), 'the file does not say how the patient lies in it', doubt)


def _sides_by_hand(dataset: Dataset, mirrored: bool) -> Orientation:
    """Combine the caller's word about the sides with the header's about head and feet."""
    texts = [text or '' for text in codes(dataset, 'PatientOrientation')]
    along = [text[:1] in tuple(_ALONG) for text in texts]
    if len(texts) != 2 or sum(along) != 1:
        return Orientation(Turn(flip_x=mirrored), 'caller')
    turn = Turn(along[0], mirrored, texts[along.index(True)][0] == 'H')
    shown = '\\'.join(texts)
    rest = f', head and feet by PatientOrientation {shown}' if turn != Turn(flip_x=mirrored) else ''
    return Orientation(turn, f'caller{rest}')


def _patient_orientation(dataset: Dataset) -> Orientation | None:
    """Read PatientOrientation; None where it is empty."""
    values = codes(dataset, 'PatientOrientation')
    texts = [text or '' for text in values]
    if values and not any(texts) and None not in values:
        return None
    heads = [text[:1] for text in texts]
    shown = '\\'.join(texts)
    if len(texts) != 2 or any(
        not head or head not in _ACROSS + _ALONG + _THROUGH for head in heads
    ):
        shown = shown if None not in values else 'something else'
        raise DecodeError(
            f'{named("PatientOrientation")} holds {shown}, which is no pair of directions: {_CURE}'
        )
    source = f'PatientOrientation {shown}'
    if any(head in _THROUGH for head in heads):
        return Orientation(Turn(), source, f'{source} is no AP view: the sides cannot be told')
    right, down = heads
    if right in _ACROSS and down in _ALONG:
        return Orientation(Turn(False, right == 'R', down == 'H'), source)
    if right in _ALONG and down in _ACROSS:
        return Orientation(Turn(True, down == 'R', right == 'H'), source)
    raise DecodeError(
        f'{named("PatientOrientation")} holds {shown}, twice the same direction: {_CURE}'
    )
