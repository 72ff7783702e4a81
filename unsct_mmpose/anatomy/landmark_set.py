"""A set of landmarks as data: what a network finds, in which order, and what belongs together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from unsct_mmpose.files import read_json

from .landmarks import (
    FLIP_INDICES,
    LANDMARK_CLASSES,
    LANDMARK_NAMES,
    SIDES,
    index_of,
    plain_name,
)
from .relations import RELATION_SETS, RelationSet

_SIGMA = 0.025
"""COCO's falloff constant of a landmark that has none of its own, for OKS."""

_FIELDS = tuple(
    ['name', 'names', 'pairs', 'labels', 'descriptions', 'relations', 'normalise_by', 'sigmas']
)
_REQUIRED = ('name', 'names', 'relations')


@dataclass(frozen=True)
class LandmarkSet:
    """K landmarks in the order of every file and tensor, with their mirror images and relations.

    Two landmarks that mirror each other are of one *class*, as is a landmark that has no twin.

    Attributes:
        name: of the set.
        names: full name of each landmark, in snake case; ``left_`` and ``right_`` tell its side.
        flip_indices: the landmark that each becomes when the image is mirrored; its own index
            where it has no twin.
        relations: name to relations; ``'full'`` trains and ``'core'``, if there, decides, unless
            a config says otherwise.
        labels: short text of each for pictures; by default the number of its class and its side.
        descriptions: of each landmark for reports; by default its name without its side.
        reference_pairs: ``(a, b, factor)``: the normalised mean error divides by ``factor`` times
            the distance of a and b, of the first pair that an image shows.
        sigmas: COCO's falloff constants, for OKS.

    Raises:
        ValueError: a field contradicts another; the message names it and the cure.

    Example:
        >>> face = LandmarkSet.from_dict(dict(
        ...     name='face', names=['left_eye', 'right_eye', 'nose'],
        ...     pairs=[['left_eye', 'right_eye']],
        ...     relations=dict(full=[['nose', 'left_eye'], ['nose', 'right_eye']]),
        ... ))
        >>> len(face), face.flip_indices, face.labels, face.clinical
        (3, (1, 0, 2), ('1L', '1R', '2'), False)
        >>> face.relations['full'].flip_indices
        (1, 0)
    """

    name: str
    names: tuple[str, ...]
    flip_indices: tuple[int, ...]
    relations: Mapping[str, RelationSet] = field(hash=False)
    labels: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    reference_pairs: tuple[tuple[int, int, float], ...] = ()
    sigmas: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        self._check_names()
        self._check_flips()
        self._check_relations()
        self._check_reference_pairs()
        if len(set(self.class_names)) < len(self.classes):
            self._refuse('names', 'gives two classes one name', 'let no landmark be called as a '
                         'pair without its sides')  # fmt: skip
        sides = {'left': 'L', 'right': 'R', None: ''}
        defaults = dict(
            labels=(f'{i + 1}{sides[self.side_of(k)]}' for k, i in enumerate(self.class_indices)),
            descriptions=(plain_name(_without_side(name)).capitalize() for name in self.names),
            sigmas=(_SIGMA for _ in self.names),
        )
        for name, default in defaults.items():
            values = getattr(self, name) or tuple(default)
            object.__setattr__(self, name, values)
            if len(values) != len(self):
                self._refuse(name, f'has {len(values)} entries', self._one_each)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def clinical(self) -> bool:
        """Whether the hip's table of clinical parameters is defined on these landmarks."""
        return self.names == LANDMARK_NAMES

    @cached_property
    def classes(self) -> tuple[tuple[int, ...], ...]:
        """The landmarks of each class: ``(first, mirror image)``, or ``(landmark,)``."""
        pairs = enumerate(self.flip_indices)
        return tuple((k,) if twin == k else (k, twin) for k, twin in pairs if twin >= k)

    @cached_property
    def class_indices(self) -> tuple[int, ...]:
        """The class of each landmark, a position in :attr:`classes`."""
        index = {k: i for i, members in enumerate(self.classes) for k in members}
        return tuple(index[k] for k in range(len(self)))

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class: that of its first landmark, without the side if it has two."""
        firsts = ((self.names[members[0]], len(members) == 2) for members in self.classes)
        return tuple(_without_side(name) if sided else name for name, sided in firsts)

    def index_of(self, name: str) -> int:
        """Return the position of a landmark.

        Raises:
            KeyError: no landmark has this name; the message lists those that there are.
        """
        if name not in self.names:
            raise KeyError(
                f'unknown landmark {name!r}; the {len(self)} of {self.name!r} are: '
                f'{", ".join(self.names)}'
            )
        return self.names.index(name)

    def side_of(self, index: int) -> str | None:
        """Return ``'left'`` or ``'right'`` of the patient, or None, as the name tells."""
        first = self.names[index].split('_')[0]
        return first if first in SIDES else None

    @cached_property
    def left_indices(self) -> tuple[int, ...]:
        """Those of the patient's left that have a right twin."""
        twins = enumerate(self.flip_indices)
        return tuple(k for k, twin in twins if twin != k and self.side_of(k) == 'left')

    def relation_set(self, name: str) -> RelationSet:
        """Return a named set of relations.

        Raises:
            ValueError: there is no such set.
        """
        if name not in self.relations:
            raise ValueError(
                f'unknown relation set {name!r} of the landmarks {self.name!r}; choose from '
                f'{sorted(self.relations)}'
            )
        return self.relations[name]

    def require_clinical(self, who: str) -> None:
        """Raise ValueError where the clinical parameters, which ``who`` needs, are not defined."""
        if not self.clinical:
            raise ValueError(
                f'{who} needs the clinical parameters, which are defined on the landmarks '
                f'{HIP.name!r}, not on {self.name!r}: leave it out of the config, or take '
                f'landmarks={HIP.name!r}'
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for json, by names instead of positions."""
        names = self.names
        return dict(
            name=self.name,
            names=list(names),
            pairs=[[names[k] for k in members] for members in self.classes if len(members) == 2],
            labels=list(self.labels),
            descriptions=list(self.descriptions),
            relations={
                key: [[names[tail], names[head]] for tail, head in relations.pairs]
                for key, relations in self.relations.items()
            },
            normalise_by=[[names[a], names[b], factor] for a, b, factor in self.reference_pairs],
            sigmas=list(self.sigmas),
        )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], source: str = 'landmark set') -> LandmarkSet:
        """Read what :meth:`to_dict` wrote, or a person did.

        Args:
            content: ``name``, ``names``, ``pairs`` (names of landmarks that mirror each other;
                default: none), ``relations`` (name to pairs of names) and, if not the defaults,
                ``labels``, ``descriptions``, ``normalise_by`` (two names, and a factor unless it
                is 1) and ``sigmas``.
            source: where it is from, for messages.

        Raises:
            ValueError: a field is missing, unknown or contradicts another; the message names
                source, field and cure.
        """
        for name in _REQUIRED:
            if name not in content:
                raise ValueError(f'{source}: field {name!r} is missing; give {list(_REQUIRED)}')
        for name in content:
            if name not in _FIELDS:
                fields = list(_FIELDS)
                raise ValueError(f'{source}: unknown field {name!r}; the fields are {fields}')
        try:
            return cls._of_names(content)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            text = error.args[0] if error.args else error
            raise ValueError(f'{source}: {text}') from error

    @classmethod
    def _of_names(cls, content: Mapping[str, Any]) -> LandmarkSet:
        names = tuple(content['names'])
        position = _Positions((name, k) for k, name in enumerate(names))
        flips = list(range(len(names)))
        for a, b in position.pairs('pairs', content.get('pairs', ())):
            if flips[a] != a or flips[b] != b or a == b:
                raise ValueError(
                    f"field 'pairs': {names[a]!r} and {names[b]!r} cannot mirror each other, one "
                    'is paired already or they are the same; pair every landmark once'
                )
            flips[a], flips[b] = b, a
        return cls(
            name=content['name'],
            names=names,
            flip_indices=tuple(flips),
            relations={
                key: RelationSet(
                    key, tuple(position.pairs(f'relations.{key}', pairs)), tuple(flips)
                )
                for key, pairs in content['relations'].items()
            },
            labels=tuple(content.get('labels', ())),
            descriptions=tuple(content.get('descriptions', ())),
            reference_pairs=tuple(
                (*pair, float(entry[2]) if len(entry) > 2 else 1.0)
                for entry in content.get('normalise_by', ())
                for pair in position.pairs('normalise_by', [entry[:2]])
            ),
            sigmas=tuple(map(float, content.get('sigmas', ()))),
        )

    @property
    def _one_each(self) -> str:
        return f'give one for each of the {len(self)} landmarks'

    def _refuse(self, name: str, problem: str, cure: str) -> None:
        raise ValueError(f'landmarks {self.name!r}: field {name!r} {problem}; {cure}')

    def _check_names(self) -> None:
        if not self.names or not all(isinstance(name, str) and name for name in self.names):
            self._refuse('names', 'holds no names', 'list the names of the landmarks')
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            self._refuse('names', f'holds {twice} more than once', 'give every landmark its own')

    def _check_flips(self) -> None:
        flips = self.flip_indices
        if len(flips) != len(self):
            self._refuse('flip_indices', f'has {len(flips)} entries', self._one_each)
        for k, twin in enumerate(flips):
            if not 0 <= twin < len(self) or flips[twin] != k:
                self._refuse(
                    'flip_indices',
                    f'mirrors {self.names[k]!r} into {twin}, which is not mirrored back',
                    'let twins name each other, and a landmark without a twin itself',
                )

    def _check_relations(self) -> None:
        if not self.relations:
            self._refuse('relations', 'is empty', "give at least 'full'")
        for key, relations in self.relations.items():
            where, pairs = f'relations.{key}', relations.pairs
            if not pairs or len(set(pairs)) < len(pairs):
                self._refuse(where, 'is empty or holds a pair twice', 'list each relation once')
            if relations.landmark_flips != self.flip_indices or relations.name != key:
                self._refuse(where, 'is of other landmarks', f'build it with the name {key!r} and '
                             'the flip_indices of the set')  # fmt: skip
            for tail, head in pairs:
                if not (0 <= tail < len(self) and 0 <= head < len(self)) or tail == head:
                    self._refuse(where, f'holds {(tail, head)}', 'join two landmarks of the set')
            try:
                _ = relations.flip_indices
            except ValueError as error:
                missing = [self.names[k] for k in error.args[1]]
                self._refuse(where, f'lacks {missing}, the mirror image of another', 'add it')

    def _check_reference_pairs(self) -> None:
        for a, b, factor in self.reference_pairs:
            if not (0 <= a < len(self) and 0 <= b < len(self)) or a == b or not factor > 0:
                self._refuse('reference_pairs', f'holds {(a, b, factor)}',
                             'give two landmarks and a positive factor')  # fmt: skip


class _Positions(dict[str, int]):
    """Where each name stands."""

    def pairs(self, where: str, entries: Iterable[Sequence[str]]) -> list[tuple[int, int]]:
        for entry in entries:
            if len(entry) != 2 or any(name not in self for name in entry):
                raise ValueError(
                    f'field {where!r} holds {list(entry)}; give two names out of field '
                    "'names' for each entry"
                )
        return [(self[a], self[b]) for a, b in entries]


def _without_side(name: str) -> str:
    first, _, rest = name.partition('_')
    return rest if first in SIDES and rest else name


_TEARDROP_TO_HEAD_DISTANCE = 1.5
"""Distance of the femoral heads over that of the teardrops, used where a head is absent."""

HIP = LandmarkSet(
    name='hip',
    names=LANDMARK_NAMES,
    flip_indices=FLIP_INDICES,
    relations=RELATION_SETS,
    descriptions=tuple(landmark.description for _ in SIDES for landmark in LANDMARK_CLASSES),
    reference_pairs=(
        (index_of('left_femoral_head_center'), index_of('right_femoral_head_center'), 1.0),
        (
            index_of('left_teardrop_lower_edge'),
            index_of('right_teardrop_lower_edge'),
            _TEARDROP_TO_HEAD_DISTANCE,
        ),
    ),
)
"""The paper's landmarks of AP pelvic radiographs: the default everywhere."""

_LANDMARK_SETS: dict[str, LandmarkSet] = {HIP.name: HIP}
"""Sets that have a name."""


def landmark_set(source: str | os.PathLike[str] | Mapping[str, Any] | LandmarkSet) -> LandmarkSet:
    """Return a set of landmarks as a config names it.

    Args:
        source: name of one of :data:`_LANDMARK_SETS`, json file, the content of one, or a set.

    Raises:
        ValueError: there is no such set, or the file or mapping does not hold one.
        OSError: the file cannot be read.

    Example:
        >>> landmark_set('hip') is HIP, landmark_set(HIP.to_dict()) == HIP
        (True, True)
    """
    if isinstance(source, LandmarkSet):
        return source
    if isinstance(source, Mapping):
        return LandmarkSet.from_dict(source, 'landmarks')
    name = os.fspath(source)
    if name in _LANDMARK_SETS:
        return _LANDMARK_SETS[name]
    if not name.endswith('.json'):
        raise ValueError(
            f'unknown landmarks {name!r}; give one of {sorted(_LANDMARK_SETS)}, a .json file or a '
            'mapping with its fields'
        )
    content = read_json(name)
    if not isinstance(content, Mapping):
        raise ValueError(f'{name}: holds no mapping; give {list(_REQUIRED)}')
    return LandmarkSet.from_dict(content, name)


def landmarks_of(metainfo: Mapping[str, Any] | None) -> LandmarkSet:
    """Return the landmarks of a data set, by its parsed meta information; else the hip's."""
    return landmark_set((metainfo or {}).get('landmarks', HIP))
