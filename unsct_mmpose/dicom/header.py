"""Header values that may be missing, empty or nonsense, read and made fit for a message.

pydicom converts a value when it is asked for, and then raises whatever the damage brings about.
Nothing outside this module asks a data set itself.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydicom import Dataset, Sequence
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.multival import MultiValue
from pydicom.uid import UID

_CODE_STRING = re.compile(r'[A-Z0-9_ ]{1,16}')
_NUMBER_TEXT = re.compile(r'[-+0-9.,eE\\ ]{1,64}')
_UID_TEXT = re.compile(r'[0-9.]{1,64}')


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's warnings to itself: some quote header values, which may identify a patient."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


def values(dataset: Dataset, keyword: str) -> list[Any]:
    """Return the values of an element; an empty list when it is missing, empty or unreadable."""
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom converts values on access; whatever fails is not a value
        return []
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    return list(value) if isinstance(value, (MultiValue, Sequence, list, tuple)) else [value]


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """Return the values of an element as floats; what is no number becomes NaN."""
    result = []
    for value in values(dataset, keyword):
        try:
            result.append(float(value))
        except (TypeError, ValueError, OverflowError):
            result.append(math.nan)
    return result


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return the first value of an element, or None when it is missing or not finite."""
    numeric = numbers(dataset, keyword)
    return numeric[0] if numeric and math.isfinite(numeric[0]) else None


def code(dataset: Dataset, keyword: str) -> str | None:
    """Return the first value of an element of codes (VR CS), in capitals, or None.

    Text that is not a code is dropped: free text may hold what identifies a patient.
    """
    texts = codes(dataset, keyword)
    return (texts[0] or None) if texts else None


def codes(dataset: Dataset, keyword: str) -> list[str | None]:
    """Return the values of an element of codes, in capitals; None for each that is not a code.

    A value that is there and empty is ``''``.
    """
    result: list[str | None] = []
    for value in values(dataset, keyword):
        text = str(value).strip().upper()
        result.append(text if not text or _CODE_STRING.fullmatch(text) else None)
    return result


def uid(dataset: Dataset, keyword: str) -> UID | None:
    """Return a UID, or None when it is missing or none."""
    for value in values(dataset, keyword)[:1]:
        text = str(value).strip(' \0')
        if _UID_TEXT.fullmatch(text):
            return UID(text)
    return None


def every_text(dataset: Dataset) -> Iterator[tuple[str, str, str]]:
    """Yield keyword, value representation and text of every element, those in sequences too.

    What cannot be converted comes as its bytes say in Latin-1.
    """
    for tag in sorted(dataset.keys()):
        try:
            element = dataset[tag]
            vr, value = str(element.VR), element.value
            if isinstance(value, Sequence):
                for item in value:
                    yield from every_text(item)
                continue
            text = str(value)
        except RecursionError:
            raise
        except Exception:  # pydicom converts values on access
            raw = dataset.get_item(tag, keep_deferred=True)
            vr = str(getattr(raw, 'VR', None) or 'UN')
            value = getattr(raw, 'value', None)
            text = value.decode('latin-1') if isinstance(value, bytes) else ''
        yield keyword_for_tag(tag), vr, text


def has(dataset: Dataset, keyword: str) -> bool:
    """Tell whether an element is there and not empty, readable or not."""
    raw = _raw(dataset, keyword)
    return raw is not None and raw not in ('', b'', [])


def is_unreadable(dataset: Dataset, keyword: str) -> bool:
    """Tell whether an element of numbers is there and holds something that is no number."""
    if not has(dataset, keyword) or _is_blank(_raw(dataset, keyword)):
        return False
    numeric = numbers(dataset, keyword)
    return not numeric or not all(map(math.isfinite, numeric))


def named(keyword: str) -> str:
    """Return an element's keyword and tag, for messages.

    Example:
        >>> named('Rows')
        'Rows (0028,0010)'
    """
    tag = tag_for_keyword(keyword) or 0
    return f'{keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X})'


def number_text(dataset: Dataset, keyword: str) -> str:
    """Return what stands in an element of numbers, where it can be nothing but a number.

    Anything else may identify a patient, and becomes ``'something that is no number'``.
    """
    raw = _raw(dataset, keyword)
    if isinstance(raw, bytes):
        raw = raw.decode('latin-1')
    elif isinstance(raw, (list, tuple, MultiValue)):
        raw = '\\'.join(map(str, raw))
    text = str(raw).strip(' \0')
    return text if _NUMBER_TEXT.fullmatch(text) else 'something that is no number'


def comma_advice(text: str) -> str:
    r"""Return what to write where a comma stands for a decimal point; empty where none does.

    Example:
        >>> comma_advice('0,143\\0,143')
        ': a comma is no decimal point, write 0.143\\0.143'
    """
    return f': a comma is no decimal point, write {text.replace(",", ".")}' if ',' in text else ''


def item_encoding_is_big(dataset: Dataset) -> bool:
    """Tell whether a data set was read from big-endian bytes."""
    encoding = getattr(dataset, 'original_encoding', (None, None))
    return encoding[1] is False


def _is_blank(raw: Any) -> bool:
    return isinstance(raw, (str, bytes)) and not raw.strip()


def _raw(dataset: Dataset, keyword: str) -> Any:
    """Return an element's value before pydicom converts it, or what it was converted to."""
    try:
        element = dataset.get_item(keyword)
        return None if element is None else element.value
    except Exception:  # an element that not even this can reach is not there
        return None


_LONGEST = 2000


def printable(text: str) -> str:
    r"""Return a text without control characters, line breaks and lone surrogates, shortened.

    A terminal obeys control characters, and a log takes a line break for a new message.

    Example:
        >>> printable('red \x1b[31m\nnew')
        'red \\x1b[31m\\nnew'
    """
    shown = ''.join(
        char if char.isprintable() else char.encode('unicode_escape').decode('ascii')
        for char in text
    )
    return shown if len(shown) <= _LONGEST else f'{shown[:_LONGEST]} ...'
