"""Checkpoints of plain values: any PyTorch loads them with ``weights_only=True``, by itself.

MMEngine pickles its log histories, and NumPy's arrays and numbers in what it knows of the data.
PyTorch alone refuses those, and it must: what unpickles a class can run code.
"""

from __future__ import annotations

import functools
import io
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import runner

from unsct_mmpose.files import replace_file, sweep_temporaries

_HISTORY, _COUNTS, _LENGTH = 'log_history', 'count_history', 'max_length'


def save_plain_checkpoints() -> None:
    """Let trainings save plain checkpoints, and go on from them with their log.

    MMEngine alone goes on from them too: with a warning, and a log that begins anew. On a disk a
    checkpoint appears when it is whole; MMEngine leaves half of one where the room ends.
    """
    save, load = runner.save_checkpoint, MessageHub.load_state_dict

    @functools.wraps(save)
    def save_checkpoint(checkpoint: dict, filename: str, *args: Any, **kwargs: Any) -> None:
        if any(args) or any(kwargs.values()) or '://' in filename:
            save(plain(checkpoint), filename, *args, **kwargs)  # of a storage elsewhere
            return
        folder = Path(filename).parent
        folder.mkdir(parents=True, exist_ok=True)
        sweep_temporaries(folder.glob('.*.tmp'))
        write_plain(Path(filename), checkpoint)

    @functools.wraps(load)
    def load_state_dict(self: MessageHub, state_dict: Any) -> None:
        load(self, revived(state_dict) if isinstance(state_dict, dict) else state_dict)

    runner.save_checkpoint, MessageHub.load_state_dict = save_checkpoint, load_state_dict


def write_plain(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint as plain values, whole or not at all."""
    with io.BytesIO() as file:
        torch.save(plain(dict(content)), file)
        replace_file(path, file.getvalue())


def plain(value: Any) -> Any:
    """Return a checkpoint's content with tensors, numbers, text and containers alone.

    Args:
        value: what MMEngine is about to save. Arrays become nested lists; what is of another
            class, which only a user's own hook or metric puts there, stays as it is.

    Example:
        >>> plain({'best': np.float64(1.5), 'colours': np.zeros((1, 2), np.uint8)})
        {'best': 1.5, 'colours': [[0, 0]]}
    """
    if isinstance(value, HistoryBuffer):
        history, counts = (torch.from_numpy(np.array(part)) for part in value.data)
        return {_HISTORY: history, _COUNTS: counts, _LENGTH: value.max_length}
    if isinstance(value, OrderedDict):
        copied = OrderedDict((plain(key), plain(entry)) for key, entry in value.items())
        vars(copied).update(vars(value))  # where state_dict() keeps versions of its modules
        return copied
    if isinstance(value, dict):
        return {plain(key): plain(entry) for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return value


def revived(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a ``MessageHub`` with log histories in the place of plain ones."""
    scalars = {
        name: HistoryBuffer(value[_HISTORY].numpy(), value[_COUNTS].numpy(), value[_LENGTH])
        if isinstance(value, dict) and {_HISTORY, _COUNTS, _LENGTH} == set(value)
        else value
        for name, value in state.get('log_scalars', {}).items()
    }
    return {**state, 'log_scalars': scalars}
