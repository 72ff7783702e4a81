"""A config that inherits others, written as one file that needs none of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

from mmengine.config import Config

from unsct_mmpose.files import replace_file

_CONTENT = (
    'default_scope', 'custom_imports', 'dataset_type', 'data_mode', 'data_root', 'codec', 'model',
    'train_dataloader', 'val_dataloader', 'test_dataloader', 'val_evaluator', 'test_evaluator',
    'train_cfg', 'val_cfg', 'test_cfg', 'optim_wrapper', 'auto_scale_lr', 'param_scheduler',
    'custom_hooks', 'default_hooks', 'visualizer', 'env_cfg', 'log_processor', 'log_level',
    'load_from', 'resume', 'randomness',
)  # fmt: skip
"""What MMEngine, MMPose and the tools here read in a config; other names are its author's own."""

DATA = '{{$UNSCT_DATA:data/phantom}}'
"""How a config asks for the folder of the data: from outside, else the phantom's."""

HAS_CUDA = "__import__('torch').cuda.is_available()"
"""How a config asks whether there is a GPU."""

WIDTH = 100
_BRACKETS = {Mapping: ('dict(', ')'), tuple: ('(', ')'), list: ('[', ']')}
_ASKED = 'is there CUDA?'


def content_of(config: Config) -> dict:
    """Return the part of a resolved config that decides what happens: :data:`_CONTENT`."""
    whole = config.to_dict()
    return {name: whole[name] for name in _CONTENT if name in whole}


def flatten_config(path: Path, budget: str = 'gpu', header: str = '') -> str:
    """Return Python text that resolves to the same content as a config with all it inherits.

    What is asked when a config is read stays a question: the folder of the data (``UNSCT_DATA``),
    and whether there is a GPU. ``UNSCT_BUDGET`` is answered.
    """
    with _open_questions(budget):
        content = content_of(Config.fromfile(path))
    lines = []
    named: dict[str, Any] = {}
    for name, value in content.items():
        lines.append(f'{name} = {render(value, named, len(name) + 3)}\n')
        named |= _names_for(name, value)
    return header + ''.join(lines)


def render(
    value: Any, named: Mapping[str, Any] = MappingProxyType({}), before: int = 0, indent: int = 0
) -> str:
    """Write a value as Python, on one line where it fits, elsewhere on as few as may be.

    Args:
        value: dictionaries (their keys being names), lists, tuples and plain values.
        named: values that have a name already, and dictionaries to start others from.
        before: characters before it on its first line.
        indent: characters before its last line.

    Example:
        >>> render(dict(size=(2, 3), type='A'))
        "dict(type='A', size=(2, 3))"
        >>> render([3, dict(type='A', b=1)], named=dict(a=dict(type='A')))
        '[3, dict(a, b=1)]'
    """
    for name, same in named.items():
        if same == value:
            return name
    if not isinstance(value, Mapping | list | tuple):
        return HAS_CUDA if value == _ASKED else repr(value)
    opening, closing = next(pair for kind, pair in _BRACKETS.items() if isinstance(value, kind))
    items = _items(value, named, indent + 4)
    one_line = ', '.join(items) + (',' if isinstance(value, tuple) and len(value) == 1 else '')
    fits = '\n' not in one_line and before + len(opening + one_line) + 2 <= WIDTH
    if fits or not items:
        return opening + one_line + closing
    within = ' ' * (indent + 4)
    body = ''.join(f'{within}{line}\n' for line in _fill(items, WIDTH - len(within)))
    return f'{opening}\n{body}{" " * indent}{closing}'


def _names_for(name: str, value: Any) -> dict[str, Any]:
    """Return what may stand for a setting where it comes again, so that one edit changes all."""
    if name == 'codec':
        return {"codec['input_size']": value['input_size'], 'codec': value}
    return {name: value} if name == 'data_root' else {}


def _fill(items: list[str], width: int) -> list[str]:
    """Join short items into lines; one that has lines of its own starts a new one."""
    lines = ['']
    for item in items:
        joined = f'{lines[-1]} {item},'.strip()
        if '\n' in lines[-1] + item or len(joined) > width:
            lines.append(f'{item},')
        else:
            lines[-1] = joined
    return [line for line in lines if line]


def _items(value: Any, named: Mapping[str, Any], indent: int) -> list[str]:
    """Write what is in a container; the type of a component goes first."""
    if not isinstance(value, Mapping):
        return [render(item, named, indent, indent) for item in value]
    start = [k for k, v in named.items() if isinstance(v, Mapping) and {*v} <= {*value}]
    given = named[start[0]] if start else {}
    names = [name for name in value if name not in given or given[name] != value[name]]
    names.sort(key=lambda name: name != 'type')
    written = [
        f'{name}={render(value[name], named, indent + len(name) + 1, indent)}' for name in names
    ]
    return start[:1] + written


def write_flat_configs(
    paths: Mapping[Path, Path], budget: str, root: Path, command: str
) -> list[Path]:
    """Flatten each config into its file, whose header says what it is of and how it is made."""
    for source, target in paths.items():
        name = source.resolve().relative_to(root.resolve()).as_posix()
        header = (
            f'# {name} at UNSCT_BUDGET={budget}, with all that it inherits.\n'
            f'# Copy this file alone. Generated by `{command}`: change that one.\n'
            '# The folder of the data: UNSCT_DATA=DIR.\n'
        )
        text = flatten_config(source, budget, header)
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, text.encode())
    return list(paths.values())


@contextmanager
def _open_questions(budget: str) -> Iterator[None]:
    """Let a config read its own questions where it asks for data and GPU."""
    # MMEngine's logger wants to know which GPU, where there is one
    settings = dict(UNSCT_BUDGET=budget, UNSCT_DATA=DATA, CUDA_VISIBLE_DEVICES='0')
    with patch.dict(os.environ, settings), patch('torch.cuda.is_available', lambda: _ASKED):
        yield
