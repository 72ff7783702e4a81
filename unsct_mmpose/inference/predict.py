"""Predict files: json, picture, table and report of each, without torch or MMPose of its own.

The backend may be PyTorch's or ONNX's; :func:`predict_one` gives everything in memory, and
:func:`predict_files` writes it for a run of files.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from unsct_mmpose.cores import allowed_cores
from unsct_mmpose.dicom import Radiograph
from unsct_mmpose.dicom.find_inputs import FoundInputs
from unsct_mmpose.dicom.header import printable
from unsct_mmpose.dicom.isolation import OutOfTimeError, file_clock
from unsct_mmpose.dicom.read_ahead import (
    FileOptions,
    ReadFile,
    Workers,
    read_ahead,
    read_file,
    result_of,
)
from unsct_mmpose.files import file_sha256, sweep_temporaries
from unsct_mmpose.report.picture import draw_prediction, encode_png
from unsct_mmpose.report.prediction import Backend, Prediction
from unsct_mmpose.report.run_files import (
    ResultNames,
    RunOutputs,
    read_result,
    same_model,
    write_errors,
)
from unsct_mmpose.report.writers.base import Item

from .inferencer import Background, Inferencer, Source, open_source, source_name


def default_batch_size() -> int:
    """Return how many radiographs a model should read at a time on this machine."""
    return min(max(2 * allowed_cores(), 4), 16)


def default_jobs() -> int:
    """Return how many processes should decode ahead on this machine."""
    return max(allowed_cores() // 2, 1)


@dataclass(frozen=True)
class PredictOptions:
    """How a run predicts.

    Attributes:
        read: how files are read.
        batch_size: radiographs that the model reads at a time.
        jobs: processes that decode ahead of the model; 0 decodes in this one.
        overwrite: predict again what is there already.
        report: whether to write reports.
        structured_report: whether to write a DICOM structured report for each DICOM file.
        progress: show a bar.
    """

    read: FileOptions = field(default_factory=FileOptions)
    batch_size: int = field(default_factory=default_batch_size)
    jobs: int = field(default_factory=default_jobs)
    overwrite: bool = False
    report: bool = True
    structured_report: bool = False
    progress: bool = True


@dataclass(frozen=True)
class PredictResult:
    """What a run did.

    Attributes:
        predicted: files that were predicted.
        already_there: files whose results were there from the same model.
        duplicates: files with the content of another one of the run, which has its results.
        errors: what could not be predicted, with causes.
        passed_over: files of folders that are no images.
        no_images: DICOM files that are whole and no images, with what they are.
        reports: structured reports that were written.
        report_errors: files whose structured report could not be written, with causes; they are
            predicted nevertheless.
    """

    predicted: int
    already_there: int
    duplicates: tuple[Path, ...]
    errors: tuple[tuple[str, str], ...]
    passed_over: tuple[Path, ...]
    no_images: tuple[tuple[str, str], ...] = ()
    reports: int = 0
    report_errors: tuple[tuple[str, str], ...] = ()

    @property
    def exit_status(self) -> int:
        """0 when all is well, 1 when something failed, 2 when nothing could be predicted.

        A file that is no image is no failure.
        """
        if not self.predicted and not self.already_there:
            return 2
        return 1 if self.errors or self.report_errors else 0


@dataclass(frozen=True, eq=False)
class OneResult:
    """Everything about one radiograph, in memory.

    Attributes:
        prediction: the values.
        radiograph: the image.
    """

    prediction: Prediction
    radiograph: Radiograph

    def overlay(self, long_side_px: int = 1200) -> np.ndarray:
        """Return the picture with the landmarks, ``(H, W, 3)`` RGB."""
        return draw_prediction(self.prediction, self.radiograph, long_side_px)

    def overlay_png(self, long_side_px: int = 1200) -> bytes:
        """Return the same as a PNG file."""
        return encode_png(self.overlay(long_side_px))

    def html(self) -> str:
        """Return the report, a self-contained page."""
        from unsct_mmpose.report.html import render_report

        return render_report([(self.prediction, self.radiograph)], self.prediction.image.file_name)


def predict_one(
    source: Source, backend: Backend, *, name: str | None = None, **given: Any
) -> OneResult:
    """Predict one radiograph and keep everything in memory.

    Args:
        source: path, array, ``pydicom.Dataset`` or :class:`Radiograph`.
        backend: the model.
        name: what the prediction calls the image; by default the name of its file.
        given: ``spacing_xy_mm``, ``magnification``, ``mirrored`` and ``frame``, as
            :func:`unsct_mmpose.dicom.read_radiograph` takes them.

    Raises:
        RadiographError: the source cannot be read; the message says why.
    """
    radiograph = open_source(source, **given)
    named = [(radiograph, name or source_name(source))]
    return OneResult(Inferencer(backend).predict_radiographs(named)[0], radiograph)


def predict_files(
    backend: Backend,
    inputs: FoundInputs,
    out: Path,
    options: PredictOptions | None = None,
    workers: Workers | None = None,
) -> PredictResult:
    """Predict files into a folder: ``NAME.json``, ``NAME.png`` and the tables of the run.

    A file that cannot be read, or whose results cannot be written, does not end the run. What is
    there already from the same model and the same content is not predicted again. Memory does not
    grow with the number of files.

    Args:
        backend: the model.
        inputs: the files, from :func:`unsct_mmpose.dicom.find_inputs.find_inputs`.
        out: folder for the results; made if it is not there.
        options: how.
        workers: the ``jobs`` processes, where they were started while the model was loaded; they
            end with the run.

    Raises:
        OSError: the folder cannot be made or written to; the message says so.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        sweep_temporaries(out.glob('.*.tmp'))
        (probe := out / f'.unsct.{os.getpid()}.tmp').touch()
        probe.unlink()
    except OSError as error:
        shown, why = printable(str(out)), error.strerror or error
        raise OSError(f'{shown}: no results can be written there ({why})') from None
    return _Run(backend, inputs, out, options or PredictOptions()).run(workers)


