"""Writing a file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


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
