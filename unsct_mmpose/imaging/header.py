"""Reading header values that may be missing, empty or nonsense."""

from __future__ import annotations

import math
import re
from typing import Any

from pydicom import Dataset, Sequence
from pydicom.multival import MultiValue

_DIRECTION = re.compile(r'[APRLHF]{1,3}')
_CODE_STRING = re.compile(r'[A-Z0-9_ ]{1,16}')


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
        except (TypeError, ValueError):
            result.append(math.nan)
    return result


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return the first value of an element, or None when it is missing or not finite."""
    found = numbers(dataset, keyword)
    return found[0] if found and math.isfinite(found[0]) else None


def code(dataset: Dataset, keyword: str) -> str | None:
    """Return the first value of an element of codes (VR CS), in capitals, or None.

    Text that is not a code is dropped: free text may hold what identifies a patient.
    """
    for value in values(dataset, keyword)[:1]:
        text = str(value).strip().upper()
        if _CODE_STRING.fullmatch(text):
            return text
    return None


def patient_orientation(dataset: Dataset) -> str | None:
    r"""Return where rows and columns run, as in PS3.3, C.7.6.1.1.1; None when it is not said.

    Example:
        >>> header = Dataset()
        >>> header.PatientOrientation = ['L', 'F']
        >>> patient_orientation(header)
        'L\\F'
    """
    found = [str(value).strip().upper() for value in values(dataset, 'PatientOrientation')]
    if len(found) != 2 or not all(_DIRECTION.fullmatch(one) for one in found):
        return None
    return '\\'.join(found)
