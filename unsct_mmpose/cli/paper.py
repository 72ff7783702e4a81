"""The paper's experiments: list them (`plan`), run them (`run`), make the tables (`collect`)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .options import ROOT, add_actions, print_index

_RESULTS = Path('docs/results/paper')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(resumable=True)
    actions = add_actions(parser, (
        ('plan', _print_plan, 'print the runs in order of importance, and which of them are done'),
        ('run', _run_plan,
         'do what is not done yet, an interrupted run too; every run writes its result'),
        ('judge', _judge_plan,
         'add ways to decide to results that were written before them, without training'),
        ('collect', _collect_results,
         'write the page, its CSV and the index of models from the results'),
        ('figures', _draw_figures, 'draw Figures 5, 8 and 9'),
    ))  # fmt: skip
    for name in ('plan', 'run', 'judge'):
        add = actions[name].add_argument
        add('--data', type=Path, required=True,
            help='folder with train.json, val.json and perhaps test.json')  # fmt: skip
        add('--budget', choices=('cpu', 'gpu'), default='cpu', help='networks and schedules')
        add('--only', nargs='+', default=[], metavar='CONFIG',
            help='names of configs, such as unsct-hrnet')  # fmt: skip
        add('--seeds', type=int, help='trainings of each config')
        add('--work-dirs', type=Path, default=Path('work_dirs/paper'), help='of the trainings')
        add('--results', type=Path, default=_RESULTS, help='folder of the results')
    add = actions['run'].add_argument
    add('--describe', required=True, help='what the images are; say so when they are simulated')
    add('--lane', type=int, nargs=2, default=(0, 1), metavar=('I', 'N'),
        help='do every N-th run, from the I-th on: for several processes side by side')  # fmt: skip
    add = actions['collect'].add_argument
    add('--results', type=Path, default=_RESULTS, help='folder of the results')
    add = actions['figures'].add_argument
    add('--results', type=Path, default=_RESULTS, help='folder of the results')
    add('--budget', choices=('cpu', 'gpu'), default='cpu', help='networks and schedules')
    add('--convergence', metavar='NAME', help='data set whose runs Figure 5 shows')
    add('--config', type=Path, help='of the model in Figures 8 and 9')
    add('--training', type=Path, help='folder with epoch_N.pth, for Figure 8')
    add('--checkpoint', type=Path, help='calibrated one, for Figure 9')
    add('--data', type=Path, help='data set whose images may be shown')
    add('--row', type=int, default=0, help='number of the image in its file')
    add('--describe', help='what the image is; say so when it is simulated')
    add('--out', type=Path, default=_RESULTS, help='folder')


def run(args: argparse.Namespace) -> int:
    return 1 if args.work(args) else 0


def _print_plan(args: argparse.Namespace) -> None:
    """Print each run and whether its result is there, and what that was not judged by."""
    from unsct_mmpose.research.paper_plan import plan
    from unsct_mmpose.research.paper_run import lacking_decisions
    from unsct_mmpose.research.results import read_result

    for run in plan(args.budget, args.data, args.only, args.seeds):
        path = run.result_file(args.results)
        lacking = lacking_decisions(read_result(path), run.row) if path.is_file() else []
        missing = f'; not judged by {", ".join(lacking)}' if lacking else ''
        print(f'{"done" if path.is_file() else "open"}  {run.name:28s} {run.row.purpose}{missing}')


def _run_plan(args: argparse.Namespace) -> int:
    """Do the runs that have no result; return how many failed."""
    from tqdm import tqdm

    from unsct_mmpose.research.paper_plan import plan
    from unsct_mmpose.research.paper_run import run_one

    first, step = args.lane
    waiting = plan(args.budget, args.data, args.only, args.seeds)[first::step]
    waiting = [run for run in waiting if not run.result_file(args.results).is_file()]
    failed = []
    with tqdm(waiting, unit='run') as bar:
        for run in bar:
            bar.set_description(run.name)
            try:
                run_one(run, args.work_dirs, args.results, args.describe, ROOT / 'tools')
            except (RuntimeError, ValueError, OSError) as error:
                failed.append(f'{run.name}: {error}')
    for text in failed:
        print(f'paper: {text}', file=sys.stderr)
    return len(failed)


def _judge_plan(args: argparse.Namespace) -> int:
    """Complete the results that there are; return how many could not be."""
    from unsct_mmpose.research.paper_plan import plan
    from unsct_mmpose.research.paper_run import judge_again

    failed = 0
    for run in plan(args.budget, args.data, args.only, args.seeds):
        if run.result_file(args.results).is_file():
            try:
                written = judge_again(run, args.work_dirs, args.results, ROOT / 'tools')
                print(f'{"judged" if written else "complete"}  {run.name}')
            except (ValueError, OSError) as error:
                failed += 1
                print(f'paper: {run.name}: {error}', file=sys.stderr)
    return failed


def _draw_figures(args: argparse.Namespace) -> None:
    """Draw the figures whose material was named."""
    import os

    from unsct_mmpose.research import paper_figures

    os.environ['UNSCT_BUDGET'] = args.budget
    if args.convergence:
        out = args.out / 'figure_5.png'
        print(paper_figures.draw_convergence(args.results, args.budget, args.convergence, out))
    wanted = (args.training, args.checkpoint)
    if any(wanted) and None in (args.config, args.data, args.describe):
        raise ValueError('Figures 8 and 9 need --config, --data and --describe')
    common = (args.data, args.row, args.describe)
    if args.training:
        checkpoints, out = list(args.training.glob('epoch_*.pth')), args.out / 'figure_8.png'
        print(paper_figures.draw_training(args.config, checkpoints, *common, out))
    if args.checkpoint:
        out = args.out / 'figure_9.png'
        print(paper_figures.draw_uncertainty(args.config, args.checkpoint, *common, out))


def _collect_results(args: argparse.Namespace) -> None:
    """Write the page, and the index of models where it is the repository's own."""
    from unsct_mmpose.research.paper_page import write_paper_page

    print(write_paper_page(args.results))
    if args.results.resolve() == ROOT / _RESULTS:
        print_index(ROOT)
