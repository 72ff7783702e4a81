"""Run a model over annotated images and keep what its maps say."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.apis import init_model
from mmpose.registry import DATASETS
from tqdm import tqdm

from unsct_mmpose.anatomy import HIP, RelationSet, landmark_set, landmarks_of
from unsct_mmpose.datasets.data_settings import with_data
from unsct_mmpose.engine.device import AUTO, resolve_device
from unsct_mmpose.maps.calibration_fit import COLUMNS, EvidenceTable
from unsct_mmpose.maps.evidence import Evidence
from unsct_mmpose.maps.regions import covariances_to_px
from unsct_mmpose.models.uncertainty_mixin import noted_noise


def collect_evidence(
    model: torch.nn.Module, dataset: Any, *, batch_size: int = 8, progress: bool = True
) -> EvidenceTable:
    """Run a model over a data set.

    Args:
        model: pose estimator with :class:`HeatmapPAFHead`; its ``test_cfg`` decides on the flip
            test.
        dataset: :class:`THADataset` in test mode.
        batch_size: images at a time.
        progress: show a bar.

    Raises:
        ValueError: an image has no pixel spacing; the message names it.
    """
    codec, parts = model.head.decoder, []
    with torch.no_grad():
        for raw in batches(dataset, batch_size, progress):
            batch = model.data_preprocessor(raw, False)
            evidence = codec.gather(network_maps(model, batch['inputs']))
            parts.append(evidence_table(evidence.cpu(), batch['data_samples'], codec))
    return concatenate(parts)


def collect_scores(
    model: torch.nn.Module,
    dataset: Any,
    relations: RelationSet,
    *,
    batch_size: int = 8,
    progress: bool = True,
) -> EvidenceTable:
    """Run any pose estimator of MMPose over a data set; its scores are all the evidence there is.

    Args:
        model: pose estimator.
        dataset: :class:`THADataset` in test mode.
        relations: relations whose fields are taken as silent.
        batch_size: images at a time.
        progress: show a bar.

    Returns:
        A table in which only the points and, as ``peak``, the scores mean anything.

    Raises:
        ValueError: an image has no pixel spacing; the message names it.
    """
    parts = []
    with torch.no_grad():
        for raw in batches(dataset, batch_size, progress):
            parts.append(_score_table(model.test_step(raw), relations))
    return replace(concatenate(parts), landmarks=landmarks_of(dataset.metainfo))


def batches(dataset: Any, batch_size: int, progress: bool) -> Iterator[Any]:
    """Yield raw batches of a data set, in its order."""
    with tqdm(total=len(dataset), desc='reading', unit='image', disable=not progress) as bar:
        for start in range(0, len(dataset), batch_size):
            rows = range(start, min(start + batch_size, len(dataset)))
            yield pseudo_collate([dataset[row] for row in rows])
            bar.update(len(rows))


def load_model(
    config: str | os.PathLike[str],
    checkpoint: str | os.PathLike[str],
    device: str = AUTO,
    cfg_options: Mapping[str, Any] | None = None,
):
    """Return a pose estimator with its weights, in evaluation mode, and its config.

    ``cfg_options`` replace settings of the config, such as ``model.head.decoder.mode``.

    Raises:
        ValueError: this machine has no such device.
    """
    device = resolve_device(device)
    settings = Config.fromfile(config)
    settings.merge_from_dict(dict(cfg_options or {}))
    init_default_scope('mmpose')
    return init_model(settings, str(checkpoint), device=device), settings


def build_dataset(config: Config, split: str, root: Path | None, ann_file: str | None):
    """Build a config's ``'val'`` or ``'test'`` data set, with other data where some are given.

    Raises:
        ValueError: a folder or file is given for several data sets in one.
    """
    return DATASETS.build(with_data(config[f'{split}_dataloader'].dataset, root, ann_file))


def concatenate(parts: Sequence[EvidenceTable]) -> EvidenceTable:
    """Return the images of several tables in one."""
    rows = zip(*(vars(part.evidence).values() for part in parts), strict=True)
    evidence = Evidence(*map(torch.cat, rows))
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
    return replace(parts[0], evidence=evidence, **columns)


def save_table(path: Path, table: EvidenceTable) -> None:
    """Write a table as ``npz``."""
    arrays = {f'evidence.{name}': values.numpy() for name, values in vars(table.evidence).items()}
    arrays.update({name: getattr(table, name) for name in COLUMNS})
    arrays['landmarks'] = np.array(json.dumps(table.landmarks.to_dict()))
    temporary = path.with_suffix('.tmp.npz')
    np.savez_compressed(temporary, **arrays)
    os.replace(temporary, path)


def load_table(path: Path) -> EvidenceTable:
    """Read what :func:`save_table` wrote."""
    with np.load(path) as arrays:
        content = dict(arrays)
    content.setdefault('evidence.noise', np.full(len(content['files']), np.nan, np.float32))
    names = [column.name for column in fields(Evidence)]
    evidence = Evidence(*(torch.from_numpy(content[f'evidence.{name}']) for name in names))
    landmarks = HIP
    if 'landmarks' in content:
        landmarks = landmark_set(json.loads(str(content['landmarks'])))
    columns = {name: content[name] for name in COLUMNS}
    return EvidenceTable(evidence=evidence, landmarks=landmarks, **columns)


def network_maps(model: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Return ``(N, K + 2 L, h, w)`` maps of preprocessed inputs, with the model's flip test."""
    feats = model.extract_feat(inputs)
    if not model.test_cfg.get('flip_test', False):
        return model.head.forward(feats)
    return model.head.flip_average(feats, model.extract_feat(inputs.flip(-1)))


