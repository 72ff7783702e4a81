"""The paper's experiments: which configs, in which tables, with how many seeds, in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .results import Result

_BUDGETS = ('cpu', 'gpu')

REVISION = 2
"""Rises when a change makes earlier results of affected rows void."""

PAPER_DECISIONS = ('paper', 'paper_fitted', 'paper_mirrored')
"""``HeatmapPAF(mode='paper')`` with its stated threshold, and with one fitted like the others';
and the same alignments with the entropy mirrored, so that it falls, and a fitted threshold."""

FIELD_DECISIONS = ('keep_all', 'peak', *PAPER_DECISIONS, 'paf', 'fused', 'oracle')
"""What a model with fields is judged by."""

STOCK_DECISIONS = ('keep_all', 'peak', 'oracle')
"""What a model of heatmaps alone is judged by."""


@dataclass(frozen=True)
class Row:
    """A config of the experiments.

    Attributes:
        config: path in ``configs``.
        label: what the tables call it.
        purpose: what it is there for, in words.
        fields: whether it predicts fields beside heatmaps, so that it can decide by them.
        seeds: trainings.
        rank: order of importance, the most important first.
        script: trains it outside MMPose, on the images and steps of ``config``; path from the
            repository. Empty: MMPose trains ``config`` itself.
        since: revision that last changed what the row trains; results before it are old.
    """

    config: str
    label: str
    purpose: str
    fields: bool
    seeds: int
    rank: int
    script: str = ''
    since: int = 2

    @property
    def source(self) -> str:
        """What defines the model, script or config: path from the repository."""
        return self.script or f'configs/{self.config}'

    @property
    def stem(self) -> str:
        """Name of what defines the model, without its folder."""
        return Path(self.source).stem

    @property
    def decisions(self) -> tuple[str, ...]:
        """Ways to decide that its runs are judged by."""
        return FIELD_DECISIONS if self.fields else STOCK_DECISIONS


_WHY = 'why SRF helps or not'
ROWS = (
    Row('hrnet/unsct-hrnet.py', 'UNSCT-HRNet', 'Tables 3, 4, 5', True, 3, 0),
    Row('hrnet/ori-hrnet.py', 'Ori-HRNet', 'Tables 4, 5; peer: HRNet + HeatmapHead', False, 3, 0),
    Row('ablation/srf_none.py', 'HRNet (no SRF)', 'Table 3', True, 3, 0),
    Row('peers/hrnet_silent.py', 'HRNet + MSE, silent', 'peer; loss and field ablation', False,
        1, 1),
    Row('hourglass/unsct-hourglass.py', 'UNSCT-Hourglass', 'Tables 4, 5', True, 1, 2),
    Row('hourglass/ori-hourglass.py', 'Ori-Hourglass', 'Tables 4, 5', False, 1, 2),
    Row('higherhrnet/unsct-higherhrnet.py', 'UNSCT-HigherHRNet', 'Tables 4, 5', True, 1, 2),
    Row('higherhrnet/ori-higherhrnet.py', 'Ori-HigherHRNet', 'Tables 4, 5', False, 1, 2),
    Row('u_net/unsct-u_net.py', 'UNSCT-U-Net', 'Tables 3, 4, 5', True, 3, 1),
    Row('peers/u_net.py', 'U-Net', 'Tables 4, 5; peer', False, 2, 3, since=1),
    Row('peers/simcc_cspnext.py', 'RTMPose (SimCC)', 'peer', False, 1, 3, since=1),
    Row('peers/rle_res50.py', 'ResNet-50 RLE', 'peer', False, 1, 3, since=1),
    Row('hrnet/ori-hrnet.py', 'SCN (landmarker)', 'peer from outside MMPose', False, 1, 3,
        script='tools/peers/scn_landmarker.py', since=1),
    Row('hrnet/ori-hrnet.py', 'SCN (landmarker), with Adam', 'variant of that peer', False, 1, 3,
        script='tools/peers/scn_landmarker_adam.py', since=1),
    Row('ablation/srf_stages.py', 'HRNet + SRF at every stage', 'Table 3', True, 3, 0),
    Row('ablation/u_net_srf_none.py', 'U-Net (no SRF)', 'Table 3', True, 3, 1),
    Row('ablation/mmpose_weights.py', "Ori-HRNet, MMPose's weights", 'initial weights', False,
        1, 2),
    Row('ablation/srf_deep.py', 'SRF, deep supervision', _WHY, True, 1, 4),
    Row('ablation/srf_late.py', 'SRF at stages 3 and 4', _WHY, True, 1, 4),
    Row('ablation/srf_unsupervised.py', 'SRF unsupervised', _WHY, True, 1, 4),
    Row('ablation/srf_zero_init.py', 'SRF from 0', _WHY, True, 1, 4),
    Row('ablation/srf_full_init.py', 'SRF from 1', _WHY, True, 1, 4),
    Row('ablation/srf_long.py', 'UNSCT-HRNet, twice the epochs', _WHY, True, 2, 4),
    Row('ablation/srf_none_long.py', 'HRNet (no SRF), twice the epochs', _WHY, True, 2, 4),
    Row('ablation/ema.py', 'averaged weights (EMA)', 'gain from averaging', True, 2, 4),
    Row('ablation/loss_mse.py', 'MSE', 'Figure 5', True, 1, 5),
    Row('ablation/loss_mse_heavy.py', 'MSE, ten times the weight', 'Figure 5', True, 1, 5),
    Row('ablation/loss_adaptive_wing.py', 'AdaptiveWing', 'Figure 5', True, 1, 5),
    Row('ablation/no_paf.py', 'fields untrained', 'gain from training fields', True, 1, 5),
    Row('ablation/no_boundary.py', 'no boundary', 'coordinates on the boundary', True, 1, 6),
    Row('ablation/attention_parallel.py', 'attention parallel', 'attention', True, 1, 6),
    Row('ablation/attention_code.py', 'attention as in code', 'attention', True, 1, 6),
)  # fmt: skip
ROW_OF = {row.stem: row for row in ROWS}

PAIRS = (
    ('ori-hrnet', 'unsct-hrnet'),
    ('ori-higherhrnet', 'unsct-higherhrnet'),
    ('ori-hourglass', 'unsct-hourglass'),
    ('u_net', 'unsct-u_net'),
)
"""Stems of each stock model and of the model with fields that stands beside it."""

PAIRED = (
    ('srf_none', 'unsct-hrnet'),
    ('srf_none', 'srf_stages'),
    ('u_net_srf_none', 'unsct-u_net'),
)
"""Stems of each model without spatial relationship fusion and of the same with it."""

PEERS = (
    'ori-hrnet', 'hrnet_silent', 'u_net', 'simcc_cspnext', 'rle_res50', 'ori-higherhrnet',
    'ori-hourglass', 'scn_landmarker', 'scn_landmarker_adam',
)  # fmt: skip
"""What a user would take instead."""


PUBLISHED_COLUMNS = ('NME', 'MRE', 'SDR', 'PCC', 'ICC', 'T-Test')

PUBLISHED: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    'Table 3': {
        'HRNet': (0.145, 12.479, 0.617, 0.846, 0.843, 0.331),
        'HRNet + SRF module': (0.087, 7.442, 0.774, 0.951, 0.949, 0.403),
    },
    'Table 4': {
        'Ori-HRNet': (0.085, 7.228, 0.915, 0.967, 0.964, 0.322),
        'UNSCT-HRNet': (0.073, 6.149, 0.943, 0.975, 0.972, 0.391),
        'Ori-HigherHRNet': (0.087, 6.245, 0.833, 0.967, 0.964, 0.337),
        'UNSCT-HigherHRNet': (0.073, 6.161, 0.943, 0.975, 0.973, 0.387),
        'Ori-HourglassNet': (0.068, 5.637, 0.943, 0.976, 0.973, 0.290),
        'UNSCT-HourglassNet': (0.098, 8.161, 0.800, 0.919, 0.916, 0.281),
    },
    'Table 5': {
        'Ori-HRNet': (0.402, 39.189, 0.111, 0.630, 0.626, 0.385),
        'UNSCT-HRNet': (0.102, 8.206, 0.688, 0.920, 0.916, 0.445),
        'Ori-HigherHRNet': (0.318, 28.316, 0.111, 0.643, 0.638, 0.364),
        'UNSCT-HigherHRNet': (0.104, 8.390, 0.688, 0.919, 0.917, 0.446),
        'Ori-HourglassNet': (0.187, 16.485, 0.125, 0.725, 0.720, 0.335),
    },
}
"""What the paper prints, of other images and other patients, for comparison; the last row of
Table 5, UNSCT-HourglassNet, is missing from our copy of the text."""


@dataclass(frozen=True)
class Run:
    """One training of a row: in a budget, on a data set, with a seed."""

    row: Row
    budget: str
    data: Path
    seed: int

    @property
    def name(self) -> str:
        """Short name, unique within a budget and a data set."""
        return f'{self.row.stem}_s{self.seed}'

    @property
    def ann_files(self) -> list[str]:
        """Annotation files to judge and to calibrate on, often the same."""
        return sorted({judged_file(self.data), 'val.json'})

    def work_dir(self, root: Path) -> Path:
        """Return the folder of checkpoints and evidence."""
        return root / self.budget / self.data.name / self.row.stem / f'seed_{self.seed}'

    def result_file(self, results: Path) -> Path:
        """Return where the result goes, in the folder of all results."""
        return results / self.budget / self.data.name / f'{self.name}.json'


def is_old(result: Result) -> bool:
    """Return whether the row has changed since, so that the result awaits another run."""
    return result.stem in ROW_OF and (result.revision or 1) < ROW_OF[result.stem].since


def runs_of(results: Sequence[Result], stem: str) -> list[Result]:
    """Return the runs of one config, all its seeds."""
    return [result for result in results if result.stem == stem]


def judged_file(data: Path) -> str:
    """Return the annotation file that is judged: the test split, else the validation split."""
    return 'test.json' if (data / 'test.json').is_file() else 'val.json'


def plan(budget: str, data: Path, only: Sequence[str] = (), seeds: int | None = None) -> list[Run]:
    """Return the trainings in order of importance, of all configs and their own seeds by default.

    Raises:
        ValueError: the budget or a config is unknown.

    Example:
        >>> [run.name for run in plan('cpu', Path('data/phantom'), ['ori-hrnet'], seeds=2)]
        ['ori-hrnet_s0', 'ori-hrnet_s1']
    """
    if budget not in _BUDGETS:
        raise ValueError(f'unknown budget {budget!r}; choose from {_BUDGETS}')
    unknown = sorted(set(only) - {row.stem for row in ROWS})
    if unknown:
        names = ', '.join(row.stem for row in ROWS)
        raise ValueError(f'no such config in the plan: {", ".join(unknown)}; there are {names}')
    runs = [
        Run(row, budget, data, seed)
        for row in ROWS
        if not only or row.stem in only
        for seed in range(row.seeds if seeds is None else seeds)
    ]
    return sorted(runs, key=lambda run: (run.row.rank, run.seed))
