"""Errors that a user can mend end a tool in words, without the traceback of a library.

Only the standard library is needed, so that it works where little else does.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

TRACEBACK_VARIABLE = 'UNSCT_TRACEBACK'
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
    'pylibjpeg': 'dicom',
    'gdcm': 'dicom',
}
"""Optional packages, and the extra of ``setup.py`` that brings each."""

_PACKAGE = f'{Path(__file__).resolve().parent.as_posix()}/'
_OPTIONS = '--cfg-options'
_EXAMPLE = 'train_cfg.max_epochs=5 train_dataloader.batch_size=4'


@contextmanager
def errors_in_words(tool: str, arguments: Sequence[str] | None = None) -> Iterator[None]:
    """Run a tool; an error that its user can mend ends it with one message and status 1.

    Every other error passes as it is; with ``UNSCT_TRACEBACK=1`` all do.

    Args:
        tool: name of the tool, which the message starts with.
        arguments: its command line (default: that of this process).

    Raises:
        SystemExit: with the message.
    """
    try:
        check_cfg_options(sys.argv[1:] if arguments is None else arguments)
        yield
    except Exception as error:
        words = explain(error)
        if words is None or os.environ.get(TRACEBACK_VARIABLE) == '1':
            raise
        print(f'{tool}: {words}\n({TRACEBACK_VARIABLE}=1 shows where)', file=sys.stderr)
        raise SystemExit(1) from None


def check_cfg_options(arguments: Sequence[str]) -> None:
    """Refuse what stands after ``--cfg-options`` and is no ``KEY=VALUE``.

    Raises:
        ValueError: the message quotes it.
    """
    inside = False
    for one in arguments:
        if one.startswith('--'):
            inside, _, one = one.partition('=') if one.startswith(f'{_OPTIONS}=') else (one, '', '')
            inside = inside == _OPTIONS
            if not one:
                continue
        if not inside:
            continue
        key, equals, value = one.partition('=')
        if not equals or not key or not all(key.split('.')):
            raise ValueError(f'{_OPTIONS} takes KEY=VALUE pairs, not {one!r}; such as {_EXAMPLE}')
        if any(value.count(a) != value.count(b) for a, b in ('()', '[]')):
            raise ValueError(f'{_OPTIONS} {one!r}: its brackets do not match')


def explain(error: BaseException) -> str | None:
    """Say in words what a user can do about an error; None for one that is no user's affair.

    Args:
        error: an exception that has been raised.
    """
    for rule in (_own_words, _missing_package, _missing_config, _options_that_do_not_fit):
        if (words := rule(error)) is not None:
            return words
    return None


def _own_words(error: BaseException) -> str | None:
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
    what = name and (name[1] or name[2])
    if any(frame.endswith('/mmengine/config/config.py') for frame in frames):
        return (
            f'there is no config {what or error}: those that come with the package are listed in '
            'configs/README.md'
        )
    if any(frame.endswith('/mmengine/runner/checkpoint.py') for frame in frames):
        return (
            f'there is no checkpoint {what or error}: training writes them into its work_dir, '
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
