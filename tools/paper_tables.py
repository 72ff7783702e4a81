"""The paper's experiments: list them (`plan`), run them (`run`), make the tables (`collect`)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    for name, words in (
        ('plan', 'print the runs in order of importance, and which of them are done'),
        ('run', 'do what is not done yet, an interrupted run too; every run writes its result'),
        ('judge', 'add ways to decide to results that were written before them, without training'),
    ):
        command = commands.add_parser(name, help=words)
        command.add_argument('--data', type=Path, required=True, help='folder with train.json, '
                             'val.json and perhaps test.json')  # fmt: skip
        command.add_argument('--budget', choices=('cpu', 'gpu'), default='cpu',
                             help='networks and schedules (default: %(default)s)')  # fmt: skip
        command.add_argument('--only', nargs='+', default=[], metavar='CONFIG',
                             help='names of configs, such as unsct-hrnet')  # fmt: skip
        command.add_argument('--seeds', type=int, help='trainings of each config')
        command.add_argument('--work-dirs', type=Path, default=Path('work_dirs/paper'))
        command.add_argument('--results', type=Path, default=Path('docs/results/paper'))
    commands.choices['run'].add_argument(
        '--describe', required=True, help='what the images are; say so when they are simulated'
    )
    commands.choices['run'].add_argument(
        '--lane', type=int, nargs=2, default=(0, 1), metavar=('I', 'N'),
        help='do every N-th run, from the I-th on: for several processes side by side',
    )  # fmt: skip
    collect = commands.add_parser(
        'collect', help='write the page, its CSV and the index of models from the results'
    )
    collect.add_argument('--results', type=Path, default=Path('docs/results/paper'))
    figures = commands.add_parser('figures', help='draw Figures 5, 8 and 9')
    figures.add_argument('--results', type=Path, default=Path('docs/results/paper'))
    figures.add_argument('--budget', choices=('cpu', 'gpu'), default='cpu')
    figures.add_argument('--convergence', metavar='NAME', help='data set whose runs Figure 5 shows')
    figures.add_argument('--config', type=Path, help='of the model in Figures 8 and 9')
    figures.add_argument('--training', type=Path, help='folder with epoch_N.pth, for Figure 8')
    figures.add_argument('--checkpoint', type=Path, help='calibrated one, for Figure 9')
    figures.add_argument('--data', type=Path, help='data set whose images may be shown')
    figures.add_argument('--row', type=int, default=0, help='number of the image in its file')
    figures.add_argument('--describe', help='what the image is; say so when it is simulated')
    figures.add_argument('--out', type=Path, default=Path('docs/results/paper'), help='folder')
    return parser.parse_args()


def print_plan(args: argparse.Namespace) -> None:
    """Print each run and whether its result is there, and what that was not judged by."""
    from unsct_mmpose.research.paper_plan import plan
    from unsct_mmpose.research.paper_run import lacking_decisions
    from unsct_mmpose.research.results import read_result

    for run in plan(args.budget, args.data, args.only, args.seeds):
        path = run.result_file(args.results)
        lacking = lacking_decisions(read_result(path), run.row) if path.is_file() else []
        words = f'; not judged by {", ".join(lacking)}' if lacking else ''
        print(f'{"done" if path.is_file() else "open"}  {run.name:28s} {run.row.purpose}{words}')


def run_plan(args: argparse.Namespace) -> int:
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
    for words in failed:
        print(f'paper_tables: {words}', file=sys.stderr)
    return len(failed)


def judge_plan(args: argparse.Namespace) -> int:
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
                print(f'paper_tables: {run.name}: {error}', file=sys.stderr)
    return failed


def draw_figures(args: argparse.Namespace) -> None:
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


def main() -> int:
    """Run the tool; return its exit status."""
    args = parse_args()
    try:
        if args.command == 'plan':
            print_plan(args)
        elif args.command == 'run':
            return 1 if run_plan(args) else 0
        elif args.command == 'judge':
            return 1 if judge_plan(args) else 0
        elif args.command == 'figures':
            draw_figures(args)
        else:
            from unsct_mmpose.research.paper_page import write_paper_page

            print(write_paper_page(args.results))
            if args.results.resolve() == ROOT / 'docs' / 'results' / 'paper':
                from unsct_mmpose.research.model_index import write_model_index

                print(*write_model_index(ROOT), sep='\n')
    except (ValueError, OSError) as error:
        print(f'paper_tables: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
