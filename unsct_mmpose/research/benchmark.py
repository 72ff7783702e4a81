"""What the method costs: a training step, and decoding beside the forward pass."""

from __future__ import annotations

import copy
import multiprocessing
import re
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpose.datasets.transforms import GenerateTarget, PackPoseInputs
from mmpose.registry import DATASETS, KEYPOINT_CODECS, MODELS

from unsct_mmpose.anatomy import LANDMARK_CLASSES, NUM_LANDMARKS
from unsct_mmpose.codecs import HeatmapPAF
from unsct_mmpose.datasets.data_settings import inner_settings, pipeline_settings, with_data
from unsct_mmpose.engine.device import AUTO, resolve_device
from unsct_mmpose.maps.assessment import EVIDENCES
from unsct_mmpose.maps.calibration import Calibration
from unsct_mmpose.maps.fusion import DEFAULT_FEATURES, FEATURE_SIGNS, Fusion, MonotoneLogistic


@dataclass(frozen=True)
class StepCost:
    """Cost of a training step.

    Attributes:
        ms_per_image: median wall time of a step for each image, milliseconds.
        plain_ms_per_image: the same of the plain heatmap model.
        ratios: time of each step over that of the plain step that ran beside it.
    """

    ms_per_image: float
    plain_ms_per_image: float
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median ratio."""
        return statistics.median(self.ratios)


def plain_config(config: Config) -> Config:
    """Return the same HRNet with MMPose's own ``HeatmapHead`` and no neck.

    Args:
        config: a config of this project with an HRNet backbone.
    """
    plain = copy.deepcopy(config)
    model, plain.codec = plain.model, _plain_codec(plain.codec)
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
    _target_step(plain)['encoder'] = plain.codec
    return plain


def _target_step(config: Config) -> dict:
    """Return the step of the training pipeline that draws the targets."""
    steps = pipeline_settings(config.train_dataloader.dataset)
    return next(one for one in steps if one['type'] == 'GenerateTarget')


def _plain_codec(codec: dict) -> dict:
    return dict(
        type='MSRAHeatmap',
        input_size=codec['input_size'],
        heatmap_size=codec['heatmap_size'],
        sigma=codec['sigma'],
    )


@dataclass(frozen=True)
class DecodeCost:
    """Cost of decoding with uncertainty estimation, on one CPU core or on a GPU.

    Attributes:
        map_size: side of the maps, cells.
        decode_ms_per_image: median wall time, milliseconds.
        forward_ms_per_image: median wall time of the forward pass that makes such maps.
        shares: time of each decoding over that of the forward pass beside it.
    """

    map_size: int
    decode_ms_per_image: float
    forward_ms_per_image: float
    shares: tuple[float, ...]

    @property
    def share(self) -> float:
        """Median share of the forward pass."""
        return statistics.median(self.shares)


def decode_cost(
    config: Config,
    *,
    map_size: int,
    batch_size: int = 16,
    rounds: int = 10,
    device: str = AUTO,
) -> DecodeCost:
    """Time decoding plus uncertainty estimation against the forward pass, in alternating runs.

    The maps are those of random pelvises with noise, not of an untrained network. A calibration is
    in place, so that everything is computed that a calibrated model computes.

    Args:
        config: config of a model with :class:`HeatmapPAFHead`.
        map_size: side of the maps, cells; the input is as many times larger as in the config.
        batch_size: images in a batch.
        rounds: pairs that are timed, after two that are not.
        device: ``'auto'``, ``'cpu'`` (one thread) or ``'cuda'``.
    """
    device = resolve_device(device)
    init_default_scope('mmpose')
    stride = config.codec.input_size[0] // config.codec.heatmap_size[0]
    side = map_size * stride
    codec = KEYPOINT_CODECS.build(
        {**config.codec, 'input_size': (side, side), 'heatmap_size': (map_size, map_size)}
    )
    codec.calibration = any_calibration(
        len(codec.evidence_relations), codec.evidence_relations.name
    )
    model = MODELS.build(config.model).to(device).eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch_size, 3, side, side, generator=generator).to(device)
    maps = _noisy_maps(codec, batch_size).to(device)

    def forward() -> None:
        with torch.no_grad():
            model.head.forward(model.extract_feat(images))
        if device.startswith('cuda'):
            torch.cuda.synchronize(device)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(2):
            forward()
            codec.decode_maps(maps)
        times = [
            (_seconds(lambda: codec.decode_maps(maps)), _seconds(forward)) for _ in range(rounds)
        ]
    finally:
        torch.set_num_threads(threads)
    per_image = 1000.0 / batch_size
    return DecodeCost(
        map_size=map_size,
        decode_ms_per_image=per_image * statistics.median(one for one, _ in times),
        forward_ms_per_image=per_image * statistics.median(other for _, other in times),
        shares=tuple(one / other for one, other in times),
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
        thresholds={evidence: {'equal_cost': 0.5} for evidence in EVIDENCES},
        fusion=Fusion(features, MonotoneLogistic(0.0, ones, ones, ones, signs), (1.0,) * relations),
        region_level=0.95,
        region_scales={one.name: 1.0 for one in LANDMARK_CLASSES},
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

    Args:
        config: config with ``model``, ``codec`` and ``optim_wrapper``.
        batch_size: images in the batch.
        device: ``'cpu'`` or ``'cuda'``.
    """
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(config.model).to(device).train()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    batch = training_batch(config, batch_size)

    def step() -> None:
        model.train_step(copy.copy(batch), wrapper)
        if device.startswith('cuda'):
            torch.cuda.synchronize(device)

    return step


