"""Write a checkpoint as one ONNX file: network, flip test, decoding, uncertainty and decisions.

OUT.safetensors keeps the weights, as they are, and their calibration in a file that can hold no
code; every command takes it in the place of the checkpoint.
"""

import argparse
import json
from pathlib import Path

_NOT_CALIBRATED = 'not calibrated: a fixed limit decides what is reported (unsct calibrate)'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add('config', type=Path, help='config of the model')
    add('checkpoint', type=Path, help='its weights, better calibrated')
    add('out', type=Path, help='file to write, .onnx or .safetensors')
    add('--quantize', choices=['static', 'dynamic'],
        help='8-bit convolutions, a third of the size (docs/results/onnx.md)')  # fmt: skip
    add('--data', type=Path,
        help="static: folder of images for the ranges (default: the config's)")  # fmt: skip
    add('--ann-file', help="annotation file in it (default: the config's)")


def run(args: argparse.Namespace) -> int:
    if args.out.suffix == '.safetensors':
        if args.quantize:
            args.refuse('--quantize is for ONNX')
        from unsct_mmpose.calibrate.fit import META_KEY
        from unsct_mmpose.export.publish import export_safetensors

        meta = export_safetensors(args.config, args.checkpoint, args.out)
        print(json.dumps({name: meta[name] for name in ('config', 'weights_sha256')}, indent=1))
        if META_KEY not in meta:
            print(_NOT_CALIBRATED)
        return 0
    from unsct_mmpose.export.export_onnx import ExportRequest, export_onnx

    figures = export_onnx(
        ExportRequest(
            args.config, args.checkpoint, args.out,
            quantize=args.quantize, data=args.data, ann_file=args.ann_file,
        )
    )  # fmt: skip
    print(json.dumps(figures, indent=1))
    if not figures['calibrated']:
        print(_NOT_CALIBRATED)
    return 0
