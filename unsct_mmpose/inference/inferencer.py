"""``Inferencer``: radiographs in whatever form, predictions out, on whatever backend.

Nothing here needs torch or MMPose.
"""

from __future__ import annotations

import atexit
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import Any, TypeVar, overload
from weakref import WeakKeyDictionary, finalize

import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.dicom import (
    Radiograph,
    radiograph_from_array,
    radiograph_from_dataset,
    read_radiograph,
)
from unsct_mmpose.dicom.header import printable
from unsct_mmpose.dicom.marker import Marker, find_markers
from unsct_mmpose.dicom.read_ahead import result_of
from unsct_mmpose.functional.crop import Squared, square_pixels
from unsct_mmpose.report.prediction import Backend, Prediction

from .interpret import interpret

Result = TypeVar('Result')

_AHEAD = 2
"""Batches that wait for the model or are in it while results are interpreted."""

_Batch = Sequence[tuple[Radiograph, str]]
"""Radiographs, each with the name that its prediction carries."""

Source = Any
"""A path, a :class:`Radiograph`, an array ``(H, W)`` or a ``pydicom.Dataset``."""


class Inferencer:
    """Find the landmarks of radiographs with a backend.

    Args:
        backend: the model.
        batch_size: radiographs that the model reads at a time.
    """

    def __init__(self, backend: Backend, *, batch_size: int = 8) -> None:
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, not {batch_size}')
        self.backend = backend
        self.batch_size = batch_size

    @overload
    def __call__(self, inputs: list | tuple, *args: Any, **given: Any) -> list[Prediction]: ...

    @overload
    def __call__(self, inputs: Source, *args: Any, **given: Any) -> Prediction: ...

    def __call__(
        self,
        inputs: Any,
        spacing_xy_mm: tuple[float, float] | None = None,
        magnification: float | None = None,
        mirrored: bool | None = None,
        frame: int | None = None,
    ) -> Any:
        """Predict one radiograph or several.

        Args:
            inputs: path of a DICOM file or picture, array ``(H, W)`` with bone bright (see
                :func:`unsct_mmpose.dicom.radiograph_from_array`), ``pydicom.Dataset`` or
                :class:`Radiograph`; or a list, a tuple or any other iterable of these.
            spacing_xy_mm: width and height of a pixel at the detector, mm, of all inputs; wins
                over the files'. It is not applied to a :class:`Radiograph`, which has its own.
            magnification: size on the detector over size at the bone, of all inputs.
            mirrored: whether left and right are exchanged in all inputs as they are stored; takes
                the place of what the files say. Not applied to a :class:`Radiograph`.
            frame: which image of files that hold several, from 0.

        Returns:
            A :class:`Prediction` for one input, a list for a list or tuple, and for any other
            iterable an iterator that reads a batch at a time, so that memory stays flat.

        Raises:
            RadiographError: an input cannot be read; the message names it and the cause.
        """
        given = dict(
            spacing_xy_mm=spacing_xy_mm, magnification=magnification, mirrored=mirrored, frame=frame
        )
        if _is_single(inputs):
            return next(self.stream([inputs], **given))
        predictions = self.stream(inputs, **given)
        return list(predictions) if isinstance(inputs, (list, tuple)) else predictions

    def stream(self, inputs: Iterable[Source], **given: Any) -> Iterator[Prediction]:
        """Predict inputs as they come, in their order; see :meth:`__call__`.

        Of a list or tuple, a batch is read and the last one interpreted while the model infers
        another; of other iterables nothing is taken before the results of a batch are asked for.
        """
        batches = self._read(inputs, given)
        if isinstance(inputs, (list, tuple)) and len(inputs) > self.batch_size:
            return self._overlapped(batches)
        return chain.from_iterable(map(self.predict_radiographs, batches))

    def _read(self, inputs: Iterable[Source], given: Mapping[str, Any]) -> Iterator[_Batch]:
        remaining = enumerate(inputs)
        while batch := [
            (open_source(source, **given), source_name(source, index))
            for index, source in islice(remaining, self.batch_size)
        ]:
            yield batch

    def _overlapped(self, batches: Iterator[_Batch]) -> Iterator[Prediction]:
        model, letters = Background(), Background()
        under_way: deque[tuple[_Batch, Future[Any], list[Future[list[Marker]]]]] = deque()
        problem: Exception | None = None
        while True:
            try:
                batch = next(batches, [])
            except Exception as error:  # its turn comes after what was read before it
                batch, problem = [], error
            if batch:
                markers = _look_for_letters(letters, batch)
                under_way.append((batch, model.submit(self._infer, batch), markers))
            while len(under_way) > (_AHEAD if batch else 0):
                before, results, markers = under_way.popleft()
                yield from self._interpret(before, result_of(results), map(result_of, markers))
            if not batch:
                break
        if problem:
            raise problem

    def predict_radiographs(self, named: Iterable[tuple[Radiograph, str]]) -> list[Prediction]:
        """Predict one batch of radiographs, each with the name that its prediction carries."""
        batch = list(named)
        # the network takes cores in turn, letters one
        markers = _look_for_letters(Background(), batch)
        return self._interpret(batch, self._infer(batch), map(result_of, markers))

    def _infer(self, batch: _Batch) -> list[tuple[Squared, Mapping[str, Any]]]:
        squared = [square_pixels(image.pixels, image.pixel_aspect) for image, _ in batch]
        results = self.backend.infer([square.pixels for square in squared])
        return list(zip(squared, results, strict=True))

    def _interpret(
        self,
        batch: _Batch,
        results: Sequence[tuple[Squared, Mapping[str, Any]]],
        markers: Iterable[Sequence[Marker]],
    ) -> list[Prediction]:
        identity = self.backend.identity
        return [
            interpret(
                _noted(radiograph, square), _in_original(fields, square), identity, name, seen
            )
            for (radiograph, name), (square, fields), seen in zip(
                batch, results, markers, strict=True
            )
        ]


