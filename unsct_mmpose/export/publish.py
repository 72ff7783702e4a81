"""Make a checkpoint small and clean enough to hand out."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.runner.checkpoint import _load_checkpoint

import unsct_mmpose
from unsct_mmpose.files import replace_file
from unsct_mmpose.maps.calibration import CALIBRATION_KEY


def publish(checkpoint: Path, out: Path, notice: Mapping[str, str]) -> Path:
    """Keep the weights, in half precision, and drop everything else.

    Optimiser states, logs and the config's text, which holds the paths of whoever trained it, are
    left out: the file loads with ``weights_only=True``. A calibration is dropped too, as it
    belongs to the unrounded weights: calibrate the new file (``unsct calibrate``).

    Args:
        checkpoint: the checkpoint to take.
        out: the file to write, whole or not at all.
        notice: words for the checkpoint's ``meta``: what it was trained on, its licence.

    Returns:
        ``out``.

    Raises:
        ValueError: the two are the same file, or a weight is too large for half precision.
    """
    if out.resolve() == checkpoint.resolve():
        raise ValueError(f'{out}: publishing would replace the checkpoint; name another file')
    content = _load_checkpoint(str(checkpoint), map_location='cpu')
    weights = {
        name: _halve(name, value)
        for name, value in content['state_dict'].items()
        if not name.endswith(CALIBRATION_KEY)
    }
    buffer = io.BytesIO()
    meta = dict(notice, unsct_mmpose=unsct_mmpose.__version__)
    torch.save(dict(meta=meta, state_dict=weights), buffer)
    replace_file(out, buffer.getvalue())
    return out


def _halve(name: str, value: torch.Tensor) -> torch.Tensor:
    if not value.is_floating_point():
        return value
    half = value.half()
    if torch.isfinite(value).all() and not torch.isfinite(half).all():
        raise ValueError(f'weight {name}: a value above 65504 does not fit half precision')
    return half
