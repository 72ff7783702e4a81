"""Train a config on a data set, test its best checkpoint, record the figures and draw overlays."""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', type=Path, help='config to train')
    parser.add_argument('--data', type=Path, required=True, help='folder with the json files')
    parser.add_argument('--describe', required=True, help='what the figures are from, in words')
    parser.add_argument('--name', help="short name of the run (default: the config's)")
    parser.add_argument('--test-file', default='test.json', help='annotation file to test')
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/NAME')
    parser.add_argument('--seed', type=int, default=0, help='seed of the training')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='as in MMPose'
    )
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    from unsct_mmpose.research.experiment import Experiment, print_summary, run_experiment
    from unsct_mmpose.tool_words import errors_in_words

    name = args.name or args.config.stem
    work_dir = args.work_dir or Path('work_dirs') / name
    experiment = Experiment(
        config=args.config,
        data=args.data,
        work_dir=work_dir,
        describe=args.describe,
        name=name,
        test_file=args.test_file,
        seed=args.seed,
        options=args.cfg_options,
    )
    with errors_in_words('run'):
        print_summary(run_experiment(experiment, ROOT / 'tools'), work_dir)
    return 0


if __name__ == '__main__':
    sys.exit(main())