class _Run:
    """One run: its files, and what has become of them."""

    def __init__(
        self, backend: Backend, inputs: FoundInputs, out: Path, options: PredictOptions
    ) -> None:
        self.inferencer = Inferencer(backend, batch_size=options.batch_size)
        self.background = Background()
        self.inputs, self.out, self.options = inputs, out, options
        self.relative = {path: inputs.relative(path) for path in inputs.paths}
        self.names = ResultNames(out, self.relative.values())
        self.results: dict[Path, str] = {}
        self.errors: list[tuple[str, str]] = list(inputs.missing)
        self.no_images: list[tuple[str, str]] = []
        self.duplicates: list[tuple[Path, str]] = []
        self.predicted = self.already_there = 0
        self.under_way: tuple[Sequence[ReadFile], Future[list[Prediction]]] | None = None
        self.to_add = deque(dict.fromkeys(inputs.paths))
        self.items: dict[Path, Callable[[], Item] | None] = {}

    def run(self, workers: Workers | None = None) -> PredictResult:
        paths, options = self.inputs.paths, self.options
        outputs = RunOutputs(
            self.out,
            len(paths),
            report=options.report,
            structured_report=options.structured_report,
        )
        bar = tqdm(total=len(paths), desc='radiographs', unit='', disable=not options.progress)
        with bar, outputs:
            self.bar, self.outputs = bar, outputs
            batch: list[ReadFile] = []
            for read in read_ahead(self._to_read(), options.read, options.jobs, workers):
                if read.kind:
                    self.no_images.append((printable(str(read.path)), read.kind))
                    self._done(read.path)
                elif read.radiograph is None:
                    self._fail(read.path, read.cause)
                else:
                    batch.append(read)
                if len(batch) == options.batch_size:
                    self._predict(batch)
                    batch = []
            self._predict(batch)
            self._predict([])
            outputs.finish(self._counts(), self.errors)
        if outputs.problem:
            self.errors.append((f'{printable(str(self.out))}: table and report', outputs.problem))
        self._write_errors()
        return PredictResult(
            self.predicted,
            self.already_there,
            tuple(path for path, _ in self.duplicates),
            tuple(self.errors),
            self.inputs.passed_over,
            tuple(self.no_images),
            outputs.written,
            tuple(outputs.failures),
        )

    def _write_errors(self) -> None:
        path = self.out / 'errors.json'
        try:
            write_errors(
                path,
                self.errors,
                [printable(str(file)) for file in self.inputs.passed_over],
                self.no_images,
                [(printable(str(file)), result) for file, result in self.duplicates],
                self.outputs.failures,
            )
        except OSError as error:
            with suppress(OSError):  # that of an earlier run would be taken for this one's
                path.unlink()
            cause = f'it cannot be written ({error.strerror or error})'
            self.errors.append((printable(str(path)), cause))

    def _to_read(self) -> Iterator[Path]:
        """Name the results of each file; pass on those that are not there yet."""
        for path in self.inputs.paths:
            try:
                with file_clock():
                    sha256 = file_sha256(path)
                    name, duplicate = self.names.name(self.relative[path], sha256)
                    there = not duplicate and self._is_there(path, name)
            except OutOfTimeError as error:
                self._fail(path, str(error))
                continue
            except OSError as error:
                self._fail(path, f'it cannot be read ({error.strerror or error})')
                continue
            if duplicate:
                self.duplicates.append((path, name))
                self._done(path)
            elif not there:
                self.results[path] = name
                yield path

    def _is_there(self, path: Path, name: str) -> bool:
        """Take over what an earlier run has written, where it is complete and of this model."""
        before = read_result(self.out / f'{name}.json')
        if self.options.overwrite or before is None:
            return False
        if not same_model(before, self.inferencer.backend.identity):
            return False
        if not self._same_reading(before):
            return False
        if not self.outputs.are_there(Item(before, name, path)):
            return False
        again = self.outputs.reads_again
        radiograph = read_file(path, self.options.read).radiograph if again else None
        if before.image.path != self.relative[path]:
            before = before.with_path(self.relative[path])
            self.outputs.write_json(before, name)
        item = Item(before, name, path, radiograph)
        self.outputs.complete(item)
        self.already_there += 1
        # of a long run any number may wait for a file before them: not in memory
        kept = self.outputs.whole or self.to_add[0] == path
        self._done(path, (lambda: item) if kept else partial(self._stored, path, name))
        return True

    def _stored(self, path: Path, name: str) -> Item:
        prediction = read_result(self.out / f'{name}.json')
        if prediction is None:
            raise OSError(f'{name}.json was there and is gone')
        return Item(prediction, name, path)

    def _same_reading(self, before: Prediction) -> bool:
        """Tell whether an earlier run was given the same spacing, sides, frame and identity."""
        wanted, spacing = self.options.read, before.spacing
        given = spacing.spacing_xy_mm if spacing.source == 'caller' else None
        factor = spacing.magnification if spacing.magnification_source == 'caller' else None
        return (
            _close(given, wanted.spacing_xy_mm)
            and _close(factor, wanted.magnification)
            and wanted.mirrored == _given_sides(before)
            and wanted.frame == before.image.provenance.get('frame')
            and wanted.keep_identity == (before.patient is not None)
        )

    def _predict(self, batch: Sequence[ReadFile]) -> None:
        """Let the model read a batch, and write the results of the one before meanwhile."""
        before, self.under_way = self.under_way, None
        results = self._await(*before) if before else []
        if batch:
            self.under_way = batch, self.background.submit(self._infer, batch)
        for read, prediction in results:
            self._finish(read, prediction)

    def _infer(self, batch: Sequence[ReadFile]) -> list[Prediction]:
        named = [
            (read.radiograph, printable(read.path.name))
            for read in batch
            if read.radiograph is not None
        ]
        return self.inferencer.predict_radiographs(named)

    def _await(
        self, batch: Sequence[ReadFile], future: Future[list[Prediction]]
    ) -> list[tuple[ReadFile, Prediction]]:
        """Return what the model has said of a batch; where that fails, of its files one by one."""
        try:
            return list(zip(batch, result_of(future), strict=True))
        except Exception as error:
            if len(batch) == 1:
                self._fail(batch[0].path, f'the model failed: {error or type(error).__name__}')
                return []
        alone = ([read] for read in batch)
        return [
            result
            for each in alone
            for result in self._await(each, self.background.submit(self._infer, each))
        ]

    def _finish(self, read: ReadFile, prediction: Prediction) -> None:
        if self.options.read.keep_identity:
            prediction = prediction.with_patient(read.patient)
        try:
            with file_clock():
                self._write(read, prediction.with_path(self.relative[read.path]))
        except OutOfTimeError as error:
            self._fail(read.path, f'to write its results: {error}')
        except OSError as error:
            cause = f'its results cannot be written ({error.strerror or error})'
            self._fail(read.path, cause)

    def _write(self, read: ReadFile, prediction: Prediction) -> None:
        assert read.radiograph is not None
        item = Item(prediction, self.results.pop(read.path), read.path, read.radiograph)
        self.outputs.write(item)
        self.predicted += 1
        self._done(read.path, lambda: item)

    def _fail(self, path: Path, cause: str) -> None:
        self.errors.append((printable(str(path)), cause))
        self._done(path)

    def _done(self, path: Path, item: Callable[[], Item] | None = None) -> None:
        """Count a file, and add to the run's files all images whose turn it is.

        What was there already is known before what is still predicted; the order is that of the
        inputs, whatever an earlier run has left.
        """
        self.bar.update()
        self.items[path] = item
        while self.to_add and self.to_add[0] in self.items:
            make = self.items.pop(self.to_add.popleft())
            if make is not None:
                self.outputs.add(make)

    def _counts(self) -> list[tuple[str, str]]:
        return [
            ('Predicted', str(self.predicted)),
            ('There already', str(self.already_there)),
            ('Same content twice', str(len(self.duplicates))),
            ('Could not be predicted', str(len(self.errors))),
            ('No images', str(len(self.inputs.passed_over) + len(self.no_images))),
        ]


def _given_sides(before: Prediction) -> bool | None:
    """Return what an earlier run was told of the sides; None where the file decided."""
    if not str(before.image.provenance.get('orientation', '')).endswith('(caller)'):
        return None
    return before.image.turn is not None


def _close(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.allclose(a, b, rtol=1e-5))
