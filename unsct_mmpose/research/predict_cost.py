"""From DICOM files to json, beside what a user of stock MMPose would run on the same files."""

from __future__ import annotations

import importlib.util
import json
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmpose.apis import inference_topdown, init_model
from mmpose.structures import split_instances
from numpy.typing import NDArray
from pydicom.pixels import apply_voi_lut
from pydicom.uid import generate_uid

from unsct_mmpose.cores import allowed_cores
from unsct_mmpose.datasets.data_settings import pipeline_settings
from unsct_mmpose.dicom.find_inputs import find_inputs
from unsct_mmpose.export import export_onnx
from unsct_mmpose.files import jsonable
from unsct_mmpose.inference.inferencer import Inferencer
from unsct_mmpose.inference.onnx_model import OnnxModel
from unsct_mmpose.inference.predict import PredictOptions, default_batch_size, predict_files
from unsct_mmpose.inference.torch_model import TorchBackend
from unsct_mmpose.phantom.make_phantom import PhantomOptions, make_phantom

from .benchmark import plain_config, seconds_of
from .onnx_study import memory_growth_mb

_BATCHES = (1, 16)
_RECOMMENDED = ('openvino', 'onnx')
"""The way that the targets are of, the first that there is: exported, no PyTorch."""

_Way = Callable[[Sequence[Path]], list[str]]
"""From files to the json text of each."""


@dataclass(frozen=True)
class PredictRequest:
    """What to time: a model on DICOM files, taken in turn.

    ``onnx`` is None until :func:`exported` has exported it. Batches are timed a third of ``rounds``
    times, at least 5 unless fewer are asked for; ``threads`` None takes all free cores;
    ``torch.compile`` takes minutes to begin with.
    """

    config: Path
    checkpoint: Path
    files: Sequence[Path]
    onnx: Path | None = None
    rounds: int = 15
    threads: int | None = None
    device: str = 'cpu'
    compiled: bool = True


@contextmanager
def exported(request: PredictRequest) -> Iterator[PredictRequest]:
    """Yield a request with an exported model: its own, or one in a folder that goes again."""
    with tempfile.TemporaryDirectory() as folder:
        if request.onnx is None:
            request = replace(request, onnx=Path(folder) / 'model.onnx')
            export_onnx.export_onnx(
                export_onnx.ExportRequest(request.config, request.checkpoint, request.onnx)
            )
        yield request


def predict_cost(request: PredictRequest) -> dict[str, Any]:
    """Time every way from files to json, in alternating runs.

    ``stock`` is ``inference_topdown`` of MMPose's HRNet and HeatmapHead, the same backbone with a
    flip test, for one file after another; ``stock batch`` does what ``inference_topdown`` does for
    many boxes, for many files. Both only find the landmarks. ``eager``, ``compiled``, ``onnx`` and
    ``openvino`` are ours: landmarks, uncertainty, decisions, measurements with intervals.
    ``command`` is ``unsct predict`` with the exported model, its processes started anew each time:
    pictures and the report too.

    A batch is of files whose content differs, as equal ones are predicted once by the command.

    Returns:
        ``rows``, one for each way and batch: ``p50_ms`` and ``p95_ms`` of a batch,
        ``images_per_s``, and ``over_stock`` with ``_min`` and ``_max``, by how much it is faster
        than the faster stock way, round by round; and ``targets`` for the page.

    Raises:
        ValueError: there are no files.
    """
    if not request.files:
        raise ValueError('no files: give a folder with DICOM files')
    threads = request.threads or allowed_cores()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        ways, missing = build_ways(request, threads)
        with tempfile.TemporaryDirectory() as folder:
            files = distinct_files(request.files, max(_BATCHES), Path(folder))
            request = replace(request, files=files)
            rows = [row for batch in _BATCHES for row in _time_ways(ways, request, batch)]
    finally:
        torch.set_num_threads(before)
    recommended = next((name for name in _RECOMMENDED if name in ways), None)
    targets = {
        f'predict_batch_{row["batch"]}': dict(
            value=row['over_stock'], min=row['over_stock_min'], max=row['over_stock_max']
        )
        for row in rows
        if row['way'] == recommended and request.device == 'cpu'
    }
    return dict(threads=threads, device=request.device, rows=[*rows, *missing], targets=targets)


