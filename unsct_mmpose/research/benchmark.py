"""What the method costs: a training step, and decoding beside the forward pass."""

from __future__ import annotations

import copy
import math
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import FUNCTIONS, init_default_scope
from mmpose.datasets.transforms import GenerateTarget, PackPoseInputs
from mmpose.registry import DATASETS, KEYPOINT_CODECS, MODELS
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from unsct_mmpose.anatomy import LANDMARK_CLASSES, NUM_LANDMARKS
from unsct_mmpose.codecs import HeatmapPAF
from unsct_mmpose.datasets.data_settings import inner_settings, pipeline_settings, with_data
from unsct_mmpose.engine.cuda_graph_hook import record
from unsct_mmpose.engine.device import AUTO, resolve_device
from unsct_mmpose.maps.calibration import Calibration
from unsct_mmpose.maps.deciders import DECIDERS
from unsct_mmpose.maps.fusion import DEFAULT_FEATURES, FEATURE_SIGNS, Fusion, MonotoneLogistic

from .memory import memory_mb


@dataclass(frozen=True)
class PairedTimes:
    """Wall times of two functions that ran in turn, seconds."""

    ours: tuple[float, ...]
    other: tuple[float, ...]

    def medians_ms(self) -> tuple[float, float]:
        """Return the median of each, milliseconds."""
        return 1000 * statistics.median(self.ours), 1000 * statistics.median(self.other)

    def ratios(self, name: str, digits: int) -> dict[str, float]:
        """Return what ours takes over the other: median, least and largest ratio of the pairs.

        Example:
            >>> PairedTimes((9.0, 1.1, 1.2), (1.0, 1.0, 1.0)).ratios('ratio', 1)
            {'ratio_median': 1.2, 'ratio_min': 1.1, 'ratio_max': 9.0}
        """
        ratios = [ours / other for ours, other in zip(self.ours, self.other, strict=True)]
        summary = dict(median=statistics.median(ratios), min=min(ratios), max=max(ratios))
        return {f'{name}_{key}': round(value, digits) for key, value in summary.items()}


def time_pairs(
    ours: Callable[[], object],
    other: Callable[[], object],
    rounds: int,
    threads: int | None = None,
) -> PairedTimes:
    """Time two functions in turn, after two rounds that do not count.

    PyTorch has so many ``threads`` meanwhile; None leaves them.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        times = [(seconds_of(ours), seconds_of(other)) for _ in range(rounds + 2)][2:]
    finally:
        torch.set_num_threads(before)
    return PairedTimes(tuple(pair[0] for pair in times), tuple(pair[1] for pair in times))


def seconds_of(function: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def plain_config(config: Config) -> Config:
    """Return the same HRNet with MMPose's own ``HeatmapHead`` and no neck."""
    plain = copy.deepcopy(config)
    sizes = {name: config.codec[name] for name in ('input_size', 'heatmap_size', 'sigma')}
    model, plain.codec = plain.model, dict(type='MSRAHeatmap', **sizes)
    model.backbone.extra.stage4.multiscale_output = False
    model.neck = None
    model.head = dict(
        type='HeatmapHead',
        in_channels=model.backbone.extra.stage4.num_channels[0],
        out_channels=NUM_LANDMARKS,
        deconv_out_channels=None,
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=plain.codec,
    )
    model.train_cfg = dict(compute_acc=False)  # not part of the training step proper
    model.data_preprocessor.type = 'PoseDataPreprocessor'
    _target_step(plain)['encoder'] = plain.codec
    return plain


def with_stock_optimiser(plain: Config, device: str) -> Config:
    """Return a plain config with the optimiser of MMPose's users: on CUDA in fp16; not fused."""
    stock = copy.deepcopy(plain)
    optimizer = {name: stock.optim_wrapper.optimizer[name] for name in ('type', 'lr')}
    stock.optim_wrapper = dict(type='OptimWrapper', optimizer=optimizer)
    if device.startswith('cuda'):
        stock.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    stock.custom_hooks = []
    return stock


def _target_step(config: Config) -> dict:
    """Return the step of the training pipeline that draws the targets."""
    steps = pipeline_settings(config.train_dataloader.dataset)
    return next(step for step in steps if step['type'] == 'GenerateTarget')


