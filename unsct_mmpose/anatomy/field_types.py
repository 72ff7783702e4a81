"""Whether the fields of a record hold what their annotations say: for records read from json."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

_LARGEST = 1e300


def check_fields(record: Any) -> None:
    """Refuse a dataclass whose fields hold something else than they are declared to.

    A float may be any number up to 1e300, a whole one too, NaN and infinity.

    Raises:
        ValueError: the message names the first such field.

    Example:
        >>> from unsct_mmpose.anatomy import Region
        >>> check_fields(Region(0.95, (2.0, 1.0), 30.0))
        >>> check_fields(Region(0.95, (2.0, 'one'), 30.0))
        Traceback (most recent call last):
        ...
        ValueError: semi_axes_px[1] is no float
    """
    problem = _record_problem(record, '')
    if problem:
        raise ValueError(problem)


def _record_problem(record: Any, place: str) -> str | None:
    hints = get_type_hints(type(record))
    for part in fields(record):
        value = getattr(record, part.name)
        if problem := _problem(value, hints[part.name], f'{place}{part.name}'):
            return problem
    return None


def _problem(value: Any, hint: Any, place: str) -> str | None:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return None
    if origin in (Union, types.UnionType):
        problems = [_problem(value, part, place) for part in parts]
        return None if None in problems else problems[0]
    if origin is tuple:
        return _tuple_problem(value, parts, place)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_problem(value, parts, place)
    if hint is float:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = fits and not _LARGEST < abs(value) < math.inf  # whole numbers may be longer
    elif hint is int:
        fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST
    elif isinstance(hint, type) and is_dataclass(hint):
        return _record_problem(value, f'{place}.') if isinstance(value, hint) else _no(place, hint)
    else:
        fits = isinstance(value, hint)
    return None if fits else _no(place, hint)


def _tuple_problem(value: Any, parts: tuple[Any, ...], place: str) -> str | None:
    if not isinstance(value, tuple):
        return f'{place} is no list'
    if parts[-1] is Ellipsis:
        parts = parts[:1] * len(value)
    if len(value) != len(parts):
        return f'{place} has {len(value)} entries, not {len(parts)}'
    problems = (
        _problem(entry, part, f'{place}[{number}]')
        for number, (entry, part) in enumerate(zip(value, parts, strict=True))
    )
    return next(filter(None, problems), None)


def _mapping_problem(value: Any, parts: tuple[Any, ...], place: str) -> str | None:
    if not isinstance(value, Mapping):
        return f'{place} is no object'
    problems = (_problem(entry, parts[1], f'{place}.{key}') for key, entry in value.items())
    return next(filter(None, problems), None)


def _no(place: str, hint: Any) -> str:
    return f'{place} is no {getattr(hint, "__name__", hint)}'
