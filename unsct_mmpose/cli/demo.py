"""Make phantom radiographs, train the demo model on them, test it and check its numbers."""

import argparse
import shlex
from pathlib import Path

from .options import ROOT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(mendable=())
    add = parser.add_argument
    add('--config', type=Path, default=Path('configs/demo/unsct_hrnet_tha_cpu.py'),
        help='config to train')  # fmt: skip
    add('--data', type=Path, default=Path('data/phantom'),
        help='folder of the phantom set, made when missing')  # fmt: skip
    add('--work-dir', type=Path, default=Path('work_dirs/demo'),
        help='folder of checkpoints, results.json and overlays')  # fmt: skip
    add('--phantom-options', type=shlex.split, default=[],
        help='options of make_phantom.py in one string, such as "--train 64 --val 16"')  # fmt: skip
    add('--seed', type=int, default=0, help='seed of the training')


def run(args: argparse.Namespace) -> int:
    from unsct_mmpose.research import experiment

    from .results import print_differences

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
    return print_differences(args.work_dir / 'results.json')
