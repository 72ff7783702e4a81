"""Cost as work grows: images, pixels, landmarks and relations; what should be linear, and flat."""

from __future__ import annotations

import gc
import itertools
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import KEYPOINT_CODECS, MODELS
from mmpose.structures import PoseDataSample

from unsct_mmpose.anatomy import LANDMARK_NAMES, LandmarkSet
from unsct_mmpose.codecs import HeatmapPAF
from unsct_mmpose.datasets import THADataset
from unsct_mmpose.phantom.generate import make_case

from .benchmark import any_calibration, seconds_of
from .memory import forget_peak, give_back_freed, memory_mb

BATCH = 16
METRICS = ('THALandmarkMetric', 'THASetErrorMetric', 'THAPresenceMetric', 'THAClinicalMetric',
           'THAPaperMetric')  # fmt: skip


@dataclass
class Meter:
    """What something took: wall time, and most memory above what there was before, 2**20 bytes."""

    seconds: float = 0.0
    peak_mb: float = 0.0


@contextmanager
def measured() -> Iterator[Meter]:
    """Measure what is done inside, in this process."""
    gc.collect()
    give_back_freed()
    meter, before = Meter(), memory_mb('VmRSS')
    forget_peak()
    started = time.perf_counter()
    yield meter
    meter.seconds = time.perf_counter() - started
    meter.peak_mb = max(memory_mb('VmHWM') - before, 0.0)


