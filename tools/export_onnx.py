"""Write a checkpoint as one ONNX file: network, flip test, decoding, uncertainty and decisions."""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', type=Path, help='config of the model')
    parser.add_argument('checkpoint', type=Path, help='its weights, better calibrated')
    parser.add_argument('out', type=Path, help='ONNX file to write')
    parser.add_argument(
        '--quantize', choices=['static', 'dynamic'],
        help='8-bit convolutions, a third of the size (docs/results/onnx.md)',
    )  # fmt: skip
    parser.add_argument(
        '--data', type=Path, help="static: folder of images for the ranges (default: the config's)"
    )
    parser.add_argument('--ann-file', help="annotation file in it (default: the config's)")
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    from unsct_mmpose.export.export_onnx import ExportRequest, export_onnx

    figures = export_onnx(ExportRequest(**vars(args)))
    print(json.dumps(figures, indent=1))
    if not figures['calibrated']:
        print('not calibrated: a fixed limit decides what is reported (tools/calibrate.py)')
    return 0


if __name__ == '__main__':
    sys.exit(main())
