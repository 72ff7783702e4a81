"""The files of a run of predictions: their names, what is there already, tables and reports."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path, PurePosixPath
from typing import Any, TextIO
from urllib.parse import quote

import cv2
import numpy as np

from unsct_mmpose.dicom import Radiograph
from unsct_mmpose.files import jsonable, read_json, replace_file, replacing_text

from .prediction import DECIMALS, MEASUREMENT_FIELDS, Prediction

COLUMNS = (
    'image', 'result', 'kind', 'name', 'side', 'unit', 'value', 'low', 'high', 'standard_error',
    'x_px', 'y_px', 'reported', 'presence', 'uncertainty', 'reason', 'reference', 'plane',
    'reference_line', 'image_state', 'calibrated', 'simulated', 'systematic_error', 'promise',
    'path', 'sha256',
)  # fmt: skip
"""Of ``predictions.csv``: one row for each landmark and each measurement of each image."""

RESERVED = ('errors', 'predictions', 'report')
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
        """Return the name for an input, and whether the same content had it in this run already.

        Args:
            path: the input, as it was given to the constructor.
            sha256: hash of its content.
        """
        if sha256 in self._names:
            return self._names[sha256], True
        stem = _stem(path)
        long = _fit('_'.join([*PurePosixPath(path).parts[:-1], stem]), end=True)
        base = stem if self._stems[stem.lower()] < 2 else long
        named = (f'{base}-{sha256[:8]}', f'{base}-{sha256}')
        earlier = dict.fromkeys((base, stem, long, named[0], f'{stem}-{sha256[:8]}'))
        name = next((one for one in earlier if self._is_free(one, sha256, earlier=True)), None)
        if name is None:
            name = next(one for one in (base, *named) if self._is_free(one, sha256))
        self._owners[name.lower()] = self._names[sha256] = name
        return name, False

    def _is_free(self, name: str, sha256: str, *, earlier: bool = False) -> bool:
        """Tell whether content may have a name; ``earlier``: whether it has it from before."""
        if name.lower() in RESERVED or name.lower() in self._owners:
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
    return json.loads(json.dumps(dict(prediction.model))) == plain_identity(identity)


def plain_identity(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return an identity as it is stored."""
    result: dict[str, Any] = json.loads(json.dumps(jsonable(identity, DECIMALS)))
    return result


def table_rows(prediction: Prediction, result: str) -> Iterator[dict[str, Any]]:
    """Return the rows of ``predictions.csv`` about one image; unknown values are empty."""
    common = dict(
        image=prediction.image.file_name,
        result=result,
        plane=prediction.spacing.plane,
        reference_line=prediction.reference_line,
        image_state=prediction.image_state,
        calibrated=_word(prediction.calibrated),
        simulated=_word(prediction.simulated),
        path=prediction.image.path or '',
        sha256=prediction.image.sha256,
    )
    for index, landmark in enumerate(prediction.landmarks):
        yield common | dict(
            kind='landmark',
            name=landmark.name,
            side=prediction.landmark_set.side_of(index),
            unit='px',
            x_px=jsonable(landmark.x, DECIMALS),
            y_px=jsonable(landmark.y, DECIMALS),
            reported=_word(landmark.reported),
            presence=jsonable(landmark.presence, DECIMALS),
            uncertainty=jsonable(landmark.uncertainty, DECIMALS),
            promise=prediction.region_promise,
        )
    for measurement in prediction.measurements:
        fields = {
            name: jsonable(getattr(measurement, name), DECIMALS) for name in MEASUREMENT_FIELDS
        }
        yield common | dict(kind='measurement', promise=prediction.interval_promise, **fields)