def build_ways(
    request: PredictRequest, threads: int
) -> tuple[dict[str, _Way], list[dict[str, Any]]]:
    """Return the ways by name, and a row with the reason for each that there is none of."""
    config = Config.fromfile(request.config)
    stock = init_model(stock_config(config), None, device=request.device)
    pipeline = Compose(stock.cfg.test_dataloader.dataset.pipeline)
    eager = TorchBackend(request.config, request.checkpoint, request.device)
    exported = OnnxModel(request.onnx, threads=threads, device=request.device)
    ways = {
        'stock': partial(_stock, stock),
        'stock batch': partial(_stock_batch, stock, pipeline),
        'eager': partial(_ours, eager),
        'onnx': partial(_ours, exported),
    }
    missing = []
    if request.device == 'cpu':
        try:
            exported = OnnxModel(request.onnx, threads=threads, device='openvino')
            ways['openvino'] = partial(_ours, exported)
        except ValueError as error:
            missing.append(dict(way='openvino', reason=str(error)))
    ways['command'] = partial(_command, exported)
    reason = 'not asked for' if not request.compiled else no_compiler(request.device)
    if reason:
        return ways, [*missing, dict(way='compiled', reason=reason)]
    compiled = compile_model(TorchBackend(request.config, request.checkpoint, request.device))
    try:
        for batch in _BATCHES:
            _ours(compiled, list(islice(cycle(request.files), batch)))
    except Exception as error:  # of any of the compiler's parts
        words = (str(error) or type(error).__name__).splitlines()[0][:200]
        return ways, [*missing, dict(way='compiled', reason=f'torch.compile failed: {words}')]
    return {**ways, 'compiled': partial(_ours, compiled)}, missing


def distinct_files(files: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """Return at least so many DICOM files, copies under numbers of their own among them."""
    copies = []
    for number, path in enumerate(islice(cycle(files), max(count - len(files), 0))):
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        copies.append(folder / f'{number}.dcm')
        dataset.save_as(copies[-1])
    return [*files, *copies]


def stock_config(config: Config) -> Config:
    """Return the config of the same backbone as a user of stock MMPose has it."""
    plain = plain_config(config)
    padding = next(
        step.get('padding', 1.25)
        for step in pipeline_settings(config.test_dataloader.dataset)
        if step['type'] == 'GetBBoxCenterScale'
    )
    plain.test_dataloader.dataset.pipeline = [
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale', padding=padding),
        dict(type='TopdownAffine', input_size=tuple(config.codec.input_size)),
        dict(type='PackPoseInputs'),
    ]
    return plain


def read_as_usual(path: Path) -> NDArray[np.uint8]:
    """Read a DICOM file the way the manuals of pydicom and MMPose suggest: ``(H, W, 3)`` BGR."""
    dataset = pydicom.dcmread(path)
    values = apply_voi_lut(dataset.pixel_array, dataset).astype(np.float32)
    low, high = float(values.min()), float(values.max())
    grey = ((values - low) * (255 / max(high - low, 1))).astype(np.uint8)
    if dataset.PhotometricInterpretation == 'MONOCHROME1':
        grey = 255 - grey
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))


def _stock(model: Any, paths: Sequence[Path]) -> list[str]:
    """Call ``inference_topdown`` for one file after another."""
    return [_as_json(inference_topdown(model, read_as_usual(path))[0]) for path in paths]


def _stock_batch(model: Any, pipeline: Compose, paths: Sequence[Path]) -> list[str]:
    """Do what ``inference_topdown`` does for many boxes, for many files."""
    items = []
    for path in paths:
        image = read_as_usual(path)
        bbox = np.array([[0, 0, image.shape[1], image.shape[0]]], np.float32)
        item = dict(img=image, bbox=bbox, bbox_score=np.ones(1, np.float32))
        items.append(pipeline({**item, **model.dataset_meta}))
    with torch.no_grad():
        return [_as_json(sample) for sample in model.test_step(pseudo_collate(items))]


def _as_json(sample: Any) -> str:
    return json.dumps(jsonable(split_instances(sample.pred_instances)))


def _ours(backend: Any, paths: Sequence[Path]) -> list[str]:
    """Read files with a backend, with PyTorch all in one batch."""
    size = default_batch_size() if isinstance(backend, OnnxModel) else len(paths)
    inferencer = Inferencer(backend, batch_size=size)
    return [prediction.to_json() for prediction in inferencer.stream(list(paths))]


def _command(backend: Any, paths: Sequence[Path]) -> list[str]:
    """Do what ``unsct predict`` does with a folder of files, as it is set by default."""
    with tempfile.TemporaryDirectory() as folder:
        files = find_inputs([str(path) for path in paths])
        predict_files(backend, files, Path(folder), PredictOptions(progress=False))
        names = (path.with_suffix('.json') for path in sorted(Path(folder).glob('*.png')))
        return [path.read_text() for path in names]


def compile_model(backend: TorchBackend) -> TorchBackend:
    """Let ``torch.compile`` have the network of a backend; decoding stays as it is."""
    model = backend.model
    for part in (model.backbone, getattr(model, 'neck', None)):
        if part is not None:
            part.compile(dynamic=False)
    model.head.forward = torch.compile(model.head.forward, dynamic=False)
    return backend


