"""Checkpoints that hold weights, plain values and logs, and what else is refused.

PyTorch < 2.6 runs what a checkpoint says. Its ``weights_only`` of then is no way out: before 2.4
it knows no logs, and up to 2.5 it opens TorchScript and tar archives, in which code can hide
(CVE-2025-32434). So :func:`plain_loads` has it unpickle with the class below instead, which calls
nothing that is not listed here.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import pickle
import pickletools
import sys
import tarfile
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_FORCED = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'


def log_globals() -> list[Any]:
    """List what mmengine writes into its own checkpoints besides tensors: logs and arrays."""
    import numpy as np
    from mmengine.logging import HistoryBuffer

    reduced = np.array(0.0).__reduce__()[0], np.float64(0).__reduce__()[0]
    renamed = [
        _under_name(function, f'numpy.{core}.multiarray', name)
        for function, name in zip(reduced, ('_reconstruct', 'scalar'), strict=True)
        for core in ('core', '_core')  # numpy 1 and numpy 2 write different paths
    ]
    dtypes = {type(np.dtype(code)) for code in '?bBhHiIlLqQefdU'}
    getattr_ = _under_name(_history_method, 'builtins', 'getattr')
    return [HistoryBuffer, np.ndarray, np.dtype, *dtypes, *renamed, getattr_]


def _history_method(owner: Any, name: str) -> Any:
    """Stand for ``getattr`` in a checkpoint: only the statistics of mmengine's HistoryBuffer."""
    from mmengine.logging import HistoryBuffer

    if owner is not HistoryBuffer or name not in ('min', 'max', 'mean', 'current'):
        raise pickle.UnpicklingError(f'getattr({owner!r}, {name!r}) is not allowed')
    return getattr(HistoryBuffer, name)


def _encode(text: str, encoding: str) -> bytes:
    """Stand for ``_codecs.encode``, as which pickle writes bytes in PyTorch's protocol."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'encode({encoding!r}) is not allowed')
    return text.encode(encoding)


def _under_name(function: Callable[..., Any], module: str, name: str) -> Callable[..., Any]:
    """Return a function as a checkpoint names it; torch < 2.6 takes no name beside a function."""

    def renamed(*args: Any) -> Any:
        return function(*args)

    renamed.__module__, renamed.__name__, renamed.__qualname__ = module, name, name
    return renamed


@functools.cache
def _known() -> dict[str, Any]:
    """Return all that a checkpoint may name, by its full name."""
    import torch

    rebuilt = ('_rebuild_parameter', '_rebuild_tensor', '_rebuild_tensor_v2')
    values = [OrderedDict, torch.Size, torch.nn.Parameter, set, complex, bytearray, *log_globals(),
              *(getattr(torch._utils, name) for name in rebuilt)]  # fmt: skip
    dtypes = {str(v): v for v in vars(torch).values() if isinstance(v, torch.dtype)}
    other = {'torch.device': torch.device, '_codecs.encode': _encode}
    return {f'{v.__module__}.{v.__qualname__}': v for v in values} | dtypes | other


class _Opcodes(dict):
    """Of the protocol that PyTorch saves in; all others are refused."""

    def __missing__(self, code: int) -> None:
        raise pickle.UnpicklingError(f'opcode {code} is not allowed')


class Unpickler(pickle._Unpickler):
    """Unpickles what :func:`_known` lists, and changes nothing but what it made itself."""

    dispatch = _Opcodes(
        (ord(opcode.code), pickle._Unpickler.dispatch[ord(opcode.code)])
        for opcode in pickletools.opcodes
        if opcode.proto <= 2
        and opcode.name not in ('INST', 'OBJ', 'PERSID', 'EXT1', 'EXT2', 'EXT4')
    )

    def find_class(self, module: str, name: str) -> Any:
        """Return what a checkpoint names.

        Raises:
            pickle.UnpicklingError: it is not listed.
        """
        full = f'{"builtins" if module == "__builtin__" else module}.{name}'
        if full not in _known():
            raise pickle.UnpicklingError(f'GLOBAL {full} is not allowed')
        return _known()[full]


def _guarded(opcode: bytes, fits: Callable[[Unpickler], bool]) -> None:
    act = pickle._Unpickler.dispatch[opcode[0]]

    def guarded(unpickler: Unpickler) -> None:
        if not fits(unpickler):
            raise pickle.UnpicklingError(f'{act.__name__} of this is not allowed')
        act(unpickler)

    Unpickler.dispatch[opcode[0]] = guarded


def _is_known(value: Any) -> bool:
    return any(value is known for known in _known().values())


def _is_storage(key: Any) -> bool:
    return type(key) is tuple and bool(key) and key[0] in ('storage', b'storage')


# The last value of a stack is handed to the one before; a marked row of them to what was before.
_guarded(pickle.REDUCE, lambda self: _is_known(self.stack[-2]))
_guarded(pickle.NEWOBJ, lambda self: isinstance(self.stack[-2], type) and _is_known(self.stack[-2]))
_guarded(pickle.BUILD, lambda self: _is_known(type(self.stack[-2])))
_guarded(pickle.BINPERSID, lambda self: _is_storage(self.stack[-1]))
_guarded(pickle.APPEND, lambda self: type(self.stack[-2]) is list)
_guarded(pickle.SETITEM, lambda self: type(self.stack[-3]) in (dict, OrderedDict))
_guarded(pickle.APPENDS, lambda self: type(self.metastack[-1][-1]) is list)
_guarded(pickle.SETITEMS, lambda self: type(self.metastack[-1][-1]) in (dict, OrderedDict))


def load(file: Any, **kwargs: Any) -> Any:
    """Unpickle a file as :class:`Unpickler` does; with the class, what torch wants of a pickle."""
    return Unpickler(file, **kwargs).load()


@functools.cache
def torch_runs_code() -> bool:
    """Tell whether a checkpoint may call what it likes: load one that names a harmless class."""
    import torch

    file = io.BytesIO()
    torch.save({'path': Path('somewhere')}, file)
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            torch.load(file, map_location='cpu')
    except pickle.UnpicklingError:
        return False
    return True


@contextlib.contextmanager
def environment(name: str, value: str = '1') -> Iterator[None]:
    """Set one of torch's switches for a moment."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Set an attribute for a moment."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextlib.contextmanager
def plain_loads() -> Iterator[None]:
    """Have ``torch.load`` load weights, plain values and logs alone, for a moment.

    It raises pickle.UnpicklingError over anything else.
    """
    import torch
    from torch import serialization

    original, is_torchscript = torch.load, serialization._is_torchscript_zip

    def load_plain(f: Any, map_location: Any = None, **_: Any) -> Any:
        return original(f, map_location, pickle_module=sys.modules[__name__], weights_only=False)

    def refuse_torchscript(archive: Any) -> bool:
        if is_torchscript(archive):
            raise pickle.UnpicklingError('a TorchScript archive')
        return False

    def refuse_tar(*args: Any, **kwargs: Any) -> None:
        with tarfile.open(*args, **kwargs):
            raise pickle.UnpicklingError('a tar archive, as PyTorch 0.1 wrote')

    no_tar = SimpleNamespace(**{**vars(tarfile), 'open': refuse_tar})
    with contextlib.ExitStack() as stack:
        stack.enter_context(environment(_FORCED, '0'))  # which a pickle of ours cannot have
        stack.enter_context(_replaced(torch, 'load', load_plain))
        stack.enter_context(_replaced(serialization, '_is_torchscript_zip', refuse_torchscript))
        stack.enter_context(_replaced(serialization, 'tarfile', no_tar))
        yield