class RunTables:
    """Writes ``predictions.csv`` and ``report.html`` piece by piece; both appear at the end.

    Where they cannot be written any more, as on a full disk, they are given up; the run goes on.

    Attributes:
        problem: why they were given up; empty where they were not.

    Args:
        folder: where they go.
        expected: how many images there will be; decides the form of the report.
        report: whether to write a report.
    """

    def __init__(self, folder: Path, expected: int, *, report: bool) -> None:
        self.folder, self.with_report = folder, report
        self.whole = expected <= WHOLE_REPORT
        self.problem = ''
        self._stack = ExitStack()
        self._csv: csv.DictWriter | None = None
        self._html: TextIO | None = None
        self._sections: list[str] = []

    def __enter__(self) -> RunTables:
        try:
            self._open()
        except OSError as error:
            self._give_up(error)
        return self

    def _open(self) -> None:
        with ExitStack() as stack:
            file = stack.enter_context(replacing_text(self.folder / 'predictions.csv'))
            self._csv = csv.DictWriter(file, COLUMNS, lineterminator='\n')
            self._csv.writeheader()
            if self.with_report:
                from .html import index_head, page_head

                self._html = stack.enter_context(replacing_text(self.folder / 'report.html'))
                self._html.write(page_head('', 'Table of a run') + index_head())
            self._stack = stack.pop_all()

    def __exit__(self, *exception: Any) -> None:
        try:
            self._stack.__exit__(*exception)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.problem = f'it cannot be written ({error.strerror or error})'
        self._csv = self._html = None
        stack, self._stack = self._stack, ExitStack()
        with suppress(OSError):
            stack.__exit__(type(error), error, error.__traceback__)

    def write_page(self, prediction: Prediction, name: str, radiograph: Radiograph) -> None:
        """Write the page of one image, where a run has one for each.

        Raises:
            OSError: it cannot be written.
        """
        if self.with_report and not self.whole:
            from .html import render_report

            title = prediction.image.path or prediction.image.file_name
            page = render_report([(prediction, radiograph)], title)
            replace_file(self.folder / f'{name}.html', page.encode())

    def add(self, prediction: Prediction, name: str, radiograph: Radiograph | None) -> None:
        """Add an image: its rows, its line in the report, its section.

        Args:
            prediction: of the image.
            name: of its results.
            radiograph: None when the results were there already and the report is a table.
        """
        try:
            self._add(prediction, name, radiograph)
        except OSError as error:
            self._give_up(error)

    def _add(self, prediction: Prediction, name: str, radiograph: Radiograph | None) -> None:
        if self._csv is not None:
            self._csv.writerows(table_rows(prediction, name))
        if self._html is None:
            return
        from .html import index_row, render_section, thumbnail

        links = [('json', f'{quote(name)}.json')]
        if self.whole and radiograph is not None:
            number = len(self._sections) + 1
            self._sections.append(render_section(prediction, radiograph, number))
            links.insert(0, ('section', f'#image-{number}'))
        elif not self.whole:
            links.insert(0, ('page', f'{quote(name)}.html'))
        if radiograph is not None:
            picture = thumbnail(prediction, radiograph)
        else:
            picture = _stored_thumbnail(self.folder / f'{name}.png')
        self._html.write(index_row(prediction, picture, links))

    def finish(self, counts: Sequence[tuple[str, str]], errors: Sequence[tuple[str, str]]) -> None:
        """Write what comes after the last image."""
        if self._html is None:
            return
        from .html import index_foot, page_foot

        try:
            self._html.write(index_foot(counts, errors))
            self._html.writelines(self._sections)
            self._html.write(page_foot())
        except OSError as error:
            self._give_up(error)


def write_errors(
    path: Path,
    errors: Iterable[tuple[str, str]],
    passed_over: Iterable[str],
    no_images: Iterable[tuple[str, str]] = (),
    duplicates: Iterable[tuple[str, str]] = (),
    reports: Iterable[tuple[str, str]] = (),
) -> None:
    """Write ``errors.json``: what a run has no results of, and why.

    Args:
        path: the file.
        errors: files that could not be predicted, with causes.
        passed_over: files of folders that are no images.
        no_images: DICOM files that are none, with what they are.
        duplicates: files whose content another one has, with the name of its results.
        reports: files whose structured report could not be written, with causes.
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


def _stored_thumbnail(path: Path) -> np.ndarray | None:
    try:  # not by its path, which need not be UTF-8
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        return None
    stored = cv2.imdecode(content, cv2.IMREAD_REDUCED_COLOR_4) if content.size else None
    return None if stored is None else np.ascontiguousarray(stored[..., ::-1])


def _word(value: bool | None) -> str:
    return '' if value is None else str(value).lower()