def no_compiler(device: str) -> str:
    """Say what ``torch.compile`` lacks on this machine; empty when it is complete."""
    if device.startswith('cuda'):
        return '' if importlib.util.find_spec('triton') else 'there is no triton'
    return '' if shutil.which('g++') or shutil.which('clang++') else 'there is no C++ compiler'


def _time_ways(
    ways: Mapping[str, _Way], request: PredictRequest, batch: int
) -> Iterator[dict[str, Any]]:
    """Time the ways in turn on batches of one size; yield the row of each."""
    rounds = request.rounds if batch == 1 else min(max(request.rounds // 3, 5), request.rounds)
    chosen = {
        name: way
        for name, way in ways.items()
        # one file is no folder, and as a batch the same as by itself
        if batch > 1 or name not in ('stock batch', 'command')
    }
    files = cycle(request.files)
    seconds: dict[str, list[float]] = {name: [] for name in chosen}
    for number in range(rounds + 1):
        paths = list(islice(files, batch))
        for name, way in chosen.items():
            took = seconds_of(partial(_whole, way, paths))
            if number:  # the first one warms up
                seconds[name].append(took)
    stock = min(
        (times for name, times in seconds.items() if name.startswith('stock')),
        key=statistics.median,
    )
    for name, times in seconds.items():
        ratios = [other / own for own, other in zip(times, stock, strict=True)]
        p50, p95 = np.quantile(times, [0.5, 0.95])
        yield dict(
            way=name,
            batch=batch,
            rounds=rounds,
            p50_ms=round(1000 * p50, 1),
            p95_ms=round(1000 * p95, 1),
            images_per_s=round(batch / p50, 2),
            over_stock=round(statistics.median(ratios), 2),
            over_stock_min=round(min(ratios), 2),
            over_stock_max=round(max(ratios), 2),
        )


def _whole(way: _Way, paths: Sequence[Path]) -> list[str]:
    texts = way(paths)
    if len(texts) != len(paths):
        raise RuntimeError(f'{len(texts)} of {len(paths)} files have a result')
    return texts


def onnx_memory_growth_mb(request: PredictRequest, images: int) -> float:
    """Return by how much the resident memory grows over reads of the exported model, 2**20 bytes.

    The first tenth of the reads does not count.

    Raises:
        ValueError: they are fewer than 10.
    """
    if images < 10:
        raise ValueError(f'{images} images: give at least 10 to watch the memory over')
    model = OnnxModel(request.onnx, threads=request.threads, device=request.device)
    files = islice(cycle(request.files), images)
    return round(memory_growth_mb(lambda path: _ours(model, [path]), files, images // 10), 1)


def device_throughput(request: PredictRequest) -> dict[str, Any]:
    """Time the network in bfloat16 with decoding on a device, images there already."""
    side, batch, rounds = 512, 32, 10
    backend = TorchBackend(request.config, request.checkpoint, request.device)
    model = backend.model.to(memory_format=torch.channels_last)
    images = torch.rand(batch, 3, side, side, device=request.device)
    images = images.contiguous(memory_format=torch.channels_last)
    kind = torch.device(request.device).type

    def read() -> None:
        with torch.no_grad(), torch.autocast(kind, torch.bfloat16):
            maps = model.head.forward(model.extract_feat(images))
        model.head.decode(maps.float())  # ends on the host: nothing is left to wait for

    times = [seconds_of(read) for _ in range(rounds + 2)][2:]
    speeds = [batch / seconds for seconds in times]
    return dict(
        way=f'network without flip test and decoding on the device, bfloat16, {side} x {side}',
        batch=batch,
        rounds=rounds,
        images_per_s=round(statistics.median(speeds), 1),
        images_per_s_min=round(min(speeds), 1),
        images_per_s_max=round(max(speeds), 1),
    )


def phantom_cost(images: int = 72, rounds: int = 5, jobs: int | None = None) -> dict[str, Any]:
    """Time making data sets of simulated radiographs of 512 x 512 pixels, from their own seeds.

    The start of the processes is included.
    """
    what = 'data sets of simulated radiographs of 512 x 512 pixels, each from its own seed'
    rows = []
    options = PhantomOptions(train=images, val=0, test=0)
    for seed in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            make = partial(make_phantom, Path(folder) / 'data', replace(options, seed=seed))
            seconds = seconds_of(partial(make, jobs=jobs, progress=False))
        rows.append(
            dict(seed=seed, seconds=round(seconds, 2), images_per_s=round(images / seconds, 2))
        )
    speeds = [row['images_per_s'] for row in rows]
    value = dict(value=statistics.median(speeds), min=min(speeds), max=max(speeds))
    return dict(
        what=what,
        images=images,
        jobs=jobs or allowed_cores(),
        rows=rows,
        targets=dict(phantom_images_per_s=value),
    )
