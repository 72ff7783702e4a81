"""Make test sets under distribution shift: images unlike any in training, with known landmarks."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from unsct_mmpose.phantom.shifts import SHIFTS, describe_shift

    lines = [f'  {kind:10} {describe_shift(kind)}' for kind in SHIFTS]
    parser.epilog = '\n'.join(['kinds of shift:', *lines])
    parser.set_defaults(resumable=True)
    add = parser.add_argument
    add('data', type=Path, help='folder with the annotation file and images/')
    add('--split', default='val.json', help='annotation file')
    add('--out', type=Path, required=True, help='folder to write; a run can be resumed there')
    add('--kinds', nargs='+', default=list(SHIFTS), metavar='KIND', help='kinds (default: all)')
    add('--seed', type=int, default=0, help='the same seed gives the same files')
    add('--limit', type=int, help='take only the first N images', metavar='N')
    add('--structured-only', action='store_true', help='take only images without absent landmarks')
    add('--quiet', action='store_true', help='no progress bar')


def run(args: argparse.Namespace) -> int:
    from unsct_mmpose.phantom.make_shifts import make_shifts

    sets = make_shifts(
        args.data, args.out, split=args.split, kinds=args.kinds, seed=args.seed,
        limit=args.limit, structured_only=args.structured_only, progress=not args.quiet,
    )  # fmt: skip
    for kind, path in sets.items():
        print(f'{kind}: {path}')
    return 0
