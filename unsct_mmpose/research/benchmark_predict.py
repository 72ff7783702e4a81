"""What a prediction costs end to end, from a file to decisions: PyTorch beside onnxruntime."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate

from unsct_mmpose.calibrate.evidence_table import load_model
from unsct_mmpose.datasets.data_settings import pipeline_settings
from unsct_mmpose.dicom import read_radiograph
from unsct_mmpose.functional.crop import grey_levels
from unsct_mmpose.inference.onnx_model import OnnxModel


@dataclass(frozen=True)
class PredictCost:
    """Cost of reading one file and all that its maps say.

    Attributes:
        onnx_ms: median wall time of the exported model, milliseconds.
        torch_ms: the same of PyTorch with MMPose's pipeline.
        ratios: time of PyTorch over that of the exported model, for each pair.
        growth_mb: how much the resident memory grew over ``images`` reads of the exported model,
            after the first tenth of them.
        images: number of these reads.
        file_ms: median wall time of decoding the file alone, a part of both.
    """

    onnx_ms: float
    torch_ms: float
    ratios: tuple[float, ...]
    growth_mb: float
    images: int
    file_ms: float

    @property
    def ratio(self) -> float:
        """Median ratio; above 1 the exported model is faster."""
        return statistics.median(self.ratios)


def predict_cost(
    config: str | os.PathLike[str],
    checkpoint: str | os.PathLike[str],
    onnx_path: str | os.PathLike[str],
    files: Sequence[Path],
    *,
    rounds: int = 20,
    images: int = 1000,
    threads: int = 2,
) -> PredictCost:
    """Time both ways from a file to its landmarks, in alternating runs.

    Args:
        config: config of the model.
        checkpoint: its weights.
        onnx_path: the same, exported.
        files: radiographs, taken in turn.
        rounds: pairs that are timed, after two that are not.
        images: reads of the exported model while the memory is watched; at least 10.
        threads: processor cores to use.

    Raises:
        ValueError: there are no files, or fewer than 10 images to watch the memory over.
    """
    if not files or images < 10:
        raise ValueError(f'{len(files)} files and {images} images: give a file and 10 images')
    exported = OnnxModel(onnx_path, threads=threads)
    usual = torch_reader(config, checkpoint)

    def fast(path: Path) -> None:
        exported.infer([read_radiograph(path).pixels])

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        turns = list(islice(cycle(files), rounds + 2))
        pairs = [(_seconds(fast, path), _seconds(usual, path)) for path in turns][2:]
    finally:
        torch.set_num_threads(before)
    alone = [_seconds(read_radiograph, path) for path in turns]
    return PredictCost(
        onnx_ms=1000 * statistics.median(one for one, _ in pairs),
        torch_ms=1000 * statistics.median(other for _, other in pairs),
        ratios=tuple(other / one for one, other in pairs),
        growth_mb=memory_growth_mb(fast, islice(cycle(files), images), images // 10),
        images=images,
        file_ms=1000 * statistics.median(alone),
    )


def torch_reader(
    config: str | os.PathLike[str], checkpoint: str | os.PathLike[str]
) -> Callable[[Path], Any]:
    """Return what reads a file with PyTorch and MMPose: the test pipeline and the model's step."""
    infer = torch_model(config, checkpoint)
    return lambda path: infer(grey_levels(read_radiograph(path).pixels))


def torch_model(
    config: str | os.PathLike[str], checkpoint: str | os.PathLike[str]
) -> Callable[[np.ndarray], Any]:
    """Return the same for ``(H, W)`` grey levels."""
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
            start = resident_mb()
        read(path)
    return resident_mb() - start


def resident_mb() -> float:
    """Return the resident memory of this process, in units of 2**20 bytes; NaN if unknown."""
    statm = Path('/proc/self/statm')
    if not statm.is_file():
        return float('nan')
    return int(statm.read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2**20


def _seconds(function: Callable[[Path], Any], path: Path) -> float:
    started = time.perf_counter()
    function(path)
    return time.perf_counter() - started
