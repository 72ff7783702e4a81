"""Writing a file whole or not at all, and telling files apart."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Return the sha256 of a file, read a piece at a time.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with Path(path).open('rb') as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def replace_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file through a temporary file in the same folder.

    Whoever reads ``path`` meanwhile sees the old file or the new one, never half of one.

    Args:
        path: the file to write; its folder must exist.
        content: everything that it is to hold.

    Raises:
        OSError: the folder does not exist or cannot be written to; ``path`` is as it was.
    """
    target = Path(path)
    temporary = target.with_name(f'.{target.name}.{os.getpid()}.tmp')
    try:
        temporary.write_bytes(content)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_text(path: str | os.PathLike[str]) -> Iterator[TextIO]:
    """Open a text file to be written piece by piece; it appears when all pieces are there.

    Args:
        path: the file to write; its folder must exist. It stays as it was if writing fails.

    Yields:
        A file to write UTF-8 text to.

    Raises:
        OSError: the folder does not exist or cannot be written to.
    """
    target = Path(path)
    temporary = target.with_name(f'.{target.name}.{os.getpid()}.tmp')
    try:
        with temporary.open('w', encoding='utf-8', newline='') as file:
            yield file
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
