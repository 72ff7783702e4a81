"""Which landmark points to which: the relations that part affinity fields draw.

The paper's Figure 4 is not in its text; the two sets here are this project's decision. Every
relation serves a clinical parameter or ties landmarks of one bone or of both sides, so that each
landmark takes part in at least three relations of the ``full`` set.
"""

from __future__ import annotations

from dataclasses import dataclass

from .landmarks import FLIP_INDICES, side_index


@dataclass(frozen=True)
class RelationSet:
    """An ordered set of directed relations between landmarks.

    Relations come in the order: all left same-side relations, all right ones, then those that run
    from the left side to the right.

    Attributes:
        name: of the set, such as ``'full'`` or ``'core'``.
        pairs: ``(tail, head)`` landmark positions, one pair for each relation.
        landmark_flips: the landmark that each becomes when the image is mirrored.
    """

    name: str
    pairs: tuple[tuple[int, int], ...]
    landmark_flips: tuple[int, ...] = FLIP_INDICES

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def is_cross(self) -> tuple[bool, ...]:
        """Whether the mirror image of each relation runs the other way.

        Such a relation joins a landmark to its own twin, and becomes itself.
        """
        return tuple(reverse for _, reverse in self._mirrored())

    @property
    def flip_indices(self) -> tuple[int, ...]:
        """The relation that each relation becomes when the image is mirrored.

        Raises:
            ValueError: the mirror image of a relation is not among them.
        """
        return tuple(index for index, _ in self._mirrored())

    def _mirrored(self) -> list[tuple[int, bool]]:
        position = {pair: index for index, pair in enumerate(self.pairs)}
        mirrored = []
        for tail, head in self.pairs:
            pair = self.landmark_flips[tail], self.landmark_flips[head]
            if pair not in position and pair[::-1] not in position:
                raise ValueError(f'{self.name}: the mirror image of a relation is missing', pair)
            reverse = pair not in position
            mirrored.append((position[pair[::-1] if reverse else pair], reverse))
        return mirrored

    def positions_of(self, smaller: RelationSet) -> tuple[int, ...]:
        """Return where the relations of a smaller set stand in this one.

        Raises:
            ValueError: one of them is not among these.
        """
        position = {pair: index for index, pair in enumerate(self.pairs)}
        missing = [pair for pair in smaller.pairs if pair not in position]
        if missing:
            raise ValueError(
                f'{len(missing)} of the {smaller.name!r} relations are not among the '
                f'{self.name!r} ones'
            )
        return tuple(position[pair] for pair in smaller.pairs)


# fmt: off
_SIDE_FULL = (
    (11, 12), (7, 11), (5, 7), (7, 12),      # Skinner line, shaft axis
    (6, 10), (10, 11), (7, 10),              # neck-shaft angle, neck base
    (6, 11), (6, 12),                        # femoral offset
    (6, 7), (5, 6), (5, 8),                  # head, fovea
    (3, 6), (4, 6),                          # centre-edge angle
    (6, 8), (3, 8),                          # acetabular offset, Sharp angle
    (3, 4), (2, 3), (2, 4),                  # acetabular index
    (1, 9), (1, 2), (2, 8), (8, 9),          # Koehler line, medial wall
)
_CROSS_FULL = (8, 6, 2, 9, 1, 7)             # reference lines; they catch swapped sides
_SIDE_CORE = (
    (11, 12), (6, 10), (10, 11), (7, 11), (5, 6), (5, 7), (6, 12), (3, 6),
    (6, 8), (3, 8), (3, 4), (2, 3), (2, 4), (1, 9), (8, 9),
)
_CROSS_CORE = (8, 6, 2, 1)
# fmt: on


def _build(
    name: str, same_side: tuple[tuple[int, int], ...], cross: tuple[int, ...]
) -> RelationSet:
    pairs = [
        (side_index(side, tail), side_index(side, head))
        for side in ('left', 'right')
        for tail, head in same_side
    ]
    pairs += [(side_index('left', number), side_index('right', number)) for number in cross]
    return RelationSet(name, tuple(pairs))


RELATION_SETS: dict[str, RelationSet] = {
    'full': _build('full', _SIDE_FULL, _CROSS_FULL),
    'core': _build('core', _SIDE_CORE, _CROSS_CORE),
}


def relation_set(name: str) -> RelationSet:
    """Return a named set of relations.

    Args:
        name: ``'full'`` (52 relations, 104 channels) or ``'core'`` (34 relations, 68 channels).

    Raises:
        ValueError: there is no such set.

    Example:
        >>> len(relation_set('full')), len(relation_set('core'))
        (52, 34)
    """
    if name not in RELATION_SETS:
        raise ValueError(f'unknown relation set {name!r}; choose from {sorted(RELATION_SETS)}')
    return RELATION_SETS[name]
