"""What the method costs: the training step of a config against its plain heatmap counterpart."""

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
from mmpose.registry import MODELS

from unsct_mmpose.anatomy import NUM_LANDMARKS


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
    return plain


def _plain_codec(codec: dict) -> dict:
    return dict(
        type='MSRAHeatmap',
        input_size=codec['input_size'],
        heatmap_size=codec['heatmap_size'],
        sigma=codec['sigma'],
    )


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
    rng = np.random.default_rng(0)
    samples = [_random_sample(config, rng) for _ in range(batch_size)]
    batch = dict(
        inputs=[one['inputs'] for one in samples],
        data_samples=[one['data_samples'] for one in samples],
    )

    def step() -> None:
        model.train_step(copy.copy(batch), wrapper)
        if device == 'cuda':
            torch.cuda.synchronize()

    return step


def _random_sample(config: Config, rng: np.random.Generator) -> dict:
    width, height = config.codec.input_size
    keypoints = rng.uniform(0.1, 0.9, (1, NUM_LANDMARKS, 2)) * (width, height)
    results = dict(
        img=rng.integers(0, 255, (height, width, 3), dtype=np.uint8),
        img_shape=(height, width),
        ori_shape=(height, width),
        transformed_keypoints=keypoints.astype(np.float32),
        keypoints_visible=np.ones((1, NUM_LANDMARKS), dtype=np.float32),
        dataset_keypoint_weights=np.ones(NUM_LANDMARKS, dtype=np.float32),
    )
    return PackPoseInputs().transform(GenerateTarget(config.codec).transform(results))


def step_cost(
    config: Config, *, batch_size: int = 8, rounds: int = 10, device: str = 'cpu'
) -> StepCost:
    """Time the training step of a config against its plain counterpart, in alternating runs.

    Args:
        config: a config of this project with an HRNet backbone.
        batch_size: images in a batch.
        rounds: pairs of steps that are timed, after two that are not.
        device: ``'cpu'`` or ``'cuda'``.
    """
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


def peak_memory_mb(config: Config, *, batch_size: int = 8, device: str = 'cpu') -> float:
    """Return the peak memory of training steps, in a process of its own.

    Args:
        config: config with ``model``, ``codec`` and ``optim_wrapper``.
        batch_size: images in a batch.
        device: ``'cpu'``: resident memory of the process, Python and its libraries included;
            ``'cuda'``: memory that PyTorch allocated there.

    Returns:
        Megabytes (2**20 bytes).
    """
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_peak_memory_mb, config.pretty_text, batch_size, device).result()


def _peak_memory_mb(config_text: str, batch_size: int, device: str) -> float:
    step = make_step(Config.fromstring(config_text, '.py'), batch_size, device)
    for _ in range(3):
        step()
    if device == 'cuda':
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path('/proc/self/status')
    if status.is_file():  # getrusage would also count what the parent process had
        words = re.search(r'^VmHWM:\s*(\d+) kB', status.read_text(), re.MULTILINE)
        if words:
            return int(words[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
