"""Check annotations against their images: everything that is wrong, at once.

DATA is a folder with COCO keypoint files (train.json ...) and their images, or one such file.
Exit status: 0 no errors, 1 errors, 2 nothing could be checked.
"""

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
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('data', type=Path, metavar='DATA', help='see above')
    parser.add_argument(
        '--images',
        type=Path,
        metavar='DIR',
        help="folder that file names start from (default: DATA and 'images' in it)",
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the result there too')
    parser.add_argument(
        '--no-decode', action='store_true', help='do not decode the images: quick, and finds less'
    )
    parser.add_argument(
        '--jobs', type=int, default=1, metavar='N', help='processes that decode (default: 1)'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the tool; return its exit status."""
    args = parse_args(argv)
    from unsct_mmpose.annotations.check import check_data
    from unsct_mmpose.files import replace_file

    try:
        found = check_data(args.data, args.images, decode=not args.no_decode, jobs=args.jobs)
        if args.json is not None:
            replace_file(args.json, found.to_json().encode())
    except (ValueError, OSError) as error:
        print(f'check: {error}', file=sys.stderr)
        return 2
    sys.stdout.write(found.to_text())
    return 1 if found.errors else 0


if __name__ == '__main__':
    sys.exit(main())