def decode_cost(
    config: Config, *, map_size: int, batch_size: int = 16, rounds: int = 10, device: str = AUTO
) -> dict[str, float]:
    """Time decoding plus uncertainty estimation against the forward pass, in alternating runs.

    The maps have ``map_size`` cells a side, and the input is as many times larger as in the config.
    They are those of random pelvises with noise, not of an untrained network. A calibration is in
    place, so that everything is computed that a calibrated model computes. On a CPU one thread does
    it.

    Returns:
        ``decode_ms_per_image`` and ``forward_ms_per_image``, medians, and ``share_...``: what
        decoding takes of the forward pass beside it.
    """
    device = resolve_device(device)
    init_default_scope('mmpose')
    side = map_size * (config.codec.input_size[0] // config.codec.heatmap_size[0])
    codec = KEYPOINT_CODECS.build(
        {**config.codec, 'input_size': (side, side), 'heatmap_size': (map_size, map_size)}
    )
    relations = codec.evidence_relations
    codec.calibration = any_calibration(len(relations), relations.name)
    model = MODELS.build(config.model).to(device).eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch_size, 3, side, side, generator=generator).to(device)
    maps = _noisy_maps(codec, batch_size).to(device)

    def forward() -> None:
        with torch.no_grad():
            model.head.forward(model.extract_feat(images))
        if device.startswith('cuda'):
            torch.cuda.synchronize(device)

    times = time_pairs(lambda: codec.decode_maps(maps), forward, rounds, threads=1)
    decode_ms, forward_ms = times.medians_ms()
    return dict(
        decode_ms_per_image=round(decode_ms / batch_size, 2),
        forward_ms_per_image=round(forward_ms / batch_size, 1),
        **times.ratios('share', 4),
    )


def any_calibration(relations: int, name: str) -> Calibration:
    """Return a calibration whose numbers do not matter for the time it takes."""
    features = DEFAULT_FEATURES
    ones = (1.0,) * len(features)
    signs = tuple(FEATURE_SIGNS[feature] for feature in features)
    return Calibration(
        rule='equal_cost',
        entropy='mirror',
        aggregation='peel',
        relations=name,
        thresholds={evidence: {'equal_cost': 0.5} for evidence in DECIDERS},
        fusion=Fusion(features, MonotoneLogistic(0.0, ones, ones, ones, signs), (1.0,) * relations),
        region_level=0.95,
        region_scales={landmark.name: 1.0 for landmark in LANDMARK_CLASSES},
        interval_level=0.95,
        interval_scales={},
        typical_agreement=0.5,
        typical_quorum=0.5,
    )


