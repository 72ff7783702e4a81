"""Run one experiment of the paper: train, read the maps, judge; one result file for each run."""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.functional.assessment import EVIDENCES, DecisionOptions
from unsct_mmpose.functional.calibration_fit import EvidenceTable, FitOptions

from .calibrate import evaluate, judged_samples
from .evidence import (
    build_dataset,
    collect_evidence,
    collect_scores,
    load_model,
    load_table,
    save_table,
)
from .paper_attempt import attempt, attempted_seconds
from .paper_outside import outside_versions, read_outside, train_outside
from .paper_plan import REVISION, ROWS, Run, judged_file
from .results import describe_machine, installed_versions, write_json
from .study import restrict_relations

SPEAKING = 'core'
"""Relations that take part in decisions; the ``full`` set trains the network."""

KEPT_FIGURES = (
    'set_error/{}/E_20', 'presence/{}/recall', 'presence/{}/specificity', 'presence/{}/AUROC',
    'landmark/{}/MRE', 'landmark/{}/SDR@2mm', 'landmark/{}/SDR@4mm', 'landmark/{}/SDR@10mm',
    'paper/{}/NME', 'paper/{}/MRE', 'paper/{}/SDR@2mm', 'paper/{}/SDR_images@2mm', 'paper/{}/PCC',
    'paper/{}/ICC', 'paper/{}/t_test_p', 'paper/{}/images',
)  # fmt: skip
SUBSETS = ('structured', 'unstructured', 'all')


@dataclass(frozen=True)
class PaperResult:
    """What one run measured, and how to repeat it.

    Attributes:
        name: of the run.
        config: path of the config, from the repository.
        label: what the tables call it.
        budget: ``'cpu'`` or ``'gpu'``.
        data: what was judged, in words; says so when images are simulated.
        calibrated_on: where thresholds come from, in words.
        seed: of the training.
        figures: for each way to decide (``keep_all``, ``peak``, ``paf``, ``fused``, ``oracle``)
            figures as ``metric/subset/figure``.
        curve: figures on the validation images while training: ``epoch`` and ``all/MRE``.
        commands: that made it.
        seconds: wall time of the training, of all its attempts.
        machine: processor, cores and accelerator.
        versions: packages.
        revision: of the code that trained it, see ``paper_plan.REVISION``.
    """

    name: str
    config: str
    label: str
    budget: str
    data: str
    calibrated_on: str
    seed: int
    figures: Mapping[str, Mapping[str, float | None]]
    curve: Mapping[str, Sequence[float]]
    commands: Sequence[str] = ()
    seconds: float = math.nan
    machine: str = ''
    versions: Mapping[str, str] = field(default_factory=dict)
    revision: int = 1

    @property
    def stem(self) -> str:
        """Name of the config without its folder."""
        return Path(self.config).stem

    @property
    def old(self) -> bool:
        """Whether the row has changed since, so that the result awaits another run."""
        return any(self.revision < row.since for row in ROWS if row.stem == self.stem)

    def figure(self, decision: str, key: str) -> float:
        """Return one figure; NaN where it is undefined or was not measured.

        Args:
            decision: such as ``'fused'``.
            key: such as ``'set_error/all/E_20'``.
        """
        value = self.figures.get(decision, {}).get(key)
        return math.nan if value is None else float(value)


def runs_of(found: Sequence[PaperResult], stem: str) -> list[PaperResult]:
    """Return the runs of one config, all its seeds.

    Args:
        found: results of one budget and data set.
        stem: name of the config without its folder.
    """
    return [one for one in found if one.stem == stem]


def run_one(run: Run, root: Path, results: Path, describe: str, tools: Path) -> Path:
    """Do whatever a run still lacks, and write its result file.

    An interrupted training goes on at its last checkpoint; maps that were read are not read again.

    Args:
        run: what to do.
        root: folder of checkpoints and evidence.
        results: folder of result files.
        describe: what the images are; must say so when they are simulated.
        tools: folder with ``train.py``.

    Returns:
        The result file.

    Raises:
        RuntimeError: the training failed; the message names its command.
    """
    os.environ.update(UNSCT_BUDGET=run.budget, UNSCT_DATA=str(run.data))
    config = tools.parent / 'configs' / run.row.config
    outside = bool(run.row.script)
    command = (train_outside if outside else train)(run, config, root, tools)
    table, base = (read_outside if outside else read_maps)(run, config, root)
    own_test = judged_file(run.data) == 'test.json'
    result = PaperResult(
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
        machine=describe_machine(),
        versions=installed_versions() | outside_versions(run.work_dir(root)),
        revision=REVISION,
    )
    out = run.result_file(results)
    write_json(out, asdict(result))
    return out


