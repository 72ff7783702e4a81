"""Make a data set of simulated AP pelvic radiographs with known landmarks."""

import argparse
from pathlib import Path

from .options import options_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(resumable=True)
    add = parser.add_argument
    add('--out', type=Path, help='folder to write; a run can be resumed there')
    add('--train', type=int, default=257, help='images for training')
    add('--val', type=int, default=53, help='images for validation')
    add('--test', type=int, default=53, help='images for testing')
    add('--seed', type=int, default=0, help='the same seed gives the same files')
    add('--size', type=int, default=512, help='rows and columns, pixels')
    add('--spacing', type=float,
        help='detector pixel, mm (default: 430 / size; readers distrust over 2 mm)')  # fmt: skip
    add('--bits', type=int, default=12, help='stored bits, 12 to 16')
    add('--images-per-patient', type=int,
        help='of every patient, in other poses and exposures (default: 1 to 3, drawn)')  # fmt: skip
    add('--jobs', type=int, help='processes (default: one for each core that is free)')
    add('--quiet', action='store_true', help='no progress bar')
    add('--contact-sheet', type=Path, metavar='PATH', help='only draw a picture of examples')


def run(args: argparse.Namespace) -> int:
    from unsct_mmpose.phantom.make_phantom import PhantomOptions, make_phantom

    if args.out is None and args.contact_sheet is None:
        args.refuse('give --out DIR, or --contact-sheet PATH')
    if args.contact_sheet is not None:
        from unsct_mmpose.phantom.contact_sheet import contact_sheet

        contact_sheet(args.contact_sheet, seed=args.seed)
    if args.out is not None:
        options = options_from(PhantomOptions, args, spacing_mm=args.spacing)
        splits = make_phantom(args.out, options, jobs=args.jobs, progress=not args.quiet)
        for split, path in splits.items():
            print(f'{split}: {path}')
    return 0
