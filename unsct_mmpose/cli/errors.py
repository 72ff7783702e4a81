"""Errors that a user can mend end a command in words, without the traceback of a library.

Only the standard library is needed, so that it works where little else does.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TRACEBACK_VARIABLE = 'UNSCT_TRACEBACK'
EXTRAS = {
    'albumentations': 'augment',
    'tensorboard': 'track',
    'wandb': 'track',
    'highdicom': 'report',
    'jinja2': 'report',
    'fastapi': 'serve',
    'uvicorn': 'serve',
    'onnx': 'onnx',
    'onnxruntime': 'onnx',
    'safetensors': 'safetensors',
    'pylibjpeg': 'dicom',
    'gdcm': 'dicom',
}
"""Optional packages, and the extra of ``setup.py`` that brings each."""

_PACKAGE = f'{Path(__file__).resolve().parents[1].as_posix()}/'
_OPTIONS = '--cfg-options'
_EXAMPLE = 'train_cfg.max_epochs=5 train_dataloader.batch_size=4'


@contextmanager
def explain_errors(
    command: str,
    arguments: Sequence[str],
    mendable: tuple[type[Exception], ...] = (),
    status: int = 1,
    resumable: bool = False,
) -> Iterator[None]:
    """Run a command; an error that its user can mend ends it with one message.

    Every other error passes as it is; with ``UNSCT_TRACEBACK=1`` all do. The text of ``mendable``
    errors tells the user what is wrong, wherever they come from; ``status`` is the exit status of
    one.

    Raises:
        SystemExit: after the message; 130 after an interruption, 143 after SIGTERM, which a
            command that is resumable takes for one.
    """
    before = _hear_termination() if resumable else None
    try:
        check_cfg_options(arguments)
        yield
    except BrokenPipeError:  # the reader of the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except (Exception, KeyboardInterrupt) as error:
        stop = _interruption(error)
        if stop:
            ended = isinstance(stop, _Terminated)
            more = '; the same command continues' if resumable else ''
            print(f'{command}: {"ended" if ended else "interrupted"}{more}', file=sys.stderr)
            raise SystemExit(143 if ended else 130) from None
        text = explain(error) or (str(error) if isinstance(error, mendable) else None)
        if text is None or os.environ.get(_TRACEBACK_VARIABLE) == '1':
            raise
        print(f'{command}: {text}\n({_TRACEBACK_VARIABLE}=1 shows where)', file=sys.stderr)
        raise SystemExit(status) from None
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _interruption(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return the interruption that an error is, or comes from: an import makes it another."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


class _Terminated(KeyboardInterrupt):
    """SIGTERM: the command ends, and clears up after itself."""


def _hear_termination() -> Any:
    """Make SIGTERM an exception; return what it did before, None where it stays as it is."""
    if threading.current_thread() is not threading.main_thread():
        return None

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends it as it stands
        raise _Terminated

    return signal.signal(signal.SIGTERM, end)


def check_cfg_options(arguments: Sequence[str]) -> None:
    """Refuse what stands after ``--cfg-options`` and is no ``KEY=VALUE``.

    Raises:
        ValueError: the message quotes it.
    """
    inside = False
    for word in arguments:
        pair = word
        if word.startswith('--'):
            option, _, pair = word.partition('=')
            inside = option == _OPTIONS
        if not inside or not pair:
            continue
        key, equals, value = pair.partition('=')
        if not equals or not all(key.split('.')):
            raise ValueError(f'{_OPTIONS} takes KEY=VALUE pairs, not {pair!r}; such as {_EXAMPLE}')
        if any(value.count(a) != value.count(b) for a, b in ('()', '[]')):
            raise ValueError(f'{_OPTIONS} {pair!r}: its brackets do not match')


def explain(error: BaseException) -> str | None:
    """Say in words what a user can do about an error; None for one that is no user's affair."""
    rules = (_own_text, _missing_package, _missing_config, _options_that_do_not_fit)
    return next((text for rule in rules if (text := rule(error)) is not None), None)


def _own_text(error: BaseException) -> str | None:
    """Pass on what this package has said about the user's files and settings itself."""
    ours = type(error).__module__.startswith('unsct_mmpose.')
    raised_here = any(frame.startswith(_PACKAGE) for frame in _frames(error)[-1:])
    if ours or (raised_here and isinstance(error, (ValueError, OSError))):
        return str(error)
    return None


def _missing_package(error: BaseException) -> str | None:
    if not isinstance(error, (ImportError, RuntimeError)):
        return None
    text = str(error)
    for package, extra in EXTRAS.items():
        lacking = re.search(rf'\b{package}\b', text) and re.search('install|No module named', text)
        if lacking:
            return (
                f"the optional package {package} is missing: pip install 'unsct-mmpose[{extra}]' "
                f"(in a checkout: pip install -e '.[{extra}]')"
            )
    return None


def _missing_config(error: BaseException) -> str | None:
    if not isinstance(error, FileNotFoundError):
        return None
    frames = _frames(error)
    name = re.search(r'"(.+?)"|`?(\S+) can not be found', str(error))
    path = name and (name[1] or name[2])
    if any(frame.endswith('/mmengine/config/config.py') for frame in frames):
        return (
            f'there is no config {path or error}: those that come with the package are listed in '
            'configs/README.md'
        )
    if any(frame.endswith('/mmengine/runner/checkpoint.py') for frame in frames):
        return (
            f'there is no checkpoint {path or error}: training writes them into its work_dir, '
            'configs/demo has one to try'
        )
    return None


def _options_that_do_not_fit(error: BaseException) -> str | None:
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    if 'merge_from_dict' in names and isinstance(error, (KeyError, TypeError, ValueError)):
        text = error.args[0] if error.args else error
        return f'{_OPTIONS} do not fit the config: {text}'
    return None


def _frames(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)
    return [Path(frame.filename).as_posix() for frame in frames]
