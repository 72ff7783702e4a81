"""Words that may stand in a message, whatever file they come from."""

from __future__ import annotations

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
