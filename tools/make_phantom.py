"""Make a data set of simulated AP pelvic radiographs with known landmarks."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec('unsct_mmpose') is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('--out', type=Path, help='folder to write; a run can be resumed there')
    parser.add_argument('--train', type=int, default=257, help='images for training')
    parser.add_argument('--val', type=int, default=53, help='images for validation')
    parser.add_argument('--test', type=int, default=53, help='images for testing')
    parser.add_argument('--seed', type=int, default=0, help='the same seed gives the same files')
    parser.add_argument('--size', type=int, default=512, help='rows and columns, pixels')
    parser.add_argument(
        '--spacing',
        type=float,
        help='detector pixel, mm (default: 430 / size; readers distrust more than 2 mm)',
    )
    parser.add_argument('--bits', type=int, default=12, help='stored bits, 12 to 16')
    parser.add_argument(
        '--images-per-patient',
        type=int,
        help='of every patient, in other poses and exposures (default: 1 to 3, drawn)',
    )
    parser.add_argument('--jobs', type=int, help='processes (default: one for each CPU)')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    parser.add_argument(
        '--contact-sheet', type=Path, metavar='PATH', help='only draw a picture of examples'
    )
    args = parser.parse_args(argv)
    if args.out is None and args.contact_sheet is None:
        parser.error('give --out DIR, or --contact-sheet PATH')
    return args


def main(argv: list[str] | None = None) -> int:
    """Run the tool; return its exit status."""
    from unsct_mmpose.phantom.make_phantom import PhantomOptions, contact_sheet, make_phantom

    args = parse_args(argv)
    try:
        if args.contact_sheet is not None:
            contact_sheet(args.contact_sheet, seed=args.seed)
        if args.out is not None:
            options = PhantomOptions(
                train=args.train, val=args.val, test=args.test, seed=args.seed, size=args.size,
                spacing_mm=args.spacing, bits=args.bits,
                images_per_patient=args.images_per_patient,
            )  # fmt: skip
            for split, path in make_phantom(
                args.out, options, jobs=args.jobs, progress=not args.quiet
            ).items():
                print(f'{split}: {path}')
    except (ValueError, OSError) as error:
        print(f'make_phantom: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('make_phantom: interrupted; the same command continues', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
