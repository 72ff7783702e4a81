"""Write a checkpoint as one ONNX file: network, flip test, decoding, uncertainty and decisions."""

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add('config', type=Path, help='config of the model')
    add('checkpoint', type=Path, help='its weights, better calibrated')
    add('out', type=Path, help='ONNX file to write')
    add('--quantize', choices=['static', 'dynamic'],
        help='8-bit convolutions, a third of the size (docs/results/onnx.md)')  # fmt: skip
    add('--data', type=Path,
        help="static: folder of images for the ranges (default: the config's)")  # fmt: skip
    add('--ann-file', help="annotation file in it (default: the config's)")


def run(args: argparse.Namespace) -> int:
    from unsct_mmpose.export.export_onnx import ExportRequest, export_onnx

    figures = export_onnx(
        ExportRequest(
            args.config, args.checkpoint, args.out,
            quantize=args.quantize, data=args.data, ann_file=args.ann_file,
        )
    )  # fmt: skip
    print(json.dumps(figures, indent=1))
    if not figures['calibrated']:
        print('not calibrated: a fixed limit decides what is reported (unsct calibrate)')
    return 0
