"""A small server: a page to hand a radiograph in, its report, and the json for programs.

Nothing of an upload is kept: it is decoded and predicted in memory and gone with the answer. Run
it with ``unsct serve``; it needs the extra ``serve`` (``pip install 'unsct-mmpose[serve]'``).
"""

# no `from __future__ import annotations`: FastAPI reads the annotations of local functions
import ipaddress
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from unsct_mmpose.inference.predict import OneResult
from unsct_mmpose.report.prediction import Backend, prediction_schema

from .desk import PredictionDesk
from .page import form_page, result_page, security_policy
from .reader import ProcessReader
from .upload import RefusedError, drain, megabytes, receive

LOG = logging.getLogger('unsct_mmpose.serve')

_FIELDS = {
    'file': {'type': 'string', 'format': 'binary', 'description': 'DICOM, PNG or JPEG'},
    'spacing_x': {'type': 'number', 'description': 'width of a pixel at the detector, mm'},
    'spacing_y': {'type': 'number', 'description': 'height of a pixel; spacing_x when left out'},
    'magnification': {
        'type': 'number',
        'description': 'size on the detector over that at the bone',
    },
    'frame': {'type': 'integer', 'description': 'which image of a file that holds several'},
}
_FORM = {'schema': {'type': 'object', 'required': ['file'], 'properties': _FIELDS}}
_ADDRESSES = ('/', '/api/predict', '/health', '/openapi.json')
_BODY = {'requestBody': {'required': True, 'content': {'multipart/form-data': _FORM}}}


@dataclass(frozen=True)
class ServeOptions:
    """Limits of a server.

    Attributes:
        max_bytes: of an uploaded file.
        receive_seconds: in which an upload must have come.
        waiting: uploads that may wait while one is predicted.
        any_host: answer whatever name the request calls the server by; else only loopback names,
            so that no web page can reach it through a name of its own (DNS rebinding).
        hosts: names that it answers beside the loopback's, such as that of a proxy before it.
        root_path: the path that browsers see it below, such as ``'/hip'``, whether or not the
            proxy cuts it off; empty for none.

    Raises:
        ValueError: a name or the path is none.
    """

    max_bytes: int = 64_000_000
    receive_seconds: float = 120.0
    waiting: int = 4
    any_host: bool = False
    hosts: tuple[str, ...] = ()
    root_path: str = ''

    def __post_init__(self) -> None:
        for host in self.hosts:
            if not re.fullmatch(r'[\w.-]+|\[[0-9A-Fa-f:.]+\]', host):
                raise ValueError(
                    f'{host!r} is no name of a host: give it without scheme, port and path'
                )
        if not re.fullmatch(r'(/[\w.~-]+)*', self.root_path) or '/..' in self.root_path:
            raise ValueError(
                f'root_path {self.root_path!r} must be empty or such as /hip, without a slash '
                'at its end'
            )


def create_app(backend: Backend, options: ServeOptions, reader: ProcessReader | None = None) -> Any:
    """Return the application, for uvicorn or any other ASGI server.

    Args:
        backend: the model.
        options: limits.
        reader: decodes uploads (default: a new one).

    Raises:
        ImportError: FastAPI is missing; the message says how to install it.
    """
    try:
        from fastapi import FastAPI, Request, Response
        from fastapi.responses import HTMLResponse, JSONResponse
    except ImportError:
        raise ImportError("a server needs pip install 'unsct-mmpose[serve]'") from None
    root = options.root_path
    # no pages of its own for the interface: they load scripts
    app = FastAPI(title='Hip landmarks', docs_url=None, redoc_url=None)
    desk = PredictionDesk(backend, reader or ProcessReader(), waiting=options.waiting)
    app.state.desk = desk
    limit, identity = megabytes(options.max_bytes), backend.identity

    @app.get('/', include_in_schema=False)
    async def form() -> Response:
        return HTMLResponse(form_page(identity, limit, root=root))

    @app.post('/', include_in_schema=False)
    async def report(request: Request) -> Response:
        status, text = await _answer(request, desk, options, partial(result_page, root=root))
        page = text if status == 200 else form_page(identity, limit, text, root)
        return HTMLResponse(page, status)

    @app.post('/api/predict', responses=_responses(), openapi_extra=_BODY)
    async def predict(request: Request) -> Response:
        """Return the prediction of one radiograph."""
        status, text = await _answer(
            request, desk, options, lambda result: result.prediction.to_json()
        )
        if status == 200:
            return Response(text, media_type='application/json')
        return JSONResponse({'error': text}, status)

    @app.get('/health')
    async def health() -> dict[str, Any]:
        """Say that the server lives, with which model, and how many uploads it has in hand."""
        return {'status': 'ok', 'uploads': desk.inside, 'model': identity}

    _answer_errors(app)
    app.add_middleware(_Guard, options=options)
    return app