def read_paper_result(path: Path) -> PaperResult:
    """Read a result file.

    Raises:
        ValueError: the file is not one; the message names it and the cause.
    """
    try:
        return PaperResult(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f'{path}: not a result of tools/paper_tables.py ({error})') from error


def train(run: Run, config: Path, root: Path, tools: Path) -> str:
    """Train, or go on, until the last epoch's checkpoint is there; return the command.

    No checkpoint is chosen on validation images: the last one counts.
    """
    work_dir = run.work_dir(root)
    work_dir.mkdir(parents=True, exist_ok=True)
    others = [name for name in ('val.json', 'test.json') if (run.data / name).is_file()]
    words = [
        str(tools / 'train.py'), str(config), '--work-dir', str(work_dir), '--resume',
        '--cfg-options', f'randomness.seed={run.seed}',
        'default_hooks.checkpoint.save_best=None',
        f'train_dataloader.dataset.disjoint_from=[{",".join(others)}]',
    ]  # fmt: skip
    here = f'{tools.parent}/'
    spelled = shlex.join(['python', *(word.removeprefix(here) for word in words)])
    if final_checkpoint(config, work_dir).is_file():
        return spelled
    attempt([sys.executable, *words], spelled, work_dir)
    return spelled


def final_checkpoint(config: Path, work_dir: Path) -> Path:
    """Return where the checkpoint of the last epoch lies once the training is done."""
    return work_dir / f'epoch_{Config.fromfile(config).train_cfg.max_epochs}.pth'


def read_maps(run: Run, config: Path, root: Path) -> tuple[EvidenceTable, EvidenceTable]:
    """Return what the trained model says about the images to judge and to calibrate on."""
    work_dir, model, settings = run.work_dir(root), None, None
    tables = {}
    for ann_file in sorted({judged_file(run.data), 'val.json'}):
        kept = work_dir / f'{Path(ann_file).stem}.npz'
        if not kept.is_file():
            if model is None:
                model, settings = load_model(config, final_checkpoint(config, work_dir))
            dataset = build_dataset(settings, 'test', run.data, ann_file)
            save_table(kept, _read(model, dataset, run.row.fields))
        tables[ann_file] = load_table(kept)
    return tables[judged_file(run.data)], tables['val.json']


def _read(model: Any, dataset: Any, fields: bool) -> EvidenceTable:
    if not fields:
        return collect_scores(model, dataset, relation_set('full'))
    model.head.decoder.use_all_relations()
    return collect_evidence(model, dataset)


def judge_decisions(
    table: EvidenceTable, base: EvidenceTable, fields: bool
) -> dict[str, dict[str, float]]:
    """Judge each way to decide, from the same weights.

    Args:
        table: images to judge.
        base: images that thresholds come from; patients in both are cross-fitted.
        fields: whether there are fields to decide by.

    Returns:
        For ``keep_all``, ``peak``, with fields ``paf`` and ``fused``, and ``oracle``: figures.
    """
    full = relation_set('full')
    table, relations = restrict_relations(table, full, SPEAKING)
    base, _ = restrict_relations(base, full, SPEAKING)
    options = FitOptions() if fields else FitOptions(features=('peak',))
    decision = DecisionOptions(evidence='fused' if fields else 'peak')
    samples = judged_samples(table, base, relations, options, decision)
    figures = {}
    for name in ('keep_all', *(EVIDENCES if fields else ('peak',)), 'oracle'):
        found = evaluate([_decided(sample, name) for sample in samples])
        keys = [key.format(subset) for key in KEPT_FIGURES for subset in SUBSETS]
        figures[name] = {key: found[key] for key in keys}
    return figures


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


def _decided(sample: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a data sample as if another evidence had decided."""
    pred = dict(sample['pred_instances'])
    if name == 'keep_all':
        visible = np.ones_like(pred['keypoints_visible'])
    elif name == 'oracle':
        visible = np.asarray(sample['raw_ann_info']['present'], float)[None]
    else:
        which = EVIDENCES.index(name)
        visible = np.asarray(pred['keypoint_decisions'], float)[..., which]
        pred['keypoint_uncertainties'] = pred['keypoint_evidences'][..., which]
    return dict(sample, pred_instances=dict(pred, keypoints_visible=visible))
