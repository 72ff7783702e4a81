"""Checkpoints in files of two kinds: what ``torch.load`` reads, and ``safetensors``.

A safetensors file holds numbers and text, and no program can hide in it. It is read wherever
MMEngine takes the path of a checkpoint: in a test, as ``load_from``, by every command.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.runner import CheckpointLoader, Runner

from unsct_mmpose.files import jsonable, replace_file

from .plain_checkpoints import plain, write_plain

SUFFIX = '.safetensors'
_LEFT_OUT = ('dataset_meta',)
"""Of ``meta``: json knows no numbers as keys, and the config says the same."""


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint in the format that its name asks for, whole or not at all.

    Args:
        path: ``.safetensors`` for weights and ``meta`` alone, each of its entries a json text;
            any other suffix for all that there is, as plain values.
        content: ``state_dict``, ``meta`` and what a training adds.

    Raises:
        ImportError: safetensors is not installed.
    """
    if path.suffix != SUFFIX:
        write_plain(path, content)
        return
    from safetensors.torch import save

    meta = {k: v for k, v in content.get('meta', {}).items() if k not in _LEFT_OUT}
    texts = {name: json.dumps(jsonable(plain(value))) for name, value in meta.items()}
    state = {k: v.detach().cpu().contiguous().clone() for k, v in content['state_dict'].items()}
    replace_file(path, save(state, metadata={**texts, 'format': 'pt'}))


def read_safetensors(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Read what :func:`write_checkpoint` wrote, or anybody's weights in this format.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: safetensors is not installed.
        ValueError: it is no whole safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'{filename} can not be found.')
    try:
        with safe_open(path, 'pt', device=str(map_location or 'cpu')) as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            texts = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f'{filename}: no whole safetensors file: {error}') from error
    meta = {name: _value(text) for name, text in texts.items() if name != 'format'}
    return dict(meta=meta, state_dict=state)


def read_weight_files() -> None:
    """Let MMEngine read safetensors, and say what a training cannot go on from."""
    read = CheckpointLoader._get_checkpoint_loader('a.pth')

    # MMEngine logs the part of this function's name after 'load_from_'.
    def load_from_local(filename: str, map_location: Any = None) -> Any:
        known = filename.endswith(SUFFIX)
        return (read_safetensors if known else read)(filename, map_location)

    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    resume = Runner.resume

    @functools.wraps(resume)
    def resume_training(self: Runner, filename: str, *args: Any, **kwargs: Any) -> None:
        try:
            resume(self, filename, *args, **kwargs)
        except KeyError as error:
            raise ValueError(
                f'{filename}: no training can go on from it, it lacks {error}; it holds weights '
                'alone. To start from these: --cfg-options load_from=FILE, without --resume'
            ) from error

    Runner.resume = resume_training


def _value(text: str) -> Any:
    """Return what a json text says; a stranger's text as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text
