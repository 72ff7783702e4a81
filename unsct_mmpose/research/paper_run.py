"""Run one experiment of the paper: train, read the maps, judge; one result file for each run."""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
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
from unsct_mmpose.files import write_json
from unsct_mmpose.maps.calibration_fit import EvidenceTable

from .paper_attempt import attempt, attempted_seconds
from .paper_judge import FIELD_DECISIONS, STOCK_DECISIONS, judge_decisions
from .paper_outside import outside_versions, read_outside, train_outside
from .paper_plan import REVISION, ROWS, Row, Run, judged_file
from .results import describe_machine, installed_versions


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
        figures: for each way to decide (``paper_judge.FIELD_DECISIONS``, or those of stock
            models) figures as ``metric/subset/figure``.
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

    def lacks(self, row: Row) -> list[str]:
        """Return the ways to decide that a run of the row is judged by and this one is not yet."""
        wanted = FIELD_DECISIONS if row.fields else STOCK_DECISIONS
        return [name for name in wanted if name not in self.figures]


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
    config = _prepare(run, tools)
    command = (train_outside if run.row.script else train)(run, config, root, tools)
    table, base = _tables(run, config, root)
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


def judge_again(run: Run, root: Path, results: Path, tools: Path) -> Path | None:
    """Add to a result file what it was not judged by when it was written; nothing is trained.

    The maps that the run left are taken, else its last checkpoint reads the images again. All
    figures are then of one judgement; what tells of the training stays.

    Args:
        run: whose result to complete.
        root: folder of checkpoints and evidence.
        results: folder of result files.
        tools: folder with ``train.py``, beside that of the configs.

    Returns:
        The result file; None where it lacks nothing.

    Raises:
        ValueError: neither maps nor a last checkpoint are there, or they are not those of the
            result: reporting every landmark, or the right ones, gives other errors.
    """
    path = run.result_file(results)
    result = read_paper_result(path)
    if not result.lacks(run.row):
        return None
    config, work_dir = _prepare(run, tools), run.work_dir(root)
    checkpoint = final_checkpoint(config, work_dir)
    kept = [_maps_file(work_dir, name) for name in {judged_file(run.data), 'val.json'}]
    if not (run.row.script or all(one.is_file() for one in kept) or checkpoint.is_file()):
        raise ValueError(f'{checkpoint}: not there, and no maps beside it: {path} stays as it is')
    figures = judge_decisions(*_tables(run, config, root), run.row.fields)
    _refuse_other_weights(path, work_dir, result, figures)
    write_json(path, asdict(replace(result, figures=figures)))
    return path


def _prepare(run: Run, tools: Path) -> Path:
    """Set what the configs ask for, and return the run's config."""
    os.environ.update(UNSCT_BUDGET=run.budget, UNSCT_DATA=str(run.data))
    return tools.parent / 'configs' / run.row.config


def _tables(run: Run, config: Path, root: Path) -> tuple[EvidenceTable, EvidenceTable]:
    return (read_outside if run.row.script else read_maps)(run, config, root)


def _refuse_other_weights(
    path: Path, work_dir: Path, result: PaperResult, figures: Mapping[str, Mapping[str, float]]
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
        kept = _maps_file(work_dir, ann_file)
        if not kept.is_file():
            if model is None:
                model, settings = load_model(config, final_checkpoint(config, work_dir))
            dataset = build_dataset(settings, 'test', run.data, ann_file)
            save_table(kept, _read(model, dataset, run.row.fields))
        tables[ann_file] = load_table(kept)
    return tables[judged_file(run.data)], tables['val.json']


def _maps_file(work_dir: Path, ann_file: str) -> Path:
    return work_dir / f'{Path(ann_file).stem}.npz'


def _read(model: Any, dataset: Any, fields: bool) -> EvidenceTable:
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
