"""Measure the clinical parameters of landmark files: COCO keypoints, or plain records."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec('unsct_mmpose') is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('landmarks', type=Path, help='json file; see docs/how-to/measure.md')
    parser.add_argument(
        '--out', type=Path, metavar='FILE', help='write .json, .csv or .txt (default: print)'
    )
    parser.add_argument(
        '--format',
        choices=('table', 'json', 'csv'),
        help="default: by the suffix of --out, or 'table'",
    )
    parser.add_argument(
        '--plane',
        choices=('detector', 'bone'),
        help='where lengths hold (default: bone where the magnification is known)',
    )
    parser.add_argument(
        '--magnification', type=decimal, metavar='M', help='of all images, detector over bone'
    )
    parser.add_argument(
        '--mirrored',
        action='store_true',
        help='the landmarks were named on mirrored images: left is right, and right is left',
    )
    parser.add_argument(
        '--spacing',
        type=decimal,
        nargs=2,
        metavar=('X', 'Y'),
        help='width and height of a pixel of all images, mm at the detector',
    )
    return parser.parse_args(argv)


def decimal(text: str) -> float:
    """Read a number with a decimal point."""
    from unsct_mmpose.dicom.spacing import read_number

    try:
        return read_number(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main(argv: list[str] | None = None) -> int:
    """Run the tool; return its exit status."""
    args = parse_args(argv)
    from unsct_mmpose.report.measure import form_of, measure_file, render, write_measurements

    spacing = None if args.spacing is None else tuple(args.spacing)
    try:
        form = args.format or ('table' if args.out is None else form_of(args.out))
        if args.out is not None and args.out.resolve() == args.landmarks.resolve():
            raise ValueError(f'{args.out}: --out would replace the landmarks; name another file')
        measured = measure_file(
            args.landmarks,
            plane=args.plane,
            magnification=args.magnification,
            spacing_xy_mm=spacing,
            mirrored=args.mirrored,
        )
        if args.out is None:
            sys.stdout.write(render(measured, form))
        else:
            write_measurements(measured, args.out, form)
            print(f'{args.out}: {len(measured.images)} images measured')
    except BrokenPipeError:  # the reader of the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError) as error:
        print(f'measure: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
