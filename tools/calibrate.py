"""Calibrate a trained model on validation images: when to stay silent, how sure, how far off.

Thresholds, the probability that a landmark is present, the scale of its error ellipse and of the
clinical parameters' intervals are written into the checkpoint and into a json beside it; test and
inference read them back. The printed table is cross-fitted by patient. --cfg-options fits a
calibration for other settings; test and inference then need the same.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

RULES = ('equal_cost', 'recall', 'youden', 'conformal')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=Path, help='config of the model')
    parser.add_argument('checkpoint', type=Path, help='its weights')
    parser.add_argument('--out', type=Path, help='checkpoint to write (default: the same file)')
    parser.add_argument('--data', type=Path, help="folder of the data (default: the config's)")
    parser.add_argument(
        '--ann-file', help="annotation file in it (default: the config's validation file)"
    )
    parser.add_argument(
        '--rule', choices=RULES, default='equal_cost',
        help='what decides: a miss and an invention cost the same, a recall, Youden, or conformal '
        'risk control (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument('--recall', type=float, default=0.99, help='share that `recall` keeps')
    parser.add_argument(
        '--alpha', type=float, default=0.05,
        help='expected share of suppressed present landmarks that `conformal` allows',
    )  # fmt: skip
    parser.add_argument('--level', type=float, default=0.95, help='coverage of regions, intervals')
    parser.add_argument(
        '--device', default='auto',
        help='auto, cpu, cuda or cuda:1; auto is CUDA where there is any (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
        help="settings of the config to replace, as in MMPose's tools, such as "
        'model.head.decoder.mode=paper',
    )  # fmt: skip
    return parser.parse_args()


def parse_options(pairs: list[str]) -> dict:
    """Return ``--cfg-options`` as a dictionary, by the rules of MMPose's own tools."""
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser(prog='calibrate')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    return parser.parse_args(['--cfg-options', *pairs] if pairs else []).cfg_options


def main() -> int:
    args = parse_args()
    from unsct_mmpose.tool_words import errors_in_words

    with errors_in_words('calibrate'):
        return run(args)


def run(args: argparse.Namespace) -> int:
    """Calibrate as the command line says."""
    from unsct_mmpose.calibrate.fit import (
        CalibrationRequest,
        baseline_table,
        calibrate,
        calibration_path,
        promise_lines,
        too_few_patients,
    )
    from unsct_mmpose.maps.calibration_fit import FitOptions

    fit = FitOptions(rule=args.rule, recall=args.recall, alpha=args.alpha, level=args.level)
    request = CalibrationRequest(
        args.config, args.checkpoint, args.out, args.data, args.ann_file, args.device, fit,
        parse_options(args.cfg_options),
    )  # fmt: skip
    calibration, figures, out = calibrate(request)
    counts = calibration.provenance
    print(
        f'fitted on {counts["images"]} images of {counts["patients"]} patients, '
        f'{counts["absent_landmarks"]} absent landmarks: {counts["data"] or "no description"}'
    )
    for line in promise_lines(calibration):
        print(line)
    for evidence, rules in calibration.thresholds.items():
        values = ', '.join(f'{rule} {value:.4f}' for rule, value in rules.items())
        print(f'largest uncertainty kept, {evidence}: {values}')
    if warning := too_few_patients(calibration):
        print(f'calibrate: warning: {warning}', file=sys.stderr)
    if figures:
        print(f'\ncross-fitted by patient, detector mm:\n\n{baseline_table(figures)}')
    print(f'\ncheckpoint: {out}\njson:       {calibration_path(out)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