def _noisy_maps(codec: HeatmapPAF, count: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    width, height = codec.input_size
    maps = []
    for _ in range(count):
        encoded = codec.encode(rng.uniform(0.1, 0.9, (1, NUM_LANDMARKS, 2)) * (width, height))
        stacked = np.concatenate([encoded['heatmaps'], encoded['pafs']])
        maps.append(stacked + rng.normal(0, 0.02, stacked.shape))
    return torch.from_numpy(np.stack(maps)).float()


def make_step(config: Config, batch_size: int, device: str) -> Callable[[], None]:
    """Build a model and return a function that makes one training step on a random batch.

    A step is what MMEngine does: data preprocessing, forward, losses, backward, optimiser.
    """
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(config.model).to(device).train()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    batch = training_batch(config, batch_size)
    if device.startswith('cuda'):
        torch.backends.cudnn.benchmark = True  # as env_cfg.cudnn_benchmark asks for
        if any(hook['type'] == 'CUDAGraphHook' for hook in config.get('custom_hooks', [])):
            with wrapper.optim_context(model):
                record(model, model.data_preprocessor(copy.copy(batch), True)['inputs'])

    def step() -> None:
        model.train_step(copy.copy(batch), wrapper)
        if device.startswith('cuda'):
            torch.cuda.synchronize(device)

    return step


def training_batch(config: Config, count: int, data: Path | None = None) -> dict[str, list]:
    """Return a batch as a training pipeline packs it.

    It holds the first training images of a data set, or random landmarks on noise.
    """
    samples = training_samples(config, count, data)
    return {name: [sample[name] for sample in samples] for name in ('inputs', 'data_samples')}


def training_samples(config: Config, count: int, data: Path | None = None) -> list[dict]:
    """Return what a training pipeline packs, image by image; see :func:`training_batch`."""
    if data is None:
        rng = np.random.default_rng(0)
        samples = [_random_sample(config, rng) for _ in range(count)]
    else:
        settings = with_data(config.train_dataloader.dataset, data, None)
        for _, inner in inner_settings(settings):
            inner['disjoint_from'] = []
        dataset = DATASETS.build(settings)
        samples = [dataset[index] for index in range(count)]
    return samples


def _random_sample(config: Config, rng: np.random.Generator) -> dict:
    width, height = config.codec.input_size
    keypoints = rng.uniform(0.1, 0.9, (1, NUM_LANDMARKS, 2)) * (width, height)
    results = dict(
        img=rng.integers(0, 255, (height, width, 3), dtype=np.uint8),
        img_shape=(height, width),
        ori_shape=(height, width),
        transformed_keypoints=keypoints.astype(np.float32),
        keypoints_visible=np.ones((1, NUM_LANDMARKS), dtype=np.float32),
        keypoints_visible_weights=np.ones((1, NUM_LANDMARKS), dtype=np.float32),
        dataset_keypoint_weights=np.ones(NUM_LANDMARKS, dtype=np.float32),
    )
    target = {**_target_step(config)}
    target.pop('type')
    return PackPoseInputs().transform(GenerateTarget(**target).transform(results))


class TransferCounter(TorchDispatchMode):
    """Count what crosses between the CPU and another device while it is entered.

    Attributes:
        copies: sizes in bytes of the tensors that were copied to the device.
        waiting: operators that make the host wait for a CUDA device: copies from memory or to it
            that are not told ``non_blocking``, values that are read, indices that lie elsewhere.
        operators: how many ran on the device; each is a kernel or several.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device
        self.copies: list[int] = []
        self.waiting: list[str] = []
        self.operators = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = str(func)
        given = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, torch.Tensor)]
        here = [tensor.device.type == self.device for tensor in given]
        if any(here) and name.startswith('aten._local_scalar_dense'):
            self.waiting.append(name)
            return 0.0  # a device without values has none to give
        result = func(*args, **kwargs)
        made = [leaf for leaf in tree_flatten(result)[0] if isinstance(leaf, torch.Tensor)]
        arrives = any(tensor.device.type == self.device for tensor in made)
        self.operators += any(here) or arrives
        if name.startswith(_COPIES):
            source = args[1] if name.startswith('aten.copy_') else args[0]
            if source.device.type != made[0].device.type:
                is_told = kwargs.get('non_blocking', False) or True in args[2:]
                self.copies += [source.numel() * source.element_size()] if arrives else []
                self.waiting += [] if is_told and arrives else [name]
        elif any(here) and (name.startswith(_READING) or _has_far_index(name, args, self.device)):
            self.waiting.append(name)
        return result


_COPIES = ('aten._to_copy', 'aten.copy_', 'aten._copy_from')
_READING = ('aten.nonzero', 'aten.masked_select', 'aten.is_nonzero', 'aten.equal')


def _has_far_index(name: str, args: Any, device: str) -> bool:
    if not name.startswith(('aten.index.', 'aten.index_put')):
        return False
    indices = [index for index in args[1] if index is not None]
    return any(index.device.type != device or index.dtype == torch.bool for index in indices)


def step_cost(
    config: Config,
    *,
    batch_size: int = 8,
    rounds: int = 10,
    device: str = AUTO,
    as_stock: bool = False,
) -> dict[str, Any]:
    """Time the training step of a config with an HRNet against its plain counterpart, in turn.

    With ``as_stock``, and on CUDA always, that one has the optimiser of MMPose's users
    (:func:`with_stock_optimiser`) instead of ours with its precision.

    Returns:
        ``ms_per_image`` and ``plain_ms_per_image``, medians, ``ratio_...`` of the two,
        ``images_per_s_...``, and under ``profile`` and ``plain_profile`` what
        :func:`_profile_step` says of either.
    """
    device = resolve_device(device)
    plain = plain_config(config)
    if as_stock or device.startswith('cuda'):
        plain = with_stock_optimiser(plain, device)
    ours, other = (make_step(each, batch_size, device) for each in (config, plain))
    times = time_pairs(ours, other, rounds)
    ours_ms, plain_ms = times.medians_ms()
    rates = [batch_size / seconds for seconds in times.ours]
    return dict(
        ms_per_image=round(ours_ms / batch_size, 2),
        plain_ms_per_image=round(plain_ms / batch_size, 2),
        **times.ratios('ratio', 3),
        images_per_s_median=round(statistics.median(rates), 2),
        images_per_s_min=round(min(rates), 2),
        images_per_s_max=round(max(rates), 2),
        profile=_profile_step(ours, device),
        plain_profile=_profile_step(other, device),
    )


def _profile_step(step: Callable[[], None], device: str, top: int = 12) -> dict[str, Any]:
    """Return what a step spends its time on, by PyTorch's profiler.

    That is ``launched``: kernels, on a CPU operators, in a step; ``top``: name, calls and ms of the
    longest; on CUDA also ``busy_share``: the time of all kernels over that of the step.
    """
    is_cuda = device.startswith('cuda')
    kind = ProfilerActivity.CUDA if is_cuda else ProfilerActivity.CPU
    step()
    with profile(activities=[kind]) as profiler:
        step()
    what = 'self_device_time_total' if is_cuda else 'self_cpu_time_total'
    rows = [row for row in profiler.key_averages() if getattr(row, what) > 0]
    rows.sort(key=lambda row: getattr(row, what), reverse=True)
    result: dict[str, Any] = dict(
        launched=sum(row.count for row in rows),
        top=[[row.key[:80], row.count, round(getattr(row, what) / 1000, 2)] for row in rows[:top]],
    )
    if is_cuda:
        busy = sum(getattr(row, what) for row in rows) / 1e6
        result['busy_share'] = round(busy / seconds_of(step), 3)  # the profiler slows the host
    return result


def with_stock_machinery(config: Config) -> Config:
    """Return a config whose batches, targets and optimiser go the way of MMPose and MMEngine."""
    stock = copy.deepcopy(config)
    stock.model.data_preprocessor.type = 'PoseDataPreprocessor'
    stock.train_dataloader.collate_fn = dict(type='pseudo_collate')
    encoder = _target_step(stock)['encoder']
    encoder['draw_late'] = False
    stock.optim_wrapper.type = 'OptimWrapper'
    return stock


def step_transfers(config: Config, batch_size: int = 2) -> dict[str, Any]:
    """Count what a training step copies to its device and where it would wait for CUDA.

    The step runs on PyTorch's meta device, which has no values: it needs no GPU.

    Returns:
        ``copies`` and ``megabytes`` to the device, ``waiting``: operators that make the host wait,
        ``operators``: those on the device.
    """
    init_default_scope('mmpose')
    settings = copy.deepcopy(config.optim_wrapper)
    settings.optimizer = dict(type='Adam', lr=1e-3, foreach=True)
    model = MODELS.build(config.model).to('meta').train()
    wrapper = build_optim_wrapper(model, settings)
    collate = FUNCTIONS.get((config.train_dataloader.get('collate_fn') or {}).get('type'))
    batch = (collate or pseudo_collate)(training_samples(config, batch_size))
    for _ in range(2):  # the first step copies what stays there
        with TransferCounter('meta') as counted:
            model.train_step(copy.copy(batch), wrapper)
    return dict(
        copies=len(counted.copies),
        megabytes=round(sum(counted.copies) / 2**20, 1),
        waiting=len(counted.waiting),
        operators=counted.operators,
    )


def pipeline_cost(config: Config, data: Path, rounds: int = 4) -> list[dict[str, Any]]:
    """Return ``stage`` and ``ms``, of the processor an image, of a training pipeline's stages.

    The images of the data set are decoded once, before.
    """
    init_default_scope('mmpose')
    settings = with_data(config.train_dataloader.dataset, data, None)
    for _, inner in inner_settings(settings):
        inner['disjoint_from'] = []
    dataset = DATASETS.build(settings)
    spent = dict.fromkeys((type(stage).__name__ for stage in dataset.pipeline.transforms), 0.0)
    for turn in range(rounds + 1):
        for index in range(len(dataset)):
            results = {**dataset.get_data_info(index), 'dataset': dataset}
            for stage in dataset.pipeline.transforms:
                started = time.process_time()
                results = stage(results)
                spent[type(stage).__name__] += (time.process_time() - started) * (turn > 0)
    images = rounds * len(dataset)
    return [
        dict(stage=name, ms=round(1000 * seconds / images, 3)) for name, seconds in spent.items()
    ]


def peak_memory_mb(config: Config, *, batch_size: int = 8, device: str = AUTO) -> float:
    """Return the peak memory of training steps, in a process of its own.

    Returns:
        Megabytes (2**20 bytes); on a CPU the resident memory of the process, Python and its
        libraries included, on a CUDA device what PyTorch allocated there.
    """
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        device = resolve_device(device)
        return pool.submit(_peak_memory_mb, config.pretty_text, batch_size, device).result()


def _peak_memory_mb(config_text: str, batch_size: int, device: str) -> float:
    step = make_step(Config.fromstring(config_text, '.py'), batch_size, device)
    for _ in range(3):
        step()
    if device.startswith('cuda'):
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = memory_mb('VmHWM')  # getrusage would also count what the parent process had
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10 if math.isnan(peak) else peak
