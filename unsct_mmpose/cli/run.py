"""Train a config on a data set, test its best checkpoint, record the figures and draw overlays."""

import argparse
from pathlib import Path

from .options import ROOT, add_cfg_options, options_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(mendable=())
    add = parser.add_argument
    add('config', type=Path, help='config to train')
    add('--data', type=Path, required=True, help='folder with the json files')
    add('--describe', required=True, help='what the figures are from, in words')
    add('--name', help="short name of the run (default: the config's)")
    add('--test-file', default='test.json', help='annotation file to test')
    add('--work-dir', type=Path, help='default: work_dirs/NAME')
    add('--seed', type=int, default=0, help='seed of the training')
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> int:
    from unsct_mmpose.research.experiment import Experiment, print_summary, run_experiment

    name = args.name or args.config.stem
    work_dir = args.work_dir or Path('work_dirs') / name
    own = dict(work_dir=work_dir, name=name, options=args.cfg_options)
    experiment = options_from(Experiment, args, **own)
    print_summary(run_experiment(experiment, ROOT / 'tools'), work_dir)
    return 0
