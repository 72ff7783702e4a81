"""What a server is sent: received in memory, within its limits, or refused in words."""

from __future__ import annotations

import asyncio
import math
import re
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unsct_mmpose.dicom.pictures import picture_format

if TYPE_CHECKING:
    from starlette.requests import Request

_NEITHER = 'this is neither a DICOM file nor a PNG or JPEG picture'

_MAX_NAME = 120
_FORM_BYTES = 64 * 1024  # what a form may hold beside its file
_DRAIN_SECONDS = 5.0
_SPACING_MM = (0.001, 100.0)
_MAGNIFICATION = (0.5, 5.0)
_FRAMES = (0, 9999)
_BARE_DICOM = (b'\x02\x00', b'\x08\x00', b'\x00\x08')  # group of a first element, no preamble


class RefusedError(Exception):
    """A request that gets no prediction.

    Args:
        status: of HTTP.
        text: a sentence for people; nothing of the file but its name.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status, self.text = status, text


@dataclass(frozen=True, eq=False)
class Upload:
    """A file as it was sent, with what its sender says about it.

    Attributes:
        content: the whole file.
        name: its name without folders and control characters.
        spacing_xy_mm: width and height of a pixel at the detector; None when not given.
        magnification: size on the detector over size at the bone; None when not given.
        frame: which image of a file that holds several, from 0; None when not given.
    """

    content: bytes
    name: str
    spacing_xy_mm: tuple[float, float] | None = None
    magnification: float | None = None
    frame: int | None = None


async def receive(request: Request, max_bytes: int, seconds: float) -> Upload:
    """Receive one file and its fields; no byte of them is written to a disk.

    Args:
        request: with a multipart form: ``file``, and perhaps ``spacing_x``, ``spacing_y``,
            ``magnification`` and ``frame``.
        max_bytes: of the file.
        seconds: in which all of it must have come.

    Raises:
        RefusedError: it is too large or too slow, no form, or its file or a field is unfit.
    """
    if not request.headers.get('content-type', '').lower().startswith('multipart/form-data'):
        raise RefusedError(415, 'Send a form (multipart/form-data) with the radiograph as "file".')
    too_large = RefusedError(413, f'The file is larger than {megabytes(max_bytes)} MB, the limit.')
    declared = request.headers.get('content-length', '')
    if declared.isdecimal() and int(declared) > max_bytes + _FORM_BYTES:
        await drain(request, max_bytes)
        raise too_large
    try:
        form = await asyncio.wait_for(_parse(request, max_bytes, too_large), seconds)
    except asyncio.TimeoutError:
        raise RefusedError(408, f'The file did not arrive within {seconds:g} s.') from None
    except RefusedError:
        await drain(request, max_bytes)
        raise
    return _upload(form, max_bytes, too_large)


async def drain(request: Request, max_bytes: int) -> None:
    """Read on for a while and forget it: browsers show an answer only after they have sent."""
    if 'expect' in request.headers:  # the sender waits for a word before it sends
        return

    async def forget() -> None:
        left = 4 * max_bytes
        while left > 0 and (piece := await _next_piece(request)) is not None:
            left -= len(piece)

    try:
        await asyncio.wait_for(forget(), _DRAIN_SECONDS)
    except asyncio.TimeoutError:
        return


def megabytes(count: int) -> str:
    """Return bytes in MB, as people write it.

    Example:
        >>> megabytes(64_000_000), megabytes(1_500_000)
        ('64', '1.5')
    """
    return f'{count / 1e6:.3g}'


def _clean_name(name: str) -> str:
    r"""Return a file's name without folders, control characters and excess.

    Example:
        >>> _clean_name('C:\\films\\hip\x00\u202e.dcm'), _clean_name('../')
        ('hip.dcm', 'unnamed file')
    """
    last = re.split(r'[/\\]', name)[-1]
    kept = ''.join(c for c in last if unicodedata.category(c)[0] != 'C').strip()
    return kept[:_MAX_NAME] or 'unnamed file'


async def _next_piece(request: Request) -> bytes | None:
    """Return the next piece of the body; None after the last, or when the sender is gone."""
    if getattr(request.state, 'ended', False):
        return None
    message = await request.receive()
    request.state.ended = not message.get('more_body', False)
    return None if message['type'] == 'http.disconnect' else message.get('body', b'')


async def _parse(request: Request, max_bytes: int, too_large: RefusedError) -> Any:
    from starlette.formparsers import MultiPartException, MultiPartParser

    class InMemory(MultiPartParser):
        spool_max_size = 0  # never to a temporary file

    async def limited() -> AsyncIterator[bytes]:
        received = 0
        while (piece := await _next_piece(request)) is not None:
            received += len(piece)  # not what Content-Length says
            request.state.received = received
            if received > max_bytes + _FORM_BYTES:
                raise too_large
            yield piece

    stream: Any = limited()
    try:
        parser = InMemory(request.headers, stream, max_files=1, max_fields=8, max_part_size=1024)
        return await parser.parse()
    except MultiPartException:
        raise RefusedError(
            400, 'The form cannot be read: send one file and short fields.'
        ) from None


def _upload(form: Any, max_bytes: int, too_large: RefusedError) -> Upload:
    sent = form.get('file')
    if sent is None or isinstance(sent, str) or not (sent.filename or sent.size):
        raise RefusedError(422, 'No file came, or not all of it: choose a radiograph to send.')
    content, name = sent.file.read(), _clean_name(sent.filename or '')
    sent.file.close()
    if len(content) > max_bytes:
        raise too_large
    _check_type(content, name)
    return Upload(
        content,
        name,
        _spacing(form),
        _field(form, 'magnification', 'magnification', _MAGNIFICATION),
        _field(form, 'frame', 'number of the image', _FRAMES, int),
    )


def _check_type(content: bytes, name: str) -> None:
    """Judge a file by its content; its name and declared type are not asked."""
    if not content:
        raise RefusedError(422, f'{name}: the file is empty.')
    if content[128:132] == b'DICM' or picture_format(content) in ('PNG', 'JPEG'):
        return
    if picture_format(content) is None and content[:2] in _BARE_DICOM:
        return
    raise RefusedError(415, f'{name}: {_NEITHER}, whatever its name says.')


def _spacing(form: Any) -> tuple[float, float] | None:
    x = _field(form, 'spacing_x', 'width of a pixel', _SPACING_MM)
    y = _field(form, 'spacing_y', 'height of a pixel', _SPACING_MM)
    if x is None and y is not None:
        raise RefusedError(422, 'The width of a pixel is missing: its height alone is no spacing.')
    return None if x is None else (x, x if y is None else y)


def _field(form: Any, field: str, title: str, ends: tuple[float, float], kind: type = float) -> Any:
    text = form.get(field)
    if text is None or (isinstance(text, str) and not text.strip()):
        return None
    try:
        value = kind(str(text).replace(',', '.'))
    except ValueError:
        value = math.nan
    if not ends[0] <= value <= ends[1]:
        raise RefusedError(422, f'The {title} must be a number from {ends[0]:g} to {ends[1]:g}.')
    return value
