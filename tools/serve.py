"""Serve a model: a page to hand a radiograph in and read its report, and json for programs.

serve.py CONFIG CHECKPOINT   with PyTorch and MMPose
serve.py MODEL.onnx          with ONNX Runtime alone

Research software. It has no accounts and no encryption: it answers this machine only, unless
--host says otherwise.
"""

from __future__ import annotations

import argparse
import logging
import socket
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage='%(prog)s (CONFIG CHECKPOINT | MODEL.onnx) [options]',
    )
    parser.add_argument('model', nargs='+', metavar='MODEL', help='see above')
    parser.add_argument('--host', default='127.0.0.1', help='address (default: %(default)s)')
    parser.add_argument('--port', type=int, default=8000, help='0: a free one (default: 8000)')
    parser.add_argument(
        '--max-mb', type=float, default=64.0, help='largest upload, MB (default: %(default)g)'
    )
    parser.add_argument(
        '--device', default='auto',
        help='auto, cpu, cuda or cuda:1; auto is CUDA where there is any (PyTorch only; '
        'default: %(default)s)',
    )  # fmt: skip
    args = parser.parse_args(argv)
    args.onnx = args.model[0].lower().endswith('.onnx')
    if len(args.model) != (1 if args.onnx else 2):
        parser.error('give CONFIG and CHECKPOINT, or MODEL.onnx')
    if not 0 < args.max_mb <= 1024 or not 0 <= args.port < 65536:
        parser.error('--max-mb must be above 0 and at most 1024, --port from 0 to 65535')
    return args


def main(argv: list[str] | None = None) -> int:
    """Run the tool until it is stopped; return its exit status."""
    args = parse_args(argv)
    from predict import load_backend

    from unsct_mmpose.serve.app import ServeOptions, create_app, is_loopback

    local = is_loopback(args.host)
    logging.basicConfig(format='%(asctime)s %(message)s', datefmt='%H:%M:%S')
    logging.getLogger('unsct_mmpose.serve').setLevel(logging.INFO)
    try:
        with listen(args.host, args.port) as listener:
            options = ServeOptions(max_bytes=round(args.max_mb * 1e6), any_host=not local)
            app = create_app(load_backend(args), options)
            port = listener.getsockname()[1]
            shown = f'[{args.host}]' if ':' in args.host else args.host
            print(f'http://{shown}:{port}  (Ctrl-C stops it)', flush=True)
            if not local:
                warn(args.host)
            run(app, listener)
    except (ValueError, OSError, ImportError) as error:
        print(f'serve: {error}', file=sys.stderr)
        return 2
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


def warn(host: str) -> None:
    print(
        f'warning: {host} is not this machine alone. Whoever reaches it can use it; radiographs '
        'travel unencrypted. Put a proxy with TLS and accounts before it.',
        file=sys.stderr,
        flush=True,
    )


def run(app, listener: socket.socket) -> None:
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


if __name__ == '__main__':
    sys.exit(main())
