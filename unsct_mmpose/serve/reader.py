"""Decoding what strangers send, in a process of its own.

A decoder that crashes, hangs or takes all memory ends its process, not the server. The file
travels there and back through a pipe, and what decoders print is not seen.
"""

from __future__ import annotations

import os
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from unsct_mmpose.dicom import Radiograph, RadiographError, radiograph_from_bytes
from unsct_mmpose.dicom.read_ahead import end_with, starting_processes

from .upload import Upload

_MAX_MEGAPIXELS = 80

_MEMORY_BYTES = 4 << 30


class ProcessReader:
    """Decodes in a process that is started when needed and replaced when it fails.

    Args:
        seconds: after which a decoder counts as hanging.
    """

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds
        self._process: Any = None
        self._pipe: Connection | None = None
        self._lifeline: Connection | None = None

    def read(self, upload: Upload) -> Radiograph:
        """Decode an upload; not for several threads at once.

        Raises:
            RadiographError: it cannot be read; the cause says why.
        """
        if self._process is None or not self._process.is_alive():
            self.start()
        assert self._pipe is not None
        try:
            self._pipe.send(upload)
            if not self._pipe.poll(self.seconds):
                self.close()
                raise RadiographError(
                    upload.name, f'decoding it takes more than {self.seconds:g} s'
                )
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self.close()
            raise RadiographError(
                upload.name, 'decoding it ends the decoder: its pixel data are damaged'
            ) from None
        if isinstance(answer, str):
            raise RadiographError(upload.name, answer)
        return answer

    def start(self) -> None:
        """Start the process; a fresh interpreter that does not import MMPose."""
        self.close()
        context = get_context('spawn')
        self._pipe, theirs = context.Pipe()
        held, self._lifeline = context.Pipe(duplex=False)
        self._process = context.Process(target=_decode_for, args=(theirs, held), daemon=True)
        with starting_processes():
            self._process.start()
        theirs.close()
        held.close()

    def close(self) -> None:
        """End the process."""
        if self._pipe is not None:
            self._pipe.close()
        if self._lifeline is not None:
            self._lifeline.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = self._pipe = self._lifeline = None


def decode(upload: Upload) -> Radiograph:
    """Decode an upload in this process.

    Raises:
        RadiographError: it cannot be read; the cause says why, without the patient's identity.
    """
    try:
        radiograph = radiograph_from_bytes(
            upload.content,
            upload.name,
            spacing_xy_mm=upload.spacing_xy_mm,
            magnification=upload.magnification,
            frame=upload.frame,
        )
    except RadiographError:
        raise
    except MemoryError:
        raise RadiographError(upload.name, 'there is not enough memory to decode it') from None
    except Exception as error:  # one odd file must not end the server
        kind = type(error).__name__
        raise RadiographError(upload.name, f'it cannot be read ({kind})') from None
    if radiograph.pixels.size > _MAX_MEGAPIXELS * 1e6:
        raise RadiographError(upload.name, f'it has more than {_MAX_MEGAPIXELS} million pixels')
    return radiograph


def _decode_for(pipe: Connection, lifeline: Connection) -> None:
    """Decode what comes through a pipe until its other end closes, or the server is gone."""
    end_with(lifeline)
    _keep_quiet()
    while True:
        try:
            upload = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Radiograph | str = decode(upload)
        except RadiographError as error:
            answer = error.cause
        try:
            pipe.send(answer)
        except OSError:
            return


def _keep_quiet() -> None:
    """Limit the memory, leave Ctrl-C to the server, and print nothing about a file."""
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    cv2.setNumThreads(1)
    try:
        import resource
    except ImportError:  # not a Unix
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no image in a core file
