"""Calibrate a trained model on validation images: what to reject, how sure, how far off.

Thresholds, the probability that a landmark is present, the scale of its error ellipse and of the
clinical parameters' intervals are written into the checkpoint and into a json beside it; test and
inference read them back. The printed table is cross-fitted by patient. --cfg-options fits a
calibration for other settings; test and inference then need the same.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .options import add_cfg_options, add_device

RULES = ('equal_cost', 'recall', 'youden', 'conformal')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(mendable=())
    add = parser.add_argument
    add('config', type=Path, help='config of the model')
    add('checkpoint', type=Path, help='its weights')
    add('--out', type=Path, help='checkpoint to write (default: the same file)')
    add('--data', type=Path, help="folder of the data (default: the config's)")
    add('--ann-file', help="annotation file in it (default: the config's validation file)")
    add('--rule', choices=RULES, default='equal_cost',
        help='what decides: a miss and a false positive cost the same, a recall, Youden, or '
        'conformal risk control')  # fmt: skip
    add('--recall', type=float, default=0.99, help='share that `recall` keeps')
    add('--alpha', type=float, default=0.05,
        help='expected share of rejected present landmarks that `conformal` allows')  # fmt: skip
    add('--level', type=float, default=0.95, help='coverage of regions, intervals')
    add('--no-estimate', dest='estimate', action='store_false',
        help='leave out the cross-fitted table, which takes most of the time')  # fmt: skip
    add_device(parser)
    add_cfg_options(parser)


def _parse_pairs(pairs: list[str]) -> dict:
    """Return ``--cfg-options`` as a dictionary, by the rules of MMPose's own tools."""
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser(prog='calibrate')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    return parser.parse_args(['--cfg-options', *pairs] if pairs else []).cfg_options


def run(args: argparse.Namespace) -> int:
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
        _parse_pairs(args.cfg_options), args.estimate,
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
        print(f'largest uncertainty reported, {evidence}: {values}')
    if warning := too_few_patients(calibration):
        print(f'calibrate: warning: {warning}', file=sys.stderr)
    if figures:
        print(f'\ncross-fitted by patient, detector mm:\n\n{baseline_table(figures)}')
    print(f'\ncheckpoint: {out}\njson:       {calibration_path(out)}')
    return 0
