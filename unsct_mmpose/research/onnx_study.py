"""What exporting and quantizing a model changes: its figures beside those of PyTorch."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unsct_mmpose.calibrate.evidence_table import build_dataset, load_model
from unsct_mmpose.calibrate.fit import evaluate
from unsct_mmpose.datasets import LoadRadiograph
from unsct_mmpose.files import replace_file
from unsct_mmpose.inference.onnx_model import OnnxModel

from .benchmark_predict import torch_model
from .results import read_folder, render_table

FIGURES = ('landmark/all/MRE', 'set_error/all/E_20', 'set_error/unstructured/E_20')

_EXPORT_COLUMNS = (
    'model', 'megabytes', 'time_ratio', *FIGURES, 'decisions', 'decisions_changed',
    'largest_move_px', 'median_move_px',
)  # fmt: skip
_PREDICT_COLUMNS = (
    'config', 'threads', 'torch_ms', 'onnx_ms', 'file_ms', 'ratio_median', 'ratio_min',
    'ratio_max', 'images', 'growth_mb', 'machine',
)  # fmt: skip


def compare_exports(
    config: str | os.PathLike[str],
    checkpoint: str | os.PathLike[str],
    files: Sequence[Path],
    *,
    data: Path | None = None,
    ann_file: str | None = None,
    threads: int = 1,
) -> list[dict[str, Any]]:
    """Read annotated images with PyTorch and with exported models.

    Args:
        config: config of the model.
        checkpoint: its weights.
        files: the exported models.
        data: folder of the images; None takes that of the config's ``test_dataloader``.
        ann_file: annotation file in it; None takes the config's.
        threads: processor cores to use.

    Returns:
        For PyTorch and each file its figures: :data:`FIGURES`, ``megabytes``, ``time_ratio`` (its
        time over that of the first file, without decoding the image, median over images),
        ``decisions`` and how many of them differ from PyTorch's, and how far the points that both
        report move, image pixels.
    """
    _, settings = load_model(config, checkpoint, 'cpu')
    dataset = build_dataset(settings, 'test', data, ann_file)
    usual = torch_model(config, checkpoint)
    models = [OnnxModel(path, threads=threads) for path in files]
    found: list[list[dict]] = [[] for _ in range(len(files) + 1)]
    seconds: list[list[float]] = [[] for _ in files]
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
            found[number + 1].append(model.infer([pixels])[0])
            seconds[number].append(time.perf_counter() - started)
        found[0].append({name: np.asarray(fields[name])[0] for name in found[1][-1]})
    rows = [_row(one, found[0], truth) for one in found]
    rows[0] |= dict(model='PyTorch', megabytes=round(os.path.getsize(checkpoint) / 2**20, 2))
    for row, path, own in zip(rows[1:], files, seconds, strict=True):
        ratios = [one / first for one, first in zip(own, seconds[0], strict=True)]
        size = round(os.path.getsize(path) / 2**20, 2)
        row |= dict(model=path.stem, megabytes=size, time_ratio=round(statistics.median(ratios), 2))
    return rows


def _row(found: Sequence[Mapping], usual: Sequence[Mapping], truth: Sequence) -> dict[str, Any]:
    samples = [
        dict(pred_instances={k: np.asarray(v)[None] for k, v in one.items()}, raw_ann_info=info)
        for one, info in zip(found, truth, strict=True)
    ]
    figures = evaluate(samples)
    visible, expected = (
        np.stack([one['keypoints_visible'] for one in every]) for every in (found, usual)
    )
    points, wanted = (np.stack([one['keypoints'] for one in every]) for every in (found, usual))
    moves = np.linalg.norm(points - wanted, axis=-1)[(visible > 0) & (expected > 0)]
    return dict(
        {name: round(figures[name], 3) for name in FIGURES},
        decisions=visible.size,
        decisions_changed=int((visible != expected).sum()),
        largest_move_px=float(f'{moves.max():.2g}'),
        median_move_px=float(f'{np.median(moves):.2g}'),
    )


def write_page(folder: Path) -> Path:
    """Write ``onnx.md`` of a folder of results from the json files in ``onnx``.

    Args:
        folder: holds ``onnx/predict*.json`` of ``tools/benchmark.py predict``,
            ``onnx/exports*.json`` of ``exports`` and perhaps ``notes/onnx.md``.
    """
    replace_file(folder / 'onnx.md', render_page(folder).encode())
    return folder / 'onnx.md'


def render_page(folder: Path) -> str:
    """Return the page that :func:`write_page` writes."""
    parts = [
        '# The exported model',
        'Made by `python tools/benchmark.py onnx-page docs/results` from the json files in `onnx`. '
        '**All images are simulated: no figure here says anything about clinical accuracy.**',
    ]
    for title, pattern, columns in (
        ('From a file to decisions', 'predict*.json', _PREDICT_COLUMNS),
        ('What changes', 'exports*.json', _EXPORT_COLUMNS),
    ):
        rows: list[Mapping[str, Any]] = []
        for content in read_folder(folder / 'onnx', pattern=pattern).values():
            rows += content.get('models', [content])
        if rows:
            cells = [[str(row.get(column, '-')) for column in columns] for row in rows]
            parts += [f'## {title}', render_table(columns, cells)]
    words = folder / 'notes' / 'onnx.md'
    parts += [words.read_text().strip()] if words.is_file() else []
    return '\n\n'.join(parts) + '\n'
