"""One prediction at a time: a few uploads wait, more are turned away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from unsct_mmpose.dicom import RadiographError
from unsct_mmpose.inference.predict import OneResult, predict_one
from unsct_mmpose.report.prediction import Backend

from .reader import ProcessReader
from .upload import RefusedError, Upload


class PredictionDesk:
    """Predicts uploads one after the other, in a thread of its own.

    Args:
        backend: the model.
        reader: decodes the uploads.
        waiting: how many may wait, or be on their way here, while one is predicted.
    """

    def __init__(self, backend: Backend, reader: ProcessReader, *, waiting: int = 4) -> None:
        self.backend, self.reader, self.waiting = backend, reader, waiting
        self.inside = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix='predict')

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a place in the queue; an upload is received only by who has one.

        Raises:
            RefusedError: all are taken.
        """
        if self.inside > self.waiting:
            raise RefusedError(503, 'The server is busy: try again in a minute.')
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def predict(self, upload: Upload, render: Callable[[OneResult], str]) -> str:
        """Predict when those before are done, and render the answer in the same thread.

        Raises:
            RefusedError: the file cannot be read (422), or the model fails (500).
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._work, upload, render)

    def _work(self, upload: Upload, render: Callable[[OneResult], str]) -> str:
        try:
            radiograph = self.reader.read(upload)
        except RadiographError as error:
            raise RefusedError(
                422, f'{upload.name}: {error.cause or "it cannot be read"}.'
            ) from None
        try:
            return render(predict_one(radiograph, self.backend, name=upload.name))
        except Exception as error:  # words only: a message may quote the file
            kind = type(error).__name__
            raise RefusedError(500, f'{upload.name}: the model failed ({kind}).') from None

    def close(self) -> None:
        """End the thread and the reader."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self.reader.close()
