"""Everything that the performance page holds against what is wanted, measured one after another."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from unsct_mmpose.files import write_json

from .benchmark import decode_cost, pipeline_cost, step_cost, step_transfers, with_stock_machinery
from .performance_page import FOLDER, TARGETS
from .predict_cost import PredictRequest, exported, phantom_cost, predict_cost
from .results import describe_host, read_json
from .scale import scale_cost, simulated_data
from .tiny import DEMO, tiny_config

ENTRY = 'configs/unsct_hrnet_tha.py'


_STEPS = (
    ('cpu_step_float32', 'float32', False),
    ('cpu_step_bfloat16', 'bfloat16', False),
    ('cpu_step_recommended', 'config', True),
)


def _config(root: Path, short: bool, name: str = DEMO) -> Config:
    return Config.fromstring(tiny_config(root), '.py') if short else Config.fromfile(root / name)


def _measure_transfers(root: Path, short: bool) -> dict[str, Any]:
    """Count what a step of the entry config copies and waits for, beside MMPose's machinery."""
    config = _config(root, short, ENTRY)
    batch = 2 if short else config.train_dataloader.batch_size
    ours = step_transfers(config, batch)
    stock = step_transfers(with_stock_machinery(config), batch)
    return dict(
        what=f'a training step of {batch} images on the meta device: copies to the device, and '
        'operators for whose result the host would wait on CUDA',
        rows=[dict(machinery='ours', **ours), dict(machinery="MMPose's", **stock)],
        targets=dict(step_waits=dict(value=ours['waiting'])),
    )


def _measure_steps(root: Path, short: bool) -> dict[str, Any]:
    """Time training steps on this machine's processor, beside MMPose's HRNet and HeatmapHead."""
    rounds, batch = (1, 1) if short else (7, 8)
    rows, targets = [], {}
    for name, precision, as_stock in _STEPS[:1] if short else _STEPS:
        config = _config(root, short)
        if precision != 'config':
            wrapper = 'OptimWrapper' if precision == 'float32' else 'AmpOptimWrapper'
            config.optim_wrapper.type = wrapper
        cost = step_cost(config, batch_size=batch, rounds=rounds, device='cpu', as_stock=as_stock)
        keys = ('ratio_median', 'ratio_min', 'ratio_max')
        ratios = [cost[key] for key in keys]
        if as_stock:  # images/s: the other way round
            ratios = [round(1 / ratio, 3) for ratio in (ratios[0], ratios[2], ratios[1])]
        targets[name] = dict(zip(('value', 'min', 'max'), ratios, strict=True))
        row = {key: value for key, value in cost.items() if 'profile' not in key}
        rows.append(
            dict(precision=precision, beside='as stock' if as_stock else 'same optimiser', **row)
        )
    return dict(
        what=f'{DEMO}, batch {batch}, {rounds} alternating pairs, random images', rows=rows,
        targets=targets,
    )  # fmt: skip


def _measure_pipeline(root: Path, short: bool) -> dict[str, Any]:
    """Time each stage of the entry config's augmentation, per image."""
    count = 2 if short else 40
    config = Config.fromfile(root / ENTRY)
    with tempfile.TemporaryDirectory() as folder:
        simulated_data(Path(folder), count)
        stages = pipeline_cost(config, Path(folder), rounds=1 if short else 4)
    total = round(sum(row['ms'] for row in stages), 2)
    return dict(
        what=f'{ENTRY}: processor time an image of each stage of the training pipeline, mean over '
        f'{count} simulated images of 768 x 768, decoded once',
        rows=[*stages, dict(stage='all', ms=total)],
        targets=dict(pipeline_ms=dict(value=total)),
    )


def _measure_scale(root: Path, short: bool) -> dict[str, Any]:
    """See :func:`.scale.scale_cost`."""
    return dict(
        what='one run of each size; memory is the most above what there was before; pixels, '
        'landmarks: least of 3, one thread, one image',
        **scale_cost(Config.fromfile(root / DEMO), short),
    )


def _measure_predict(root: Path, short: bool) -> dict[str, Any]:
    """Time the ways from DICOM to json with the ready model, on the bundled radiograph."""
    demo = root / DEMO
    files = [demo.parent / 'phantom_example.dcm']
    request = PredictRequest(
        demo, demo.with_suffix('.pth'), files, rounds=1 if short else 15, compiled=not short
    )
    with exported(request) as ready:
        cost = predict_cost(ready)
    return dict(what=f'{DEMO}: from DICOM to json, the bundled radiograph again and again', **cost)


def _measure_decode(root: Path, short: bool) -> dict[str, Any]:
    """Time decoding and uncertainty beside the forward pass that makes the maps."""
    config = _config(root, short)
    rows = []
    for side in (16,) if short else (64, 128):
        cost = decode_cost(config, map_size=side, batch_size=2 if short else 8, rounds=5)
        rows.append(dict(map_size=side, **cost))
    share = dict(value=rows[0]['share_median'], min=rows[0]['share_min'], max=rows[0]['share_max'])
    return dict(what=f'{DEMO}, one thread', rows=rows, targets=dict(decode_share=share))


def _measure_phantom(root: Path, short: bool) -> dict[str, Any]:
    """Time making simulated radiographs of 512 x 512 pixels."""
    return phantom_cost(1, 1) if short else phantom_cost(48)


STAGES: Mapping[str, Callable[[Path, bool], dict[str, Any]]] = {
    'transfers': _measure_transfers,
    'steps': _measure_steps,
    'pipeline': _measure_pipeline,
    'scale': _measure_scale,
    'predict': _measure_predict,
    'decode': _measure_decode,
    'phantom': _measure_phantom,
}
"""What ``benchmark all`` does: each writes ``performance/NAME.json``."""


def measure_all(
    root: Path, folder: Path, names: Sequence[str] = (), short: bool = False
) -> Iterator[tuple[str, float]]:
    """Measure, write one json file after another, and yield the name and seconds of each.

    All of :data:`STAGES` unless some are named; ``short`` takes seconds, to see that everything
    works, and its figures mean nothing.
    """
    for name in names or STAGES:
        started = time.perf_counter()
        measured = STAGES[name](root, short)
        command = f'python tools/benchmark.py all docs/results --only {name}'
        write_json(
            _made(folder / FOLDER) / f'{name}.json',
            dict(command=command, **describe_host(), **measured),
        )
        yield name, time.perf_counter() - started


def time_command(target: str, command: Sequence[str], out: Path) -> int:
    """Run a command, and write how many minutes it took as the figure of a target.

    The figures of other targets in the json stay. The command's exit status comes back; unless it
    is 0, nothing is written.

    Raises:
        ValueError: there is no such target.
    """
    minutes = [name for name in TARGETS if name.endswith('_minutes')]
    if target not in minutes:
        raise ValueError(f'no target {target!r} in minutes; choose from {minutes}')
    started = time.perf_counter()
    status = subprocess.run(command, check=False).returncode
    if status == 0:
        targets = read_json(out).get('targets', {}) if out.is_file() else {}
        value = round((time.perf_counter() - started) / 60, 2)
        targets[target] = dict(value=value, command=' '.join(command))
        write_json(_made(out.parent) / out.name, dict(**describe_host(), targets=targets))
    return status


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
