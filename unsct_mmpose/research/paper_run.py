"""Run one experiment of the paper: train, read the maps, judge; one result file for each run."""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.calibrate.evidence_table import (
    build_dataset,
    collect_evidence,
    collect_scores,
    load_model,
    load_table,
    save_table,
)
from unsct_mmpose.maps.calibration_fit import EvidenceTable

from .experiment import attempt, attempted_seconds, format_command
from .paper_judge import judge_decisions
from .paper_outside import outside_versions, read_outside, train_outside
from .paper_plan import REVISION, Row, Run, judged_file
from .results import Result, describe_host, read_result, write_result


def run_one(run: Run, root: Path, results: Path, describe: str, tools: Path) -> Path:
    """Do whatever a run still lacks, and write and return its result file.

    An interrupted training goes on at its last checkpoint; maps that were read are not read again.
    ``describe`` must say so when the images are simulated.

    Raises:
        RuntimeError: the training failed; the message names its command.
    """
    config = _prepare(run, tools)
    command = (train_outside if run.row.script else train)(run, config, root, tools)
    table, base = _tables(run, config, root)
    host, own_test = describe_host(), judged_file(run.data) == 'test.json'
    result = Result(
        name=run.name,
        config=run.row.source,
        label=run.row.label,
        budget=run.budget,
        data=f'{describe}, {"test" if own_test else "validation"} split',
        calibrated_on='validation split' if own_test else 'validation split, cross-fitted',
        seed=run.seed,
        figures=judge_decisions(table, base, run.row.fields),
        curve=read_curve(run.work_dir(root)),
        commands=[f'UNSCT_BUDGET={run.budget} UNSCT_DATA={shlex.quote(str(run.data))} {command}'],
        seconds=attempted_seconds(run.work_dir(root)),
        machine=host['machine'],
        versions=host['versions'] | outside_versions(run.work_dir(root)),
        revision=REVISION,
    )
    write_result(run.result_file(results), result)
    return run.result_file(results)


def judge_again(run: Run, root: Path, results: Path, tools: Path) -> Path | None:
    """Add to a result file what it was not judged by when it was written; nothing is trained.

    The maps that the run left are taken, else its last checkpoint reads the images again. All
    figures are then of one judgement; what tells of the training stays. Where it lacks nothing,
    None comes back.

    Raises:
        ValueError: neither maps nor a last checkpoint are there, or they are not those of the
            result: reporting every landmark, or the right ones, gives other errors.
    """
    path = run.result_file(results)
    result = read_result(path)
    if not lacking_decisions(result, run.row):
        return None
    config, work_dir = _prepare(run, tools), run.work_dir(root)
    checkpoint = final_checkpoint(config, work_dir)
    maps = [_maps_file(work_dir, name) for name in run.ann_files]
    if not (run.row.script or all(file.is_file() for file in maps) or checkpoint.is_file()):
        raise ValueError(f'{checkpoint}: not there, and no maps beside it: {path} stays as it is')
    figures = judge_decisions(*_tables(run, config, root), run.row.fields)
    _refuse_other_weights(path, work_dir, result, figures)
    write_result(path, replace(result, figures=figures))
    return path


def lacking_decisions(result: Result, row: Row) -> list[str]:
    """Return the ways to decide that a run of the row is judged by and this one is not yet."""
    return [name for name in row.decisions if name not in (result.figures or {})]


def _prepare(run: Run, tools: Path) -> Path:
    """Set what the configs ask for, and return the run's config."""
    os.environ.update(UNSCT_BUDGET=run.budget, UNSCT_DATA=str(run.data))
    return tools.parent / 'configs' / run.row.config


def _tables(run: Run, config: Path, root: Path) -> tuple[EvidenceTable, EvidenceTable]:
    """Return what is said about the images to judge and about those to calibrate on."""
    read = read_outside if run.row.script else _read_maps
    tables = {name: read(run, config, root, name) for name in run.ann_files}
    return tables[judged_file(run.data)], tables['val.json']


def _refuse_other_weights(
    path: Path, work_dir: Path, result: Result, figures: Mapping[str, Mapping[str, float]]
) -> None:
    """Refuse figures that disagree with a result where no threshold has a say."""
    for decision in ('keep_all', 'oracle'):
        for key in ('landmark/all/MRE', 'set_error/all/E_20'):
            before, now = result.figure(decision, key), figures[decision][key]
            if not math.isclose(before, now, rel_tol=1e-4):
                raise ValueError(
                    f'{work_dir}: not the run of {path}: {decision}, {key} is {now:.6g} here and '
                    f'{before:.6g} there'
                )


def train(run: Run, config: Path, root: Path, tools: Path) -> str:
    """Train, or go on, until the last epoch's checkpoint is there; return the command.

    No checkpoint is chosen on validation images: the last one counts.
    """
    work_dir = run.work_dir(root)
    work_dir.mkdir(parents=True, exist_ok=True)
    others = [name for name in ('val.json', 'test.json') if (run.data / name).is_file()]
    command = [
        str(tools / 'train.py'), str(config), '--work-dir', str(work_dir), '--resume',
        '--cfg-options', f'randomness.seed={run.seed}',
        'default_hooks.checkpoint.save_best=None',
        f'train_dataloader.dataset.disjoint_from=[{",".join(others)}]',
    ]  # fmt: skip
    text = format_command(command, tools.parent)
    if not final_checkpoint(config, work_dir).is_file():
        attempt([sys.executable, *command], text, work_dir)
    return text


def final_checkpoint(config: Path, work_dir: Path) -> Path:
    """Return where the checkpoint of the last epoch lies once the training is done."""
    return work_dir / f'epoch_{Config.fromfile(config).train_cfg.max_epochs}.pth'


def _read_maps(run: Run, config: Path, root: Path, ann_file: str) -> EvidenceTable:
    """Return what the trained model says about the images of an annotation file."""
    work_dir = run.work_dir(root)
    maps = _maps_file(work_dir, ann_file)
    if not maps.is_file():
        model, settings = load_model(config, final_checkpoint(config, work_dir))
        dataset = build_dataset(settings, 'test', run.data, ann_file)
        save_table(maps, _collect(model, dataset, run.row.fields))
    return load_table(maps)


def _maps_file(work_dir: Path, ann_file: str) -> Path:
    return work_dir / f'{Path(ann_file).stem}.npz'


def _collect(model: Any, dataset: Any, fields: bool) -> EvidenceTable:
    if not fields:
        return collect_scores(model, dataset, relation_set('full'))
    model.head.decoder.use_all_relations()
    return collect_evidence(model, dataset)


def read_curve(work_dir: Path) -> dict[str, list[float]]:
    """Return the validation error while training, from MMEngine's log.

    A later attempt wins; a line that an interruption cut off is passed over.
    """
    points: dict[int, float] = {}
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            entry = json.loads(line) if line.endswith('}') else {}
            if 'all/MRE' in entry:
                points[int(entry['step'])] = float(entry['all/MRE'])
    return {'epoch': sorted(points), 'all/MRE': [points[epoch] for epoch in sorted(points)]}
