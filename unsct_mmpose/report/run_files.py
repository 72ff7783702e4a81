"""The files of a run of predictions: their names, what is there already, what is written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from unsct_mmpose.files import jsonable, read_json, replace_file, replacing_text

from .prediction import DECIMALS, Prediction
from .writers.base import Item, all_formats

_RESERVED = ('errors', 'predictions', 'report')
_LONGEST_NAME = 150  # bytes; a hash, a suffix and a temporary file's affixes: below 255
WHOLE_REPORT = 20
"""A run of so many images has them all in ``report.html``; a longer one has a page for each, and
``report.html`` is the table of them, so that no page grows without bound."""


class ResultNames:
    """Gives every content a name for its results that no other content has.

    It is the stem of the file; where several files of the run have that, the names of their folders
    stand before it; where other content has it, in this run or by an earlier one in the same
    folder, the beginning of the content's hash is added. Content that an earlier run has named
    keeps its name.

    Args:
        folder: where the results go.
        paths: of all inputs of the run, relative and with slashes.
    """

    def __init__(self, folder: Path, paths: Iterable[str]) -> None:
        self.folder = folder
        self._stems = Counter(_stem(path).lower() for path in paths)
        self._owners: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def name(self, path: str, sha256: str) -> tuple[str, bool]:
        """Return the name for an input, and whether the same content had it in this run already."""
        if sha256 in self._names:
            return self._names[sha256], True
        stem = _stem(path)
        long = _fit('_'.join([*PurePosixPath(path).parts[:-1], stem]), end=True)
        base = stem if self._stems[stem.lower()] < 2 else long
        named = (f'{base}-{sha256[:8]}', f'{base}-{sha256}')
        earlier = dict.fromkeys((base, stem, long, named[0], f'{stem}-{sha256[:8]}'))
        name = next(
            (taken for taken in earlier if self._is_free(taken, sha256, earlier=True)), None
        )
        if name is None:
            name = next(free for free in (base, *named) if self._is_free(free, sha256))
        self._owners[name.lower()] = self._names[sha256] = name
        return name, False

    def _is_free(self, name: str, sha256: str, *, earlier: bool = False) -> bool:
        """Tell whether content may have a name; ``earlier``: whether it has it from before."""
        if name.lower() in _RESERVED or name.lower() in self._owners:
            return False
        before = read_result(self.folder / f'{name}.json')
        return not earlier if before is None else before.image.sha256 == sha256


def _stem(path: str) -> str:
    return _fit(PurePosixPath(path).stem or 'image')


def _fit(name: str, end: bool = False) -> str:
    """Return a name that any file system takes with what is put around it; its end may count."""
    clean = ''.join(char if char.isprintable() and char not in '\\/' else '_' for char in name)
    encoded = clean.encode()
    kept = encoded[-_LONGEST_NAME:] if end else encoded[:_LONGEST_NAME]
    return kept.decode('utf-8', 'ignore')


def read_result(path: Path) -> Prediction | None:
    """Return the prediction in a json file; None where there is none that can be read."""
    try:
        return Prediction.from_dict(read_json(path), str(path))
    except ValueError:
        return None


def same_model(prediction: Prediction, identity: Mapping[str, Any]) -> bool:
    """Tell whether a stored prediction comes from the model with this identity."""
    stored, own = dict(prediction.model), jsonable(identity, DECIMALS)
    return bool(json.loads(json.dumps(stored)) == json.loads(json.dumps(own)))


class RunOutputs:
    """Writes what a run leaves, in every format that it has.

    The files of the whole run appear together, at its end. Where they cannot be written any more,
    as on a full disk, they are given up; the run goes on.

    Attributes:
        problem: why they were given up; empty where they were not.

    Args:
        folder: where everything goes.
        expected: how many images there will be; decides the form of the report.
        report: whether to write pages for people.
        structured_report: whether to write DICOM structured reports.
    """

    def __init__(
        self, folder: Path, expected: int, *, report: bool, structured_report: bool
    ) -> None:
        self.folder, self.whole = folder, expected <= WHOLE_REPORT
        self.report, self.structured_report = report, structured_report
        self.problem = ''
        self._formats = all_formats()
        self._writers = [kind(self) for kind in self._formats if kind.is_wanted(self)]
        self._stack = ExitStack()

    def __enter__(self) -> RunOutputs:
        with self._giving_up(), ExitStack() as opened:
            opened.push(self._stack)
            for writer in self._writers:
                writer.open()
            opened.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        with self._giving_up():
            self._stack.__exit__(*exception)

    @contextmanager
    def _giving_up(self) -> Iterator[None]:
        """Give the files of the whole run up where they cannot be written."""
        try:
            yield
        except OSError as error:
            self.problem = f'it cannot be written ({error.strerror or error})'
            stack, self._stack = self._stack, ExitStack()
            with suppress(OSError):
                stack.__exit__(type(error), error, error.__traceback__)

    def open_text(self, name: str) -> TextIO:
        """Open a file of the whole run, which appears at its end or not at all."""
        return self._stack.enter_context(replacing_text(self.folder / name))

    @property
    def reads_again(self) -> bool:
        """Whether an image whose results are there already must be read again."""
        return any(writer.reads_again for writer in self._writers)

    @property
    def written(self) -> int:
        """Files that were written in formats that count them."""
        return sum(writer.written for writer in self._writers)

    @property
    def failures(self) -> list[tuple[str, str]]:
        """Files that a format could not be written of, with causes."""
        return [failure for writer in self._writers for failure in writer.failures]

    def are_there(self, item: Item) -> bool:
        """Tell whether an earlier run has left all of an image that cannot be made of its json."""
        return all(writer.from_record or writer.is_there(item) for writer in self._writers)

    def complete(self, item: Item) -> None:
        """Write what an earlier run has not, in the formats that can be made of its json."""
        for writer in self._writers:
            if writer.from_record and not writer.is_there(item):
                writer.write(item)

    def write(self, item: Item) -> None:
        """Write the files of one image, its json last.

        Raises:
            OSError: one cannot be written.
        """
        for kind in self._formats:
            if kind.optional:  # of another prediction
                (self.folder / f'{item.name}{kind.suffix}').unlink(missing_ok=True)
        for writer in self._writers:
            writer.write(item)
        # last: a run that is cut off before this does it again
        self.write_json(item.prediction, item.name)

    def write_json(self, prediction: Prediction, name: str) -> None:
        """Write the json of one image.

        Raises:
            OSError: it cannot be written.
        """
        replace_file(self.folder / f'{name}.json', prediction.to_json().encode())

    def add(self, make: Callable[[], Item]) -> None:
        """Add an image, made when it is needed, to the files of the whole run."""
        if not self.problem:
            with self._giving_up():
                item = make()
                for writer in self._writers:
                    writer.add(item)

    def finish(self, counts: Sequence[tuple[str, str]], errors: Sequence[tuple[str, str]]) -> None:
        """Write what comes after the last image."""
        if not self.problem:
            with self._giving_up():
                for writer in self._writers:
                    writer.close(counts, errors)


def write_errors(
    path: Path,
    errors: Iterable[tuple[str, str]],
    passed_over: Iterable[str],
    no_images: Iterable[tuple[str, str]] = (),
    duplicates: Iterable[tuple[str, str]] = (),
    reports: Iterable[tuple[str, str]] = (),
) -> None:
    """Write ``errors.json``: what a run has no results of, and why.

    Files that could not be predicted, or their report not be written, with causes; files that are
    no images, with what they are; files whose content another one has, with its results' name.
    """
    content = {
        'errors': [{'file': name, 'cause': cause} for name, cause in errors],
        'no_images': [{'file': name, 'kind': kind} for name, kind in no_images],
        'passed_over': list(passed_over),
        'duplicates': [{'file': name, 'result': result} for name, result in duplicates],
        'structured_reports': [{'file': name, 'cause': cause} for name, cause in reports],
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    replace_file(path, (text + '\n').encode('utf-8', 'backslashreplace'))