def training_batch(config: Config, count: int, data: Path | None = None) -> dict[str, list]:
    """Return a batch as a training pipeline packs it.

    Args:
        config: config with ``codec`` and a training pipeline.
        count: images.
        data: folder of the data set whose first training images are taken; None takes random
            landmarks on noise.
    """
    if data is None:
        rng = np.random.default_rng(0)
        samples = [_random_sample(config, rng) for _ in range(count)]
    else:
        settings = with_data(config.train_dataloader.dataset, data, None)
        for _, one in inner_settings(settings):
            one['disjoint_from'] = []
        dataset = DATASETS.build(settings)
        samples = [dataset[index] for index in range(count)]
    return {name: [one[name] for one in samples] for name in ('inputs', 'data_samples')}


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


def step_cost(
    config: Config, *, batch_size: int = 8, rounds: int = 10, device: str = AUTO
) -> StepCost:
    """Time the training step of a config against its plain counterpart, in alternating runs.

    Args:
        config: a config of this project with an HRNet backbone.
        batch_size: images in a batch.
        rounds: pairs of steps that are timed, after two that are not.
        device: ``'auto'``, ``'cpu'`` or ``'cuda'``.
    """
    device = resolve_device(device)
    step = make_step(config, batch_size, device)
    plain = make_step(plain_config(config), batch_size, device)
    for _ in range(2):
        step()
        plain()
    times = [(_seconds(step), _seconds(plain)) for _ in range(rounds)]
    per_image = 1000.0 / batch_size
    return StepCost(
        ms_per_image=per_image * statistics.median(ours for ours, _ in times),
        plain_ms_per_image=per_image * statistics.median(other for _, other in times),
        ratios=tuple(ours / other for ours, other in times),
    )


def _seconds(function: Callable[[], None]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def peak_memory_mb(config: Config, *, batch_size: int = 8, device: str = AUTO) -> float:
    """Return the peak memory of training steps, in a process of its own.

    Args:
        config: config with ``model``, ``codec`` and ``optim_wrapper``.
        batch_size: images in a batch.
        device: ``'auto'``, ``'cpu'`` or ``'cuda'``.

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
    status = Path('/proc/self/status')
    if status.is_file():  # getrusage would also count what the parent process had
        words = re.search(r'^VmHWM:\s*(\d+) kB', status.read_text(), re.MULTILINE)
        if words:
            return int(words[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