def evidence_table(evidence: Evidence, samples: Sequence[Any], codec: Any) -> EvidenceTable:
    """Return evidence of a batch in image pixels, with the truth of its data samples."""
    meta = [sample.metainfo for sample in samples]
    scale = np.stack([np.asarray(info['input_scale'], float) for info in meta])
    centre = np.stack([np.asarray(info['input_center'], float) for info in meta])
    input_px = scale / np.asarray(codec.input_size, float)
    cell_px = input_px * (codec.to_pixels(np.ones(2)) - codec.to_pixels(np.zeros(2)))
    points = codec.to_pixels(evidence.points.numpy().astype(np.float64))
    return EvidenceTable(
        evidence=replace(evidence, noise=torch.from_numpy(noted_noise(samples))),
        points_px=points * input_px[:, None] + (centre - 0.5 * scale)[:, None],
        covariances_px=covariances_to_px(evidence.covariances.numpy(), cell_px),
        landmarks=codec.landmarks,
        **_truth([info['raw_ann_info'] for info in meta]),
    )


def _score_table(samples: Sequence[Any], relations: RelationSet) -> EvidenceTable:
    preds = [sample.pred_instances for sample in samples]
    scores = torch.stack([torch.as_tensor(pred.keypoint_scores[0]).float() for pred in preds])
    none = torch.zeros(len(scores), len(relations))
    evidence = Evidence.of_peaks(scores, none, torch.from_numpy(noted_noise(samples)))
    return EvidenceTable(
        evidence=evidence,
        points_px=np.stack([np.asarray(pred.keypoints[0], float) for pred in preds]),
        covariances_px=evidence.covariances.numpy().astype(float),
        **_truth([sample.metainfo['raw_ann_info'] for sample in samples]),
    )


def _truth(truth: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    for image in truth:
        if image['pixel_spacing'] is None:
            raise ValueError(
                f'{image["file_name"]}: no pixel_spacing; calibration measures in mm: add '
                'pixel_spacing to its image in the annotation file'
            )
    return dict(
        true_px=np.stack([image['points'] for image in truth]),
        present=np.stack([image['present'] for image in truth]),
        labelled=np.stack([image['labelled'] for image in truth]),
        spacing_xy_mm=np.array([image['pixel_spacing'] for image in truth], float),
        magnification=np.array([image['magnification'] for image in truth], float),
        patients=np.array([str(image['patient_id'] or image['file_name']) for image in truth]),
        subsets=np.array([image['subset'] for image in truth]),
        files=np.array([image['file_name'] for image in truth]),
    )
