"""The paper's figures from runs that were made: 5 (convergence), 8 (training), 9 (uncertainty)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate

from unsct_mmpose.anatomy import NUM_LANDMARKS
from unsct_mmpose.annotations.annotated import read_display
from unsct_mmpose.calibrate.evidence_table import build_dataset, collect_evidence, load_model
from unsct_mmpose.calibrate.fit import predicted_samples
from unsct_mmpose.drawing.figures import figure_convergence, figure_training, figure_uncertainty
from unsct_mmpose.drawing.picture_files import write_picture
from unsct_mmpose.maps.uncertainty import certainty_map
from unsct_mmpose.visualization.drawable import maps_box

from .paper_page import result_groups
from .paper_plan import judged_file, runs_of
from .results import Result

LOSSES = ('loss_mse', 'loss_mse_heavy', 'loss_adaptive_wing', 'unsct-hrnet')
_SNAPSHOTS = 5


def draw_convergence(results: Path, budget: str, data: str, out: Path) -> Path:
    """Draw Figure 5 from result files: the validation error of each heatmap loss while training.

    Raises:
        ValueError: there is no run of any of the losses.
    """
    group = result_groups(results).get((budget, data), [])
    curves = {}
    for stem in LOSSES:
        if runs := runs_of(group, stem):
            label = 'masked AdaptiveWing' if stem == 'unsct-hrnet' else runs[0].label
            curves[label] = _curves(runs)
    if not curves:
        raise ValueError(f'{results}: no run of {", ".join(LOSSES)} with {budget}, {data} yet')
    return write_picture(out, figure_convergence(curves, source=group[0].data))


def draw_training(config: Path, checkpoints: Sequence[Path], data: Path, row: int, source: str,
                  out: Path) -> Path:  # fmt: skip
    """Draw Figure 8: the maps of one image at several epochs of one training.

    Five of its ``epoch_N.pth`` at most are shown, evenly spread, of the image in a row of the
    judged file; ``source`` must say so when it is simulated.
    """
    snapshots, meta = {}, {}
    for checkpoint in _spread(sorted(checkpoints, key=_epoch)):
        model, settings = load_model(config, checkpoint, 'cpu')
        dataset = build_dataset(settings, 'test', data, judged_file(data))
        maps, meta = _maps(model, dataset, row)
        snapshots[_epoch(checkpoint)] = (maps[:NUM_LANDMARKS], maps[NUM_LANDMARKS:])
    picture = figure_training(_image(meta), snapshots, source=source, box=maps_box(meta))
    return write_picture(out, picture)


def draw_uncertainty(config: Path, checkpoint: Path, data: Path, row: int, source: str,
                     out: Path) -> Path:  # fmt: skip
    """Draw Figure 9: certainty map, landmarks without and with uncertainty estimation.

    The checkpoint is a calibrated one (``tools/calibrate.py``); the rest is as for Figure 8.

    Raises:
        ValueError: the checkpoint holds no calibration for the config's decision, which has no
            threshold of its own either: a limit that was fitted to nothing would decide.
    """
    model, settings = load_model(config, checkpoint, 'cpu')
    codec = model.head.decoder
    try:
        decision, calibration = codec.deciding()
        missing = codec.notice()
    except ValueError as error:
        missing = str(error)
    if missing:
        raise ValueError(f'{checkpoint}: {missing}')
    dataset = build_dataset(settings, 'test', data, judged_file(data))
    table = collect_evidence(model, torch.utils.data.Subset(dataset, [row]), progress=False)
    sample = predicted_samples(table, codec.evidence_relations, calibration, decision)
    maps, meta = _maps(model, dataset, row)
    stacked = torch.from_numpy(maps)[None]
    heatmaps, fields = stacked[:, :NUM_LANDMARKS], stacked[:, NUM_LANDMARKS:]
    pairs = codec.relations.pairs
    certainty = certainty_map(heatmaps, fields, table.evidence.points, pairs)[0].numpy()
    pred = sample[0]['pred_instances']
    picture = figure_uncertainty(
        _image(meta),
        certainty,
        pred['keypoints'][0],
        pred['keypoints_visible'][0] > 0.5,
        source=source,
        box=maps_box(meta),
    )
    return write_picture(out, picture)


def _maps(model: Any, dataset: Any, row: int) -> tuple[np.ndarray, dict]:
    """Return ``(K + 2 L, H, W)`` maps of one image, and its meta information."""
    model.test_cfg['output_heatmaps'] = True
    with torch.no_grad():
        sample = model.test_step(pseudo_collate([dataset[row]]))[0]
    fields = sample.pred_fields
    return torch.cat([fields.heatmaps, fields.pafs]).cpu().numpy(), sample.metainfo


def _image(meta: dict) -> np.ndarray:
    """Return the display values that the network's points are pixels of."""
    return read_display(meta['img_path'], meta.get('raw_ann_info') or {})[1].pixels


def _curves(runs: Sequence[Result]) -> tuple[list[float], list[list[float]]]:
    curves = [run.curve or {} for run in runs]
    values = [dict(zip(curve['epoch'], curve['all/MRE'], strict=True)) for curve in curves]
    epochs = sorted(set.intersection(*map(set, values)))
    return epochs, [[errors[epoch] for epoch in epochs] for errors in values]


def _spread(checkpoints: Sequence[Path]) -> list[Path]:
    """Return at most five, the first and the last among them."""
    places = np.linspace(0, len(checkpoints) - 1, min(_SNAPSHOTS, len(checkpoints)))
    return [checkpoints[index] for index in np.unique(places.round().astype(int))]


def _epoch(checkpoint: Path) -> int:
    match = re.fullmatch(r'epoch_(\d+)', checkpoint.stem)
    if match is None:
        raise ValueError(f'{checkpoint}: not a checkpoint of an epoch (epoch_N.pth)')
    return int(match.group(1))
