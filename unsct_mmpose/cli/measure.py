"""Measure the clinical parameters of landmark files: COCO keypoints, or plain records."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .options import add_spacing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add('landmarks', type=Path, help='json file; see docs/how-to/measure.md')
    add('--out', type=Path, metavar='FILE', help='write .json, .csv or .txt (default: print)')
    add('--format', choices=('table', 'json', 'csv'),
        help="default: by the suffix of --out, or 'table'")  # fmt: skip
    add('--plane', choices=('detector', 'bone'),
        help='where lengths hold (default: bone where the magnification is known)')  # fmt: skip
    add_spacing(parser)
    add('--mirrored', action='store_true',
        help='landmarks were named on mirrored images: left is right, right is left')  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from unsct_mmpose.report.measure import form_of, measure_file, render, write_measurements

    form = args.format or ('table' if args.out is None else form_of(args.out))
    if args.out is not None and args.out.resolve() == args.landmarks.resolve():
        raise ValueError(f'{args.out}: --out would replace the landmarks; name another file')
    measured = measure_file(
        args.landmarks,
        plane=args.plane,
        magnification=args.magnification,
        spacing_xy_mm=args.spacing and tuple(args.spacing),
        mirrored=args.mirrored,
    )
    if args.out is None:
        sys.stdout.write(render(measured, form))
    else:
        write_measurements(measured, args.out, form)
        print(f'{args.out}: {len(measured.images)} images measured')
    return 0
