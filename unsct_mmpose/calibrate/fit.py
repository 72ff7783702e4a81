"""Calibrate a trained model: fit thresholds, probabilities and regions, store them with it."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.runner.checkpoint import _load_checkpoint
from mmpose.registry import METRICS

import unsct_mmpose
from unsct_mmpose.anatomy import HIP, LandmarkSet
from unsct_mmpose.codecs.heatmap_paf import prediction_fields
from unsct_mmpose.datasets.data_settings import inner_datasets
from unsct_mmpose.engine.device import AUTO
from unsct_mmpose.engine.weight_files import write_checkpoint
from unsct_mmpose.files import file_sha256, replace_file
from unsct_mmpose.functional.hierarchical import ENOUGH_PATIENTS, allowed_level, promise_words
from unsct_mmpose.maps.assessment import applicable
from unsct_mmpose.maps.calibration import CALIBRATION_KEY, Calibration, pack_calibration
from unsct_mmpose.maps.calibration_fit import (
    EvidenceTable,
    FitOptions,
    apply_calibration,
    disjoint_parts,
    fit_calibration,
)
from unsct_mmpose.maps.deciders import DECIDERS, DecisionOptions

from .evidence_table import build_dataset, collect_evidence, load_model

META_KEY = 'unsct_calibration'
"""Where a checkpoint's ``meta`` holds the calibration, readable without this package."""

_METRICS_OF = dict(
    set_error='THASetErrorMetric',
    presence='THAPresenceMetric',
    landmark='THALandmarkMetric',
    clinical='THAClinicalMetric',
    paper='THAPaperMetric',
)
"""The metrics of an evaluation, by the first word of their keys."""

_RESAMPLED = ('set_error', 'presence', 'paper')
"""Those whose figures get confidence intervals in a study; the others have too many figures."""


@dataclass(frozen=True)
class CalibrationRequest:
    """What to calibrate on what.

    Attributes:
        config: the model's config.
        checkpoint: its weights.
        out: checkpoint to write; None writes into ``checkpoint`` itself.
        data_root: folder of the data; None takes the config's.
        ann_file: annotation file in it; None takes the config's validation file.
        device: ``'auto'``, ``'cpu'`` or ``'cuda'``.
        fit: what the calibration is asked for; its entropy, aggregation and weights are the
            config's.
        cfg_options: settings of the config to replace, as MMPose's ``--cfg-options``.
        estimate: whether to estimate how the calibration would do on new patients.
    """

    config: Path
    checkpoint: Path
    out: Path | None = None
    data_root: Path | None = None
    ann_file: str | None = None
    device: str = AUTO
    fit: FitOptions = field(default_factory=FitOptions)
    cfg_options: Mapping[str, Any] = field(default_factory=dict)
    estimate: bool = True


def calibrate(request: CalibrationRequest) -> tuple[Calibration, dict[str, float], Path]:
    """Fit a calibration, store it, and estimate how it would do on new patients.

    The estimate is cross-fitted: every patient is judged by a calibration that was fitted on all
    others.

    Args:
        request: what to calibrate on what.

    Returns:
        The calibration, the cross-fitted figures (empty with a single patient or without an
        ``estimate``) and the
        checkpoint that holds it; its json lies beside it.

    Raises:
        ValueError: the images lack absent landmarks or spacings; the message says what to do.
    """
    model, config = load_model(
        request.config, request.checkpoint, request.device, request.cfg_options
    )
    codec = model.head.decoder
    relations = codec.evidence_relations
    dataset = build_dataset(config, 'val', request.data_root, request.ann_file)
    inner = inner_datasets(dataset)
    table = collect_evidence(model, dataset)
    options = FitOptions(**{**vars(request.fit), 'decision': codec.decision})
    provenance = dict(
        config=Path(request.config).name,
        weights_sha256=weights_hash(model.state_dict()),
        annotations=', '.join(Path(dataset.ann_file).name for dataset in inner),
        annotations_sha256=', '.join(file_sha256(dataset.ann_file) for dataset in inner),
        data=str(dataset[0]['data_samples'].metainfo['raw_ann_info']['source']),
        reading=asdict(codec.reading),
        flip_test=bool(model.test_cfg.get('flip_test', False)),
        unsct_mmpose=unsct_mmpose.__version__,
    )
    calibration = fit_calibration(table, relations, options, provenance)
    figures = {}
    if request.estimate and len(set(table.patients.tolist())) > 1:
        figures = evaluate(
            judged_samples(table, table, codec.evidence_relations, options, codec.decision),
            landmarks=table.landmarks,
        )
    out = write_calibrated(request.checkpoint, request.out or request.checkpoint, calibration)
    return calibration, figures, out


def write_calibrated(checkpoint: Path, out: Path, calibration: Calibration) -> Path:
    """Write a checkpoint with a calibration in its ``meta`` and its weights, and a json beside it.

    Args:
        checkpoint: the checkpoint to take.
        out: the one to write, whole or not at all; may be the same. Its suffix says in which
            format, :func:`~unsct_mmpose.engine.weight_files.write_checkpoint`.
        calibration: what to store.

    Returns:
        ``out``.
    """
    content = copy.copy(_load_checkpoint(str(checkpoint), map_location='cpu'))
    content['meta'] = {**content.get('meta', {}), META_KEY: calibration.to_dict()}
    state = dict(content['state_dict'])
    state[f'head.{CALIBRATION_KEY}'] = pack_calibration(calibration)
    content['state_dict'] = state
    write_checkpoint(out, content)
    text = json.dumps(calibration.to_dict(), indent=1, allow_nan=False)
    replace_file(calibration_path(out), (text + '\n').encode())
    return out


