"""Serve a model: a page to hand a radiograph in and read its report, and json for programs.

serve CONFIG CHECKPOINT   with PyTorch and MMPose
serve MODEL.onnx          with ONNX Runtime alone

Research software. It has no accounts and no encryption: it answers this machine only, unless
--host says otherwise.
"""

from __future__ import annotations

import argparse
import logging
import socket
import sys

from .options import add_device, load_backend, split_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = '%(prog)s (CONFIG CHECKPOINT | MODEL.onnx) [options]'
    parser.set_defaults(failure_status=2)
    add = parser.add_argument
    add('model', nargs='+', metavar='MODEL', help='see above')
    add('--host', default='127.0.0.1', help='address')
    add('--port', type=int, default=8000, help='0: a free one')
    add('--max-mb', type=float, default=64.0, help='largest upload, MB (default: %(default)g)')
    add('--root-path', default='', metavar='PATH',
        help='path that browsers see it below, behind a proxy: such as /hip')  # fmt: skip
    add('--allowed-hosts', nargs='+', default=[], metavar='NAME',
        help='names that it may be called by beside localhost: such as that of the proxy; with a '
        '--host that is not this machine alone, the only ones')  # fmt: skip
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from unsct_mmpose.serve.app import ServeOptions, create_app, is_loopback

    model, more = split_model(args.model)
    if more or (len(model) == 1) != model[0].lower().endswith('.onnx'):
        args.refuse('give CONFIG and CHECKPOINT, or MODEL.onnx')
    if not 0 < args.max_mb <= 1024 or not 0 <= args.port < 65536:
        args.refuse('--max-mb must be above 0 and at most 1024, --port from 0 to 65535')
    local = is_loopback(args.host)
    options = ServeOptions(
        max_bytes=round(args.max_mb * 1e6),
        any_host=not local and not args.allowed_hosts,
        hosts=tuple(args.allowed_hosts),
        root_path=args.root_path.rstrip('/'),
    )
    logging.basicConfig(format='%(asctime)s %(message)s', datefmt='%H:%M:%S')
    logging.getLogger('unsct_mmpose.serve').setLevel(logging.INFO)
    with listen(args.host, args.port) as listener:
        app = create_app(load_backend(model, args.device), options)
        port = listener.getsockname()[1]
        shown = f'[{args.host}]' if ':' in args.host else args.host
        print(f'http://{shown}:{port}{options.root_path}  (Ctrl-C stops it)', flush=True)
        if not local:
            print(
                f'warning: {args.host} is not this machine alone. Whoever reaches it can use it; '
                'radiographs travel unencrypted. Put a proxy with TLS and accounts before it.',
                file=sys.stderr,
                flush=True,
            )
        serve(app, listener)
    return 0


def listen(host: str, port: int) -> socket.socket:
    """Take the address before the model is loaded: a taken one is known at once."""
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise OSError(f'{host}:{port} cannot be used: {error.strerror}') from None
    return listener


def serve(app, listener: socket.socket) -> None:
    """Serve until Ctrl-C; nothing about a request is logged but the application's own line."""
    import uvicorn

    config = uvicorn.Config(
        app,
        access_log=False,
        log_level='error',
        server_header=False,
        lifespan='off',
        ws='none',
        limit_concurrency=64,
        timeout_graceful_shutdown=5,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        app.state.desk.close()
