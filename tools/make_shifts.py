"""Make test sets under distribution shift: images unlike any in training, with known landmarks."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec('unsct_mmpose') is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    from unsct_mmpose.phantom.shifts import SHIFTS, describe_shift

    lines = [f'  {kind:10} {describe_shift(kind)}' for kind in SHIFTS]
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='\n'.join(['kinds of shift:', *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('data', type=Path, help='folder with the annotation file and images/')
    parser.add_argument(
        '--split', default='val.json', help='annotation file (default: %(default)s)'
    )
    parser.add_argument(
        '--out', type=Path, required=True, help='folder to write; a run can be resumed there'
    )
    parser.add_argument(
        '--kinds', nargs='+', default=list(SHIFTS), metavar='KIND', help='kinds (default: all)'
    )
    parser.add_argument('--seed', type=int, default=0, help='the same seed gives the same files')
    parser.add_argument('--limit', type=int, help='take only the first N images', metavar='N')
    parser.add_argument(
        '--structured-only', action='store_true', help='take only images without absent landmarks'
    )
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the tool; return its exit status."""
    args = parse_args(argv)
    from unsct_mmpose.phantom.make_shifts import make_shifts

    try:
        for kind, path in make_shifts(
            args.data, args.out, split=args.split, kinds=args.kinds, seed=args.seed,
            limit=args.limit, structured_only=args.structured_only, progress=not args.quiet,
        ).items():  # fmt: skip
            print(f'{kind}: {path}')
    except (ValueError, OSError) as error:
        print(f'make_shifts: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('make_shifts: interrupted; the same command continues', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