class Background:
    """One thread that does one thing after another; an end of this process does not wait for all.

    Always the same, as PyTorch has a team of its own for each thread that it is called from.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        thread = Thread(target=_work_off, args=(self._queue,), name='background', daemon=True)
        _THREADS[thread] = self._queue
        thread.start()
        finalize(self, self._queue.put, None)

    def submit(self, work: Callable[..., Result], *given: Any) -> Future[Result]:
        """Do something there.

        Raises:
            RuntimeError: this process ends; nothing is begun any more.
        """
        if _ENDING.is_set():
            raise RuntimeError('this process ends: nothing can be begun in its threads any more')
        future: Future[Result] = Future()

        def run() -> None:
            try:
                future.set_result(work(*given))
            except BaseException as error:
                future.set_exception(error)

        self._queue.put(run)
        return future


def _work_off(queue: SimpleQueue[Callable[[], None] | None]) -> None:
    while (run := queue.get()) is not None and not _ENDING.is_set():
        run()
        del run  # while it waits it would hold the owner of this thread


_THREADS: WeakKeyDictionary[Thread, SimpleQueue[Callable[[], None] | None]] = WeakKeyDictionary()
_ENDING = Event()
_END_SECONDS = 10.0


@atexit.register
def _end_threads() -> None:
    """Let what is under way end, for a while: in C++ it would abort the process that ends.

    Python ends a thread that comes back to it then, and C++ takes that for an error.
    """
    _ENDING.set()
    threads = [*_THREADS.items()]
    for _, queue in threads:
        queue.put(None)
    until = monotonic() + _END_SECONDS
    with suppress(KeyboardInterrupt):  # who interrupts once more waits no longer
        for thread, _ in threads:
            thread.join(max(until - monotonic(), 0.0))


def _look_for_letters(thread: Background, batch: _Batch) -> list[Future[list[Marker]]]:
    return [thread.submit(find_markers, image.pixels) for image, _ in batch]


def _in_original(fields: Mapping[str, Any], square: Squared) -> Mapping[str, Any]:
    """Take what was found in a resampled image back to the pixels of the original."""
    if not square:
        return fields
    steps = square.steps_xy
    return {
        **fields,
        'keypoints': square.to_original(np.asarray(fields['keypoints'])),
        'keypoint_covariances': np.asarray(fields['keypoint_covariances']) * np.outer(steps, steps),
    }


def _noted(radiograph: Radiograph, square: Squared) -> Radiograph:
    if not square:
        return radiograph
    height, width = square.pixels.shape
    done = f'to {width} x {height} square pixels for the model'
    return replace(radiograph, provenance={**radiograph.provenance, 'resampled': done})


def open_source(source: Source, **given: Any) -> Radiograph:
    """Return the radiograph of an input.

    Args:
        source: see :class:`Inferencer`.
        given: what :func:`unsct_mmpose.dicom.read_radiograph` takes; an array has no frames.

    Raises:
        RadiographError: it cannot be read or displayed.
        TypeError: it is nothing that can be a radiograph.
    """
    if isinstance(source, Radiograph):
        return source
    if isinstance(source, (str, os.PathLike)):
        return read_radiograph(source, **given)
    if isinstance(source, np.ndarray):
        return radiograph_from_array(source, **{k: v for k, v in given.items() if k != 'frame'})
    if _is_dataset(source):
        return radiograph_from_dataset(source, **given)
    raise TypeError(
        f'{type(source).__name__} is no radiograph: give a path, an array, a pydicom Dataset or a '
        'Radiograph'
    )


def source_name(source: Source, index: int = 0) -> str:
    """Return what a prediction calls an input: the name of its file, or its number.

    Example:
        >>> source_name('a/b.dcm'), source_name(np.zeros((2, 2)), 3)
        ('b.dcm', 'array-3')
    """
    if isinstance(source, (str, os.PathLike)):
        return printable(Path(source).name)
    kinds = ((np.ndarray, 'array'), (Radiograph, 'radiograph'))
    kind = next((name for cls, name in kinds if isinstance(source, cls)), 'dataset')
    return f'{kind}-{index}'


def _is_single(inputs: Source | NDArray[Any]) -> bool:
    return isinstance(inputs, (str, os.PathLike, np.ndarray, Radiograph)) or _is_dataset(inputs)


def _is_dataset(source: Source) -> bool:
    # duck typing: only the dicom package knows pydicom
    return hasattr(source, 'PixelData') or hasattr(source, 'file_meta')
