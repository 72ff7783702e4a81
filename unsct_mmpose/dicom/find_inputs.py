"""Which radiographs the arguments of a command line mean."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .header import printable
from .identity import looks_like_radiograph

_KINDS = (
    (stat.S_ISFIFO, 'a named pipe'),
    (stat.S_ISSOCK, 'a socket'),
    (stat.S_ISCHR, 'a device'),
    (stat.S_ISBLK, 'a device'),
)


@dataclass(frozen=True)
class FoundInputs:
    """What files, folders and patterns amount to.

    Attributes:
        paths: files to predict, each once: as given, folders in the order of their names.
        missing: arguments that name nothing that can be read, and links and folders that lead
            nowhere, each with the cause.
        passed_over: what folders hold beside DICOM files and pictures: other files, pipes,
            sockets, devices, links to folders.
        base: the deepest folder that holds every folder, file and pattern that was given.
    """

    paths: tuple[Path, ...]
    missing: tuple[tuple[str, str], ...]
    passed_over: tuple[Path, ...]
    base: Path | None = None

    def relative(self, path: Path) -> str:
        """Return a file's path below :attr:`base`, with slashes, fit to be shown."""
        absolute = Path(os.path.abspath(path))
        if self.base is None or not absolute.is_relative_to(self.base):
            return printable(path.name)
        return printable(absolute.relative_to(self.base).as_posix())


def find_inputs(arguments: Sequence[str], leave_out: Path | None = None) -> FoundInputs:
    """Find the files that arguments mean.

    A file that is named is taken whatever it holds. A folder is searched with its subfolders; of
    its files those are taken that start like a DICOM file or a picture (or are called .dcm). Links
    to files are followed, links to folders are not, so that no loop of links has an end to reach.
    Pipes, sockets and devices are never opened.

    Args:
        arguments: files, folders or patterns such as ``'study/**/*.dcm'``.
        leave_out: a folder whose files do not count when a folder is searched: the results'.

    Example:
        >>> find_inputs(['nowhere.dcm']).missing
        (('nowhere.dcm', 'there is no such file or folder'),)
    """
    paths: dict[Path, None] = {}
    missing: list[tuple[str, str]] = []
    passed_over: list[Path] = []
    roots: list[str] = []
    results = None if leave_out is None else os.path.realpath(leave_out)
    for argument in arguments:
        is_pattern = not os.path.lexists(argument) and glob.has_magic(argument)
        if is_pattern:
            matches = sorted(glob.glob(argument, recursive=True))
            if not matches:
                missing.append((printable(argument), 'there is no such match'))
        else:
            matches = [argument]
        for match in matches:
            if os.path.isdir(match):
                taken, other = _search(match, results, missing)
                paths.update(dict.fromkeys(taken))
                passed_over += other
                if not taken:
                    cause = 'the folder holds no DICOM file and no picture'
                    missing.append((printable(match), cause))
                root = match
            elif (problem := _why_no_file(match)) is not None:
                missing.append((printable(match), problem))
                continue
            else:
                paths[Path(match)] = None
                root = os.path.dirname(match)
            roots.append(os.path.abspath(_fixed_part(argument) if is_pattern else root))
    return FoundInputs(_once(paths), tuple(missing), tuple(passed_over), _common(roots))


def _why_no_file(path: str) -> str | None:
    """Return why a path cannot be read as a file; None where it can be tried."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if os.path.islink(path):
            return 'it is a link that leads nowhere'
        return 'there is no such file or folder'
    except ValueError:
        return 'no path can have this name'
    except OSError as error:
        return f'it cannot be opened ({error.strerror})'
    kind = next((words for test, words in _KINDS if test(mode)), None)
    return None if kind is None else f'it is {kind}, no file'


def _search(
    folder: str, leave_out: str | None, missing: list[tuple[str, str]]
) -> tuple[list[Path], list[Path]]:
    taken: list[Path] = []
    other: list[Path] = []

    def note(error: OSError) -> None:
        missing.append(
            (printable(str(error.filename)), f'the folder cannot be read ({error.strerror})')
        )

    for root, folders, names in os.walk(folder, onerror=note):
        if leave_out is not None and os.path.realpath(root) == leave_out:
            folders.clear()
            continue
        folders.sort()
        other += [
            Path(root, name)
            for name in folders
            if not name.startswith('.') and os.path.islink(os.path.join(root, name))
        ]
        for name in sorted(names):
            path = Path(root, name)
            if name.startswith('.'):
                continue
            if os.path.isfile(path):
                (taken if looks_like_radiograph(path) else other).append(path)
            elif os.path.exists(path):
                other.append(path)
            else:
                missing.append((printable(str(path)), _why_no_file(str(path)) or 'it is gone'))
    return taken, other


def _fixed_part(pattern: str) -> str:
    """Return the folders of a pattern before its first wildcard."""
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder


def _common(folders: Sequence[str]) -> Path | None:
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:  # none, or on several drives
        return None


def _once(paths: dict[Path, None]) -> tuple[Path, ...]:
    """Leave out what another spelling of the same path names already."""
    by_target: dict[str, Path] = {}
    for path in paths:
        by_target.setdefault(os.path.realpath(path), path)
    return tuple(by_target.values())