def growth(numbers: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the exponent with which the time of the last step grows: 1 is linear.

    Example:
        >>> growth([10, 100, 1000], [1.0, 2.0, 20.0])
        1.0
    """
    (n, t), (more, longer) = list(zip(numbers, seconds, strict=True))[-2:]
    return round(float(np.log(longer / t) / np.log(more / n)), 2)


def annotation_cost(counts: Sequence[int]) -> list[dict[str, Any]]:
    """Load annotation files of so many images as a training does, and read them in a worker."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            path = Path(folder) / f'{count}.json'
            path.write_text(json.dumps(_document(count)))
            with measured() as meter:
                dataset = THADataset(
                    ann_file=str(path), data_mode='topdown', pipeline=[], check_images=False
                )
            held = dataset.data_bytes.nbytes / 2**20
            rows.append(
                dict(
                    images=count,
                    seconds=round(meter.seconds, 2),
                    peak_mb=round(meter.peak_mb),
                    held_mb=round(held, 1),
                    worker_mb=round(_worker_growth_mb(dataset), 1),
                )
            )
            path.unlink()
    return rows


def _document(count: int, ending: str = 'dcm') -> dict[str, Any]:
    """Return the annotations of so many simulated images, each moved by a pixel or so."""
    cases = [make_case(seed, size_hw=(96, 96)) for seed in range(2)]
    rng, images, annotations = np.random.default_rng(0), [], []
    for index, case in zip(range(count), itertools.cycle(cases)):
        keypoints = np.full((24, 3), 2.0)
        keypoints[:, :2] = np.clip(8 * case.landmarks_px + rng.uniform(-2, 2, (24, 2)), 0, 767)
        spacing = [case.spacing_xy_mm[0] / 8] * 2
        images.append(dict(id=index, file_name=f'{index:06d}.{ending}', width=768, height=768,
                           pixel_spacing=spacing, magnification=case.magnification,
                           patient_id=f'p{index}', subset='structured', absent=[]))  # fmt: skip
        annotations.append(dict(id=index, image_id=index, category_id=1,
                                keypoints=keypoints.round(2).ravel().tolist()))  # fmt: skip
    category = dict(id=1, name='pelvis', keypoints=list(LANDMARK_NAMES))
    return dict(images=images, annotations=annotations, categories=[category])


def simulated_data(folder: Path, count: int) -> None:
    """Write a data set of simulated pictures of 768 x 768: ``train.json`` and ``images``."""
    (folder / 'images').mkdir(parents=True)
    document = _document(count, ending='png')
    (folder / 'train.json').write_text(json.dumps(document))
    case = make_case(0, size_hw=(96, 96))
    grey = (case.pixels >> (case.bits_stored - 8)).astype(np.uint8)
    picture = cv2.resize(grey, (768, 768), interpolation=cv2.INTER_CUBIC)
    for image in document['images']:
        cv2.imwrite(str(folder / 'images' / image['file_name']), picture)


def _worker_growth_mb(dataset: THADataset) -> float:
    """Return what a forked worker holds by itself after it has read every annotation."""
    context = multiprocessing.get_context('fork')
    here, there = context.Pipe()

    def read() -> None:
        before = _private_mb()
        for index in range(len(dataset)):
            dataset.get_data_info(index)
        there.send(_private_mb() - before)

    worker = context.Process(target=read)
    worker.start()
    grown: float = here.recv()
    worker.join()
    return grown


def _private_mb() -> float:
    try:
        rows = Path('/proc/self/smaps_rollup').read_text().splitlines()
    except OSError:
        return float('nan')
    return sum(int(row.split()[1]) for row in rows if row.startswith('Private_')) / 1024


def evaluation_cost(counts: Sequence[int]) -> list[dict[str, Any]]:
    """Judge so many synthetic predictions by all metrics of a test."""
    rows = []
    for count in counts:
        evaluator = Evaluator([dict(type=f'mmpose.{name}') for name in METRICS])
        evaluator.dataset_meta = THADataset.METAINFO
        predictions = _predictions()
        seconds = 0.0
        with measured() as meter:
            for start in range(0, count, BATCH):
                batch = list(itertools.islice(predictions, min(BATCH, count - start)))
                seconds += seconds_of(partial(evaluator.process, batch, None))
            seconds += seconds_of(partial(evaluator.evaluate, count))
        rows.append(dict(images=count, seconds=round(seconds, 2), peak_mb=round(meter.peak_mb)))
    return rows


def _predictions() -> Iterator[PoseDataSample]:
    """Yield what a calibrated model predicts of images without end: truth and errors are drawn."""
    rng = np.random.default_rng(0)
    codec = _codec(32)
    relations = codec.evidence_relations
    codec.calibration = any_calibration(len(relations), relations.name)
    decoded = codec.decode_maps(_maps(codec, BATCH))
    case = make_case(0, size_hw=(96, 96))
    for number in itertools.count():
        points = 8 * case.landmarks_px + rng.normal(0, 20, (24, 2))
        present = rng.random(24) < 0.95
        fields = {name: values.copy() for name, values in decoded[number % BATCH].items()}
        fields['keypoints'] = points[None] + rng.normal(0, 4, (1, 24, 2))
        fields['keypoints_visible'] = (rng.random((1, 24)) < 0.95).astype(np.float32)
        sample = PoseDataSample(metainfo=dict(raw_ann_info=dict(
            file_name=f'{number}.dcm', image_id=number, patient_id=f'p{number}',
            subset='structured' if present.all() else 'unstructured', pixel_spacing=(0.56, 0.56),
            magnification=1.15, points=np.where(present[:, None], points, 0.0), present=present,
            labelled=np.ones(24, bool), size_wh=(768, 768),
        ), input_size=(128, 128)))  # fmt: skip
        sample.pred_instances = InstanceData(**fields)
        yield sample


def decoding_cost(counts: Sequence[int]) -> list[dict[str, Any]]:
    """Decode the maps of so many images, batch by batch, and keep none: memory stays flat."""
    codec = _codec(32)
    maps, rows = _maps(codec, BATCH), []
    codec.decode_maps(maps)
    for count in counts:
        with measured() as meter:
            for _ in range(0, count, BATCH):
                codec.decode_maps(maps)
        rows.append(
            dict(images=count, seconds=round(meter.seconds, 2), peak_mb=round(meter.peak_mb))
        )
    return rows


def pixel_cost(config: Config, sides: Sequence[int], rounds: int = 3) -> list[dict[str, Any]]:
    """Time the network of a config, drawing of targets and decoding, by the side of the input."""
    model = MODELS.build(config.model).eval()
    stride = config.codec.input_size[0] // config.codec.heatmap_size[0]
    rows = []
    for side in sides:
        size = dict(input_size=(side, side), heatmap_size=(side // stride,) * 2)
        codec = KEYPOINT_CODECS.build({**config.codec, **size})
        image = torch.rand(1, 3, side, side)

        def forward(image: torch.Tensor = image) -> None:
            with torch.no_grad():
                model.head.forward(model.extract_feat(image))

        rows.append(
            dict(pixels=side, network_ms=_best_ms(forward, rounds), **_codec_ms(codec, rounds))
        )
    return rows


def landmark_cost(
    sizes: Sequence[tuple[int, int]], cells: int = 64, rounds: int = 3
) -> list[dict[str, Any]]:
    """Time drawing of targets and decoding, by the numbers of landmarks and relations."""
    rows = []
    for landmarks, relations in sizes:
        codec = _codec(cells, landmarks=some_landmarks(landmarks, relations))
        rows.append(dict(landmarks=landmarks, relations=relations, **_codec_ms(codec, rounds)))
    return rows


def some_landmarks(count: int, relations: int) -> LandmarkSet:
    """Return a set of so many landmarks, in pairs, with so many relations.

    Example:
        >>> landmarks = some_landmarks(12, 17)
        >>> len(landmarks), len(landmarks.relations['full'])
        (12, 17)
    """
    names = [f'{side}_point{number}' for side in ('left', 'right') for number in range(count // 2)]
    pairs = [[names[k], names[k + count // 2]] for k in range(count // 2)]
    left = itertools.combinations(range(count // 2), 2)
    mirrored = [[side + a, side + b] for a, b in left for side in (0, count // 2)]
    across = [[k, k + count // 2] for k in range(count // 2)] if relations % 2 else []
    odd = across[:1] if relations % 2 else []
    chosen = odd + mirrored[: relations - len(odd)]
    full = [[names[tail], names[head]] for tail, head in chosen]
    return LandmarkSet.from_dict(
        dict(name=f'{count} points', names=names, pairs=pairs, relations=dict(full=full))
    )


def _codec(cells: int, **more: Any) -> HeatmapPAF:
    sizes = dict(input_size=(4 * cells, 4 * cells), heatmap_size=(cells, cells))
    return KEYPOINT_CODECS.build(dict(type='HeatmapPAF', **sizes, **more))


def _codec_ms(codec: HeatmapPAF, rounds: int) -> dict[str, float]:
    maps = _maps(codec, 1)
    points = torch.rand(1, len(codec.landmarks), 2) * min(codec.heatmap_size)
    shown = torch.ones(1, len(codec.landmarks), dtype=torch.bool)
    return dict(
        draw_ms=_best_ms(lambda: codec.draw(points, shown), rounds),
        decode_ms=_best_ms(lambda: codec.decode_maps(maps), rounds),
    )


def _best_ms(function: Callable[[], object], rounds: int) -> float:
    function()
    return round(1000 * min(seconds_of(function) for _ in range(rounds)), 2)


def _maps(codec: HeatmapPAF, count: int) -> torch.Tensor:
    """Return the maps of random points, with noise."""
    generator = torch.Generator().manual_seed(0)
    size = torch.tensor(codec.heatmap_size, dtype=torch.float32)
    points = (0.1 + 0.8 * torch.rand(count, len(codec.landmarks), 2, generator=generator)) * size
    maps = torch.cat(codec.draw(points, torch.ones(points.shape[:2], dtype=torch.bool)), dim=1)
    return maps + 0.02 * torch.randn(maps.shape, generator=generator)


def scale_cost(config: Config, short: bool = False) -> dict[str, Any]:
    """Measure everything; ``short`` takes seconds and says nothing about large work.

    Returns:
        ``annotations``, ``evaluation``, ``decoding``, ``pixels`` and ``landmarks``: rows of each;
        ``targets``: what the performance page holds against what is wanted.
    """
    counts = (16, 64) if short else (100, 1_000, 10_000)
    files = (16, 64) if short else (1_000, 10_000, 100_000)
    sides = (64, 128) if short else (256, 512, 1024)
    sizes = ((12, 17), (24, 52)) if short else ((12, 17), (24, 52), (48, 104), (96, 208))
    init_default_scope('mmpose')
    annotations, evaluation = annotation_cost(files), evaluation_cost(counts)
    decoding = decoding_cost(counts)
    largest = annotations[-1]
    targets: dict[str, Any] = dict(
        growth_evaluation=dict(value=_growth(evaluation)),
        growth_decoding=dict(value=_growth(decoding)),
        growth_annotations=dict(value=_growth(annotations)),
        decoding_memory_mb=dict(value=decoding[-1]['peak_mb']),
        annotations_worker_share=dict(value=round(largest['worker_mb'] / largest['held_mb'], 3)),
    )
    if not short:
        targets |= dict(
            evaluation_seconds=dict(value=evaluation[-1]['seconds']),
            evaluation_gib=dict(value=round(evaluation[-1]['peak_mb'] / 1024, 2)),
            annotations_seconds=dict(value=largest['seconds']),
        )
    return dict(
        annotations=annotations,
        evaluation=evaluation,
        decoding=decoding,
        pixels=pixel_cost(config, sides, 1 if short else 3),
        landmarks=landmark_cost(sizes, 16 if short else 64, 1 if short else 3),
        targets=targets,
    )


def _growth(rows: Sequence[dict[str, Any]]) -> float:
    return growth([row['images'] for row in rows], [max(row['seconds'], 1e-3) for row in rows])