def calibration_path(checkpoint: Path) -> Path:
    """Return where the json of a calibrated checkpoint lies.

    Example:
        >>> calibration_path(Path('runs/best.pth')).as_posix()
        'runs/best.calibration.json'
    """
    return checkpoint.with_suffix('.calibration.json')


def weights_hash(state: Mapping[str, torch.Tensor]) -> str:
    """Return the sha256 of a model's weights, whatever calibration lies beside them."""
    digest = hashlib.sha256()
    for name in sorted(state):
        if not name.endswith(f'.{CALIBRATION_KEY}'):
            digest.update(name.encode())
            digest.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def judged_samples(
    table: EvidenceTable,
    base: EvidenceTable,
    relations: Any,
    options: FitOptions,
    decision: DecisionOptions,
) -> list[dict]:
    """Decide about the images of a table, no patient by a calibration that has seen the patient.

    Args:
        table: images to decide about.
        base: images to calibrate on; may be the same, or hold the same patients.
        relations: the model's relations.
        options: what the calibration is asked for.
        decision: how to decide.

    Returns:
        Data samples, as :func:`predicted_samples` gives them.
    """
    samples: list[dict] = []
    for others, own in disjoint_parts(table, base):
        calibration = fit_calibration(others, relations, options)
        samples += predicted_samples(own, relations, calibration, decision)
    return samples


def predicted_samples(
    table: EvidenceTable, relations: Any, calibration: Calibration | None, decision: DecisionOptions
) -> list[dict]:
    """Return what MMPose would hand to its metrics for the images of a table.

    Args:
        table: images to decide about.
        relations: the model's relations.
        calibration: the stored one, if any; where it does not apply, it is as if there were none.
        decision: how to decide.

    Raises:
        ValueError: the calibration is for other settings and the decision has no threshold.
    """
    calibration = applicable(calibration, decision, len(relations))
    assessment, covariances = apply_calibration(table, relations, calibration, decision)
    columns = prediction_fields(
        table.points_px, covariances, table.evidence, assessment, calibration, table.landmarks
    )
    return [
        dict(
            pred_instances={name: values[row, None] for name, values in columns.items()},
            raw_ann_info=dict(
                file_name=str(table.files[row]),
                patient_id=str(table.patients[row]),
                subset=str(table.subsets[row]),
                pixel_spacing=tuple(table.spacing_xy_mm[row]),
                magnification=float(table.magnification[row]),
                points=table.true_px[row],
                present=table.present[row],
                labelled=table.labelled[row],
            ),
        )
        for row in range(len(table))
    ]


def evaluate(
    samples: Sequence[dict], bootstrap: int = 0, landmarks: LandmarkSet = HIP
) -> dict[str, float]:
    """Return the figures of the project's metrics that are defined on the landmarks.

    Args:
        samples: data samples with predictions and truth.
        bootstrap: resamples of patients for confidence intervals; 0: none.
        landmarks: those of the samples.

    Returns:
        Figures with keys ``metric/subset/figure``.
    """
    figures: dict[str, float] = {}
    for prefix, name in _METRICS_OF.items():
        if prefix == 'clinical' and not landmarks.clinical:
            continue
        resamples = bootstrap if prefix in _RESAMPLED else 0
        metric = METRICS.build(dict(type=name, bootstrap=resamples, prefix=prefix))
        metric.dataset_meta = dict(landmarks=landmarks)
        metric.process({}, samples)
        for key, value in metric.compute_metrics(metric.results).items():
            words = [word for word in key.split('/') if word != prefix]
            figures['/'.join([prefix, *words])] = float(value)
    return figures


def promise_lines(calibration: Calibration) -> list[str]:
    """Return what is promised for an image of a new patient, and what is systematically wrong."""
    patients, settings = calibration.patients, calibration.settings
    recall = promise_words(settings['recall'], patients, model=False)
    loss = promise_words(1 - settings['alpha'], patients, model=False)
    all_reported = math.isinf(calibration.threshold('fused', 'conformal'))
    lines = [
        f'intervals: {promise_words(calibration.interval_level, patients)}',
        f'regions: {promise_words(calibration.region_level, patients)}',
        f'recall rule reports {recall}',
        f'conformal rule reports {loss}' + (': everything is reported' if all_reported else ''),
    ]
    for name, offset in calibration.offsets.items():
        if offset.corrected:
            unit = name.rsplit('_', 1)[1]
            lines.append(
                f'systematic error of {name}: {offset.value:+.2f} {unit} [{offset.low:+.2f}, '
                f'{offset.high:+.2f}] over {offset.patients} patients; taken from the centre of '
                'its intervals'
            )
    return lines


def too_few_patients(calibration: Calibration) -> str | None:
    """Return a warning where a model must stand in for patients; None where there are enough."""
    patients = calibration.patients
    if patients is None or patients >= ENOUGH_PATIENTS:
        return None
    return (
        f'regions and intervals rest on {patients} patients, who allow no more than '
        f'{100 * allowed_level(patients):.0f} % for the next one; a model of how patients differ '
        f'gives the rest. Calibrate on {ENOUGH_PATIENTS} patients or more: more images of the same '
        'patients do not help'
    )


def baseline_table(figures: Mapping[str, float]) -> str:
    """Return decisions beside their baselines, of :func:`evaluate`, as a Markdown table."""
    names = ('keep_all', 'reject_all', *DECIDERS, 'oracle')
    lines = ['| subset | reported | E_20 [mm] |', '|---|---|---|']
    for subset in ('structured', 'unstructured', 'all'):
        for name in (*names, None):
            key = '/'.join(filter(None, ('set_error', subset, name, 'E_20')))
            value = figures.get(key, np.nan)
            if not np.isnan(value):
                lines.append(f'| {subset} | {name or "**this model**"} | {value:.3f} |')
    return '\n'.join(lines)
