"""A peer that MMPose does not hold: our pipelines feed it, its script trains it, we judge it.

Its packages may not suit ours, so it runs in an environment of its own and speaks to us in arrays.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed
from mmengine.structures import InstanceData
from mmpose.registry import METRICS
from tqdm import tqdm

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.calibrate.evidence_table import build_dataset, collect_scores
from unsct_mmpose.maps.calibration_fit import EvidenceTable

from .experiment import attempt, format_command
from .paper_plan import Run, judged_file

INTERPRETER = 'UNSCT_PEER_PYTHON'
"""Environment variable with the Python of the peer's own environment."""

CHANNELS = dict(cpu=64, gpu=128)
"""Channels of the peer's layers in each budget; its authors have 128."""


class OutsideModel:
    """What a peer found, in the guise of a pose estimator: it is read like any other.

    Landmarks are ``(N, K, 2)`` pixels of the network's input, peaks ``(N, K)`` largest values.
    """

    def __init__(self, points: np.ndarray, peaks: np.ndarray, ids: Sequence[int]) -> None:
        self.points, self.peaks = np.asarray(points, float), np.asarray(peaks, np.float32)
        self.rows = {image: row for row, image in enumerate(ids)}

    def test_step(self, batch: Mapping[str, Sequence[Any]]) -> list[Any]:
        """Return the data samples of a batch with landmarks in pixels of their image files."""
        samples = list(batch['data_samples'])
        for sample in samples:
            row, meta = self.rows[sample.metainfo['img_id']], sample.metainfo
            scale = np.asarray(meta['input_scale'], float)
            start = np.asarray(meta['input_center'], float) - 0.5 * scale
            points = self.points[row] / np.asarray(meta['input_size'], float) * scale + start
            sample.pred_instances = InstanceData(
                keypoints=points[None], keypoint_scores=self.peaks[row, None]
            )
        return samples


def train_outside(run: Run, config: Path, root: Path, tools: Path) -> str:
    """Pack the images, let the peer's script train on them, return its command.

    The config is of a stock model, whose images, augmentations and steps the peer gets.

    Raises:
        RuntimeError: the peer's environment is not named, or its training failed.
    """
    work_dir, settings = run.work_dir(root), Config.fromfile(config)
    last = settings.train_cfg.max_epochs
    script = str(tools.parent / run.row.script)
    command = [
        script, str(work_dir / 'packed'), str(work_dir / 'found'), '--epochs', str(last),
        '--batch-size', str(settings.train_dataloader.batch_size),
        '--interval', str(settings.train_cfg.val_interval),
        '--channels', str(CHANNELS[run.budget]), '--seed', str(run.seed),
    ]  # fmt: skip
    text = format_command(command, tools.parent).replace('python', f'"${INTERPRETER}"', 1)
    if not _output(work_dir, last, judged_file(run.data)).is_file():
        python = os.environ.get(INTERPRETER)
        if not python:
            raise RuntimeError(
                f'{INTERPRETER} names no Python; docs/results/notes/peers.md tells how to make '
                f'the environment of {script}'
            )
        pack(run, settings, work_dir / 'packed')
        attempt([python, *command], text, work_dir)
    _write_curve(run, settings, work_dir)
    return text


def read_outside(run: Run, config: Path, root: Path, ann_file: str) -> EvidenceTable:
    """Return what the peer found in the images of an annotation file."""
    settings = Config.fromfile(config)
    dataset = _dataset(run, settings, ann_file)
    model = _model(run.work_dir(root), settings.train_cfg.max_epochs, ann_file, dataset)
    return collect_scores(model, dataset, relation_set('full'))


def outside_versions(work_dir: Path) -> dict[str, str]:
    """Return the versions of the packages that a peer ran with; empty for a training of MMPose."""
    path = work_dir / 'found' / 'versions.json'
    return json.loads(path.read_text()) if path.is_file() else {}


def pack(run: Run, settings: Config, folder: Path) -> None:
    """Write the images of each split as arrays; those of training augmented, in their order.

    The folder gets ``train.npz``, ``val.npz`` and, where there is one, ``test.npz``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in run.ann_files:
        images = [np.asarray(item['inputs'])[0] for item in _rows(_dataset(run, settings, name))]
        np.savez(folder / f'{Path(name).stem}.npz', images=np.stack(images).astype(np.uint8))
    np.savez(folder / 'train.npz', **training_arrays(run, settings))


def training_arrays(run: Run, settings: Config) -> dict[str, np.ndarray]:
    """Return all images of a training, in the order of its steps.

    The settings are of a stock model that draws heatmaps; its pipeline augments.

    Returns:
        ``images`` ``(N, H, W)`` uint8, ``points`` ``(N, K, 2)`` (x, y) in pixels of them, and
        ``weights`` ``(N, K)``, as the stock model's loss takes them: 0 where unlabelled or absent.
    """
    init_default_scope('mmpose')
    options = copy.deepcopy(settings.train_dataloader)
    options.dataset.update(data_root=str(run.data), pipeline=options.dataset.pipeline[:-1])
    set_random_seed(run.seed)
    loader = Runner.build_dataloader(
        options | dict(collate_fn=dict(type='pseudo_collate')), run.seed
    )
    parts: dict[str, list[np.ndarray]] = dict(images=[], points=[], weights=[])
    for epoch in tqdm(range(settings.train_cfg.max_epochs), desc='packing', unit='epoch'):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            parts['images'] += [image[..., 0] for image in batch['img']]
            parts['points'] += [points[0] for points in batch['transformed_keypoints']]
            parts['weights'] += [weights[0] for weights in batch['keypoint_weights']]
    dtypes = dict(images=np.uint8, points=np.float32, weights=np.float32)
    return {name: np.stack(part).astype(dtypes[name]) for name, part in parts.items()}


def _write_curve(run: Run, settings: Config, work_dir: Path) -> None:
    """Judge what was found after every interval as a training does, in a log like MMEngine's."""
    dataset = _dataset(run, settings, 'val.json')
    samples = [item['data_samples'] for item in _rows(dataset)]
    metric, lines = METRICS.build(dict(type='THALandmarkMetric')), []
    for epoch in sorted(int(path.name[6:]) for path in (work_dir / 'found').glob('epoch_*')):
        model = _model(work_dir, epoch, 'val.json', dataset)
        judged = model.test_step(dict(data_samples=samples))
        metric.process({}, [sample.to_dict() for sample in judged])
        error = float(metric.evaluate(len(judged))['all/MRE'])
        lines.append(json.dumps({'all/MRE': error, 'step': epoch}))
    path = work_dir / 'found' / 'vis_data' / 'scalars.json'
    path.parent.mkdir(exist_ok=True)
    path.write_text('\n'.join(lines) + '\n')


def _dataset(run: Run, settings: Config, ann_file: str) -> Any:
    init_default_scope('mmpose')
    return build_dataset(settings, 'test', run.data, ann_file)


def _model(work_dir: Path, epoch: int, ann_file: str, dataset: Any) -> OutsideModel:
    """Return what a peer found after an epoch in the images of a data set."""
    with np.load(_output(work_dir, epoch, ann_file)) as arrays:
        content = dict(arrays)
    ids = [dataset.get_data_info(row)['img_id'] for row in range(len(dataset))]
    return OutsideModel(**content, ids=ids)


def _output(work_dir: Path, epoch: int, ann_file: str) -> Path:
    return work_dir / 'found' / f'epoch_{epoch}' / f'{Path(ann_file).stem}.npz'


def _rows(dataset: Any) -> Iterator[Any]:
    return (dataset[row] for row in range(len(dataset)))
