"""The process in which foreign decoders run: ``python -m unsct_mmpose.dicom.decode_worker``.

It answers one request after another until its input ends: a line of json, then as many bytes as
the line says, both ways. Its memory is limited, and each request has an alarm that ends the
process even while a decoder in C runs and nobody is left to end it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from typing import Any, BinaryIO

from .streams import CALLS

READY = b'unsct decoder ready\n'


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    answers.write(READY)
    answers.flush()
    base = _address_space()
    while line := requests.readline():
        head = json.loads(line)
        content = requests.read(head['length'])
        if len(content) < head['length']:
            return
        _limit(base, head['memory_mb'], head['seconds'])
        answer, decoded = _answer(head['call'], content, head['options'])
        _limit(base, None, 0)
        answers.write(json.dumps({**answer, 'length': len(decoded)}).encode() + b'\n')
        answers.write(decoded)
        answers.flush()


def _answer(call: str, content: bytes, options: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    try:
        array = CALLS[call](content, **options)
    except MemoryError:
        return {'error': 'memory'}, b''
    except Exception as error:
        return {'error': type(error).__name__, 'words': str(error)}, b''
    array = array if array.flags.c_contiguous else array.copy()
    return {'dtype': array.dtype.str, 'shape': array.shape}, array.data.cast('B')


def _address_space() -> int:
    """Return the address space in use, in bytes; 0 where it cannot be told."""
    try:
        with open('/proc/self/statm', encoding='ascii') as file:
            return int(file.read().split()[0]) * os.sysconf('SC_PAGE_SIZE')
    except (OSError, ValueError):
        return 0


def _limit(base: int, memory_mb: int | None, seconds: float) -> None:
    """Set or lift the limits, where the platform has them; the parent has a clock of its own."""
    if hasattr(signal, 'setitimer'):
        signal.setitimer(signal.ITIMER_REAL, seconds)
    if not base:
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = hard if memory_mb is None else base + memory_mb * 2**20
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


def _end_with_input() -> None:
    """End this process when nobody holds the other end of its input, even amid a request."""
    if not hasattr(select, 'poll'):
        return
    poll = select.poll()
    poll.register(0, 0)  # hanging up is told unasked

    def wait() -> None:
        poll.poll()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def _main() -> None:
    # what a decoder prints must not mix with the answers
    answers = os.fdopen(os.dup(1), 'wb')
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    _end_with_input()
    serve(sys.stdin.buffer, answers)


if __name__ == '__main__':
    _main()
