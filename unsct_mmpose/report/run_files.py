"""The files of a run of predictions: their names, what is there already, tables and reports."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

import cv2
import numpy as np

from unsct_mmpose.dicom import Radiograph
from unsct_mmpose.files import jsonable, replace_file, replacing_text

from .prediction import DECIMALS, MEASUREMENT_FIELDS, Prediction

COLUMNS = (
    'image', 'result', 'kind', 'name', 'side', 'unit', 'value', 'low', 'high', 'standard_error',
    'x_px', 'y_px', 'reported', 'presence', 'uncertainty', 'reason', 'reference', 'plane',
    'reference_line', 'image_state', 'calibrated', 'simulated', 'systematic_error', 'promise',
)  # fmt: skip
"""Of ``predictions.csv``: one row for each landmark and each measurement of each image."""

RESERVED = ('errors', 'predictions', 'report')
WHOLE_REPORT = 20
"""A run of so many images has them all in ``report.html``; a longer one has a page for each, and
``report.html`` is the table of them, so that no page grows without bound."""


class ResultNames:
    """Gives every input a name for its results that no other input has.

    It is the stem of the file; where that is taken by other content, in this run or by an earlier
    one in the same folder, the beginning of the content's hash is added.

    Args:
        folder: where the results go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._owners: dict[str, str] = {}

    def name(self, path: Path, sha256: str) -> tuple[str, bool]:
        """Return the name for an input, and whether the same content had it in this run already.

        Args:
            path: the input.
            sha256: hash of its content.
        """
        stem = path.stem or 'image'
        for candidate in (stem, f'{stem}-{sha256[:8]}', f'{stem}-{sha256}'):
            key = candidate.lower()
            if key in RESERVED:
                continue
            if key in self._owners:
                if self._owners[key] == sha256:
                    return candidate, True
                continue
            before = read_result(self.folder / f'{candidate}.json')
            if before is None or before.image.sha256 == sha256:
                self._owners[key] = sha256
                return candidate, False
        raise AssertionError('two contents with one hash')


def read_result(path: Path) -> Prediction | None:
    """Return the prediction in a json file; None where there is none that can be read."""
    try:
        return Prediction.from_dict(json.loads(path.read_text('utf-8')), str(path))
    except (OSError, ValueError):
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

    Args:
        folder: where they go.
        expected: how many images there will be; decides the form of the report.
        report: whether to write a report.
    """

    def __init__(self, folder: Path, expected: int, *, report: bool) -> None:
        self.folder, self.with_report = folder, report
        self.whole = expected <= WHOLE_REPORT
        self._stack = ExitStack()
        self._csv: csv.DictWriter | None = None
        self._html: TextIO | None = None
        self._sections: list[str] = []

    def __enter__(self) -> RunTables:
        with ExitStack() as stack:
            file = stack.enter_context(replacing_text(self.folder / 'predictions.csv'))
            self._csv = csv.DictWriter(file, COLUMNS, lineterminator='\n')
            self._csv.writeheader()
            if self.with_report:
                from .html import index_head, page_head

                self._html = stack.enter_context(replacing_text(self.folder / 'report.html'))
                self._html.write(page_head('', 'Table of a run') + index_head())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def add(self, prediction: Prediction, name: str, radiograph: Radiograph | None) -> None:
        """Add an image: its rows, its line in the report, its section or page.

        Args:
            prediction: of the image.
            name: of its results.
            radiograph: None when the results were there already and the report is a table.
        """
        assert self._csv is not None
        self._csv.writerows(table_rows(prediction, name))
        if self._html is None:
            return
        from .html import index_row, render_report, render_section, thumbnail

        links = [('json', f'{quote(name)}.json')]
        if self.whole and radiograph is not None:
            number = len(self._sections) + 1
            self._sections.append(render_section(prediction, radiograph, number))
            links.insert(0, ('section', f'#image-{number}'))
        elif not self.whole:
            links.insert(0, ('page', f'{quote(name)}.html'))
            if radiograph is not None:
                page = render_report([(prediction, radiograph)], prediction.image.file_name)
                replace_file(self.folder / f'{name}.html', page.encode())
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

        self._html.write(index_foot(counts, errors))
        self._html.writelines(self._sections)
        self._html.write(page_foot())


def write_errors(
    path: Path,
    errors: Iterable[tuple[str, str]],
    passed_over: Iterable[Path],
    no_images: Iterable[tuple[str, str]] = (),
) -> None:
    """Write ``errors.json``: what could not be predicted, with causes, and what was no image."""
    content = {
        'errors': [{'file': name, 'cause': cause} for name, cause in errors],
        'no_images': [{'file': name, 'kind': kind} for name, kind in no_images],
        'passed_over': [str(path) for path in passed_over],
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    replace_file(path, (text + '\n').encode('utf-8', 'backslashreplace'))


def _stored_thumbnail(path: Path) -> np.ndarray | None:
    stored = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_4) if path.is_file() else None
    return None if stored is None else np.ascontiguousarray(stored[..., ::-1])


def _word(value: bool | None) -> str:
    return '' if value is None else str(value).lower()
