"""Make phantom radiographs, train the demo model on them, test it and check its numbers."""

import argparse
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--config',
        type=Path,
        default=Path('configs/demo/unsct_hrnet_tha_cpu.py'),
        help='config to train (default: %(default)s)',
    )
    parser.add_argument(
        '--data',
        type=Path,
        default=Path('data/phantom'),
        help='folder of the phantom set, made when missing (default: %(default)s)',
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/demo'),
        help='folder of checkpoints, results.json and overlays (default: %(default)s)',
    )
    parser.add_argument(
        '--phantom-options',
        type=shlex.split,
        default=[],
        help='options of make_phantom.py in one string, such as "--train 64 --val 16"',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the training')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    from unsct_mmpose.research import experiment

    tools = ROOT / 'tools'
    experiment.run_tool(
        [str(tools / 'make_phantom.py'), '--out', str(args.data), *args.phantom_options]
    )
    result = experiment.run_experiment(
        experiment.Experiment(
            config=args.config,
            data=args.data,
            work_dir=args.work_dir,
            describe='simulated radiographs (parametric phantom), test split',
            name='demo',
            seed=args.seed,
        ),
        tools,
    )
    experiment.print_summary(result, args.work_dir)
    problems = experiment.check_result(args.work_dir / 'results.json')
    for problem in problems:
        print(f'not as expected: {problem}', file=sys.stderr)
    if not problems:
        print('all numbers as expected')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
