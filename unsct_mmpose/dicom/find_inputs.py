"""Which radiographs the arguments of a command line mean."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .identity import looks_like_radiograph


@dataclass(frozen=True)
class FoundInputs:
    """What files, folders and patterns amount to.

    Attributes:
        paths: files to predict, each once: as given, folders in the order of their names.
        missing: arguments that name nothing, with the cause.
        passed_over: files of folders that are neither DICOM files nor pictures.
    """

    paths: tuple[Path, ...]
    missing: tuple[tuple[str, str], ...]
    passed_over: tuple[Path, ...]


def find_inputs(arguments: Sequence[str], leave_out: Path | None = None) -> FoundInputs:
    """Find the files that arguments mean.

    A file that is named is taken whatever it is. A folder is searched with its subfolders; of
    its files those are taken that start like a DICOM file or a picture (or are called .dcm).

    Args:
        arguments: files, folders or patterns such as ``'study/**/*.dcm'``.
        leave_out: a folder whose files do not count when a folder is searched: the results'.

    Example:
        >>> find_inputs(['nowhere.dcm']).missing
        (('nowhere.dcm', 'there is no such file or folder'),)
    """
    paths: dict[Path, None] = {}
    missing, passed_over = [], []
    results = None if leave_out is None else leave_out.resolve()
    for argument in arguments:
        if Path(argument).exists():
            matches = [argument]
        elif glob.has_magic(argument):
            matches = sorted(glob.glob(argument, recursive=True))
        else:
            matches = []
        if not matches:
            kind = 'file or folder' if not glob.has_magic(argument) else 'match'
            missing.append((argument, f'there is no such {kind}'))
        for match in map(Path, matches):
            if not match.is_dir():
                paths[match] = None
                continue
            taken, other = _search(match, results)
            paths.update(dict.fromkeys(taken))
            passed_over += other
            if not taken:
                missing.append((str(match), 'the folder holds no DICOM file and no picture'))
    return FoundInputs(_once(paths), tuple(missing), tuple(passed_over))


def _search(folder: Path, leave_out: Path | None) -> tuple[list[Path], list[Path]]:
    taken: list[Path] = []
    other: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if leave_out is None or Path(root, name).resolve() != leave_out
        )
        if leave_out is not None and Path(root).resolve() == leave_out:
            continue
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith('.'):
                (taken if looks_like_radiograph(path) else other).append(path)
    return taken, other


def _once(paths: dict[Path, None]) -> tuple[Path, ...]:
    """Leave out what another spelling of the same path names already."""
    by_target: dict[Path, Path] = {}
    for path in paths:
        by_target.setdefault(path.resolve(), path)
    return tuple(by_target.values())