async def _answer(
    request: Any, desk: PredictionDesk, options: ServeOptions, render: Callable[[OneResult], str]
) -> tuple[int, str]:
    """Return the status and the answer, or the words why there is none; log size and outcome."""
    started, status = time.monotonic(), 200
    request.state.received = 0
    try:
        with desk.slot():
            upload = await receive(request, options.max_bytes, options.receive_seconds)
            text = await desk.predict(upload, render)
    except RefusedError as error:
        status, text = error.status, error.text
        if status == 503:
            await drain(request, options.max_bytes)
    except Exception as error:  # in words, whatever it is
        status, text = 500, f'The server failed ({type(error).__name__}).'
    size = megabytes(request.state.received)
    LOG.info('%s MB: %d, %.1f s', size, status, time.monotonic() - started)
    return status, text


def _responses() -> dict[int | str, dict[str, Any]]:
    error = {'type': 'object', 'properties': {'error': {'type': 'string'}}}
    refused = {'content': {'application/json': {'schema': error}}}
    causes = {
        400: 'the form cannot be read',
        408: 'it came too slowly',
        413: 'the file is too large',
        415: 'its content is no DICOM, PNG or JPEG',
        422: 'the file or a field is unfit',
        500: 'the model failed',
        503: 'the server is busy',
    }
    schema = {'content': {'application/json': {'schema': prediction_schema()}}}
    answers: dict[int | str, dict[str, Any]] = {200: {'description': 'the prediction', **schema}}
    return answers | {status: {'description': text, **refused} for status, text in causes.items()}


def _answer_errors(app: Any) -> None:
    """Answer what no route answers with a sentence too, and never with a stack trace."""
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    async def answer(request: Any, error: Any) -> Any:
        texts = {404: 'There is nothing at this address.', 405: 'This address takes no such call.'}
        text = texts.get(error.status_code, 'The request cannot be answered.')
        return JSONResponse({'error': text}, error.status_code)

    app.add_exception_handler(HTTPException, answer)


class _Guard:
    """Refuses foreign names and sites, and adds the security headers to every answer.

    It also finds the way below a path, which some proxies cut off and others do not.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], options: ServeOptions) -> None:
        self.app, self.options = app, options
        self.hosts = {host.lower() for host in options.hosts}
        named = {
            'content-security-policy': security_policy(),
            'x-content-type-options': 'nosniff',
            'cache-control': 'no-store',
            'referrer-policy': 'no-referrer',
            'x-frame-options': 'DENY',
            'cross-origin-opener-policy': 'same-origin',
            'cross-origin-resource-policy': 'same-origin',
        }
        self.headers = [(key.encode(), value.encode()) for key, value in named.items()]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope['type'] != 'http':
            return await self.app(scope, receive, send)

        async def send_guarded(message: Any) -> None:
            if message['type'] == 'http.response.start':
                message['headers'] = [*message.get('headers', ()), *self.headers]
            await send(message)

        headers = {key: value.decode('latin-1') for key, value in scope['headers']}
        site = headers.get(b'sec-fetch-site')
        foreign = site in ('cross-site', 'same-site') and scope['method'] != 'GET'
        if foreign or not self._is_own(headers.get(b'host', '')):
            from fastapi.responses import JSONResponse

            refused = JSONResponse({'error': 'This server answers its own page only.'}, 403)
            return await refused(scope, receive, send_guarded)
        await self.app(self._below_root(scope), receive, send_guarded)

    def _is_own(self, host: str) -> bool:
        own = self.options.any_host or is_loopback(host)
        return own or re.sub(r':\d*$', '', host).lower() in self.hosts

    def _below_root(self, scope: Any) -> Any:
        root, path = self.options.root_path, scope['path']
        if not root:
            return scope
        inside = path.startswith(f'{root}/') and path not in _ADDRESSES
        whole = path if inside else f'{root}/' if path == root else root + path
        return {**scope, 'root_path': root, 'path': whole, 'raw_path': whole.encode()}


def is_loopback(host: str) -> bool:
    """Tell whether a host, with or without a port, is this machine to itself.

    Example:
        >>> [is_loopback(host) for host in ('127.0.0.1:80', '[::1]:8000', 'localhost', 'evil.org')]
        [True, True, True, False]
    """
    name = host.rsplit(':', 1)[0] if host.count(':') == 1 or ']:' in host else host
    name = name.strip('[]').lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == 'localhost'
