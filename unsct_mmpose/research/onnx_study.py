"""What exporting and quantizing changes: time, memory and figures beside those of PyTorch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate

from unsct_mmpose.calibrate.evidence_table import build_dataset, load_model
from unsct_mmpose.calibrate.fit import evaluate
from unsct_mmpose.datasets import LoadRadiograph
from unsct_mmpose.datasets.data_settings import pipeline_settings
from unsct_mmpose.inference.onnx_model import OnnxModel

from .benchmark import PairedTimes
from .markdown import read_notes, render_page, render_records
from .memory import memory_mb
from .results import read_folder

FIGURES = ('landmark/all/MRE', 'set_error/all/E_20', 'set_error/unstructured/E_20')

_EXPORT_COLUMNS = (
    'model', 'megabytes', 'time_ratio', *FIGURES, 'decisions', 'decisions_changed',
    'largest_move_px', 'median_move_px',
)  # fmt: skip


def torch_model(
    config: str | os.PathLike[str], checkpoint: str | os.PathLike[str]
) -> Callable[[np.ndarray], Any]:
    """Return what finds landmarks in ``(H, W)`` grey levels as MMPose does: pipeline and step."""
    model, settings = load_model(config, checkpoint, 'cpu')
    pipeline = Compose(pipeline_settings(settings.test_dataloader.dataset))

    def infer(grey: np.ndarray) -> Any:
        bbox = np.array([[0, 0, grey.shape[1], grey.shape[0]]], np.float32)
        item = pipeline(dict(img=grey, bbox=bbox, bbox_score=np.ones(1, np.float32)))
        with torch.no_grad():
            return model.test_step(pseudo_collate([item]))[0].pred_instances

    return infer


def memory_growth_mb(read: Callable[[Path], Any], files: Any, warm_up: int) -> float:
    """Return by how much the resident memory of this process grows while files are read."""
    start = 0.0
    for number, path in enumerate(files):
        if number == warm_up:
            start = memory_mb('VmRSS')
        read(path)
    return memory_mb('VmRSS') - start


def compare_exports(
    config: str | os.PathLike[str],
    checkpoint: str | os.PathLike[str],
    files: Sequence[Path],
    *,
    devices: Sequence[str] = ('cpu',),
    data: Path | None = None,
    ann_file: str | None = None,
) -> list[dict[str, Any]]:
    """Read annotated images, by default the config's, with PyTorch and with exported models.

    Returns:
        For PyTorch and each file on each device its figures: :data:`FIGURES`, ``megabytes``,
        ``time_ratio`` (its time over that of the first, without decoding the image, median over
        images), ``decisions`` and how many of them differ from PyTorch's, and how far the points
        that both report move, image pixels.
    """
    _, settings = load_model(config, checkpoint, 'cpu')
    dataset = build_dataset(settings, 'test', data, ann_file)
    usual = torch_model(config, checkpoint)
    models = [OnnxModel(path, threads=1, device=device) for device in devices for path in files]
    predictions: list[list[dict]] = [[] for _ in range(len(models) + 1)]
    seconds: list[list[float]] = [[] for _ in models]
    truth = []
    load = LoadRadiograph()  # as the models see an image, its truth taken along
    for row in range(len(dataset)):
        item = load.transform(dict(dataset.get_data_info(row)))
        truth.append(item['raw_ann_info'])
        grey = item['img'][..., 0]
        fields = usual(grey)
        pixels = grey / np.float32(255)
        for number, model in enumerate(models):
            started = time.perf_counter()
            predictions[number + 1].append(model.infer([pixels])[0])
            seconds[number].append(time.perf_counter() - started)
        predictions[0].append({key: np.asarray(fields[key])[0] for key in predictions[1][-1]})
    rows = [_row(each, predictions[0], truth) for each in predictions]
    rows[0] |= dict(model='PyTorch', megabytes=_megabytes(checkpoint))
    for row, model, own in zip(rows[1:], models, seconds, strict=True):
        times = PairedTimes(tuple(own), tuple(seconds[0])).ratios('time_ratio', 2)
        row |= dict(
            model=' '.join([Path(model.path).stem, model.identity.get('runtime', '')]).strip(),
            megabytes=_megabytes(model.path),
            time_ratio=times['time_ratio_median'],
        )
    return rows


def _megabytes(path: str | os.PathLike[str]) -> float:
    return round(os.path.getsize(path) / 2**20, 2)


def _row(predictions: Sequence[Mapping], usual: Sequence[Mapping], truth: Sequence) -> dict:
    samples = [
        dict(pred_instances={k: np.asarray(v)[None] for k, v in fields.items()}, raw_ann_info=info)
        for fields, info in zip(predictions, truth, strict=True)
    ]
    figures = evaluate(samples)
    (reported, points), (expected, wanted) = (
        [np.stack([fields[key] for fields in each]) for key in ('keypoints_visible', 'keypoints')]
        for each in (predictions, usual)
    )
    moves = np.linalg.norm(points - wanted, axis=-1)[(reported > 0) & (expected > 0)]
    return dict(
        {name: round(figures[name], 3) for name in FIGURES},
        decisions=reported.size,
        decisions_changed=int((reported != expected).sum()),
        largest_move_px=float(f'{moves.max():.2g}'),
        median_move_px=float(f'{np.median(moves):.2g}'),
    )


def render_onnx_page(folder: Path) -> str:
    """Return the page of ``onnx/exports*.json``, which ``tools/benchmark.py exports`` writes."""
    files = read_folder(folder / 'onnx', pattern='exports*.json').values()
    rows = [row for content in files for row in content['models']]
    parts = [
        'Made by `python tools/benchmark.py onnx-page docs/results` from the json files in `onnx`. '
        '**All images are simulated: no figure here says anything about clinical accuracy.** '
        'How fast it is beside PyTorch and stock MMPose: `tools/benchmark.py predict`.',
        *(['## What changes', render_records(_EXPORT_COLUMNS, rows)] if rows else []),
    ]
    return render_page('The exported model', [*parts, *read_notes(folder, 'onnx')])
