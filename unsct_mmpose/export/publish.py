"""Make a checkpoint small and clean enough to hand out, or a file that no code can hide in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner.checkpoint import _load_checkpoint

import unsct_mmpose
from unsct_mmpose.anatomy import HIP, landmark_set
from unsct_mmpose.calibrate.fit import META_KEY, weights_hash
from unsct_mmpose.engine.weight_files import SUFFIX, write_checkpoint
from unsct_mmpose.maps.calibration import CALIBRATION_KEY


def publish(
    checkpoint: Path, out: Path, notice: Mapping[str, str], config: Path | None = None
) -> Path:
    """Keep the weights, in half precision, and drop everything else.

    Optimiser states, logs and the config's text, which holds the paths of whoever trained it, are
    left out: the file loads with ``weights_only=True``. A calibration is dropped too, as it
    belongs to the unrounded weights: calibrate the new file (``unsct calibrate``).

    Args:
        checkpoint: the checkpoint to take.
        out: the file to write, whole or not at all: safetensors, if it is called so.
        notice: words for the checkpoint's ``meta``: what it was trained on, its licence.
        config: the model's config, for :func:`describe_config`; None: not described.

    Returns:
        ``out``.

    Raises:
        ValueError: the two are the same file, a weight is too large for half precision, or a
            safetensors file is to be written without a config.
    """
    if out.suffix == SUFFIX and config is None:
        raise ValueError(f'{out}: its metadata name the config and the landmarks: give --config')
    _refuse_the_same(checkpoint, out)
    content = _load_checkpoint(str(checkpoint), map_location='cpu')
    weights = {
        name: _halve(name, value)
        for name, value in content['state_dict'].items()
        if not name.endswith(CALIBRATION_KEY)
    }
    _write(out, weights, {} if config is None else describe_config(config), notice)
    return out


def export_safetensors(config: Path, checkpoint: Path, out: Path) -> dict[str, Any]:
    """Write the weights as they are, and their calibration, into a safetensors file.

    Its metadata hold, each as a json text, what :func:`describe_config` says, the calibration and
    the hash of the weights that reports name.

    Args:
        config: config of the model.
        checkpoint: its weights, with or without a calibration.
        out: the file to write, whole or not at all.

    Returns:
        The metadata.

    Raises:
        ValueError: the two are the same file.
    """
    _refuse_the_same(checkpoint, out)
    content = _load_checkpoint(str(checkpoint), map_location='cpu')
    calibration = content.get('meta', {}).get(META_KEY)
    kept = {META_KEY: calibration} if calibration else {}
    return _write(out, content['state_dict'], {**describe_config(config), **kept})


def describe_config(config: Path) -> dict[str, Any]:
    """Say for which model weights are, by nothing that names a person or a folder.

    Returns:
        ``config``, its name and the sha256 of its ``model`` as json; ``landmarks``, the set.
    """
    settings = Config.fromfile(config)
    text = json.dumps(settings.model.to_dict(), sort_keys=True, default=str)
    decoder = settings.model.get('head', {}).get('decoder') or {}
    landmarks = landmark_set(decoder['landmarks']) if 'landmarks' in decoder else HIP
    digest = hashlib.sha256(text.encode()).hexdigest()
    return dict(config=dict(name=config.name, model_sha256=digest), landmarks=landmarks.to_dict())


def _write(out: Path, weights: Mapping[str, torch.Tensor], *entries: Mapping) -> dict[str, Any]:
    meta: dict[str, Any] = dict(unsct_mmpose=unsct_mmpose.__version__)
    if out.suffix == SUFFIX:
        # of the numbers as a model holds them, which is what reports name
        widened = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
        meta['weights_sha256'] = weights_hash(widened)
    for entry in entries:
        meta |= entry
    write_checkpoint(out, dict(meta=meta, state_dict=weights))
    return meta


def _refuse_the_same(checkpoint: Path, out: Path) -> None:
    if out.resolve() == checkpoint.resolve():
        raise ValueError(f'{out}: publishing would replace the checkpoint; name another file')


def _halve(name: str, value: torch.Tensor) -> torch.Tensor:
    if not value.is_floating_point():
        return value
    half = value.half()
    if torch.isfinite(value).all() and not torch.isfinite(half).all():
        raise ValueError(f'weight {name}: a value above 65504 does not fit half precision')
    return half
