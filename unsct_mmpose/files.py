"""Files written whole or not at all, folders that a later run completes, json, names."""

from __future__ import annotations

import hashlib
import json
import math
import numbers
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TextIO


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


_TEMPORARY = re.compile(r'\..+\.(\d+)\.tmp')


def _temporary(target: Path) -> Path:
    """Return the file that this process writes before it becomes the target."""
    return target.with_name(f'.{target.name}.{os.getpid()}.tmp')


def sweep_temporaries(files: Iterable[Path]) -> None:
    """Remove of these files those that dead processes of this machine left half-written."""
    for path in files:
        named = _TEMPORARY.fullmatch(path.name)
        if named and not _lives(int(named[1])):
            with suppress(OSError):
                path.unlink()


def _lives(pid: int) -> bool:
    if os.name != 'posix':  # there a file that is open cannot be removed anyhow
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    try:
        stat = Path(f'/proc/{pid}/stat').read_text('ascii', errors='replace')
    except OSError:
        return True
    return stat.rpartition(')')[2].split()[:1] != ['Z']  # killed, and not yet taken note of


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
    temporary = _temporary(target)
    try:
        temporary.write_bytes(content)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_text(path: str | os.PathLike[str]) -> Iterator[TextIO]:
    """Open a UTF-8 file to be written piece by piece; it appears when all pieces are there.

    It stays as it was if writing fails.

    Raises:
        OSError: the folder does not exist or cannot be written to.
    """
    target = Path(path)
    temporary = _temporary(target)
    try:
        with temporary.open('w', encoding='utf-8', newline='') as file:
            yield file
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def claim_folder(folder: Path, name: str, manifest: str, content: str, difference: str) -> None:
    """Make a folder ours by a manifest, or make sure that an earlier run of ours did.

    What a killed run left half-written is removed.

    Args:
        folder: made if it is not there.
        name: of the manifest in it.
        manifest: what it says, a json object; the same in every run that may go on here.
        content: what the folder holds, for messages.
        difference: what to say when the manifest differs; ``{}`` stands for how.

    Raises:
        ValueError: the folder holds something else.
        OSError: it cannot be written to.
    """
    path = folder / name
    if path.exists():
        earlier = read_record(path)
        if earlier is None:
            raise ValueError(f'{path} is no manifest of {content}')
        differences = [
            f'{key} is {earlier.get(key)!r} there, {value!r} here'
            for key, value in json.loads(manifest).items()
            if earlier.get(key) != value
        ]
        if differences:
            raise ValueError(f'{folder} {difference.format("; ".join(differences))}')
        sweep_temporaries(folder.rglob('.*.tmp'))
        return
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f'{folder} is not empty and holds no {name}; choose another folder')
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(path, manifest.encode())


class JsonError(ValueError):
    """A file holds no json that can be read.

    Args:
        path: the file.
        cause: why, in words.
    """

    def __init__(self, path: str | os.PathLike[str], cause: str) -> None:
        super().__init__(f'{os.fspath(path)}: {cause}')
        self.cause = cause


_DIGITS = bytes(48 if 48 <= code < 58 else 32 for code in range(256))
_TOO_LONG = b'0' * 309
"""A whole number of so many digits is none that a float holds."""


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a json file, whatever it holds.

    Raises:
        JsonError: it cannot be read or holds no json; the message names it and the cause.
    """
    try:
        content = Path(path).read_bytes()
        if _TOO_LONG in content.translate(_DIGITS):
            raise JsonError(path, 'invalid JSON: a number in it is too long')
        return json.loads(content.decode('utf-8'))
    except OSError as error:
        cause = f'the file cannot be read ({error.strerror})'
    except UnicodeDecodeError:
        cause = 'the file is not UTF-8 text'
    except json.JSONDecodeError as error:
        cause = f'invalid JSON at line {error.lineno}, column {error.colno}: {error.msg}'
    except RecursionError:
        cause = 'its JSON is nested too deeply'
    raise JsonError(path, cause)


def read_record(path: Path) -> dict[str, Any] | None:
    """Return the object that a json file holds; None where there is none that can be read."""
    try:
        record = read_json(path)
    except JsonError:
        return None
    return record if isinstance(record, dict) else None


def write_record(path: Path, record: dict[str, Any], file: Path) -> None:
    """Write what is known of a finished file beside it, with the file's sha256."""
    record = {**record, 'sha256': file_sha256(file)}
    replace_file(path, json.dumps(record, allow_nan=False).encode())


def is_finished(record: Mapping[str, Any] | None, file: Path) -> bool:
    """Tell whether a file is as its record, which is written last, says."""
    try:
        return record is not None and file_sha256(file) == record.get('sha256')
    except OSError:
        return False


def write_json(path: Path, content: Any) -> None:
    """Write a result as json, whole or not at all; NaN becomes null.

    Args:
        path: the file; its folder is made if it is not there.
        content: what :func:`jsonable` takes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(jsonable(content), indent=1, allow_nan=False)
    replace_file(path, (text + '\n').encode())


def jsonable(value: Any, decimals: int | None = None) -> Any:
    """Return plain values, with null for NaN and infinity, which json does not know.

    Args:
        value: mappings, dataclasses, lists, tuples and scalars, those of NumPy too.
        decimals: round what is no whole number, without -0.0; None: do not.

    Example:
        >>> jsonable({'a': (1.5, math.nan)}), jsonable(-0.0001, 3)
        ({'a': [1.5, None]}, 0.0)
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is not float:
        if is_dataclass(value):
            value = {entry.name: getattr(value, entry.name) for entry in fields(value)}
        if isinstance(value, Mapping):
            return {key: jsonable(entry, decimals) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return [jsonable(entry, decimals) for entry in value]
        if hasattr(value, 'dtype'):
            value = value.item()
        if not isinstance(value, numbers.Real) or isinstance(value, numbers.Integral):
            return value
    if not math.isfinite(value):
        return None
    return float(value) if decimals is None else round(float(value), decimals) + 0.0


_PLAIN = (str, int, bool, type(None))  # most values; the tests for what else there is take long


class DistinctNames:
    """Gives the results of every file a name that no other file's have, whatever its folder.

    It is the stem of the file; where that is taken, the names of its folders stand before it, as
    many as it takes. Who comes first has the short name: two processes agree when they are given
    the same files in the same order.

    Args:
        paths: files that are to be named in this order.

    Example:
        >>> names = DistinctNames(['a/hip.dcm', 'b/hip.dcm'])
        >>> names.name('b/hip.dcm'), names.name('a/hip.dcm'), names.name('b/hip.png')
        ('b_hip', 'hip', 'b_hip_png')
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]] = ()) -> None:
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()
        for path in paths:
            self.name(path)

    def name(self, path: str | os.PathLike[str]) -> str:
        """Return the name for a file, the same one whenever it is asked for."""
        key = os.path.normpath(path)
        if key not in self._names:
            self._names[key] = next(
                name for name in _candidates(Path(key)) if name.lower() not in self._taken
            )
            self._taken.add(self._names[key].lower())
        return self._names[key]


def _candidates(path: Path) -> Iterator[str]:
    """Yield names for a file, from the shortest one on, without end."""
    stem, folders = path.stem or 'image', [part for part in path.parts[:-1] if part != path.anchor]
    longer = ['_'.join([*folders[-count:], stem]) for count in range(1, len(folders) + 1)]
    yield from (stem, *longer)
    longest = '_'.join(filter(None, [longer[-1] if longer else stem, path.suffix[1:]]))
    yield longest
    number = 2
    while True:
        yield f'{longest}_{number}'
        number += 1
