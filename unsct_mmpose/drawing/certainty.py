"""How sure a landmark is, as words, colours and shapes that every picture and report shares.

The colours are those of Okabe and Ito (2008), which colour-blind people tell apart; every level has
a shape of its own as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from unsct_mmpose.anatomy import LandmarkEstimate


@dataclass(frozen=True)
class Certainty:
    """A level of certainty.

    Attributes:
        key: for programs and style sheets.
        words: for people.
        color: ``#rrggbb``, for a dark background.
        shape: ``'circle'``, ``'square'``, ``'diamond'``, ``'ring'`` or ``'cross'``.
    """

    key: str
    words: str
    color: str
    shape: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as three numbers, 0 to 255."""
        red, green, blue = bytes.fromhex(self.color[1:])
        return red, green, blue


SURE = Certainty('sure', 'sure: P(shown) at least 99 %', '#56B4E9', 'circle')
FAIR = Certainty('fair', 'fairly sure: 90 to 99 %', '#F0E442', 'square')
UNSURE = Certainty('unsure', 'unsure: below 90 %', '#E69F00', 'diamond')
UNKNOWN = Certainty('unknown', 'certainty unknown: model not calibrated', '#FFFFFF', 'ring')
REJECTED = Certainty('rejected', 'rejected: the image does not show it', '#FF7FB0', 'cross')

LEVELS = (SURE, FAIR, UNSURE, UNKNOWN, REJECTED)


def certainty_of(landmark: LandmarkEstimate) -> Certainty:
    """Return the level of a landmark, by P(the image shows it)."""
    if not landmark.reported:
        return REJECTED
    if landmark.presence is None:
        return UNKNOWN
    if landmark.presence >= 0.99:
        return SURE
    return FAIR if landmark.presence >= 0.9 else UNSURE
